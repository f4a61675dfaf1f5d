"""Measures on relations between rows: each layer one matrix [rows, rows], compared entry by entry.

A layer's relations (kernel values, distances, ranks of distances, neighbourhoods) are centred or
scaled once and stored as [rows, rows, layers]. Every cell of a comparison is then an inner product
over pairs of rows, so that all cells are one matrix product, and a permutation of rows moves
stretches of `layers` numbers. Pairs of rows of one group are left out: they are alike in any model.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock

import numpy as np

from rsa.inference.intervals import around
from rsa.measures.base import Measure, Null, Table, constant_note
from rsa.memory import in_pieces
from rsa.rows.grouping import Grouping
from rsa.rows.joint import FEWEST_DRAWS, Joint
from rsa.threads import spread

# rows at most, and fewer where all layers' relations would take more than BYTES
ROWS, BYTES = 1500, 5e8
# layers' distances are kept for the next measure if all take no more than this
KEPT = 5e8
# multiplications that all permutations of one measure may take; FEWEST_DRAWS all the same
BUDGET = 4e11
# numbers of one tile of relations in work
TILE = 2_000_000
# share that is subtracted of what the jackknife counts twice
OVERCOUNT = 0.5
READING = Lock()
# a layer whose relations keep less than this share of their size when centred has none
NOTHING = 1e-12


@dataclass(frozen=True)
class Pairs:
    """Ordered pairs of rows that count.

    Attributes
    ----------
    apart : only rows of different groups; otherwise all different rows.
    """

    grouping: Grouping
    apart: bool = True

    @cached_property
    def labels(self) -> np.ndarray:
        """[rows]; rows with the same label are never a pair."""
        if self.apart:
            return self.grouping.group_of_row
        return np.arange(self.grouping.rows)

    @cached_property
    def allowed(self) -> np.ndarray:
        """[rows, rows] bool."""
        return self.labels[:, None] != self.labels[None, :]

    @cached_property
    def upper(self) -> np.ndarray:
        """Flat places of the pairs (i, j) with i < j."""
        return np.flatnonzero(np.triu(self.allowed))

    @property
    def units(self) -> int:
        return int(self.labels[-1]) + 1

    @cached_property
    def sizes(self) -> np.ndarray:
        """[units] rows of each group, or 1 of each row."""
        return np.bincount(self.labels).astype(float)

    def centred(self, relation: np.ndarray) -> np.ndarray:
        """What is left of a symmetric relation when the best r_i + r_j is taken off.

        The least-squares fit over the pairs that count; zero elsewhere. With all different rows
        it is the U-centring of Szekely and Rizzo 2014 (Annals of Statistics 42), and
        inner products are n (n - 3) times HSIC_1.
        """
        relation = np.where(self.allowed, relation, 0.0)
        rows, own = len(self.labels), self.sizes[self.labels]
        row = relation.sum(axis=1)
        # r_i (n - m) + sum of r over other groups = sum of row i; first for the sums of r by group
        other = rows - 2 * self.sizes
        of_group = np.bincount(self.labels, weights=row) / other
        total = of_group.sum() / (1 + (self.sizes / other).sum())
        of_group -= self.sizes / other * total
        offset = (row - total + of_group[self.labels]) / (rows - own)
        relation -= offset[:, None]
        relation -= offset[None, :]
        relation[~self.allowed] = 0.0
        return relation


def rows_of(joint: Joint, index: int) -> np.ndarray:
    """[rows, width] of one layer; layers are read one at a time, whoever asks."""
    with READING:
        return joint.layer(index)


def squared_distances(joint: Joint, index: int) -> np.ndarray:
    """[rows, rows] squared Euclidean distances of a layer's rows; not to be written to."""

    def make() -> np.ndarray:
        x = rows_of(joint, index)
        squares = np.einsum("ij,ij->i", x, x)
        product = x @ x.T
        product *= -2
        product += squares[:, None]
        product += squares[None, :]
        # rounding leaves equal rows a little below 0
        return np.maximum(product, 0.0, out=product)

    if joint.rows**2 * len(joint) * 8 > KEPT:
        return make()
    return joint.shared(("squared distances", index), make)


