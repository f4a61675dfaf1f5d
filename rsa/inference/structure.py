"""How layers fall into blocks and clusters, which go together across models, and how surely.

Every statement has its stability over resamples of the similarity matrix, drawn from the
jackknife's covariance of all cells together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import linkage
from scipy.optimize import linear_sum_assignment

from rsa.inference.chance import above
from rsa.inference.intervals import jackknife

RESAMPLES = 200


@dataclass(frozen=True)
class Within:
    """Blocks and clusters of the layers of one model, layers by index.

    Attributes
    ----------
    measure : canonical name.
    resamples : how many stand behind each stability.
    blocks : where each block of layers but the first begins, and the share of resamples with a
        boundary there or one layer away.
    tree : [merges, 4], scipy's linkage: average linkage on 1 - similarity.
    tree_stability : [merges] share of resamples with a cluster of the same layers.
    """

    measure: str
    resamples: int
    blocks: tuple[tuple[int, float], ...]
    tree: np.ndarray
    tree_stability: np.ndarray

    def as_json(self) -> dict:
        return {
            "measure": self.measure,
            "resamples": self.resamples,
            "blocks": [{"start": s, "stability": share} for s, share in self.blocks],
            "tree": [[int(a), int(b), float(h), int(n)] for a, b, h, n in self.tree],
            "tree_stability": [float(share) for share in self.tree_stability],
        }


@dataclass(frozen=True)
class Across:
    """Which layers of two models go together, layers by index; cells at chance never do.

    Attributes
    ----------
    path : (x, y, stability), the one-to-one matching that keeps the order of depth and has the
        largest sum of similarity beyond the level of chance; stability is the share of resamples
        in which the pair, or one with a neighbouring layer on one side, is matched.
    order_kept : value, low, high of the path's sum over that of the best matching that need not
        keep the order; the interval is the jackknife's, cut at 1. NaN where nothing matches.
    best_x, best_y : for each layer of x the most similar of y, and the other way, with the share
        of resamples that choose it or a neighbour; None where all cells are at chance.
    """

    measure: str
    resamples: int
    path: tuple[tuple[int, int, float], ...]
    order_kept: tuple[float, float, float]
    best_x: tuple[tuple[int, float] | None, ...]
    best_y: tuple[tuple[int, float] | None, ...]

    def as_json(self) -> dict:
        names = ("value", "low", "high")
        return {
            "measure": self.measure,
            "resamples": self.resamples,
            "path": [{"x": x, "y": y, "stability": share} for x, y, share in self.path],
            "order_kept": {
                n: v if np.isfinite(v) else None
                for n, v in zip(names, self.order_kept, strict=True)
            },
            "best_x": [m and {"y": m[0], "stability": m[1]} for m in self.best_x],
            "best_y": [m and {"x": m[0], "stability": m[1]} for m in self.best_y],
        }


Structure = Within | Across


def from_json(block: dict | None) -> Structure | None:
    """Reads what `as_json` wrote."""
    if block is None:
        return None
    head = {name: block[name] for name in ("measure", "resamples")}
    if "tree" in block:
        return Within(
            **head,
            blocks=tuple((b["start"], b["stability"]) for b in block["blocks"]),
            tree=np.array(block["tree"], dtype=float).reshape(-1, 4),
            tree_stability=np.array(block["tree_stability"], dtype=float),
        )
    kept = (block["order_kept"][name] for name in ("value", "low", "high"))
    return Across(
        **head,
        path=tuple((p["x"], p["y"], p["stability"]) for p in block["path"]),
        order_kept=tuple(np.nan if v is None else v for v in kept),
        best_x=tuple(m and (m["y"], m["stability"]) for m in block["best_x"]),
        best_y=tuple(m and (m["x"], m["stability"]) for m in block["best_y"]),
    )


def resampled(
    value: np.ndarray, replicates: np.ndarray, seed: int, draws: int = RESAMPLES
) -> np.ndarray:
    """[draws, x, y] matrices as other groups of the same kind might have given them.

    value + sqrt((B - 1) / B) sum_b g_b (replicate_b - mean of replicates) with standard normal g:
    their covariance over all cells is the jackknife's. They are normal, so that a similarity
    close to 1 may leave it; a cell without spread, such as a layer with itself, stays.

    Parameters
    ----------
    value : [x, y]; replicates : [blocks, x, y].
    """
    blocks = len(replicates)
    weights = np.random.default_rng([seed, 6]).standard_normal((draws, blocks))
    off = (replicates - replicates.mean(axis=0)).reshape(blocks, -1)
    noise = np.sqrt((blocks - 1) / blocks) * weights @ off
    return value + noise.reshape(draws, *value.shape)


def within(name: str, value: np.ndarray, replicates: np.ndarray, seed: int) -> Within:
    """Blocks and clusters of one model's layers.

    Parameters
    ----------
    name : of the measure; value : [layers, layers], symmetric, larger is more similar, NaN where
        a layer has none; replicates : [blocks of groups, layers, layers].
    """
    drawn = resampled(value, replicates, seed)
    # a resample of a symmetric matrix is symmetric, up to rounding
    drawn = (drawn + drawn.transpose(0, 2, 1)) / 2
    starts, others = boundaries(value[None])[0], boundaries(drawn)
    blocks = tuple(
        (int(s), float(np.mean([np.any(np.abs(o - s) <= 1) for o in others]))) for s in starts
    )
    tree = cluster(value)
    sets = [clusters(cluster(d)) for d in drawn]
    shares = [np.mean([c in s for s in sets]) for c in _leaves(tree)]
    return Within(name, len(drawn), blocks, tree, np.array(shares, dtype=float))


def across(
    name: str,
    value: np.ndarray,
    replicates: np.ndarray,
    level: np.ndarray,
    p: np.ndarray,
    seed: int,
) -> Across:
    """Which layers of two models go together.

    Parameters
    ----------
    value, level, p : [x, y], larger is more similar; `level` is what chance passes in 5 % of
        cases, `p` corrected for the whole matrix. replicates : [blocks of groups, x, y].
    """
    usable = above(p) & np.isfinite(value) & np.isfinite(replicates).all(axis=0)
    drawn = resampled(value, replicates, seed)
    path = monotone(_gain(value, level, usable)[None])[0]
    others = monotone(_gain(drawn, level, usable))
    pairs = tuple((i, j, float(np.mean([_near(i, j, o) for o in others]))) for i, j in path)
    kept = np.array(
        [_order_kept(_gain(v, level, usable)) for v in (value, *replicates)], dtype=float
    )
    low, high = jackknife(kept[0], kept[1:])
    # a share of more than all of it is none
    order = (float(kept[0]), float(low), float(np.minimum(high, 1.0)))
    best_x = _best(value, drawn, usable)
    best_y = _best(value.T, drawn.transpose(0, 2, 1), usable.T)
    return Across(name, len(drawn), pairs, order, best_x, best_y)


def boundaries(matrices: np.ndarray) -> list[np.ndarray]:
    """Where layers fall into contiguous blocks: first layer of each block but the first.

    Maximises the sum over blocks of (similarity - typical similarity) over the pairs inside, the
    typical similarity being the mean off the diagonal: a constant Potts model (Traag et al. 2011)
    restricted to stretches of depth, solved exactly.

    Parameters
    ----------
    matrices : [matrices, layers, layers], symmetric; NaN counts as typical.
    """
    count, size = matrices.shape[:2]
    off = ~np.eye(size, dtype=bool)
    known = np.isfinite(matrices) & off
    if size < 3 or not known.any():
        return [np.empty(0, dtype=int)] * count
    held = np.where(known, matrices, 0.0)
    typical = held.sum(axis=(1, 2)) / np.maximum(known.sum(axis=(1, 2)), 1)
    gain = np.where(known, matrices - typical[:, None, None], 0.0)
    area = np.zeros((count, size + 1, size + 1))
    area[:, 1:, 1:] = gain.cumsum(axis=1).cumsum(axis=2)
    corner = np.einsum("mss->ms", area)
    best, start = np.zeros((count, size + 1)), np.zeros((count, size + 1), dtype=int)
    for end in range(1, size + 1):
        s = np.arange(end)
        inside = best[:, s] + area[:, end, end, None] + corner[:, s]
        inside = inside - area[:, s, end] - area[:, end, s]
        start[:, end] = np.argmax(np.round(inside, 12), axis=1)
        best[:, end] = np.take_along_axis(inside, start[:, end, None], axis=1)[:, 0]
    found = []
    for m in range(count):
        cuts, end = [], start[m, size]
        while end:
            cuts.append(int(end))
            end = start[m, end]
        found.append(np.array(cuts[::-1], dtype=int))
    return found


def cluster(matrix: np.ndarray) -> np.ndarray:
    """[merges, 4] scipy's average linkage on 1 - similarity; an unknown similarity counts as 0."""
    size = len(matrix)
    if size < 2:
        return np.empty((0, 4))
    distance = 1 - np.nan_to_num(matrix[np.triu_indices(size, 1)], nan=0.0)
    return linkage(distance, method="average")


