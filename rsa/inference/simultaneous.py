"""Numbers that are tested against zero together, with intervals that hold for all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from rsa.inference.intervals import CONFIDENCE

DRAWS = 10_000  # of the null distribution
TIE = 1e-12  # values and spreads below are those of equal things


@dataclass(frozen=True)
class Contrast:
    """A value with its simultaneous 95 % interval and its corrected p; NaN where not defined."""

    value: float
    low: float
    high: float
    p: float

    @property
    def above(self) -> bool:
        """Shown to be larger than zero."""
        return self.value > 0 and self.p <= 1 - CONFIDENCE

    def as_json(self) -> dict:
        """Numbers that do not exist are None."""
        numbers = {"value": self.value, "low": self.low, "high": self.high, "p": self.p}
        return {name: v if math.isfinite(v) else None for name, v in numbers.items()}

    @classmethod
    def from_json(cls, entry: Mapping) -> Contrast:
        """Reads what `as_json` wrote."""
        numbers = (entry[name] for name in ("value", "low", "high", "p"))
        return cls(*(math.nan if v is None else float(v) for v in numbers))


def from_influence(influence: np.ndarray, rows: int) -> np.ndarray:
    """[groups, ...] deviations for `simultaneous`, from influences summed over rows of a group."""
    groups = len(influence)
    return np.sqrt(groups / max(groups - 1, 1)) * influence / rows


def from_replicates(replicates: np.ndarray) -> np.ndarray:
    """[blocks, ...] deviations for `simultaneous`, from estimates without each block."""
    blocks = len(replicates)
    return np.sqrt((blocks - 1) / max(blocks, 1)) * (replicates - replicates.mean(axis=0))


def simultaneous(value: np.ndarray, deviations: np.ndarray, seed: int = 0) -> np.ndarray:
    """[...] object array of `Contrast`, against the distribution of the largest of all, either way.

    Single-step max-t (Hothorn, Bretz and Westfall 2008): the values are taken for normal, with the
    covariance sum over units of the products of their deviations; each divided by its standard
    error has the tails of t with units - 1 degrees of freedom.

    Parameters
    ----------
    value : [...].
    deviations : [units, ...] of groups, or of blocks of groups.
    """
    flat, some = np.ravel(value).astype(float), deviations.reshape(len(deviations), -1)
    out = np.full((3, len(flat)), np.nan)
    usable = np.isfinite(flat) & np.isfinite(some).all(axis=0)
    units = len(some)
    if units >= 2 and usable.any():
        error = np.sqrt((some[:, usable] ** 2).sum(axis=0))
        still = error <= TIE
        scaled = np.where(still, 0.0, some[:, usable] / np.where(still, 1.0, error))
        # products with the deviations themselves have their covariance
        rng = np.random.default_rng(seed)
        largest = np.abs(rng.standard_normal((DRAWS, units)) @ scaled).max(axis=1)
        size = np.abs(flat[usable])
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(size > TIE, size / np.where(still, 0.0, error), 0.0)
        largest.sort()
        alike = stats.norm.isf(stats.t.sf(ratio, units - 1))
        reached = DRAWS - np.searchsorted(largest, alike, side="left")
        tail = stats.norm.sf(np.quantile(largest, CONFIDENCE))
        reach = stats.t.isf(tail, units - 1) * error
        out[:, usable] = flat[usable] - reach, flat[usable] + reach, (1 + reached) / (1 + DRAWS)
    found = np.empty(len(flat), dtype=object)
    found[:] = [Contrast(*map(float, line)) for line in zip(flat, *out, strict=True)]
    return found.reshape(np.shape(value))
