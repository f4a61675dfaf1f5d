"""Fewer rows of the same layers, spread over all groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rsa.source import Source

# rows read at a time
BATCH = 4096


def thin(labels: Sequence | np.ndarray, limit: int, seed: int) -> np.ndarray:
    """Rows to keep, in order: as many from each group as fit, evenly spaced within it.

    Groups drawn by `seed`, one row each, where there are more groups than `limit`.
    """
    number: dict = {}
    codes = np.array([number.setdefault(label, len(number)) for label in labels], dtype=int)
    sizes = np.bincount(codes)
    if len(sizes) >= limit:
        drawn = np.random.default_rng([seed, 3]).permutation(len(sizes))[:limit]
        quota = np.zeros(len(sizes), dtype=int)
        quota[drawn] = 1
    else:
        # small groups stay whole, what they leave goes to the others
        quota, left, open_ = np.zeros(len(sizes), dtype=int), limit, np.argsort(sizes)
        for place, group in enumerate(open_):
            quota[group] = min(sizes[group], max(1, left // (len(sizes) - place)))
            left -= quota[group]
    rows = np.argsort(codes, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    kept = [
        rows[starts[g] + ((2 * np.arange(quota[g]) + 1) * sizes[g]) // (2 * quota[g])]
        for g in range(len(sizes))
        if quota[g]
    ]
    return np.sort(np.concatenate(kept))


class Subset:
    """Some rows of a source, as a source.

    Parameters
    ----------
    rows : places in the source, rising.
    """

    def __init__(self, source: Source, rows: np.ndarray):
        self._source, self._rows = source, np.asarray(rows)
        self.name, self.layers = source.name, source.layers
        self.groups = np.asarray(source.groups)[self._rows]

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, layer: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        rows, parts = self._rows[start:stop], []
        at = 0
        while at < len(rows):
            # one reading for all rows of a stretch, whose others are dropped at once
            end = int(np.searchsorted(rows, rows[at] + BATCH))
            values = self._source.read(layer, int(rows[at]), int(rows[end - 1]) + 1)
            parts.append(values[rows[at:end] - rows[at]])
            at = end
        return np.concatenate([np.asarray(p) for p in parts]) if parts else np.empty((0, 1))
