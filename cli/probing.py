"""Probing for the command line: which tasks are meant, all roles probed, a table of scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cli.screen import Screen
    from cli.steps import Run
    from extract.datasets.base import Dataset
    from extract.store import Activations
    from probes import ProbeResults
    from probes.tasks import Task


def resolve_tasks(text: str, dataset: Dataset) -> list[Task]:
    """Tasks for `all`, `none` or names separated by commas, of what the data has labels for."""
    from probes import ProbeError, resolve

    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == ["none"]:
        return []
    try:
        return resolve(names, dataset.card.labels)
    except ProbeError as error:
        raise click.UsageError(f"--tasks: {error}") from None


def task_kinds(tasks: Sequence[Task]) -> list[str]:
    """Kinds of rows that the tasks are asked of, without repeats."""
    return list(dict.fromkeys(task.rows for task in tasks))


def probe_models(
    activations: dict[str, dict[str, Activations]],
    tasks: Sequence[Task],
    run: Run,
    folder: Path,
    screen: Screen,
) -> dict[str, ProbeResults]:
    """Probes every layer of every role on every task; writes probes/ROLE.json and .csv."""
    import probes
    from extract.store import align

    for kind in task_kinds(tasks):
        align(*(found[kind] for found in activations.values()))
    results = {}
    for role, found in activations.items():
        if not tasks:
            break
        name = next(iter(found.values())).name
        with screen.stage(f"probes of {name}") as progress:
            parts = [
                probes.run(
                    found[kind], found[kind].rows, tasks, seed=run.seed,
                    device=run.solver_device, ordered=role != "ref", progress=progress,
                )
                for kind in task_kinds(tasks)
            ]  # fmt: skip
        merged = parts[0]
        for part in parts[1:]:
            merged = merged.merge(part)
        merged.write(folder / "probes", role)
        results[role] = merged
        if role == next(iter(activations)):
            for reason in merged.skipped.values():
                screen.warn(f"not probed: {reason}")
    return results


def show_probes(results: dict[str, ProbeResults]) -> None:
    """Test scores, a table a model: tasks x layers, the layer chosen on validation marked."""
    from cli.screen import show_table

    for result in results.values():
        content = result.as_json()
        rows = []
        for task in content["tasks"]:
            split = task["headline"]
            cells = []
            for entry in task["layers"]:
                score = entry["splits"].get(split)
                text = "" if score is None or score["value"] is None else f"{score['value']:.2f}"
                cells.append(f"{text}*" if entry["layer"] == task["selected"] else text)
            rows.append([task["task"], f"{task['chance']:.2f}", *cells])
        show_table(
            f"{content['model']}: scores on test",
            ["task", "chance", *content["layers"]],
            rows,
            "* chosen on validation; intervals are in the study folder and the report",
        )
