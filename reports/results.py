"""What a study holds, as read-only objects: models, comparisons, probes (docs/study.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from reports.numbers import MINUS, Estimate


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
    interval: float
    chance_by: str
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    chance: np.ndarray
    chance_high: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def above_chance(self) -> np.ndarray:
        """True where the lower end of the interval exceeds what chance exceeds in 5 % of cases."""
        with np.errstate(invalid="ignore"):
            return np.greater(self.low, self.chance_high)

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
        matrices = {
            k: getattr(self, k).T for k in ("value", "low", "high", "chance", "chance_high")
        }
        return Measure(**{**self.__dict__, **matrices})


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

    def main(self) -> Measure | None:
        """Track-debiased CKA where there is one, else debiased, else any CKA, else the first."""
        order = ("cka:linear,track-debiased", "cka:linear,debiased")
        for name in order:
            if name in self.measures:
                return self.measures[name]
        named = sorted(self.measures.values(), key=lambda m: m.family != "cka")
        return next((m for m in named if m.family != "information"), None)

    def information(self) -> tuple[Measure, ...]:
        return tuple(m for m in self.measures.values() if m.family == "information")


@dataclass(frozen=True)
class LayerScore:
    """One layer on one task."""

    layer: str
    valid: Estimate
    splits: Mapping[str, Estimate]
    wins: Mapping[str, float]


@dataclass(frozen=True)
class Task:
    """One task on all layers of one role."""

    key: str
    title: str
    kind: str
    metric: str
    bounds: tuple[float, float]
    chance: float
    tier: str
    classes: int | None
    unit: str
    rows: str
    n: Mapping[str, int]
    groups: Mapping[str, int]
    headline: str
    selected: str
    layers: tuple[LayerScore, ...]
    gain: Mapping[str, Estimate]
    notes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(layer.layer for layer in self.layers)

    @property
    def index(self) -> int:
        """Position of the selected layer."""
        return self.names.index(self.selected)

    def curve(self, split: str) -> np.ndarray:
        """[layers, 3]: value, low, high on a split."""
        missing = Estimate(math.nan)
        found = [layer.splits.get(split, missing) for layer in self.layers]
        return np.array([(e.value, e.low, e.high) for e in found], dtype=float)

    def wins(self) -> np.ndarray:
        """[layers] share of resamples of the headline split in which each layer scores best."""
        return np.array([layer.wins.get(self.headline, math.nan) for layer in self.layers], float)

    def best(self) -> Estimate:
        """Headline score of the selected layer."""
        return self.layers[self.index].splits.get(self.headline, Estimate(math.nan))


@dataclass(frozen=True)
class Probes:
    """All tasks of one role."""

    role: str
    model: str
    protocol: str
    tasks: Mapping[str, Task]
    skipped: Mapping[str, str]
