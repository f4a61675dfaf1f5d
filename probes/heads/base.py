"""What every head returns: its answers on one layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from probes.splits import TRAIN
from probes.targets import Target


@dataclass(frozen=True)
class Answers:
    """What one head says about the rows of each split but training, for each choice of its grid.

    Attributes
    ----------
    outputs : split -> natural logs of probabilities [choices, rows, classes] of a classification,
        numbers [choices, rows] of a regression, log-odds [choices, rows, tags] of tags.
    converged : [choices] whether training ended as it should.
    facts : what else the head has to say (weights of layers ...), to be written as JSON.
    """

    outputs: Mapping[str, np.ndarray]
    converged: np.ndarray
    facts: Mapping[str, object] = field(default_factory=dict)

    def loss(self, target: Target, split: str) -> np.ndarray:
        """[choices] mean over rows: squared error, or cross-entropy in nats a row (a known tag)."""
        truth, outputs = target.of(split), self.outputs[split]
        if target.regression:
            return np.square(outputs - truth).mean(axis=1)
        if target.task.kind == "tags":
            return np.nanmean(_log_loss(truth, outputs), axis=(1, 2))
        return self.surprise(target, split).mean(axis=1) * np.log(2)

    def surprise(self, target: Target, split: str) -> np.ndarray:
        """[choices, rows] bits: minus log2 of the probability of what is right.

        Of tags the sum over those that are known. Not of regressions.
        """
        truth, outputs = target.of(split), self.outputs[split]
        if target.task.kind == "tags":
            return np.nansum(_log_loss(truth, outputs), axis=2) / np.log(2)
        right = np.broadcast_to(truth[None, :, None], (len(outputs), len(truth), 1))
        return -np.take_along_axis(outputs, right, axis=2)[..., 0] / np.log(2)


def asked(target: Target) -> list[str]:
    """The splits that a head answers for."""
    return [split for split in target.index if split != TRAIN]


def _log_loss(truth: np.ndarray, log_odds: np.ndarray) -> np.ndarray:
    """[choices, rows, tags] nats; NaN where the truth is."""
    return np.logaddexp(0.0, log_odds) - truth * log_odds
