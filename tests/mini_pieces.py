"""Scores of the data set mini beside the clips that were cut from them; read once a session."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from extract.datasets.base import Clip
from extract.datasets.mini import music
from extract.datasets.mini.excerpts import SHORTEST, Sound
from extract.datasets.mini.scores import Score

Span = tuple[float, float, int]
FEW = {"chorale": 24, "fiddle": 15}
# moments of a clip at which what sounds is asked, and how far notes must be from them
MOMENTS = np.arange(0.005, 8.0, 0.01)
APART = 3e-4


@dataclass(frozen=True)
class Piece:
    """A clip of music, what is rendered for it, and the score that it is of."""

    clip: Clip
    sound: Sound
    score: Score

    @property
    def quarter(self) -> float:
        """Seconds of a quarter note; tempi have two decimals, so beats tell them exactly."""
        tempo = round(60.0 / float(np.mean(np.diff(self.clip.events["beats"]))), 2)
        return 60.0 / (self.clip.labels.get("tempo", tempo) * self.score.beat)

    @property
    def voices(self) -> list[int]:
        return sorted({note.voice for note in self.sound.notes})

    def written(self, voices: Iterable[int]) -> tuple[list[Span], list[Span]]:
        """Notes of the score in the clip: those to be played, and those that may just be.

        A note of which less than `SHORTEST` lies in the clip is not played; the times of a clip
        are rounded, so a note may be on either side of that.
        """
        sure: list[Span] = []
        doubtful: list[Span] = []
        for voice in voices:
            for onset, duration, pitch in self.score.parts[voice]:
                start = max(0.0, onset * self.quarter - self.clip.start)
                end = min(8.0, (onset + duration) * self.quarter - self.clip.start)
                if abs(end - start - SHORTEST) < APART:
                    doubtful.append((start, end, pitch))
                elif end - start > SHORTEST:
                    sure.append((start, end, pitch))
        return sure, doubtful

    def moved(self) -> int:
        """Semitones between the score and what is rendered: the same for every note."""
        shifts = set(range(-11, 12))
        for voice in self.voices:
            written = [n for spans in self.written([voice]) for n in spans]
            for note in self.sound.notes:
                if note.voice == voice:
                    # more than one where several are struck together
                    shifts &= {note.pitch - p for a, _, p in written if abs(a - note.onset) < APART}
        (shift,) = shifts
        return shift


@cache
def built(few: bool) -> dict[str, list[Piece]]:
    """All subsets made from scores: of some files, or of all (a minute)."""
    scores: dict[str, Score] = {}
    parse_all = music.parse_all

    def noted(paths):
        found = parse_all(paths)
        scores.update((score.name, score) for score in found)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(music, "parse_all", noted)
        subsets = {
            **music.build_chorales(FEW["chorale"] if few else None),
            **music.build_fiddle(FEW["fiddle"] if few else None),
        }
    return {
        name: [Piece(clip, sound, scores[clip.track.split("/", 1)[1]]) for clip, sound in rows]
        for name, rows in subsets.items()
    }


def moments_apart(spans: list[Span], doubtful: list[Span]) -> np.ndarray:
    """The moments that are near no edge of a note and in no doubtful one: there labels and score
    must agree."""
    edges = np.array(sorted(t for start, end, _ in [*spans, *doubtful] for t in (start, end)))
    place = np.searchsorted(edges, MOMENTS)
    near = np.minimum(
        np.abs(MOMENTS - edges[np.minimum(place, len(edges) - 1)]),
        np.abs(MOMENTS - edges[np.maximum(place - 1, 0)]),
    )
    times = MOMENTS[near > APART]
    return times[~roll(doubtful, times).any(axis=1)]


def roll(spans: list[Span], times: np.ndarray) -> np.ndarray:
    """[times, 128] which pitches sound."""
    out = np.zeros((len(times), 128), bool)
    for start, end, pitch in spans:
        out[(times >= start) & (times < end), int(pitch)] = True
    return out
