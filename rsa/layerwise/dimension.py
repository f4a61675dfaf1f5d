"""Intrinsic dimension of one layer from the distances of its rows, by scikit-dimension.

Distances in Euclidean space are found here, the two estimators are the library's (Bac et al. 2021,
doi:10.3390/e23101368). Rows of one track lie close for a reason that is not the dimension of the
layer, and two rows of a neighbouring track are not independent neighbours: so each estimate is
on one row a group, and averaged over several draws of that row.
"""

from __future__ import annotations

import warnings

import numpy as np

from rsa.inference.intervals import subsampled
from rsa.rows.grouping import Grouping

# neighbours of the Levina-Bickel estimator, and fewest rows that have as many in a small ball
NEIGHBOURS, FEWEST = 10, 40
# groups at most, and draws of one row a group
ROWS, DRAWS = 2000, 2
SUBSETS = 20
# squared distances below this share of the typical one are those of equal rows
EQUAL = 1e-12

Trio = tuple[float, float, float]
NAMES = ("dimension:twonn", f"dimension:mle,k={NEIGHBOURS}")


def dimensions(
    x: np.ndarray, grouping: Grouping, rng: np.random.Generator
) -> tuple[dict[str, Trio], list[str]]:
    """TwoNN (Facco et al. 2017) and the maximum likelihood of Levina and Bickel (2004).

    TwoNN fits the ratio of the distances to the second and first neighbour, without the largest
    tenth. Levina and Bickel's local estimates over ten neighbours are averaged as inverses (MacKay
    and Ghahramani 2005). Both fall short of high dimensions where rows are few. Intervals are from
    subsets of half of the groups.

    Parameters
    ----------
    x : [rows, width], groups contiguous.

    Returns
    -------
    name -> (value, low, high), and notes.
    """
    notes, groups = [], np.arange(grouping.groups)
    nothing = dict.fromkeys(NAMES, (np.nan,) * 3)
    if len(groups) > ROWS:
        groups = np.sort(rng.permutation(groups)[:ROWS])
        notes.append(f"on {ROWS} of {grouping.groups} groups")
    if len(groups) < FEWEST:
        return nothing, [f"{len(groups)} groups are too few: {FEWEST} are needed"]
    picks = 1 if grouping.single else DRAWS
    values, replicates, equal = [], [], 0
    halves = [
        np.sort(rng.permutation(len(groups))[: len(groups) // 2])
        for _ in range(SUBSETS if len(groups) >= 2 * FEWEST else 0)
    ]
    for _ in range(picks):
        rows = grouping.starts[groups] + rng.integers(0, grouping.sizes[groups])
        squared, distinct = _squared_distances(x[rows])
        equal = max(equal, int((~distinct).sum()))
        if distinct.sum() < FEWEST:
            few = int(distinct.sum())
            return nothing, [f"{few} different rows are too few: {FEWEST} are needed"]
        values.append(_estimate(squared, np.flatnonzero(distinct)))
        replicates.append([_estimate(squared, h[distinct[h]]) for h in halves])
    value = np.mean(values, axis=0)
    if halves:
        spread = np.mean(replicates, axis=0)
        low, high = subsampled(value, spread, len(groups) // 2, len(groups))
    else:
        low = high = np.full(2, np.nan)
        notes.append(f"{len(groups)} groups are too few for an interval: {2 * FEWEST} are needed")
    if equal:
        notes.append(f"{equal} rows equal to others were left out")
    found = zip(value, low, high, strict=True)
    return {n: tuple(map(float, t)) for n, t in zip(NAMES, found, strict=True)}, notes


def _squared_distances(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[rows, rows], own distances infinite, and which rows are the first of their kind."""
    z = x - x.mean(axis=0)
    top = np.abs(z).max()
    if top > 0:
        z /= top
    lengths = np.einsum("ij,ij->i", z, z)
    squared = lengths[:, None] + lengths[None, :] - 2 * z @ z.T
    same = squared <= EQUAL * lengths.mean()
    distinct = ~np.tril(same, -1).any(axis=1)
    np.fill_diagonal(squared, np.inf)
    return squared, distinct


def _estimate(squared: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
    """Both estimates over some rows; NaN where the library finds no number."""
    if len(rows) <= NEIGHBOURS + 1:
        return np.nan, np.nan
    from skdim.id import MLE, TwoNN

    near = np.partition(squared[np.ix_(rows, rows)], NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
    near = np.sqrt(np.sort(near, axis=1))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        two = TwoNN(dist=True).fit(near[:, :2]).dimension_
        # the library reads the neighbours' names for smoothing alone
        names = np.zeros(near.shape, dtype=int)
        levina = MLE().fit(near, precomputed_knn_arrays=(near, names)).dimension_
    return tuple(float(v) if np.isfinite(v) and v > 0 else np.nan for v in (two, levina))
