"""Scores of answers that are numbers."""

from __future__ import annotations

import numpy as np

from probes.metrics.base import SumMetric, ratio


class ExplainedVariance(SumMetric):
    """See `definition`."""

    name = "R2"
    definition = "1 - residual sum of squares / total sum of squares about the mean of the split"
    source = "scikit-learn r2_score"
    range = (None, 1.0)

    def terms(self, truth, answers):
        centred = np.broadcast_to(truth - truth.mean(), answers.shape)
        residual = (answers - truth) ** 2
        return np.stack([np.ones_like(residual), centred, centred**2, residual], axis=-1)

    def value(self, sums):
        n, first, second, residual = np.moveaxis(sums, -1, 0)
        total = second - ratio(first**2, n)
        floor = 1e-9 * np.maximum(second, np.finfo(float).tiny)
        return np.where(total > floor, 1.0 - ratio(residual, total), np.nan)

    def chance(self, train, test):
        """Zero, the score of the mean of the evaluated rows (that of training scores below)."""
        return 0.0


class TempoAccuracy(SumMetric):
    """See `definition`; of answers that are log2 of beats per minute."""

    source = "Gouyon et al. 2006; mir_eval.tempo.detection with a tolerance of 4 %"

    def __init__(self, name: str):
        self.name = name
        octaves = "" if name == "Acc1" else ", or of its double, triple, half or third"
        self.definition = f"share of tempi within 4 % of the right one{octaves}"

    def terms(self, truth, answers):
        right = np.empty(answers.shape)
        for at in np.ndindex(answers.shape):
            right[at] = self._right(float(truth[at[-1]]), float(answers[at]))
        return np.stack([right, np.ones_like(right)], axis=-1)

    def value(self, sums):
        return ratio(sums[..., 0], sums[..., 1])

    def chance(self, train, test):
        """Of always naming the middle of the tempi of training."""
        guess = float(np.median(train))
        return float(np.mean([self._right(one, guess) for one in test]))

    def _right(self, truth: float, answer: float) -> float:
        from probes.framing.scores import tempo

        # what is this far off is wrong whatever the octave, and 2 ** x may overflow
        if not abs(answer - truth) < 8:
            return 0.0
        return tempo(2.0**truth, 2.0**answer).sums[self.name][0]