def clusters(tree: np.ndarray) -> set[frozenset[int]]:
    """The sets of leaves that the merges of a linkage make."""
    return set(_leaves(tree))


def _leaves(tree: np.ndarray) -> list[frozenset[int]]:
    size = len(tree) + 1
    sets = [frozenset([i]) for i in range(size)]
    for left, right, _, _ in tree:
        sets.append(sets[int(left)] | sets[int(right)])
    return sets[size:]


def monotone(gain: np.ndarray) -> list[tuple[tuple[int, int], ...]]:
    """The order-preserving one-to-one matching of largest total gain, for each of some matrices.

    Dynamic programming over prefixes (Needleman and Wunsch 1970 with gaps that cost nothing).
    Among equals the one that matches earlier layers is taken.

    Parameters
    ----------
    gain : [matrices, x, y], not negative; a cell of 0 is never matched.
    """
    count, rows, columns = gain.shape
    best = np.zeros((count, rows + 1, columns + 1))
    for i in range(rows):
        for j in range(columns):
            skipped = np.maximum(best[:, i, j + 1], best[:, i + 1, j])
            best[:, i + 1, j + 1] = np.maximum(skipped, best[:, i, j] + gain[:, i, j])
    paths = []
    for table in best:
        pairs, i, j = [], rows, columns
        while i and j:
            if table[i, j] == table[i - 1, j]:
                i -= 1
            elif table[i, j] == table[i, j - 1]:
                j -= 1
            else:
                i, j = i - 1, j - 1
                pairs.append((i, j))
        paths.append(tuple(reversed(pairs)))
    return paths


def _gain(value: np.ndarray, level: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Similarity beyond chance, 0 where there is none to speak of."""
    floor = np.where(np.isfinite(level), np.maximum(level, 0.0), 0.0)
    return np.where(usable & (value > floor), value - floor, 0.0)


def _order_kept(gain: np.ndarray) -> float:
    free = gain[linear_sum_assignment(gain, maximize=True)].sum()
    if not free > 0:
        return np.nan
    return sum(gain[i, j] for i, j in monotone(gain[None])[0]) / free


def _near(i: int, j: int, path: tuple[tuple[int, int], ...]) -> bool:
    return any(abs(i - k) + abs(j - m) <= 1 for k, m in path)


def _best(
    value: np.ndarray, drawn: np.ndarray, usable: np.ndarray
) -> tuple[tuple[int, float] | None, ...]:
    """For each row its most similar usable column, and how surely."""
    chosen = np.where(usable, value, -np.inf).argmax(axis=1)
    others = np.where(usable, drawn, -np.inf).argmax(axis=2)
    shares = (np.abs(others - chosen) <= 1).mean(axis=0)
    some = usable.any(axis=1)
    return tuple(
        (int(c), float(s)) if u else None for c, s, u in zip(chosen, shares, some, strict=True)
    )
