"""What permutations of rows do to the alignment of two linear kernels, in closed form.

For symmetric matrices A and B whose rows, and diagonals, sum to zero, the mean over all
permutations of sum_ij A_ij B_p(i)p(j) is zero, and its second and third moments follow from two
and five numbers of each matrix (the construction of Kazi-Aoual, Hitier, Sabatier and Lebreton
1995, Computational Statistics and Data Analysis 20, for quadratic statistics). The moments are
exact; a Pearson III curve through them gives levels and tails.

A power of the statistic is a sum over assignments of rows to index slots. Assignments are sorted
by which slots hold the same row; within a kind, p turns the sum into a product of a sum over A and
a sum over B, divided by the number of such assignments. Sums over different rows follow from free
sums by Moebius inversion on the partitions of the slots, and a free sum vanishes where some row
is met by a single index, or by nothing but one diagonal element.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import factorial, perm

import numpy as np
from scipy import stats

from rsa.inference.intervals import CONFIDENCE
from rsa.team import ALONE, Team

# rows at a time
BATCH = 2048
# rows from which the sum of cubes of a Gram matrix is taken, when there are more
CUBES = 2048

# free sums that do not vanish, by (rows met, diagonal elements): sums of
#   two factors: a_i^2, A_ij^2
#   three: a_i^3, a_i A_ij a_j, a_i (A^2)_ii, A_ij^3, (A^3)_ii        with a the diagonal
_SECOND = ((1, 2), (2, 0))
_THIRD = ((1, 3), (2, 2), (2, 1), (2, 0), (3, 0))


@dataclass(frozen=True)
class Invariants:
    """What chance needs of one kernel of n rows; the free sums named above.

    Attributes
    ----------
    second : [2], third : [5].
    """

    second: np.ndarray
    third: np.ndarray


def _partitions(count: int) -> list[tuple[int, ...]]:
    """All partitions of `count` slots; the block of each slot, blocks numbered as they appear."""
    found: list[tuple[int, ...]] = [()]
    for _ in range(count):
        found = [p + (b,) for p in found for b in range(max(p, default=-1) + 2)]
    return found


@cache
def _different_rows(factors: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums over different rows as mixtures of free sums.

    Returns
    -------
    rows : [kinds] number of different rows of each kind of assignment.
    mixture : [kinds, free sums].
    """
    free = _SECOND if factors == 2 else _THIRD
    kinds = _partitions(2 * factors)
    mixture = np.zeros((len(kinds), len(free)))
    rows = np.array([max(kind) + 1 for kind in kinds])
    for place, kind in enumerate(kinds):
        for merge in _partitions(rows[place]):
            weight = 1.0
            for block in set(merge):
                merged = merge.count(block)
                weight *= (-1) ** (merged - 1) * factorial(merged - 1)
            ends = [merge[slot] for slot in kind]
            loops = [ends[k] for k in range(0, len(ends), 2) if ends[k] == ends[k + 1]]
            # met once, or only by one diagonal element: the sum over that row is zero
            lone = any(
                ends.count(row) == 1 or (ends.count(row) == 2 and row in loops) for row in set(ends)
            )
            if not lone:
                mixture[place, free.index((len(set(ends)), len(loops)))] += weight
    return rows, mixture


@cache
def _form(factors: int, n: int) -> np.ndarray:
    """[free sums, free sums], so that the moment is u' form v."""
    rows, mixture = _different_rows(factors)
    possible = rows <= n
    count = np.array([1 / perm(n, int(k)) for k in rows[possible]])
    return (mixture[possible].T * count) @ mixture[possible]


