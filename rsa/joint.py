"""All layers of all sources over the same rows, and what several measures share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from rsa.errors import RsaError
from rsa.gram import Tables, cross
from rsa.grouping import Grouping
from rsa.hsic import KINDS
from rsa.moments import Moments
from rsa.source import Source, check_same_rows, read_layer
from rsa.thinning import Subset, thin

Shared = TypeVar("Shared")

# layers beyond this many bytes together are read again whenever they are needed
MEMORY = 4e9
# share of the variance that the layers of a permutation keep
NULL_SHARE = 0.99
# share of the variance, and number of components at least, that a layer's basis keeps
SHARE, COMPONENTS = 0.999, 64
# floating-point operations that all permutations together may take
BUDGET = 8e11
# permutations computed side by side
TOGETHER = 4
# rows whose mean is the first shift
FIRST = 256
FEWEST_ROWS = 4
# permutations of whole groups behind the levels of chance, and subsets of the groups
DRAWS, SUBSETS = 99, 20


def check_enough(rows: int) -> None:
    """Raises RsaError for fewer rows than any comparison needs."""
    if rows < FEWEST_ROWS:
        raise RsaError(f"{rows} rows are too few to compare: at least {FEWEST_ROWS} are needed")


@dataclass(frozen=True)
class Basis:
    """Leading principal components of one layer.

    Attributes
    ----------
    scores : [rows, components], orthonormal columns.
    loadings : [components, width]; scores @ loadings is the layer, up to what is left out.
    share : [components], cumulative share of the variance.
    """

    scores: np.ndarray
    loadings: np.ndarray
    share: np.ndarray

    def count(self, variance: float) -> int:
        """The fewest components that hold this share of the variance."""
        reached = int(np.searchsorted(self.share, variance - 1e-12)) + 1
        return min(reached, len(self.share))


def principal_components(x: np.ndarray, share: float, at_least: int) -> Basis:
    """Basis of a centred layer [rows, width], from the smaller of X'X and XX'."""
    n, d = x.shape
    small = x.T @ x if d <= n else x @ x.T
    power, vectors = np.linalg.eigh(small)
    power, vectors = power[::-1], vectors[:, ::-1]
    total = power.sum()
    rank = int((power > power[0] * max(n, d) * np.finfo(float).eps).sum())
    cumulative = np.cumsum(power[:rank]) / total
    count = max(int(np.searchsorted(cumulative, share - 1e-12)) + 1, at_least)
    count = min(count, rank)
    vectors, scale = vectors[:, :count], np.sqrt(power[:count])
    if d <= n:
        return Basis(x @ vectors / scale, scale[:, None] * vectors.T, cumulative[:count])
    return Basis(vectors, vectors.T @ x, cumulative[:count])


class Joint:
    """The layers of some sources, one after the other, in an order where groups are contiguous.

    Parameters
    ----------
    sources : with the same rows and groups; `RsaError` otherwise.
    groups : [rows] labels instead of the sources' own.
    blocks : of groups, for the jackknife.
    draws : permutations of whole groups behind the levels of chance.
    share : of the variance that the layers' bases must hold.
    wanted : places of the sources whose layers are compared, (i, i) for within; all when None.
    confound : place of a source and a layer of it: what the input alone makes alike.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        groups: np.ndarray | None = None,
        blocks: int = 32,
        draws: int = DRAWS,
        seed: int = 0,
        device: str = "cpu",
        share: float = SHARE,
        wanted: Sequence[tuple[int, int]] | None = None,
        confound: tuple[int, str] | None = None,
    ):
        check_same_rows(sources)
        labels = np.asarray(sources[0].groups if groups is None else groups)
        if len(labels) != len(sources[0]):
            raise RsaError(f"{len(labels)} group labels for {len(sources[0])} rows: give one a row")
        check_enough(len(labels))
        self.seed, self.draws, self.device, self.share = seed, draws, str(device), max(share, SHARE)
        self.grouping = Grouping.deal(labels, blocks, seed)
        self._sources, self._labels = tuple(sources), labels
        self._wanted, self._confound = wanted, confound
        self._places = [(source, layer) for source in sources for layer in source.layers]
        self._kept: dict[int, np.ndarray] = {}
        self._bases: dict[int, Basis] = {}
        self._shared: dict[tuple, object] = {}
        probe = [self._load(i) for i in range(len(self._places))]
        self.widths = np.array([width for width, _ in probe])
        self.constant = np.array([flat for _, flat in probe])

    def __len__(self) -> int:
        return len(self._places)

    @property
    def rows(self) -> int:
        return self.grouping.rows

    def name(self, index: int) -> str:
        """SOURCE/LAYER, for notes."""
        source, layer = self._places[index]
        return f"{source.name}/{layer}"

    def _load(self, index: int) -> tuple[int, bool]:
        """Reads a layer, keeps it if memory allows; its width and whether it is constant."""
        x = standardized(read_layer(*self._places[index])[self.grouping.order])
        if sum(a.nbytes for a in self._kept.values()) + x.nbytes <= MEMORY:
            self._kept[index] = x
        self._last = (index, x)
        return x.shape[1], not x.any()

    def layer(self, index: int) -> np.ndarray:
        """[rows, width] float64, centred columns, scaled to unit mean square; groups contiguous."""
        if index in self._kept:
            return self._kept[index]
        if self._last[0] != index:
            self._load(index)
        return self._last[1]

    def basis(self, index: int) -> Basis | None:
        """Leading principal components of a layer; None when it is constant."""
        if self.constant[index]:
            return None
        if index not in self._bases:
            x = self.layer(index)
            self._bases[index] = principal_components(x, self.share, COMPONENTS)
        return self._bases[index]

    @cached_property
    def permutations(self) -> list[np.ndarray]:
        """`draws` rearrangements of the rows by whole groups, the same for every layer."""
        if self.grouping.groups < 2:
            return []
        rng = np.random.default_rng([self.seed, 1])
        return [self.grouping.permutation(rng) for _ in range(self.draws)]

    @cached_property
    def hsic(self) -> dict[str, np.ndarray]:
        """kind -> [1 + blocks, layers, layers]: whole, then without each block of groups."""
        count, n, widths = len(self), self.rows, self.widths.astype(float)
        if self._gram_is_cheaper(widths) and widths.sum() * n * 8 <= MEMORY:
            tables = Tables.of([self.layer(i) for i in range(count)], self.grouping)
            return cross(tables, tables, self.grouping, device=self.device)
        out = {k: np.empty((1 + self.grouping.blocks, count, count)) for k in KINDS}
        for i in range(count):
            x = self.layer(i)
            for j in range(i, count):
                for kind, values in self._by_moments(x, self.layer(j)).items():
                    out[kind][:, i, j] = out[kind][:, j, i] = values
        return out

    def _gram_is_cheaper(self, widths: np.ndarray) -> bool:
        gram = self.rows**2 * (widths.sum() + len(widths) ** 2)
        return gram <= self.rows * widths.sum() ** 2

    def _by_moments(self, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
        grouping = self.grouping
        moments = Moments(np.zeros(x.shape[1]), np.zeros(y.shape[1]))
        for block in range(grouping.blocks):
            at = slice(grouping.edges[block], grouping.edges[block + 1])
            moments.update(x[at], y[at], grouping.group_of_row[at], block)
        return moments.jackknife(range(grouping.blocks))

    @cached_property
    def null_hsic(self) -> dict[str, np.ndarray]:
        """kind -> [draws, layers, layers]: numerators with the second layer's groups rearranged.

        Layers are cut to the components with 99 % of the variance, or fewer where all draws
        together would cost more than `BUDGET` (the leading ones are kept). To `biased` is added
        what the components left out contribute to its mean under permutations of rows.
        """
        layers = [self._null_layer(i) for i in range(len(self))]
        widths = np.array([z.shape[1] for z in layers], dtype=float)
        for cap in (512, 256, 128, 64, 32, 16):
            if self._null_cost(widths) * len(self.permutations) <= BUDGET:
                break
            layers = [z[:, :cap] for z in layers]
            widths = np.minimum(widths, cap)
        out = {k: np.empty((len(self.permutations), len(self), len(self))) for k in KINDS}
        gram = self._null_by_gram(widths)
        x = Tables.of(layers, self.grouping) if gram else None
        for start in range(0, len(self.permutations) if gram else 0, TOGETHER):
            orders = self.permutations[start : start + TOGETHER]
            y = Tables.of([z[order] for order in orders for z in layers], self.grouping)
            values = cross(x, y, self.grouping, jackknife=False, device=self.device)
            for kind in KINDS:
                drawn = values[kind][0].reshape(len(self), len(orders), len(self))
                out[kind][start : start + len(orders)] = drawn.transpose(1, 0, 2)
        for draw, order in enumerate([] if gram else self.permutations):
            moved = [z[order] for z in layers]
            for i, left in enumerate(layers):
                for j, right in enumerate(moved):
                    moments = Moments(np.zeros(left.shape[1]), np.zeros(right.shape[1]))
                    moments.update(left, right, self.grouping.group_of_row)
                    for kind, value in moments.compute().items():
                        out[kind][draw, i, j] = value
        left_in = np.array([np.vdot(z, z) for z in layers], dtype=np.float64)
        traces = np.where(self.constant, 0.0, self.rows * self.widths)
        lost = np.outer(traces, traces) - np.outer(left_in, left_in)
        out["biased"] += lost / (self.rows - 1) ** 3
        return out

    def _null_by_gram(self, widths: np.ndarray) -> bool:
        # a pair at a time costs more than its operations where there are few rows
        return self.rows**2 * (widths.sum() + len(widths) ** 2) <= 4 * self.rows * widths.sum() ** 2

    def _null_cost(self, widths: np.ndarray) -> float:
        if self._null_by_gram(widths):
            return float(self.rows) ** 2 * (widths.sum() * (1 + 1 / TOGETHER) + len(widths) ** 2)
        return 2 * self.rows * widths.sum() ** 2

    def _null_layer(self, index: int) -> np.ndarray:
        basis = self.basis(index)
        if basis is None:
            return np.zeros((self.rows, 1), dtype=np.float32)
        count = basis.count(NULL_SHARE)
        scale = np.sqrt((basis.loadings[:count] ** 2).sum(axis=1))
        return (basis.scores[:, :count] * scale).astype(np.float32)

    def shared(self, key: tuple, make: Callable[[], Shared]) -> Shared:
        """What `make` gives, made once for all measures that ask with this key."""
        if key not in self._shared:
            self._shared[key] = make()
        return self._shared[key]

    @cached_property
    def confound(self) -> int | None:
        """The layer that stands for the input in deconfounded measures, if one was named."""
        if self._confound is None:
            return None
        place, layer = self._confound
        return self._places.index((self._sources[place], layer))

    @cached_property
    def wanted(self) -> np.ndarray:
        """[layers, layers] bool, symmetric: pairs compared, and every layer with itself."""
        source = np.repeat(np.arange(len(self._sources)), [len(s.layers) for s in self._sources])
        if self._wanted is None:
            return np.ones((len(self), len(self)), dtype=bool)
        mask = np.zeros((len(self._sources),) * 2, dtype=bool)
        for i, j in self._wanted:
            mask[i, j] = mask[j, i] = True
        return mask[np.ix_(source, source)] | np.eye(len(self), dtype=bool)

    def pairs(self) -> list[tuple[int, int]]:
        """Unordered pairs (i, j), i <= j, of layers that are compared; each with itself."""
        return [(int(i), int(j)) for i, j in np.argwhere(np.triu(self.wanted))]

    @cached_property
    def subsets(self) -> list[np.ndarray]:
        """[rows] bool masks, each of half of the groups, whole; the same for every layer."""
        count = self.grouping.groups
        if count < 4:
            return []
        rng = np.random.default_rng([self.seed, 2])
        masks = []
        for _ in range(SUBSETS):
            kept = np.zeros(count, dtype=bool)
            kept[rng.permutation(count)[: count // 2]] = True
            masks.append(kept[self.grouping.group_of_row])
        return masks

    def thinned(self, limit: int) -> Joint:
        """The same layers on at most about `limit` rows, from all groups if there are not more.

        Itself where it has no more rows. For measures whose cost grows with the square of rows.
        """
        if self.rows <= limit:
            return self

        def make() -> Joint:
            chosen = thin(self._labels, limit, self.seed)
            return Joint(
                [Subset(source, chosen) for source in self._sources],
                self._labels[chosen], max(self.grouping.blocks, 2), self.draws, self.seed,
                self.device, self.share, self._wanted, self._confound,
            )  # fmt: skip

        return self.shared(("thinned", limit), make)


def standardized(x: np.ndarray) -> np.ndarray:
    """Columns of [rows, width] centred, the whole scaled to unit mean square; zeros if constant.

    A first shift by the mean of the first rows keeps the digits that a large offset would cost.
    """
    flat = (x == x[:1]).all(axis=0)
    x = x - x[:FIRST].mean(axis=0)
    x[:, flat] = 0.0
    largest = np.abs(x).max()
    if largest == 0.0:
        return x
    x /= largest
    x -= x.mean(axis=0)
    x[:, flat] = 0.0
    return x / np.sqrt((x**2).mean())
