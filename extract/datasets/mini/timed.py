"""Labels over time that follow from the notes of a clip: notes, melody, chords."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from extract.datasets.base import Segment
from extract.datasets.mini import harmony
from extract.datasets.mini.midi import Note


def heard(notes: Sequence[Note], seconds: float) -> tuple[Segment, ...]:
    """Every note that sounds, by onset, then pitch; values are MIDI numbers.

    Voices in unison are one note, and a note ends where its pitch is struck again: a pitch is
    never held twice, so at any moment there are as many notes as different pitches sound.

    Parameters
    ----------
    seconds : of the clip; a rounded end never lies beyond it.
    """
    by_pitch: dict[int, dict[float, float]] = defaultdict(dict)
    for note in notes:
        ends = by_pitch[note.pitch]
        end = min(round(note.onset + note.duration, 4), seconds)
        ends[note.onset] = max(end, ends.get(note.onset, 0.0))
    rows = []
    for pitch, ends in by_pitch.items():
        onsets, last = sorted(ends), 0.0
        for onset, following in zip(onsets, [*onsets[1:], seconds], strict=True):
            last = max(last, ends[onset])  # one that is struck again may have been held longer
            rows.append((onset, pitch, min(last, following)))
    return tuple(Segment(onset, end, float(pitch)) for onset, pitch, end in sorted(rows))


def sounding(notes: Sequence[Segment], seconds: float) -> np.ndarray:
    """Share of the time in which as many notes sound as the place in the array says: [most + 1].

    Of `heard` notes: how many different pitches there are at once.
    """
    edges = np.unique([0.0, seconds, *(t for n in notes for t in (n.start, n.end))])
    middle = (edges[1:] + edges[:-1]) / 2
    count = np.zeros(len(middle), dtype=np.int64)
    for note in notes:
        count += (note.start <= middle) & (middle < note.end)
    return np.bincount(count, weights=np.diff(edges)) / seconds


def melody(notes: Sequence[Note], seconds: float) -> tuple[Segment, ...]:
    """The first part as one line: the highest of notes struck together, no overlaps."""
    line = sorted((n for n in notes if n.voice == 0), key=lambda n: (n.onset, -n.pitch))
    line = [n for i, n in enumerate(line) if i == 0 or n.onset > line[i - 1].onset]
    ends = [n.onset for n in line[1:]] + [seconds]
    return tuple(
        Segment(n.onset, round(min(n.onset + n.duration, end), 4), float(n.pitch))
        for n, end in zip(line, ends, strict=True)
    )


def chords(notes: Sequence[Note], beats: Sequence[float]) -> tuple[Segment, ...]:
    """One chord for each whole beat of the excerpt, from the notes that sound in it."""
    rows = []
    for start, end in zip(beats, beats[1:], strict=False):
        weights, struck = np.zeros(12), []
        for note in notes:
            share = min(note.onset + note.duration, end) - max(note.onset, start)
            if share > 1e-3:
                weights[note.pitch % 12] += share
                struck.append((note.onset > start + 1e-3, note.pitch))
        # the lowest note at the beat, or, when nothing sounds there, the lowest after it
        bass = min(struck)[1] % 12 if struck else None
        rows.append(Segment(start, end, harmony.chord_of(weights, bass)))
    return tuple(rows)
