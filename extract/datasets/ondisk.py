"""Data sets of the field, read where the user keeps them, in the layout they are published in."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from extract.datasets.base import Clip, Curve, DataCard, Dataset, LabelCard, Segment, Value
from extract.datasets.files import File, hear, identity, look
from extract.errors import DataError

# a rest of a recording shorter than this part of a clip is left out
LEAST = 0.5


@dataclass(frozen=True)
class Need:
    """A part of a published layout.

    Attributes
    ----------
    path : below the root; may hold `*` and `**`.
    what : it is, in a word or two.
    source : where it can be had: an address, or the paper.
    needed : without it nothing can be read; else only the labels that come from it are absent.
    """

    path: str
    what: str
    source: str
    needed: bool = True

    def found(self, root: Path) -> bool:
        """Whether anything is there."""
        return next(iter(root.glob(self.path)), None) is not None


@dataclass(frozen=True)
class Recording:
    """One file of audio, or a stretch of one, and what the data set says of it.

    Times of segments, events and curves are in seconds from the start of the file.
    """

    path: Path
    track: str
    split: str = ""
    group: str = ""
    subset: str = ""
    start: float = 0.0
    duration: float | None = None
    labels: Mapping[str, Value] = field(default_factory=dict)
    segments: Mapping[str, tuple[Segment, ...]] = field(default_factory=dict)
    events: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)


class OnDisk(Dataset):
    """A published data set below a folder of the user's.

    A module for one holds, in this order: the docstring with the layout as published; what the
    splits are and where they come from; the class with its facts as attributes; `recordings`; the
    readers of its label files. Readers take a path and return segments, events or a table; they
    raise `DataError` that names the file and the line.

    Attributes
    ----------
    name, title, sources, licence, labels, caveats : see `DataCard`.
    needs : the parts of the layout, see `Need`.
    subsets : names that may be asked for, with what they mean.
    clip_seconds : longer recordings are cut into consecutive clips of this length, all of one
        group; None for whole recordings.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    sources: ClassVar[str]
    licence: ClassVar[str]
    labels: ClassVar[tuple[LabelCard, ...]]
    needs: ClassVar[tuple[Need, ...]]
    caveats: ClassVar[tuple[str, ...]] = ()
    subsets: ClassVar[Mapping[str, str]] = {}
    clip_seconds: ClassVar[float | None] = None

    def __init__(self, root: str | os.PathLike, subsets: Sequence[str] = ()) -> None:
        self.root = Path(root)
        self.wanted = tuple(subsets)
        lacking = [need for need in self.needs if need.needed and not need.found(self.root)]
        if lacking:
            first = lacking[0]
            more = f" and {len(lacking) - 1} more parts" if len(lacking) > 1 else ""
            raise DataError(
                f"{self.name}: {self.root / first.path} ({first.what}) is not there{more}; "
                f"get it from {first.source}, or see `rsa datasets {self.name}:{self.root}`"
            )
        known = [r for r in self.recordings() if not subsets or r.subset in self.wanted]
        there = [r for r in known if r.path.is_file()]
        if not there:
            raise DataError(
                f"{self.name}: none of the {len(known)} audio files it lists lies below "
                f"{self.root}; first missing: {known[0].path if known else 'none listed'}"
            )
        places = {str(r.path.relative_to(self.root)): r.path for r in there}
        looked = {file.path: file for file in look(sorted(places.items()))}
        self._files: dict[str, File] = {}
        self.clips = tuple(clip for r in there for clip in self._cut(r, looked[r.path]))
        rates = {file.info.sample_rate for file in looked.values() if file.info}
        self.rate = rates.pop() if len(rates) == 1 else None
        self.absent = len(known) - len(there)
        lost = f"{self.absent} of its {len(known)} recordings are not on this disk"
        present = {
            name
            for clip in self.clips
            for name in (*clip.labels, *clip.segments, *clip.events, *clip.curves)
        }
        self.card = DataCard(
            name=self.name,
            title=self.title,
            sources=self.sources,
            licence=self.licence,
            identity=identity(self.clips, list(looked.values())),
            audio=identity(self.clips, list(looked.values()), labels=False),
            labels=tuple(card for card in self.labels if card.name in present),
            caveats=(*self.caveats, *([lost] if self.absent else [])),
        )

    @abstractmethod
    def recordings(self) -> Iterable[Recording]:
        """Every recording of the published list, in a fixed order, whether it is there or not."""

    @classmethod
    def checklist(cls, root: Path) -> list[tuple[Need, bool]]:
        """The parts of the layout, and whether each is there."""
        return [(need, need.found(root)) for need in cls.needs]

    def audio(self, clip: Clip, sample_rate: int) -> torch.Tensor:
        """The clip as mono float32 [samples] at `sample_rate`; safe from several threads."""
        return hear(self._files[clip.id], sample_rate, clip.start, clip.duration)

    def file(self, clip: Clip) -> str:
        """The path of the clip's file."""
        return str(self._files[clip.id].path)

    def _cut(self, recording: Recording, file: File) -> list[Clip]:
        """The clips of one recording, with labels in their own time."""
        total = recording.duration or max(file.seconds - recording.start, 0.0)
        length = self.clip_seconds
        spans = [(recording.start, total)]
        if length is not None and total > length:
            spans = [
                (recording.start + at * length, min(length, total - at * length))
                for at in range(int(-(-total // length)))
            ]
            spans = [s for s in spans if s[1] >= LEAST * length]
        edges = {k: _edges(v) for k, v in recording.segments.items()}
        clips = []
        for start, duration in spans:
            id = recording.path.relative_to(self.root).as_posix()
            if len(spans) > 1 or recording.start:
                id += f"#{start:.6f}".rstrip("0").rstrip(".")
            self._files[id] = file
            end = start + duration
            clips.append(
                Clip(
                    id,
                    recording.track,
                    recording.group or recording.track,
                    recording.subset,
                    recording.split,
                    start,
                    duration,
                    recording.labels,
                    {k: _within(v, edges[k], start, end) for k, v in recording.segments.items()},
                    {
                        k: tuple(t - start for t in v if start <= t < end)
                        for k, v in recording.events.items()
                    },
                    {k: _part(v, start, end) for k, v in recording.curves.items()},
                )
            )
        return clips


def _edges(segments: Sequence[Segment]) -> np.ndarray:
    """[segments, 2] starts and ends, by which those of a clip are found among many thousands."""
    return np.array([(s.start, s.end) for s in segments], dtype=float).reshape(-1, 2)


def _within(
    segments: Sequence[Segment], edges: np.ndarray, start: float, end: float
) -> tuple[Segment, ...]:
    """What of some segments lies in a stretch, in its own time."""
    here = np.flatnonzero((edges[:, 1] > start) & (edges[:, 0] < end))
    return tuple(
        Segment(max(s.start, start) - start, min(s.end, end) - start, s.value)
        for s in (segments[i] for i in here)
    )


def _part(curve: Curve, start: float, end: float) -> Curve:
    inside = (curve.times >= start) & (curve.times < end)
    return Curve(curve.times[inside] - start, curve.values[inside])
