"""The table that ends the report: for this task take this layer, or all layers, of this model."""

from __future__ import annotations

import math
from dataclasses import replace

from reports.numbers import number, with_interval
from reports.probing import head_title
from reports.rules_choice import LAST, SINGLE, clipped, words_of
from reports.rules_why import reach
from reports.study import Study
from reports.tables import DASH, Cell, Table, reference, validation
from reports.why import Choice, Contrast, Option
from reports.words import listed

_WIDTHS = (1.25, 1.15, 1.15, 1.35, 1.25, 1.25, 1.35, 1.05)
_HEAD = (
    "Task", "Model", "Take", "Score", "Over the last layer", "Over all layers together", "Because",
    "Best reference",
)  # fmt: skip
_JOINED = 5  # place of the column on heads of all layers
_INTRO = (
    "For each task what to take, of the model with the best validation score among those that have "
    "anything above chance. In this order: nothing where no layer is shown to be above chance; a "
    "head of all layers where it is shown to beat the best one; the last layer where it surely "
    "keeps nine tenths of the best layer's lead over chance; else the best layer by validation. "
    "Differences are paired over groups, their intervals hold for all options of a task at once; "
    "all layers together: the better of the heads that see all of them."
)


def advice(study: Study) -> Table | None:
    """None where the study has no choices (it was made before, or has no probes)."""
    groups = []
    for key in study.task_keys():
        found = {
            role: study.why[role].choice[key]
            for role in study.probed(key)
            if role in study.why and key in study.why[role].choice
        }
        if found:
            groups.append([_row(study, key, found)])
    if not groups:
        return None
    # without heads of all layers the column says nothing
    kept = [i for i in range(len(_HEAD)) if i != _JOINED or _compared(groups)]
    rows = [[[row[i] for i in kept] for row in some] for some in groups]
    return Table("", _INTRO, [_HEAD[i] for i in kept], rows, [_WIDTHS[i] for i in kept])


def _compared(groups: list[list[list[str | Cell]]]) -> bool:
    """Whether any row has a head of all layers to hold one layer against."""
    return any(row[_JOINED] != DASH for some in groups for row in some)


def _row(study: Study, key: str, found: dict[str, Choice]) -> list[str | Cell]:
    tasks = study.probed(key)
    some = {role: one for role, one in found.items() if one.recommended} or found
    role = max(some, key=lambda r: validation(tasks[r]))
    one, task = some[role], tasks[role]
    one = replace(one, options=tuple(clipped(o, reach(study, role, key)) for o in one.options))
    taken = one.option(one.recommended)
    title = f"{task.title} ({task.headline})"
    if taken is None:
        return [
            title, Cell(study.name_of(role), quiet=True), Cell("nothing", quiet=True),
            f"{with_interval(task.best())} {task.metric}", DASH, DASH, words_of(one),
            reference(study, key),
        ]  # fmt: skip
    single = taken.name in (LAST, SINGLE)
    return [
        title,
        study.name_of(role),
        Cell(taken.layer, mono=True) if single else head_title(taken.name),
        f"{with_interval(taken.score)} {task.metric}",
        _over_last(one, taken),
        _over_joined(one, taken) if single else "is all layers",
        "; ".join([words_of(one), *_besides(study, role, key, some)]),
        reference(study, key),
    ]


def _besides(study: Study, role: str, key: str, some: dict[str, Choice]) -> list[str]:
    """Layers not shown to be worse, the twin's best, and models that tie on validation."""
    task, out = study.probed(key)[role], []
    comparison = task.trust.comparison
    if comparison is not None:
        many = len(comparison.not_worse)
        out.append(f"{many} of {len(task.layers)} layers not shown to be worse")
    twin = study.probes.get(f"{role}0")
    found = twin.tasks.get(key) if twin else None
    if found is not None and found.best().exists:
        out.append(f"untrained {number(found.best().value)} at {found.selected}")
    mine = validation(task)
    same = [r for r in some if r != role and validation(study.probed(key)[r]) == mine]
    if same and math.isfinite(mine):
        out.append(f"tie on validation with {listed([study.name_of(r) for r in same])}")
    return out


def _over_last(one: Choice, taken: Option) -> str:
    last = one.option(LAST)
    if last is not None and taken.layer == last.layer:
        return "is the last"
    return _shown(taken.last)


def _over_joined(one: Choice, taken: Option) -> str:
    """What one layer has over the better of the heads that see all layers."""
    joined = [o for o in one.options if o.name not in (LAST, SINGLE) and o.score.exists]
    if not joined:
        return DASH
    best = max(joined, key=lambda o: o.score.value)
    return _shown(-(best.last if taken.name == LAST else best.best))


def _shown(gap: Contrast) -> Cell:
    """A difference that is not shown is grey."""
    if not math.isfinite(gap.value):
        return Cell(DASH)
    return Cell(with_interval(gap, sign=True), quiet=not (gap.above or gap.below))
