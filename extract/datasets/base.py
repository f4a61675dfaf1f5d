"""What every data set is to the rest of the program: clips with labels, and their audio."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import Literal

import numpy as np
import torch

SPLITS = ("train", "valid", "test", "test_inst")
Value = str | float | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a clip with a value (a chord, a note), in seconds from the clip's start."""

    start: float
    end: float
    value: str | float


@dataclass(frozen=True, eq=False)
class Curve:
    """A quantity over time: `times` [n] seconds from the clip's start, rising, and `values` [n]."""

    times: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        if self.times.shape != self.values.shape or self.times.ndim != 1:
            raise ValueError("a curve has one value a moment")
        if (np.diff(self.times) <= 0).any():
            raise ValueError("the moments of a curve rise")


@dataclass(frozen=True)
class Clip:
    """A stretch of one recording.

    Attributes
    ----------
    id : unique in the data set and the same on every machine.
    track : the recording or work it comes from.
    group : clips of one group are not independent of each other; the unit of every interval, and
        never divided between splits where the split is by group. The track unless stated.
    subset : part of the data set (`chorale`, `note`, ...), or "".
    split : one of `SPLITS`, or "" when the data set has none.
    start, duration : seconds in the track.
    labels : clip-level labels, a tuple of strings for tags; a label that a clip lacks is absent.
    segments : labels with a start and an end, in order of time.
    events : labels that are moments, in seconds from the clip's start, rising.
    curves : labels that are a quantity over time (melody in Hz, 0 where there is none).
    """

    id: str
    track: str
    group: str
    subset: str
    split: str
    start: float
    duration: float
    labels: Mapping[str, Value] = field(default_factory=dict)
    segments: Mapping[str, tuple[Segment, ...]] = field(default_factory=dict)
    events: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)

    def has(self, label: str) -> bool:
        """Whether it has a label of any kind."""
        return any(label in some for some in (self.labels, self.segments, self.events, self.curves))

    def said(self, labels: Collection[str] | None = None) -> list:
        """What is said of it, as JSON holds it: group, subset, split, and labels of all kinds.

        Parameters
        ----------
        labels : only these; all that it has if None.
        """
        timed = ((self.segments, _spans), (self.events, list), (self.curves, _points))
        return [
            [self.track, self.group, self.subset, self.split],
            sorted(_among(self.labels, labels).items()),
            *(
                sorted((name, plain(value)) for name, value in _among(some, labels).items())
                for some, plain in timed
            ),
        ]


def _among(values: Mapping, names: Collection[str] | None) -> Mapping:
    return values if names is None else {k: v for k, v in values.items() if k in names}


def _spans(segments: Iterable[Segment]) -> list:
    # not `astuple`, which copies: there are sets of millions of notes
    return [(s.start, s.end, s.value) for s in segments]


def _points(curve: Curve) -> list:
    return [curve.times.tolist(), curve.values.tolist()]


@dataclass(frozen=True)
class LabelCard:
    """One label of a data set.

    Attributes
    ----------
    kind : `category`, `number`, `tags` (clip level), `segments`, `events`, `curve`.
    tier : `gold` (by construction or by experts), `silver` (by a rule), `user`.
    unit : of a number, or "".
    """

    name: str
    kind: Literal["category", "number", "tags", "segments", "events", "curve"]
    tier: Literal["gold", "silver", "user"]
    description: str
    unit: str = ""


@dataclass(frozen=True)
class DataCard:
    """What a reader must know of a data set before believing a number made with it.

    `caveats` are printed on every report made with the data; `identity` is a hash of the clip
    table, labels included, and of everything that decides the audio; `audio` is one of the cuts of
    the clips and of what decides their audio alone, `identity` where these are not told apart.
    """

    name: str
    title: str
    sources: str
    licence: str
    identity: str
    labels: tuple[LabelCard, ...]
    caveats: tuple[str, ...] = ()
    audio: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "audio", self.audio or self.identity)

    def as_json(self) -> dict:
        return asdict(self)


class Dataset(ABC):
    """Clips in a fixed order, and a way to hear them.

    Attributes
    ----------
    card : see `DataCard`.
    clips : all clips, in a fixed order.
    rate : the sample rate the audio is native to, or None when files differ.
    absent : recordings of its published list that are not there.
    notes : what a user should be told when the data is opened, a sentence each.
    elsewhere : whether hearing a clip fetches it from a storage.
    """

    card: DataCard
    clips: tuple[Clip, ...]
    rate: int | None = None
    absent: int = 0
    notes: tuple[str, ...] = ()
    elsewhere: bool = False

    @abstractmethod
    def audio(self, clip: Clip, sample_rate: int) -> torch.Tensor:
        """The clip as mono float32 [samples] at `sample_rate`, amplitude about [-1, 1].

        Safe to call from several threads. Raises `AudioError` naming the file.
        """

    def reading(self, workers: int) -> AbstractContextManager:
        """Entered while as many threads call `audio`; for data sets that prepare for it."""
        return nullcontext()

    def expect(self, clip: Clip) -> None:  # noqa: B027  most data sets have no use for it
        """Told, while `reading`, of a clip some time before its `audio`; for those that fetch."""

    def file(self, clip: Clip) -> str:
        """What a message should call the clip's source: a file's path, or the clip's id."""
        return clip.id
