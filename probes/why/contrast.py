"""Differences that were tested together, and the resampled scores that such tests are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probes.record import Record
from probes.scored import Score, Scored
from probes.trust.comparisons import simultaneous
from probes.trust.intervals import around

LEVEL = 0.05


@dataclass(frozen=True)
class Contrast(Record):
    """A difference with its simultaneous 95 % interval and its corrected p.

    Both hold for all differences of its family at once (`probes.trust.comparisons.simultaneous`).
    """

    value: float
    low: float
    high: float
    p: float

    def __neg__(self) -> Contrast:
        return Contrast(-self.value, -self.high, -self.low, self.p)

    @property
    def above(self) -> bool:
        """Shown to be larger than zero."""
        return self.value > 0 and self.p <= LEVEL

    @property
    def below(self) -> bool:
        """Shown to be smaller than zero."""
        return self.value < 0 and self.p <= LEVEL


def contrasts(value: np.ndarray, resampled: np.ndarray, groups: int) -> np.ndarray:
    """[...] object array of `Contrast` from differences [...] and resamples [..., resamples]."""
    flat = np.asarray(value, dtype=float).reshape(-1)
    lines = simultaneous(flat, resampled.reshape(len(flat), -1), groups)
    found = np.empty(len(flat), dtype=object)
    found[:] = [Contrast(*map(float, line)) for line in zip(flat, *lines, strict=True)]
    return found.reshape(np.shape(value))


@dataclass(frozen=True)
class Curve:
    """Scores of layers on one split and what they are on resamples of its groups.

    Attributes
    ----------
    layers : names in order of depth.
    valid : [layers] scores on validation, by which a layer is chosen.
    values : [layers] scores.
    resampled : [layers, resamples]; curves of the same groups and resamples are paired.
    groups : of the split.
    chance : score of answers that do not look at the rows.
    bounds : lowest and highest score there can be.
    """

    layers: tuple[str, ...]
    valid: np.ndarray
    values: np.ndarray
    resampled: np.ndarray
    groups: int
    chance: float = 0.0
    bounds: tuple[float | None, float | None] = (None, None)

    @classmethod
    def of(
        cls,
        layers: Sequence[str],
        valid: Sequence[float],
        scored: Sequence[Scored],
        counts: np.ndarray,
        chance: float = 0.0,
        bounds: tuple[float | None, float | None] = (None, None),
    ) -> Curve:
        """From scores of each layer and how often each group is drawn, [resamples, groups]."""
        return cls(
            tuple(layers),
            np.asarray(valid, dtype=float),
            np.array([one.value for one in scored], dtype=float),
            np.stack([one.resampled(counts) for one in scored]),
            counts.shape[1],
            chance,
            bounds,
        )

    @property
    def best(self) -> int:
        """Place of the layer that validation chooses; of equals the first."""
        return int(np.argmax(np.where(np.isfinite(self.valid), self.valid, -np.inf)))

    def place(self, layer: str) -> int:
        return self.layers.index(layer)

    def score(self, place: int) -> Score:
        """The score of a layer with its interval."""
        return around(self.values[place], self.resampled[place], self.groups, self.bounds)
