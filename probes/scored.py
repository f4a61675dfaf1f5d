"""A score of one layer on one split, and how it is made again for any resample of groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Score:
    """A number with its 95 % interval over groups; NaN where it does not exist."""

    value: float
    low: float
    high: float


class Scored(Protocol):
    """A score and what it would be on other draws of the same groups.

    Attributes
    ----------
    value : on all rows of the split; NaN where it is not defined.
    groups : how many there are in the split.
    """

    value: float
    groups: int

    def resampled(self, counts: np.ndarray) -> np.ndarray:
        """[resamples] from how often each group is drawn, [resamples, groups]."""


@dataclass(frozen=True)
class Sums:
    """A score that is a function of sums over rows.

    Attributes
    ----------
    sums : [groups, k] of each group.
    of : score from sums [..., k]: [...].
    """

    sums: np.ndarray
    of: Callable[[np.ndarray], np.ndarray]

    @property
    def value(self) -> float:
        return float(self.of(self.sums.sum(axis=0)))

    @property
    def groups(self) -> int:
        return len(self.sums)

    def resampled(self, counts: np.ndarray) -> np.ndarray:
        return self.of(counts @ self.sums)


def group_sums(terms: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """[..., groups, k] from what each row adds, [..., rows, k], and its group, [rows]."""
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(groups.max() + 1))
    return np.add.reduceat(terms[..., order, :], starts, axis=-2)
