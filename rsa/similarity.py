"""The result of comparing two sources, layer by layer; it writes and reads itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rsa.errors import RsaError
from rsa.inference.chance import above
from rsa.inference.intervals import CONFIDENCE
from rsa.inference.stability import Stability
from rsa.inference.structure import Structure
from rsa.inference.structure import from_json as structure_from_json
from rsa.records import read_json, write_csv, write_json

FORMAT = 2
_MATRICES = ("value", "low", "high", "chance", "chance_high", "score", "p")
_PLAIN = (
    "measure", "title", "family", "unit", "formula", "source", "says", "beware", "symmetric",
    "larger_is_more_similar", "chance_by", "interval",
)  # fmt: skip


@dataclass(frozen=True)
class MeasureResult:
    """One measure between the layers of two sources.

    Attributes
    ----------
    measure, title, family, unit, formula, source, says, beware, range, symmetric,
    larger_is_more_similar : see `rsa.measures.base.Measure`.
    chance_by : how `chance` was found.
    value, low, high : [layers of x, layers of y] float64; NaN where not defined.
    chance, chance_high, score, p : the same cells against chance; see
        `rsa.inference.chance.Verdict`, whose `level` is `chance_high`. A cell is above chance when
        p is at most 1 - `interval`.
    extra : name -> [layers of x, layers of y], or a vector over the layers of one side.
    notes : sentences for the reader.
    interval : confidence of `low` to `high`.
    """

    measure: str
    title: str
    family: str
    unit: str
    formula: str
    source: str
    says: str
    beware: str
    range: tuple[float | None, float | None]
    symmetric: bool
    larger_is_more_similar: bool
    chance_by: str
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    chance: np.ndarray
    chance_high: np.ndarray
    score: np.ndarray
    p: np.ndarray
    extra: dict[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    interval: float = CONFIDENCE

    @property
    def above_chance(self) -> np.ndarray:
        """[layers of x, layers of y] bool."""
        return above(self.p, self.interval)

    def as_json(self) -> dict:
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "range": list(self.range),
            **{name: _plain(getattr(self, name)) for name in _MATRICES},
            "extra": {name: _plain(array) for name, array in self.extra.items()},
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, block: dict) -> MeasureResult:
        return cls(
            **{k: block[k] for k in _PLAIN},
            range=tuple(block["range"]),
            notes=tuple(block["notes"]),
            extra={name: _array(values) for name, values in block["extra"].items()},
            **{name: _array(block[name]) for name in _MATRICES},
        )


@dataclass(frozen=True)
class Similarity:
    """All measures between two sources; the same source twice is the comparison within it.

    Attributes
    ----------
    x, y : names of the sources.
    layers_x, layers_y : names of their layers.
    rows : kind of the rows, as in `clips`.
    n_rows, n_groups, blocks : rows, groups, and blocks of groups of the jackknife.
    measures : in the order asked for.
    structure : blocks and clusters within a source, or what goes together across two; None
        without a measure to take it from.
    stability : one measure on fewer groups; None likewise.
    """

    x: str
    y: str
    layers_x: tuple[str, ...]
    layers_y: tuple[str, ...]
    rows: str
    n_rows: int
    n_groups: int
    blocks: int
    measures: tuple[MeasureResult, ...]
    structure: Structure | None = None
    stability: Stability | None = None

    def __getitem__(self, measure: str) -> MeasureResult:
        for result in self.measures:
            if result.measure == measure:
                return result
        have = ", ".join(result.measure for result in self.measures)
        raise RsaError(f"{self.x} and {self.y} have no measure {measure!r}: there is {have}")

    def as_json(self, x_role: str | None = None, y_role: str | None = None) -> dict:
        """As `similarity/X-Y.json` of a study; names stand in for roles that are not given."""
        return {
            "format": FORMAT,
            "x": x_role or self.x,
            "y": y_role or self.y,
            "layers_x": list(self.layers_x),
            "layers_y": list(self.layers_y),
            "rows": self.rows,
            "n_rows": self.n_rows,
            "n_groups": self.n_groups,
            "blocks": self.blocks,
            "measures": [result.as_json() for result in self.measures],
            "structure": self.structure and self.structure.as_json(),
            "stability": self.stability and self.stability.as_json(),
        }

    def write(self, folder: Path | str, x_role: str, y_role: str) -> Path:
        """Writes X-Y.json and X-Y.csv into a folder; returns the path of the first."""
        path = write_json(folder, f"{x_role}-{y_role}", self.as_json(x_role, y_role))
        head = ("measure", "x", "layer_x", "y", "layer_y", *_MATRICES, "unit")
        write_csv(path.with_suffix(".csv"), head, self._lines(x_role, y_role))
        return path

    def _lines(self, x_role: str, y_role: str) -> Iterator[list]:
        """The long form: a pair of layers a line."""
        for result in self.measures:
            cells = np.stack([getattr(result, name) for name in _MATRICES], axis=-1)
            for i, layer_x in enumerate(self.layers_x):
                for j, layer_y in enumerate(self.layers_y):
                    numbers = [None if math.isnan(v) else float(v) for v in cells[i, j]]
                    pair = (x_role, layer_x, y_role, layer_y)
                    yield [result.measure, *pair, *numbers, result.unit]

    @classmethod
    def read(cls, path: Path | str) -> Similarity:
        """Reads what `write` wrote; `RsaError` names the file when it is something else."""
        return read_json(path, FORMAT, "similarity", cls.from_json)

    @classmethod
    def from_json(cls, content: dict) -> Similarity:
        """What `as_json` was made of; a built-in error where it is not that."""
        return cls(
            **{k: content[k] for k in ("x", "y", "rows", "n_rows", "n_groups", "blocks")},
            layers_x=tuple(content["layers_x"]),
            layers_y=tuple(content["layers_y"]),
            measures=tuple(MeasureResult.from_json(m) for m in content["measures"]),
            structure=structure_from_json(content["structure"]),
            stability=Stability.from_json(content["stability"]),
        )


def _plain(array: np.ndarray) -> list:
    """Nested lists of floats, None for what is not finite; counts as well, as they are read."""
    array = _array(array)
    if array.ndim > 1:
        return [_plain(row) for row in array]
    return [v if math.isfinite(v) else None for v in array.tolist()]


def _array(values) -> np.ndarray:
    return np.array(values, dtype=np.float64)
