"""Rules about what to use: one layer, all layers together, or the usual last one.

The study decides by four rules (docs/method.md, "What should I use?"); here they become words.
"""

from __future__ import annotations

import math
from dataclasses import replace

from reports.grades import ENOUGH, SUGGESTIVE, UNSUPPORTED, Finding, grade_corrected, named
from reports.numbers import Estimate, p_value, with_interval
from reports.probing import head_title
from reports.rules_why import reach, title_of
from reports.study import Study
from reports.why import Choice, Option
from reports.words import listed

ANCHOR = "recommendation"
LAST, SINGLE = "last layer", "best layer"
CHANCE, JOINED, DEFAULT, ONE = 1, 2, 3, 4


def choices(study: Study) -> list[Finding]:
    """What a user should take, task by task, where it is not simply the last layer that is best."""
    table = [
        (role, one) for role in study.models if role in study.why
        for one in study.why[role].choice.values()
    ]  # fmt: skip
    found = [_choice(study, role, one, len(table)) for role, one in table if one.recommended]
    found += [_nothing(study, role, len(table)) for role in study.models if role in study.why]
    return [one for one in found if one]


def _choice(study: Study, role: str, one: Choice, tested: int) -> Finding | None:
    title, model = title_of(study, one.task), study.name_of(role)
    task = study.probed(one.task).get(role)
    metric = task.metric if task else "score"
    names = (one.recommended, SINGLE, LAST)
    taken, best, last = (
        clipped(one.option(name), reach(study, role, one.task)) for name in names
    )
    test = (
        "paired difference over groups, corrected for all options of the task; strong also for "
        f"{tested} tasks and models"
    )
    numbers = {"task": one.task, "role": role, "take": one.recommended, "rule": float(one.rule)}

    def made(claim: str, gap: Estimate, verdict: str) -> Finding:
        return Finding("choice", claim, gap, 0.0, tested, verdict, test, ANCHOR, numbers)

    if taken is None:
        return None
    enough = one.groups >= ENOUGH
    if one.rule == JOINED:
        verdict = grade_corrected(taken.best.p, tested, also=enough)
        claim = (
            f"For {title} take the {head_title(taken.name)} of {model}: it scores "
            f"{with_interval(taken.best)} {metric} above the best single layer"
            f"{_named(best)} ({p_value(taken.best.p)})."
        )
        return made(claim, taken.best, verdict)
    if best is None or last is None or best.layer == last.layer:
        return None
    gap = best.last
    if one.rule == DEFAULT:
        claim = (
            f"For {title} the last layer of {model} will do: {named(best.layer)}, the best, "
            f"scores {with_interval(gap, sign=True)} {metric} above it, surely no more than a "
            "tenth of its lead over chance."
        )
        return made(claim, gap, SUGGESTIVE)
    if gap.above:
        claim = (
            f"For {title} take {named(best.layer)} of {model}, not the last layer: it scores "
            f"{with_interval(gap)} {metric} more ({p_value(gap.p)})."
        )
        return made(claim, gap, grade_corrected(gap.p, tested, also=enough))
    claim = (
        f"For {title} take {named(best.layer)} of {model}; that the last layer is worse is not "
        f"shown, nor that it is as good: {with_interval(gap, sign=True)} {metric}."
    )
    return made(claim, gap, UNSUPPORTED)


def _nothing(study: Study, role: str, tested: int) -> Finding | None:
    """One sentence a model for all tasks that no layer is shown to read."""
    some = [one for one in study.why[role].choice.values() if not one.recommended]
    if not some:
        return None
    nearest = max(some, key=lambda one: one.above.value if one.above.exists else -math.inf)
    titles = listed([title_of(study, one.task) for one in some])
    claim = (
        f"No layer of {study.name_of(role)} is one to take for {titles}: the layer that validation "
        "chooses is not shown to be above chance."
    )
    test = "score against chance of the layer that validation chooses"
    numbers = {"role": role, "tasks": ", ".join(one.task for one in some), "rule": float(CHANCE)}
    return Finding("choice", claim, nearest.above, 0.0, tested, UNSUPPORTED, test, ANCHOR, numbers)


def _named(option: Option | None) -> str:
    return f", {named(option.layer)}" if option else ""


def clipped(option: Option | None, most: float) -> Option | None:
    """Its differences within what scores can differ by."""
    if option is None:
        return None
    return replace(option, best=option.best.clipped(most), last=option.last.clipped(most))
