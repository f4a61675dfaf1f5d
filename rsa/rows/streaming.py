"""Standardised layers by stretches of rows, from memory or straight from their sources.

The mean and scale of a layer come from one pass over its rows, in float64; later passes read the
rows again, shift and scale them. So no layer need ever be in memory as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from rsa.errors import RsaError
from rsa.rows.grouping import Grouping
from rsa.rows.thinning import read_rows
from rsa.source import Source
from rsa.team import Team
from rsa.threads import spread

# rows read at a time, and rows whose mean is the first shift
BATCH, FIRST = 8192, 256
# rows whose products are added up in float32; what lies beyond is added in float64
CHUNK = 2048


@dataclass(frozen=True)
class Standard:
    """How a layer is centred and scaled to unit mean square.

    Attributes
    ----------
    mean : [width] float64.
    scale : root mean square of the centred layer; 0 for a layer that is the same in every row.
    flat : [width] bool, columns that are the same in every row.
    """

    mean: np.ndarray
    scale: float
    flat: np.ndarray

    @classmethod
    def of(cls, batches: Iterable[np.ndarray]) -> Standard:
        """From the rows of a layer, [rows, width] at a time; one pass.

        A first shift by the mean of the first rows keeps the digits that a large offset would cost,
        and a unit taken from them those of very large and very small numbers.
        """
        first = shift = None
        rows, unit = 0, 1.0
        for batch in batches:
            if first is None:
                first, shift = batch[0].copy(), batch[:FIRST].mean(axis=0, dtype=np.float64)
                total, squares = np.zeros(len(first)), 0.0
                flat = np.ones(len(first), dtype=bool)
                unit = float(np.abs(batch[:FIRST] - shift).max()) or 1.0
            flat &= (batch == first).all(axis=0)
            batch = (batch - shift) / unit
            total += batch.sum(axis=0)
            squares += np.vdot(batch, batch)
            rows += len(batch)
        return cls._made(first, shift, unit, total, squares, rows, flat)

    @classmethod
    def of_parts(
        cls, batches: Iterable[np.ndarray], first: np.ndarray, team: Team
    ) -> Standard:
        """The same where each process has some of the rows.

        Parameters
        ----------
        batches : of the rows of this process, perhaps none.
        first : [width] the first of all rows.
        """
        rest = iter(batches)
        start = next(rest, np.empty((0, len(first))))
        seen = start[:FIRST]
        shift = team.sum(seen.sum(axis=0, dtype=np.float64)) / team.sum(np.array(float(len(seen))))
        unit = float(team.sum(np.array(np.abs(seen - shift).max(initial=0.0)))) or 1.0
        total, squares = np.zeros(len(first)), 0.0
        varied, rows = np.zeros(len(first), dtype=bool), 0
        for batch in chain([start], rest):
            varied |= (batch != first).any(axis=0)
            batch = (batch - shift) / unit
            total += batch.sum(axis=0)
            squares += np.vdot(batch, batch)
            rows += len(batch)
        squares, rows = team.sum(np.array([squares, float(rows)]))
        flat = team.sum(varied.astype(float)) == 0
        return cls._made(first, shift, unit, team.sum(total), squares, rows, flat)

    @classmethod
    def _made(cls, first, shift, unit, total, squares, rows, flat) -> Standard:
        """From sums over rows, shifted and in a unit."""
        mean = total / rows
        width = len(first)
        power = (squares - rows * (mean @ mean)) / (rows * width)
        scale = 0.0 if flat.all() else float(unit * np.sqrt(max(power, 0.0)))
        return cls(np.where(flat, first, shift + unit * mean), scale, flat)

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Rows [rows, width] as float64, centred and scaled; zeros for a constant layer."""
        if self.scale == 0.0:
            return np.zeros(x.shape)
        x = x - self.mean
        x /= self.scale
        x[:, self.flat] = 0.0
        return x


