"""What a frame task makes of labels, and of what a head says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from probes.framing.grid import Grid
from probes.framing.scores import TRIM, Ratio, TrackScores, table
from probes.framing.table import Clip

LONG = 10.0  # seconds from which on the start of a clip is not scored
Setting = Mapping[str, float]


@dataclass(frozen=True)
class Truth:
    """What answers about a clip are scored against.

    Attributes
    ----------
    grid : its frames.
    duration : of the clip, in seconds.
    """

    grid: Grid
    duration: float

    @property
    def trim(self) -> float:
        """Seconds at the start in which beats are not scored."""
        return TRIM if self.duration >= LONG else 0.0


class Reader(ABC):
    """Labels to targets of frames; what a head says of frames to an answer; answers to scores.

    Parameters
    ----------
    labels : names of the labels it reads.

    Attributes
    ----------
    loss : of the head that is trained for it.
    outputs : names of what the head says of each frame.
    chooser : the score by which a setting of the decoder is chosen on validation.
    settings : of the decoder; of equals the first is taken.
    guess : what is answered without the layer, for the level of chance.
    trims : whether the start of long clips is not scored.
    """

    loss: Literal["softmax", "sigmoid"]
    outputs: tuple[str, ...]
    chooser: str
    settings: tuple[Setting, ...] = ({},)
    trims = False
    guess = "the frequencies of training, decoded as the outputs of a layer are"

    def __init__(self, labels: Sequence[str]):
        self.labels = tuple(labels)

    @abstractmethod
    def labelled(self, clip: Clip) -> bool:
        """Whether a clip has what it takes; an empty label is a label."""

    @abstractmethod
    def target(self, clip: Clip, grid: Grid) -> np.ndarray:
        """softmax: [frames] int64, -1 for a frame without a class. sigmoid: [frames, outputs]
        float32 in 0 .. 1, NaN where it is not known."""

    @abstractmethod
    def truth(self, clip: Clip, grid: Grid) -> Truth:
        """What answers about the clip are scored against."""

    def learn(self, clips: Sequence[Clip]) -> None:  # noqa: B027
        """Takes from the clips of training what the decoder must know of the music, if anything."""

    @abstractmethod
    def judge(
        self, truth: Truth, said: np.ndarray, settings: Sequence[Setting]
    ) -> list[TrackScores]:
        """Scores of what a head says of a clip, one a setting of the decoder.

        Parameters
        ----------
        said : [frames, outputs] probabilities.
        """

    def judge_all(
        self, truths: Sequence[Truth], said: Sequence[np.ndarray], settings: Sequence[Setting]
    ) -> list[list[TrackScores]]:
        """Scores of each clip; for readers that decode many clips in less time."""
        return [self.judge(*pair, settings) for pair in zip(truths, said, strict=True)]

    def chance(
        self, valid: Sequence[Truth], test: Sequence[Truth], prior: np.ndarray, by: str
    ) -> dict[str, float]:
        """Score by score, what an answer gets on test that does not know the layer.

        Parameters
        ----------
        valid : the decoder's setting is chosen on these.
        prior : [outputs] mean target in training.
        by : the score that decides.
        """

        def constant(truth: Truth, settings: Sequence[Setting]) -> list[TrackScores]:
            said = np.broadcast_to(prior, (truth.grid.frames, len(prior)))
            return self.judge(truth, said, settings)

        return guessed(valid, test, self.settings, constant, by)


def guessed(
    valid: Sequence[Truth],
    test: Sequence[Truth],
    settings: Sequence[Setting],
    judge: Callable[[Truth, Sequence[Setting]], list[TrackScores]],
    by: str,
) -> dict[str, float]:
    """Scores on test with the setting that is best on validation."""
    best = choose([judge(truth, settings) for truth in valid], by)
    tracks = [judge(truth, settings[best : best + 1])[0] for truth in test]
    return {name: over(tracks, name) for name in tracks[0].sums}


def choose(scored: Sequence[Sequence[TrackScores]], by: str) -> int:
    """Number of the setting that scores best over clips, [clips][settings]; of equals the first."""
    values = [over(column, by) for column in zip(*scored, strict=True)]
    return int(np.argmax(np.nan_to_num(values, nan=-np.inf)))


def over(tracks: Sequence[TrackScores], name: str) -> float:
    """A score over tracks; NaN where none can be scored."""
    return float(Ratio.value(table(tracks, name).sum(axis=0)))
