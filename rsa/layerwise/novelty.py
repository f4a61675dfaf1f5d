"""What a layer adds to the one before it: what no linear map of that layer predicts."""

from __future__ import annotations

import numpy as np

from rsa.inference.intervals import linearized
from rsa.layerwise.spectrum import Spectrum
from rsa.rows.grouping import Grouping

FOLDS = 5
# components of the layer before, and of the layer itself, at most
INPUTS, OUTPUTS = 128, 256
# ridge penalties, as shares of the mean variance of the inputs
PENALTIES = 10.0 ** np.arange(-6, 3)


def novelty(
    before: Spectrum, layer: Spectrum, grouping: Grouping, seed: int
) -> tuple[tuple[float, float, float], list[str]]:
    """1 - R2 of a ridge regression of a layer on the one before, on groups it was not fitted to.

    R2 = 1 - |Y - prediction|^2 / |Y - mean of the training rows|^2, summed over all columns. Up to
    128 principal components predict up to 256; the penalty has the smallest generalised
    cross-validation error (Golub et al. 1979) on the training rows.

    Returns
    -------
    (value, low, high), and notes. 0: a linear map of the layer before; 1: nothing linear is kept;
    above 1 where rows are too few for the fit.
    """
    if grouping.groups < FOLDS:
        return (np.nan,) * 3, [f"{grouping.groups} groups are too few: {FOLDS} are needed"]
    x, y = before.scores[:, :INPUTS], layer.scores[:, :OUTPUTS]
    dealt = np.random.default_rng([seed, 4]).permutation(grouping.groups) % FOLDS
    fold = dealt[grouping.group_of_row]
    left, whole = np.zeros(grouping.rows), np.zeros(grouping.rows)
    for f in range(FOLDS):
        test = fold == f
        errors, base = _held_out(x[~test], y[~test], x[test], y[test])
        left[test], whole[test] = errors, base
    mean = whole.mean()
    value = left.mean() / mean
    influence = grouping.sum_by_group((left - value * whole) / mean)
    low, high = linearized(np.array(value), influence, grouping.rows)
    notes = []
    share = layer.power[:OUTPUTS].sum() / layer.power.sum()
    if share < 0.99:
        notes.append(f"of its {OUTPUTS} leading components, with less than 99 % of its variance")
    return (float(value), float(low), float(high)), notes


def _held_out(
    x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """[test rows] squared error of the ridge regression, and of the training mean."""
    n, centre, mean = len(x), x.mean(axis=0), y.mean(axis=0)
    xc, yc = x - centre, y - mean
    power, vectors = np.linalg.eigh(xc.T @ xc)
    kept = power > power[-1] * max(xc.shape) * np.finfo(float).eps
    power, vectors = power[kept], vectors[:, kept]
    along = vectors.T @ (xc.T @ yc)
    penalties = PENALTIES * power.sum() / len(power)
    shrunk = 1 / (power + penalties[:, None])
    # |Yc - H Yc|^2 from the coordinates along each component
    gain = (along**2).sum(axis=1)
    rest = (yc**2).sum() - 2 * shrunk @ gain + (shrunk**2 * power) @ gain
    freedom = n - 1 - (power * shrunk).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.where(freedom > 0, rest / freedom**2, np.inf)
    best = int(np.argmin(score))
    predicted = mean + (x_test - centre) @ (vectors @ (shrunk[best][:, None] * along))
    return ((y_test - predicted) ** 2).sum(axis=1), ((y_test - mean) ** 2).sum(axis=1)
