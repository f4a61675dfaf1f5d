"""All layers of all sources over the same rows, and what several measures share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from rsa.errors import RsaError
from rsa.rows.grouping import Grouping
from rsa.rows.streaming import Layers, Standard, batches, batches_of
from rsa.rows.thinning import Subset, read_rows, thin
from rsa.source import Matrices, Source, check_same_rows
from rsa.team import ALONE, Team, dealt

Shared, Item = TypeVar("Shared"), TypeVar("Item")

# layers beyond this many bytes together are read again whenever they are needed
MEMORY = 4e9
# share of the variance, and number of components at least, that a layer's basis keeps
SHARE, COMPONENTS = 0.999, 64
FEWEST_ROWS = 4
# permutations of whole groups behind the levels of chance; where they take long no fewer than
# this, with which p can be 0.025; subsets of the groups
DRAWS, FEWEST_DRAWS, SUBSETS = 99, 39, 20


def check_enough(rows: int) -> None:
    """Raises RsaError for fewer rows than any comparison needs."""
    if rows < FEWEST_ROWS:
        raise RsaError(
            f"{rows} rows are too few to compare: at least {FEWEST_ROWS} are needed; "
            "give more clips"
        )


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
    team : processes that share the work on it.
    owners : [rows] the process that reads each row, where no other can; a group is read by the
        process of its first row. None where every process can read all.
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
        team: Team = ALONE,
        owners: np.ndarray | None = None,
    ):
        check_same_rows(sources)
        labels = np.asarray(sources[0].groups if groups is None else groups)
        if len(labels) != len(sources[0]):
            raise RsaError(f"{len(labels)} group labels for {len(sources[0])} rows: give one a row")
        check_enough(len(labels))
        self.seed, self.draws, self.device, self.share = seed, draws, str(device), max(share, SHARE)
        self.grouping = Grouping.deal(labels, blocks, seed)
        self._sources, self._labels = tuple(sources), labels
        self._wanted, self._confound, self.team = wanted, confound, team
        self._shared: dict[tuple, object] = {}
        self._owners = np.arange(len(labels)) * team.size // len(labels)
        if owners is not None and team.size > 1:
            self._owners = np.asarray(owners)
            if not self.huge:  # every process then has what it would read
                self._sources = self._exchanged(np.arange(len(labels)))
        self._kept: dict[int, np.ndarray] = {}
        self._bases: dict[int, Basis] = {}
        self._last: tuple[int, np.ndarray | None] = (-1, None)

    @cached_property
    def _places(self) -> list[tuple[Source, str]]:
        return [(source, layer) for source in self._sources for layer in source.layers]

    def __len__(self) -> int:
        return sum(len(source.layers) for source in self._sources)

    @property
    def rows(self) -> int:
        return self.grouping.rows

    def name(self, index: int) -> str:
        """SOURCE/LAYER, for notes."""
        source, layer = self._places[index]
        return f"{source.name}/{layer}"

    @property
    def standards(self) -> list[Standard]:
        """How each layer is centred and scaled; the first look at all rows of all layers."""
        return self.shared(("standards",), self._standards)

    def _standards(self) -> list[Standard]:
        if self.own is None:
            return dealt(self.team, lambda place: Standard.of(batches(*place)), self._places)
        rows = np.flatnonzero(self._owners == self.team.rank)
        firsts = self._first_rows
        return [
            Standard.of_parts(batches_of(*place, rows), first, self.team)
            for place, first in zip(self._places, firsts, strict=True)
        ]

    @property
    def _first_rows(self) -> list[np.ndarray]:
        """The first row of each layer, from the process that owns it."""
        return self.shared(("first rows",), self._read_first)

    def _read_first(self) -> list[np.ndarray]:
        own = self._owners[0] == self.team.rank
        places = [(source, layer) for source in self._sources for layer in source.layers]
        rows = [np.asarray(read_rows(*p, np.array([0]))[0], dtype=float) for p in places if own]
        (found,) = (rows for rows in self.team.gather(rows) if rows)
        return found

    @property
    def own(self) -> np.ndarray | None:
        """[groups] bool, those whose rows this process reads; None where it reads all."""
        if self.team.size == 1 or not self.huge:
            return None
        key = ("own",)
        return self.shared(key, lambda: self.grouping.owned(self._owners, self.team.rank))

    @property
    def widths(self) -> np.ndarray:
        """[layers] columns of each layer."""
        if self.team.size > 1:
            return np.array([len(row) for row in self._first_rows])
        return np.array([len(standard.mean) for standard in self.standards])

    @property
    def constant(self) -> np.ndarray:
        """[layers] bool, True for a layer that is the same in every row."""
        return np.array([standard.scale == 0.0 for standard in self.standards])

    @property
    def huge(self) -> bool:
        """True when the layers do not fit in memory: they are read by stretches, or thinned."""
        return 4.0 * self.rows * self.widths.sum() > MEMORY

    def layers(self, without: Sequence[np.ndarray | None], dtype: type) -> Layers:
        """All layers by stretches of rows, some directions taken out of each; see `Layers`."""
        return Layers(self._places, self.standards, self.grouping, without, dtype)

    def layer(self, index: int) -> np.ndarray:
        """[rows, width] float64, centred columns, scaled to unit mean square; groups contiguous.

        Not for a joint that is `huge`: thin it first.
        """
        if index in self._kept:
            return self._kept[index]
        if self._last[0] != index:
            x = self.layers([None] * len(self), np.float64).rows(index, 0, self.rows)
            self._last = (index, x)
            if sum(a.nbytes for a in self._kept.values()) + x.nbytes <= MEMORY:
                self._kept[index] = x
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

    def spread(self, function: Callable[[Item], Shared], items: Sequence[Item]) -> list[Shared]:
        """Results of `function` in the order of `items`, by the processes and cores at work on it.

        The results travel: they must be small, and may not be made in the caller's own memory.
        """
        return dealt(self.team, function, items)

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
                self._exchanged(chosen)
                if self.own is not None
                else [Subset(source, chosen) for source in self._sources],
                self._labels[chosen], max(self.grouping.blocks, 2), self.draws, self.seed,
                self.device, self.share, self._wanted, self._confound, self.team,
            )  # fmt: skip

        return self.shared(("thinned", limit), make)

    def _exchanged(self, rows: np.ndarray) -> tuple[Matrices, ...]:
        """Some rows of all sources, each from the process that owns it, the same in all."""
        mine = self._owners[rows] == self.team.rank
        widths, found = iter(self.widths), []
        for source in self._sources:
            layers = {}
            for layer in source.layers:
                values = np.zeros((len(rows), next(widths)))
                if mine.any():
                    values[mine] = read_rows(source, layer, rows[mine])
                values = self.team.sum(values)
                single = values.astype(np.float32)
                layers[layer] = single if (single == values).all() else values
            found.append(Matrices(source.name, layers, np.asarray(source.groups)[rows]))
        return tuple(found)
