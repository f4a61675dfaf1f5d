"""Rules about what bounds a probe's score: controls, other data, other heads, other people."""

from __future__ import annotations

import math
from collections.abc import Iterator

from reports.grades import ENOUGH, UNSUPPORTED, Finding, grade, named
from reports.numbers import Estimate, number, with_interval
from reports.probing import ALL, Published, Task
from reports.study import Study


def _tasks(study: Study) -> Iterator[tuple[str, Task]]:
    for role in study.models:
        for task in study.probes[role].tasks.values() if role in study.probes else ():
            yield role, task


def _enough(task: Task, *splits: str) -> bool:
    """Whether these splits have groups enough for a strong claim."""
    return all(task.groups.get(split, 0) >= ENOUGH for split in splits or (task.headline,))


def selectivities(study: Study) -> list[Finding]:
    """Scores above those of control tasks: one sentence a model, and one for each task that fails.

    A control task has the same inputs and as many classes, and labels that mean nothing: what a
    probe scores there it has learnt by heart.
    """
    out = []
    for role in study.models:
        every = [t for r, t in _tasks(study) if r == role]
        tasks = [t for t in every if t.chosen.trust.selectivity.bounded]
        title = study.name_of(role)
        clear = [t for t in tasks if t.above_chance() and t.chosen.trust.selectivity.low > 0.0]
        if clear:
            least = min(clear, key=lambda t: t.chosen.trust.selectivity.low)
            gap = least.chosen.trust.selectivity
            verdict = grade(gap, 0.0, len(tasks), also=all(map(_enough, clear)))
            claim = (
                f"{_many(len(every), len(tasks), len(clear), title)}; "
                f"{'the least clear is ' if len(clear) > 1 else ''}{named(least.title)}: "
                f"{with_interval(gap, sign=True)} {least.metric} at {named(least.selected)}."
            )
            out.append(_selectivity(claim, gap, len(tasks), verdict, role, least))
        for task in tasks:
            if task in clear:
                continue
            gap = task.chosen.trust.selectivity
            claim = (
                f"{named(task.title)}: {named(task.selected)} of {title} is not shown to be above "
                f"chance, though it is above its control task: {with_interval(gap, sign=True)} "
                f"{task.metric}."
            ) if gap.low > 0.0 else (
                f"{named(task.title)}: {named(task.selected)} of {title} is no better than its "
                f"control task, {with_interval(gap, sign=True)} {task.metric}: labels dealt by "
                "lot to what sounds alike are read as well."
            )
            out.append(_selectivity(claim, gap, len(tasks), UNSUPPORTED, role, task))
    return out


def _many(every: int, tasks: int, clear: int, model: str) -> str:
    """`All 3 tasks of X are read better than their control tasks`, or how many have one."""
    if tasks == every > 1:
        many = f"All {tasks}" if clear == tasks else f"{clear} of {tasks}"
        return f"{many} tasks of {model} are read better than their control tasks"
    if every == 1:
        return f"The task of {model} is read better than its control task"
    of = f"Of {every} tasks of {model} {tasks} {'has a control task' if tasks == 1 else 'have one'}"
    if tasks == 1:
        return f"{of} and is read better than it"
    return f"{of.removesuffix('one')}control tasks; {clear} of these are read better than theirs"


def _selectivity(
    claim: str, gap: Estimate, looked_at: int, verdict: str, role: str, task: Task
) -> Finding:
    test = f"paired difference to the control task, widened for {looked_at} tasks"
    numbers = {"task": task.key, "role": role}
    return Finding("selectivity", claim, gap, 0.0, looked_at, verdict, test, "trust", numbers)


def drops(study: Study) -> list[Finding]:
    """What is lost where training heard nothing like it: test against test_inst."""
    table = []
    for role, task in _tasks(study):
        near, far = task.best(split="test"), task.best(split="test_inst")
        if near.bounded and far.bounded:
            table.append((role, task, near, far))
    out = []
    for role, task, near, far in table:
        lost = near.minus(far)
        fall = grade(lost, 0.0, len(table), also=_enough(task, "test", "test_inst"))
        verdict = fall if task.above_chance("test") else UNSUPPORTED
        where = f"{named(task.selected)} of {study.name_of(role)}"
        scores = f"{with_interval(near)} on test, {with_interval(far)} on test_inst ({task.metric})"
        if verdict != fall:
            claim = (
                f"{named(task.title)}: {where} is not shown to be above chance on test, so that "
                f"nothing can fall: {scores}."
            )
        elif verdict == UNSUPPORTED:
            claim = (
                f"{named(task.title)}: no fall from test to test_inst that can be told from zero "
                f"at {where}: {scores}, {with_interval(lost, sign=True)}."
            )
        else:
            claim = (
                f"{named(task.title)} falls where training heard nothing like it: at {where} "
                f"{scores}, a loss of {with_interval(lost)}."
            )
        test = (
            "difference of scores on two sets of groups, intervals independent, widened for "
            f"{len(table)} tasks and models"
        )
        numbers = {"task": task.key, "role": role, "test": near.value, "test_inst": far.value}
        out.append(
            Finding("drop", claim, lost, 0.0, len(table), verdict, test, "probes", numbers)
        )
    return out


