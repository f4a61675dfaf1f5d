"""Scores of answers that are one class each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from probes.metrics.base import SumMetric, ratio


class ClassMetric(SumMetric):
    """A score of the most probable class, from log-probabilities [..., rows, classes]."""

    def answers(self, outputs):
        return outputs.argmax(axis=-1)


class Accuracy(ClassMetric):
    """See `definition`."""

    name = "accuracy"
    definition = "share of rows whose most probable class is right"
    source = "scikit-learn accuracy_score"

    def terms(self, truth, answers):
        right = (answers == truth).astype(float)
        return np.stack([right, np.ones_like(right)], axis=-1)

    def value(self, sums):
        return ratio(sums[..., 0], sums[..., 1])

    def chance(self, train, test):
        """Of always naming the class that is most frequent in training."""
        return float(np.mean(test == np.bincount(train).argmax()))


class BalancedAccuracy(ClassMetric):
    """See `definition`.

    The answer is the class with the largest p(class | row) / p(class), with the frequencies of
    training: the decision that maximises this score (Menon et al. 2021, "Long-tail learning via
    logit adjustment"). The fit itself is not reweighted.

    Parameters
    ----------
    prior : [classes] frequencies in training.
    """

    name = "balanced accuracy"
    definition = "share of right answers in each class, averaged over the classes that occur"
    source = "Brodersen et al. 2010; scikit-learn balanced_accuracy_score"

    def __init__(self, prior: np.ndarray):
        self.classes = len(prior)
        with np.errstate(divide="ignore"):
            self.log_prior = np.log(prior)

    def answers(self, outputs):
        return (outputs - self.log_prior).argmax(axis=-1)

    def terms(self, truth, answers):
        member = np.eye(self.classes)[truth]
        right = (answers == truth)[..., None] * member
        return np.concatenate([right, np.broadcast_to(member, right.shape)], axis=-1)

    def value(self, sums):
        recall = ratio(sums[..., : self.classes], sums[..., self.classes :])
        present = np.isfinite(recall)
        return ratio(np.where(present, recall, 0.0).sum(-1), present.sum(-1).astype(float))

    def chance(self, train, test):
        """One over the number of classes: any guess that does not look at the row."""
        return 1.0 / self.classes


class KeyScore(ClassMetric):
    """See `definition`."""

    name = "weighted key score"
    definition = (
        "mean credit for a key: 1 right, 0.5 a fifth above, 0.3 relative, 0.2 parallel, 0 else"
    )
    source = "MIREX; mir_eval.key.weighted_score"

    def __init__(self, names: Sequence[str]):
        self.table = key_table(tuple(names))

    def terms(self, truth, answers):
        credit = self.table[np.broadcast_to(truth, answers.shape), answers]
        return np.stack([credit, np.ones_like(credit)], axis=-1)

    def value(self, sums):
        return ratio(sums[..., 0], sums[..., 1])

    def chance(self, train, test):
        """Of guessing keys as often as they occur in training: the exact expectation."""
        guess, asked = (np.bincount(y, minlength=len(self.table)) / len(y) for y in (train, test))
        return float(asked @ self.table @ guess)


@lru_cache(maxsize=8)
def key_table(names: tuple[str, ...]) -> np.ndarray:
    """[reference, estimate] credit for every pair of keys, by mir_eval itself."""
    import mir_eval

    return np.array([[mir_eval.key.weighted_score(r, e) for e in names] for r in names])
