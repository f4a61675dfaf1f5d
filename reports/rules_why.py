"""Rules about why a layer is good at a task: what it rides on, what training added, transfer.

Only tasks whose selected layer is shown to be above chance are asked: else there is nothing to
explain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from reports.grades import ENOUGH, UNSUPPORTED, Finding, grade_corrected, named
from reports.numbers import Estimate, number, p_value, percent, with_interval
from reports.structure import Across
from reports.study import Study
from reports.why import EQUAL, MADE, RANDOM, Contrast, Reference, Riding, Training, Transfer
from reports.words import listed

ANCHOR = "why"
TOO_SMALL = "own lead too small to take a share of"
T = TypeVar("T")


def title_of(study: Study, key: str) -> str:
    """What a task is called."""
    found = study.probed(key)
    return named(next(iter(found.values())).title if found else key)


def above_chance(study: Study, role: str, key: str) -> bool:
    """Whether the layer that validation chooses is shown to be above chance."""
    why = study.why[role]
    if key in why.choice:
        return why.choice[key].above.above
    if key in why.riding:
        riding = why.riding[key]
        return riding.before[riding.index].low > riding.chance
    task = study.probed(key).get(role)
    return task is not None and task.best().low > task.chance


def reach(study: Study, role: str, key: str) -> float:
    """The largest difference that two scores of a task can have; NaN where there is no limit."""
    task = study.probed(key).get(role)
    size = task.bounds[1] - task.bounds[0] if task else math.nan
    return size if math.isfinite(size) and size > 0 else math.nan


def asked(study: Study, role: str, table: Mapping[str, T]) -> dict[str, T]:
    """Those of the tasks that have something to explain."""
    return {key: one for key, one in table.items() if above_chance(study, role, key)}


def asked_of(study: Study) -> list[str]:
    """Roles of the models with such evidence."""
    return [role for role in study.models if role in study.why]


def ridings(study: Study) -> list[Finding]:
    """What a task rides on at its selected layer, and what it does not ride on."""
    out = []
    for role in asked_of(study):
        some = asked(study, role, study.why[role].riding)
        for one in some.values():
            out += _riding(study, role, one, len(some))
    return out


def _riding(study: Study, role: str, riding: Riding, tasks: int) -> list[Finding]:
    title, place = title_of(study, riding.task), _place(study, role, riding.selected)
    on, out, most = riding.on, [], reach(study, role, riding.task)
    test = (
        f"difference from random subspaces and from made-up references, {riding.draws} draws of "
        f"each, corrected for {len(riding.references)} references; to ride, also above random "
        f"subspaces with as much variance; strong also for {tasks} tasks, and above all other "
        "references"
    )
    if on:
        first = on[0]
        told = [one for one in on if one.rides] or list(on)
        names = listed([named(one.name) for one in told])
        costs = listed(
            [f"{with_interval(riding.drop(one))} for {named(one.name)}" for one in told]
            if len(told) > 1
            else [with_interval(riding.drop(one)) for one in told]
        )
        least, control = _least(first)
        least = least.clipped(most)
        claim = (
            f"{title} {'rides on' if first.rides else 'loses most without'} {names} at {place}: "
            f"erasing {'each' if len(told) > 1 else 'it'} costs {costs} {riding.metric}, "
            f"{with_interval(least)} more than "
            f"{'made-up references' if control == MADE else 'random subspaces'} "
            f"({p_value(first.p)}), {_as_strong(first)}{_rivals(first, told)}."
        )
        sure = first.rides and not first.as_dear and riding.groups >= ENOUGH
        verdict = grade_corrected(first.p, tasks, also=sure)
        numbers = {
            "task": riding.task,
            "role": role,
            "layer": riding.selected,
            "reference": first.name,
            "drop": riding.drop(first).value,
            "p": first.p,
        }
        out.append(Finding("riding", claim, least, 0.0, tasks, verdict, test, ANCHOR, numbers))
    rest = [one for one in riding.references if not one.needed]
    if rest:
        worst = max(rest, key=lambda one: _sortable(riding.drop(one).value))
        names = listed([named(one.name) for one in rest])
        what = "erasing it costs" if len(rest) == 1 else "of these the most is"
        claim = (
            f"{title} is not shown to ride on {names} at {place}: {what} "
            f"{with_interval(riding.drop(worst), sign=True)} {riding.metric}"
            + (f" ({named(worst.name)})" if len(rest) > 1 else "")
            + ", not shown to be more than random subspaces and made-up references cost."
        )
        numbers = {"task": riding.task, "role": role, "layer": riding.selected}
        out.append(
            Finding(
                "riding", claim, worst.weakest.clipped(most), 0.0, tasks, UNSUPPORTED, test, ANCHOR,
                numbers,
            )  # fmt: skip
        )
    return out


def _least(one: Reference) -> tuple[Contrast, str]:
    """The contrast that is nearer to nothing, and its control."""
    return one.weakest, MADE if one.weakest is one.against(MADE) else RANDOM


def _as_strong(one: Reference) -> str:
    """How it stands against the third control, without which nothing is ridden on."""
    if one.rides:
        return "and more than random directions with as much variance"
    if not one.against(EQUAL).exists:
        return "but no directions with as much variance were erased beside it"
    return "but not shown to be more than random directions with as much variance cost"


def _rivals(first: Reference, on: Sequence[Reference]) -> str:
    """References that the sentence does not name, and that erasing may cost as much."""
    told = {one.name for one in on}
    some = [named(name) for name in first.as_dear if name not in told]
    return f"; it is not shown to cost more than erasing {listed(some)} does" if some else ""


def trainings(study: Study) -> list[Finding]:
    """Where training added most to a task: above the untrained layer and the best reference."""
    out = []
    for role in asked_of(study):
        some = asked(study, role, study.why[role].training)
        for one in some.values():
            found = _training(study, role, one, len(some))
            out += [found] if found else []
    return out


def _training(study: Study, role: str, one: Training, tasks: int) -> Finding | None:
    gain = one.gain(one.most)
    if gain is None or not gain.twin.exists:
        return None
    most = reach(study, role, one.task)
    gain = replace(
        gain,
        twin=gain.twin.clipped(most),
        reference=gain.reference and gain.reference.clipped(most),
    )
    title, place = title_of(study, one.task), _place(study, role, one.most)
    metric = _metric(study, role, one.task)
    both = [gain.twin] + ([gain.reference] if gain.reference is not None else [])
    least = min(both, key=lambda c: _sortable(c.low))
    p = max((c.p for c in both), key=lambda v: v if math.isfinite(v) else math.inf)
    reference = named(one.reference) if one.reference else "the best reference"
    over = f"{with_interval(gain.twin, sign=not gain.twin.above)} over the same layer untrained"
    beyond = ""
    if gain.reference is not None:
        beyond = f"{with_interval(gain.reference, sign=not gain.learned)} over {reference}"
    if gain.learned:
        verdict = grade_corrected(p, tasks, also=one.groups >= ENOUGH)
        claim = (
            f"Training added {title} to {study.name_of(role)}, most at {named(one.most)}: "
            f"{over}{' and ' if beyond else ''}{beyond} ({metric}, {p_value(p)})."
        )
    elif gain.twin.above:
        # raised by training, to what can be had without it: never strong
        least, p = gain.twin, gain.twin.p
        verdict = grade_corrected(p, tasks, also=False)
        claim = (
            f"Training raised {title} in {study.name_of(role)}, most at {named(one.most)}: {over} "
            f"({metric}, {p_value(p)}); that it is above {reference}, no network, is not shown: "
            f"{with_interval(gain.reference, sign=True)}."
        )
    else:
        verdict = UNSUPPORTED
        claim = (
            f"{title}: that training added to it is not shown at {place}, where it would be most: "
            f"{over}{', ' if beyond else ''}{beyond} ({metric})."
        )
    test = (
        f"paired differences over groups, corrected for {len(one.gains)} layers; strong also for "
        f"{tasks} tasks"
    )
    numbers = {"task": one.task, "role": role, "layer": one.most, "gain": gain.twin.value, "p": p}
    return Finding("training", claim, least, 0.0, tasks, verdict, test, ANCHOR, numbers)


def counterpart(study: Study, x: str, y: str, layer: str, key: str = "") -> tuple[str, bool]:
    """The layer of Y that is most like a layer of X, and True; without one Y's own selected layer.

    Y's own is for `key`; "" where there is neither.
    """
    found = study.between(x, y)
    if found is not None and isinstance(found.structure, Across) and layer in found.layers_x:
        match = found.structure.best_x[found.layers_x.index(layer)]
        if match is not None:
            return found.layers_y[match.layer], True
    task = study.probed(key).get(y)
    return (task.selected, False) if task else ("", False)


def transfers(study: Study) -> list[Finding]:
    """Does a probe of one model's layer work on its counterpart through a linear map?"""
    table = []
    for (x, y), tasks in study.transfer.items():
        if x in study.why and y in study.models:
            for key, one in asked(study, x, tasks).items():
                task = study.probed(key).get(x)
                if task is not None:
                    table.append((x, y, task.selected, one))
    found = (_transfer(study, *one, len(table)) for one in table)
    return [one for one in found if one]


