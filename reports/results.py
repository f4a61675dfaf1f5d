"""What a study holds of models and comparisons, as read-only objects (docs/study.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reports.numbers import MINUS, Estimate
from reports.structure import Stability, Structure


@dataclass(frozen=True)
class LayerCard:
    """One layer of a model: see the model card in docs/study.md."""

    name: str
    width: int | None = None
    rate: float | None = None


@dataclass(frozen=True)
class ModelCard:
    """Who was studied, under one role."""

    role: str
    name: str
    title: str
    layers: tuple[LayerCard, ...]
    facts: Mapping[str, Any]
    trained: bool = True

    @property
    def layer_names(self) -> tuple[str, ...]:
        return tuple(layer.name for layer in self.layers)


@dataclass(frozen=True)
class Measure:
    """One measure between the layers of two roles; matrices are [layers of x, layers of y]."""

    name: str
    title: str
    family: str
    unit: str
    bounds: tuple[float, float]
    symmetric: bool
    larger_is_more_similar: bool
    interval: float
    chance_by: str
    formula: str
    source: str
    says: str
    beware: str
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    chance: np.ndarray
    chance_high: np.ndarray
    score: np.ndarray
    p: np.ndarray
    extra: Mapping[str, np.ndarray]
    notes: tuple[str, ...] = ()

    @property
    def above_chance(self) -> np.ndarray:
        """True where p, corrected for all cells, is at most 1 - `interval`."""
        with np.errstate(invalid="ignore"):
            return np.less_equal(self.p, 1.0 - self.interval + 1e-12)

    @property
    def likeness(self) -> np.ndarray:
        """The value, or its negative for a distance: larger is more similar."""
        return self.value if self.larger_is_more_similar else -self.value

    @property
    def bounds_text(self) -> str:
        """`range 0 to 1`, for captions."""
        low, high = (f"{b:g}" if math.isfinite(b) else "" for b in self.bounds)
        low = low.replace("-", MINUS)
        if low and high:
            return f"range {low} to {high}"
        return f"at least {low}" if low else "unbounded"

    def at(self, row: int, column: int) -> Estimate:
        return Estimate(
            float(self.value[row, column]),
            float(self.low[row, column]),
            float(self.high[row, column]),
        )

    def turned(self) -> Measure:
        """The same measure with x and y exchanged."""
        names = ("value", "low", "high", "chance", "chance_high", "score", "p")
        sides = {"_x": "_y", "_y": "_x"}
        extra = {k[:-2] + sides[k[-2:]] if k[-2:] in sides else k: v.T
                 for k, v in self.extra.items()}  # fmt: skip
        return replace(self, extra=extra, **{k: getattr(self, k).T for k in names})


@dataclass(frozen=True)
class Similarity:
    """Everything measured between two roles."""

    x: str
    y: str
    layers_x: tuple[str, ...]
    layers_y: tuple[str, ...]
    rows: str
    n_rows: int
    n_groups: int
    measures: Mapping[str, Measure]
    structure: Structure | None = None
    stability: Stability | None = None

    def main(self) -> Measure | None:
        """Track-debiased CKA where there is one, else debiased, else any CKA, else the first.

        Distances and bits do not qualify.
        """
        order = ("cka:linear,track-debiased", "cka:linear,debiased")
        for name in order:
            if name in self.measures:
                return self.measures[name]
        named = sorted(self.measures.values(), key=lambda m: m.family != "cka")
        usable = (m for m in named if m.family != "information" and not m.unit)
        return next((m for m in usable if m.larger_is_more_similar), None)

    def information(self) -> tuple[Measure, ...]:
        """Measures in bits, the Gaussian one first."""
        found = [m for m in self.measures.values() if m.family == "information"]
        return tuple(sorted(found, key=lambda m: not m.name.startswith("mi:gaussian")))

    def extra(self, name: str) -> np.ndarray | None:
        """Something that is told beside the main measure or, failing that, beside another one."""
        main = self.main()
        for measure in (*([main] if main else []), *self.measures.values()):
            if name in measure.extra:
                return measure.extra[name]
        return None

    def turned(self) -> Similarity:
        """The same comparison with x and y exchanged.

        A directed measure turned round would be another measure: those stay out.
        """
        return replace(
            self,
            x=self.y,
            y=self.x,
            layers_x=self.layers_y,
            layers_y=self.layers_x,
            measures={k: m.turned() for k, m in self.measures.items() if m.symmetric},
            structure=self.structure.turned() if self.structure else None,
        )
