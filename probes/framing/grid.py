"""Frames of a clip, and stretches of time with a value.

Frame i lasts from i / rate to (i + 1) / rate, as rows of kind `frames:HZ` do, and its time is its
centre. A moment belongs to the frame it lies in, so what is decoded at the centre of a frame is
at most half a frame from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from probes.errors import ProbeError


class Spanned(Protocol):
    """Anything with a start, an end (seconds) and a value: a `Span`, a segment of a data set."""

    start: float
    end: float
    value: str | float


class Span(NamedTuple):
    """A stretch of time with a value."""

    start: float
    end: float
    value: str | float


@dataclass(frozen=True)
class Grid:
    """`frames` frames at `rate` Hz from the start of a clip."""

    frames: int
    rate: float

    def __post_init__(self) -> None:
        if not self.rate > 0:
            raise ProbeError(f"a grid of {self.rate} frames a second is none: give a rate above 0")

    @classmethod
    def of(cls, duration: float, rate: float) -> Grid:
        """The whole frames in a clip of `duration` seconds."""
        return cls(int(duration * rate + 1e-9), rate)

    @property
    def duration(self) -> float:
        """Seconds from the start to the end of the last frame."""
        return self.frames / self.rate

    @property
    def times(self) -> np.ndarray:
        """[frames] centres."""
        return centres(np.arange(self.frames), self.rate)

    def index(self, times: Sequence[float] | np.ndarray) -> np.ndarray:
        """Frame of each moment; those outside the grid are left out."""
        found = np.floor(np.asarray(times, dtype=float) * self.rate + 1e-6)
        return found[(found >= 0) & (found < self.frames)].astype(np.int64)

    def covered(self, span: Spanned) -> slice:
        """The frames whose centre lies in a span."""
        first, last = (np.ceil(t * self.rate - 0.5 - 1e-6) for t in (span.start, span.end))
        return slice(int(np.clip(first, 0, self.frames)), int(np.clip(last, 0, self.frames)))


def centres(frames: np.ndarray, rate: float) -> np.ndarray:
    """Times of frames, which may be fractions."""
    return (np.asarray(frames) + 0.5) / rate


def held(values: np.ndarray, rate: float, times: np.ndarray) -> np.ndarray:
    """What frames [frames, ...] say at some moments; the first and last frame reach beyond."""
    found = np.floor(np.asarray(times, dtype=float) * rate + 1e-6).astype(np.int64)
    return values[np.clip(found, 0, len(values) - 1)]


def runs(classes: np.ndarray, rate: float, names: Sequence[str | float]) -> tuple[Span, ...]:
    """Stretches of equal frames [frames] of indices into `names`, in order of time."""
    edges = np.flatnonzero(np.diff(classes)) + 1
    starts, ends = np.r_[0, edges], np.r_[edges, len(classes)]
    return tuple(
        Span(float(start / rate), float(end / rate), names[classes[start]])
        for start, end in zip(starts, ends, strict=True)
        if end > start
    )
