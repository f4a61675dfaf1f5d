"""The linear head: ridge for numbers, logistic regression for classes and for tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from probes.design import Design
from probes.heads.base import Answers, LayerHead, asked
from probes.solvers import Fit, Problem, solve
from probes.splits import TRAIN
from probes.targets import Target

NAME = "linear"
# Of the squared weights against the loss summed over rows: the `alpha` of scikit-learn's Ridge, the
# 1 / C of its LogisticRegression. What is best for it does not depend on the number of rows (it
# is a ratio of variances). Weak enough to leave standardised columns nearly alone, strong enough
# to leave nothing of them.
PENALTIES = (1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6)


class LinearLayer:
    """One layer made ready for linear probes of targets that share their training rows.

    Parameters
    ----------
    layer : [all rows, width] float32.
    """

    def __init__(self, layer: torch.Tensor, targets: Sequence[Target]):
        self.targets = tuple(targets)
        self.design = Design.of(layer[_index(targets[0].index[TRAIN], layer)])
        # split -> rows and how they look in the axes of the design
        self._held = {
            split: (rows, self.design.rotate(layer[_index(rows, layer)]))
            for split, rows in held(targets).items()
        }

    def rows(self, target: Target, split: str) -> torch.Tensor:
        """[rows of the split, rank] in the axes of the design; also of training."""
        if split == TRAIN:
            return self.design.rows
        numbers, rows = self._held[split]
        own = target.index[split]
        return (
            rows if len(own) == len(numbers) else rows[_index(np.searchsorted(numbers, own), rows)]
        )

    def problem(self, target: Target, penalties: Sequence[float], **changes) -> Problem:
        """What the solver is asked; `changes` are further attributes of `Problem`."""
        truth = torch.as_tensor(target.of(TRAIN), device=self.design.rows.device)
        return problem_of(target, truth, penalties, **changes)

    def outputs(self, target: Target, split: str, fit: Fit) -> np.ndarray:
        """What fitted weights say about the rows of a split, as in `Answers.outputs`."""
        return spoken(target, self.rows(target, split), fit)

    def answers(self, target: Target, fit: Fit) -> Answers:
        """The answers of one fit for every split but training."""
        outputs = {split: self.outputs(target, split, fit) for split in asked(target)}
        return Answers(outputs, fit.converged.cpu().numpy())


def linear(
    layer: torch.Tensor, targets: Sequence[Target], penalties: Sequence[float] = PENALTIES
) -> list[Answers]:
    """Linear probes of one layer for targets that share their training rows.

    Regression is ridge on the standardised target; classification is multinomial logistic
    regression; each tag is a logistic regression of its own.

    Parameters
    ----------
    layer : [all rows, width] float32.
    penalties : of the squared weights, against the loss summed over training rows.
    """
    return Linear(tuple(penalties)).answers(LinearLayer(layer, targets))


@dataclass(frozen=True)
class Linear(LayerHead):
    """Exact linear probes; see `linear`.

    Parameters
    ----------
    penalties : of the squared weights, against the loss summed over training rows.
    """

    penalties: tuple[float, ...] = PENALTIES
    name: str = NAME
    title: str = "Linear"
    meaning: str = "it is linearly decodable"
    source: str = "Alain and Bengio 2017, arXiv:1610.01644"

    @property
    def choices(self):
        return tuple({"penalty": penalty} for penalty in self.penalties)

    def fit(self, layer, targets):
        return self.answers(LinearLayer(layer, targets)) if targets else []

    def answers(self, ready: LinearLayer) -> list[Answers]:
        """The answers to the targets that a layer was made ready for."""
        problems = [ready.problem(target, self.penalties) for target in ready.targets]
        fits = solve(ready.design, problems)
        pairs = zip(ready.targets, fits, strict=True)
        return [ready.answers(target, fit) for target, fit in pairs]


def problem_of(
    target: Target, truth: torch.Tensor, penalties: Sequence[float], **changes
) -> Problem:
    """What the solver is asked of training rows with this truth, all or some of the target's."""
    if target.regression:
        mean, spread = standard(target)
        return Problem(((truth - mean) / spread)[:, None], "squared", penalties, **changes)
    if target.task.kind == "tags":
        return Problem(truth.float(), "sigmoid", penalties, **changes)
    return Problem(truth, "softmax", penalties, classes=len(target.classes), **changes)


def spoken(target: Target, rows: torch.Tensor, fit: Fit) -> np.ndarray:
    """What fitted weights say about rows [rows, rank] in the axes of the design."""
    said = rows @ fit.weights + fit.intercepts[:, None]
    if target.regression:
        mean, spread = standard(target)
        return said[..., 0].double().cpu().numpy() * spread + mean
    if target.task.kind == "tags":
        return said.double().cpu().numpy()
    return torch.log_softmax(said.double(), dim=2).cpu().numpy()


def held(targets: Sequence[Target]) -> dict[str, np.ndarray]:
    """Split but training -> numbers of the rows that any of the targets has in it, rising."""
    found: dict[str, list[np.ndarray]] = {}
    for target in targets:
        for split in asked(target):
            found.setdefault(split, []).append(target.index[split])
    return {split: np.unique(np.concatenate(several)) for split, several in found.items()}


def standard(target: Target) -> tuple[float, float]:
    """Mean and standard deviation of a number over training rows."""
    truth = target.of(TRAIN)
    return float(truth.mean()), float(truth.std())


def _index(numbers: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(numbers, device=like.device)
