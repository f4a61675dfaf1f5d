"""Whether a probe is as often right as it says.

Of classes and tags by bins of equal numbers of rows; of numbers by how many lie in the intervals
that the probe gives. What few rows do by themselves is told apart from what the probe does wrong:
a calibrated probe has an error too, and it is larger where rows of a group go wrong together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from probes.record import Record
from probes.scored import Score, Sums
from probes.targets import Target
from probes.trust.intervals import mean_scores, sure

BINS, BIN_ROWS = 15, 20
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
FLIPS = 200


@dataclass(frozen=True)
class Bin(Record):
    """Rows of about the same probability.

    Attributes
    ----------
    stated : mean of the probabilities that the probe gives.
    observed : share of rows in which what they are given to is true.
    """

    stated: float
    observed: Score
    rows: int


@dataclass(frozen=True)
class Error(Record):
    """Expected calibration error: mean over rows of |observed - stated| of their bin.

    Guo et al. 2017 (arXiv:1706.04599), with bins of equal numbers of rows (Nguyen and O'Connor
    2015), which depends less on their number.

    Attributes
    ----------
    chance : mean error of a calibrated probe that gives the same probabilities: the differences
        between truth and probability, summed over groups, change sign at random, whole groups at
        a time. A little low where few groups have a class: then differences lean to one side.
    p : share of these that have as large an error; NaN for a mean over classes, of which they are
        not exact enough.
    """

    value: float
    chance: float
    p: float


@dataclass(frozen=True)
class Brier(Record):
    """Mean squared difference between truth and probability, summed over classes; and its parts.

    value = reliability - resolution + uncertainty + within (Murphy 1973; Stephenson et al. 2008
    for `within`). The first three are corrected for what the noise of few rows adds, as by Ferro
    and Fricker 2012, with a variance over groups in the place of that over rows.

    Attributes
    ----------
    reliability : what is lost by stating other probabilities than those observed; 0 is best, and
        where it is 0 the correction can pass below.
    resolution : how much the bins differ in what is observed: what the probe knows.
    uncertainty : score of a probe that states the frequencies of this split for every row.
    within : how much probabilities differ inside a bin, beyond what that helps.
    """

    value: Score
    reliability: float
    resolution: float
    uncertainty: float
    within: float


@dataclass(frozen=True)
class Calibration(Record):
    """Of probabilities of classes or tags.

    Attributes
    ----------
    bins : reliability diagram: of classes, of the most probable one; of tags, of all together.
    error : by these bins.
    classwise : error by bins for each class or tag, averaged over them (Kull et al. 2019).
    """

    bins: tuple[Bin, ...]
    error: Error
    classwise: Error
    brier: Brier


@dataclass(frozen=True)
class Coverage(Record):
    """Of the normal distributions that a regression gives.

    Attributes
    ----------
    levels : of central intervals.
    covered : share of rows that lie inside.
    spread : standard deviation of the distributions, in the unit of the target.
    """

    levels: tuple[float, ...]
    covered: tuple[Score, ...]
    spread: float


def calibration(
    target: Target,
    split: str,
    outputs: np.ndarray,
    spread: float,
    index: np.ndarray,
    counts: np.ndarray,
    seed: int,
) -> Calibration | Coverage:
    """Calibration of any head on a split.

    Parameters
    ----------
    outputs : of one choice of the head, as in `probes.heads.base.Answers`.
    spread : of a regression, the root mean squared error on validation. Others as below.
    """
    truth = target.of(split)
    if target.regression:
        return of_numbers(outputs, spread, truth, index, counts)
    if target.task.kind == "tags":
        return of_tags(expit(outputs), truth, index, counts, seed)
    return of_classes(np.exp(outputs), truth, index, counts, seed)


def of_classes(
    probabilities: np.ndarray, truth: np.ndarray, index: np.ndarray, counts: np.ndarray, seed: int
) -> Calibration:
    """Calibration of class probabilities.

    Parameters
    ----------
    probabilities : [rows, classes], rows sum to one.
    truth : [rows] class.
    index : [rows] number of the group of each row, from 0.
    counts : [resamples, groups] how often each group is drawn.
    seed : of the changes of sign.
    """
    happened = np.eye(probabilities.shape[1])[truth]
    top = probabilities.argmax(axis=1)[:, None]
    stated, right = (np.take_along_axis(m, top, 1)[:, 0] for m in (probabilities, happened))
    one = _Binned.of(stated, right, index, counts.shape[1])
    each = [
        _Binned.of(p, y, index, counts.shape[1])
        for p, y in zip(probabilities.T, happened.T, strict=True)
    ]
    loss = np.square(probabilities - happened).sum(axis=1)
    (score,) = mean_scores(loss[None], index, counts, (0.0, 2.0))
    return _calibration(one, each, score, 1.0, counts, seed)


def of_tags(
    probabilities: np.ndarray, truth: np.ndarray, index: np.ndarray, counts: np.ndarray, seed: int
) -> Calibration:
    """Calibration of the probabilities of tags, [rows, tags].

    The Brier score and its parts are means over tags.

    Parameters
    ----------
    truth : [rows, tags] of 0, 1 and NaN for unknown. Others as for `of_classes`.
    """
    known = np.isfinite(truth)
    groups = counts.shape[1]
    where = np.broadcast_to(index[:, None], truth.shape)
    one = _Binned.of(probabilities[known], truth[known], where[known], groups)
    each = [
        _Binned.of(p[here], y[here], index[here], groups)
        for p, y, here in zip(probabilities.T, truth.T, known.T, strict=True)
        if here.any()
    ]
    sums = np.zeros((groups, 2 * len(each)))
    for tag, binned in enumerate(each):
        sums[:, tag], sums[:, len(each) + tag] = binned.loss, binned.rows.sum(axis=1)
    score = sure(Sums(sums, _mean_over_tags), counts, (0.0, 1.0))
    return _calibration(one, each, score, 1.0 / len(each), counts, seed)


def of_numbers(
    answers: np.ndarray,
    spread: float,
    truth: np.ndarray,
    index: np.ndarray,
    counts: np.ndarray,
    levels: Sequence[float] = LEVELS,
) -> Coverage:
    """Coverage of the intervals of a regression, answers [rows] +- z * spread.

    Parameters
    ----------
    spread : root mean squared error on validation. Others as for `of_classes`.
    """
    off = np.abs(truth - answers)
    inside = np.stack([off <= norm.ppf(0.5 + level / 2) * spread for level in levels])
    covered = mean_scores(inside.astype(float), index, counts, (0.0, 1.0))
    return Coverage(tuple(levels), covered, float(spread))


@dataclass(frozen=True)
class _Binned:
    """Sums over the rows of each group in each bin, [groups, bins], and over those of a group.

    Attributes
    ----------
    rows, stated, happened : number, sum of probabilities, sum of outcomes.
    loss : [groups] sum of squared differences.
    """

    rows: np.ndarray
    stated: np.ndarray
    happened: np.ndarray
    loss: np.ndarray

    @classmethod
    def of(
        cls, stated: np.ndarray, happened: np.ndarray, index: np.ndarray, groups: int
    ) -> _Binned:
        """Of probabilities and outcomes [rows]; equal probabilities share a bin."""
        bins = int(np.clip(len(stated) // BIN_ROWS, 1, BINS))
        edges = np.quantile(stated, np.arange(1, bins) / bins)
        place = np.unique(np.searchsorted(edges, stated), return_inverse=True)[1]
        width = int(place.max()) + 1
        cell = index * width + place

        def sums(what: np.ndarray | None) -> np.ndarray:
            return np.bincount(cell, what, groups * width).reshape(groups, width).astype(float)

        loss = np.bincount(index, np.square(stated - happened), groups)
        return cls(sums(None), sums(stated), sums(happened), loss)

    def error(self) -> float:
        return float(np.abs((self.happened - self.stated).sum(axis=0)).sum() / self.rows.sum())

    def flipped(self, signs: np.ndarray) -> np.ndarray:
        """[flips] error with these signs of each group's differences, [flips, groups]."""
        return np.abs(signs @ (self.happened - self.stated)).sum(axis=1) / self.rows.sum()

    def parts(self) -> np.ndarray:
        """Reliability, resolution, uncertainty and what is left of the Brier score."""
        rows = self.rows.sum(axis=0)
        share = rows / rows.sum()
        stated, observed = self.stated.sum(axis=0) / rows, self.happened.sum(axis=0) / rows
        mean = self.happened.sum() / rows.sum()
        reliability = share @ (stated - observed) ** 2
        resolution = share @ (observed - mean) ** 2
        whole = mean * (1 - mean)
        left = self.loss.sum() / rows.sum() - (reliability - resolution + whole)
        noise = share @ _variance(self.happened, self.rows)
        drift = float(_variance(self.happened.sum(1, keepdims=True), self.rows.sum(1)[:, None])[0])
        return np.array([reliability - noise, resolution - noise + drift, whole + drift, left])


