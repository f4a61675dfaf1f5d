"""A frame task on some clips: which take part, what is trained on, what scores by chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from probes.framing.budget import thinned
from probes.framing.grid import Grid
from probes.framing.heads import FrameTarget
from probes.framing.readers.base import LONG, Reader, Truth
from probes.framing.scores import TRIM, Ratio, TrackScores, table
from probes.framing.table import FrameRows, edges_of, rate_of
from probes.scored import Sums
from probes.splits import EVALUATED, SPLITS, TRAIN, VALID
from probes.targets import MIN_TEST_GROUPS, MIN_TRAIN_GROUPS, MIN_TRAIN_ROWS, NotProbed, too_few
from probes.tasks.frames import FrameTask
from probes.trust.warnings import FEW_GROUPS


class Clips:
    """The clips of a table of frames, and where their rows are.

    Parameters
    ----------
    splits : of each clip.

    Attributes
    ----------
    edges : [clips + 1] first row of each clip.
    """

    def __init__(self, rows: FrameRows, splits: np.ndarray):
        self.rate = rate_of(rows.kind)
        self.clips, self.splits = rows.clips, splits
        self.edges = edges_of(rows)

    def frames(self, place: int) -> int:
        """How many frames a clip has."""
        return int(self.edges[place + 1] - self.edges[place])

    def grid(self, place: int) -> Grid:
        """The frames of a clip."""
        return Grid(self.frames(place), self.rate)


@dataclass(frozen=True)
class Kept:
    """Frames of some clips that are looked at together.

    Attributes
    ----------
    places : of the clips.
    frames : of each clip.
    """

    places: tuple[int, ...]
    frames: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, clips: Clips, places: Sequence[int], budget: int, seed: int) -> Kept:
        """As many as the budget allows, see `budget.thinned`."""
        names = [clips.clips[place].id for place in places]
        frames = thinned([clips.frames(place) for place in places], names, budget, seed)
        return cls(tuple(places), tuple(frames))


@dataclass(frozen=True)
class Question:
    """A frame task on some clips.

    Attributes
    ----------
    places : split -> clips that take part, rising; splits without any are absent.
    headline : the split that a report quotes.
    notes : sentences for the reader.
    """

    task: FrameTask
    reader: Reader
    clips: Clips
    places: Mapping[str, tuple[int, ...]]
    headline: str
    notes: tuple[str, ...]

    @property
    def evaluated(self) -> list[str]:
        """The test splits that have clips."""
        return [split for split in EVALUATED if split in self.places]

    def of(self, splits: Sequence[str]) -> list[int]:
        """Clips of some splits."""
        return [place for split in splits for place in self.places.get(split, ())]

    @cached_property
    def truths(self) -> dict[int, Truth]:
        """Of every clip that is scored; made once for all layers."""
        return {
            place: self.reader.truth(self.clips.clips[place], self.clips.grid(place))
            for place in self.of((VALID, *EVALUATED))
        }

    def target(self, place: int) -> np.ndarray:
        """Of all frames of a clip, see `Reader.target`."""
        return self.reader.target(self.clips.clips[place], self.clips.grid(place))

    def targets(self, kept: Kept) -> FrameTarget:
        """Of the frames that are kept of some clips."""
        some = [self.target(p)[at] for p, at in zip(kept.places, kept.frames, strict=True)]
        reader = self.reader
        return FrameTarget(np.concatenate(some), reader.loss, len(reader.outputs))

    def names(self, split: str) -> np.ndarray:
        """[clips of the split]."""
        return np.array([self.clips.clips[p].id for p in self.places[split]], dtype=object)

    def members(self, split: str) -> np.ndarray:
        """[clips of the split] group of each."""
        return np.array([self.clips.clips[p].group for p in self.places[split]], dtype=object)

    def groups(self, split: str) -> np.ndarray:
        """[clips of the split] number of the group among those of the split."""
        return np.unique(self.members(split).astype(str), return_inverse=True)[1]

    def scored(self, split: str, score: str, tracks: Sequence[TrackScores]) -> Sums:
        """A score of the clips of a split, that any resample of groups can be scored from."""
        return Sums(table(tracks, score, self.groups(split)), Ratio.value)

    def chance(self, prior: np.ndarray) -> dict[str, float]:
        """Score by score, on the headline split, of answers that do not know the layer."""
        valid, test = (
            [self.truths[place] for place in self.places[split]] for split in (VALID, self.headline)
        )
        found = self.reader.chance(valid, test, prior, self.task.metric)
        return {name: found[name] for name in (self.task.metric, *self.task.also)}


def make_question(task: FrameTask, rows: FrameRows, splits: np.ndarray) -> Question:
    """A frame task on the clips of a table.

    Parameters
    ----------
    splits : of each clip.

    Raises
    ------
    NotProbed : with the reason.
    """
    clips, reader = Clips(rows, splits), task.reads()
    groups = [clip.group for clip in rows.clips]
    inside = [not task.subsets or clip.subset in task.subsets for clip in rows.clips]
    everywhere = not any(inside)  # other data have no such parts
    usable = [
        place
        for place, clip in enumerate(rows.clips)
        if (inside[place] or everywhere)
        and clips.frames(place)
        and splits[place]
        and reader.labelled(clip)
    ]
    if not usable:
        raise NotProbed(f"task {task.name}: no clip has the label {', '.join(task.labels)}")
    places = {split: tuple(p for p in usable if splits[p] == split) for split in SPLITS}
    places = {split: some for split, some in places.items() if some}
    count = {split: len({groups[p] for p in some}) for split, some in places.items()}
    headline, notes = task.headline, []
    if count.get(headline, 0) < MIN_TEST_GROUPS:
        others = [s for s in EVALUATED if count.get(s, 0) >= MIN_TEST_GROUPS]
        headline = others[0] if others else headline
        if others:
            notes.append(f"too few clips in {task.headline}: {headline} is quoted instead")
    for split, least in ((TRAIN, MIN_TRAIN_GROUPS), (VALID, 1), (headline, MIN_TEST_GROUPS)):
        if count.get(split, 0) < least:
            few = too_few(count.get(split, 0), "group", split, least)
            raise NotProbed(f"task {task.name}: {few}")
    frames = sum(clips.frames(place) for place in places[TRAIN])
    if frames < MIN_TRAIN_ROWS:
        few = too_few(frames, "frame", TRAIN, MIN_TRAIN_ROWS)
        raise NotProbed(f"task {task.name}: {few}")
    reader.learn([rows.clips[place] for place in places[TRAIN]])
    for split in (s for s in EVALUATED if s in places):
        if count[split] < FEW_GROUPS:
            notes.append(f"{split}: the interval rests on {count[split]} groups")
        shared = {groups[p] for p in places[TRAIN]} & {groups[p] for p in places[split]}
        if shared:
            notes.append(f"{split}: {len(shared)} groups have clips in training too")
    return Question(task, reader, clips, places, headline, (*notes, *_method(reader, rows, usable)))


def _method(reader: Reader, rows: FrameRows, usable: Sequence[int]) -> list[str]:
    """Notes on how the numbers come about."""
    notes = ["each frame is answered for from that frame of the layer alone, without context"]
    if reader.trims:
        short = sum(rows.clips[place].duration < LONG for place in usable)
        if short == len(usable):
            notes.append(f"clips are shorter than {LONG:g} s: their start is scored too")
        else:
            notes.append(
                f"the first {TRIM:g} s of clips are not scored"
                + (f", but of {short} that are shorter than {LONG:g} s" if short else "")
            )
    return notes