def _transfer(
    study: Study, x: str, y: str, layer: str, one: Transfer, tested: int
) -> Finding | None:
    other, alike = counterpart(study, x, y, layer, one.task)
    pair = one.pair(layer, other)
    if pair is None or not pair.above.exists:
        return None
    title, where = title_of(study, one.task), f"{named(other)} of {study.name_of(y)}"
    how = "the layer most like it" if alike else "the layer that validation picks there"
    probe = f"a probe of {_place(study, x, layer)}"
    if pair.above.above:
        verdict = grade_corrected(pair.above.p, tested, also=one.groups >= ENOUGH)
        kept, share = "", kept_share(study, x, one, layer, other)
        if share.exists:
            ends = f"{100 * share.low:.0f}, {100 * share.high:.0f}"
            kept = f" and keeps {percent(share.value)} [{ends}] of its lead over chance"
        claim = (
            f"{title}: {probe} works on {where}, {how}, through a linear map{kept} "
            f"({one.metric} {with_interval(pair.score)}, {p_value(pair.above.p)}"
            f"{'' if share.exists else f'; {TOO_SMALL}'})"
        )
        if pair.own.below:
            claim += f"; that layer's own probe reads {number(-pair.own.value)} more"
        elif _among_best(study, y, one.task, other):
            claim += "; the layer is among its model's best for the task"
        claim += "."
    else:
        verdict = UNSUPPORTED
        claim = (
            f"{title}: that {probe} works on {where}, {how}, through a linear map is not shown: "
            f"{one.metric} {with_interval(pair.score)}, chance {number(one.chance)}."
        )
    pairs = len(one.layers_x) * len(one.layers_y)
    test = (
        f"score against chance, corrected for {pairs} pairs of layers; strong also for {tested} "
        "tasks and directions"
    )
    numbers = {
        "task": one.task, "role": x, "other": y, "layer": layer, "match": other,
        "kept": kept_share(study, x, one, layer, other).value,
    }  # fmt: skip
    estimate = pair.above
    return Finding("transfer", claim, estimate, 0.0, tested, verdict, test, ANCHOR, numbers)


def kept_share(study: Study, x: str, one: Transfer, layer: str, other: str) -> Estimate:
    """Share of its lead that a probe of X keeps on a layer of Y; NaN where none can be told."""
    task = study.probed(one.task).get(x)
    return one.share(layer, other, task.bounds[1] if task else math.nan)


def _among_best(study: Study, role: str, key: str, layer: str) -> bool:
    task = study.probed(key).get(role)
    found = task.trust.comparison if task else None
    return found is not None and layer in found.not_worse


def _place(study: Study, role: str, layer: str) -> str:
    return f"{named(layer)} of {study.name_of(role)}"


def _metric(study: Study, role: str, key: str) -> str:
    task = study.probed(key).get(role)
    return task.metric if task else "score"


def _sortable(value: float) -> float:
    return value if math.isfinite(value) else -math.inf
