"""Beats and downbeats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probes.decoding.beats import track_all
from probes.decoding.peaks import pick
from probes.framing import scores, targets
from probes.framing.grid import Grid
from probes.framing.readers.base import Reader, Setting, Truth, choose, over
from probes.framing.scores import TrackScores
from probes.framing.table import Clip

# weights of the frame of a beat and of its neighbours, 40 ms away: as far as MARBLE's, and further
# than a tolerance of 70 ms would be wrong
WIDTHS = (1.0, 0.5)
THRESHOLDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
PICKED = "F peaks"
PER_BAR = (3, 4)  # Böck et al. 2016, where training does not say
RARE, MOST = 0.05, 8  # share of bars, and beats in one
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
        return self.judge_all([truth], [said], settings)[0]

    def judge_all(
        self, truths: Sequence[Times], said: Sequence[np.ndarray], settings: Sequence[Setting]
    ) -> list[list[TrackScores]]:
        found = []
        tracked = self._track(said, truths[0].grid.rate) if truths else []
        for truth, curves, times in zip(truths, said, tracked, strict=True):
            sums = self._score(truth, times).sums
            picked = [pick(curves[:, 0], truth.grid.rate, s["threshold"]) for s in settings]
            found.append([TrackScores({**sums, PICKED: self._f(truth, p)}) for p in picked])
        return found

    def chance(self, valid, test, prior, by):
        def regular(truth: Times, period: float) -> np.ndarray:
            return np.arange(0.5 * period, truth.duration, period)

        held = [[TrackScores({by: self._f(t, regular(t, p))}) for p in PERIODS] for t in valid]
        period = PERIODS[choose(held, by)]
        found = [self._score(truth, regular(truth, period)).sums for truth in test]
        tracks = [TrackScores({**sums, PICKED: sums["F"]}) for sums in found]
        return {name: over(tracks, name) for name in tracks[0].sums}

    def _track(self, said: Sequence[np.ndarray], rate: float) -> list[np.ndarray]:
        return [found.beats for found in track_all([one[:, 0] for one in said], rate=rate)]

    def _score(self, truth: Times, times: np.ndarray) -> TrackScores:
        return scores.beats(truth.times, times, truth.trim)

    def _f(self, truth: Times, times: np.ndarray) -> tuple[float, float]:
        return scores.downbeats(truth.times, times, truth.trim).sums["F"]


class Downbeats(Beats):
    """Downbeats; the labels are those of downbeats and of beats.

    The bar-pointer model hears beats and downbeats together.
    """

    outputs = ("downbeat", "beat")
    per_bar = PER_BAR
    guess = "a downbeat every so many seconds, as many as score best on validation"

    def learn(self, clips: Sequence[Clip]) -> None:
        """How many beats bars have: as many as are in at least a twentieth of those of training."""
        sizes = Counter(size for clip in clips for size in self._sizes(clip))
        usual = sorted(s for s, n in sizes.items() if n >= RARE * sizes.total())
        self.per_bar = tuple(usual) or PER_BAR

    def _sizes(self, clip: Clip) -> np.ndarray:
        """Beats from each downbeat to the next."""
        down, beat = (np.asarray(clip.events[label]) for label in self.labels)
        return np.diff(np.searchsorted(beat, down - 1e-3)).clip(1, MOST)

    def _track(self, said: Sequence[np.ndarray], rate: float) -> list[np.ndarray]:
        down, beat = zip(*((one[:, 0], one.max(axis=1)) for one in said), strict=True)
        found = track_all(beat, down, rate=rate, per_bar=self.per_bar)
        return [one.downbeats for one in found]

    def _score(self, truth: Times, times: np.ndarray) -> TrackScores:
        return scores.downbeats(truth.times, times, truth.trim)