def _variance(happened: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """[bins] variance of a mean over rows that differ by groups, from sums [groups, bins].

    With one row a group p (1 - p) / (rows - 1), the variance of a share. 0 where a bin has rows of
    one group only.
    """
    total, some = rows.sum(axis=0), (rows > 0).sum(axis=0)
    off = happened - rows * (happened.sum(axis=0) / total)
    scale = np.where(some > 1, some / np.maximum(some - 1, 1), 0.0)
    return scale * np.square(off).sum(axis=0) / total**2


def _calibration(
    one: _Binned,
    each: Sequence[_Binned],
    score: Score,
    weight: float,
    counts: np.ndarray,
    seed: int,
) -> Calibration:
    signs = np.random.default_rng((seed, FLIPS)).choice((-1.0, 1.0), size=(FLIPS, counts.shape[1]))
    diagram = []
    for at in range(one.rows.shape[1]):
        sums = Sums(np.stack([one.happened[:, at], one.rows[:, at]], axis=1), _share)
        rows = int(one.rows[:, at].sum())
        diagram.append(
            Bin(float(one.stated[:, at].sum()) / rows, sure(sums, counts, (0.0, 1.0)), rows)
        )
    value, flipped = one.error(), one.flipped(signs)
    p = (1 + (flipped >= value - 1e-12).sum()) / (1 + FLIPS)
    several = (np.mean([b.error() for b in each]), np.mean([b.flipped(signs) for b in each]))
    parts = weight * np.sum([b.parts() for b in each], axis=0)
    return Calibration(
        tuple(diagram),
        Error(value, float(flipped.mean()), float(p)),
        Error(*map(float, several), np.nan),
        Brier(score, *map(float, parts)),
    )


def _share(sums: np.ndarray) -> np.ndarray:
    some = np.where(sums[..., 1] > 0, sums[..., 1], np.nan)
    return sums[..., 0] / some


def _mean_over_tags(sums: np.ndarray) -> np.ndarray:
    above, below = np.split(sums, 2, axis=-1)
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0).mean(axis=-1)
