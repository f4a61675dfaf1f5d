"""Tables about probes: all metrics, published numbers, other heads, what bears a score out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from reports.numbers import Estimate, number, percent, with_interval
from reports.probing import Probes, Published, Task
from reports.study import Study
from reports.tables import DASH, Cell, Table
from reports.trust import LayerTrust, TaskTrust
from reports.words import abridged

_ACROSS = 3  # models side by side
_NAMED = 12  # tasks in a warning
_GLANCE = (
    ("Task", 1.32), ("Model", 0.98), ("Layer", 0.84), ("Above control", 1.4), ("p", 0.52),
    ("Code, bits", 1.2), ("of", 0.34), ("Decodable", 0.78), ("Nowhere", 0.7), ("Not worse", 0.78),
    ("First, 1 SE", 0.84),
)  # fmt: skip
_CONTROL, _SHUFFLED = 3, 4
# what columns say, by the first of them; a column of dashes is left out with its words
_TOLD = {
    _CONTROL: "score above the control task",
    _SHUFFLED: (
        "by shuffled labels the share of draws that score as well (a small p: the score is no "
        "accident of labels and groups)"
    ),
    5: "bits a row of the online code of the labels, of those without the layer",
    7: "share of test rows that are decodable, and at no layer",
    9: (
        "layers that are not shown to be worse, and the first within one standard error of the best"
    ),
}


def metrics(study: Study) -> list[Table]:
    """Every task by every metric, at the selected layer, on both test splits."""
    roles = [r for r in study.models if r in study.probes and study.probes[r].tasks]
    across = -(-len(roles) // -(-len(roles) // _ACROSS)) if roles else 1
    parts = [roles[i : i + across] for i in range(0, len(roles), across)]
    return [_metrics(study, part, first=not n) for n, part in enumerate(parts)]


def _metrics(study: Study, roles: Sequence[str], *, first: bool) -> Table:
    groups = []
    for key in study.task_keys():
        found = study.probed(key)
        tasks = [found.get(role) for role in roles]
        if not any(tasks):
            continue
        one = next(task for task in tasks if task)
        title: list[str | Cell] = [Cell(abridged(one.title, 40), bold=True), ""]
        for task in tasks:
            title += [Cell(abridged(task.selected, 20), mono=True) if task else DASH, ""]
        rows = [title]
        for metric in (one.metric, *one.further):
            chance = Cell(number(one.chance_of(metric)), quiet=True)
            row: list[str | Cell] = [abridged(metric, 40), chance]
            for task in tasks:
                row += _both(task, metric) if task else ["", ""]
            rows.append(row)
        groups.append(rows)
    head = ["Task and metric", "Chance"]
    for role in roles:
        name = abridged(study.name_of(role), 22)
        head += [f"{name}, test", "test_inst"]
    intro = (
        "Every task by every metric that was asked for, at the layer that validation chose by the "
        "task's first metric, on both test splits, with 95 % intervals over groups. The split that "
        "the report quotes is bold. test_inst holds what training heard nothing like: on the "
        "default data, instruments of its own."
    )
    return Table(
        "By every metric" if first else "",
        intro if first else "",
        head,
        groups,
        [1.5, 0.55, *[1.25, 1.25] * len(roles)],
    )


def _both(task: Task, metric: str) -> list[Cell]:
    """Scores on test and on test_inst."""
    scores = {split: task.best(metric, split) for split in ("test", "test_inst")}
    return [
        Cell(with_interval(score) if score.exists else DASH, bold=split == task.headline)
        for split, score in scores.items()
    ]


def published(study: Study) -> Table | None:
    """Numbers of the field beside one's own by the same metric on the same data."""
    names = {card.name for card in study.models.values()}
    groups = []
    for key in study.task_keys():
        found = study.probed(key)
        first = next(iter(found.values()))
        for metric, rows in _by_metric(first.published):
            own = "; ".join(
                f"{abridged(study.name_of(role), 24)} {with_interval(task.best(metric))} "
                f"at {abridged(task.selected, 20)}"
                for role, task in found.items()
                if task.best(metric).exists
            )
            lines = []
            for some in _by_source(rows):
                some.sort(key=lambda row: (row.model not in names, -row.value))
                told = ", ".join(_value(row, bold=row.model in names) for row in some)
                title = [f"{abridged(first.title, 40)}, {metric}", own] if not lines else ["", ""]
                notes = "; ".join(dict.fromkeys(row.note for row in some if row.note))
                about = f"{some[0].source}. {some[0].protocol}" + (f". {notes}" if notes else "")
                lines.append([*title, told, f"{about}."])
            groups.append(lines)
    if not groups:
        return None
    return Table(
        "Published numbers on the same data",
        "What others report on this data set by the same metric; nothing here was measured by this "
        "study but the second column. A number made with another head, other hyperparameters or "
        "another split differs for these reasons too: the distance between the columns is no "
        "distance between models. Most were published without an interval.",
        ["Task, metric", "Measured here", "Published", "Source, protocol, what differs"],
        groups,
        [0.9, 1.35, 1.5, 2.6],
    )


