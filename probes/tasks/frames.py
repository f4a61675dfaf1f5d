"""Tasks that ask of every moment of a clip."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from probes.errors import ProbeError
from probes.tasks.base import Task

if TYPE_CHECKING:
    from probes.framing.readers.base import Reader
    from probes.framing.table import Clip

FRAMES = "frames"
# Few rates, so that few stores are needed. 25 Hz: a frame of 40 ms is well below the tolerance
# of beats (+-70 ms), and is what many networks put out. 10 Hz: chords and sources change no faster,
# and phrases end within half a second. 2 Hz: sections, whose tolerance is half a second too, of
# whole songs.
FAST, MIDDLE, SLOW = "frames:25", "frames:10", "frames:2"


@dataclass(frozen=True)
class FrameTask(Task):
    """A task that is asked of the frames of a clip; its kind is `frames`.

    A head answers for every frame from that frame of the layer alone: what surrounds it the layer
    must know. The answers are decoded, and scored clip by clip.

    Attributes
    ----------
    metric, also : scores of `probes.framing.scores`, as the reader names them.
    rows : `frames:HZ`.
    reader : a name known to `probes.framing.readers`.
    decoding : how answers for frames become what is scored.
    beside : further labels that are read.
    any_of : whether one of the labels is enough; otherwise all are needed.
    holds : kinds of label that can be read.
    """

    reader: str = ""
    decoding: str = ""
    beside: tuple[str, ...] = ()
    any_of: bool = False
    holds: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels that are read."""
        return (self.label, *self.beside)

    def stamped(
        self, kinds: Mapping[str, str], tier: str, subsets: Collection[str] = ()
    ) -> FrameTask:
        """The task on data with some labels (label -> kind) and subsets.

        Its rows are frames of clips that have a label of any known task of the same rate, in the
        subsets that this is asked of: the same rows whichever tasks are asked for, so that they
        are extracted once.
        """
        where: dict[str, set[str]] = defaultdict(set)  # a label counts in; "" is everywhere
        for task in ENTRIES:
            if task.rows == self.rows:
                inside = {name for name in task.subsets if name in subsets}
                for label in task.present(kinds):
                    where[label] |= inside or {""}
        labels = (
            label if "" in inside else "+".join([label, *sorted(inside)])
            for label, inside in sorted(where.items())
        )
        return replace(self, rows=f"{self.rows}@{','.join(labels)}", tier=tier)

    def present(self, kinds: Mapping[str, str]) -> tuple[str, ...]:
        """Labels that can be read, of those that the data has (label -> kind); none if too few."""
        found = tuple(name for name in self.labels if kinds.get(name) in self.holds)
        return found if self.any_of or len(found) == len(self.labels) else ()

    def reads(self) -> Reader:
        """What makes targets of labels, and scores of answers."""
        from probes.framing.readers import reader

        return reader(self.reader, self.labels)

    def takes(self, clip: Clip) -> bool:
        """Whether a clip has the labels that the task needs."""
        return self.reads().labelled(clip)

    def target(self, value):
        raise ProbeError(f"task {self.name} is asked of frames: run it on rows {self.rows}")


ENTRIES = (
    FrameTask("beat", "Beats", "beat", "beats", FRAMES, "F",
              "where beats are, within 70 ms, tracked by a model of bars",
              rows=FAST, also=("F peaks", "CMLt", "AMLt"), reader="beats", holds=("events",),
              subsets=("chorale", "fiddle"),
              decoding="a bar-pointer model of beats; peaks above a threshold for F peaks"),
    FrameTask("downbeat", "Downbeats", "beat", "downbeats", FRAMES, "F",
              "where bars begin, within 70 ms, tracked by a model of bars",
              rows=FAST, also=("F peaks",), reader="downbeats", beside=("beats",),
              holds=("events",), subsets=("chorale", "fiddle"),
              decoding="a bar-pointer model of bars; peaks above a threshold for F peaks"),
    FrameTask("melody", "Melody", "pitch", "melody", FRAMES, "OA",
              "the pitch of the melody in each frame, within 50 cents, or that there is none",
              rows=FAST, also=("RPA", "RCA", "VR", "VFA"), reader="melody",
              holds=("curve", "segments"),
              decoding="the best semitone between its neighbours, a median over time, a threshold "
              "of voicing"),
    FrameTask("multipitch", "Pitches that sound", "pitch", "notes", FRAMES, "F",
              "all pitches that sound in each frame; also by how many there are",
              rows=FAST, also=("P", "R", "F 1", "F 2", "F 3", "F 4"), reader="pitches",
              holds=("segments",), subsets=("voices",), decoding="pitches above a threshold"),
    FrameTask("chord_frames", "Chords in time", "chord", "chord", FRAMES, "majmin",
              "which of 24 triads sounds when; the share of time it is right",
              rows=MIDDLE, also=("root",), reader="chords", holds=("segments",),
              decoding="Viterbi; chords tend to stay"),
    FrameTask("phrase_end", "Phrase ends", "structure", "phrase_ends", FRAMES, "F 0.5",
              "where phrases end, within half a second",
              rows=MIDDLE, also=("P 0.5", "R 0.5"), reader="moments", holds=("events",),
              decoding="peaks above a threshold, a second apart"),
    FrameTask("sources", "Sources that sound", "instrumentation", "vocals_active", FRAMES, "F",
              "which of voice, drums, bass and the rest sound in each frame",
              rows=MIDDLE, also=("F vocals", "F drums", "F bass", "F other"), reader="sources",
              beside=("drums_active", "bass_active", "other_active"), any_of=True,
              holds=("segments",), decoding="sources above a threshold"),
    FrameTask("section", "Section boundaries", "structure", "section", FRAMES, "F 0.5",
              "where sections change, within half a second",
              rows=SLOW, also=("F 3", "P 0.5", "R 0.5"), reader="boundaries", holds=("segments",),
              decoding="peaks that stand out from their surroundings (Ullrich et al. 2014)"),
    FrameTask("function", "Section functions", "structure", "function", FRAMES, "accuracy",
              "what the section is that a frame belongs to: intro, verse, chorus ...",
              rows=SLOW, also=("PW F", "F 0.5", "F 3"), reader="functions", holds=("segments",),
              decoding="Viterbi; sections tend to stay"),
)  # fmt: skip
