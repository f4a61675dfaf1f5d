"""Ends of phrases, changes of section, and what sections do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probes.decoding.boundaries import changes
from probes.decoding.chords import decode
from probes.decoding.peaks import pick
from probes.framing import scores, targets
from probes.framing.grid import Grid, Spanned
from probes.framing.readers.base import Reader, Setting, Truth, guessed
from probes.framing.readers.rhythm import Times
from probes.framing.scores import TrackScores
from probes.framing.table import Clip

REACH = 0.5  # seconds over which the target of a boundary falls to 0
APART = 1.0  # seconds between ends of phrases, at least
# Wang, Hung and Smith 2022 (arXiv:2205.14700)
FUNCTIONS = ("intro", "verse", "chorus", "bridge", "inst", "outro", "silence")


class Moments(Reader):
    """Moments that are few and far between, such as ends of phrases, by peaks."""

    loss = "sigmoid"
    outputs = ("moment",)
    chooser = "F 0.5"
    settings = tuple({"threshold": t} for t in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5))
    guess = "a moment every so many seconds, as many as score best on validation"

    def labelled(self, clip: Clip) -> bool:
        return self.labels[0] in clip.events

    def target(self, clip: Clip, grid: Grid) -> np.ndarray:
        return targets.boundaries(self._times(clip), grid, REACH)[:, None]

    def truth(self, clip: Clip, grid: Grid) -> Times:
        return Times(grid, clip.duration, self._times(clip))

    def judge(
        self, truth: Times, said: np.ndarray, settings: Sequence[Setting]
    ) -> list[TrackScores]:
        rate = truth.grid.rate
        return [self._score(truth, self._moments(said[:, 0], rate, s)) for s in settings]

    def chance(self, valid, test, prior, by):
        # from as dense as the tolerance is wide to once in the longest clip
        longest = max(truth.duration for truth in valid)
        periods = np.geomspace(1.0, max(2.0, longest), 32)

        def regular(truth: Times, settings: Sequence[Setting]) -> list[TrackScores]:
            return [
                self._score(truth, np.arange(s["period"], truth.duration, s["period"]))
                for s in settings
            ]

        return guessed(valid, test, [{"period": float(p)} for p in periods], regular, by)

    def _times(self, clip: Clip) -> tuple[float, ...]:
        return tuple(clip.events[self.labels[0]])

    def _moments(self, curve: np.ndarray, rate: float, setting: Setting) -> np.ndarray:
        return pick(curve, rate, setting["threshold"], APART)

    def _score(self, truth: Times, times: Sequence[float]) -> TrackScores:
        return scores.boundaries(truth.times, times, truth.duration)


class Boundaries(Moments):
    """Changes of section, from segments: peaks that stand out from their surroundings."""

    settings = tuple({"threshold": t} for t in (0.02, 0.05, 0.1, 0.15, 0.2, 0.3))
    guess = "a change every so many seconds, as many as score best on validation"

    def labelled(self, clip: Clip) -> bool:
        return bool(clip.segments.get(self.labels[0]))

    def _times(self, clip: Clip) -> tuple[float, ...]:
        edges = {float(t) for s in clip.segments[self.labels[0]] for t in (s.start, s.end)}
        return tuple(sorted(t for t in edges if 0 < t < clip.duration))

    def _moments(self, curve: np.ndarray, rate: float, setting: Setting) -> np.ndarray:
        return changes(curve, rate, setting["threshold"])


@dataclass(frozen=True)
class Named(Truth):
    """Stretches with a name, and the class of each frame."""

    spans: tuple[Spanned, ...]
    classes: np.ndarray


class Functions(Reader):
    """Functions of sections: seven classes, smoothed by a model in which they tend to stay."""

    loss = "softmax"
    outputs = FUNCTIONS
    chooser = "accuracy"
    settings = tuple({"stay": s} for s in (0.5, 0.9, 0.98, 0.995))

    def labelled(self, clip: Clip) -> bool:
        return bool(clip.segments.get(self.labels[0]))

    def target(self, clip: Clip, grid: Grid) -> np.ndarray:
        return targets.classes(clip.segments[self.labels[0]], grid, FUNCTIONS)

    def truth(self, clip: Clip, grid: Grid) -> Named:
        spans = tuple(clip.segments[self.labels[0]])
        return Named(grid, clip.duration, spans, self.target(clip, grid))

    def judge(
        self, truth: Named, said: np.ndarray, settings: Sequence[Setting]
    ) -> list[TrackScores]:
        found = []
        known = truth.classes >= 0
        for setting in settings:
            spans = decode(said, truth.grid.rate, FUNCTIONS, stay=setting["stay"])
            right = targets.classes(spans, truth.grid, FUNCTIONS)[known] == truth.classes[known]
            sums = scores.sections(truth.spans, spans).sums
            found.append(
                TrackScores({**sums, "accuracy": (float(right.sum()), float(known.sum()))})
            )
        return found