def moments(x: list[Invariants | None], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Spread and skewness of the statistic of all pairs of kernels of n rows, over permutations.

    Returns
    -------
    spread, skewness : [kernels, kernels]; NaN where a kernel is None or does not vary.
    """
    second, third = (
        np.array([np.full(size, np.nan) if k is None else getattr(k, name) for k in x])
        for name, size in (("second", len(_SECOND)), ("third", len(_THIRD)))
    )
    variance = second @ _form(2, n) @ second.T
    spread = np.sqrt(np.where(variance > 0, variance, np.nan))
    return spread, (third @ _form(3, n) @ third.T) / spread**3


def tail(
    z: np.ndarray, skewness: np.ndarray, confidence: float = CONFIDENCE
) -> tuple[np.ndarray, np.ndarray]:
    """Pearson III: the standardised level, and the share of chance at or beyond z."""
    skewness = np.where(np.isfinite(skewness), skewness, 0.0)
    level = np.asarray(stats.pearson3.ppf(confidence, skewness), dtype=float)
    with np.errstate(invalid="ignore"):
        return level, np.asarray(stats.pearson3.sf(z, skewness), dtype=float)


def invariants(
    layers, index: int, n: int, team: Team = ALONE, own: np.ndarray | None = None
) -> dict[str, Invariants]:
    """Of the centred, and of the U-centred, Gram matrix of a layer's n rows.

    Parameters
    ----------
    layers : with `rows(index, start, stop)`, [rows, width], columns centred. Visited twice.
    team : processes that share the rows where `own` is given.
    own : [rows] bool, the rows that this process visits.

    Returns
    -------
    `biased` : of the Gram matrix less the multiple of the centring matrix that has its trace, which
        takes the mean over permutations out of the statistic and nothing else.
    `debiased` : of the U-centred one (Szekely and Rizzo 2014).

    Notes
    -----
    All sums are exact but that of the cubes of the off-diagonal elements where there are more than
    `CUBES` rows: it is then scaled up from evenly spaced rows; it matters less than 1 part in n.
    """
    width = layers.rows(index, 0, 0).shape[1]
    power = np.zeros((width, width))
    edges = [(at, min(at + BATCH, n)) for at in range(0, n, BATCH)]
    if own is not None:
        edges = [(start, stop) for start, stop in _runs(own) if start < stop]
    for start, stop in edges:
        x = layers.rows(index, start, stop)
        power = power + (x.T @ x).astype(np.float64)
    power = team.sum(power) if own is not None else power
    d1 = d2 = d3 = dw = 0.0
    xd = np.zeros(width)
    for start, stop in edges:
        x = layers.rows(index, start, stop).astype(np.float64)
        d = np.einsum("ij,ij->i", x, x)
        w = np.einsum("ij,ij->i", x @ power, x)
        d1, d2, d3, dw = d1 + d.sum(), d2 + (d**2).sum(), d3 + (d**3).sum(), dw + d @ w
        xd = xd + d @ x
    if own is not None:
        d1, d2, d3, dw = team.sum(np.array([d1, d2, d3, dw]))
        xd = team.sum(xd)
    # |K|^2, tr K^3, d'Kd
    squares, cubic, q = np.vdot(power, power), np.vdot(power @ power, power), xd @ xd
    cubes = _cubes(layers, index, n, team, own)
    return {
        "biased": _centred(n, d1, d2, d3, dw, squares, cubic, q, cubes),
        "debiased": _u_centred(n, d1, d2, d3, dw, squares, cubic, q, cubes),
    }


def _runs(own: np.ndarray) -> list[tuple[int, int]]:
    """Stretches of at most `BATCH` True values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], own.astype(int), [0]])))
    return [
        (at, min(at + BATCH, int(stop)))
        for start, stop in zip(edges[::2], edges[1::2], strict=True)
        for at in range(int(start), int(stop), BATCH)
    ]


