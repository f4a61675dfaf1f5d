"""Groups of rows: blocks for the jackknife, folds, and permutations of whole groups.

Rows of one group (track) are not independent. A group is never divided, neither between two
blocks nor between two folds, and a permutation moves it as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rsa.errors import RsaError

# a stratum with fewer groups than this has too few permutations to be a null
STRATUM = 8
# runs of neighbouring groups that are dealt to each block, at most
RUNS = 64


def check_groups(labels: Sequence | np.ndarray, rows: int, name: str = "groups") -> np.ndarray:
    """[rows] labels as an array; `RsaError` unless there is one label a row, all of one kind."""
    cure = "give one label a row"
    if hasattr(labels, "detach"):
        labels = labels.detach().cpu()
    plain = isinstance(labels, (list, tuple))
    kinds = {_kind(each) for each in set(map(type, labels))} if plain else set()
    try:
        array = np.asarray(labels)
    except (TypeError, ValueError, RuntimeError):
        raise RsaError(f"{name} holds labels of several lengths: {cure}") from None
    if array.ndim != 1:
        what = f"shape {array.shape}" if array.ndim else f"one {type(labels).__name__}"
        raise RsaError(f"{name} holds {what}: {cure}")
    if len(array) != rows:
        about = name.split()[0].removesuffix("s")
        raise RsaError(f"{name} holds {len(array)} {about} labels for {rows} rows: {cure}")
    # an array of text no longer tells what was None or NaN
    values = labels if plain else array
    if len(kinds) > 1 or array.dtype.kind in "OfcmM":
        for row, value in enumerate(values):
            if _absent(value):
                missing = "None" if value is None else "NaN"
                raise RsaError(f"{name} holds {missing}, the first in row {row}: {cure}")
    if array.dtype == object:
        kinds = {_kind(each) for each in set(map(type, array))}
    if len(kinds) > 1:
        raise RsaError(f"{name} holds {' and '.join(sorted(kinds))}: give labels of one kind")
    if array.dtype == object:
        try:
            set(array)
        except TypeError:
            raise RsaError(f"{name} holds a {kinds.pop()}, no label: {cure}") from None
    return array


def _kind(of: type) -> str:
    """What values of a type are called; labels of different kinds are not compared."""
    if issubclass(of, str):
        return "text"
    if issubclass(of, (bool, np.bool_)):
        return "truth values"
    return "numbers" if issubclass(of, (int, float, np.number)) else of.__name__


def _absent(value: object) -> bool:
    """None, NaN, and what stands for them in tables."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.inexact, np.datetime64, np.timedelta64)) and value != value


