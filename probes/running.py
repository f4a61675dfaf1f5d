"""A probing run: every task on every layer, chosen on validation, scored on test."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from probes import inference
from probes.errors import ProbeError
from probes.heads.base import Answers
from probes.heads.linear import PENALTIES, linear
from probes.information import information
from probes.results import LayerScores, ProbeResults, Score, TaskResult
from probes.source import RowTable, Source, read_layer
from probes.splits import TRAIN, VALID, settle
from probes.targets import NotProbed, Target, make_target
from probes.tasks.base import Task
from probes.threads import one_a_core


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
    done: ProbeResults | None = None,
) -> ProbeResults:
    """Trains linear probes for the tasks that are asked of this kind of rows, on every layer.

    For each layer and task the penalty with the lowest validation loss is kept (the loss tells
    penalties apart where a score over few rows does not), and the layer with the best validation
    score is selected (of equals, the first). Probes are trained on `train` alone, also after that
    choice. Intervals are over groups, on the fixed answers: how sure the score is, not how much
    another training set would change it.

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
    progress : called with (layers done, layers).
    done : earlier results of the same source; tasks in them are not probed again.

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
    asked = [task for task in tasks if task.rows == rows.kind]
    splits, drawn = settle(rows.splits, rows.groups, seed)
    targets, skipped = [], {}
    for task in asked:
        if task.name not in known:
            try:
                targets.append(make_target(task, rows, splits))
            except NotProbed as reason:
                skipped[task.name] = str(reason)
    kept = _fit(source, layers, targets, penalties, device, progress)
    found = {}
    for target, answers in zip(targets, kept, strict=True):
        result = _result(target, layers, answers, penalties, seed, resamples, ordered)
        found[target.task.name] = dataclasses.replace(result, notes=(*result.notes, *drawn))
    settings = {
        "penalties": penalties, "seed": seed, "resamples": resamples, "interval": inference.LEVEL,
    }  # fmt: skip
    results = [{**known, **found}.get(task.name) for task in asked]
    return ProbeResults(
        source.name, layers, tuple(r for r in results if r is not None), skipped, settings
    )


def _layers(result: TaskResult) -> tuple[str, ...]:
    return tuple(one.layer for one in result.layers)


def _fit(
    source: Source,
    layers: Sequence[str],
    targets: Sequence[Target],
    penalties: Sequence[float],
    device: str,
    progress: Callable[[int, int], None] | None,
) -> list[list[Answers]]:
    """Answers [targets][layers]; each layer is read once and decomposed once a training set."""
    together = defaultdict(list)
    for number, target in enumerate(targets):
        together[target.index[TRAIN].tobytes()].append(number)

    def fit(layer: str) -> list[Answers]:
        values = read_layer(source, layer, device)
        found: dict[int, Answers] = {}
        for numbers in together.values():
            some = linear(values, [targets[i] for i in numbers], penalties)
            found.update(zip(numbers, some, strict=True))
        return [found[i] for i in range(len(targets))]

    by_layer = []
    if targets:
        with one_a_core(device) as pool:
            for depth, answers in enumerate(pool.map(fit, layers)):
                by_layer.append(answers)
                if progress:
                    progress(depth + 1, len(layers))
    elif progress:
        progress(len(layers), len(layers))
    return [list(answers) for answers in zip(*by_layer, strict=True)]


def _result(
    target: Target,
    layers: Sequence[str],
    answers: Sequence[Answers],
    penalties: Sequence[float],
    seed: int,
    resamples: int,
    ordered: bool,
) -> TaskResult:
    """Choices on validation, scores on test, and how sure they are."""
    task, metric = target.task, target.metric
    losses = np.stack([one.loss for one in answers])
    choice = losses.argmin(axis=1)
    tables, draws, groups = {}, {}, {}
    for split in (VALID, *target.evaluated):
        truth, index = target.of(split), target.group_index(split)
        said = np.stack([one.splits[split][c] for one, c in zip(answers, choice, strict=True)])
        sums = metric.sums(truth, said, index)
        groups[split] = sums.shape[-2]
        counts = inference.draw(groups[split], resamples, seed)
        draws[split] = inference.resampled(metric, sums, counts)
        low, high = inference.interval(draws[split], groups[split], bounds=metric.range)
        table = zip(metric.score(truth, said), low, high, strict=True)
        tables[split] = [Score(*map(float, line)) for line in table]
    bits = [{} for _ in layers]
    for split in target.evaluated:
        for place, (one, c) in enumerate(zip(answers, choice, strict=True)):
            bits[place][split] = information(target, split, one, int(c), resamples, seed)
    best = int(np.argmax(np.nan_to_num([s.value for s in tables[VALID]], nan=-np.inf)))
    shares = {split: inference.wins(draws[split]) for split in target.evaluated}
    gains = {}
    for split in target.evaluated if ordered else ():
        difference = draws[split][best] - draws[split][-1]
        least, most = metric.range
        reach = None if None in (least, most) else most - least
        bounds = (None, None) if reach is None else (-reach, reach)
        low, high = inference.interval(difference, groups[split], bounds=bounds)
        value = tables[split][best].value - tables[split][-1].value
        gains[split] = Score(value, float(low), float(high))
    rows = tuple(
        LayerScores(
            layer,
            penalties[choice[i]],
            tables[VALID][i],
            {split: tables[split][i] for split in target.evaluated},
            {split: float(shares[split][i]) for split in target.evaluated},
            bits[i],
        )
        for i, layer in enumerate(layers)
    )
    return TaskResult(
        task=task.name,
        title=task.title,
        label=task.label,
        kind=task.kind,
        metric=task.metric,
        range=metric.range,
        chance=metric.chance(target.of(TRAIN), target.of(target.headline)),
        tier=task.tier,
        classes=None if target.regression else len(target.classes),
        unit=task.unit,
        rows=task.rows,
        subsets=task.subsets,
        n={split: len(index) for split, index in target.index.items()},
        groups={split: target.count_groups(split) for split in target.index},
        headline=target.headline,
        selected=layers[best],
        layers=rows,
        gain_over_last=gains,
        notes=(*target.notes, *_remarks(layers, answers, losses, choice, penalties)),
    )


def _remarks(
    layers: Sequence[str],
    answers: Sequence[Answers],
    losses: np.ndarray,
    choice: np.ndarray,
    penalties: Sequence[float],
) -> list[str]:
    """Notes on penalties at the edge of the grid and on fits that did not converge."""
    notes = []
    last = len(penalties) - 1
    for edge, inner, word in ((0, 1, "weakest"), (last, last - 1, "strongest")):
        there = any(
            last > 0 and c == edge and loss[edge] < 0.999 * loss[inner]
            for loss, c in zip(losses, choice, strict=True)
        )
        if there:
            notes.append(
                f"the {word} penalty ({penalties[edge]:g}) was best for some layers: "
                "a wider grid might do better"
            )
    early = [
        layer for layer, one, c in zip(layers, answers, choice, strict=True) if not one.converged[c]
    ]
    if early:
        notes.append(f"the optimiser stopped early for {', '.join(early)}")
    return notes