def comparisons(study: Study) -> list[Finding]:
    """One's own number beside the published one of the same model, metric and data.

    Protocols differ, and most published numbers have no interval: never strong, and never a claim
    about the model.
    """
    table: list[tuple[str, Task, Published, Estimate]] = []
    for role, task in _tasks(study):
        for row in task.published:
            own = task.best(row.metric)
            if row.model == study.models[role].name and own.bounded:
                table.append((role, task, row, own))
    out = []
    for role, task, row, own in table:
        spread = row.spread if math.isfinite(row.spread) else 0.0
        # two standard deviations over runs, where they are given
        gap = own.minus(Estimate(row.value, row.value - 2 * spread, row.value + 2 * spread))
        size = gap if gap.value >= 0 else Estimate(-gap.value, -gap.high, -gap.low)
        verdict = grade(size, 0.0, len(table), also=False)
        by = named(row.protocol.partition(":")[0] or row.source)
        scores = (
            f"{study.name_of(role)} scores {with_interval(own)} {row.metric} here at "
            f"{named(task.selected)}, and {number(row.value, 3)} is published for it ({by})"
        )
        if verdict == UNSUPPORTED:
            tail = "no difference that can be told from zero, which is no replication either"
        else:
            tail = f"they differ by {with_interval(gap, sign=True)}"
        why = "heads, settings and splits may differ, so this says nothing of the model"
        out.append(
            Finding(
                "published",
                f"{named(task.title)}: {scores}: {tail}; {why}.",
                size,
                0.0,
                len(table),
                verdict,
                "interval of one's own score against a published number, which mostly has none; "
                "never strong",
                "probes",
                {"task": task.key, "role": role, "published": row.value, "metric": row.metric},
            )
        )
    return out


def other_heads(study: Study) -> list[Finding]:
    """The head that gains most over the best single layer, task by task."""
    table: list[tuple[str, Task, list[Task]]] = []
    for role, task in _tasks(study):
        heads = study.probes[role].heads.get(task.key, ())
        some = [h for h in heads if _gain(h).bounded and h.headline == task.headline]
        if some:
            table.append((role, task, some))
    many = sum(len(heads) for _, _, heads in table)
    out = []
    for role, task, heads in table:
        best = max(heads, key=lambda head: _gain(head).value)
        gain = _gain(best)
        lead = grade(gain, 0.0, many, also=_enough(task))
        verdict = lead if best.above_chance() else UNSUPPORTED
        name, title = named(best.head_title), study.name_of(role)
        main = study.probes[role].protocol
        if verdict != lead:
            claim = (
                f"{named(task.title)}: {name}, which gains most over a {main} probe of the best "
                f"layer of {title}, is not shown to be above chance: "
                f"{with_interval(best.best())} {task.metric}, chance {number(best.chance)}."
            )
        elif verdict == UNSUPPORTED:
            claim = (
                f"{named(task.title)}: no other head reads more from {title} than a {main} probe "
                f"of its best layer; the most is {name}, {with_interval(gain, sign=True)} "
                f"{task.metric}."
            )
        else:
            where = "" if best.selected == ALL else f" at {named(best.selected)}"
            claim = (
                f"{named(task.title)}: {name}{where} reads {with_interval(gain)} "
                f"{task.metric} more from {title} than a {main} probe of its best layer."
            )
        test = f"paired difference over groups, widened for {many} heads, tasks and models"
        numbers = {"task": task.key, "role": role, "head": best.head}
        out.append(Finding("head", claim, gain, 0.0, many, verdict, test, "heads", numbers))
    return out


def _gain(head: Task) -> Estimate:
    return head.over_single.get(head.headline, Estimate(math.nan))


def voices_heard(study: Study) -> list[Finding]:
    """Pitches read from frames with the most notes, against chance for as many."""
    table = []
    for role, task in _tasks(study):
        counts = list(task.by_voices.items())
        if not counts:
            continue
        (few, first), (many, last) = counts[0], counts[-1]
        one, most = task.best(first), task.best(last)
        if one.bounded and most.bounded:
            table.append((role, task, few, many, one, most, task.chance_of(last)))
    out = []
    for role, task, few, many, one, most, chance in table:
        verdict = grade(most, chance, len(table), also=_enough(task))
        title, where = study.name_of(role), named(task.selected)
        scores = (
            f"{task.metric} {with_interval(most)} with {many} notes at once and "
            f"{with_interval(one)} with {few}; chance {number(chance)}"
        )
        if verdict == UNSUPPORTED:
            claim = f"No polyphony can be read from {where} of {title}: {scores}."
        else:
            claim = f"Polyphony can be read from {where} of {title}: {scores}."
        test = f"score against chance for as many notes, widened for {len(table)} models"
        numbers = {"role": role, "notes": float(many), "score": most.value}
        out.append(
            Finding("polyphony", claim, most, chance, len(table), verdict, test, "probes", numbers)
        )
    return out
