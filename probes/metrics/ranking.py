"""Scores of how tags are ranked: macro averages over tags."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from probes.metrics.base import Metric

# [resamples, rows] weights at a time
AT_ONCE = 4_000_000


class RankMetric(Metric):
    """A mean over tags that occur and are absent at least once; rows of unknown tags are left out.

    Outputs are log-odds [rows, tags]; of equal ones neither stands above the other.
    """

    def scored(self, truth, outputs, groups):
        return Ranked(self, truth, outputs, groups)

    def tag(self, truth: np.ndarray, outputs: np.ndarray) -> float:
        """The score of one tag, by scikit-learn."""
        raise NotImplementedError

    def weighted(self, truth: np.ndarray, new: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The score of one tag for many weightings of its rows: [resamples].

        Parameters
        ----------
        truth : [rows] bool, by falling output.
        new : [rows] bool, whether the output is below that of the row before.
        weights : [resamples, rows].
        """
        raise NotImplementedError

    def drawn(
        self, truth: np.ndarray, outputs: np.ndarray, index: np.ndarray, counts: np.ndarray
    ) -> np.ndarray:
        """[resamples] score of one tag, from the groups of its rows and how often each is drawn."""
        order = np.argsort(-outputs, kind="stable")
        new = np.r_[True, np.diff(outputs[order]) < 0]
        step = max(1, AT_ONCE // len(order))
        return np.concatenate([
            self.weighted(truth[order], new, counts[at : at + step][:, index[order]])
            for at in range(0, len(counts), step)
        ])  # fmt: skip


@dataclass(frozen=True)
class Ranked:
    """A macro-averaged ranking score; see `probes.scored.Scored`."""

    metric: RankMetric
    truth: np.ndarray
    outputs: np.ndarray
    index: np.ndarray

    @property
    def groups(self) -> int:
        return int(self.index.max()) + 1

    @property
    def value(self) -> float:
        found = self.each()
        return float(np.nanmean(found)) if np.isfinite(found).any() else np.nan

    def each(self) -> np.ndarray:
        """[tags] score of each tag; NaN where it is always there or never."""
        found = np.full(self.truth.shape[1], np.nan)
        for tag, known in enumerate(np.isfinite(self.truth).T):
            truth = self.truth[known, tag] > 0
            if truth.any() and not truth.all():
                found[tag] = self.metric.tag(truth, self.outputs[known, tag])
        return found

    def resampled(self, counts):
        total, tags = np.zeros(len(counts)), np.zeros(len(counts))
        for tag, known in enumerate(np.isfinite(self.truth).T):
            truth = self.truth[known, tag] > 0
            if truth.any() and not truth.all():
                found = self.metric.drawn(
                    truth, self.outputs[known, tag], self.index[known], counts
                )
                here = np.isfinite(found)
                total += np.where(here, found, 0.0)
                tags += here
        return np.divide(total, tags, out=np.full(len(counts), np.nan), where=tags > 0)


class AreaUnderCurve(RankMetric):
    """See `definition`."""

    name = "ROC-AUC"
    definition = "chance that a row with the tag is ranked above one without it, averaged over tags"
    source = "scikit-learn roc_auc_score, macro average"

    def tag(self, truth, outputs):
        return float(roc_auc_score(truth, outputs))

    def weighted(self, truth, new, weights):
        ties = np.cumsum(new) - 1
        first = np.flatnonzero(new)
        absent = np.add.reduceat(np.where(truth, 0.0, weights), first, axis=1)
        above = np.cumsum(absent, axis=1) - absent / 2
        there = np.where(truth, weights, 0.0)
        below = absent.sum(axis=1, keepdims=True) - above[:, ties]
        pairs = there.sum(axis=1) * absent.sum(axis=1)
        won = (there * below).sum(axis=1)
        return np.divide(won, pairs, out=np.full(len(won), np.nan), where=pairs > 0)

    def drawn(self, truth, outputs, index, counts):
        """Pairs that are won, counted once between groups, where that is less work than sorting."""
        there, absent = np.flatnonzero(truth), np.flatnonzero(~truth)
        pairs = len(there) * len(absent)
        if pairs > min(AT_ONCE, 4 * len(counts) * len(truth)):
            return super().drawn(truth, outputs, index, counts)
        there, absent = (rows[np.argsort(index[rows], kind="stable")] for rows in (there, absent))
        won = (outputs[there, None] > outputs[absent]).astype(np.float32)
        if np.isin(outputs[there], outputs[absent]).any():
            won += (outputs[there, None] == outputs[absent]) / np.float32(2)
        (left, first), (right, second) = (
            np.unique(index[rows], return_index=True) for rows in (there, absent)
        )
        won = np.add.reduceat(np.add.reduceat(won, second, axis=1), first, axis=0)
        won = ((counts[:, left] @ won) * counts[:, right]).sum(axis=1)
        there, absent = (
            counts @ np.bincount(index[rows], minlength=counts.shape[1]) for rows in (there, absent)
        )
        pairs = there * absent
        return np.divide(won, pairs, out=np.full(len(won), np.nan), where=pairs > 0)

    def chance(self, train, test):
        """One half: any order that does not look at the rows."""
        return 0.5


class AveragePrecision(RankMetric):
    """See `definition`."""

    name = "average precision"
    definition = (
        "precision at each row with the tag, from the top of the ranking, averaged over these "
        "rows and over tags"
    )
    source = "scikit-learn average_precision_score, macro average"

    def tag(self, truth, outputs):
        return float(average_precision_score(truth, outputs))

    def weighted(self, truth, new, weights):
        first = np.flatnonzero(new)
        there = np.add.reduceat(np.where(truth, weights, 0.0), first, axis=1)
        some = np.add.reduceat(weights, first, axis=1).cumsum(axis=1)
        hits = there.cumsum(axis=1)
        precision = np.divide(hits, some, out=np.zeros_like(hits), where=some > 0)
        whole, absent = hits[:, -1], some[:, -1] - hits[:, -1]
        found = np.full(len(whole), np.nan)
        np.divide((precision * there).sum(axis=1), whole, out=found, where=(whole > 0))
        return np.where(absent > 0, found, np.nan)

    def chance(self, train, test):
        """The share of rows with the tag, averaged over tags: any order that ignores the rows."""
        share = np.array([np.nanmean(column) for column in test.T if np.isfinite(column).any()])
        share = share[(share > 0) & (share < 1)]
        return float(share.mean()) if len(share) else np.nan
