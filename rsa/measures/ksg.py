"""Mutual information from nearest neighbours (Kraskov, Stoegbauer and Grassberger 2004)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma

from rsa.errors import RsaError
from rsa.inference.intervals import subsampled
from rsa.measures.base import Measure, Null, Table, constant_note
from rsa.memory import in_pieces
from rsa.rows.joint import FEWEST_DRAWS, Joint
from rsa.threads import spread

# more dimensions than this and the estimate falls far short of the truth
MOST = 5
# rows at most: cost and memory grow with their square
ROWS = 1000
# distances compared at a time, so that they stay in a core's cache
TILE = 1 << 17
# distances that the permutations may compare in all; FEWEST_DRAWS all the same
BUDGET = 6e9


@dataclass(frozen=True, kw_only=True)
class NeighbourInformation(Measure):
    """KSG's first estimator between leading principal components, whitened.

    Rows of one group lie near each other in both layers whatever the layers share, so neighbours
    are looked for among the rows of other groups only.

    Attributes
    ----------
    components : leading principal components of each layer; k : neighbours.
    """

    components: int = 3
    k: int = 4

    def check(self) -> None:
        if not 0 < self.components <= MOST:
            raise RsaError(f"measure {self.name!r}: 1 to {MOST} components are possible")
        if not 0 < self.k <= 100:
            raise RsaError(f"measure {self.name!r}: 1 to 100 neighbours are possible")

    def estimate(self, joint: Joint) -> Table:
        whole, joint = joint, joint.thinned(ROWS)
        count, rows = len(joint), joint.rows
        sizes = joint.grouping.sizes
        others = rows - np.repeat(sizes, sizes)
        shape = (count, count)
        value, low, high = (np.full(shape, np.nan) for _ in range(3))
        draws = np.empty((0, *shape))
        notes = constant_note(joint)
        cells = [(i, j) for i, j in joint.pairs() if i < j and not joint.constant[[i, j]].any()]
        enough = others.min() > self.k and joint.grouping.groups > 2
        if enough and cells:
            tables = _distances(joint, self.components)
            mean = self._all(joint, tables, tables, cells, others)
            fewer, groups = self._on_subsets(joint, tables, cells), joint.grouping.groups
            ends = subsampled(mean, fewer, groups // 2, groups)
            orders = joint.permutations[: max(FEWEST_DRAWS, int(BUDGET / (rows**2 * len(cells))))]
            drawn = self._chance(joint, tables, cells, others, orders)
            draws = np.full((len(orders), *shape), np.nan)
            i, j = np.array(cells).T
            for matrix, line in zip((value, low, high, *draws), (mean, *ends, *drawn), strict=True):
                matrix[i, j] = matrix[j, i] = line
        ceiling = np.where(np.isnan(value), np.nan, self._ceiling(others) if enough else np.nan)
        notes += self._notes(joint, whole, value, ceiling, enough)
        null = Null(f"permutation of groups, {len(draws)} draws", draws)
        return Table(value, low, high, null, {"ceiling": ceiling}, notes)

    def _ceiling(self, others: np.ndarray) -> float:
        """Bits found when every row's neighbours are the same in both layers."""
        return float((digamma(others + 1) - digamma(self.k)).mean() / np.log(2))

    def _bits(
        self, x: Distances, y: Distances, top: np.ndarray, order: np.ndarray | None = None
    ) -> float:
        """Mean over rows of psi(k) + psi(N) - psi(n_x + 1) - psi(n_y + 1).

        n_x are the rows nearer in x than the k-th neighbour in the maximum of both distances; rows
        of the own group count nowhere. `order` has the rows of y's keys, where they were moved.
        """
        rows = len(x.table)
        radius = np.empty(rows, dtype=np.float32)

        def fill(step: int) -> None:
            for start in range(0, rows, step):
                at = slice(start, start + step)
                reach = np.maximum(x.table[at], y.table[at])
                reach.partition(self.k - 1, axis=1)
                radius[at] = reach[:, self.k - 1]

        in_pieces("rows of distances", fill, max(1, TILE // rows))
        here = np.arange(rows)
        near = x.nearer(radius, here) + 1, y.nearer(radius, here if order is None else order) + 1
        return float((top - digamma(near[0]) - digamma(near[1])).mean() / np.log(2))

    def _all(
        self,
        joint: Joint,
        x: dict[int, Distances],
        y: dict[int, Distances],
        cells: list[tuple[int, int]],
        others: np.ndarray,
        order: np.ndarray | None = None,
    ) -> np.ndarray:
        """[pairs] bits."""
        top = digamma(self.k) + digamma(others + 1)
        return np.array(
            joint.spread(lambda c: self._bits(x[c[0]], y[c[1]], top, order), cells)
        )

    def _chance(
        self,
        joint: Joint,
        tables: dict[int, Distances],
        cells: list[tuple[int, int]],
        others: np.ndarray,
        orders: list[np.ndarray],
    ) -> np.ndarray:
        """[draws, pairs] values with the second layer's groups rearranged."""
        second = sorted({j for _, j in cells})
        drawn = np.empty((len(orders), len(cells)))
        for draw, order in enumerate(orders):

            def move(j: int, order: np.ndarray = order) -> Distances:
                return Distances(tables[j].table[order].take(order, axis=1), tables[j].keys)

            moved = dict(zip(second, spread(move, second), strict=True))
            drawn[draw] = self._all(joint, tables, moved, cells, others, order)
        return drawn

    def _on_subsets(
        self, joint: Joint, tables: dict[int, Distances], cells: list[tuple[int, int]]
    ) -> np.ndarray:
        """[subsets, pairs] values on half of the groups each."""
        used = sorted({i for cell in cells for i in cell})
        found = []
        for mask in joint.subsets:
            sizes = np.bincount(joint.grouping.group_of_row[mask])[
                joint.grouping.group_of_row[mask]
            ]
            others = mask.sum() - sizes

            def cut(i: int, mask: np.ndarray = mask) -> Distances:
                return Distances.of(tables[i].table[mask][:, mask])

            fewer = dict(zip(used, spread(cut, used), strict=True))
            if others.min() > self.k:
                found.append(self._all(joint, fewer, fewer, cells, others))
        return np.array(found).reshape(-1, len(cells))

    def _notes(
        self, joint: Joint, whole: Joint, value: np.ndarray, ceiling: np.ndarray, enough: bool
    ) -> list[tuple[frozenset[int], str]]:
        if not enough:
            sentence = f"{joint.rows} rows in {joint.grouping.groups} groups are too few"
            return [(frozenset(), f"{sentence} for {self.k} neighbours in other groups")]
        notes = [(frozenset(), "a layer's information about itself has no finite value")]
        if not joint.grouping.single:
            notes.append((frozenset(), "neighbours are rows of other groups; below 0 is noise"))
        if joint is not whole:
            notes.append((frozenset(), f"on {joint.rows} of {whole.rows} rows"))
        with np.errstate(invalid="ignore"):
            full = np.argwhere(np.triu(value > 0.9 * ceiling, 1))
        if len(full):
            i, j = full[0]
            more = f" (and {len(full) - 1} more pairs)" if len(full) > 1 else ""
            sentence = f"{joint.name(i)} and {joint.name(j)}{more} are within 10 % of the most "
            notes.append((frozenset(), sentence + "that so many rows can show: a lower bound"))
        return notes


@dataclass(frozen=True)
class Distances:
    """Between the rows of one layer.

    Attributes
    ----------
    table : [rows, rows] float32; infinite within a group.
    keys : [rows * rows] each row's distances, rising, as integers with the row's number in the
        upper half: one sorted array for all rows.
    """

    table: np.ndarray
    keys: np.ndarray

    @classmethod
    def of(cls, table: np.ndarray) -> Distances:
        return cls(table, _keys(np.sort(table, axis=1), np.arange(len(table))[:, None]).ravel())

    def nearer(self, radius: np.ndarray, at: np.ndarray) -> np.ndarray:
        """How many rows are strictly nearer than `radius` to each of the rows `at`."""
        return np.searchsorted(self.keys, _keys(radius, at)) - at * len(self.table)


def _keys(distances: np.ndarray, rows: np.ndarray) -> np.ndarray:
    # the bits of numbers that are not negative rise with the numbers
    return (rows.astype(np.int64) << 32) + distances.view(np.int32)


def _distances(joint: Joint, components: int) -> dict[int, Distances]:
    """layer -> distances, the largest difference of a component."""
    group = joint.grouping.group_of_row
    together = group[:, None] == group[None, :]

    def table(i: int) -> Distances:
        scores = joint.basis(i).scores[:, :components] * np.sqrt(joint.rows)
        scores = scores.astype(np.float32)
        out = np.zeros(together.shape, dtype=np.float32)
        for column in scores.T:
            np.maximum(out, np.abs(column[:, None] - column[None, :]), out=out)
        out[together] = np.inf
        return Distances.of(out)

    def make() -> dict[int, Distances]:
        varied = [int(i) for i in np.flatnonzero(~joint.constant)]
        return dict(zip(varied, spread(table, varied), strict=True))

    return joint.shared(("neighbour distances", components), make)


KSG = NeighbourInformation(
    stem="mi:ksg,pca={components},k={k}",
    heading="KSG mutual information",
    family="information",
    formula="psi(k) + mean of psi(N) - psi(n_x + 1) - psi(n_y + 1) over rows, in bits; n_x, n_y "
    "rows nearer than the k-th neighbour in max(d_x, d_y), d the max-norm on white components; "
    "N and neighbours without the row's own group",
    source="Kraskov et al. 2004, arXiv:cond-mat/0305641, eq. 8",
    says="Bits that the few strongest components of two layers share, in any form, linear or not.",
    beware="Falls short where layers share much or on many components, and says nothing about the "
    "components left out; the number of rows sets a ceiling.",
    range=(None, None),
    invariances=frozenset({"translation", "isotropic scaling", "permutation", "orthogonal"}),
    minimum_rows=8,
    unit="bits",
)

MEASURES = (KSG,)
