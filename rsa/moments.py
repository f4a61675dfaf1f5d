"""HSIC of one pair of layers from sums that add over batches, shards and machines.

The sums are first and second moments, so the cost is rows x width x width: the cheaper route
when there are many rows. A group must come whole, in one update; blocks of groups are kept apart
so that the value without one block is a subtraction.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rsa.errors import RsaError
from rsa.hsic import KINDS, Counts, Sums, hsic


class Moments:
    """Sums over the rows of a pair of layers, block by block.

    Parameters
    ----------
    shift_x, shift_y : [width] subtracted from every row, for precision: a mean over some rows.
        Moments that are merged must share it. `biased` and `debiased` do not depend on it, nor
        does `track-debiased` where all groups are of one size; otherwise its three means weigh
        groups differently, and it is to be taken about the mean of all rows.

    Notes
    -----
    With a_i = |x_i|^2, b_i = |y_i|^2 and, for group t, S_t = sum x_i, R_t = sum y_i,
    C_t = sum x_i y_i', the sums of a block are those of `_FIELDS`.
    """

    _FIELDS = (
        "sx sy C xb ya aa bb ab B ctr cts sctr ww gx gy gxgy srr rss m1 m2 m3 m4 groups"
    ).split()

    def __init__(self, shift_x: np.ndarray, shift_y: np.ndarray):
        self.shift_x = np.asarray(shift_x, dtype=np.float64)
        self.shift_y = np.asarray(shift_y, dtype=np.float64)
        self.blocks: dict[int, dict[str, np.ndarray | float]] = {}

    def update(
        self, x: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None, block: int = 0
    ) -> Moments:
        """Adds rows x [rows, p], y [rows, q] of whole groups, all of one block; returns itself."""
        x = np.asarray(x, dtype=np.float64) - self.shift_x
        y = np.asarray(y, dtype=np.float64) - self.shift_y
        if len(x) != len(y):
            raise RsaError(f"a batch has {len(x)} rows of x and {len(y)} of y: give the same rows")
        if groups is None:
            starts = np.arange(len(x))
        else:
            number: dict = {}
            codes = np.array([number.setdefault(g, len(number)) for g in groups], dtype=int)
            order = np.argsort(codes, kind="stable")
            x, y = x[order], y[order]
            starts = np.searchsorted(codes[order], np.arange(len(number)))
        self._add(block, self._sums(x, y, starts))
        return self

    def merge(self, other: Moments) -> Moments:
        """Adds the sums of other rows; returns itself."""
        same = np.array_equal(self.shift_x, other.shift_x) and np.array_equal(
            self.shift_y, other.shift_y
        )
        if not same:
            raise RsaError("moments with different shifts cannot be merged: start both from one")
        for block, sums in other.blocks.items():
            self._add(block, sums)
        return self

    def _add(self, block: int, sums: dict) -> None:
        mine = self.blocks.get(block)
        self.blocks[block] = sums if mine is None else {k: mine[k] + sums[k] for k in self._FIELDS}

    @staticmethod
    def _sums(x: np.ndarray, y: np.ndarray, starts: np.ndarray) -> dict:
        a, b = np.einsum("ij,ij->i", x, x), np.einsum("ij,ij->i", y, y)
        c = x.T @ y
        sizes = np.diff(np.append(starts, len(x))).astype(np.float64)
        s, r = np.add.reduceat(x, starts), np.add.reduceat(y, starts)
        ss, rr = np.einsum("ij,ij->i", s, s), np.einsum("ij,ij->i", r, r)
        if len(starts) == len(x):
            ctr, cts, sctr, ww = x.T @ b, y.T @ a, a @ b, a @ b
        else:
            to_r = np.einsum("ij,ij->i", y, np.repeat(r, sizes.astype(int), axis=0))
            to_s = np.einsum("ij,ij->i", x, np.repeat(s, sizes.astype(int), axis=0))
            ctr, cts, sctr = x.T @ to_r, y.T @ to_s, to_s @ to_r
            ww = _within(x, y, starts, sizes.astype(int))
        return {
            "sx": x.sum(axis=0), "sy": y.sum(axis=0), "C": c, "xb": x.T @ b, "ya": y.T @ a,
            "aa": a.sum(), "bb": b.sum(), "ab": a @ b, "B": s.T @ r, "ctr": ctr, "cts": cts,
            "sctr": sctr, "ww": ww, "gx": ss.sum(), "gy": rr.sum(), "gxgy": ss @ rr,
            "srr": s.T @ rr, "rss": r.T @ ss, "m1": sizes.sum(), "m2": (sizes**2).sum(),
            "m3": (sizes**3).sum(), "m4": (sizes**4).sum(), "groups": len(sizes),
        }  # fmt: skip

    def compute(self, without: int | None = None) -> dict[str, float]:
        """HSIC by every estimator over all rows, or without one block."""
        kept = [sums for block, sums in self.blocks.items() if block != without]
        if not kept:
            return dict.fromkeys(KINDS, np.nan)
        return _values({name: sum(sums[name] for sums in kept) for name in self._FIELDS})

    def jackknife(self, blocks: Iterable[int]) -> dict[str, np.ndarray]:
        """kind -> [1 + blocks]: over all rows, then without each block."""
        whole = {name: sum(s[name] for s in self.blocks.values()) for name in self._FIELDS}
        table = [_values(whole)]
        for block in blocks:
            mine = self.blocks[block]
            table.append(_values({name: whole[name] - mine[name] for name in self._FIELDS}))
        return {kind: np.array([row[kind] for row in table]) for kind in KINDS}


def _within(x: np.ndarray, y: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> float:
    """Sum of |C_t|^2 over groups, by the cheaper side; groups of one size at once."""
    total, narrow = 0.0, x.shape[1] * y.shape[1]
    for size in np.unique(sizes):
        some = starts[sizes == size]
        step = max(1, 4_000_000 // min(int(size) ** 2, narrow))
        for first in range(0, len(some), step):
            rows = some[first : first + step, None] + np.arange(size)
            a, b = x[rows], y[rows]
            if size**2 < narrow:
                total += np.vdot(a @ a.transpose(0, 2, 1), b @ b.transpose(0, 2, 1))
            else:
                c = a.transpose(0, 2, 1) @ b
                total += np.vdot(c, c)
    return float(total)


def _values(m: dict) -> dict[str, float]:
    sx, sy, c = m["sx"], m["sy"], m["C"]
    counts = Counts(int(m["groups"]), m["m1"], m["m2"], m["m3"], m["m4"])
    square, row, between = np.vdot(c, c), sx @ c @ sy, np.vdot(m["B"], m["B"])
    total_x, total_y = sx @ sx, sy @ sy
    third = row - sx @ m["ctr"] - sy @ m["cts"] + m["sctr"]
    third -= np.vdot(c, m["B"]) - m["sctr"]
    paired = sx @ m["B"] @ sy - sx @ m["srr"] - sy @ m["rss"] + m["gxgy"]
    sums = {
        "biased": Sums(square, row, total_x, total_y),
        "debiased": Sums(
            square - m["ab"],
            row - sx @ m["xb"] - sy @ m["ya"] + m["ab"],
            total_x - m["aa"],
            total_y - m["bb"],
        ),
        "track-debiased": Sums(
            square - m["ww"],
            third,
            total_x - m["gx"],
            total_y - m["gy"],
            paired,
            between - m["gxgy"],
        ),
    }
    return {kind: float(hsic(kind, sums[kind], counts)) for kind in KINDS}