@dataclass(frozen=True)
class Grouping:
    """Rows put in an order in which groups, and blocks of groups, are contiguous.

    Attributes
    ----------
    order : [rows] the row of the source that stands at each place.
    sizes : [groups] rows of each group, in that order.
    blocks_at : [blocks + 1] first group of each block, and the end.
    """

    order: np.ndarray
    sizes: np.ndarray
    blocks_at: np.ndarray

    @classmethod
    def deal(cls, labels: Sequence | np.ndarray, blocks: int, seed: int) -> Grouping:
        """Deals groups into blocks of about equal numbers of rows.

        The largest groups first, each to the lightest block; ties are broken by `seed`. With
        fewer groups than blocks each group is a block. Very many groups are dealt in `RUNS` runs
        of neighbours a block, so that the rows of a block can be read in long stretches.
        """
        number: dict = {}
        codes = np.array([number.setdefault(label, len(number)) for label in labels], dtype=int)
        sizes = np.bincount(codes, minlength=len(number))
        blocks = max(1, min(blocks, len(sizes)))
        runs = min(len(sizes), RUNS * blocks)
        run = np.arange(len(sizes)) * runs // len(sizes)
        weights = np.bincount(run, sizes).astype(int)
        shuffled = np.random.default_rng(seed).permutation(runs)
        loads, dealt = np.zeros(blocks, dtype=int), np.empty(runs, dtype=int)
        for place in shuffled[np.argsort(-weights[shuffled], kind="stable")]:
            dealt[place] = np.argmin(loads)
            loads[dealt[place]] += weights[place]
        owner = dealt[run]
        groups = np.argsort(owner, kind="stable")
        rank = np.empty_like(groups)
        rank[groups] = np.arange(len(groups))
        return cls(
            order=np.argsort(rank[codes], kind="stable"),
            sizes=sizes[groups],
            blocks_at=np.searchsorted(owner[groups], np.arange(blocks + 1)),
        )

    @property
    def rows(self) -> int:
        return len(self.order)

    @property
    def groups(self) -> int:
        return len(self.sizes)

    @property
    def blocks(self) -> int:
        return len(self.blocks_at) - 1

    @property
    def single(self) -> bool:
        """True when every group is one row."""
        return self.groups == self.rows

    @cached_property
    def starts(self) -> np.ndarray:
        """[groups + 1] first row of each group, and the end."""
        return np.concatenate([[0], np.cumsum(self.sizes)])

    def owned(self, owners: np.ndarray, rank: int) -> np.ndarray:
        """[groups] bool: whose first row, in the source's order, a process owns.

        Parameters
        ----------
        owners : [rows] the process that owns each row of the source.
        """
        firsts = np.minimum.reduceat(self.order, self.starts[:-1])
        return owners[firsts] == rank

    @cached_property
    def units(self) -> float:
        """Groups of one size that these are worth: (sum n^2)^2 / sum n^4 (Satterthwaite 1946)."""
        square = self.sizes.astype(float) ** 2
        return float(square.sum() ** 2 / (square**2).sum())

    @cached_property
    def edges(self) -> np.ndarray:
        """[blocks + 1] first row of each block, and the end."""
        return self.starts[self.blocks_at]

    @cached_property
    def group_of_row(self) -> np.ndarray:
        return np.repeat(np.arange(self.groups), self.sizes)

    @cached_property
    def block_of_group(self) -> np.ndarray:
        return np.repeat(np.arange(self.blocks), np.diff(self.blocks_at))

    def kept_sizes(self, left_out: int | None) -> np.ndarray:
        """Sizes of the groups outside one block (all of them when None)."""
        if left_out is None:
            return self.sizes
        return np.delete(self.sizes, np.s_[self.blocks_at[left_out] : self.blocks_at[left_out + 1]])

    def sum_by_group(self, values: np.ndarray, axis: int = 0) -> np.ndarray:
        """Sums of rows within each group, along `axis`."""
        return np.add.reduceat(values, self.starts[:-1], axis=axis)

    @cached_property
    def strata(self) -> list[np.ndarray]:
        """Groups that may change places: equal sizes, or neighbours in size where those are few."""
        by_size = np.argsort(self.sizes, kind="stable")
        cuts = np.flatnonzero(np.diff(self.sizes[by_size])) + 1
        strata: list[np.ndarray] = []
        for run in np.split(by_size, cuts):
            if strata and len(strata[-1]) < STRATUM:
                strata[-1] = np.concatenate([strata[-1], run])
            else:
                strata.append(run)
        if len(strata) > 1 and len(strata[-1]) < STRATUM:
            strata[-2:] = [np.concatenate(strata[-2:])]
        return strata

    @property
    def exact_permutations(self) -> bool:
        """True when groups only ever change places with groups of their own size."""
        return all(len(set(self.sizes[stratum])) == 1 for stratum in self.strata)

    def permutation(self, rng: np.random.Generator) -> np.ndarray:
        """[rows] for each place, the row that comes there when whole groups change places.

        Within a stratum. Where two groups differ in size, the one that moves in is stretched to
        its new place by taking the nearest of its rows, so that rows of one group stay together
        and in order; for equal sizes this is a permutation of rows.
        """
        comes = np.arange(self.groups)
        for stratum in self.strata:
            comes[stratum] = rng.permutation(stratum)
        place = np.arange(self.rows) - np.repeat(self.starts[:-1], self.sizes)
        theirs = self.sizes[comes]
        nearest = ((2 * place + 1) * np.repeat(theirs, self.sizes)) // (
            2 * np.repeat(self.sizes, self.sizes)
        )
        return np.repeat(self.starts[comes], self.sizes) + nearest
