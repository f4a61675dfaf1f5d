"""Tasks as tables: on a screen of any width, as a page of Markdown, one task's card."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from cli.screen import line_width, show_table

if TYPE_CHECKING:
    from extract.datasets.base import LabelCard
    from probes.published import Published
    from probes.tasks import Task

FRAMES = "frames"  # kind of a task that is asked of every moment of a clip
WIDE, MIDDLE = 140, 100  # characters that one line a task needs, and that two lines do


@dataclass(frozen=True)
class Carrier:
    """A data set that has the label of a task.

    Attributes
    ----------
    tier : how the label came about.
    here : whether the data is on this machine.
    """

    tier: str
    licence: str
    here: bool


@dataclass(frozen=True)
class Entry:
    """A task, with the data sets that can answer it by name."""

    task: Task
    data: Mapping[str, Carrier]


@dataclass(frozen=True)
class Definition:
    """What a metric is, by whom, and what it is by chance."""

    what: str
    source: str
    chance: str

    def __str__(self) -> str:
        return f"{self.what} ({self.source}); by chance: {self.chance}"


def entries() -> list[Entry]:
    """Every known task; which data have its label is known without opening any."""
    from extract import datasets
    from probes import TASKS

    carried: dict[str, dict[str, Carrier]] = {name: {} for name in TASKS}
    for name, known in datasets.REGISTRY.items():
        home, here = known.load(), datasets.is_here(name)
        for task in answerable(home.labels):
            carried[task.name][name] = Carrier(task.tier, home.licence, here)
    return [Entry(task, carried[name]) for name, task in TASKS.items()]


def answerable(labels: Iterable[LabelCard]) -> list[Task]:
    """The known tasks that can be asked of data with these labels, with the label's tier."""
    from probes import TASKS, ProbeError, resolve

    labels, found = tuple(labels), []
    for name in TASKS:
        try:
            (task,) = resolve([name], labels)
        except ProbeError:
            continue
        if task.name == name:  # and not what it is another name for here
            found.append(task)
    return found


def metrics_of(task: Task) -> tuple[str, ...]:
    """The metric by which layers are selected, and the further ones."""
    return (task.metric, *task.also)


def labels_of(task: Task) -> tuple[str, ...]:
    """The labels that a task reads."""
    return getattr(task, "labels", (task.label,))


def show_tasks(found: Sequence[Entry], title: str = "Tasks") -> None:
    """All tasks, a few lines each where lines are narrow; then the data sets that they are of."""
    rows = []
    for entry in found:
        task = entry.task
        data = ", ".join(name + "*" * of.here for name, of in entry.data.items()) or "-"
        rows.append([
            task.name, task.family, ", ".join(labels_of(task)), task.kind, task.metric,
            ", ".join(task.also), task.rows, data,
        ])  # fmt: skip
    columns = ["name", "family", "label", "kind", "metric", "also", "rows", "data sets"]
    if line_width() < WIDE:
        columns = ["name\nfamily", "label\nkind", "metric\nalso", "rows", "data sets"]
        rows = [
            [f"{name}\n{family}", f"{label}\n{kind}", f"{metric}\n{also}", rows_, data]
            for name, family, label, kind, metric, also, rows_, data in rows
        ]
    if line_width() < MIDDLE:  # the label is mostly the name
        columns, rows = columns[:1] + columns[2:], [row[:1] + row[2:] for row in rows]
    caption = "* on this machine; rsa tasks NAME shows a card; any other label of yours is a task"
    show_table(title, columns, rows, caption, whole=True)
    carriers = {name: of for entry in found for name, of in entry.data.items()}
    lines = [[name, _yes(of.here), sentence(of.licence)] for name, of in carriers.items()]
    if lines:
        show_table("Their data", ["data set", "here", "licence"], lines)


def sentence(text: str) -> str:
    """The first sentence."""
    return text.partition(". ")[0]


def show_card(entry: Entry) -> None:
    """What a task asks, how it is scored, which data have it, and what was published."""
    task = entry.task
    facts = [
        ["name", task.name],
        ["family", task.family],
        ["a high score means", f"decodable: {task.description}"],
        ["labels", ", ".join(labels_of(task))],
        ["kind", task.kind],
        ["asked of", asked_of(task)],
        ["unit", task.unit],
        *([name, str(said)] for name, said in definitions(task).items()),
        ["decoding", getattr(task, "decoding", "")],
        ["quoted split", task.headline],
        ["asked for", "by its name only, not by `all`" if task.by_name else ""],
    ]
    show_table(task.title, ["", ""], [fact for fact in facts if fact[1]])
    if entry.data:
        rows = [
            [name, of.tier, _yes(of.here), sentence(of.licence)] for name, of in entry.data.items()
        ]
        show_table("Data", ["data set", "label", "here", "licence"], rows)
    if published := published_on(task):
        rows = [
            [row.dataset, row.metric, row.model, _with_spread(row), row.source]
            for row in published
        ]  # fmt: skip
        show_table(
            "Published, not measured here",
            ["data set", "metric", "model", "value", "source"],
            rows,
            "; ".join(dict.fromkeys(row.protocol for row in published)),
        )


def asked_of(task: Task) -> str:
    """The rows of a task in words."""
    kind, _, detail = task.rows.partition(":")
    subsets = f" (on mini: {', '.join(task.subsets)})" if task.subsets else ""
    if kind == "segments":
        return f"each segment of the label {detail}{subsets}"
    if kind == "frames":
        return f"frames, {detail.partition('@')[0]} a second{subsets}"
    return f"whole clips{subsets}"


def definitions(task: Task) -> dict[str, Definition]:
    """What each of a task's metrics is."""
    from probes.metrics import metric

    found = {}
    for name in metrics_of(task):
        if task.kind == FRAMES:
            from probes.framing.words import score_in_words

            found[name] = Definition(*score_in_words(task.reader, name), task.reads().guess)
        else:
            one = metric(name)
            chance = (inspect.getdoc(one.chance) or "").rstrip(".")
            found[name] = Definition(one.definition, one.source, chance[:1].lower() + chance[1:])
    return found


def published_on(task: Task) -> list[Published]:
    """Published numbers on a task by one of its metrics, on the data that it is asked of."""
    from probes.published import numbers

    return [row for row in numbers(task.label) if row.metric in metrics_of(task)]


def as_json(entry: Entry) -> dict:
    """An entry for a script."""
    task = entry.task
    definition = {name: asdict(said) for name, said in definitions(task).items()}
    return {
        "task": task.name, "title": task.title, "family": task.family,
        "labels": list(labels_of(task)), "kind": task.kind, "metric": task.metric,
        "also": list(task.also), "rows": task.rows, "subsets": list(task.subsets),
        "headline": task.headline, "unit": task.unit, "by_name": task.by_name,
        "says": task.description, "definitions": definition,
        "data": [{"name": name, **asdict(of)} for name, of in entry.data.items()],
        "published": len(published_on(task)),
    }  # fmt: skip


def _with_spread(row: Published) -> str:
    value = f"{row.value:.4g}"
    return value if row.spread is None else f"{value} +- {row.spread:.2g}"


def _yes(here: bool) -> str:
    return "yes" if here else "no"
