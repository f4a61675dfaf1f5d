"""What one layer scores on one question, clip by clip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import expit, logit, softmax

from probes.framing.heads import FrameTarget
from probes.framing.questions import Kept, Question
from probes.framing.readers.base import Setting, choose
from probes.framing.scores import TrackScores
from probes.heads.base import least
from probes.scored import Sums
from probes.scoring import Frame, Judged
from probes.splits import TRAIN, VALID
from probes.targets import NotProbed

RANGE = (0.0, 1.0)  # of every score of frames


class Asked:
    """A question with what its head is trained and chosen on; the same for all layers.

    Attributes
    ----------
    truths : by place of the clip, what answers are scored against.
    target, held : of the kept frames of training and of validation; of the latter without what
        training lacks.
    prior : [outputs] mean target of training.

    Raises
    ------
    NotProbed : training has nothing to tell apart.
    """

    def __init__(self, question: Question, train: Kept, valid: Kept):
        self.question, self.truths = question, question.truths
        self.target = question.targets(train)
        self.learnable = self.target.learnable
        if not len(self.learnable):
            raise NotProbed(f"task {question.task.name}: nothing of what it asks for is in train")
        if len(self.learnable) < 2 and self.target.loss == "softmax":
            raise NotProbed(f"task {question.task.name}: 1 class in train; 2 are needed")
        self.held = question.targets(valid).only(self.learnable)
        self.prior = self.target.prior
        rare = 0.5 / len(self.target.values)
        share = np.clip(self.prior, rare, 1.0 - rare)
        self._flat = np.log(share) if self.target.loss == "softmax" else logit(share)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """[frames, outputs], as the question's reader takes them."""
        return softmax(logits, axis=1) if self.target.loss == "softmax" else expit(logits)

    def gained(self, place: int, logits: np.ndarray) -> float:
        """How many bits fewer a frame of a clip takes with the layer than without, on average.

        Without the layer each output has its frequency in training (see `probes.information`).
        Frames of which nothing is known, or nothing that training has, are left out.
        """
        target = FrameTarget(self.question.target(place), self.target.loss, self.target.outputs)
        target = target.only(self.learnable)
        without = target.surprise(np.broadcast_to(self._flat, logits.shape))
        gained = (without - target.surprise(logits)) / np.log(2)
        known = np.isfinite(gained)
        return float(gained[known].mean()) if known.any() else 0.0

    def frame(self, notes: tuple[str, ...]) -> Frame:
        """What is the same for all layers, with these notes beside the question's own."""
        question, clips = self.question, self.question.clips
        names = (question.task.metric, *question.task.also)
        frames = {s: sum(map(clips.frames, places)) for s, places in question.places.items()}
        kept, all_frames = len(self.target.values), frames[TRAIN]
        budget = f"trained on {kept:,} of {all_frames:,} frames, some of every clip"
        return Frame(
            question.task,
            dict.fromkeys(names, RANGE),
            question.chance(self.prior),
            {**frames, TRAIN: kept},
            {split: int(question.groups(split).max()) + 1 for split in question.places},
            question.headline,
            len(self.learnable) if self.target.loss == "softmax" else None,
            (*question.notes, *((budget,) if kept < all_frames else ()), *notes),
            {split: question.names(split) for split in question.evaluated},
            {split: question.members(split) for split in question.evaluated},
        )


class Tally:
    """Scores of the clips of a question on one layer: those of validation first.

    Parameters
    ----------
    losses : [choices of the head's grid] on validation.
    converged : [choices].
    settings : of the choices.
    """

    def __init__(self, asked: Asked, losses, converged, settings):
        self.asked = asked
        self.question, self.reader = asked.question, asked.question.reader
        self.losses, self.choice = losses, least(losses)
        self.converged, self.settings = bool(converged[self.choice]), settings
        self.decoder: Setting = {}
        self._choices: dict[int, list[TrackScores]] = {}
        self._tracks: dict[int, TrackScores] = {}
        self._bits: dict[int, float] = {}

    def hold(self, places: Sequence[int], logits: Sequence[np.ndarray]) -> None:
        """Scores clips of validation with every setting of the decoder."""
        found = self._judge(places, logits, self.reader.settings)
        self._choices.update(zip(places, found, strict=True))

    def settle(self) -> None:
        """Chooses the setting of the decoder that is best on the clips of validation."""
        places = self.question.places[VALID]
        best = choose([self._choices[place] for place in places], self.reader.chooser)
        self.decoder = self.reader.settings[best]
        self._tracks = {place: self._choices[place][best] for place in places}
        self._choices.clear()

    def test(self, places: Sequence[int], logits: Sequence[np.ndarray]) -> None:
        """Scores clips of a test split with the setting that was chosen."""
        found = self._judge(places, logits, [self.decoder])
        for place, some, (scores,) in zip(places, logits, found, strict=True):
            self._tracks[place] = scores
            self._bits[place] = self.asked.gained(place, some)

    def _judge(
        self, places: Sequence[int], logits: Sequence[np.ndarray], settings: Sequence[Setting]
    ) -> list[list[TrackScores]]:
        truths = [self.asked.truths[place] for place in places]
        said = [self.asked.probabilities(some) for some in logits]
        return self.reader.judge_all(truths, said, settings)

    def scored(self, name: str, split: str) -> Sums:
        """A score of the layer on a split."""
        tracks = [self._tracks[place] for place in self.question.places[split]]
        return self.question.scored(split, name, tracks)

    def judged(self) -> Judged:
        """What the layer scores, and the bits a frame that it gives on each clip."""
        task, tested = self.question.task, self.question.evaluated
        scores = {
            name: {split: self.scored(name, split) for split in (VALID, *tested)}
            for name in (task.metric, *task.also)
        }
        bits = {s: np.array([self._bits[p] for p in self.question.places[s]]) for s in tested}
        return Judged({**self.settings[self.choice], **self.decoder}, scores, bits)
