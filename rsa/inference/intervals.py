"""How sure a number is: intervals over groups, and the level that chance exceeds."""

from __future__ import annotations

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


def jackknife(
    value: np.ndarray,
    replicates: np.ndarray,
    level: float = CONFIDENCE,
    units: float = np.inf,
) -> tuple[np.ndarray, np.ndarray]:
    """Interval from leaving one block of groups out at a time.

    Parameters
    ----------
    value : [...] estimate over all rows.
    replicates : [blocks, ...] estimates without each block.
    units : equal groups that the groups are worth, where that is fewer than there are blocks; see
        `rsa.rows.grouping.Grouping.units`.

    Returns
    -------
    low, high : [...]; the estimate plus and minus the t quantile (blocks - 1 degrees of freedom)
        times the delete-one-block standard error (Shao and Tu 1995, section 2.3). NaN with fewer
        than two blocks.
    """
    blocks = len(replicates)
    if blocks < 2:
        return np.full_like(value, np.nan), np.full_like(value, np.nan)
    spread = ((replicates - replicates.mean(axis=0)) ** 2).sum(axis=0)
    error = np.sqrt(spread * (blocks - 1) / blocks)
    return around(value, error, max(min(blocks, units), 2.0), level)


def linearized(
    value: np.ndarray, influence: np.ndarray, rows: int, level: float = CONFIDENCE
) -> tuple[np.ndarray, np.ndarray]:
    """Interval from the influence of each group, summed over its rows.

    Parameters
    ----------
    influence : [groups, ...] sum over a group's rows of the influence function.

    Returns
    -------
    low, high : [...]; the cluster-robust (infinitesimal jackknife) interval.
    """
    groups = len(influence)
    if groups < 2:
        return np.full_like(value, np.nan), np.full_like(value, np.nan)
    error = np.sqrt(groups / (groups - 1) * (influence**2).sum(axis=0)) / rows
    return around(value, error, groups, level)


def subsampled(
    value: np.ndarray, replicates: np.ndarray, kept: int, groups: int, level: float = CONFIDENCE
) -> tuple[np.ndarray, np.ndarray]:
    """Interval from estimates on subsets of the groups, drawn without replacement.

    The bootstrap would put rows beside their own copies, which pairwise measures take for
    similarity. The spread over subsets of m of n groups stands for sqrt(m / (n - m)) of itself
    (delete-d jackknife, Shao and Wu 1989).

    Parameters
    ----------
    replicates : [subsets, ...]; kept : groups of each subset; groups : of all.
    """
    if len(replicates) < 2 or kept >= groups:
        return np.full_like(value, np.nan), np.full_like(value, np.nan)
    error = replicates.std(axis=0, ddof=1) * np.sqrt(kept / (groups - kept))
    return around(value, error, len(replicates), level)


def around(
    value: np.ndarray, error: np.ndarray, units: int, level: float = CONFIDENCE
) -> tuple[np.ndarray, np.ndarray]:
    """Value plus and minus the t quantile, with units - 1 degrees of freedom, times the error."""
    reach = stats.t.ppf(0.5 + level / 2, units - 1) * error
    return value - reach, value + reach


def null_level(
    draws: np.ndarray, level: float = CONFIDENCE, skewed: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Mean of chance, and the level it exceeds in 1 - `level` of the cases.

    A Pearson III curve through the draws' mean, spread and skewness, the shape that permutation
    distributions of the RV coefficient follow (Kazi-Aoual et al. 1995); widened for the number of
    draws as a prediction bound is. Skewness is held between 0 and that of one squared normal.

    Parameters
    ----------
    draws : [draws, ...].
    """
    count = len(draws)
    if count < 3:
        nothing = np.full(draws.shape[1:], np.nan)
        return nothing, nothing.copy()
    mean, spread = draws.mean(axis=0), draws.std(axis=0, ddof=1)
    tail = np.full(mean.shape, stats.norm.ppf(level))
    if skewed and count >= 10:
        with np.errstate(invalid="ignore", divide="ignore"):
            skew = ((draws - mean) ** 3).mean(axis=0) / spread**3
        skew = np.clip(np.nan_to_num(skew), 0.0, np.sqrt(8.0))
        tail = np.asarray(stats.pearson3.ppf(level, skew), dtype=float)
    few = stats.t.ppf(level, count - 1) / stats.norm.ppf(level) * np.sqrt(1 + 1 / count)
    return mean, mean + tail * few * spread
