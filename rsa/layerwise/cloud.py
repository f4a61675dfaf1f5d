"""Where the rows of one layer lie: how long they are, how they point, how tracks hold together.

All from sums over groups, so that leaving one group out is a subtraction.
"""

from __future__ import annotations

import numpy as np

from rsa.inference.intervals import jackknife
from rsa.rows.grouping import Grouping


def norms(x: np.ndarray, grouping: Grouping) -> dict[str, tuple]:
    """Mean Euclidean norm of raw rows, and its standard deviation over that mean.

    Parameters
    ----------
    x : [rows, width], not centred, groups contiguous.
    """
    size = np.abs(x).max()
    if size == 0.0:
        return {"norm": (0.0, 0.0, 0.0), "norm_spread": (np.nan,) * 3}
    length = np.sqrt(np.einsum("ij,ij->i", x / size, x / size)) * size
    centre = length.mean()
    off = length - centre
    sums = grouping.sum_by_group(np.stack([np.ones_like(off), off, off**2], axis=1))

    def of(s: np.ndarray) -> np.ndarray:
        n, first, second = s.T
        mean = first / n
        variance = (second / n - mean**2) * n / (n - 1)
        # rounding may leave less than nothing where all norms are equal
        return np.stack([mean + centre, np.sqrt(np.maximum(variance, 0)) / (mean + centre)], axis=1)

    return _named(("norm", "norm_spread"), *_without_each(of, sums))


def anisotropy(x: np.ndarray, grouping: Grouping) -> tuple[tuple, int]:
    """Mean cosine between rows of different groups, raw (Ethayarajh 2019), over all such pairs.

    Returns
    -------
    (value, low, high), and the number of rows of norm zero, which have no direction.
    """
    size = np.abs(x).max(axis=1, keepdims=True)
    scaled = x / np.where(size > 0, size, 1.0)
    length = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))
    some = length > 0
    unit = scaled / np.where(some, length, 1.0)[:, None]
    sums = grouping.sum_by_group(unit)
    counts = grouping.sum_by_group(some.astype(float))
    total, n = sums.sum(axis=0), counts.sum()
    own = np.einsum("ij,ij->i", sums, sums)
    # |S - s|^2 without the difference's own matrix; the same for the counts of pairs
    square = np.concatenate([[0.0], own - 2 * sums @ total]) + total @ total
    within = own.sum() - np.concatenate([[0.0], own])
    pairs = (n - np.concatenate([[0.0], counts])) ** 2
    pairs -= (counts**2).sum() - np.concatenate([[0.0], counts**2])
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where(pairs > 0, (square - within) / pairs, np.nan)
    low, high = jackknife(values[0], values[1:])
    return (float(values[0]), float(low), float(high)), int((~some).sum())


def between_tracks(x: np.ndarray, grouping: Grouping) -> tuple[float, float, float]:
    """Share of the variance that separates groups: 1 - V_within / V_across.

    V is half the mean squared distance of two rows, of one group and of different groups: the
    intraclass correlation of the whole vector, without bias from the number of rows of a group.
    NaN where every group is one row.
    """
    sizes = grouping.sizes.astype(float)
    z = x - x.mean(axis=0)
    size = np.abs(z).max()
    if grouping.groups < 3 or size == 0.0 or (sizes > 1).sum() < 2:
        return (np.nan,) * 3
    z /= size
    lengths = grouping.sum_by_group(np.einsum("ij,ij->i", z, z))
    sums = grouping.sum_by_group(z)
    own = np.einsum("ij,ij->i", sums, sums)
    total = sums.sum(axis=0)
    square = np.concatenate([[0.0], own - 2 * sums @ total]) + total @ total

    def left(values: np.ndarray) -> np.ndarray:
        return values.sum() - np.concatenate([[0.0], values])

    n, within = left(sizes), left(sizes * lengths - own)
    pairs_within, pairs = left(sizes**2 - sizes), n**2 - left(sizes**2)
    across = n * left(lengths) - square - within
    with np.errstate(invalid="ignore", divide="ignore"):
        values = 1 - (within / pairs_within) / (across / pairs)
    low, high = jackknife(values[0], values[1:])
    return float(values[0]), float(low), float(high)


def _without_each(of, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A function of sums over groups: over all of them, and its interval."""
    with np.errstate(invalid="ignore", divide="ignore"):
        value = of(sums.sum(axis=0)[None])[0]
        low, high = jackknife(value, of(sums.sum(axis=0) - sums))
    return value, low, high


def _named(names: tuple[str, ...], *columns: np.ndarray) -> dict[str, tuple]:
    return {n: tuple(float(c[k]) for c in columns) for k, n in enumerate(names)}
