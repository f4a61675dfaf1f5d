"""What a value is worth against chance: level, calibrated score, p corrected for a whole matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsa.inference.intervals import CONFIDENCE, null_level
from rsa.measures.base import Measure, Null

# p of a matrix may be this small at best: no closed form is exact so far out
SMALLEST = 1e-12
# standardised values that differ by less are equal
TIE = 1e-6


@dataclass(frozen=True)
class Verdict:
    """A matrix against chance; every field is [x, y], NaN where not defined.

    Attributes
    ----------
    chance : the value expected where rows of y have nothing to do with rows of x.
    level : what chance passes, towards similarity, in 5 % of cases.
    score : the calibrated value: 0 at `level` or beyond it, 1 for equal layers.
    p : share of chance at least as similar as the value, corrected for the largest of all cells.
    """

    chance: np.ndarray
    level: np.ndarray
    score: np.ndarray
    p: np.ndarray


def verdict(measure: Measure, value: np.ndarray, null: Null, at: tuple) -> Verdict:
    """Holds the cells `at` (an index such as `numpy.ix_` gives) of a measure against its null.

    Parameters
    ----------
    value : [x, y], cells already taken out.
    null : of all layers.
    """
    sign = 1.0 if measure.larger_is_more_similar else -1.0
    if null.draws is None:
        nothing = np.full_like(value, np.nan)
        chance = nothing if null.mean is None else null.mean[at]
        level = nothing if null.level is None else null.level[at]
        p = nothing if null.p is None else sidak(null.p[at])
    else:
        draws = null.draws[(slice(None), *at)]
        mean, level = null_level(sign * draws)
        chance, level = sign * mean, sign * level
        if null.mean is not None:
            level = level + (null.mean[at] - chance)
            chance = null.mean[at]
        p = largest_of_all(sign * value, sign * draws)
    chance, level, p = (np.where(np.isnan(value), np.nan, a) for a in (chance, level, p))
    return Verdict(chance, level, calibrated(measure, value, level), p)


def calibrated(measure: Measure, value: np.ndarray, level: np.ndarray) -> np.ndarray:
    """max(0, (value - level) / (value of equal layers - level)) (Groeger et al. 2026).

    0 as well where chance passes equality itself, as it does with a handful of rows.
    Bits have no largest value: they are taken as the correlation of two Gaussian variables that
    share as many, sqrt(1 - 2^(-2 I)) (Linfoot 1957), first.
    """
    if measure.unit == "bits":
        value, level = (np.sqrt(-np.expm1(-2 * np.log(2) * np.maximum(v, 0.0)))
                        for v in (value, level))  # fmt: skip
    sign = 1.0 if measure.larger_is_more_similar else -1.0
    best = 1.0 if measure.larger_is_more_similar else 0.0
    gain, room = sign * (value - level), sign * (best - level)
    with np.errstate(invalid="ignore", divide="ignore"):
        score = np.where((gain > 0) & (room > 0), gain / room, 0.0)
    return np.where(np.isnan(gain), np.nan, score)


def largest_of_all(value: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """[x, y] p against the distribution of the largest standardised cell of the whole matrix.

    Westfall and Young's single step (1993): a cell's mean and spread are those of its draws and
    its value together, so that under the null all are exchangeable; draws share one permutation,
    so the dependence of the cells is kept. (1 + number of draws that reach the value) over
    (1 + draws) (Phipson and Smyth 2010).

    Parameters
    ----------
    value : [x, y]; larger is more similar. draws : [draws, x, y].
    """
    count = len(draws)
    if count == 0 or np.isnan(value).all():
        return np.full(value.shape, np.nan)
    pool = np.concatenate([value[None], draws])
    spread = pool.std(axis=0, ddof=1)
    # a value that permutations cannot move says nothing, whatever rounding adds
    moved = spread > 1e-12 * np.maximum(1.0, np.abs(value))
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.where(moved, (pool - pool.mean(axis=0)) / spread, np.nan)
    z = np.where(np.isnan(z), -np.inf, z)
    top = np.sort(z[1:].reshape(count, -1).max(axis=1))
    # few groups have few arrangements: the one that was found comes up again, up to rounding
    reached = count - np.searchsorted(top, z[0] - TIE, side="left")
    return np.where(moved & ~np.isnan(value), (1 + reached) / (1 + count), np.nan)


def sidak(p: np.ndarray) -> np.ndarray:
    """[x, y] p corrected for the smallest of all cells, as if cells were independent.

    Cells lean the same way, so this is on the large side (Sidak 1967).
    """
    cells = np.isfinite(p).sum()
    p = np.clip(p, SMALLEST, 1 - 1e-16)
    return np.maximum(-np.expm1(cells * np.log1p(-p)), SMALLEST)


def above(p: np.ndarray, level: float = CONFIDENCE) -> np.ndarray:
    """[x, y] bool: cells that clear the corrected level."""
    with np.errstate(invalid="ignore"):
        return p <= 1 - level + 1e-12
