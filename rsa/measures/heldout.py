"""Fitting on some groups and scoring on the others, each group being held out once."""

from __future__ import annotations

import numpy as np
from scipy import stats

from rsa.inference.intervals import CONFIDENCE
from rsa.rows.grouping import Grouping
from rsa.rows.joint import Joint


def folds(joint: Joint, count: int) -> list[np.ndarray]:
    """Held-out rows of each fold, [rows] bool; a group is in one fold only."""
    dealt = Grouping.deal(joint.grouping.group_of_row, count, joint.seed)
    masks = []
    for start, stop in zip(dealt.edges[:-1], dealt.edges[1:], strict=True):
        test = np.zeros(joint.rows, dtype=bool)
        test[dealt.order[start:stop]] = True
        masks.append(test)
    return masks


def orders(joint: Joint, held: list[np.ndarray]) -> list[np.ndarray]:
    """[draws, held-out rows] rearrangements of each fold's rows by whole groups.

    Places are those among the held-out rows; the same for every layer. No draws at all where some
    fold has one group, which cannot be rearranged.
    """
    found = [_within(joint, test) for test in held]
    return found if all(map(len, found)) else [one[:0] for one in found]


def no_chance_note(joint: Joint, folds: int, draws: int) -> list[tuple[frozenset[int], str]]:
    """The note on so many folds that could not be rearranged."""
    if joint.draws == 0 or draws:
        return []
    text = f"{joint.grouping.groups} groups are too few for {folds} folds of two groups: no "
    return [(frozenset(), text + "level of chance, score or p")]


def _within(joint: Joint, test: np.ndarray) -> np.ndarray:
    """[draws, held-out rows] of one fold; none where it has one group."""
    inside = Grouping.deal(joint.grouping.group_of_row[test], 1, joint.seed)
    if inside.groups < 2:
        return np.empty((0, int(test.sum())), dtype=int)
    rng = np.random.default_rng([joint.seed, 4, int(np.flatnonzero(test)[0])])
    back = np.argsort(inside.order)
    found = [inside.order[inside.permutation(rng)][back] for _ in range(joint.draws)]
    return np.array(found, dtype=int).reshape(joint.draws, int(test.sum()))


def widened_to_chance(
    value: np.ndarray, low: np.ndarray, high: np.ndarray, draws: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """An interval at least as wide as the spread of chance.

    The influence of a row that is held out leaves aside what the row does to the fits of the other
    folds. Where layers share little that is as much again; the draws contain it.

    Parameters
    ----------
    draws : [draws, ...] of the same statistic under independence.
    """
    if len(draws) < 10:
        return low, high
    reach = stats.t.ppf(0.5 + CONFIDENCE / 2, len(draws) - 1) * draws.std(axis=0, ddof=1)
    return np.fmin(low, value - reach), np.fmax(high, value + reach)


def doubled_variance(draws: np.ndarray) -> np.ndarray:
    """Draws [draws, ...] under fits held fixed, spread out as if the fits had been drawn too.

    To first order the statistic is a sum over pairs of folds, one that fits and one that is held
    out. With the fits fixed each unordered pair counts as two independent terms, while it is twice
    the same one: the variance is double.
    """
    if len(draws) == 0:
        return draws
    middle = draws.mean(axis=0)
    return middle + np.sqrt(2.0) * (draws - middle)


def upright(scores: np.ndarray) -> np.ndarray:
    """Columns with signs such that their skewness is positive, whatever the solver gave."""
    return scores * np.where((scores**3).sum(axis=0) < 0, -1.0, 1.0)


def whiten(scores: np.ndarray, train: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """[rows, layers, components], white over the rows fitted on; columns not kept are zero."""
    out = np.zeros_like(scores)
    for i, k in enumerate(kept):
        if k == 0:
            continue
        part = scores[:, i, :k] - scores[train, i, :k].mean(axis=0)
        power, vectors = np.linalg.eigh(part[train].T @ part[train] / train.sum())
        useful = power > power[-1] * k * np.finfo(float).eps
        out[:, i, : useful.sum()] = part @ vectors[:, useful] / np.sqrt(power[useful])
    return out
