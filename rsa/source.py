"""What is compared: named layers over the same rows, and the group each row comes from."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from rsa.errors import RsaError
from rsa.rows.grouping import check_groups

WRAP = 'wrap it in rsa.Matrices("name", {"layer": x}, groups)'


@runtime_checkable
class Source(Protocol):
    """Representations of one model (or of references) over some rows.

    Attributes
    ----------
    name : as it stands in messages and results.
    layers : names of the layers, in order.
    groups : [rows] label of the group (track) of each row.
    """

    name: str
    layers: Sequence[str]
    groups: np.ndarray

    def __len__(self) -> int:
        """Number of rows."""

    def read(self, layer: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Rows `start` to `stop` of a layer, [rows, width] float32 (array or tensor)."""


class Matrices:
    """Layers that are already in memory.

    Parameters
    ----------
    name : as it stands in results.
    layers : layer name -> [rows, width], arrays or tensors of real numbers.
    groups : [rows] labels; every row is its own group when None.
    """

    def __init__(
        self,
        name: str,
        layers: Mapping[str, np.ndarray],
        groups: Sequence | np.ndarray | None = None,
    ):
        if not isinstance(layers, Mapping):
            raise RsaError(f'layers of {name} are {_described(layers)}: give {{"layer": x}}')
        self.name = name
        self.layers = tuple(layers)
        self._arrays = {key: matrix(array, self._what(key)) for key, array in layers.items()}
        counts = {key: len(array) for key, array in self._arrays.items()}
        if not counts:
            raise RsaError(f"{name} has no layers: give at least one")
        if len(set(counts.values())) > 1:
            raise RsaError(f"layers of {name} differ in rows: {counts}; give the same rows to each")
        self._rows = next(iter(counts.values()))
        self.groups = (
            np.arange(self._rows)
            if groups is None
            else check_groups(groups, self._rows, f"groups of {name}")
        )

    def __len__(self) -> int:
        return self._rows

    def read(self, layer: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        values = self._arrays[layer][start:stop]
        if not _finite(values):
            raise RsaError(
                f"{self._what(layer)} holds {_unknown(self._arrays[layer])}: "
                "leave such rows out of every array, or fill in what is missing"
            )
        return values

    def _what(self, layer: str) -> str:
        return self.name if layer == self.name else f"layer {layer} of {self.name}"


def matrix(values: object, what: str) -> np.ndarray:
    """An array or tensor as [rows, width] of real numbers; `RsaError` says what it is instead."""
    if values is None:
        raise RsaError(f"{what} is None: give an array [rows, width]")
    if hasattr(values, "toarray"):
        raise RsaError(f"{what} is sparse: give {what.split()[-1]}.toarray()")
    if np.ma.is_masked(values):
        raise RsaError(f"{what} has masked values: leave such rows out of every array, or fill")
    try:
        array = _array(values)
    except (TypeError, ValueError, RuntimeError) as error:
        told = str(error).partition("\n")[0]
        raise RsaError(f"{what} is no array [rows, width] of numbers: {told}") from None
    if array.dtype.kind not in "biuf":
        kind = {"c": "complex numbers", "U": "text", "S": "text", "O": "objects"}
        cure = {"c": "the modulus, or real and imaginary parts side by side"}
        raise RsaError(
            f"{what} holds {kind.get(array.dtype.kind, array.dtype)}: "
            f"give {cure.get(array.dtype.kind, 'real numbers')}"
        )
    if array.ndim != 2 or array.shape[1] == 0:
        cure = {
            1: "x.reshape(-1, 1) for one unit",
            2: "a row has no units, give at least one",
            3: "x.mean(1) for the mean over time, x.reshape(len(x), -1) for all of it",
        }.get(array.ndim, "x.reshape(len(x), -1)" if array.ndim else "give all rows")
        raise RsaError(f"{what}: [rows, width] is needed, here {array.shape}: {cure}")
    return array


def _array(values: object) -> np.ndarray:
    """An array of what is given; tensors are detached, bfloat16 and its like become float32."""
    if not isinstance(values, np.ndarray) and hasattr(values, "detach"):
        values = values.detach().cpu()
        try:
            return values.numpy()
        except TypeError:
            return values.float().numpy()
    return np.asarray(values)


def _finite(values: np.ndarray) -> bool:
    # the sum of finite numbers overflows only where float64 does
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum(dtype=np.float64)) or np.isfinite(values).all())