@dataclass(frozen=True)
class Relation:
    """Relations of one layer, ready for inner products.

    Attributes
    ----------
    entries : [rows, rows], zero for pairs that do not count; None where the layer has none.
    numbers : what a reader should know of the layer, by name.
    why : what is wrong, where there are none.
    """

    entries: np.ndarray | None
    numbers: dict[str, float] = field(default_factory=dict)
    why: str = ""


@dataclass(frozen=True)
class Products:
    """Inner products of all layers' relations.

    Attributes
    ----------
    joint : the rows that entered.
    blocks : [blocks, blocks, layers, layers], over the pairs of rows of two blocks of groups.
    draws : [draws, layers, layers], with the second layer's groups rearranged.
    counts : [blocks, blocks] pairs of rows that count.
    numbers : name -> [layers].
    missing : layer -> why it has no relations.
    extra : what one measure adds to the influence of pairs, like `blocks`.
    """

    joint: Joint
    blocks: np.ndarray
    draws: np.ndarray
    counts: np.ndarray
    numbers: dict[str, np.ndarray]
    missing: dict[int, str]
    extra: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class PairwiseMeasure(Measure):
    """A cell is the cosine of two layers' relations, unless a subclass finishes otherwise.

    Attributes
    ----------
    apart : leave out pairs of rows of one group, not only each row with itself.
    centred : permutations of single rows give 0 on average.
    mirrored : relations are the same from j to i as from i to j.
    """

    apart: bool = True
    centred: bool = True
    mirrored: bool = True

    @abstractmethod
    def relation(self, joint: Joint, index: int, pairs: Pairs) -> Relation:
        """The relations of one layer."""

    def too_few(self, joint: Joint, pairs: Pairs) -> str:
        """Why no layer has a value; empty when there are rows enough."""
        kind = "groups" if self.apart else "rows"
        if pairs.units < 4:
            return f"{pairs.units} {kind} are too few: 4 are needed"
        if self.centred and (2 * pairs.sizes == joint.rows).any():
            return "one group holds exactly half of the rows: relations cannot be centred"
        return ""

    def prepared(self, joint: Joint, entries: np.ndarray, missing: dict[int, str]) -> None:
        """A last step on all layers' entries [rows, rows, layers], in place."""

    def influence(self, entries: np.ndarray, pairs: Pairs, edges: np.ndarray) -> np.ndarray | None:
        """What `Products.extra` holds, from all layers' entries."""
        return None

    @property
    def key(self) -> tuple:
        """Measures with equal keys have the same relations and share their products."""
        return (self.name,)

    def finish(self, found: Products) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Value [layers, layers], influence of pairs (like `blocks`), draws."""
        total = found.blocks.sum(axis=(0, 1))
        scale = np.sqrt(np.diag(total))
        with np.errstate(invalid="ignore", divide="ignore"):
            over = 1 / np.outer(scale, scale)
            value, effect = total * over, found.blocks * over
            own = np.einsum("bcii->bci", effect)
            effect -= value / 2 * (own[..., :, None] + own[..., None, :])
            return value, effect, found.draws * over

    def replicates(self, found: Products) -> np.ndarray:
        """[blocks, layers, layers] values without the rows of each block, centred as they were."""
        total = without(found.blocks)
        scale = np.sqrt(np.einsum("bii->bi", total))
        with np.errstate(invalid="ignore", divide="ignore"):
            return total / scale[:, :, None] / scale[:, None, :]

    def itself(self, found: Products) -> np.ndarray | None:
        """[layers] the exact value of a layer with itself; None where it has none."""
        return np.ones(len(found.joint))

    def estimate(self, joint: Joint) -> Table:
        small = joint.thinned(rows_for(len(joint)))
        shape = (len(joint), len(joint))
        notes = constant_note(small)
        if small.rows < joint.rows:
            notes.append((frozenset(), f"on {small.rows} of {joint.rows} rows"))
        pairs = Pairs(small.grouping, self.apart)
        if few := self.too_few(small, pairs):
            nothing = np.full(shape, np.nan)
            null = Null("none", np.empty((0, *shape)))
            return Table(nothing, nothing, nothing, null, {}, [*notes, (frozenset(), few)])
        found = joint.shared(("products", *self.key), lambda: self._products(small, pairs))
        value, effect, draws = self.finish(found)
        for i, why in found.missing.items():
            value[i], value[:, i] = np.nan, np.nan
            if not small.constant[i]:
                notes.append((frozenset([i]), f"{small.name(i)} {why}"))
        replicates = self.replicates(found)
        low, high = interval(value, effect, replicates, small.grouping.units)
        if (own := self.itself(found)) is not None:
            at = np.flatnonzero(~np.isnan(np.diag(value)))
            for matrix in (value, low, high, *replicates):
                matrix[at, at] = own[at]
        for matrix in (value, low, high, *replicates, *draws):
            matrix[~joint.wanted] = np.nan
        if small.grouping.blocks < 2:
            notes.append((frozenset(), "one group of rows: no interval, no chance"))
        null = self._null(small, draws)
        if len(replicates) < 2:
            replicates = None
        return Table(value, low, high, null, found.numbers, notes, replicates)

    def _null(self, joint: Joint, draws: np.ndarray) -> Null:
        by = f"permutation of groups, {len(draws)} draws and their inverses"
        # the draw (y, x) is the draw (x, y) under the inverse rearrangement
        draws = np.concatenate([draws, draws.transpose(0, 2, 1)])
        mean = self.chance(joint) if joint.grouping.single else None
        if mean is None:
            return Null(by, draws)
        return Null(f"mean in closed form; {by}", draws, np.full(draws.shape[1:], mean))

    def chance(self, joint: Joint) -> float | None:
        """The exact mean under permutations of single rows, where it is known."""
        return 0.0 if self.centred else None

    def _products(self, joint: Joint, pairs: Pairs) -> Products:
        relations = spread(lambda i: self._checked(joint, i, pairs), range(len(joint)))
        missing = {i: r.why for i, r in enumerate(relations) if r.entries is None}
        names = {name for r in relations for name in r.numbers}
        numbers = {n: np.array([r.numbers.get(n, np.nan) for r in relations]) for n in names}
        entries = np.zeros((joint.rows, joint.rows, len(joint)), dtype=np.float32)
        for start in range(0, joint.rows, 64):
            for i, relation in enumerate(relations):
                if relation.entries is not None:
                    entries[start : start + 64, :, i] = relation.entries[start : start + 64]
        del relations
        self.prepared(joint, entries, missing)
        edges = joint.grouping.edges
        at = edges[:-1]
        counts = np.add.reduceat(np.add.reduceat(pairs.allowed, at, 0, dtype=float), at, 1)
        orders = joint.permutations
        cost = float(joint.rows) ** 2 * len(joint) ** 2 / (2 if self.mirrored else 1)
        orders = orders[: max(min(FEWEST_DRAWS, len(orders)), int(BUDGET / cost))]
        return Products(
            joint,
            by_blocks(entries, edges, self.mirrored),
            np.array(joint.spread(lambda o: moved(entries, o, self.mirrored), orders)).reshape(
                -1, len(joint), len(joint)
            ),
            counts,
            numbers,
            missing,
            self.influence(entries, pairs, edges),
        )

    def _checked(self, joint: Joint, index: int, pairs: Pairs) -> Relation:
        if joint.constant[index]:
            return Relation(None, why="is the same in every row")
        found = self.relation(joint, index, pairs)
        if found.entries is None:
            return found
        return Relation(found.entries.astype(np.float32), found.numbers)


def rows_for(layers: int) -> int:
    """Rows that enter when so many layers' relations are held at once."""
    return min(ROWS, int(np.sqrt(BYTES / (4 * layers))))