def batches(source: Source, layer: str) -> Iterator[np.ndarray]:
    """All rows of a layer in the source's order; `RsaError` for what is not a finite matrix."""
    rows = len(source)
    for start in range(0, rows, BATCH):
        stop = min(start + BATCH, rows)
        yield checked(source, layer, source.read(layer, start, stop), stop - start)


def batches_of(source: Source, layer: str, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Some rows of a layer, by their numbers."""
    for start in range(0, len(rows), BATCH):
        some = rows[start : start + BATCH]
        yield checked(source, layer, read_rows(source, layer, some), len(some))


def checked(source: Source, layer: str, values: np.ndarray, rows: int) -> np.ndarray:
    """[rows, width] float32 or float64; `RsaError` when not that, or not finite."""
    if not isinstance(values, np.ndarray) and hasattr(values, "detach"):
        values = values.detach().cpu().float().numpy()
    array = np.asarray(values)
    if array.dtype != np.float64:
        array = array.astype(np.float32, copy=False)
    if array.ndim != 2 or len(array) != rows or array.shape[1] == 0:
        raise RsaError(
            f"layer {layer} of {source.name} has shape {array.shape}: "
            f"a matrix of {rows} rows is needed"
        )
    # the sum of finite numbers overflows only where float64 does
    if not np.isfinite(array.sum(dtype=np.float64)) and not np.isfinite(array).all():
        raise RsaError(
            f"layer {layer} of {source.name} holds values that are not finite: extract again"
        )
    return array


@dataclass(frozen=True)
class Layers:
    """Standardised layers in the order of a grouping, by stretches of rows.

    Attributes
    ----------
    places : (source, name of the layer) of each.
    standards : how each is standardised.
    without : [k, width] orthonormal directions taken out of each, or None.
    dtype : of what `rows` gives.
    kept : layers in memory; None where they are read whenever they are needed.
    """

    places: Sequence[tuple[Source, str]]
    standards: Sequence[Standard]
    grouping: Grouping
    without: Sequence[np.ndarray | None]
    dtype: type
    kept: list[np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.places)

    @property
    def widths(self) -> np.ndarray:
        return np.array([len(s.mean) for s in self.standards], dtype=float)

    def load(self) -> Layers:
        """The same with all layers in memory."""
        kept = spread(lambda i: self.rows(i, 0, self.grouping.rows), range(len(self)))
        return Layers(self.places, self.standards, self.grouping, self.without, self.dtype, kept)

    def rows(self, index: int, start: int, stop: int) -> np.ndarray:
        """[stop - start, width] of one layer."""
        if self.kept is not None:
            return self.kept[index][start:stop]
        source, layer = self.places[index]
        order = self.grouping.order[start:stop]
        out = np.empty((stop - start, len(self.standards[index].mean)), dtype=self.dtype)
        for at in range(0, len(order), BATCH):
            some = order[at : at + BATCH]
            values = checked(source, layer, read_rows(source, layer, some), len(some))
            x = self.standards[index].apply(values)
            if self.without[index] is not None:
                x -= (x @ self.without[index].T) @ self.without[index]
            out[at : at + BATCH] = x
        return out


def stretches(
    grouping: Grouping, blocks: bool, limit: int = CHUNK, own: np.ndarray | None = None
) -> list[tuple[int, int, int]]:
    """(block, first group, last group + 1): whole groups, about `limit` rows, of one block.

    All of one block when `blocks` is False. A group of more rows than `limit` stands alone.

    Parameters
    ----------
    own : [groups] bool, the only groups that are wanted; all when None.
    """
    out = []
    foreign = np.array([grouping.groups]) if own is None else np.flatnonzero(~own)
    edges = grouping.blocks_at if blocks else np.array([0, grouping.groups])
    for block, (group, end) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        while group < end:
            if own is not None and not own[group]:
                group += 1
                continue
            room = grouping.starts[group] + limit
            until = int(np.searchsorted(grouping.starts, room, side="right")) - 1
            next_foreign = foreign[np.searchsorted(foreign, group) :][:1]
            until = min(max(until, group + 1), end, *next_foreign.tolist())
            out.append((block, int(group), int(until)))
            group = until
    return out