def _unknown(values: np.ndarray) -> str:
    """How many values are not finite, and where the first is."""
    bad = ~np.isfinite(values)
    count = int(bad.sum())
    first = int(np.argmax(bad.any(axis=1)))
    many = f"{count} values that are" if count > 1 else "1 value that is"
    return f"{many} not finite (NaN or infinity), the first in row {first}"


def _described(value: object) -> str:
    if value is None:
        return "None"
    if hasattr(value, "shape"):
        return f"an array of shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"


def check_source(source: object, place: str = "the source") -> None:
    """Raises `RsaError` for what is no source, such as a bare array."""
    if isinstance(source, type) or not all(
        hasattr(source, name) for name in ("name", "layers", "groups", "read", "__len__")
    ):
        if isinstance(source, (list, tuple)) and any(hasattr(one, "read") for one in source):
            raise RsaError(f"{place} is {_described(source)}: give each source by itself")
        raise RsaError(f"{place} is {_described(source)}: {WRAP}")


def check_names(sources: Sequence[Source]) -> None:
    """Raises `RsaError` where two sources have one name."""
    seen: dict[str, Source] = {}
    for source in sources:
        if seen.setdefault(source.name, source) is not source:
            raise RsaError(f"two sources are named {source.name!r}: give them different names")
    if len(seen) < len(sources):
        twice = next(name for name in seen if [s.name for s in sources].count(name) > 1)
        raise RsaError(
            f"source {twice!r} is given twice: give it once, pairs=[(0, 0)] is it with itself"
        )


def check_whole(name: str, value: object, least: int) -> int:
    """A whole number; `RsaError` names it when it is none, or below `least`."""
    try:
        number = None if isinstance(value, (bool, np.bool_)) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least:
        raise RsaError(f"{name}={value!r}: a whole number of at least {least} is needed")
    return number


def check_same_rows(sources: Sequence[Source]) -> None:
    """Raises `RsaError` unless all sources have the same rows, by number and by group."""
    if not sources:
        raise RsaError("nothing to compare: give at least one source")
    first = sources[0]
    for other in sources[1:]:
        if len(other) != len(first):
            raise RsaError(
                f"{first.name} has {len(first)} rows and {other.name} has {len(other)}: "
                f"{_cure(first, other)} over the same clips and rows"
            )
        if not np.array_equal(np.asarray(first.groups), np.asarray(other.groups)):
            raise RsaError(
                f"{first.name} and {other.name} have different groups of rows: "
                f"{_cure(first, other)} over the same clips, in the same order"
            )


def _cure(*sources: Source) -> str:
    arrays = all(isinstance(source, Matrices) for source in sources)
    return "give both" if arrays else "extract both"


def read_layer(source: Source, layer: str) -> np.ndarray:
    """A whole layer as float64 [rows, width]; `RsaError` when it is not finite or not a matrix."""
    return checked(source, layer, source.read(layer), len(source))


def read_stretch(source: Source, layer: str, start: int, stop: int) -> np.ndarray:
    """As `read_layer`, of the rows from `start` to `stop`."""
    return checked(source, layer, source.read(layer, start, stop), stop - start)


def checked(source: Source, layer: str, values: object, rows: int) -> np.ndarray:
    """What was read of a layer as float64 [rows, width]; `RsaError` as of `read_layer`."""
    array = np.asarray(_array(values), dtype=np.float64)
    if array.ndim != 2 or len(array) != rows or array.shape[1] == 0:
        raise RsaError(
            f"layer {layer} of {source.name} has shape {array.shape}: "
            f"a matrix of {rows} rows is needed"
        )
    if not _finite(array):
        raise RsaError(f"layer {layer} of {source.name} holds {_unknown(array)}: extract again")
    return array
