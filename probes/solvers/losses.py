"""Losses of many units on the same rows: value, residual, and curvature among classes.

A unit is what converges alone: one set of targets with one penalty. Its logits are [width, rows],
`width` being the classes of a softmax and 1 otherwise. A loss holds the targets of every set, each
with rows' weights that sum to one; several units (penalties) share a set.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch

TINY = 1e-37  # the smallest probability whose logarithm float32 can hold


class Loss(ABC):
    """Targets of some sets.

    Attributes
    ----------
    targets : [sets, rows].
    weights : [sets, rows], or [1, rows] where all sets share them; each sums to one, over the
        rows of all processes.
    count : rows of all processes.
    width : columns that a unit has.
    strict : factor on the tolerance.
    floor : least objective that the tolerance is relative to, after that factor: float32 does not
        resolve the chance of a row that is all but certain.
    """

    strict, floor = 1.0, 2.5e-4

    def __init__(
        self,
        targets: torch.Tensor,
        weights: torch.Tensor,
        width: int = 1,
        count: int | None = None,
    ):
        self.targets, self.weights, self.width = targets, weights, width
        self.count = targets.shape[1] if count is None else count

    @abstractmethod
    def means(self) -> torch.Tensor:
        """[sets, width] weighted sums of the targets over the rows of this process."""

    @abstractmethod
    def start(self, means: torch.Tensor) -> torch.Tensor:
        """[sets, width] the intercepts that are best without any other weight.

        Parameters
        ----------
        means : summed over processes.
        """

    @abstractmethod
    def residual(
        self, logits: torch.Tensor, sets: torch.Tensor, bend: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Puts the gradient with respect to the logits in their place.

        Parameters
        ----------
        logits : [units, width, rows], overwritten.
        sets : [units] which set each unit has.
        bend : whether the curvature is asked for.

        Returns
        -------
        loss [units], and the mean second derivative [units, width, width] or None.
        """

    def _targets(self, sets: torch.Tensor) -> torch.Tensor:
        return self.targets.index_select(0, sets)  # many times faster than an index

    def _weights(self, sets: torch.Tensor) -> torch.Tensor:
        return self.weights if len(self.weights) == 1 else self.weights.index_select(0, sets)

    @staticmethod
    def _mean(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """[units], of values [units, rows]."""
        return values @ weights[0] if len(weights) == 1 else torch.linalg.vecdot(values, weights)


class Softmax(Loss):
    """Cross-entropy of class indices [sets, rows] int64."""

    def __init__(
        self, targets: torch.Tensor, weights: torch.Tensor, width: int, count: int | None = None
    ):
        super().__init__(targets, weights, width, count)
        rows = targets.shape[1]
        # where the right class of each row lies in [width * rows]
        self.place = targets * rows + torch.arange(rows, device=targets.device)

    def means(self) -> torch.Tensor:
        return torch.stack(
            [(self.weights * (self.targets == c)).sum(dim=1) for c in range(self.width)], dim=1
        )

    def start(self, means: torch.Tensor) -> torch.Tensor:
        # a class without rows has its optimum at minus infinity: as good as there
        logits = means.clamp_min(1e-3 / self.count).log()
        return logits - logits.mean(dim=1, keepdim=True)

    def residual(self, logits, sets, bend):
        place, weights = self.place.index_select(0, sets), self._weights(sets)
        logits -= logits.amax(dim=1, keepdim=True)
        chance = logits.exp_()
        chance /= chance.sum(dim=1, keepdim=True)
        flat = chance.flatten(1)
        right = flat.gather(1, place).clamp_min_(TINY).log_()
        loss = -self._mean(right, weights)
        curvature = None
        if bend:
            weighted = chance * weights[:, None]
            curvature = torch.diag_embed(weighted.sum(dim=2))
            curvature -= torch.bmm(weighted, chance.transpose(1, 2))
        flat.scatter_add_(1, place, flat.new_full((1, 1), -1.0).expand(place.shape))
        chance *= weights[:, None]
        return loss, curvature


class Sigmoid(Loss):
    """Binary cross-entropy of targets [sets, rows] in 0 .. 1."""

    def means(self) -> torch.Tensor:
        return (self.weights * self.targets).sum(dim=1, keepdim=True)

    def start(self, means: torch.Tensor) -> torch.Tensor:
        least = 1e-3 / self.count
        return means.clamp(least, 1 - least).logit()

    def residual(self, logits, sets, bend):
        flat, target, weights = logits[:, 0], self._targets(sets), self._weights(sets)
        loss = self._mean(torch.relu(flat).addcmul_(flat, target, value=-1), weights)
        chance = flat.sigmoid_()
        # log(1 + exp(-|z|)) is minus the logarithm of the larger of the two chances
        larger = (chance - 0.5).abs_().add_(0.5)
        loss -= self._mean(larger.log_(), weights)
        curvature = None
        if bend:
            curvature = self._mean(chance - chance.square(), weights)[:, None, None]
        flat -= target
        flat *= weights
        return loss, curvature


class Squared(Loss):
    """Half the squared distance to targets [sets, rows]."""

    # predictions are off by the root of the gap, and a parabola is soon at its bottom
    strict, floor = 1e-4, 2.5e-6

    def means(self) -> torch.Tensor:
        return (self.weights * self.targets).sum(dim=1, keepdim=True)

    def start(self, means: torch.Tensor) -> torch.Tensor:
        return means

    def residual(self, logits, sets, bend):
        flat = logits[:, 0]
        flat -= self._targets(sets)
        weighted = flat * self._weights(sets)
        loss = 0.5 * torch.linalg.vecdot(flat, weighted)
        flat.copy_(weighted)
        return loss, torch.ones_like(loss)[:, None, None] if bend else None
