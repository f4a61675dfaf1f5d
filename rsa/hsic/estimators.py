"""The Hilbert-Schmidt independence criterion of two kernels, from sums over pairs of rows.

Three estimators, one arithmetic; they differ in which pairs of rows count:

`biased`
    all pairs: tr(KHLH), the plug-in value (Gretton et al. 2005), up to a factor.
`debiased`
    all but a row with itself: HSIC_1 of Song et al. 2012 (JMLR 13, equation 4).
`track-debiased`
    only rows of different groups: the U-statistic E[K_ij L_ij] + E[K_ij L_qr] - 2 E[K_ij L_iq]
    with i, j, q, r always from different groups. With one row a group it is HSIC_1. Each mean is
    over its own admissible tuples, so that with groups of unequal sizes the value depends on the
    origin: columns are centred on the mean of all rows before, in every use of this package.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

KINDS = ("biased", "debiased", "track-debiased")


@dataclass(frozen=True)
class Counts:
    """Sums of powers of the group sizes, which fix the number of admissible tuples of rows.

    Attributes
    ----------
    rows, squares, cubes, fourths : sums of m, m^2, m^3, m^4 over groups of m rows.
    groups : number of groups.
    """

    groups: int
    rows: float
    squares: float
    cubes: float
    fourths: float

    @classmethod
    def of(cls, sizes: np.ndarray) -> Counts:
        m = np.asarray(sizes, dtype=np.float64)
        return cls(len(m), m.sum(), (m**2).sum(), (m**3).sum(), (m**4).sum())


@dataclass(frozen=True)
class Sums:
    """What one estimator needs of a pair of kernels; every field broadcasts to [x, y].

    Sums run over admissible tuples of rows only.

    Attributes
    ----------
    product : sum over i, j of K_ij L_ij.
    third : sum over i, j, q of K_ij L_iq.
    total_x, total_y : sums over i, j of K_ij and of L_ij.
    paired : sum over groups of the product of the groups' shares in the two totals
        (track-debiased only).
    between : sum over pairs of groups of the product of their summed kernels (track-debiased
        only).
    """

    product: np.ndarray
    third: np.ndarray
    total_x: np.ndarray
    total_y: np.ndarray
    paired: np.ndarray | float = 0.0
    between: np.ndarray | float = 0.0


def hsic(kind: str, sums: Sums, counts: Counts) -> np.ndarray:
    """Value of one estimator; NaN where there are too few rows or groups for it."""
    n = counts.rows
    totals = sums.total_x * sums.total_y
    if kind == "biased":
        if n < 2:
            return np.full(np.shape(sums.product), np.nan)
        return (sums.product - 2 / n * sums.third + totals / n**2) / (n - 1) ** 2
    if kind == "debiased":
        if n < 4:
            return np.full(np.shape(sums.product), np.nan)
        second = totals / ((n - 1) * (n - 2))
        return (sums.product + second - 2 / (n - 2) * sums.third) / (n * (n - 3))
    if counts.groups < 4:
        return np.full(np.shape(sums.product), np.nan)
    m2, m3, m4 = counts.squares, counts.cubes, counts.fourths
    pairs = n**2 - m2
    quadruples = pairs**2 - 4 * (n**2 * m2 - 2 * n * m3 + m4) + 2 * (m2**2 - m4)
    triples = n**3 - 3 * n * m2 + 2 * m3
    second = totals - 4 * sums.paired + 2 * sums.between
    return sums.product / pairs + second / quadruples - 2 * sums.third / triples