def _by_metric(rows: Sequence[Published]) -> Iterator[tuple[str, list[Published]]]:
    for metric in dict.fromkeys(row.metric for row in rows):
        yield metric, [row for row in rows if row.metric == metric]


def _by_source(rows: Sequence[Published]) -> list[list[Published]]:
    """Rows of one source, protocol and metric, in the order of the file."""
    keys = dict.fromkeys((row.source, row.protocol) for row in rows)
    return [[row for row in rows if (row.source, row.protocol) == key] for key in keys]


def _value(row: Published, *, bold: bool) -> str:
    value = number(row.value, 3)
    spread = f" \N{PLUS-MINUS SIGN} {number(row.spread, 3)}" if math.isfinite(row.spread) else ""
    text = f"{abridged(row.model, 28)}\N{NO-BREAK SPACE}{value}{spread}"
    return f"{text} (this model)" if bold else text


def heads(study: Study) -> list[Table]:
    """Task x head: score, and how much it is above the best single layer under the main head."""
    tables = []
    for role in study.models:
        probes = study.probes.get(role)
        if probes and probes.heads:
            tables.append(_heads(study, role, probes, first=not tables))
    return tables


def _heads(study: Study, role: str, probes: Probes, *, first: bool) -> Table:
    names = {one.head: one.head_title for heads in probes.heads.values() for one in heads}
    groups = []
    for key, found in probes.heads.items():
        main = probes.tasks.get(key)
        by_head = {one.head: one for one in found}
        scores = [abridged(found[0].title, 32)]
        scores += [_score(main) if main else DASH]
        gains: list[str | Cell] = ["", Cell(abridged(main.selected, 18) if main else "", mono=True)]
        for name in names:
            one = by_head.get(name)
            scores.append(_score(one) if one else DASH)
            gains.append(_gain(one) if one else "")
        groups.append([scores, gains])
    head = [f"{abridged(study.name_of(role), 24)}: task", f"{probes.protocol}, best single layer"]
    head += [abridged(title, 24) for title in names.values()]
    intro = (
        "The same tasks by other heads. First line: the score on the quoted split with its 95 % "
        "interval; second line: how much it is above the best single layer under the main head, "
        "paired over groups; bold where its interval is above 0. A gain says that more can be read "
        "with more means, not that the layer has it in a simpler form; a head with hidden units "
        "can also compute what no layer holds."
    )
    return Table(
        "",
        intro if first else "",
        head,
        groups,
        [1.15, *[1.0] * (len(names) + 1)],
    )


def _score(task: Task) -> str:
    return with_interval(task.best()) if task.best().exists else DASH


def _gain(task: Task) -> Cell:
    gain = task.over_single.get(task.headline, Estimate(math.nan))
    above = gain.bounded and gain.low > 0.0
    return Cell(with_interval(gain, sign=True) if gain.exists else "", bold=above, quiet=not above)


