"""Maps of the clips at the first, the best and the last layer: writes maps/X of a study."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cli.known import content, remembered
from cli.roles import is_model
from extract.writing import write_text

if TYPE_CHECKING:
    from cli.screen import Screen
    from cli.steps import Run
    from extract.store import Activations
    from probes import ProbeResults
    from probes.results import TaskResult
    from probes.tasks import Task

FORMAT = 1
MOST_ROWS, MOST_CLASSES = 600, 12


def map_clips(
    activations: Mapping[str, Mapping[str, Activations]],
    tasks: Sequence[Task],
    results: Mapping[str, ProbeResults],
    run: Run,
    folder: Path,
    screen: Screen,
) -> None:
    """Maps the clips of every model, by the label that it is read out best of.

    Models without a task on clips of at most twelve classes, or with few clips, have none.
    """
    for role, found in activations.items():
        if not is_model(role) or role not in results or "clips" not in found:
            continue
        task = _clearest(results[role])
        if task is None:
            continue
        entry = _mapped(found["clips"], task, tasks, run, screen)
        if entry is not None:
            entry = {"format": FORMAT, "role": role, **entry}
            path = folder / "maps" / f"{role}.json"
            write_text(path, json.dumps(entry, allow_nan=False) + "\n")


def _clearest(results: ProbeResults) -> TaskResult | None:
    """The task whose selected layer comes nearest to a perfect score, chance taken off."""
    some = [
        one for one in results.tasks
        if one.kind == "classification" and one.rows == "clips"
        and 2 <= (one.classes or 0) <= MOST_CLASSES
    ]  # fmt: skip
    lead = {one.task: (one.best.value - one.chance) / (1 - one.chance) for one in some}
    return max(some, key=lambda one: lead[one.task], default=None)


def _mapped(
    source: Activations, task: TaskResult, tasks: Sequence[Task], run: Run, screen: Screen
) -> dict | None:
    """Rows that have the label, thinned evenly, at three layers."""
    import numpy as np

    from rsa import RsaError
    from rsa.layerwise.rowmap import FEWEST, row_map

    (asked,) = (one for one in tasks if one.name == task.task)
    labels = [asked.target(value) for value in source.rows.label(asked.label)]
    rows = np.flatnonzero([label is not None for label in labels])
    if len(rows) < FEWEST:
        return None
    rows = rows[np.arange(0, len(rows), -(-len(rows) // MOST_ROWS))]
    words = {"first": source.layers[0], "best": task.selected, "last": source.layers[-1]}
    places = {
        layer: ", ".join(word for word, one in words.items() if one == layer)
        for layer in words.values()
    }

    def work() -> dict:
        layers = []
        for layer in (name for name in source.layers if name in places):
            try:
                found = row_map(np.asarray(source.read(layer))[rows], run.seed)
            except RsaError:
                continue
            layers.append(
                {
                    "layer": layer, "place": places[layer], "method": found.method,
                    "trustworthiness": found.trustworthiness,
                    "x": np.round(found.places[:, 0], 3).tolist(),
                    "y": np.round(found.places[:, 1], 3).tolist(),
                }
            )  # fmt: skip
        return {"layers": layers}

    with screen.stage(f"map of the clips of {source.name}"):
        key = [content(source, {asked.label}), task.task, task.selected, "map"]
        drawn = remembered("maps", key, run.seed, None, work)
    if not drawn["layers"]:
        return None
    names = source.rows.names
    return {
        "task": task.task, "title": task.title, "classes": [str(labels[row]) for row in rows],
        "clips": [str(names[row]) for row in rows], **drawn,
    }  # fmt: skip
