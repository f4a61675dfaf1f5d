"""Fewer rows of the same layers, spread over all groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rsa.source import Source

# rows read at a time, and rows between two wanted ones that are read and dropped
BATCH, GAP = 4096, 64


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
        return read_rows(self._source, layer, self._rows[start:stop])


def read_rows(source: Source, layer: str, rows: np.ndarray) -> np.ndarray:
    """Rows of a layer in any order, [rows, width]; neighbours are read together."""
    sort = np.argsort(rows, kind="stable")
    rising = rows[sort]
    parts, at = [], 0
    while at < len(rising):
        # rows nearby are read in one go and those between them dropped
        near = rising[at : at + BATCH]
        far = np.flatnonzero((np.diff(near) > GAP) | (near[1:] - near[0] >= BATCH))
        count = int(far[0]) + 1 if len(far) else len(near)
        values = source.read(layer, int(near[0]), int(near[count - 1]) + 1)
        if not isinstance(values, np.ndarray) and hasattr(values, "detach"):
            values = values.detach().cpu().float().numpy()
        values, wanted = np.asarray(values), near[:count] - near[0]
        parts.append(values if len(values) == count else values[wanted])
        at += count
    if not parts:
        return np.empty((0, 1))
    found = parts[0] if len(parts) == 1 else np.concatenate(parts)
    if (sort[1:] > sort[:-1]).all():
        return found
    out = np.empty_like(found)
    out[sort] = found
    return out