def unit(entries: np.ndarray, raw: float, **numbers: float) -> Relation:
    """Entries scaled to a sum of squares of 1; none where centring left nothing of `raw`.

    Parameters
    ----------
    raw : root of the sum of squares before centring.
    """
    size = np.linalg.norm(entries)
    if not size > NOTHING * raw:
        return Relation(None, numbers, "has no relations between rows that differ")
    return Relation(entries / size, numbers)


def by_blocks(entries: np.ndarray, edges: np.ndarray, mirrored: bool) -> np.ndarray:
    """[blocks, blocks, layers, layers] float64 inner products over pairs of rows of two blocks."""
    count, layers = len(edges) - 1, entries.shape[2]
    out = np.empty((count, count, layers, layers))

    def rows(b: int) -> None:
        for c in range(b if mirrored else 0, count):
            tile = entries[edges[b] : edges[b + 1], edges[c] : edges[c + 1]]
            tile = tile.reshape(-1, layers).astype(np.float64)
            out[b, c] = tile.T @ tile
            if mirrored:
                out[c, b] = out[b, c]

    spread(rows, range(count))
    return out


def moved(entries: np.ndarray, order: np.ndarray, mirrored: bool) -> np.ndarray:
    """[layers, layers] inner products of the entries with those of rearranged rows."""
    rows, _, layers = entries.shape
    most = max(1, TILE // (rows * layers))
    return in_pieces(
        "rows of rearranged distances", lambda step: _moved(entries, order, mirrored, step), most
    )


def _moved(entries: np.ndarray, order: np.ndarray, mirrored: bool, step: int) -> np.ndarray:
    """So many rows at a time."""
    rows, _, layers = entries.shape
    total = np.zeros((layers, layers))
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        first = start if mirrored else 0
        there = np.empty((stop - start, rows - first, layers), dtype=entries.dtype)
        for place, row in enumerate(order[start:stop]):
            np.take(entries[row], order[first:], axis=0, out=there[place], mode="clip")
        here = entries[start:stop, first:]
        if mirrored:
            # pairs beyond the tile stand for their mirror images too
            beyond = stop - start
            total += 2.0 * _product(here[:, beyond:], there[:, beyond:])
            here, there = here[:, :beyond], there[:, :beyond]
        total += _product(here, there)
    return total


def _product(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    layers = x.shape[-1]
    return x.reshape(-1, layers).T @ y.reshape(-1, layers)


def without(blocks: np.ndarray) -> np.ndarray:
    """[blocks, ...] sums over pairs of rows neither of which is in a block."""
    touching = blocks.sum(axis=0) + blocks.sum(axis=1) - np.einsum("bb...->b...", blocks)
    return blocks.sum(axis=(0, 1)) - touching


def interval(
    value: np.ndarray, effect: np.ndarray, replicates: np.ndarray, units: float
) -> tuple[np.ndarray, np.ndarray]:
    """Jackknife interval of a function of means over pairs, freed of what it counts twice.

    The influence of a block is twice the sum of its pairs (Hoeffding's projection). The jackknife
    counts what belongs to two blocks together twice (Efron and Stein 1981, Annals of Statistics
    9); half of that is subtracted, for with all of it gone intervals of skewed values are too
    short, and half of the variance is kept at least.

    Parameters
    ----------
    effect : [blocks, blocks, ...] influence on the value, summed over pairs; sums to 0.
    replicates : [blocks, ...] values without each block.
    units : equal groups that the groups are worth.
    """
    blocks = len(replicates)
    if blocks < 2:
        return np.full_like(value, np.nan), np.full_like(value, np.nan)
    both = effect + effect.swapaxes(0, 1)
    rest = both - (both.sum(axis=1)[:, None] + both.sum(axis=1)[None, :]) / blocks
    own = np.einsum("bb...->b...", rest) / 2
    pairs = ((rest**2).sum(axis=(0, 1)) - 4 * (own**2).sum(axis=0)) / 2 + 3 * (own**2).sum(axis=0)
    spread_out = ((replicates - replicates.mean(axis=0)) ** 2).sum(axis=0)
    squares = (blocks - 1) / blocks * spread_out
    error = np.sqrt(np.maximum(squares - OVERCOUNT * pairs, squares / 2))
    return around(value, error, max(min(blocks, units), 2.0))
