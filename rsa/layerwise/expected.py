"""Mutual information of two labellings, and what it is by chance alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import gammaln


@dataclass(frozen=True)
class Contingency:
    """How often each value of one labelling meets each value of another: [rows, columns]."""

    counts: np.ndarray

    @classmethod
    def of(cls, a: np.ndarray, b: np.ndarray, values_a: int, values_b: int) -> Contingency:
        """From two labellings of the same things, integers from 0."""
        counts = np.bincount(a * values_b + b, minlength=values_a * values_b)
        return cls(counts.reshape(values_a, values_b))

    @cached_property
    def information(self) -> float:
        """Plug-in mutual information in bits; NaN of nothing."""
        n = self.counts.sum()
        if n == 0:
            return np.nan
        both, a, b = (_sum_of_logs(c) for c in (self.counts, *self._margins))
        return float((both - a - b) / n + np.log2(n))

    @property
    def _margins(self) -> tuple[np.ndarray, np.ndarray]:
        return self.counts.sum(axis=1), self.counts.sum(axis=0)

    @cached_property
    def entropies(self) -> tuple[float, float]:
        """Plug-in entropies of both labellings in bits."""
        n = self.counts.sum()
        if n == 0:
            return np.nan, np.nan
        return tuple(float(np.log2(n) - _sum_of_logs(c) / n) for c in self._margins)

    @cached_property
    def expected(self) -> float:
        """Exact mean of `information` over all rearrangements of one labelling, in bits.

        The cells are then hypergeometric (Vinh et al. 2010, J. Mach. Learn. Res. 11, eq. 24a).
        """
        a, b = (m[m > 0] for m in self._margins)
        n = int(a.sum())
        if n == 0:
            return np.nan
        # equal margins meet equally often
        (a, many_a), (b, many_b) = (np.unique(m, return_counts=True) for m in (a, b))
        first, second = a[:, None, None], b[None, :, None]
        cell = np.arange(1, min(a.max(), b.max()) + 1)[None, None, :]
        possible = (cell <= np.minimum(first, second)) & (cell >= first + second - n)
        log = gammaln(np.arange(n + 2))  # log (m - 1)! at m

        def factorial(m: np.ndarray) -> np.ndarray:
            return log[np.where(possible, m, 0) + 1]

        chance = (
            factorial(first) + factorial(second) + factorial(n - first) + factorial(n - second)
            - log[n + 1] - factorial(cell) - factorial(first - cell) - factorial(second - cell)
            - factorial(n - first - second + cell)
        )  # fmt: skip
        term = cell / n * np.log2(n * cell / (first * second)) * np.exp(chance)
        return float(many_a @ np.where(possible, term, 0.0).sum(axis=2) @ many_b)

    @property
    def beyond_chance(self) -> float:
        """Information less its expectation, in bits."""
        return self.information - self.expected

    @property
    def adjusted(self) -> float:
        """`beyond_chance` as a share of the most it can be, the mean entropy taken for that."""
        most = sum(self.entropies) / 2 - self.expected
        return self.beyond_chance / most if most > 0 else np.nan


def _sum_of_logs(counts: np.ndarray) -> float:
    some = counts[counts > 0]
    return float((some * np.log2(some)).sum())
