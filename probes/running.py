"""A probing run: every task on every layer, chosen on validation, scored on test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol as Interface

import numpy as np

from probes import inference
from probes.errors import ProbeError
from probes.fitting import Batch, Column, Fitted
from probes.heads import head as find_head
from probes.heads.base import Head, seeded
from probes.heads.frames import FrameSource
from probes.heads.linear import Linear
from probes.judging import Judge
from probes.protocols import Protocol
from probes.protocols import protocol as find_protocol
from probes.record import plain
from probes.results import ProbeResults, TaskResult
from probes.scoring import result
from probes.source import RowTable, Source, check_rows, read_layer
from probes.splits import VALID, settle
from probes.targets import NotProbed, Target, make_target, together
from probes.tasks.base import Task
from probes.team import Team
from probes.trust.checks import Checks, Settings
from probes.trust.warnings import copies, of_copies


class Watcher(Interface):
    """Who is told what has been found while a run goes on; from one thread."""

    def layer(self, task: str, layer: str, valid: float) -> None:
        """A layer was probed by the main head: its score on validation."""

    def task(self, found: TaskResult, others: Sequence[TaskResult]) -> None:
        """A task was probed on all layers, by the main head and by others."""


def run(
    source: Source,
    rows: RowTable,
    tasks: Sequence[Task],
    *,
    protocol: Protocol | str = "linear",
    heads: Sequence[Head | str] = (),
    checks: Settings | None = None,
    types_from: np.ndarray | None = None,
    frames: FrameSource | None = None,
    seed: int = 0,
    resamples: int = 1000,
    ordered: bool = True,
    device: str = "cpu",
    data: str = "",
    progress: Callable[[int, int], None] | None = None,
    watcher: Watcher | None = None,
    done: ProbeResults | None = None,
    team: Team | None = None,
) -> ProbeResults:
    """Trains probes for the tasks that are asked of this kind of rows, on every layer.

    For each layer and task one entry of the head's grid is chosen on validation (of linear probes:
    the penalty with the lowest loss), and the layer with the best validation score is selected (of
    equals, the first). Probes are trained on `train` alone, also after that choice. Intervals are
    over groups, on the fixed answers: how sure the score is, not how much another training set
    would change it.

    Tasks that share their training rows are one batch: a layer is read and decomposed once for all
    of them.

    Parameters
    ----------
    source : layers over the rows.
    rows : what each row is.
    tasks : those for another kind of rows are passed over (see `ProbeResults.merge`).
    protocol : the main head, whose results are `tasks`, and others that belong to it; or its name.
    heads : further ones, or their names.
    checks : how much is done to see what the scores of linear probes are worth; None for nothing.
    types_from : [rows, width] what rows are alike by (log-mel spectra), for the control task.
    frames : of the same clips, for heads that pool them.
    seed : of the resamples, of what heads draw, and of the splits where the data has none.
    resamples : of groups, for every interval.
    ordered : False when the layers have no depth (references): no gain over the last.
    data : name of the data set, by which published numbers are found.
    progress : called with (steps done, steps) of all batches; a step is a layer, or a head that
        is trained after them (all layers joined, frames pooled).
    watcher : is told of every layer and task.
    done : earlier results of the same source; tasks in them are not probed again.
    team : for layers that no process should hold whole: each of its processes makes this call,
        reads a stretch of the rows, and comes to the same results. The main head must be linear;
        other heads and checks, which need whole layers, are left out, and a note says so.

    Raises
    ------
    ProbeError : rows that do not match, activations that are not finite, labels that cannot be
        read. A task with too little data is no error: it stands in `skipped` with the reason.
    """
    check_rows(source, rows)
    for task in tasks:
        if not isinstance(task, Task):
            raise ProbeError(f"task {task!r} is no Task: take probes.TASKS[...] or Task.from_label")
    protocol = find_protocol(protocol) if isinstance(protocol, str) else protocol
    heads = [seeded(find_head(one) if isinstance(one, str) else one, seed) for one in heads]
    protocol = replace(protocol, heads=tuple(seeded(one, seed) for one in protocol.heads))
    if team is not None and not isinstance(protocol.head, Linear):
        raise ProbeError(f"protocol {protocol.name}: its head needs whole layers; use linear")
    layers = tuple(source.layers)
    known = {} if done is None else {t.task: t for t in done.tasks if _layers(t) == layers}
    wanted = [task for task in tasks if task.rows == rows.kind]
    asked = [task for task in wanted if task.name not in known]
    targets, splits, drawn, skipped = _targets(rows, asked, seed)
    others, shared = _others(protocol, heads), []
    if team is not None:
        left = [head.name for head in others] + ["checks"] * bool(checks)
        others, checks = [], None
        if left:
            shared = [f"layers are too large to be held whole: left out {', '.join(left)}"]
    if checks and targets and rows.kind == "clips":
        first = read_layer(source, layers[0], device)
        shared += of_copies(copies(first, splits), rows.names)
    found: dict[str, list[TaskResult]] = {
        name: [task, *(one for one in done.heads if one.task == name)]
        for name, task in known.items()
    }
    batches = together(targets)
    for number, some in enumerate(batches):
        checked = Checks(some, checks, types_from) if checks else None
        batch = Batch(source, some, protocol, others, device, checked, frames, team)
        told = _Told(some, number * batch.steps, len(batches) * batch.steps, progress, watcher)
        columns, notes = batch.fit(told.layer, told.step)
        for target, by_head in zip(some, columns, strict=True):
            made: list[TaskResult] = []
            single = None
            for column in by_head:
                made.append(
                    result(
                        Judge(target).frame((*_remarks(column), *notes, *drawn, *shared)),
                        column.head.name,
                        column.layers,
                        [one.judged for one in column.fitted],
                        seed=seed,
                        resamples=resamples,
                        ordered=ordered,
                        data=data,
                        single=single,
                    )
                )
                if single is None:
                    chosen = column.layers.index(made[0].selected)
                    single = column.fitted[chosen].judged.scores[target.task.metric]
            found[target.task.name] = made
            if watcher:
                watcher.task(made[0], made[1:])
    if progress and not batches:
        progress(len(layers), len(layers))
    settings = {
        "seed": seed,
        "resamples": resamples,
        "interval": inference.LEVEL,
        "grid": [dict(choice) for choice in protocol.head.choices],
        "heads": [head.name for head in others],
        "checks": plain(checks),
    }
    results = [found[task.name] for task in wanted if task.name in found]
    return ProbeResults(
        source.name,
        layers,
        tuple(one[0] for one in results),
        skipped,
        settings,
        protocol.name,
        heads=tuple(other for one in results for other in one[1:]),
    )


def batches(rows: RowTable, tasks: Sequence[Task], seed: int = 0) -> list[list[str]]:
    """Names of the tasks that `run` would train together; those it would skip are in none.

    The numbers of a task do not depend on tasks of other batches: these may be run apart.
    """
    targets, *_ = _targets(rows, [task for task in tasks if task.rows == rows.kind], seed)
    return [[target.task.name for target in some] for some in together(targets)]


def impossible(rows: RowTable, tasks: Sequence[Task], seed: int = 0) -> dict[str, str]:
    """Task -> why `run` would skip it; known from rows and labels, before there are any layers.

    Raises
    ------
    ProbeError : labels or splits that cannot be read.
    """
    *_, skipped = _targets(rows, [task for task in tasks if task.rows == rows.kind], seed)
    return skipped


def _targets(
    rows: RowTable, tasks: Sequence[Task], seed: int
) -> tuple[list[Target], np.ndarray, list[str], dict[str, str]]:
    """Targets, the split of each row, notes on splits that were made up, and task -> why not."""
    splits, drawn = settle(rows.splits, rows.groups, seed)
    targets, skipped = [], {}
    for task in tasks:
        try:
            targets.append(make_target(task, rows, splits))
        except NotProbed as reason:
            skipped[task.name] = str(reason)
    return targets, splits, drawn, skipped


@dataclass
class _Told:
    """Passes on what happens in a batch.

    Attributes
    ----------
    before, of : steps done before this batch, and in all.
    """

    targets: Sequence[Target]
    before: int
    of: int
    progress: Callable[[int, int], None] | None
    watcher: Watcher | None
    done: int = 0

    def step(self) -> None:
        """One of them is done."""
        self.done += 1
        if self.progress:
            self.progress(self.before + self.done, self.of)

    def layer(self, name: str, fitted: Sequence[Fitted]) -> None:
        """A layer is done, which is a step."""
        self.step()
        if self.watcher:
            for target, one in zip(self.targets, fitted, strict=True):
                score = one.judged.scores[target.task.metric][VALID].value
                self.watcher.layer(target.task.name, name, score)


def _layers(result: TaskResult) -> tuple[str, ...]:
    return tuple(one.layer for one in result.layers)


def _others(protocol: Protocol, heads: Sequence[Head]) -> list[Head]:
    """Heads beside the main one, each name once."""
    names = {head.name: head for head in (*heads, *protocol.heads[1:])}
    return [head for name, head in names.items() if name != protocol.head.name]


def _remarks(column: Column) -> list[str]:
    """Notes on penalties at the edge of the grid and on fits that did not converge."""
    notes = []
    grid = column.head.choices
    last = len(grid) - 1
    for edge, inner, word in ((0, 1, "weakest"), (last, last - 1, "strongest")):
        there = "penalty" in grid[edge] and any(
            last > 0 and one.choice == edge and one.losses[edge] < 0.999 * one.losses[inner]
            for one in column.fitted
        )
        if there:
            notes.append(
                f"the {word} penalty ({grid[edge]['penalty']:g}) was best for some layers: "
                "a wider grid might do better"
            )
    pairs = zip(column.layers, column.fitted, strict=True)
    early = [layer for layer, one in pairs if not one.converged]
    if early:
        notes.append(f"training stopped early for {', '.join(early)}")
    return notes
