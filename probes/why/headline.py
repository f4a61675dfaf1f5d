"""What a probe of a task scores on the split that a report quotes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from probes.metrics import Metric, metric
from probes.scored import Scored
from probes.splits import TRAIN
from probes.targets import Target


@dataclass(frozen=True)
class Headline:
    """The headline split of a target, made ready to score answers over and over."""

    target: Target

    @cached_property
    def metric(self) -> Metric:
        task = self.target.task
        prior = self.target.prior if task.kind == "classification" else None
        return metric(task.metric, self.target.classes, prior)

    @cached_property
    def truth(self) -> np.ndarray:
        return self.target.of(self.target.headline)

    @cached_property
    def index(self) -> np.ndarray:
        """[rows] number of each row's group."""
        return self.target.group_index(self.target.headline)

    @cached_property
    def groups(self) -> int:
        return int(self.index.max()) + 1

    @cached_property
    def chance(self) -> float:
        return self.metric.chance(self.target.of(TRAIN), self.truth)

    @cached_property
    def reach(self) -> tuple[float | None, float | None]:
        """Lowest and highest difference of two scores."""
        low, high = self.metric.range
        return (None, None) if low is None or high is None else (low - high, high - low)

    def scored(self, outputs: np.ndarray) -> Scored:
        """Of outputs on the rows of the split, as in `probes.heads.base.Answers`."""
        return self.metric.scored(self.truth, outputs, self.index)


@dataclass(frozen=True)
class Probed:
    """One probe: its score on the headline split, and its least mean loss on validation."""

    scored: Scored
    loss: float
