"""Chords."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probes.decoding.chords import decode
from probes.framing import scores, targets
from probes.framing.grid import Grid, Spanned
from probes.framing.readers.base import Reader, Setting, Truth
from probes.framing.scores import TrackScores
from probes.framing.table import Clip


@dataclass(frozen=True)
class Chart(Truth):
    """The chords of a clip."""

    chords: tuple[Spanned, ...]


class Chords(Reader):
    """24 major and minor triads and no chord, smoothed by a model in which chords tend to stay."""

    loss = "softmax"
    outputs = targets.MAJMIN
    chooser = "majmin"
    settings = tuple({"stay": s} for s in (0.04, 0.5, 0.8, 0.95))

    def labelled(self, clip: Clip) -> bool:
        return bool(clip.segments.get(self.labels[0]))

    def target(self, clip: Clip, grid: Grid) -> np.ndarray:
        return targets.chords(clip.segments[self.labels[0]], grid)

    def truth(self, clip: Clip, grid: Grid) -> Chart:
        return Chart(grid, clip.duration, tuple(clip.segments[self.labels[0]]))

    def judge(
        self, truth: Chart, said: np.ndarray, settings: Sequence[Setting]
    ) -> list[TrackScores]:
        rate, names = truth.grid.rate, self.outputs
        found = [decode(said, rate, names, stay=s["stay"]) for s in settings]
        return [scores.chords(truth.chords, spans) for spans in found]
