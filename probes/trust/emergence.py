"""Where in depth a clip becomes decodable, stays so, and is lost again.

By the pointwise V-information of Ethayarajh et al. 2022 (arXiv:2110.08420): a clip is decodable at
a layer where the probe gives the truth a higher probability than its frequency in training does
(more than 0 bits).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probes.record import Record
from probes.scored import Score
from probes.trust.comparisons import one_error
from probes.trust.intervals import around, mean_scores, means


@dataclass(frozen=True)
class Paths:
    """What becomes of each clip on its way through the layers; places of layers, -1 for none.

    Of the three, a clip has just one: it stays, it is lost, or it is never decodable.

    Attributes
    ----------
    stays : [rows] first layer from which the clip is decodable at every layer up to the last.
    lost : [rows] first layer from which the clip is decodable no more, though it was before.
    first : [rows] first layer at which the clip is decodable at all.
    """

    stays: np.ndarray
    lost: np.ndarray
    first: np.ndarray


@dataclass(frozen=True)
class Emergence(Record):
    """Emergence of a task over layers, on one split.

    Attributes
    ----------
    decodable : by layer, share of clips with more than 0 bits.
    right : by layer, share of clips that are answered right; empty where that has no meaning.
    stays : by layer, share of clips that are decodable from it on and not at the one before.
    lost : by layer, share of clips that are decodable at the one before and never again.
    never : share of clips that are decodable at no layer. With `stays` and `lost` sums to one.
    expected : the layer at which information is found, on average over bits; see `expected_layer`.
    one_error : the first layer whose bits are within one standard error of the most.
    """

    layers: tuple[str, ...]
    decodable: tuple[Score, ...]
    right: tuple[Score, ...]
    stays: tuple[Score, ...]
    lost: tuple[Score, ...]
    never: Score
    expected: Score
    one_error: str


def paths(bits: np.ndarray) -> Paths:
    """Of clips with these bits, [layers, rows]."""
    depth = len(bits)
    decodable = bits > 0
    ever = decodable.any(axis=0)
    first = np.where(ever, decodable.argmax(axis=0), -1)
    after_last = depth - decodable[::-1].argmax(axis=0)  # of those that are decodable somewhere
    tail = np.logical_and.accumulate(decodable[::-1], axis=0).sum(axis=0)
    stays = np.where(tail > 0, depth - tail, -1)
    lost = np.where(ever & (tail == 0), after_last, -1)
    return Paths(stays, lost, first)


def expected_layer(curve: np.ndarray, start: float | np.ndarray = 0.0) -> np.ndarray:
    """Mean place of a layer, each weighted with what it adds to the best of those before it.

    Tenney et al. 2019 (arXiv:1905.05950), equation 4, sum of l * gain(l) / sum of gain(l), with the
    best layer so far where they train a probe on a mix of all layers so far: as there, what is
    found once counts as found, and gains are never negative.

    Parameters
    ----------
    curve : [layers, ...] scores in order of depth.
    start : score without any layer: chance, 0 bits.

    Returns
    -------
    [...]; NaN where no layer is above `start`.
    """
    filled = np.where(np.isfinite(curve), curve, -np.inf)
    best = np.maximum(np.maximum.accumulate(filled, axis=0), start)
    gain = np.diff(best, axis=0, prepend=np.broadcast_to(start, best[:1].shape))
    total = gain.sum(axis=0)
    place = np.tensordot(np.arange(len(curve), dtype=float), gain, axes=1)
    return np.divide(place, total, out=np.full(np.shape(total), np.nan), where=total > 0)


def emergence(
    layers: Sequence[str],
    bits: np.ndarray,
    index: np.ndarray,
    counts: np.ndarray,
    right: np.ndarray | None = None,
) -> Emergence:
    """Emergence of a task on one split.

    Parameters
    ----------
    layers : names in order of depth.
    bits : [layers, rows] pointwise information, see `probes.information.pointwise`.
    index : [rows] number of the group of each row.
    counts : [resamples, groups] how often each group is drawn.
    right : [layers, rows] whether the answer is right.
    """
    found = paths(bits)
    place = np.arange(len(layers))[:, None]

    def shares(what: np.ndarray) -> tuple[Score, ...]:
        return mean_scores(what.astype(float), index, counts, (0.0, 1.0))

    (never,) = shares(found.first[None] < 0)
    curve, drawn = means(bits, index, counts)
    groups = counts.shape[1]
    last = float(len(layers) - 1)
    expected = around(expected_layer(curve), expected_layer(drawn), groups, (0.0, last))
    return Emergence(
        tuple(layers),
        shares(bits > 0),
        () if right is None else shares(right),
        shares(found.stays == place),
        shares(found.lost == place),
        never,
        expected,
        layers[one_error(curve, drawn, groups)],
    )
