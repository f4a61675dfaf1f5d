"""Results of probing as tables on a screen: a line a task, and every layer on every task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from cli import scores

if TYPE_CHECKING:
    from probes import ProbeResults
    from probes.results import LayerScores, TaskResult

MARK = "*"  # behind the score of the layer that was selected
SHORT = {
    "accuracy": "acc.", "balanced accuracy": "bal. acc.", "weighted key score": "key score",
    "ROC-AUC": "AUC", "average precision": "AP",
}  # fmt: skip
SPLITS = ("test", "test_inst")


@dataclass(frozen=True)
class Line:
    """One task on one split: what stands before the scores, and the scores by layer."""

    task: str
    split: str
    chance: str
    values: tuple[float, ...]
    selected: int

    @classmethod
    def all_of(cls, result: TaskResult) -> list[Line]:
        """A line for each test split that the task has."""
        layers = [one.layer for one in result.layers]
        return [
            cls(
                result.task,
                split,
                scores.tight(result.chance) if split == result.headline else "",
                tuple(_value(one, split) for one in result.layers),
                layers.index(result.selected),
            )
            for split in SPLITS
            if any(split in one.splits for one in result.layers)
        ]


def summary(
    found: ProbeResults,
    beside: Mapping[str, ProbeResults] | None = None,
) -> Table:
    """A line a task: the selected layer, its scores with their intervals, and what stands beside.

    Published numbers are there where a task has any.

    Parameters
    ----------
    beside : heading -> results of others (the untrained twin, references) on the same tasks: the
        score of their selected layer on the split that is quoted.
    """
    splits = [s for s in SPLITS if any(s in one.splits for t in found.tasks for one in t.layers)]
    table = Table(
        title=Text(f"{found.model}: {_probes(found.protocol)}, the layer selected on validation"),
        title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD, show_edge=False,
        padding=(0, 1, 0, 0), pad_edge=False,
    )  # fmt: skip
    beside = beside or {}
    known = {task.task: _published(task, found.model) for task in found.tasks}
    several = any(known.values())
    heads = ["task", "metric", "layer", "valid", *splits, "chance", *beside]
    for head in heads + ["published"] * several:
        table.add_column(head, no_wrap=head != "published")
    for task in found.tasks:
        one = task.layer(task.selected)
        row = [
            task.task, SHORT.get(task.metric, task.metric), task.selected,
            scores.tight(one.valid.value), *(scores.spread(one.splits.get(s)) for s in splits),
            scores.tight(task.chance), *(_best(other, task) for other in beside.values()),
        ]  # fmt: skip
        table.add_row(*map(Text, row + [known[task.task]] * several))
        for other in (one for one in found.heads if one.task == task.task):
            one = other.layer(other.selected)
            tested = (scores.spread(one.splits.get(s)) for s in splits)
            valid = scores.tight(one.valid.value)
            table.add_row(*map(Text, (f"- {other.head}", "", other.selected, valid, *tested)))
    table.caption = "scores with 95 % intervals over groups"
    if len(splits) > 1:
        quoted = {s: [t.task for t in found.tasks if t.headline == s] for s in splits}
        few = min(quoted, key=lambda s: len(quoted[s]))
        other = next(s for s in splits if s != few)
        table.caption += f"; chance{''.join(f', {name}' for name in beside)}: on {other}"
        table.caption += f" (of {', '.join(quoted[few])} on {few})" if quoted[few] else ""
    if several:
        table.caption += (
            "; published: of this model, or from least to most of all models, by others with their "
            "own protocols (rsa tasks NAME)"
        )
    return table


def layer_tables(
    layers: Sequence[str], lines: Sequence[Line], width: int, title: str = ""
) -> list[Table]:
    """Every layer on every task, turned and in parts where lines are narrow.

    With a line a task where that fits, in whole names or in short ones; else with a line a layer,
    as many tasks side by side as fit.

    Parameters
    ----------
    width : characters of a line.
    """
    first = [
        _column(["task", *(_once(lines, at) for at in range(len(lines)))]),
        _column(["on", *(line.split for line in lines)]),
        _column(["chance", *(line.chance for line in lines)]),
    ]
    for names, text in ((list(layers), scores.plain), (scores.short_layers(layers), scores.tight)):
        cells = [_cells(line, text) for line in lines]
        columns = [_column([f"{n} ", *c], str.rjust) for n, *c in zip(names, *cells, strict=True)]
        if sum(len(column[0]) for column in first + columns) <= width:
            caption = f"{MARK} selected on validation"
            if names != list(layers):
                caption += f"; layers: {scores.listed(layers)}"
            return [_dense(title, first + columns, caption)]
    return _turned(title, layers, lines, width)


def _turned(title: str, layers: Sequence[str], lines: Sequence[Line], width: int) -> list[Table]:
    """A line a layer; as many tasks side by side as fit."""
    heads = [[_folded(line.task), [*_folded(line.split), line.chance]] for line in lines]
    above, below = (max(len(head[part]) for head in heads) for part in (0, 1))
    first = _column(["\n" * (above + below - 2) + "on\nchance", *layers])
    columns = []
    for line, (name, split) in zip(lines, heads, strict=True):
        head = name + [""] * (above - len(name)) + split[:-1]
        head += [""] * (above + below - 1 - len(head)) + split[-1:]
        cells = _cells(line, scores.plain)
        columns.append(_column(["\n".join(f"{part} " for part in head), *cells], str.rjust))
    parts: list[list] = [[]]
    for at in range(len(lines)):
        if not _once(lines, at):
            continue  # with the line before it
        task = [column for column, line in zip(columns, lines, strict=True)
                if line.task == lines[at].task]  # fmt: skip
        if parts[-1] and sum(map(_width, [first, *parts[-1], *task])) > width:
            parts.append([])
        parts[-1] += task
    captions = [""] * (len(parts) - 1) + [f"{MARK} selected on validation"]
    titles = [title] + [""] * (len(parts) - 1)
    return [
        _dense(head, [first, *part], caption)
        for head, part, caption in zip(titles, parts, captions, strict=True)
    ]


def _once(lines: Sequence[Line], at: int) -> str:
    """The name of a task where it is not that of the line above."""
    return "" if at and lines[at].task == lines[at - 1].task else lines[at].task


def _column(cells: Sequence[str], align=str.ljust) -> list[str]:
    """A heading and cells of one width, a space between columns included."""
    width = _width(cells) + (align is str.ljust)
    return [
        "\n".join(align(part, width) for part in cell.split("\n")) if cell else " " * width
        for cell in cells
    ]


def _width(cells: Sequence[str]) -> int:
    return max(len(part) for cell in cells for part in cell.split("\n"))


def _dense(title: str, columns: Sequence[Sequence[str]], caption: str) -> Table:
    """Columns as they are, with nothing between them."""
    table = Table(
        title=Text(title) if title else None, caption=caption or None, title_justify="left",
        caption_justify="left", box=None, padding=0, pad_edge=False,
    )  # fmt: skip
    for heading, *_ in columns:
        table.add_column(Text(heading), no_wrap=True)
    for row in list(zip(*columns, strict=True))[1:]:
        table.add_row(*map(Text, row))
    return table


def _cells(line: Line, text) -> list[str]:
    """A score a layer; a place for the mark behind each."""
    return [
        f"{text(value)}{MARK if at == line.selected else ' '}"
        for at, value in enumerate(line.values)
    ]


def _folded(name: str) -> list[str]:
    """A name on several lines: triad_ / inversion."""
    parts = name.split("_")
    return [f"{part}_" for part in parts[:-1]] + parts[-1:]


def _probes(protocol: str) -> str:
    return "linear probes" if protocol == "linear" else f"protocol {protocol}"


def _best(others: ProbeResults, task: TaskResult) -> str:
    """What the selected layer of others scores on the split that a task quotes."""
    same = next((one for one in others.tasks if one.task == task.task), None)
    score = same and same.layer(same.selected).splits.get(task.headline)
    return scores.tight(score.value) if score else ""


def _value(one: LayerScores, split: str) -> float:
    return one.splits[split].value if split in one.splits else math.nan


def _published(task: TaskResult, model: str) -> str:
    """What was published by one of the task's metrics: of the model, else the ends over all."""
    for metric in (task.metric, *task.also_chance):
        if some := [row for row in task.published if row.metric == metric]:
            mine = [scores.tight(row.value) for row in some if row.model == model]
            values = [row.value for row in some]
            ends = dict.fromkeys(scores.tight(end) for end in (min(values), max(values)))
            return f"{SHORT.get(metric, metric)} {', '.join(mine) or ' to '.join(ends)}"
    return ""
