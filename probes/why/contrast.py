"""Differences that were tested together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from probes.record import Record
from probes.trust.comparisons import simultaneous

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