def trust(study: Study) -> Table | None:
    """The selected layer of each task at a glance."""
    groups = []
    for key in study.task_keys():
        rows = [
            _trusted(study, role, task)
            for role, task in study.probed(key).items()
            if task.chosen.trust != LayerTrust() or task.trust != TaskTrust()
        ]
        if rows:
            title = abridged(study.probed(key).popitem()[1].title, 32)
            groups.append([[title if not n else "", *row] for n, row in enumerate(rows)])
    if not groups:
        return None
    said = [
        any(_text(row[i]) != DASH for rows in groups for row in rows) for i in range(len(_GLANCE))
    ]
    kept = [i for i, one in enumerate(said) if one]
    told = [text for i, text in _TOLD.items() if said[i]]
    intro = "; ".join(told)
    doubts = " Bold: a doubt." if said[_CONTROL] or said[_SHUFFLED] else ""
    return Table(
        "The selected layers at a glance",
        f"{intro[0].upper()}{intro[1:]}.{doubts}" if told else "",
        [_GLANCE[i][0] for i in kept],
        [[[row[i] for i in kept] for row in rows] for rows in groups],
        [_GLANCE[i][1] for i in kept],
    )


def _text(cell: str | Cell) -> str:
    return cell if isinstance(cell, str) else cell.text


def _trusted(study: Study, role: str, task: Task) -> list[str | Cell]:
    found, of_task = task.chosen.trust, task.trust
    gap, code, shuffled = found.selectivity, found.code, found.shuffled
    emergence, comparison = of_task.emergence, of_task.comparison
    p = number(shuffled.p) if shuffled else DASH
    seen = Estimate(*emergence.decodable[task.index]) if emergence else Estimate(math.nan)
    return [
        abridged(study.name_of(role), 16),
        Cell(abridged(task.selected, 14), mono=True),
        Cell(with_interval(gap, sign=True) if gap.exists else DASH, bold=_unselective(task)),
        Cell(p, bold=_like_shuffled(task)),
        with_interval(code.bits) if code and code.bits.exists else DASH,
        number(code.prior, 1) if code else DASH,
        percent(seen.value),
        percent(emergence.never.value) if emergence else DASH,
        f"{len(comparison.not_worse)} of {len(task.layers)}" if comparison else DASH,
        Cell(abridged(comparison.one_error, 14) if comparison else DASH, mono=bool(comparison)),
    ]


def _unselective(task: Task) -> bool:
    gap = task.chosen.trust.selectivity
    return gap.bounded and not gap.low > 0.0


def _like_shuffled(task: Task) -> bool:
    found = task.chosen.trust.shuffled
    return found is not None and found.p > 0.05 + 1e-9


def _rising(task: Task) -> bool:
    found = task.chosen.trust.learning
    return found is not None and found.rise.bounded and found.rise.low > 0.0


def warnings(study: Study) -> list[str]:
    """What makes scores doubtful, in words: of all models together."""
    doubts = {
        "Not above the control task: labels dealt by lot to what sounds alike are read as well": (
            _unselective
        ),
        "No better than with shuffled labels (p above 0.05)": _like_shuffled,
        "Still rising from about half of the training rows to all, so more data would help": (
            _rising
        ),
    }
    out = []
    for text, doubtful in doubts.items():
        tasks = []
        for key in study.task_keys():
            found = {r: task for r, task in study.probed(key).items() if doubtful(task)}
            if found:
                title = abridged(next(iter(found.values())).title, 32)
                names = ", ".join(abridged(study.name_of(role), 24) for role in found)
                tasks.append(f"{title} ({names})")
        if tasks:
            more = f" and {len(tasks) - _NAMED} more" if len(tasks) > _NAMED else ""
            out.append(f"{text}: {', '.join(tasks[:_NAMED])}{more}.")
    return out