def _cubes(layers, index: int, n: int, team: Team, own: np.ndarray | None) -> float:
    """Sum of K_ij^3 over i != j."""
    step = -(-n // CUBES)
    if own is None:
        x = np.concatenate(
            [
                layers.rows(index, start, min(start + BATCH * step, n))[::step]
                for start in range(0, n, BATCH * step)
            ]
        )
    else:
        places = np.arange(0, n, step)
        nothing = layers.rows(index, 0, 0)
        x = np.zeros((len(places), nothing.shape[1]))
        for at in np.flatnonzero(own[places]):
            x[at] = layers.rows(index, int(places[at]), int(places[at]) + 1)
        x = team.sum(x).astype(nothing.dtype)
    total = 0.0
    for start in range(0, len(x), 256):
        k = x[start : start + 256] @ x.T
        k[np.arange(len(k)), start + np.arange(len(k))] = 0.0
        total += float((k * k * k).sum(axis=1).sum(dtype=np.float64))
    return total * (n * (n - 1)) / (len(x) * (len(x) - 1))


def _centred(n, d1, d2, d3, dw, squares, cubic, q, cubes) -> Invariants:
    """Of A = K - t H, with t = tr K / (n - 1) and H the centring matrix."""
    t, mean = d1 / (n - 1), d1 / n
    a2 = d2 - n * mean**2
    a3 = d3 - 3 * mean * d2 + 2 * n * mean**3
    e = t / n
    off = cubes + 3 * e * (squares - d2) - 3 * e**2 * d1 + e**3 * n * (n - 1)
    return Invariants(
        np.array([a2, squares - d1**2 / (n - 1)]),
        np.array(
            [
                a3,
                q - t * a2,
                dw - mean * squares - 2 * t * a2,
                off + a3,
                cubic - 3 * t * squares + 3 * t**2 * d1 - t**3 * (n - 1),
            ]
        ),
    )


def _u_centred(n, d1, d2, d3, dw, squares, cubic, q, cubes) -> Invariants:
    """Of A_ij = K_ij + c_i + c_j + g off the diagonal, 0 on it, with c = d / (n - 2)."""
    if n < 4:
        return Invariants(np.full(2, np.nan), np.full(5, np.nan))
    r, g = 1 / (n - 2), -d1 / ((n - 1) * (n - 2))
    c1, c2, c3 = r * d1, r**2 * d2, r**3 * d3
    kc, ck = r * q, r**2 * q  # d'Kc, c'Kc
    # what stands on the diagonal before it is set to 0: b = f d + g, f = 1 + 2 r
    f = 1 + 2 * r
    b1, b2 = f * d1 + n * g, f**2 * d2 + 2 * f * g * d1 + n * g**2
    b3 = f**3 * d3 + 3 * f**2 * g * d2 + 3 * f * g**2 * d1 + n * g**3
    # E = c1' + 1c' + g 11' = [c, 1] M [c, 1]'
    core = np.array([[0.0, 1.0], [1.0, g]]) @ np.array([[c2, c1], [c1, n]])
    e2, e3 = np.trace(core @ core), np.trace(core @ core @ core)
    whole2 = squares + e2
    whole3 = cubic + 3 * n * ck + e3
    # sum_i b_i (G^2)_ii, G = K + E: (G^2)_ii = w_i + 2 (Kc)_i + n (c_i + g)^2 + 2 (c_i + g) C1 + C2
    bc, bcc = f * r * d2 + g * c1, f * r**2 * d3 + g * c2
    row = f * dw + g * squares + 2 * f * kc
    row += n * (bcc + 2 * g * bc + g**2 * b1) + 2 * c1 * (bc + g * b1) + c2 * b1
    trace3 = whole3 - 3 * row + 2 * b3
    # sum of cubes off the diagonal: (K + e)^3 over all i, j, then the diagonal's b^3 is taken out
    all_k3 = cubes + d3
    k2e = 2 * r * dw + g * squares
    ke2 = 2 * ck
    e_cubed = _cubed(n, c1, c2, c3, g)
    return Invariants(
        np.array([0.0, whole2 - b2]),
        np.array([0.0, 0.0, 0.0, all_k3 + 3 * k2e + 3 * ke2 + e_cubed - b3, trace3]),
    )


def _cubed(n: int, c1: float, c2: float, c3: float, g: float) -> float:
    """Sum over all i, j of (c_i + c_j + g)^3."""
    # with u = c_i + g / 2 and v = c_j + g / 2
    u1 = c1 + n * g / 2
    u2 = c2 + g * c1 + n * g**2 / 4
    u3 = c3 + 1.5 * g * c2 + 0.75 * g**2 * c1 + n * g**3 / 8
    return 2 * n * u3 + 6 * u2 * u1
