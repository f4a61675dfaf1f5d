"""From the answers of a head on one layer to what they score: of clips, segments, single rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from probes.heads.base import Answers, asked, least
from probes.information import pointwise
from probes.metrics import Metric, metric
from probes.scoring import Frame, Judged
from probes.splits import TRAIN, VALID
from probes.targets import Target


@dataclass(frozen=True)
class Judge:
    """Scores the answers to one target."""

    target: Target

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """The task's own metric and the further ones."""
        task, target = self.target.task, self.target
        prior = target.prior if task.kind == "classification" else None
        names = (task.metric, *task.also)
        return {name: metric(name, target.classes, prior) for name in names}

    def choose(self, answers: Answers, by: Literal["loss", "score"] = "loss") -> int:
        """Place in the head's grid that is best on validation.

        The loss tells choices apart where a score over few rows does not.
        """
        if by == "loss":
            return least(answers.loss(self.target, VALID))
        truth, index = self.target.of(VALID), self.target.group_index(VALID)
        own = self.metrics[self.target.task.metric]
        found = [own.scored(truth, one, index).value for one in answers.outputs[VALID]]
        return int(np.argmax(np.nan_to_num(found, nan=-np.inf)))

    def judge(self, answers: Answers, choice: int, setting: Mapping[str, object]) -> Judged:
        """The scores of one choice."""
        target = self.target
        scores = {
            name: {
                split: one.scored(
                    target.of(split), answers.outputs[split][choice], target.group_index(split)
                )
                for split in asked(target)
            }
            for name, one in self.metrics.items()
        }
        bits = {split: pointwise(target, split, answers, choice) for split in target.evaluated}
        right = {}
        if target.task.kind == "classification":
            own = self.metrics[target.task.metric]
            for split in target.evaluated:
                right[split] = own.answers(answers.outputs[split][choice]) == target.of(split)
        return Judged(setting, scores, bits, right, answers.facts[choice] if answers.facts else {})

    def frame(self, notes: Sequence[str]) -> Frame:
        """What is the same for all layers, with these notes beside the target's own."""
        target, metrics = self.target, self.metrics
        train, test = target.of(TRAIN), target.of(target.headline)
        return Frame(
            target.task,
            {name: one.range for name, one in metrics.items()},
            {name: one.chance(train, test) for name, one in metrics.items()},
            {split: len(index) for split, index in target.index.items()},
            {split: target.count_groups(split) for split in target.index},
            target.headline,
            None if target.regression else len(target.classes),
            (*target.notes, *notes),
            {split: target.names[target.index[split]] for split in target.evaluated},
            {split: target.groups[target.index[split]] for split in target.evaluated},
        )
