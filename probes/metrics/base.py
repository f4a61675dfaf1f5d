"""What a metric is: from truth and the outputs of a head to a score."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from probes.scored import Scored, Sums, group_sums


class Metric(ABC):
    """A score; the higher, the better.

    Attributes
    ----------
    name : as it stands in results.
    definition, source : what it is, in a sentence, and by whom.
    range : lowest and highest value; None where unbounded.
    """

    name: str
    definition: str
    source: str
    range: tuple[float | None, float | None] = (0.0, 1.0)

    @abstractmethod
    def scored(self, truth: np.ndarray, outputs: np.ndarray, groups: np.ndarray) -> Scored:
        """The score of a head.

        Parameters
        ----------
        truth : [rows] class index or number, or [rows, tags] of 0, 1 and NaN for unknown.
        outputs : of the head, see `probes.heads.base.Answers`, without the choices.
        groups : [rows] of 0 .. n_groups - 1.
        """

    @abstractmethod
    def chance(self, train: np.ndarray, test: np.ndarray) -> float:
        """Score expected on `test` of answers that know the targets of `train` and nothing else."""


class SumMetric(Metric):
    """A score that is a function of sums over rows."""

    def scored(self, truth, outputs, groups):
        terms = self.terms(truth, self.answers(outputs))
        return Sums(group_sums(terms, groups), self.value)

    def answers(self, outputs: np.ndarray) -> np.ndarray:
        """[..., rows] what the head says: the most probable class, or the number itself."""
        return outputs

    @abstractmethod
    def terms(self, truth: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """What each row adds to the sums: [..., rows, k], for answers [..., rows]."""

    @abstractmethod
    def value(self, sums: np.ndarray) -> np.ndarray:
        """Score from sums [..., k]: [...]; NaN where it is not defined."""

    def score(self, truth: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """Score of answers [..., rows] over all rows: [...]."""
        return self.value(self.terms(truth, answers).sum(axis=-2))


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, NaN where `below` is zero."""
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
