"""A problem in the terms of the iterative solver, and its answer as it comes in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from probes.design import Design
from probes.solvers.losses import Loss, Sigmoid, Softmax, Squared
from probes.solvers.problem import Fit, Problem
from probes.team import ALONE, Team, added


@dataclass
class Job:
    """A problem as sets of targets: one for a softmax, one for each output of the others.

    Two classes are one sigmoid with half the penalty, whose weight is the difference of theirs.
    Numbers are standardised, so that a tolerance relative to the objective has a meaning.

    Attributes
    ----------
    loss, width : of a set, and how many columns it takes.
    targets : [sets, train] int64 or float32.
    weights : [sets or 1, train] float32, each summing to one; None where all rows count alike.
    key : equal where the weights are; None where all rows count alike.
    sums : [sets] of the weights that were given, float64, over the rows of all processes.
    count : rows of all processes.
    total : sum of the weights of the problem, over the rows of all processes.
    mean, spread : [sets] of numbers, float64.
    answers : [penalties, sets, width, axes + 1] float32, intercepts last.
    losses, steps, converged : [penalties, sets].
    """

    problem: Problem
    loss: type[Loss]
    width: int
    axes: int
    targets: torch.Tensor
    weights: torch.Tensor | None
    sums: torch.Tensor
    mean: torch.Tensor
    spread: torch.Tensor
    count: int
    total: float

    def __post_init__(self):
        shape = len(self.problem.penalties), len(self.targets)
        new = self.sums.new_zeros
        self.answers = new(*shape, self.width, self.axes + 1, dtype=torch.float32)
        self.losses = new(shape)
        self.steps = new(shape, dtype=torch.int64)
        self.converged = new(shape, dtype=torch.bool)

    @property
    def columns(self) -> int:
        return len(self.problem.penalties) * len(self.targets) * self.width

    @cached_property
    def key(self) -> bytes | None:
        return None if self.weights is None else self.weights.cpu().numpy().tobytes()

    @cached_property
    def used(self) -> np.ndarray:
        """[train] rows with weight for any set."""
        if self.weights is None:
            return np.ones(self.targets.shape[1], dtype=bool)
        return (self.weights > 0).any(dim=0).cpu().numpy()

    @property
    def penalties(self) -> torch.Tensor:
        """[penalties, sets] against the weighted mean loss, float64."""
        grid = torch.as_tensor(self.problem.penalties, dtype=torch.float64, device=self.sums.device)
        halved = 0.5 if self.loss is Sigmoid and self.problem.loss == "softmax" else 1.0
        return halved * grid[:, None] / self.sums

    def fit(self, rank: int) -> Fit:
        """The answer in the terms of the problem."""
        theta = self.answers.flatten(1, 2)
        weights, intercepts = theta[..., :-1], theta[..., -1]
        objective = self.losses * self.sums
        if self.loss is Squared:
            weights = weights * self.spread[:, None].float()
            intercepts = intercepts * self.spread.float() + self.mean.float()
            objective = objective * self.spread.square()
        elif self.loss is Sigmoid and self.problem.loss == "softmax":
            weights, intercepts = (
                torch.cat([-0.5 * v, 0.5 * v], dim=1) for v in (weights, intercepts)
            )
        return Fit(
            torch.nn.functional.pad(weights, (0, rank - weights.shape[-1])).transpose(1, 2),
            intercepts,
            objective.sum(dim=1) / self.total,
            self.steps.amax(dim=1),
            self.converged.all(dim=1),
        )


def job_of(design: Design, problem: Problem, team: Team = ALONE) -> Job:
    """The job that a problem is, on the device of the design.

    Parameters
    ----------
    team : whose processes hold the rows of the design and their targets, each its own.
    """
    device = design.rows.device
    axes = design.rows.shape[1] if problem.axes is None else problem.axes
    weights, target = None, problem.target.to(device)
    if problem.weights is not None:
        weights = problem.weights.to(device).double()[None]
    loss, width = {"softmax": Softmax, "sigmoid": Sigmoid, "squared": Squared}[problem.loss], 1
    if problem.loss == "softmax":
        target = target[None]
        if weights is not None:
            target = torch.where(weights > 0, target, 0)
        if problem.classes == 2:
            loss, target = Sigmoid, target.double()
        else:
            width = problem.classes
    else:
        target = target.T.double()
        gone = target.isnan()
        if weights is not None:
            gone |= weights == 0
        if bool(gone.any()):
            weights = target.new_ones(1, gone.shape[1]) if weights is None else weights
            alike = bool((gone == gone[:1]).all())
            weights = weights.masked_fill(gone[:1] if alike else gone, 0.0)
            target = target.masked_fill(gone, 0.0)
    many, n = target.shape
    total = float(n if problem.weights is None else problem.weights.double().sum())
    counts = torch.tensor([n, total], dtype=torch.float64, device=device)
    sums = counts[:1]
    if team.size > 1:
        (counts,) = added(team, counts)
        ones = counts.new_ones(1, n)
        weights = (ones if weights is None else weights).expand(many, n)
    if weights is not None:
        (sums,) = added(team, weights.sum(dim=1))
        weights = weights / sums[:, None]
    mean, spread = sums.new_zeros(many), sums.new_ones(many)
    if loss is Squared:
        shares = sums.new_full((1, n), 1.0 / n) if weights is None else weights
        (mean,) = added(team, (shares * target).sum(dim=1))
        target = target - mean[:, None]
        spread = added(team, (shares * target.square()).sum(dim=1))[0].sqrt()
        spread = torch.where(spread > 0, spread, 1.0)
        target = target / spread[:, None]
    if target.is_floating_point():
        target = target.float()
    if weights is not None:
        weights = weights.float()
    count, total = int(counts[0]), float(counts[1])
    sums = sums.expand(many)
    return Job(problem, loss, width, axes, target, weights, sums, mean, spread, count, total)
