"""Scores with their intervals over groups, from the same draws of groups for all of them."""

from __future__ import annotations

import numpy as np

from probes import inference
from probes.scored import Score, Scored, group_sums

Bounds = tuple[float | None, float | None]


def sure(one: Scored, counts: np.ndarray, bounds: Bounds = (None, None)) -> Score:
    """A score and its interval, from how often each group is drawn, [resamples, groups]."""
    return around(one.value, one.resampled(counts), one.groups, bounds)


def around(
    value: float, resampled: np.ndarray, groups: int, bounds: Bounds = (None, None)
) -> Score:
    """A score and its interval, from scores of resamples [resamples]."""
    low, high = inference.interval(resampled, groups, bounds=bounds)
    return Score(float(value), float(low), float(high))


def means(
    values: np.ndarray, index: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Means over rows, and those of resamples of groups.

    Parameters
    ----------
    values : [..., rows].
    index : [rows] number of the group of each row, from 0.
    counts : [resamples, groups].

    Returns
    -------
    [...] and [..., resamples].
    """
    sums = group_sums(np.stack([values, np.ones_like(values)], axis=-1), index)
    drawn = counts @ sums
    return values.mean(axis=-1), drawn[..., 0] / drawn[..., 1]


def mean_scores(
    values: np.ndarray, index: np.ndarray, counts: np.ndarray, bounds: Bounds = (None, None)
) -> tuple[Score, ...]:
    """Mean of each of [several, rows] with its interval; see `means`."""
    found, drawn = means(values, index, counts)
    return tuple(around(*one, counts.shape[1], bounds) for one in zip(found, drawn, strict=True))
