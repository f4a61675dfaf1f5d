"""What is compared: named layers over the same rows, and the group each row comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from rsa.errors import RsaError


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
    layers : layer name -> [rows, width].
    groups : [rows] labels; every row is its own group when None.
    """

    def __init__(
        self,
        name: str,
        layers: Mapping[str, np.ndarray],
        groups: Sequence | np.ndarray | None = None,
    ):
        self.name = name
        self.layers = tuple(layers)
        self._arrays = {key: np.asarray(array) for key, array in layers.items()}
        counts = {key: len(array) for key, array in self._arrays.items()}
        if not counts:
            raise RsaError(f"{name} has no layers: give at least one")
        if len(set(counts.values())) > 1:
            raise RsaError(f"layers of {name} differ in rows: {counts}; give the same rows to each")
        self._rows = next(iter(counts.values()))
        self.groups = np.arange(self._rows) if groups is None else np.asarray(groups)
        if len(self.groups) != self._rows:
            raise RsaError(
                f"{name} has {self._rows} rows and {len(self.groups)} group labels: give one a row"
            )

    def __len__(self) -> int:
        return self._rows

    def read(self, layer: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        return self._arrays[layer][start:stop]


def check_same_rows(sources: Sequence[Source]) -> None:
    """Raises `RsaError` unless all sources have the same rows, by number and by group."""
    if not sources:
        raise RsaError("nothing to compare: give at least one source")
    first = sources[0]
    for other in sources[1:]:
        if len(other) != len(first):
            raise RsaError(
                f"{first.name} has {len(first)} rows and {other.name} has {len(other)}: "
                "extract both over the same clips and rows"
            )
        if not np.array_equal(np.asarray(first.groups), np.asarray(other.groups)):
            raise RsaError(
                f"{first.name} and {other.name} have different groups of rows: "
                "extract both over the same clips, in the same order"
            )


def read_layer(source: Source, layer: str) -> np.ndarray:
    """A whole layer as float64 [rows, width]; `RsaError` when it is not finite or not a matrix."""
    values = source.read(layer)
    if not isinstance(values, np.ndarray) and hasattr(values, "detach"):
        values = values.detach().cpu().float().numpy()
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or len(array) != len(source) or array.shape[1] == 0:
        raise RsaError(
            f"layer {layer} of {source.name} has shape {array.shape}: "
            f"a matrix of {len(source)} rows is needed"
        )
    if not np.isfinite(array).all():
        raise RsaError(
            f"layer {layer} of {source.name} holds values that are not finite: extract again"
        )
    return array
