"""The page of tasks, docs/tasks.md, as the registry has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from cli.tasktable import (
    Entry,
    asked_of,
    definitions,
    entries,
    labels_of,
    metrics_of,
    published_on,
    sentence,
)

HEAD = (
    "# Tasks",
    "What can be asked of a layer. This page is printed by `rsa tasks --markdown`; `rsa tasks` "
    "shows the same with what is on your machine, `rsa tasks NAME` one task with its published "
    "numbers, `rsa tasks --data DATA` those that a data set can answer.",
    "`rsa probe --task key,chord` takes names of tasks and of labels; `all` is every task that the "
    "data has the label of, but for those marked *by name*. Any other label of yours is a task "
    "too, whether it holds words, numbers or tags: `--task manifest.csv:column` "
    "([data.md](data.md)).",
    "A layer is selected by the first score of a task, on validation; all scores are reported on "
    "the test splits. Labels marked *silver* came about by a rule, all others by experts, by "
    "listeners or by construction. The last column counts the published numbers by the same "
    "scores.",
)


def task_page() -> str:
    """All of the page."""
    found = entries()
    parts = [*HEAD]
    by_family = sorted(found, key=lambda entry: _place(entry.task.family))
    for family, some in groupby(by_family, key=lambda entry: entry.task.family):
        parts.append(f"## {family.capitalize()}\n\n{_family(list(some))}")
    parts += [f"## Scores\n\n{_scores(found)}", f"## Data\n\n{_data(found)}"]
    return "\n\n".join(parts) + "\n"


def _place(family: str) -> int:
    from probes.tasks.base import FAMILIES

    return FAMILIES.index(family)


def _family(some: Sequence[Entry]) -> str:
    rows = []
    for entry in some:
        task = entry.task
        data = ", ".join(
            f"{name} (*silver*)" if of.tier == "silver" else name for name, of in entry.data.items()
        )
        name = f"`{task.name}`" + (", *by name*" if task.by_name else "")
        published = published_on(task)
        rows.append((
            name, task.description, ", ".join(f"`{label}`" for label in labels_of(task)),
            asked_of(task), "; ".join(metrics_of(task)), data,
            f"{len(published)}" if published else "",
        ))  # fmt: skip
    return _markdown(
        ("task", "a high score says", "label", "asked of", "scores", "data", "published"), rows
    )


def _scores(found: Sequence[Entry]) -> str:
    """A line a score; one that differs between tasks is named with its tasks."""
    tasks: dict[tuple[str, str, str], list[str]] = {}
    chance: dict[tuple[str, str, str], list[str]] = {}
    for entry in found:
        for name, said in definitions(entry.task).items():
            key = (name, said.what, said.source)
            tasks.setdefault(key, []).append(f"`{entry.task.name}`")
            chance.setdefault(key, []).append(said.chance)
    names = Counter(name for name, *_ in tasks)
    rows = []
    for key, some in tasks.items():
        name, what, source = key
        whose = f" ({', '.join(some)})" if names[name] > 1 else ""
        rows.append((f"{name}{whose}", what, "; or ".join(dict.fromkeys(chance[key])), source))
    return _markdown(("score", "what it is", "by chance", "source"), rows)


def _data(found: Sequence[Entry]) -> str:
    tasks: dict[str, list[str]] = {}
    licences = {}
    for entry in found:
        for name, of in entry.data.items():
            tasks.setdefault(name, []).append(f"`{entry.task.name}`")
            licences[name] = sentence(of.licence)
    rows = [(f"`{name}`", ", ".join(some), licences[name]) for name, some in sorted(tasks.items())]
    return _markdown(("data set", "tasks", "licence"), rows)


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for cells in rows:
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(lines)
