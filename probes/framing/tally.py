"""What one layer scores on one question, clip by clip."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import expit, logit, softmax

from probes import inference
from probes.framing.heads import FrameTarget
from probes.framing.questions import Kept, Question
from probes.framing.readers.base import Setting, choose
from probes.framing.scores import TrackScores
from probes.results import Score
from probes.scored import Sums
from probes.scoring import Judged
from probes.splits import VALID


class Asked:
    """A question with what its head is trained and chosen on; the same for all layers.

    Attributes
    ----------
    target, held : of the kept frames of training and of validation; of the latter without what
        training lacks.
    prior : [outputs] mean target of training.
    """

    def __init__(self, question: Question, train: Kept, valid: Kept):
        self.question = question
        self.target = question.targets(train)
        self.learnable = self.target.learnable
        self.held = question.targets(valid).only(self.learnable)
        self.prior = self.target.prior
        least = 0.5 / len(self.target.values)
        share = np.clip(self.prior, least, 1.0 - least)
        self._flat = np.log(share) if self.target.loss == "softmax" else logit(share)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """[frames, outputs], as the question's reader takes them."""
        return softmax(logits, axis=1) if self.target.loss == "softmax" else expit(logits)

    def gained(self, place: int, logits: np.ndarray) -> tuple[float, float]:
        """How many bits fewer the frames of a clip take with the layer, and how many frames.

        Without the layer each output has its frequency in training (see `probes.information`).
        Frames of which nothing is known, or nothing that training has, are left out.
        """
        target = FrameTarget(self.question.target(place), self.target.loss, self.target.outputs)
        target = target.only(self.learnable)
        without = target.surprise(np.broadcast_to(self._flat, logits.shape))
        gained = (without - target.surprise(logits)) / np.log(2)
        known = np.isfinite(gained)
        return float(gained[known].sum()), float(known.sum())


class Tally:
    """Scores of the clips of a question on one layer: first those of validation."""

    def __init__(self, asked: Asked):
        self.asked = asked
        self.question, self.reader = asked.question, asked.question.reader
        self._choices: dict[int, list[TrackScores]] = {}
        self._tracks: dict[int, TrackScores] = {}
        self._bits: dict[int, tuple[float, float]] = {}
        self.setting: Setting = {}

    def hold(self, place: int, logits: np.ndarray) -> None:
        """A clip of validation, scored with every setting of the decoder."""
        said = self.asked.probabilities(logits)
        truth = self.question.truths[place]
        self._choices[place] = self.reader.judge(truth, said, self.reader.settings)

    def choose(self) -> None:
        """The setting of the decoder that is best on the clips of validation."""
        places = self.question.places[VALID]
        best = choose([self._choices[place] for place in places], self.reader.chooser)
        self.setting = self.reader.settings[best]
        self._tracks = {place: self._choices[place][best] for place in places}
        self._choices.clear()

    def test(self, place: int, logits: np.ndarray) -> None:
        """A clip of a test split, scored with the setting that was chosen."""
        said = self.asked.probabilities(logits)
        truth = self.question.truths[place]
        self._tracks[place] = self.reader.judge(truth, said, [self.setting])[0]
        self._bits[place] = self.asked.gained(place, logits)

    def judged(self, setting: Mapping[str, object], resamples: int, seed: int) -> Judged:
        """What the layer scores.

        Parameters
        ----------
        setting : what was chosen of the head's grid.
        """
        question, task = self.question, self.question.task
        splits = (VALID, *question.evaluated)
        tracks = {s: [self._tracks[place] for place in question.places[s]] for s in splits}
        scores = {
            name: {split: question.scored(split, name, tracks[split]) for split in splits}
            for name in (task.metric, *task.also)
        }
        bits = {split: self._information(split, resamples, seed) for split in question.evaluated}
        return Judged({**setting, **self.setting}, scores, bits)

    def _information(self, split: str, resamples: int, seed: int) -> Score:
        """Bits a frame, with their interval over groups."""
        clips = np.array([self._bits[place] for place in self.question.places[split]])
        groups = self.question.groups(split)
        sums = np.zeros((int(groups.max()) + 1, 2))
        np.add.at(sums, groups, clips)
        mean = Sums(sums, lambda both: both[..., 0] / np.maximum(both[..., 1], 1.0))
        drawn = mean.resampled(inference.draw(mean.groups, resamples, seed))
        low, high = inference.interval(drawn, mean.groups)
        return Score(mean.value, float(low), float(high))
