"""Beats and downbeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probes.decoding.beats import track
from probes.decoding.peaks import pick
from probes.framing import scores, targets
from probes.framing.grid import Grid
from probes.framing.readers.base import Reader, Setting, Truth, guessed
from probes.framing.scores import TrackScores
from probes.framing.table import Clip

# weights of the frame of a beat and of its neighbours, 40 ms away: as far as MARBLE's, and further
# than a tolerance of 70 ms would be wrong
WIDTHS = (1.0, 0.5)
THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
PICKED = "F, peaks"
# seconds between the moments of a grid; the fastest is as dense as the tolerance is wide
PERIODS = tuple(float(p) for p in np.geomspace(0.14, 3.0, 32))


@dataclass(frozen=True)
class Times(Truth):
    """Moments, in seconds."""

    times: tuple[float, ...]


class Beats(Reader):
    """Beats.

    Scored as the field does, `F`, `CMLt` and `AMLt` of what the bar-pointer model tracks; and by
    peaks alone, which know no more of metre than the layer does.
    """

    loss = "sigmoid"
    outputs = ("beat",)
    chooser = PICKED
    trims = True
    settings = tuple({"threshold": t} for t in THRESHOLDS)
    guess = "a beat every so many seconds, as many as score best on validation"

    def labelled(self, clip: Clip) -> bool:
        return all(label in clip.events for label in self.labels)

    def target(self, clip: Clip, grid: Grid) -> np.ndarray:
        moments = [targets.events(clip.events[label], grid, WIDTHS) for label in self.labels]
        return np.stack(moments, axis=1)

    def truth(self, clip: Clip, grid: Grid) -> Times:
        return Times(grid, clip.duration, tuple(clip.events[self.labels[0]]))

    def judge(
        self, truth: Times, said: np.ndarray, settings: Sequence[Setting]
    ) -> list[TrackScores]:
        tracked = self._score(truth, self._track(said, truth.grid.rate)).sums
        found = []
        for setting in settings:
            peaks = pick(said[:, 0], truth.grid.rate, setting["threshold"])
            found.append(TrackScores({**tracked, PICKED: self._f(truth, peaks)}))
        return found

    def chance(self, valid, test, prior, by):
        def regular(truth: Times, settings: Sequence[Setting]) -> list[TrackScores]:
            found = []
            for setting in settings:
                times = np.arange(0.5 * setting["period"], truth.duration, setting["period"])
                sums = self._score(truth, times).sums
                found.append(TrackScores({**sums, PICKED: sums["F"]}))
            return found

        return guessed(valid, test, [{"period": p} for p in PERIODS], regular, by)

    def _track(self, said: np.ndarray, rate: float) -> np.ndarray:
        return track(said[:, 0], rate=rate).beats

    def _score(self, truth: Times, times: np.ndarray) -> TrackScores:
        return scores.beats(truth.times, times, truth.trim)

    def _f(self, truth: Times, times: np.ndarray) -> tuple[float, float]:
        return scores.downbeats(truth.times, times, truth.trim).sums["F"]


class Downbeats(Beats):
    """Downbeats; the labels are those of downbeats and of beats.

    The bar-pointer model hears beats and downbeats together.
    """

    outputs = ("downbeat", "beat")
    guess = "a downbeat every so many seconds, as many as score best on validation"

    def _track(self, said: np.ndarray, rate: float) -> np.ndarray:
        return track(np.maximum(said[:, 1], said[:, 0]), said[:, 0], rate=rate).downbeats

    def _score(self, truth: Times, times: np.ndarray) -> TrackScores:
        return scores.downbeats(truth.times, times, truth.trim)
