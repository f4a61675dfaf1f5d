"""Which sources sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probes.framing.grid import Grid
from probes.framing.readers.base import Reader, Setting, Truth
from probes.framing.scores import TrackScores
from probes.framing.table import Clip

SUFFIX = "_active"
YES = "yes"


@dataclass(frozen=True)
class Active(Truth):
    """[frames, sources] 1 or 0, NaN where it is not known."""

    sounds: np.ndarray


class Sources(Reader):
    """Which sources sound, each with an output of its own.

    The labels are segments named after a source, such as `vocals_active`, with `yes` where it
    sounds. `F` is of all sources in one, `F vocals` of one.
    """

    loss = "sigmoid"
    chooser = "F"
    settings = tuple({"threshold": t} for t in (0.5, 0.4, 0.3, 0.2))

    def __init__(self, labels: Sequence[str]):
        super().__init__(labels)
        self.outputs = tuple(label.removesuffix(SUFFIX) for label in labels)

    def labelled(self, clip: Clip) -> bool:
        return any(clip.segments.get(label) for label in self.labels)

    def target(self, clip: Clip, grid: Grid) -> np.ndarray:
        out = np.full((grid.frames, len(self.labels)), np.nan, np.float32)
        for column, label in enumerate(self.labels):
            for span in clip.segments.get(label, ()):
                out[grid.covered(span), column] = span.value == YES
        return out

    def truth(self, clip: Clip, grid: Grid) -> Active:
        return Active(grid, clip.duration, self.target(clip, grid))

    def judge(
        self, truth: Active, said: np.ndarray, settings: Sequence[Setting]
    ) -> list[TrackScores]:
        known, sounds = np.isfinite(truth.sounds), truth.sounds > 0
        found = []
        for setting in settings:
            heard = (said >= setting["threshold"]) & known
            hits = (heard & sounds).sum(axis=0)
            both = heard.sum(axis=0) + (sounds & known).sum(axis=0)
            each = {
                f"F {name}": (2.0 * hits[i], float(both[i])) for i, name in enumerate(self.outputs)
            }
            found.append(TrackScores({"F": (2.0 * float(hits.sum()), float(both.sum())), **each}))
        return found
