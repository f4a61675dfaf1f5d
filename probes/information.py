"""Bits about a label that a probe finds in a layer: predictive V-information."""

from __future__ import annotations

import numpy as np

from probes import inference
from probes.heads.base import Answers
from probes.results import Score
from probes.splits import TRAIN
from probes.targets import Target


def information(
    target: Target, split: str, answers: Answers, choice: int, resamples: int, seed: int
) -> Score:
    """How many bits fewer the probe needs for the targets of held-out rows than without the layer.

    H_V(Y) - H_V(Y | X) of Xu et al. 2020, arXiv:2002.10689, definition 2, with V the probes of this
    family; both terms are cross-entropies on held-out rows. Without the layer, the best member
    of the family gives each class its frequency in training. A number is taken for normal: about
    the mean and with the variance of training, or about the probe's answer with the variance of
    its error on validation. Below 0 where the probe is surer than it may be. The interval is over
    groups, on the fixed answers.

    Parameters
    ----------
    choice : place of the penalty.

    Returns
    -------
    Score in bits a row.
    """
    truth, train = target.of(split), target.of(TRAIN)
    if target.regression:
        error = truth - answers.splits[split][choice]
        row = _normal(truth - train.mean(), train.var()) - _normal(error, answers.loss[choice])
    else:
        # every class has rows in training: targets are made so
        counts = np.bincount(train, minlength=len(target.classes))
        row = -np.log2(counts / counts.sum())[truth] - answers.surprise[split][choice]
    index = target.group_index(split)
    groups = int(index.max()) + 1
    gained = np.bincount(index, weights=row, minlength=groups)
    rows = np.bincount(index, minlength=groups)
    draws = inference.draw(groups, resamples, seed)
    low, high = inference.interval((draws @ gained) / (draws @ rows), groups)
    return Score(float(row.mean()), float(low), float(high))


def _normal(deviation: np.ndarray, variance: float) -> np.ndarray:
    """[rows] minus log2 of the density, but for what does not depend on the variance."""
    if not variance > 0:
        return np.full(deviation.shape, np.nan)
    return (np.log(variance) + deviation**2 / variance) / (2 * np.log(2))
