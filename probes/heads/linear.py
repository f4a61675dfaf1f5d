"""The linear head: ridge for numbers, multinomial logistic regression for classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from probes.design import Design
from probes.heads.base import Answers
from probes.solvers.linear import logistic, ridge
from probes.splits import TRAIN, VALID
from probes.targets import Target

# Of the squared weights against the loss summed over rows: the `alpha` of scikit-learn's Ridge, the
# 1 / C of its LogisticRegression. What is best for it does not depend on the number of rows (it
# is a ratio of variances). Weak enough to leave standardised columns nearly alone, strong enough
# to leave nothing of them.
PENALTIES = (1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6)


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
    penalties : of the squared weights, against the loss summed over training rows.
    """
    train = torch.as_tensor(targets[0].index[TRAIN], device=layer.device)
    design = Design.of(layer[train])
    a_row = [penalty / len(train) for penalty in penalties]
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
            design.rows, design.eigenvalues, (truth / spread).to(layer.device), a_row
        )
        for column, target in enumerate(numbers):
            chosen = weights[:, :, column].T
            splits = {
                split: ((rows_of(target, split).double() @ chosen + means[column]).T.cpu()
                        * spread[column]).numpy()
                for split in _asked(target)
            }  # fmt: skip
            loss = np.square(splits[VALID] - target.of(VALID)).mean(axis=1)
            out[id(target)] = Answers(splits, loss, np.ones(len(penalties), dtype=bool))
    if labelled:
        fits = logistic(
            design.rows,
            design.eigenvalues,
            [torch.as_tensor(t.of(TRAIN)) for t in labelled],
            [len(t.classes) for t in labelled],
            a_row,
        )
        for target, fit in zip(labelled, fits, strict=True):
            shift = _log_prior(target).to(layer.device)
            splits, surprise = {}, {}
            for split in _asked(target):
                logits = rows_of(target, split) @ fit.weights + fit.intercepts[:, None]
                splits[split] = (logits - shift).argmax(dim=2).cpu().numpy()
                surprise[split] = _surprise(logits, target.of(split))
            loss = surprise[VALID].mean(axis=1) * np.log(2)
            out[id(target)] = Answers(splits, loss, fit.converged.cpu().numpy(), surprise)
    return [out[id(target)] for target in targets]


def _asked(target: Target) -> list[str]:
    return [split for split in target.index if split != TRAIN]


def _surprise(logits: torch.Tensor, truth: np.ndarray) -> np.ndarray:
    """[penalties, rows] bits, from logits [penalties, rows, classes]."""
    chances = torch.log_softmax(logits.double(), dim=2)
    index = torch.as_tensor(truth, device=logits.device).expand(len(logits), -1)[..., None]
    return -chances.gather(2, index)[..., 0].cpu().numpy() / np.log(2)


def _log_prior(target: Target) -> torch.Tensor:
    """[classes] what is taken off the logits before the largest is chosen."""
    if not target.metric.prior_corrected:
        return torch.zeros(len(target.classes))
    counts = torch.bincount(torch.as_tensor(target.of(TRAIN)), minlength=len(target.classes))
    return (counts / counts.sum()).log().float()
