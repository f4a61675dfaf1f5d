"""Rules about what can be read out of layers."""

from __future__ import annotations

import math

import numpy as np

from reports.grades import CLEAR_WIN, ENOUGH, SUGGESTIVE, UNSUPPORTED, Finding, grade, named
from reports.numbers import digits, number, with_interval
from reports.probing import Task
from reports.rules_why import reach
from reports.study import Study


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


def _enough(*tasks: Task) -> bool:
    """Whether the quoted split has groups enough for a strong claim."""
    return all(task.groups.get(task.headline, 0) >= ENOUGH for task in tasks)


def advantages(study: Study) -> list[Finding]:
    """Best layer of one model against best layer of the other, task by task."""
    pairs = [p for p in _shared(study) if p[1].best().bounded and p[2].best().bounded]
    out = []
    for _, one, other in pairs:
        better, worse, role, rest = one, other, "a", "b"
        if other.best().value > one.best().value:
            better, worse, role, rest = other, one, "b", "a"
        gap = better.best().minus(worse.best())
        lead = grade(gap, 0.0, len(pairs), also=_enough(one, other))
        verdict = lead if better.above_chance() else UNSUPPORTED
        names = study.name_of(role), study.name_of(rest)
        places = digits(better.best(), worse.best())
        scores = (
            f"{number(better.best().value, places)} at {named(better.selected)} against "
            f"{number(worse.best().value, places)} at {named(worse.selected)} ({better.metric})"
        )
        if verdict != lead:
            claim = (
                f"{named(better.title)}: no model is shown to be above chance, "
                f"{number(better.chance, places)}; {names[0]} reaches {scores}."
            )
        elif verdict == UNSUPPORTED:
            claim = (
                f"{named(better.title)}: no clear difference between the models; {names[0]} "
                "reaches "
                f"{scores}, difference {with_interval(gap, sign=True)}."
            )
        else:
            claim = (
                f"{named(better.title)} can be read better from {names[0]} than from {names[1]}: "
                f"{scores}, "
                f"difference {with_interval(gap, sign=True)}."
            )
        out.append(
            Finding(
                "advantage",
                claim,
                gap,
                0.0,
                len(pairs),
                verdict,
                "difference of two scores, intervals taken as independent, widened for "
                f"{len(pairs)} tasks",
                "probes",
                {
                    "task": better.key,
                    "better": role,
                    "score": better.best().value,
                    "other": worse.best().value,
                },
            )
        )
    return out


def peaks(study: Study) -> list[Finding]:
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
            verdict = grade(best, floor, len(tasks), also=near >= CLEAR_WIN and _enough(task))
            if verdict == SUGGESTIVE and near < 0.5:
                verdict = UNSUPPORTED
            depth = task.index / (len(task.layers) - 1)
            where = "early" if depth < 1 / 3 else "late" if depth > 2 / 3 else "in the middle"
            places = digits(best)
            title = study.name_of(role)
            if verdict == UNSUPPORTED:
                claim = (
                    f"{named(task.title)}: no layer of {title} is shown to stand out; validation "
                    f"picks {named(task.selected)}, which has {with_interval(best)} "
                    f"{task.metric}; the typical layer has {number(typical, places)}."
                )
            else:
                claim = (
                    f"{named(task.title)} is read best {where} in {title}: validation picks "
                    f"{named(task.selected)} (layer {task.index + 1} of {len(task.layers)}), which "
                    f"has {with_interval(best)} {task.metric}, the typical layer "
                    f"{number(typical, places)}; this layer or a neighbour is best in "
                    f"{100 * near:.0f}\N{NO-BREAK SPACE}% of resamples."
                )
            out.append(
                Finding(
                    "peak",
                    claim,
                    best,
                    floor,
                    len(tasks),
                    verdict,
                    f"score against the median layer and chance, widened for {len(tasks)} tasks",
                    "specialisation" if verdict != UNSUPPORTED else "probes",
                    {
                        "task": task.key,
                        "role": role,
                        "layer": task.selected,
                        "depth": depth,
                        "wins": near,
                        "typical": typical,
                    },
                )
            )
    return out


def gains(study: Study) -> list[Finding]:
    """What choosing the layer brings over taking the last one.

    Where the study says what to take (`rules_choice`), that says this too.
    """
    table = []
    for role in study.models:
        told = study.why[role].choice if role in study.why else {}
        for task in study.probes[role].tasks.values() if role in study.probes else ():
            gain = task.gain.get(task.headline)
            if (
                task.key not in told
                and gain
                and gain.bounded
                and task.index < len(task.layers) - 1
            ):
                table.append((role, task, gain))
    out = []
    for role, task, gain in table:
        lead = grade(gain, 0.0, len(table), also=_enough(task))
        verdict = lead if task.above_chance() else UNSUPPORTED
        title = study.name_of(role)
        text = with_interval(gain, sign=verdict == UNSUPPORTED)
        if verdict != lead:
            claim = (
                f"{named(task.title)}: {named(task.selected)} of {title} is not shown to be above "
                f"chance: there is nothing to choose; {text} {task.metric} over the last layer."
            )
        elif verdict == UNSUPPORTED:
            claim = (
                f"{named(task.title)}: choosing {named(task.selected)} instead of the last layer "
                f"of {title} brings "
                f"nothing that can be told from zero, {text} {task.metric}."
            )
        else:
            claim = (
                f"For {named(task.title)} the last layer of {title} is not the one to take: "
                f"{named(task.selected)} scores {text} {task.metric} above it."
            )
        out.append(
            Finding(
                "gain",
                claim,
                gain,
                0.0,
                len(table),
                verdict,
                f"paired difference over groups, widened for {len(table)} tasks and models",
                "recommendation",
                {"task": task.key, "role": role, "layer": task.selected},
            )
        )
    return out


def baselines(study: Study) -> list[Finding]:
    """Best layer of any model against the best reference: does the network add anything?"""
    if "ref" not in study.probes:
        return []
    table = []
    for key, reference in study.probes["ref"].tasks.items():
        rivals = [
            (role, study.probes[role].tasks[key])
            for role in study.models
            if role in study.probes
            and key in study.probes[role].tasks
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
        title = study.name_of(role)
        places = digits(best, base)
        worse = behind.value > 0 and reference.above_chance()
        worse = worse and grade(behind, 0.0, len(table)) != UNSUPPORTED
        lead = grade(behind if worse else gap, 0.0, len(table), also=_enough(task))
        verdict = lead if worse or task.above_chance() else UNSUPPORTED
        most = reach(study, role, task.key)
        gap, behind = gap.clipped(most), behind.clipped(most)
        scores = (
            f"{number(best.value, places)} at {named(task.selected)} of {title}, "
            f"{number(base.value, places)} from {named(reference.selected)} ({task.metric}); "
            "difference "
            f"{with_interval(gap, sign=True)}"
        )
        if worse:
            claim = f"{named(task.title)} is read better without a network: {scores}."
        elif verdict != lead:
            claim = f"{named(task.title)}: no layer is shown to be above chance, {scores}."
        elif verdict == UNSUPPORTED:
            worded = "no layer reads it clearly better than plain features"
            claim = f"{named(task.title)}: {worded}, {scores}."
        else:
            claim = f"{named(task.title)} needs the network: {scores}."
        out.append(
            Finding(
                "baseline",
                claim,
                behind if worse else gap,
                0.0,
                len(table),
                verdict,
                f"difference of two scores, intervals taken as independent, widened for "
                f"{len(table)} "
                "tasks",
                "probes",
                {"task": task.key, "role": role, "reference": reference.selected},
            )
        )
    return out
