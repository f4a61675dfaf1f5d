"""How few dimensions carry a task: scores against the number of principal components kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from probes.record import Record
from probes.scored import Score, Scored
from probes.trust.comparisons import standard_error
from probes.trust.intervals import Bounds, around


@dataclass(frozen=True)
class Dimensions(Record):
    """Scores of probes that see the first principal components of the training rows only.

    The penalty is that of all components.

    Attributes
    ----------
    components : how many are kept, rising; the last are all.
    variance : share of the variance of the standardised layer that they hold.
    scores : split, validation included -> score for each number.
    enough : split -> the fewest components whose score is within one standard error, over
        groups, of the score of all; None where the error does not exist.
    """

    components: tuple[int, ...]
    variance: tuple[float, ...]
    scores: Mapping[str, tuple[Score, ...]]
    enough: Mapping[str, int | None]


def kept(rank: int) -> tuple[int, ...]:
    """1, 2, 4 ... and all."""
    return (*(1 << i for i in range((rank - 1).bit_length())), rank)


def dimensions(
    components: Sequence[int],
    eigenvalues: np.ndarray,
    scored: Mapping[str, Sequence[Scored]],
    counts: Mapping[str, np.ndarray],
    bounds: Bounds,
) -> Dimensions:
    """The curve over components.

    Parameters
    ----------
    eigenvalues : [rank] of the design, falling.
    scored : split -> score for each number of components.
    counts : split -> [resamples, groups] how often each is drawn.
    bounds : of the score.
    """
    scores, enough = {}, {}
    for split, found in scored.items():
        values = np.array([one.value for one in found])
        drawn = np.stack([one.resampled(counts[split]) for one in found])
        groups = counts[split].shape[1]
        scores[split] = tuple(
            around(*one, groups, bounds) for one in zip(values, drawn, strict=True)
        )
        error = standard_error(drawn[-1], groups)
        near = values >= values[-1] - error
        enough[split] = int(components[int(near.argmax())]) if near.any() else None
    share = np.cumsum(eigenvalues) / np.sum(eigenvalues)
    return Dimensions(
        tuple(components), tuple(float(share[k - 1]) for k in components), scores, enough
    )
