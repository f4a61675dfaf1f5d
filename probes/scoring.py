"""From what heads say on every layer to the result of a task, for any kind of task.

The layer is selected by its score on validation; scores of test splits are reported. Every
interval, share of wins and gain is over the same resamples of groups, so that layers are paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from probes import inference
from probes.curves import Curve
from probes.published import numbers
from probes.results import LayerScores, Pointwise, TaskResult
from probes.scored import Score, Scored
from probes.splits import VALID
from probes.tasks.base import Task
from probes.trust.comparisons import against
from probes.trust.emergence import Emergence, emergence
from probes.trust.intervals import mean_scores
from probes.trust.layer import LayerTrust


@dataclass(frozen=True)
class Judged:
    """What one layer was found to score with one head.

    Attributes
    ----------
    setting : what was chosen of the head's grid.
    scores : metric -> split -> score; the task's own metric among them, and validation.
    bits : test split -> [rows] bits that the probe finds; none where it gives no probabilities.
    right : test split -> [rows] whether the answer is right; none where that has no meaning.
    facts, trust : as in `LayerScores`.
    """

    setting: Mapping[str, object]
    scores: Mapping[str, Mapping[str, Scored]]
    bits: Mapping[str, np.ndarray] = field(default_factory=dict)
    right: Mapping[str, np.ndarray] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)
    trust: LayerTrust | None = None


@dataclass(frozen=True)
class Frame:
    """What is the same for all layers of a task.

    Attributes
    ----------
    ranges : metric -> lowest and highest value.
    chance : metric -> score by chance on the headline split.
    n, groups : split -> rows and groups.
    headline : the split that a report quotes.
    names : test split -> name of each row that has bits.
    members : test split -> group of each of these rows.
    """

    task: Task
    ranges: Mapping[str, tuple[float | None, float | None]]
    chance: Mapping[str, float]
    n: Mapping[str, int]
    groups: Mapping[str, int]
    headline: str
    classes: int | None = None
    notes: tuple[str, ...] = ()
    names: Mapping[str, np.ndarray] = field(default_factory=dict)
    members: Mapping[str, np.ndarray] = field(default_factory=dict)


def result(
    frame: Frame,
    head: str,
    layers: Sequence[str],
    judged: Sequence[Judged],
    *,
    seed: int,
    resamples: int,
    ordered: bool,
    data: str = "",
    single: Mapping[str, Scored] | None = None,
) -> TaskResult:
    """The result of a task.

    Parameters
    ----------
    ordered : whether the layers have a depth, so that there is a last one.
    data : name of the data set, by which published numbers are found.
    single : split -> score of the layer that is selected with the main head, for another head.
    """
    task = frame.task
    scores: dict[str, dict[str, list[Score]]] = {}
    draws: dict[str, np.ndarray] = {}
    for metric, splits in judged[0].scores.items():
        for split in splits:
            found = [one.scores[metric][split] for one in judged]
            counts = inference.draw(found[0].groups, resamples, seed)
            drawn = np.stack([one.resampled(counts) for one in found])
            if metric == task.metric:
                draws[split] = drawn
            low, high = inference.interval(drawn, found[0].groups, bounds=frame.ranges[metric])
            values = [one.value for one in found]
            table = [Score(*map(float, line)) for line in zip(values, low, high, strict=True)]
            scores.setdefault(metric, {})[split] = table
    own = scores.pop(task.metric)
    bits = _Bits.of(layers, judged, frame, seed, resamples)
    best = int(np.argmax(np.nan_to_num([s.value for s in own[VALID]], nan=-np.inf)))
    tested = [split for split in own if split != VALID]
    wins = {split: inference.wins(draws[split]) for split in tested}
    bounds = frame.ranges[task.metric]
    return TaskResult(
        task=task.name,
        title=task.title,
        family=task.family,
        label=task.label,
        kind=task.kind,
        head=head,
        metric=task.metric,
        range=bounds,
        chance=frame.chance[task.metric],
        tier=task.tier,
        classes=frame.classes,
        unit=task.unit,
        rows=task.rows,
        subsets=task.subsets,
        n=frame.n,
        groups=frame.groups,
        headline=frame.headline,
        selected=layers[best],
        layers=tuple(
            LayerScores(
                layer,
                one.setting,
                own[VALID][i],
                {split: own[split][i] for split in tested},
                {split: float(wins[split][i]) for split in tested},
                {
                    metric: {split: table[i] for split, table in splits.items()}
                    for metric, splits in scores.items()
                },
                {split: table[i] for split, table in bits.means.items()},
                one.facts,
                one.trust,
            )
            for i, (layer, one) in enumerate(zip(layers, judged, strict=True))
        ),
        gain_over_last={
            split: gain(
                own[split][best], draws[split][best], own[split][-1], draws[split][-1],
                frame.groups[split], bounds,
            )
            for split in (tested if ordered and len(layers) > 1 else ())
        },
        gain_over_single={
            split: gain(
                own[split][best], draws[split][best], single[split],
                single[split].resampled(inference.draw(single[split].groups, resamples, seed)),
                frame.groups[split], bounds,
            )
            for split in (tested if single else ())
            if split in single
        },
        also_chance={name: value for name, value in frame.chance.items() if name != task.metric},
        notes=frame.notes,
        comparisons={
            split: against(
                layers, np.array([s.value for s in own[split]]), draws[split], frame.groups[split],
                layers[best],
            )
            for split in (tested if len(layers) > 1 else ())
        },
        emergence=bits.emergence if ordered and len(layers) > 1 else {},
        pointwise=bits.pointwise,
        published=tuple(row for row in numbers(task.label, data) if row.metric in frame.chance),
        curve=Curve(
            tuple(layers),
            np.array([s.value for s in own[VALID]]),
            np.array([s.value for s in own[frame.headline]]),
            # as its file has them: what follows is the same from results that were kept
            draws[frame.headline].astype(np.float32).astype(float),
            frame.groups[frame.headline],
            frame.chance[task.metric],
            bounds,
        ),
    )  # fmt: skip


@dataclass(frozen=True)
class _Bits:
    """What follows from bits row by row, by test split."""

    means: dict[str, tuple[Score, ...]]
    emergence: dict[str, Emergence]
    pointwise: dict[str, Pointwise]

    @classmethod
    def of(
        cls,
        layers: Sequence[str],
        judged: Sequence[Judged],
        frame: Frame,
        seed: int,
        resamples: int,
    ) -> _Bits:
        found = cls({}, {}, {})
        for split in judged[0].bits:
            rows = np.stack([one.bits[split] for one in judged])
            right = [one.right[split] for one in judged if split in one.right]
            members = frame.members[split].astype(str)
            index = np.unique(members, return_inverse=True)[1]
            counts = inference.draw(int(index.max()) + 1, resamples, seed)
            found.means[split] = mean_scores(rows, index, counts)
            found.emergence[split] = emergence(
                layers, rows, index, counts, np.stack(right) if right else None
            )
            found.pointwise[split] = Pointwise(
                tuple(frame.names[split].astype(str)),
                tuple(members),
                tuple(tuple(line) for line in np.round(rows, 3).tolist()),
            )
        return found


def gain(
    score: Score | Scored,
    drawn: np.ndarray,
    other: Score | Scored,
    other_drawn: np.ndarray,
    groups: int,
    bounds: tuple[float | None, float | None],
) -> Score:
    """How much one score is above another, from the same [resamples] of both."""
    reach = None if None in bounds else bounds[1] - bounds[0]
    ends = (None, None) if reach is None else (-reach, reach)
    low, high = inference.interval(drawn - other_drawn, groups, bounds=ends)
    return Score(score.value - other.value, float(low), float(high))
