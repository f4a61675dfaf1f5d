"""What networks are trained to say about a target, and what their outputs mean."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import cross_entropy, softplus

from probes.metrics import metric
from probes.splits import TRAIN, VALID
from probes.targets import Target


class Objective:
    """The loss of one target: cross-entropy, squared error, or binary cross-entropy of tags.

    Numbers are learned in standard deviations of training about its mean.

    Parameters
    ----------
    device : on which networks are trained.

    Attributes
    ----------
    width : outputs of a network: classes, 1, or tags.
    truth : of training and validation, [rows] or [rows, tags] (NaN where unknown), as learned.
    """

    def __init__(self, target: Target, device: torch.device):
        self.target = target
        self.kind = target.task.kind
        self.width = 1 if target.regression else len(target.classes)
        self.mean, self.spread = 0.0, 1.0
        if target.regression:
            train = target.of(TRAIN)
            self.mean, self.spread = float(train.mean()), float(train.std())
        self.truth = {split: self._learned(split).to(device) for split in (TRAIN, VALID)}
        self._metric = None
        if self.kind == "classification":
            self._metric = metric(target.task.metric, target.classes, target.prior)

    def _learned(self, split: str) -> torch.Tensor:
        values = torch.as_tensor(self.target.of(split))
        if self.target.regression:
            return ((values - self.mean) / self.spread).float()
        return values if self.kind == "classification" else values.float()

    def loss(self, raw: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """[networks] mean loss, from outputs [networks, rows, width]; tags: of the known ones."""
        if self.kind == "classification":
            flat = cross_entropy(
                raw.flatten(0, 1), truth.expand(len(raw), -1).flatten(), reduction="none"
            )
            return flat.unflatten(0, raw.shape[:2]).mean(dim=1)
        if self.target.regression:
            return (raw[..., 0] - truth).square().mean(dim=1)
        known = ~truth.isnan()
        each = torch.where(known, softplus(raw) - torch.where(known, truth, 0.0) * raw, 0.0)
        return each.sum(dim=(1, 2)) / known.sum().clamp_min(1)

    def shortfall(self, raw: torch.Tensor, stop_on: str) -> torch.Tensor:
        """[networks] how far validation outputs [networks, rows, width] are from good; float64.

        The loss, or minus the score: of classes the task's own metric, of tags the area under the
        ROC curve. Of numbers always the loss, which orders networks as R2 does.
        """
        if stop_on == "loss" or self.target.regression:
            return self.loss(raw, self.truth[VALID]).double()
        if self.kind == "classification":
            said = self._metric.answers(self.outputs(raw))
            score = self._metric.score(self.target.of(VALID), said)
            # a network that diverged has no score
            score = np.where(raw.isfinite().all(dim=2).all(dim=1).cpu().numpy(), score, np.nan)
            return -torch.as_tensor(score, device=raw.device)
        return -area_under_curve(raw, self.truth[VALID])

    def outputs(self, raw: torch.Tensor) -> np.ndarray:
        """As in `Answers.outputs`, from outputs [networks, rows, width]."""
        if self.kind == "classification":
            return torch.log_softmax(raw, dim=2).cpu().numpy()
        if self.target.regression:
            return raw[..., 0].double().cpu().numpy() * self.spread + self.mean
        return raw.cpu().numpy()


def area_under_curve(raw: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """[networks] macro-averaged area under the ROC curve, float64; NaN where no tag has one.

    From ranks (Mann and Whitney 1947), those of equal outputs averaged, of all networks and tags
    at once.

    Parameters
    ----------
    raw : [networks, rows, tags].
    truth : [rows, tags] of 0, 1 and NaN.
    """
    known = ~truth.isnan()
    # unknown rows rank above all others, where they move no rank that counts
    values = torch.where(known, raw, torch.inf).transpose(1, 2).contiguous()
    ordered = values.sort(dim=2).values
    below = torch.searchsorted(ordered, values)
    rank = (below + torch.searchsorted(ordered, values, right=True) + 1).double() / 2
    there = (truth == 1).T
    n, some = there.sum(dim=1).double(), known.sum(dim=0).double()
    won = (rank * there).sum(dim=2) - n * (n + 1) / 2
    pairs = n * (some - n)
    area = torch.where(pairs > 0, won / pairs.clamp_min(1), torch.nan)
    broken = raw.isnan().any(dim=2).any(dim=1)
    return torch.where(broken, torch.nan, area.nanmean(dim=1))
