"""Rules that turn numbers into sentences; each is written out in docs/method.md, "Findings".

A rule never sees more than the study, and the same study gives the same sentences. Grades:
`strong` (the interval, widened for the number of things the rule looked at, excludes chance or
zero, and the rule's other conditions hold), `suggestive` (the plain interval does), `not supported`
(neither).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from reports.figures.within import novelty
from reports.numbers import Estimate, digits, number, with_interval
from reports.study import Measure, Study, Task, abridged

STRONG, SUGGESTIVE, UNSUPPORTED = "strong", "suggestive", "not supported"
GRADES = (STRONG, SUGGESTIVE, UNSUPPORTED)
# The order in which kinds are offered to the first page.
KINDS = ("advantage", "peak", "match", "gain", "resemblance", "baseline", "information", "novelty")
CLEAR_WIN = 0.8


@dataclass(frozen=True)
class Finding:
    """One sentence with the numbers it stands on.

    Attributes
    ----------
    kind : the rule that made it, one of `KINDS`.
    claim : the sentence, numbers and intervals included.
    estimate : the number the grade rests on, with its interval as the study gives it.
    null : what the estimate is held against (0, chance, or a level that chance exceeds rarely).
    looked_at : how many things the rule chose among; the interval is widened for it.
    grade : strong, suggestive or not supported.
    test : how the grade was reached, in a few words.
    anchor : the section of the report that shows it.
    numbers : every number in the claim, by name.
    """

    kind: str
    claim: str
    estimate: Estimate
    null: float
    looked_at: int
    grade: str
    test: str
    anchor: str
    numbers: dict[str, float | str] = field(default_factory=dict)

    @property
    def effect(self) -> float:
        """Distance from the null in half widths of the interval: orders findings of one kind."""
        half = self.estimate.value - self.estimate.low
        return (self.estimate.value - self.null) / half if half > 0 else 0.0


def grade(
    estimate: Estimate, null: float, looked_at: int, *, interval: float = 0.95, also: bool = True
) -> str:
    """Strong, suggestive or not supported; `also` is what strong needs besides the interval."""
    if not estimate.bounded or not math.isfinite(null):
        return UNSUPPORTED
    if also and estimate.widened(looked_at, interval).low > null:
        return STRONG
    return SUGGESTIVE if estimate.low > null else UNSUPPORTED


def _name(text: str) -> str:
    return abridged(text, 40)


def find(study: Study) -> tuple[Finding, ...]:
    """All findings of a study, strongest grade first, then by kind and size."""
    found = [
        *_advantages(study),
        *_peaks(study),
        *_matches(study),
        *_gains(study),
        *_resemblances(study),
        *_baselines(study),
        *_informations(study),
        *_novelties(study),
    ]
    return tuple(
        sorted(found, key=lambda f: (GRADES.index(f.grade), KINDS.index(f.kind), -f.effect, f.claim))
    )


def first_page(findings: Iterable[Finding], most: int = 5) -> tuple[Finding, ...]:
    """The findings for page 1: the largest of each kind in turn, supported ones first.

    At most two of a kind, and at most two that are not supported.
    """
    findings = tuple(findings)
    chosen: list[Finding] = []
    for supported in (True, False):
        pool = [f for f in findings if (f.grade != UNSUPPORTED) == supported]
        for turn in (0, 1):
            for kind in KINDS:
                same = [f for f in pool if f.kind == kind]
                known = sum(f.kind == kind for f in chosen)
                unsupported = sum(f.grade == UNSUPPORTED for f in chosen)
                if len(chosen) < most and len(same) > turn and known <= turn:
                    if supported or unsupported < 2:
                        chosen.append(same[turn])
    return tuple(sorted(chosen, key=lambda f: (GRADES.index(f.grade), KINDS.index(f.kind))))


def _shared(study: Study) -> list[tuple[str, Task, Task]]:
    """(key, task of a, task of b) for tasks that both were probed on, on the same split."""
    if "a" not in study.probes or "b" not in study.probes:
        return []
    tasks = study.probes["b"].tasks
    return [
        (key, one, tasks[key])
        for key, one in study.probes["a"].tasks.items()
        if key in tasks and one.headline == tasks[key].headline
    ]


def _advantages(study: Study) -> list[Finding]:
    """Best layer of one model against best layer of the other, task by task."""
    pairs = [p for p in _shared(study) if p[1].best().bounded and p[2].best().bounded]
    out = []
    for _, one, other in pairs:
        better, worse, role, rest = one, other, "a", "b"
        if other.best().value > one.best().value:
            better, worse, role, rest = other, one, "b", "a"
        gap = better.best().minus(worse.best())
        verdict = grade(gap, 0.0, len(pairs))
        names = study.title_of(role), study.title_of(rest)
        places = digits(better.best(), worse.best())
        scores = (
            f"{number(better.best().value, places)} at {_name(better.selected)} against "
            f"{number(worse.best().value, places)} at {_name(worse.selected)} ({better.metric})"
        )
        if verdict == UNSUPPORTED:
            claim = (
                f"{_name(better.title)}: no clear difference between the models; {names[0]} reaches "
                f"{scores}, difference {with_interval(gap, sign=True)}."
            )
        else:
            claim = (
                f"{_name(better.title)} can be read better from {names[0]} than from {names[1]}: {scores}, "
                f"difference {with_interval(gap, sign=True)}."
            )
        out.append(
            Finding(
                "advantage", claim, gap, 0.0, len(pairs), verdict,
                "difference of two scores, intervals taken as independent, widened for "
                f"{len(pairs)} tasks", "probes",
                {"task": better.key, "better": role, "score": better.best().value,
                 "other": worse.best().value},
            )
        )
    return out


def _peaks(study: Study) -> list[Finding]:
    """A task's layer stands out from the model's typical layer."""
    out = []
    for role in study.models:
        tasks = study.probes[role].tasks.values() if role in study.probes else ()
        tasks = [t for t in tasks if t.best().bounded and len(t.layers) > 2]
        for task in tasks:
            values = task.curve(task.headline)[:, 0]
            typical = float(np.nanmedian(values))
            wins = np.nan_to_num(task.wins())
            near = float(wins[max(task.index - 1, 0) : task.index + 2].sum())
            best = task.best()
            floor = max(typical, task.chance) if math.isfinite(task.chance) else typical
            verdict = grade(best, floor, len(tasks), also=near >= CLEAR_WIN)
            if verdict == SUGGESTIVE and near < 0.5:
                verdict = UNSUPPORTED
            depth = task.index / (len(task.layers) - 1)
            where = "early" if depth < 1 / 3 else "late" if depth > 2 / 3 else "in the middle"
            places = digits(best)
            title = study.title_of(role)
            if verdict == UNSUPPORTED:
                claim = (
                    f"{_name(task.title)}: no layer of {title} stands out; the one chosen on validation, "
                    f"{_name(task.selected)}, has {with_interval(best)} {task.metric} and its typical layer "
                    f"{number(typical, places)}."
                )
            else:
                claim = (
                    f"{_name(task.title)} peaks {where} in {title}, at {_name(task.selected)} (layer "
                    f"{task.index + 1} of {len(task.layers)}): {with_interval(best)} {task.metric}, "
                    f"typical layer {number(typical, places)}; this layer or a neighbour is best in "
                    f"{100 * near:.0f}\N{NO-BREAK SPACE}% of resamples."
                )
            out.append(
                Finding(
                    "peak", claim, best, floor, len(tasks), verdict,
                    f"score against the median layer and chance, widened for {len(tasks)} tasks",
                    "specialisation" if verdict != UNSUPPORTED else "probes",
                    {"task": task.key, "role": role, "layer": task.selected, "depth": depth,
                     "wins": near, "typical": typical},
                )
            )
    return out


def _cells(measure: Measure) -> tuple[int, int, int] | None:
    """Row and column of the largest cell, and how many cells there are."""
    usable = np.isfinite(measure.value) & np.isfinite(measure.low)
    if not usable.any():
        return None
    row, column = np.unravel_index(
        int(np.argmax(np.where(usable, measure.value, -np.inf))), measure.value.shape
    )
    return int(row), int(column), int(usable.sum())


def _matches(study: Study) -> list[Finding]:
    """The most alike pair of layers across the models."""
    similarity = study.between("a", "b")
    measure = similarity.main() if similarity else None
    place = _cells(measure) if measure else None
    if place is None:
        return []
    row, column, cells = place
    best, null = measure.at(row, column), float(measure.chance_high[row, column])
    others = [
        m for m in similarity.measures.values()
        if m.family not in (measure.family, "information") and np.isfinite(m.low[row, column])
    ]
    agree = all(m.above_chance[row, column] for m in others)
    verdict = grade(best, null, cells, interval=measure.interval, also=agree)
    names = study.title_of("a"), study.title_of("b")
    if verdict == UNSUPPORTED:
        claim = (
            f"No layer of {names[0]} is more like a layer of {names[1]} than chance allows: the "
            f"largest {measure.title} is {with_interval(best)}, chance reaches {number(null)}."
        )
    else:
        have = int(measure.above_chance.any(axis=1).sum()), int(measure.above_chance.any(axis=0).sum())
        claim = (
            f"The layers most alike are {_name(similarity.layers_x[row])} of {names[0]} and "
            f"{_name(similarity.layers_y[column])} of {names[1]}: {measure.title} {with_interval(best)}, "
            f"chance reaches {number(null)}; {have[0]} of {len(measure.value)} layers of {names[0]} "
            f"and {have[1]} of {measure.value.shape[1]} of {names[1]} have a counterpart."
        )
    return [
        Finding(
            "match", claim, best, null, cells, verdict,
            f"{measure.name} above chance, widened for {cells} pairs of layers"
            + (", and another family of measures agrees" if others else ""), "cross",
            {"x": similarity.layers_x[row], "y": similarity.layers_y[column], "value": best.value},
        )
    ]


def _gains(study: Study) -> list[Finding]:
    """What choosing the layer brings over taking the last one."""
    table = []
    for role in study.models:
        for task in study.probes[role].tasks.values() if role in study.probes else ():
            gain = task.gain.get(task.headline)
            if gain and gain.bounded and task.index < len(task.layers) - 1:
                table.append((role, task, gain))
    out = []
    for role, task, gain in table:
        verdict = grade(gain, 0.0, len(table))
        title = study.title_of(role)
        text = with_interval(gain, sign=verdict == UNSUPPORTED)
        if verdict == UNSUPPORTED:
            claim = (
                f"{_name(task.title)}: choosing {_name(task.selected)} instead of the last layer of {title} brings "
                f"nothing that can be told from zero, {text} {task.metric}."
            )
        else:
            claim = (
                f"For {_name(task.title)} the last layer of {title} is not the one to take: "
                f"{_name(task.selected)} scores {text} {task.metric} above it."
            )
        out.append(
            Finding(
                "gain", claim, gain, 0.0, len(table), verdict,
                f"paired difference over groups, widened for {len(table)} tasks and models",
                "recommendation", {"task": task.key, "role": role, "layer": task.selected},
            )
        )
    return out


def _resemblances(study: Study) -> list[Finding]:
    """Where a reference is most resembled, against the layer at the other end."""
    table = []
    for role in study.models:
        found = study.between(role, "ref")
        measure = found.main() if found else None
        if measure is None or len(found.layers_x) < 3:
            continue
        for column, name in enumerate(found.layers_y):
            values = measure.value[:, column]
            if np.isfinite(values).any():
                table.append((role, found, measure, column, name, int(np.nanargmax(values))))
    out = []
    for role, found, measure, column, name, peak in table:
        last = len(found.layers_x) - 1
        end = last if peak <= last / 2 else 0
        best, rest = measure.at(peak, column), measure.at(end, column)
        drop = best.minus(rest)
        above = bool(measure.above_chance[peak, column])
        looked = len(table) * len(found.layers_x)
        verdict = grade(drop, 0.0, looked, interval=measure.interval) if above else UNSUPPORTED
        title, places = study.title_of(role), digits(best, rest)
        if verdict == UNSUPPORTED:
            claim = (
                f"No layer of {title} resembles {_name(name)} clearly more than its other end does: at most "
                f"{with_interval(best)} ({measure.title})."
            )
        else:
            fades = (
                "fades towards the output" if peak < last / 3
                else "grows towards the output" if peak > 2 * last / 3
                else "is strongest midway"
            )
            claim = (
                f"Resemblance to {_name(name)} {fades} in {title}: {with_interval(best)} at "
                f"{_name(found.layers_x[peak])}, {number(rest.value, places)} at {_name(found.layers_x[end])} "
                f"({measure.title}); difference {with_interval(drop, sign=True)}."
            )
        out.append(
            Finding(
                "resemblance", claim, drop, 0.0, looked, verdict,
                f"difference of two layers, intervals taken as independent, widened for {looked} "
                "layers and references", "resemblance",
                {"role": role, "reference": name, "layer": found.layers_x[peak]},
            )
        )
    return out


def _baselines(study: Study) -> list[Finding]:
    """Best layer of any model against the best reference: does the network add anything?"""
    if "ref" not in study.probes:
        return []
    table = []
    for key, reference in study.probes["ref"].tasks.items():
        rivals = [
            (role, study.probes[role].tasks[key]) for role in study.models
            if role in study.probes and key in study.probes[role].tasks
            and study.probes[role].tasks[key].headline == reference.headline
            and study.probes[role].tasks[key].best().bounded
        ]
        if rivals and reference.best().bounded:
            role, task = max(rivals, key=lambda item: item[1].best().value)
            table.append((role, task, reference))
    out = []
    for role, task, reference in table:
        best, base = task.best(), reference.best()
        gap = best.minus(base)
        behind = base.minus(best)
        title = study.title_of(role)
        places = digits(best, base)
        worse = grade(behind, 0.0, len(table)) != UNSUPPORTED
        verdict = grade(behind if worse else gap, 0.0, len(table))
        scores = (
            f"{number(best.value, places)} at {_name(task.selected)} of {title}, "
            f"{number(base.value, places)} from {_name(reference.selected)} ({task.metric}); difference "
            f"{with_interval(gap, sign=True)}"
        )
        if worse:
            claim = f"{_name(task.title)} is read better without a network: {scores}."
        elif verdict == UNSUPPORTED:
            claim = f"{_name(task.title)}: no layer reads it clearly better than plain features: {scores}."
        else:
            claim = f"{_name(task.title)} needs the network: {scores}."
        out.append(
            Finding(
                "baseline", claim, behind if worse else gap, 0.0, len(table), verdict,
                f"difference of two scores, intervals taken as independent, widened for {len(table)} "
                "tasks", "probes", {"task": task.key, "role": role, "reference": reference.selected},
            )
        )
    return out


def _informations(study: Study) -> list[Finding]:
    """The pair of layers that shares most bits."""
    similarity = study.between("a", "b")
    measures = similarity.information() if similarity else ()
    place = _cells(measures[0]) if measures else None
    if place is None:
        return []
    measure = measures[0]
    row, column, cells = place
    best, null = measure.at(row, column), float(measure.chance_high[row, column])
    verdict = grade(best, null, cells, interval=measure.interval)
    unit = measure.unit or "bits"
    pair = (
        f"{_name(similarity.layers_x[row])} of {study.title_of('a')} and {_name(similarity.layers_y[column])} of "
        f"{study.title_of('b')}"
    )
    text = f"{with_interval(best, unit)} ({measure.title}; chance reaches {number(null, digits(best))})"
    claim = (
        f"No two layers share more information than chance allows: at most {text}."
        if verdict == UNSUPPORTED
        else f"The most information is shared by {pair}: {text}."
    )
    return [
        Finding(
            "information", claim, best, null, cells, verdict,
            f"{measure.name} above chance, widened for {cells} pairs of layers", "information",
            {"x": similarity.layers_x[row], "y": similarity.layers_y[column], "value": best.value},
        )
    ]


def _novelties(study: Study) -> list[Finding]:
    """The largest step from one layer to the next inside a model."""
    out = []
    for role in study.models:
        similarity = study.between(role, role)
        measure = similarity.main() if similarity else None
        if measure is None or len(measure.value) < 3:
            continue
        steps = novelty(measure)
        if not np.isfinite(steps[:, 0]).any():
            continue
        at = int(np.nanargmax(steps[:, 0]))
        best = Estimate(*(float(v) for v in steps[at]))
        typical = float(np.nanmedian(steps[:, 0]))
        verdict = grade(best, typical, len(steps), interval=measure.interval)
        names = similarity.layers_x
        head = f"{study.title_of(role)} changes most from {_name(names[at])} to {_name(names[at + 1])}"
        if verdict == UNSUPPORTED:
            head = f"{study.title_of(role)} changes by no clear leap; most from {_name(names[at])} to {_name(names[at + 1])}"
        claim = (
            f"{head}: novelty (1 - {measure.title}) {with_interval(best)}, typical step "
            f"{number(typical, digits(best))}."
        )
        out.append(
            Finding(
                "novelty", claim, best, typical, len(steps), verdict,
                f"largest step against the median step, widened for {len(steps)} steps", "within",
                {"role": role, "from": names[at], "to": names[at + 1]},
            )
        )
    return out
