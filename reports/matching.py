"""Which layer of one model goes with which of the other, and how a model falls into blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from reports.results import Measure


@dataclass(frozen=True)
class Path:
    """A monotone matching of the layers of two models.

    Attributes
    ----------
    pairs : (row, column), strictly rising in both; cells at chance are never used.
    total : sum of what the pairs' similarity exceeds the chance level by.
    free : the same sum for the best one-to-one matching that need not keep the order.
    """

    pairs: tuple[tuple[int, int], ...]
    total: float
    free: float

    @property
    def order_kept(self) -> float:
        """Share of the free matching's similarity that survives when depth must keep its order."""
        return self.total / self.free if self.free > 0 else math.nan


def excess(measure: Measure) -> np.ndarray:
    """[x, y] value above `chance_high`; 0 in cells that are not above chance."""
    floor = np.where(np.isfinite(measure.chance_high), measure.chance_high, 0.0)
    gain = np.where(measure.above_chance, measure.value - np.maximum(floor, 0.0), 0.0)
    return np.where(np.isfinite(gain), np.maximum(gain, 0.0), 0.0)


def monotone_path(gain: np.ndarray) -> Path:
    """The order-preserving one-to-one matching of largest total gain.

    Dynamic programming over prefixes (Needleman and Wunsch 1970 with gaps that cost nothing).
    Among equals the one that matches earlier layers is taken.

    Parameters
    ----------
    gain : [x, y], not negative; a cell of 0 is never matched.
    """
    rows, columns = gain.shape
    best = np.zeros((rows + 1, columns + 1))
    for i in range(rows):
        for j in range(columns):
            best[i + 1, j + 1] = max(best[i, j + 1], best[i + 1, j], best[i, j] + gain[i, j])
    pairs = []
    i, j = rows, columns
    while i and j:
        if best[i, j] == best[i - 1, j]:
            i -= 1
        elif best[i, j] == best[i, j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((i, j))
    picked = linear_sum_assignment(gain, maximize=True)
    return Path(tuple(reversed(pairs)), float(best[-1, -1]), float(gain[picked].sum()))


def best_matches(measure: Measure) -> tuple[tuple[int | None, ...], tuple[int | None, ...]]:
    """For each row its best column and for each column its best row; None where all is chance."""
    usable = np.where(measure.above_chance & np.isfinite(measure.value), measure.value, -np.inf)
    rows = tuple(int(np.argmax(r)) if np.isfinite(r).any() else None for r in usable)
    columns = tuple(int(np.argmax(c)) if np.isfinite(c).any() else None for c in usable.T)
    return rows, columns


def blocks(matrix: np.ndarray) -> tuple[int, ...]:
    """Where a model's layers fall into contiguous blocks: first index of each block but the first.

    Maximises the sum over blocks of (similarity - typical similarity) over the pairs inside, the
    typical similarity being the mean off the diagonal: a constant Potts model (Traag et al. 2011)
    restricted to stretches of depth, solved exactly.

    Parameters
    ----------
    matrix : [layers, layers], symmetric; NaN counts as typical.
    """
    size = len(matrix)
    off = ~np.eye(size, dtype=bool)
    if size < 3 or not np.isfinite(matrix[off]).any():
        return ()
    gain = np.nan_to_num(matrix - np.nanmean(matrix[off]), nan=0.0) * off
    area = np.zeros((size + 1, size + 1))
    area[1:, 1:] = gain.cumsum(0).cumsum(1)
    best = np.zeros(size + 1)
    start = np.zeros(size + 1, dtype=int)
    for end in range(1, size + 1):
        inside = [
            best[s] + area[end, end] - area[s, end] - area[end, s] + area[s, s] for s in range(end)
        ]
        start[end] = int(np.argmax(np.round(inside, 12)))
        best[end] = inside[start[end]]
    cuts = []
    end = size
    while end:
        end = start[end]
        if end:
            cuts.append(int(end))
    return tuple(reversed(cuts))


def block_stability(measure: Measure, *, draws: int = 200, seed: int = 0) -> dict[int, float]:
    """Each boundary of `blocks` with the share of noisy copies of the matrix that keep it.

    Copies add normal noise of the size of the intervals to every cell, independently; a boundary
    one layer away counts as kept.
    """
    cuts = blocks(measure.value)
    width = (measure.high - measure.low) / 3.92
    scale = np.where(np.isfinite(width), width, 0.0)
    rng = np.random.default_rng(seed)
    kept = dict.fromkeys(cuts, 0)
    for _ in range(draws):
        noise = np.triu(rng.standard_normal(measure.value.shape) * scale, 1)
        found = blocks(measure.value + noise + noise.T)
        for cut in cuts:
            kept[cut] += any(abs(cut - other) <= 1 for other in found)
    return {cut: kept[cut] / draws for cut in cuts}
