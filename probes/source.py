"""What is probed: named layers over some rows, and the table that says what each row is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from probes.errors import ProbeError


@runtime_checkable
class Source(Protocol):
    """Representations of one model (or of references) over some rows.

    Attributes
    ----------
    name : as it stands in messages and results.
    layers : names of the layers, in order of depth.
    """

    name: str
    layers: Sequence[str]

    def __len__(self) -> int:
        """Number of rows."""

    def read(
        self, layer: str, start: int = 0, stop: int | None = None
    ) -> np.ndarray | torch.Tensor:
        """Rows of a layer from `start` to `stop`, all unless told, [rows, width] float32."""


@runtime_checkable
class RowTable(Protocol):
    """What the rows are: their kind, the group, split and subset of each, and their labels.

    Attributes
    ----------
    kind : `clips`, `segments:LABEL` ...
    names, groups, splits, subsets : [rows] object arrays of str; names tell rows apart.
    """

    kind: str
    names: np.ndarray
    groups: np.ndarray
    splits: np.ndarray
    subsets: np.ndarray

    def __len__(self) -> int:
        """Number of rows."""

    def label(self, name: str) -> np.ndarray:
        """[rows] object array, None where a row lacks the label."""


class Matrices:
    """A `Source` that is already in memory: layer name -> [rows, width]."""

    def __init__(self, name: str, layers: Mapping[str, np.ndarray | torch.Tensor]):
        counts = {layer: len(values) for layer, values in layers.items()}
        if not counts:
            raise ProbeError(f"{name} has no layers; give at least one")
        if len(set(counts.values())) != 1:
            raise ProbeError(f"layers of {name} have rows {counts}; give each the same rows")
        self.name = name
        self.layers = tuple(layers)
        self._values = dict(layers)

    def __len__(self) -> int:
        return len(self._values[self.layers[0]])

    def read(
        self, layer: str, start: int = 0, stop: int | None = None
    ) -> np.ndarray | torch.Tensor:
        return self._values[layer][start:stop]


@dataclass(frozen=True)
class Table:
    """A `RowTable` that is already in memory; `splits` and `subsets` may be left out."""

    groups: np.ndarray
    labels: Mapping[str, Sequence]
    splits: np.ndarray | None = None
    subsets: np.ndarray | None = None
    kind: str = "clips"

    @property
    def names(self) -> np.ndarray:
        """Numbers of the rows."""
        return np.array([str(row) for row in range(len(self))], dtype=object)

    def __post_init__(self) -> None:
        blank = np.full(len(self.groups), "", dtype=object)
        object.__setattr__(self, "groups", np.array([str(g) for g in self.groups], dtype=object))
        for name in ("splits", "subsets"):
            value = getattr(self, name)
            object.__setattr__(self, name, blank if value is None else np.asarray(value, object))
        columns = {"splits": self.splits, "subsets": self.subsets, **self.labels}
        for name, values in columns.items():
            if len(values) != len(self.groups):
                raise ProbeError(
                    f"{name} has {len(values)} values for {len(self.groups)} rows; give one a row"
                )

    def __len__(self) -> int:
        return len(self.groups)

    def label(self, name: str) -> np.ndarray:
        out = np.full(len(self), None, dtype=object)
        if name in self.labels:
            out[:] = list(self.labels[name])
        return out


def check_rows(source: Source, rows: Sized) -> None:
    """Raises `ProbeError` where there are not as many labels as rows."""
    if len(source) != len(rows):
        cure = "give one a row"
        if not isinstance(source, Matrices):
            cure = f"extract again over the same clips, rows {getattr(rows, 'kind', '')}"
        raise ProbeError(
            f"{source.name} has {len(source)} rows and the labels have {len(rows)}: {cure}"
        )


def read_layer(
    source: Source, layer: str, device: str, start: int = 0, stop: int | None = None
) -> torch.Tensor:
    """Rows of a layer as float32 [rows, width], all of them unless told otherwise.

    Raises
    ------
    ProbeError : the layer is no matrix of as many rows, or holds values that are not finite.
    """
    rows = (len(source) if stop is None else stop) - start
    values = source.read(layer, start, stop)
    if not isinstance(values, torch.Tensor):
        # a copy: arrays may be memory-mapped read-only, which torch does not know
        values = torch.from_numpy(np.array(values, dtype=np.float32))
    values = values.to(device=device, dtype=torch.float32)
    if values.ndim != 2 or len(values) != rows or values.shape[1] == 0:
        raise ProbeError(
            f"layer {layer} of {source.name} has shape {tuple(values.shape)}: "
            f"a matrix of {rows} rows is needed"
        )
    if not bool(torch.isfinite(values).all()):
        cure = (
            "replace or drop rows that are not finite"
            if isinstance(source, Matrices)
            else "extract again"
        )
        raise ProbeError(f"layer {layer} of {source.name} holds values that are not finite: {cure}")
    return values
