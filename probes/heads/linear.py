"""The linear head: ridge for numbers, multinomial logistic regression for classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from probes.design import Design
from probes.heads.base import Answers
from probes.solvers import Problem, solve
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
    asked = np.unique(np.concatenate([t.index[split] for t in targets for split in _asked(t)]))
    rotated = design.rotate(layer[torch.as_tensor(asked, device=layer.device)])

    def rows_of(target: Target, split: str) -> torch.Tensor:
        place = np.searchsorted(asked, target.index[split])
        return rotated[torch.as_tensor(place, device=layer.device)]

    fits = solve(design, [_problem(target, penalties) for target in targets])
    answers = []
    for target, fit in zip(targets, fits, strict=True):
        splits, surprise = {}, {}
        for split in _asked(target):
            said = rows_of(target, split) @ fit.weights + fit.intercepts[:, None]
            if target.regression:
                spread, mean = _standard(target)
                splits[split] = said[..., 0].double().cpu().numpy() * spread + mean
            else:
                shift = _log_prior(target).to(layer.device)
                splits[split] = (said - shift).argmax(dim=2).cpu().numpy()
                surprise[split] = _surprise(said, target.of(split))
        if target.regression:
            loss = np.square(splits[VALID] - target.of(VALID)).mean(axis=1)
        else:
            loss = surprise[VALID].mean(axis=1) * np.log(2)
        answers.append(Answers(splits, loss, fit.converged.cpu().numpy(), surprise))
    return answers


def _problem(target: Target, penalties: Sequence[float]) -> Problem:
    truth = target.of(TRAIN)
    if target.regression:
        spread, mean = _standard(target)
        return Problem(torch.as_tensor((truth - mean) / spread)[:, None], "squared", penalties)
    return Problem(torch.as_tensor(truth), "softmax", penalties, classes=len(target.classes))


def _standard(target: Target) -> tuple[float, float]:
    """Standard deviation and mean of a number over training rows."""
    truth = target.of(TRAIN)
    return float(truth.std()) or 1.0, float(truth.mean())


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
