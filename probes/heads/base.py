"""What a head is, and what every head returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from probes.splits import TRAIN
from probes.targets import Target

if TYPE_CHECKING:
    import torch

    from probes.heads.frames import Frames


@dataclass(frozen=True)
class Answers:
    """What one head says about the rows of each split but training, for each choice of its grid.

    Attributes
    ----------
    outputs : split -> natural logs of probabilities [choices, rows, classes] of a classification,
        numbers [choices, rows] of a regression, log-odds [choices, rows, tags] of tags.
    converged : [choices] whether training ended as it should.
    facts : for each choice, what else the head has to say (weights of layers ...), to be written as
        JSON; () where it has nothing.
    """

    outputs: Mapping[str, np.ndarray]
    converged: np.ndarray
    facts: Sequence[Mapping[str, object]] = ()

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


class Head(ABC):
    """Something that is trained on frozen layers and then answers for held-out rows.

    Attributes
    ----------
    name : as on the command line and in results.
    title : as in a report.
    meaning : what a good score with it means.
    source : where it comes from.
    joins : whether it takes all layers at once; its result has one pseudo-layer `all`.
    frames : whether it takes the frames of a clip, not one row a clip.
    kinds : of tasks that it can answer.
    """

    name: str
    title: str
    meaning: str
    source: str
    joins: ClassVar[bool] = False
    frames: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ("classification", "regression", "tags")

    @property
    @abstractmethod
    def choices(self) -> tuple[Mapping[str, object], ...]:
        """The settings of its grid, in the order of `Answers`."""

    def refuses(self, target: Target) -> str:
        """Why it cannot answer for a target, in one line; "" where it can."""
        if target.task.kind in self.kinds:
            return ""
        return f"task {target.task.name}: head {self.name} is not for a {target.task.kind}"


class LayerHead(Head):
    """A head on one layer."""

    @abstractmethod
    def fit(self, layer: torch.Tensor, targets: Sequence[Target]) -> list[Answers]:
        """Trains on one layer.

        Parameters
        ----------
        layer : [all rows, width] float32, on the device that is to do the work.
        targets : that share their training rows.
        """

    def fit_layers(
        self, layers: Sequence[torch.Tensor], targets: Sequence[Target]
    ) -> list[list[Answers]]:
        """The same answers for several layers, side by side where that is faster."""
        return [self.fit(layer, targets) for layer in layers]


class JoiningHead(Head):
    """A head that takes all layers at once."""

    joins = True

    @abstractmethod
    def fit(
        self, layers: Iterable[tuple[str, torch.Tensor]], targets: Sequence[Target]
    ) -> list[Answers]:
        """Trains on all layers.

        Parameters
        ----------
        layers : name and [all rows, width] of each, in order of depth; gone through once.
        targets : that share their training rows.
        """


class PoolingHead(Head):
    """A head that pools the frames of a clip by itself, for targets of whole clips."""

    frames = True

    @abstractmethod
    def fit(self, frames: Frames, targets: Sequence[Target]) -> list[Answers]:
        """Trains on one layer.

        Parameters
        ----------
        frames : of every clip that a target has as a row.
        targets : that share their training rows.
        """


def least(losses: np.ndarray) -> int:
    """Place of the least loss [choices], of equals the first; one that is not known never is."""
    return int(np.argmin(np.nan_to_num(losses, nan=np.inf)))


def seeded(head: Head, seed: int) -> Head:
    """The head with this seed, where it draws anything."""
    drawn = any(field.name == "seed" for field in fields(head))
    return replace(head, seed=seed) if drawn else head


def asked(target: Target) -> list[str]:
    """The splits that a head answers for."""
    return [split for split in target.index if split != TRAIN]


def _log_loss(truth: np.ndarray, log_odds: np.ndarray) -> np.ndarray:
    """[choices, rows, tags] nats; NaN where the truth is."""
    return np.logaddexp(0.0, log_odds) - truth * log_odds
