"""The part of HSIC that needs no products of pairs of rows: sums of kernels along rows.

A linear kernel's sum along a row is the product of that row with the sum of all rows, so it costs
rows x width. The sums add over stretches of whole groups, so rows may come in any number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from rsa.hsic.estimators import KINDS, Sums
from rsa.rows.grouping import Grouping
from rsa.rows.streaming import stretches
from rsa.team import ALONE, Team
from rsa.threads import spread

# rows of a stretch; groups of more than LARGE rows get tiles of that size of their own
STRETCH, LARGE = 1024, 256


@dataclass(frozen=True)
class RowSums:
    """Sums for all pairs of layers; first axis: over all rows, then without each block.

    Attributes
    ----------
    third : kind -> [1 + blocks, x, y], sum over i of the row sums of K and L.
    total_x, total_y : kind -> [1 + blocks, x] and [1 + blocks, y], sums of K and of L.
    paired : [1 + blocks, x, y], see `rsa.hsic.estimators.Sums`.
    diagonal : [1 + blocks, x, y], sum of K_ii L_ii.
    own : the same for K and L summed over the rows of i's group.
    squares : the same for K and L summed over pairs of rows of a group, product by group.
    within : the same for K_ij L_ij over the pairs of rows of one group.
    """

    third: dict[str, np.ndarray]
    total_x: dict[str, np.ndarray]
    total_y: dict[str, np.ndarray]
    paired: np.ndarray
    diagonal: np.ndarray
    own: np.ndarray
    squares: np.ndarray
    within: np.ndarray

    def sums(
        self, kind: str, place: int, full: np.ndarray, third: np.ndarray, between: np.ndarray
    ) -> Sums:
        """What one estimator needs, given the sums of products of pairs [1 + blocks, x, y].

        Parameters
        ----------
        full : sum of K_ij L_ij over all rows; third : of the kernel of rows against sums of
            groups; between : of sums of groups against each other.
        """
        product, row = full[place], self.third[kind][place]
        extra: dict = {}
        if kind == "debiased":
            product = product - self.diagonal[place]
        if kind == "track-debiased":
            product = product - self.within[place]
            row = row - (third[place] - self.own[place])
            extra = {
                "paired": self.paired[place],
                "between": between[place] - self.squares[place],
            }
        return Sums(
            product=product,
            third=row,
            total_x=self.total_x[kind][place][:, None],
            total_y=self.total_y[kind][place][None, :],
            **extra,
        )


def row_sums(
    left: Sequence,
    right: Sequence | None,
    grouping: Grouping,
    blocks: bool,
    team: Team = ALONE,
    own: np.ndarray | None = None,
) -> RowSums:
    """Sums over all stretches of rows.

    Parameters
    ----------
    left, right : layers with `rows(index, start, stop)` and a length; None for left again.
    blocks : also without each block of groups.
    team : processes that share the rows where `own` is given.
    own : [groups] bool, groups whose rows this process visits.
    """
    count = grouping.blocks if blocks else 1
    sides = [Side(left, grouping, blocks, team, own)]
    sides += [] if right is None else [Side(right, grouping, blocks, team, own)]
    x, y = sides[0], sides[-1]
    shape = (len(x.layers), len(y.layers))
    third = {k: np.zeros((1 + count, *shape)) for k in KINDS}
    paired = np.zeros((1 + count, *shape))
    by_block = {k: np.zeros((count, *shape)) for k in ("diagonal", "own", "squares", "within")}
    for block, group, until in stretches(grouping, blocks, STRETCH, own):
        for side in sides:
            side.visit(block, group, until)
        for kind in KINDS:
            third[kind] += x.sums[kind] @ y.sums[kind].transpose(0, 2, 1)
        by_block["diagonal"][block] += x.diagonal @ y.diagonal.T
        if not grouping.single:
            paired += x.by_group @ y.by_group.transpose(0, 2, 1)
            by_block["own"][block] += x.own @ y.own.T
            by_block["squares"][block] += x.squares @ y.squares.T
            for a, b in zip(x.kernels(group, until), y.kernels(group, until), strict=True):
                by_block["within"][block] += a @ b.T
    if own is not None:
        third, by_block = ({k: team.sum(v) for k, v in s.items()} for s in (third, by_block))
        paired = team.sum(paired)
        for side in sides:
            side.total = {k: team.sum(v) for k, v in side.total.items()}
    if grouping.single:
        by_block |= dict.fromkeys(("own", "squares", "within"), by_block["diagonal"])
    return RowSums(third, x.total, y.total, paired, **{k: without(v) for k, v in by_block.items()})


def without(by_block: np.ndarray) -> np.ndarray:
    """[1 + blocks, ...] sums over all blocks, then over all but each."""
    total = by_block.sum(axis=0)
    return np.concatenate([total[None], total - by_block])


class Side:
    """The layers on one side of all pairs, and what a stretch of their rows adds up to."""

    def __init__(
        self,
        layers: Sequence,
        grouping: Grouping,
        blocks: bool,
        team: Team = ALONE,
        own: np.ndarray | None = None,
    ):
        self.layers, self.grouping = layers, grouping
        count = grouping.blocks if blocks else 1
        self.total = {k: np.zeros((1 + count, len(layers))) for k in KINDS}
        shares = spread(lambda i: _shares(layers, i, grouping, blocks, own), range(len(layers)))
        self._shares = [without(part if own is None else team.sum(part)) for part in shares]

    def visit(self, block: int, group: int, until: int) -> None:
        """Reads rows of whole groups of one block.

        Sets `sums` (kind -> [1 + blocks, layers, rows]), `diagonal`, `own` [layers, rows],
        `by_group` [1 + blocks, layers, groups] and `squares` [layers, groups].
        """
        grouping = self.grouping
        start, stop = int(grouping.starts[group]), int(grouping.starts[until])
        sizes = grouping.sizes[group:until]
        starts = grouping.starts[group:until] - start
        places = len(self._shares[0])
        biased = np.empty((places, len(self.layers), stop - start))
        diagonal = np.empty((len(self.layers), stop - start))
        own = diagonal if grouping.single else np.empty_like(diagonal)
        small = [int(m) for m in np.unique(sizes) if m <= LARGE]

        def one(i: int) -> list[np.ndarray]:
            x = self.layers.rows(i, start, stop)
            biased[:, i] = self._shares[i].astype(x.dtype) @ x.T
            diagonal[i] = np.einsum("ij,ij->i", x, x)
            if grouping.single:
                return []
            s = np.repeat(np.add.reduceat(x, starts, axis=0), sizes, axis=0)
            own[i] = np.einsum("ij,ij->i", x, s)
            tiles = []
            for m in small:
                some = x[starts[sizes == m, None] + np.arange(m)]
                tiles.append((some @ some.transpose(0, 2, 1)).reshape(-1))
            return tiles

        self._small = spread(one, range(len(self.layers)))
        track = biased - own
        # rows of a block that is left out count for nothing
        biased[1 + block] = track[1 + block] = 0.0
        debiased = biased - diagonal
        debiased[1 + block] = 0.0
        self.sums = {"biased": biased, "debiased": debiased, "track-debiased": track}
        self.diagonal, self.own = diagonal, own
        for kind in KINDS:
            self.total[kind] += self.sums[kind].sum(axis=2)
        if not grouping.single:
            self.by_group = np.add.reduceat(track, starts, axis=2)
            self.squares = np.add.reduceat(own, starts, axis=1)

    def kernels(self, group: int, until: int) -> Iterator[np.ndarray]:
        """[layers, pairs] K_ij of the pairs of rows of one group, in pieces; after `visit`."""
        for tiles in zip(*self._small, strict=True):
            yield np.stack(tiles)
        for large in np.flatnonzero(self.grouping.sizes[group:until] > LARGE) + group:
            start, stop = self.grouping.starts[large : large + 2]
            edges = [(a, min(a + LARGE, stop)) for a in range(int(start), int(stop), LARGE)]
            for rows, columns in product(edges, edges):
                yield np.stack(
                    [
                        (self.layers.rows(i, *rows) @ self.layers.rows(i, *columns).T).reshape(-1)
                        for i in range(len(self.layers))
                    ]
                )


def _shares(
    layers: Sequence, index: int, grouping: Grouping, blocks: bool, own: np.ndarray | None
) -> np.ndarray:
    """[blocks, width] sums of a layer's rows."""
    parts = np.zeros((grouping.blocks if blocks else 1, layers.rows(index, 0, 0).shape[1]))
    for block, group, until in stretches(grouping, blocks, own=own):
        x = layers.rows(index, int(grouping.starts[group]), int(grouping.starts[until]))
        parts[block] += x.sum(axis=0, dtype=np.float64)
    return parts
