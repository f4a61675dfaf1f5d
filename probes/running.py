"""A probing run: every task on every layer, chosen on validation, scored on test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from probes import inference
from probes.errors import ProbeError
from probes.heads.base import Answers
from probes.heads.linear import NAME, PENALTIES, linear
from probes.judging import Judge
from probes.results import ProbeResults, TaskResult
from probes.scoring import Judged, result
from probes.source import RowTable, Source, read_layer
from probes.splits import TRAIN, VALID, settle
from probes.targets import NotProbed, Target, make_target
from probes.tasks.base import Task
from probes.threads import one_a_core


class Watcher(Protocol):
    """Who is told what has been found while a run goes on; from one thread."""

    def layer(self, task: str, layer: str, valid: float) -> None:
        """A layer was probed: its score on validation."""

    def task(self, found: TaskResult) -> None:
        """A task was probed on all layers."""


def run(
    source: Source,
    rows: RowTable,
    tasks: Sequence[Task],
    *,
    penalties: Sequence[float] = PENALTIES,
    seed: int = 0,
    resamples: int = 1000,
    ordered: bool = True,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    watcher: Watcher | None = None,
    done: ProbeResults | None = None,
    data: str = "",
) -> ProbeResults:
    """Trains linear probes for the tasks that are asked of this kind of rows, on every layer.

    For each layer and task the penalty with the lowest validation loss is kept, and the layer with
    the best validation score is selected (of equals, the first). Probes are trained on `train`
    alone, also after that choice. Intervals are over groups, on the fixed answers: how sure the
    score is, not how much another training set would change it.

    Tasks that share their training rows are one batch: a layer is read and decomposed once for all
    of them.

    Parameters
    ----------
    source : layers over the rows.
    rows : what each row is.
    tasks : those for another kind of rows are passed over (see `ProbeResults.merge`).
    penalties : of the squared weights on standardised columns, against the loss summed over
        training rows (`alpha` of scikit-learn's Ridge, 1 / C of its LogisticRegression).
    seed : of the resamples, and of the splits where the data has none.
    resamples : of groups, for every interval.
    ordered : False when the layers have no depth (references): no gain over the last.
    progress : called with (layers done, layers), of all batches.
    watcher : is told of every layer and task.
    done : earlier results of the same source; tasks in them are not probed again.
    data : name of the data set, by which published numbers are put beside one's own.

    Raises
    ------
    ProbeError : rows that do not match, activations that are not finite, labels that cannot be
        read. A task with too little data is no error: it stands in `skipped` with the reason.
    """
    if len(source) != len(rows):
        raise ProbeError(
            f"{source.name} has {len(source)} rows and the labels have {len(rows)}: "
            f"extract again over the same clips, rows {rows.kind}"
        )
    if len(penalties) == 0 or min(penalties) <= 0:
        raise ProbeError(f"penalties {list(penalties)} must be positive numbers")
    penalties = sorted(float(p) for p in penalties)
    layers = tuple(source.layers)
    known = {} if done is None else {t.task: t for t in done.tasks if _layers(t) == layers}
    wanted = [task for task in tasks if task.rows == rows.kind]
    splits, drawn = settle(rows.splits, rows.groups, seed)
    targets, skipped = [], {}
    for task in wanted:
        if task.name not in known:
            try:
                targets.append(make_target(task, rows, splits))
            except NotProbed as reason:
                skipped[task.name] = str(reason)
    batches = _batches(targets)
    plan = _Plan(penalties, device)
    found: dict[str, TaskResult] = {}
    for number, batch in enumerate(batches):
        judges = [Judge(target) for target in batch]
        fit = partial(_fit, source, judges, plan)
        fitted = []
        with one_a_core(device) as pool:
            for layer, one in zip(layers, pool.map(fit, layers), strict=True):
                fitted.append(one)
                if progress:
                    progress(number * len(layers) + len(fitted), len(batches) * len(layers))
                if watcher:
                    for judge, said in zip(judges, one, strict=True):
                        task = judge.target.task
                        watcher.layer(
                            task.name, layer, said.judged.scores[task.metric][VALID].value
                        )
        for judge, column in zip(judges, zip(*fitted, strict=True), strict=True):
            name = judge.target.task.name
            found[name] = result(
                judge.frame((*_remarks(layers, column, penalties), *drawn)),
                NAME,
                layers,
                [one.judged for one in column],
                seed=seed,
                resamples=resamples,
                ordered=ordered,
                data=data,
            )
            if watcher:
                watcher.task(found[name])
    if progress and not batches:
        progress(len(layers), len(layers))
    settings = {
        "penalties": penalties, "seed": seed, "resamples": resamples, "interval": inference.LEVEL,
    }  # fmt: skip
    results = [{**known, **found}.get(task.name) for task in wanted]
    return ProbeResults(
        source.name, layers, tuple(r for r in results if r is not None), skipped, settings
    )


@dataclass(frozen=True)
class _Plan:
    penalties: Sequence[float]
    device: str


@dataclass(frozen=True)
class _Fitted:
    """One layer on one task.

    Attributes
    ----------
    losses : [penalties] on validation.
    choice : place of the penalty.
    converged : whether the fit with it did.
    """

    judged: Judged
    losses: np.ndarray
    choice: int
    converged: bool


def _layers(result: TaskResult) -> tuple[str, ...]:
    return tuple(one.layer for one in result.layers)


def _batches(targets: Sequence[Target]) -> list[list[Target]]:
    """Targets that share their training rows, in the order of their first."""
    together = defaultdict(list)
    for target in targets:
        together[target.index[TRAIN].tobytes()].append(target)
    return list(together.values())


def _fit(source: Source, judges: Sequence[Judge], plan: _Plan, layer: str) -> list[_Fitted]:
    """One layer, for targets that share their training rows."""
    values = read_layer(source, layer, plan.device)
    answers = linear(values, [judge.target for judge in judges], plan.penalties)
    return [_judged(judge, one, plan) for judge, one in zip(judges, answers, strict=True)]


def _judged(judge: Judge, answers: Answers, plan: _Plan) -> _Fitted:
    losses = answers.loss(judge.target, VALID)
    choice = judge.choose(answers)
    judged = judge.judge(answers, choice, {"penalty": plan.penalties[choice]})
    return _Fitted(judged, losses, choice, bool(answers.converged[choice]))


def _remarks(
    layers: Sequence[str], fitted: Sequence[_Fitted], penalties: Sequence[float]
) -> list[str]:
    """Notes on penalties at the edge of the grid and on fits that did not converge."""
    notes = []
    last = len(penalties) - 1
    for edge, inner, word in ((0, 1, "weakest"), (last, last - 1, "strongest")):
        there = any(
            last > 0 and one.choice == edge and one.losses[edge] < 0.999 * one.losses[inner]
            for one in fitted
        )
        if there:
            notes.append(
                f"the {word} penalty ({penalties[edge]:g}) was best for some layers: "
                "a wider grid might do better"
            )
    early = [layer for layer, one in zip(layers, fitted, strict=True) if not one.converged]
    if early:
        notes.append(f"the optimiser stopped early for {', '.join(early)}")
    return notes
