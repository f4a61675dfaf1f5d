"""Heads that answer for each frame alone: targets in, log-odds of every frame out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
import torch
from scipy.special import logsumexp

from probes.design import Design
from probes.solvers import Problem, solve

# Of the grid of `probes.heads.linear` the decades that were best for some layer and task of `mini`
PENALTIES = (1e1, 1e2, 1e3, 1e4)
# A layer is judged by decoded scores, which further steps of the solver do not move.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class FrameTarget:
    """Targets of some frames.

    Attributes
    ----------
    values : softmax: [frames] int64 class, -1 for none. sigmoid: [frames, outputs] float32 in
        0 .. 1, NaN where it is not known.
    outputs : classes, or columns.
    """

    values: np.ndarray
    loss: Literal["softmax", "sigmoid"]
    outputs: int

    @property
    def learnable(self) -> np.ndarray:
        """Outputs that some frame has, rising; of nothing else can a head be told apart."""
        if self.loss == "softmax":
            return np.unique(self.values[self.values >= 0])
        return np.flatnonzero((np.nan_to_num(self.values) > 0).any(axis=0))

    @property
    def prior(self) -> np.ndarray:
        """[outputs] shares of the classes, or means of the columns; 0 where nothing is known."""
        if self.loss == "softmax":
            counts = np.bincount(self.values[self.values >= 0], minlength=self.outputs)
            return counts / max(1, counts.sum())
        known = np.isfinite(self.values)
        return np.nansum(self.values, axis=0) / np.maximum(known.sum(axis=0), 1)

    def only(self, outputs: np.ndarray) -> FrameTarget:
        """The same frames, with what is not among some outputs unknown."""
        among = np.isin(np.arange(self.outputs), outputs)
        if self.loss == "softmax":
            inside = (self.values >= 0) & among[self.values]
            return replace(self, values=np.where(inside, self.values, -1))
        return replace(self, values=np.where(among, self.values, np.float32(np.nan)))

    def surprise(self, logits: np.ndarray) -> np.ndarray:
        """[frames] nats that the truth takes, summed over outputs, from [frames, outputs]; NaN for
        a frame of which nothing is known.
        """
        if self.loss == "softmax":
            known = self.values >= 0
            at = np.where(known, self.values, 0)[:, None]
            right = np.take_along_axis(logits, at, axis=1)[:, 0]
            return np.where(known, logsumexp(logits, axis=1) - right, np.nan)
        nats = np.logaddexp(0.0, logits) - self.values * logits
        known = np.isfinite(self.values).any(axis=1)
        return np.where(known, np.nansum(nats, axis=1), np.nan)


class Fitted(Protocol):
    """A head trained on one layer for several targets.

    Attributes
    ----------
    settings : one a choice of the head's grid.
    converged : [choices] of each target.
    """

    settings: Sequence[Mapping[str, object]]
    converged: Sequence[np.ndarray]

    def ready(self, rows: torch.Tensor) -> torch.Tensor:
        """What all targets need of some rows [rows, width] of the layer, computed once."""

    def logits(self, ready: torch.Tensor, number: int, choice: int) -> torch.Tensor:
        """[rows, outputs] of a target: log-odds, or log-probabilities but for a constant."""


class FrameHead(Protocol):
    """A kind of head.

    Attributes
    ----------
    name : as it stands in results.
    settings : what it was told, for the results.
    """

    name: str

    @property
    def settings(self) -> Mapping[str, object]: ...

    def fit(
        self,
        train: torch.Tensor,
        targets: Sequence[FrameTarget],
        valid: torch.Tensor,
        held: Sequence[FrameTarget],
    ) -> Fitted:
        """Trains on frames [train, width] of a layer.

        Parameters
        ----------
        targets : of the training frames.
        valid, held : frames of validation and their targets, for heads that stop early.
        """


@dataclass(frozen=True)
class Linear:
    """Logistic regression: multinomial for classes, one for each output otherwise.

    Attributes
    ----------
    penalties : of the squared weights, against the loss summed over training frames.
    """

    penalties: tuple[float, ...] = PENALTIES
    name: str = "linear"

    @property
    def settings(self) -> Mapping[str, object]:
        return {"penalties": list(self.penalties)}

    def fit(self, train, targets, valid, held) -> Fitted:
        design = Design.of(train)
        kept = [target.learnable for target in targets]
        problems = [
            _problem(target, some, self.penalties, train.device)
            for target, some in zip(targets, kept, strict=True)
        ]
        fits = solve(design, problems, tolerance=TOLERANCE)
        weights = [
            _spread(fit, some, target.outputs)
            for fit, some, target in zip(fits, kept, targets, strict=True)
        ]
        return _LinearFitted(
            design,
            weights,
            tuple({"penalty": penalty} for penalty in self.penalties),
            tuple(fit.converged.cpu().numpy() for fit in fits),
        )


@dataclass(frozen=True)
class _LinearFitted:
    """Weights [choices, rank, outputs] and intercepts [choices, outputs] of each target."""

    design: Design
    weights: Sequence[tuple[torch.Tensor, torch.Tensor]]
    settings: Sequence[Mapping[str, object]]
    converged: Sequence[np.ndarray]

    def ready(self, rows: torch.Tensor) -> torch.Tensor:
        return self.design.rotate(rows)

    def logits(self, ready: torch.Tensor, number: int, choice: int) -> torch.Tensor:
        weights, intercepts = self.weights[number]
        return ready @ weights[choice] + intercepts[choice]


def _problem(
    target: FrameTarget, kept: np.ndarray, penalties: Sequence[float], device: torch.device
) -> Problem:
    if target.loss == "sigmoid":
        values = torch.as_tensor(target.values[:, kept], device=device)
        return Problem(values, "sigmoid", penalties)
    known = target.values >= 0
    classes = np.where(known, np.searchsorted(kept, target.values), 0)
    weights = torch.as_tensor(known, dtype=torch.float32, device=device)
    number = torch.as_tensor(classes, device=device)
    return Problem(number, "softmax", penalties, classes=len(kept), weights=weights)


NEVER = -30.0  # log-odds of what training lacks


def _spread(fit, kept: np.ndarray, outputs: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights and intercepts of all outputs; those that training lacks are never heard."""
    if len(kept) == outputs:
        return fit.weights, fit.intercepts
    choices, rank, _ = fit.weights.shape
    weights = fit.weights.new_zeros(choices, rank, outputs)
    intercepts = fit.intercepts.new_full((choices, outputs), NEVER)
    at = torch.as_tensor(kept, device=weights.device)
    weights[:, :, at], intercepts[:, at] = fit.weights, fit.intercepts
    return weights, intercepts
