"""Scores of answers, as functions of sums over groups.

Every metric here is a function of sums over rows. The sums are taken once for each group; the
score of any resample of groups is then a weighted sum of them, so a thousand resamples of all
layers are one matrix product, and no row is looked at again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from probes.errors import ProbeError
from probes.tasks.base import BALANCED_ACCURACY, KEY_SCORE, R2

ACCURACY = "accuracy"


class Metric(ABC):
    """A score; the higher, the better.

    Attributes
    ----------
    name : as it stands in results.
    range : lowest and highest value; None where unbounded.
    prior_corrected : the answer that maximises the expected score is the class with the largest
        p(class | x) / p(class), not the one with the largest p(class | x).
    """

    name: str
    range: tuple[float | None, float | None] = (0.0, 1.0)
    prior_corrected: bool = False

    @abstractmethod
    def terms(self, truth: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """What each row adds to the sums: [..., rows, k], for answers [..., rows]."""

    @abstractmethod
    def value(self, sums: np.ndarray) -> np.ndarray:
        """Score from sums [..., k]: [...]; NaN where it is not defined."""

    @abstractmethod
    def chance(self, train: np.ndarray, test: np.ndarray) -> float:
        """Score expected on `test` of answers that know the targets of `train` and nothing else."""

    def sums(self, truth: np.ndarray, answers: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """Sums over the rows of each group.

        Parameters
        ----------
        truth : [rows].
        answers : [..., rows].
        groups : [rows] of 0 .. n_groups - 1.

        Returns
        -------
        [..., n_groups, k] float64.
        """
        terms = self.terms(truth, answers)
        order = np.argsort(groups, kind="stable")
        starts = np.searchsorted(groups[order], np.arange(groups.max() + 1))
        return np.add.reduceat(terms[..., order, :], starts, axis=-2)

    def score(self, truth: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """Score of answers [..., rows] over all rows: [...]."""
        return self.value(self.terms(truth, answers).sum(axis=-2))


class Accuracy(Metric):
    """Share of right answers."""

    name = ACCURACY

    def terms(self, truth, answers):
        right = (answers == truth).astype(float)
        return np.stack([right, np.ones_like(right)], axis=-1)

    def value(self, sums):
        return _ratio(sums[..., 0], sums[..., 1])

    def chance(self, train, test):
        """Of always naming the class that is most frequent in training."""
        return float(np.mean(test == np.bincount(train).argmax()))


class BalancedAccuracy(Metric):
    """Mean over classes of the share of right answers; over the classes that occur.

    Source: Brodersen et al. 2010, "The balanced accuracy and its posterior distribution".
    """

    name = BALANCED_ACCURACY
    prior_corrected = True

    def __init__(self, classes: int):
        self.classes = classes

    def terms(self, truth, answers):
        member = np.eye(self.classes)[truth]
        right = (answers == truth)[..., None] * member
        return np.concatenate([right, np.broadcast_to(member, right.shape)], axis=-1)

    def value(self, sums):
        recall = _ratio(sums[..., : self.classes], sums[..., self.classes :])
        present = np.isfinite(recall)
        return _ratio(np.where(present, recall, 0.0).sum(-1), present.sum(-1).astype(float))

    def chance(self, train, test):
        """One over the number of classes: any guess that does not look at the row."""
        return 1.0 / self.classes


class KeyScore(Metric):
    """Mean credit for a key: 1 right, 0.5 a fifth above, 0.3 relative, 0.2 parallel, 0 else.

    Source: MIREX key detection, as in `mir_eval.key.weighted_score`.
    """

    name = KEY_SCORE

    def __init__(self, names: Sequence[str]):
        self.table = key_table(tuple(names))

    def terms(self, truth, answers):
        credit = self.table[np.broadcast_to(truth, answers.shape), answers]
        return np.stack([credit, np.ones_like(credit)], axis=-1)

    def value(self, sums):
        return _ratio(sums[..., 0], sums[..., 1])

    def chance(self, train, test):
        """Of guessing keys as often as they occur in training: the exact expectation."""
        guess, asked = (np.bincount(y, minlength=len(self.table)) / len(y) for y in (train, test))
        return float(asked @ self.table @ guess)


class ExplainedVariance(Metric):
    """1 - residual sum of squares / total sum of squares about the mean of the evaluated rows."""

    name = R2
    range = (None, 1.0)

    def terms(self, truth, answers):
        centred = np.broadcast_to(truth - truth.mean(), answers.shape)
        residual = (answers - truth) ** 2
        return np.stack([np.ones_like(residual), centred, centred**2, residual], axis=-1)

    def value(self, sums):
        n, first, second, residual = np.moveaxis(sums, -1, 0)
        total = second - _ratio(first**2, n)
        floor = 1e-9 * np.maximum(second, np.finfo(float).tiny)
        return np.where(total > floor, 1.0 - _ratio(residual, total), np.nan)

    def chance(self, train, test):
        """Zero, the score of the mean of the evaluated rows (that of training scores below)."""
        return 0.0


def metric(name: str, classes: Sequence[str] = ()) -> Metric:
    """A metric by name, for targets that are indices into `classes`."""
    if name == BALANCED_ACCURACY:
        return BalancedAccuracy(len(classes))
    if name == KEY_SCORE:
        return KeyScore(classes)
    if name == ACCURACY:
        return Accuracy()
    if name == R2:
        return ExplainedVariance()
    known = (BALANCED_ACCURACY, KEY_SCORE, ACCURACY, R2)
    raise ProbeError(f"metric {name!r} is unknown: use one of {', '.join(known)}")


@lru_cache(maxsize=8)
def key_table(names: tuple[str, ...]) -> np.ndarray:
    """[reference, estimate] credit for every pair of keys, by mir_eval itself."""
    import mir_eval

    return np.array([[mir_eval.key.weighted_score(r, e) for e in names] for r in names])


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, NaN where `below` is zero."""
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
