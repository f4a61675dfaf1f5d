"""Sums of products of pairs of kernels from cross-moments: the route for many rows.

The sum of K_ij L_ij over rows i of one block and j of another is the inner product of the blocks'
cross-moments, <X_b' Y_b, X_c' Y_c>, so the cost is rows x width x width a pair and rows are
visited once, in any number. Cross-moments of all blocks are held for as many pairs of layers as
`room` allows; for the next tile of pairs the rows are visited again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rsa.hsic.gram import long_products, without_each
from rsa.rows.grouping import Grouping
from rsa.rows.streaming import stretches
from rsa.team import ALONE, Team
from rsa.threads import spread


def tiles(
    pairs: Sequence[tuple[int, int]], widths: np.ndarray, copies: int, room: float
) -> list[list[tuple[int, int]]]:
    """Pairs of layers in tiles whose cross-moments fit `room` bytes together.

    Squares of neighbouring layers, so that few layers are read for many pairs.

    Parameters
    ----------
    copies : matrices of float32 for each pair.
    """
    widest = float(widths.max())
    side = max(1, int(np.sqrt(room / (4 * copies)) / widest))
    found: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for i, j in pairs:
        found.setdefault((i // side, j // side), []).append((i, j))
    return list(found.values())


def moments(
    layers,
    pairs: Sequence[tuple[int, int]],
    grouping: Grouping,
    blocks: bool,
    room: float,
    team: Team = ALONE,
    own: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums of products over pairs of rows, rows and groups, and groups; see `RowSums.sums`.

    Parameters
    ----------
    layers : with `rows(index, start, stop)`, `widths` and a length.
    pairs : of layers; the others stay 0.
    blocks : also without each block of groups.
    room : bytes that cross-moments may take.
    team : processes that share the pairs, or the rows where `own` is given.
    own : [groups] bool, groups whose rows this process visits; the cross-moments are added.

    Returns
    -------
    full, third, between : [1 + blocks, x, y]; the last two are zeros when every row is a group.
    """
    count = grouping.blocks if blocks else 1
    out = np.zeros((3, 1 + count, len(layers), len(layers)))
    copies = count * (1 if grouping.single else 2)
    for tile in tiles(pairs, layers.widths, copies, room):
        if own is not None:
            found = _tile(layers, tile, grouping, blocks, team, own)
        else:
            found = _shared(layers, tile, grouping, blocks, team)
        for (i, j), values in zip(tile, found, strict=True):
            out[:, :, i, j] = out[:, :, j, i] = values
    return out[0], out[1], out[2]


def _shared(
    layers, pairs: list, grouping: Grouping, blocks: bool, team: Team
) -> list[np.ndarray]:
    """`_tile` with the pairs dealt to processes."""
    some = pairs[team.rank :: team.size]
    mine = _tile(layers, some, grouping, blocks) if some else []
    found: list = [None] * len(pairs)
    for rank, part in enumerate(team.gather(mine)):
        found[rank :: team.size] = part
    return found


def _tile(
    layers,
    pairs: list,
    grouping: Grouping,
    blocks: bool,
    team: Team = ALONE,
    own: np.ndarray | None = None,
) -> list[np.ndarray]:
    """[3, 1 + blocks] of each pair, from one visit to the rows of its layers."""
    count = grouping.blocks if blocks else 1
    needed = sorted({i for pair in pairs for i in pair})
    shapes = [(count, int(layers.widths[i]), int(layers.widths[j])) for i, j in pairs]
    of_rows = [np.zeros(shape, dtype=layers.dtype) for shape in shapes]
    of_groups = of_rows if grouping.single else [np.zeros_like(c) for c in of_rows]
    for block, group, until in stretches(grouping, blocks, own=own):
        start, stop = int(grouping.starts[group]), int(grouping.starts[until])
        x = {i: layers.rows(i, start, stop) for i in needed}
        starts = grouping.starts[group:until] - start
        s = x if grouping.single else {i: np.add.reduceat(x[i], starts, axis=0) for i in needed}

        def add(place: int, block=block, x=x, s=s) -> None:
            i, j = pairs[place]
            rows, groups = x[i].T @ x[j], None if grouping.single else s[i].T @ s[j]
            of_rows[place][block] += rows
            if groups is not None:
                of_groups[place][block] += groups

        spread(add, range(len(pairs)))

    if own is not None:
        for place in range(len(pairs)):
            of_rows[place] = team.sum(of_rows[place])
            of_groups[place] = (
                of_rows[place] if grouping.single else team.sum(of_groups[place])
            )

    def reduced(place: int) -> np.ndarray:
        c, b = (a[place].reshape(count, -1) for a in (of_rows, of_groups))
        if grouping.single:
            return np.stack([without_each(long_products(c, c)), *np.zeros((2, 1 + count))])
        return np.stack([without_each(long_products(*two)) for two in ((c, c), (c, b), (b, b))])

    return spread(reduced, range(len(pairs)))
