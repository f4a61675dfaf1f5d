"""Heads: what is trained on a frozen layer. So far the linear one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from probes.design import Design
from probes.solvers import logistic, ridge
from probes.splits import TRAIN
from probes.targets import Target


@dataclass(frozen=True)
class Answers:
    """What one head says about the rows of each split, for each penalty.

    Attributes
    ----------
    splits : split -> [penalties, rows of the split], class index or number.
    converged : [penalties] whether the optimum was reached.
    """

    splits: dict[str, np.ndarray]
    converged: np.ndarray


def linear(
    layer: torch.Tensor, targets: Sequence[Target], penalties: Sequence[float]
) -> list[Answers]:
    """Linear probes of one layer for targets that share their training rows.

    Regression is ridge on the standardised target; classification is multinomial logistic
    regression. For a metric that is blind to how frequent classes are (balanced accuracy), the
    answer is the class with the largest p(class | row) / p(class), with the frequencies of
    training: the decision that maximises it (Menon et al. 2021, "Long-tail learning via logit
    adjustment"); the fit itself is not reweighted.

    Parameters
    ----------
    layer : [all rows, width] float32.
    """
    train = torch.as_tensor(targets[0].index[TRAIN], device=layer.device)
    design = Design.of(layer[train])
    asked = np.unique(np.concatenate([t.index[split] for t in targets for split in _asked(t)]))
    rotated = design.rotate(layer[torch.as_tensor(asked, device=layer.device)])

    def rows_of(target: Target, split: str) -> torch.Tensor:
        place = np.searchsorted(asked, target.index[split])
        return rotated[torch.as_tensor(place, device=layer.device)]

    numbers = [t for t in targets if t.regression]
    labelled = [t for t in targets if not t.regression]
    out: dict[int, Answers] = {}
    if numbers:
        truth = torch.as_tensor(np.stack([t.of(TRAIN) for t in numbers], axis=1))
        spread = truth.std(dim=0)
        weights, means = ridge(
            design.rows, design.eigenvalues, (truth / spread).to(layer.device), penalties
        )
        for column, target in enumerate(numbers):
            chosen = weights[:, :, column].T
            splits = {
                split: ((rows_of(target, split).double() @ chosen + means[column]).T.cpu()
                        * spread[column]).numpy()
                for split in _asked(target)
            }  # fmt: skip
            out[id(target)] = Answers(splits, np.ones(len(penalties), dtype=bool))
    if labelled:
        fits = logistic(
            design.rows,
            design.eigenvalues,
            [torch.as_tensor(t.of(TRAIN)) for t in labelled],
            [len(t.classes) for t in labelled],
            penalties,
        )
        for target, fit in zip(labelled, fits, strict=True):
            shift = _log_prior(target).to(layer.device)
            splits = {}
            for split in _asked(target):
                logits = rows_of(target, split) @ fit.weights + fit.intercepts[:, None] - shift
                splits[split] = logits.argmax(dim=2).cpu().numpy()
            out[id(target)] = Answers(splits, fit.converged.cpu().numpy())
    return [out[id(target)] for target in targets]


def _asked(target: Target) -> list[str]:
    return [split for split in target.index if split != TRAIN]


def _log_prior(target: Target) -> torch.Tensor:
    """[classes] what is taken off the logits before the largest is chosen."""
    if not target.metric.prior_corrected:
        return torch.zeros(len(target.classes))
    counts = torch.bincount(torch.as_tensor(target.of(TRAIN)), minlength=len(target.classes))
    return (counts / counts.sum()).log().float()
