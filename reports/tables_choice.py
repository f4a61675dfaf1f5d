"""The table that ends the report: for this task take this layer, or all layers, of this model."""

from __future__ import annotations

import math
from dataclasses import replace

from reports.numbers import number, with_interval
from reports.probing import Task, head_title
from reports.rules_choice import LAST, SINGLE, clipped
from reports.rules_why import reach
from reports.study import Study
from reports.tables import DASH, Cell, Table, reference, validation
from reports.why import Choice, Contrast, Option
from reports.words import listed

_WIDTHS = (1.2, 1.0, 1.1, 1.5, 1.2, 1.25, 0.75, 1.05, 1.05)
_HEAD = (
    "Task", "Take", "of", "Score", "Over the last layer", "Over all layers together",
    "As good", "Untrained", "Best reference",
)  # fmt: skip
_OPTIONAL = ("Over all layers together", "As good", "Untrained")
_INTRO = (
    "For each task what to take, of the model with the best validation score among those that have "
    "anything above chance. In this order: nothing where no layer is shown to be above chance; a "
    "head of all layers where it is shown to beat the best one; the last layer where it surely "
    "keeps nine tenths of the best layer's lead over chance; else the best layer by validation. "
    "Differences are paired over groups, their intervals hold for all options of a task at once; "
    "grey: not shown. All layers together: the better of the heads that see all of them. As good: "
    "layers that are not shown to be worse. Untrained: the best layer of the twin. Bold: a score "
    "without training, or without a network, that is no lower: then nothing need be taken."
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
    # a column that says nothing of any task is left out
    every = [row for some in groups for row in some]
    kept = [
        at
        for at, name in enumerate(_HEAD)
        if name not in _OPTIONAL or any(row[at] != DASH for row in every)
    ]
    rows = [[[row[i] for i in kept] for row in some] for some in groups]
    return Table("", _INTRO, [_HEAD[i] for i in kept], rows, [_WIDTHS[i] for i in kept])


def _row(study: Study, key: str, found: dict[str, Choice]) -> list[str | Cell]:
    tasks = study.probed(key)
    some = {role: one for role, one in found.items() if one.recommended} or found
    role = max(some, key=lambda r: validation(tasks[r]))
    one, task = some[role], tasks[role]
    one = replace(one, options=tuple(clipped(o, reach(study, role, key)) for o in one.options))
    taken = one.option(one.recommended)
    title, model = f"{task.title} ({task.headline})", study.name_of(role)
    if taken is None:
        return [
            title, Cell("nothing", quiet=True), Cell(model, quiet=True),
            Cell(f"{with_interval(task.best())} {task.metric}", quiet=True), DASH, DASH, DASH,
            _untrained(study, role, key), reference(study, key),
        ]  # fmt: skip
    single = taken.name in (LAST, SINGLE)
    return [
        title,
        Cell(taken.layer, mono=True) if single else head_title(taken.name),
        "; ".join([model, *_ties(study, role, key, some)]),
        f"{with_interval(taken.score)} {task.metric}",
        _over_last(one, taken),
        _over_joined(one, taken) if single else "is all layers",
        _as_good(task),
        _free(_untrained(study, role, key), taken),
        _free(reference(study, key), taken),
    ]


def _free(told: str, taken: Option) -> Cell:
    """A score that needs no training, or no network; bold where what is to be taken has no more."""
    score = told.partition(" ")[0].replace("\N{MINUS SIGN}", "-")
    return Cell(told, bold=told != DASH and float(score) >= round(taken.score.value, 2))


def _as_good(task: Task) -> str:
    """How many layers are not shown to be worse than the selected one."""
    comparison = task.trust.comparison
    return DASH if comparison is None else f"{len(comparison.not_worse)} of {len(task.layers)}"


def _untrained(study: Study, role: str, key: str) -> str:
    """Score and name of the twin's best layer."""
    twin = study.probes.get(f"{role}0")
    found = twin.tasks.get(key) if twin else None
    if found is None or not found.best().exists:
        return DASH
    return f"{number(found.best().value)} {found.selected}"


def _ties(study: Study, role: str, key: str, some: dict[str, Choice]) -> list[str]:
    """Other models with the same score on validation."""
    mine = validation(study.probed(key)[role])
    same = [r for r in some if r != role and validation(study.probed(key)[r]) == mine]
    if not same or not math.isfinite(mine):
        return []
    return [f"tie on validation with {listed([study.name_of(r) for r in same])}"]


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
