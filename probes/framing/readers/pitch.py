"""Melody, and all pitches that sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.ndimage import median_filter

from probes.framing import scores, targets
from probes.framing.grid import Grid
from probes.framing.readers.base import Reader, Setting, Truth
from probes.framing.scores import TrackScores
from probes.framing.table import Clip

BINS = targets.Bins()


@dataclass(frozen=True)
class Line(Truth):
    """A melody: `hz` at `times`, 0 where there is none."""

    times: np.ndarray
    hz: np.ndarray


class Melody(Reader):
    """The pitch of the melody, in semitones from C1 to C7, or that there is none.

    The label is a curve in Hz, or notes with MIDI numbers; these are scored at the centres of
    frames. An estimate stands between semitones, at the mean of the best and its neighbours by
    their probabilities.
    """

    loss = "softmax"
    outputs = ("none", *(f"{m:g}" for m in np.arange(BINS.lowest, BINS.highest + 1)))
    chooser = "OA"
    settings = tuple({"voicing": v, "median": m} for v, m in product((0.5, 0.3, 0.7), (0.0, 0.2)))

    def labelled(self, clip: Clip) -> bool:
        label = self.labels[0]
        return label in clip.curves or bool(clip.segments.get(label))

    def target(self, clip: Clip, grid: Grid) -> np.ndarray:
        label = self.labels[0]
        if label in clip.curves:
            curve = clip.curves[label]
            return targets.melody(curve.times, curve.values, grid, BINS)
        return targets.melody_of_notes(clip.segments[label], grid, BINS)

    def truth(self, clip: Clip, grid: Grid) -> Line:
        label = self.labels[0]
        if label in clip.curves:
            curve = clip.curves[label]
            return Line(grid, clip.duration, np.asarray(curve.times), np.asarray(curve.values))
        hz = np.zeros(grid.frames)
        for span in sorted(clip.segments[label], key=lambda s: s.start):
            hz[grid.covered(span)] = 440.0 * 2.0 ** ((float(span.value) - 69.0) / 12.0)
        return Line(grid, clip.duration, grid.times, hz)

    def judge(
        self, truth: Line, said: np.ndarray, settings: Sequence[Setting]
    ) -> list[TrackScores]:
        rate, times = truth.grid.rate, truth.grid.times
        midi = refined(said[:, 1:])
        found = []
        for setting in settings:
            frames = 2 * round(setting["median"] * rate / 2) + 1
            smooth = median_filter(midi, frames, mode="nearest") if frames > 1 else midi
            silent = said[:, 0] > setting["voicing"]
            hz = 440.0 * 2.0 ** ((smooth - 69.0) / 12.0) * np.where(silent, -1.0, 1.0)
            found.append(scores.melody(truth.times, truth.hz, times, hz))
        return found


def refined(said: np.ndarray) -> np.ndarray:
    """[frames] MIDI number of the best of `BINS` and its neighbours, [frames, bins]."""
    best = said.argmax(axis=1)[:, None]
    near = np.clip(best + np.arange(-1, 2), 0, said.shape[1] - 1)
    weight = np.take_along_axis(said, near, axis=1)
    weight[:, ::2][near[:, ::2] == best] = 0.0  # beyond the first and the last bin
    total = weight.sum(axis=1)
    middle = np.where(total > 0, (weight * near).sum(axis=1) / np.maximum(total, 1e-30), best[:, 0])
    return BINS.lowest + middle * BINS.step / 100.0


@dataclass(frozen=True)
class Sounding(Truth):
    """Piano keys that sound: [frames, 88] bits, packed."""

    packed: np.ndarray

    @property
    def roll(self) -> np.ndarray:
        """[frames, 88] bool."""
        return np.unpackbits(self.packed, axis=1, count=targets.PITCHES).astype(bool)


class Pitches(Reader):
    """All pitches that sound, each with an output of its own; the label is notes."""

    loss = "sigmoid"
    outputs = tuple(str(targets.LOWEST + key) for key in range(targets.PITCHES))
    chooser = "F"
    settings = tuple({"threshold": t} for t in (0.3, 0.4, 0.5, 0.2, 0.1))

    def labelled(self, clip: Clip) -> bool:
        return self.labels[0] in clip.segments

    def target(self, clip: Clip, grid: Grid) -> np.ndarray:
        return targets.pitches(clip.segments[self.labels[0]], grid).astype(np.float32)

    def truth(self, clip: Clip, grid: Grid) -> Sounding:
        roll = targets.pitches(clip.segments[self.labels[0]], grid)
        return Sounding(grid, clip.duration, np.packbits(roll, axis=1))

    def judge(
        self, truth: Sounding, said: np.ndarray, settings: Sequence[Setting]
    ) -> list[TrackScores]:
        roll = truth.roll
        return [scores.multipitch(roll, said >= s["threshold"]) for s in settings]
