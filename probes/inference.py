"""How sure a score is: resamples of whole groups, on fixed answers.

Rows of one group are not independent, so groups are drawn, with replacement, as many as there
are. All layers are scored on the same draws: differences between layers are paired.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import norm, t

LEVEL = 0.95
FEW = 10  # groups below which quantiles of resamples say little: there are too few different ones


def draw(groups: int, resamples: int, seed: int) -> np.ndarray:
    """How often each group is drawn in each resample: [resamples, groups] float64."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(groups, np.full(groups, 1.0 / groups), size=resamples).astype(float)


def interval(
    scores: np.ndarray,
    groups: int,
    level: float = LEVEL,
    bounds: tuple[float | None, float | None] = (None, None),
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the expanded percentile interval of resampled scores [..., resamples].

    The plain percentile interval is too narrow for few groups, as a normal quantile and a
    variance divided by n are; the tails are moved out to make up for both (Hesterberg 2015,
    "What Teachers Should Know About the Bootstrap", section 5.3). With fewer than `FEW` groups it
    is mean +- t * standard error instead, with the same widening, cut at the bounds of the score:
    two or three groups that happen to agree are no evidence. NaN with fewer than two groups, or
    where most resamples have no score.
    """
    shape = scores.shape[:-1]
    if groups < 2:
        return np.full(shape, np.nan), np.full(shape, np.nan)
    widen = np.sqrt(groups / (groups - 1)) * t.ppf((1 - level) / 2, groups - 1)
    tail = norm.cdf(widen)
    usable = np.isfinite(scores).mean(axis=-1) > 0.5
    filled = np.where(usable[..., None], scores, 0.0)
    if groups < FEW:
        middle, reach = np.nanmean(filled, axis=-1), -widen * np.nanstd(filled, axis=-1)
        least = -np.inf if bounds[0] is None else bounds[0]
        most = np.inf if bounds[1] is None else bounds[1]
        low, high = (np.clip(end, least, most) for end in (middle - reach, middle + reach))
    else:
        low, high = np.nanquantile(filled, [tail, 1 - tail], axis=-1)
    return np.where(usable, low, np.nan), np.where(usable, high, np.nan)


def wins(scores: np.ndarray) -> np.ndarray:
    """Share of resamples in which each layer scores best: [layers], from [layers, resamples].

    Layers that tie share the resample.
    """
    filled = np.where(np.isfinite(scores), scores, -np.inf)
    best = filled == filled.max(axis=0)
    return (best / best.sum(axis=0)).mean(axis=-1)
