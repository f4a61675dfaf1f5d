"""Bits about a label that a probe finds in a layer: predictive V-information."""

from __future__ import annotations

import numpy as np

from probes.heads.base import Answers
from probes.splits import TRAIN, VALID
from probes.targets import Target


def pointwise(target: Target, split: str, answers: Answers, choice: int) -> np.ndarray:
    """[rows] how many bits fewer the probe needs for each held-out row than without the layer.

    H_V(Y) - H_V(Y | X) of Xu et al. 2020, arXiv:2002.10689, definition 2, row by row (Ethayarajh
    et al. 2022, arXiv:2110.08420), with V the probes of this family. Without the layer, the best
    member of the family gives each class, or tag, its frequency in training. A number is taken
    for normal: about the mean and with the variance of training, or about the probe's answer with
    the variance of its error on validation. Below 0 where the probe is surer than it may be.

    Parameters
    ----------
    choice : place in the head's grid.
    """
    truth, train = target.of(split), target.of(TRAIN)
    if target.regression:
        error = truth - answers.outputs[split][choice]
        spread = answers.loss(target, VALID)[choice]
        return _normal(truth - train.mean(), train.var()) - _normal(error, spread)
    with_layer = answers.surprise(target, split)[choice]
    if target.task.kind == "tags":
        # every tag has training rows that have and that lack it: targets are made so
        share = np.nanmean(train, axis=0)
        without = -np.log2(np.where(truth > 0, share, 1 - share))
        return np.where(np.isnan(truth), 0.0, without).sum(axis=1) - with_layer
    return -np.log2(target.prior)[truth] - with_layer


def _normal(deviation: np.ndarray, variance: float) -> np.ndarray:
    """[rows] minus log2 of the density, but for what does not depend on the variance."""
    if not variance > 0:
        return np.full(deviation.shape, np.nan)
    return (np.log(variance) + deviation**2 / variance) / (2 * np.log(2))
