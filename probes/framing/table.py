"""Clips with labels in time, and which rows of a representation are their frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from probes.errors import ProbeError
from probes.framing.grid import Grid, Spanned

PREFIX = "frames:"


class Contour(Protocol):
    """A quantity over time, such as a melody in Hz, 0 where there is none."""

    times: np.ndarray
    values: np.ndarray


class Clip(Protocol):
    """A stretch of one recording; a label that it lacks is absent. Times are from its start."""

    id: str
    group: str
    split: str
    subset: str
    duration: float
    segments: Mapping[str, Sequence[Spanned]]
    events: Mapping[str, Sequence[float]]
    curves: Mapping[str, Contour]


class FrameRows(Protocol):
    """The rows of a representation on a grid of time: all frames of a clip, then of the next.

    Attributes
    ----------
    kind : `frames:HZ`.
    clips : those that have rows, in order; one that is shorter than a frame has none.
    clip : [rows] index into `clips`.
    """

    kind: str
    clips: Sequence[Clip]
    clip: np.ndarray

    def __len__(self) -> int:
        """Number of rows."""


@dataclass(frozen=True)
class Excerpt:
    """A `Clip` that is already in memory."""

    id: str
    duration: float
    group: str = ""
    split: str = ""
    subset: str = ""
    segments: Mapping[str, Sequence[Spanned]] = field(default_factory=dict)
    events: Mapping[str, Sequence[float]] = field(default_factory=dict)
    curves: Mapping[str, Contour] = field(default_factory=dict)


class FrameTable:
    """`FrameRows` of some clips: as many rows as there are whole frames in each."""

    def __init__(self, clips: Sequence[Clip], kind: str):
        self.kind, self.clips = kind, tuple(clips)
        counts = [Grid.of(clip.duration, rate_of(kind)).frames for clip in self.clips]
        self.clip = np.repeat(np.arange(len(self.clips)), counts)

    def __len__(self) -> int:
        return len(self.clip)


def rate_of(kind: str) -> float:
    """Frames a second of rows of kind `frames:HZ`, or `frames:HZ@LABEL,LABEL`."""
    rate, _, _ = kind.removeprefix(PREFIX).partition("@")
    try:
        rate = float(rate) if kind.startswith(PREFIX) else 0.0
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise ProbeError(f"rows {kind!r} are no frames: use frames:HZ, as in frames:25")
    return rate


def edges_of(rows: FrameRows) -> np.ndarray:
    """[clips + 1] the first row of each clip, and the number of rows."""
    if len(rows.clip) and bool((np.diff(rows.clip) < 0).any()):
        raise ProbeError("frames are not clip after clip: give the rows in order")
    return np.searchsorted(rows.clip, np.arange(len(rows.clips) + 1))
