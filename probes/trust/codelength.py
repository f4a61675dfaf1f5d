"""How short the labels become: the online code of Voita and Titov 2020 (arXiv:2003.12298).

Sender and receiver share the layer. Labels of a first block are sent blind; those of each block
after it by the probabilities of the probe that is trained on all blocks before. A layer that makes
labels easy makes the code short, and needs few rows for it: unlike a score, the length tells
layers apart from which the same is learnt sooner or later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probes.record import Record
from probes.scored import Score
from probes.splits import TRAIN
from probes.targets import Target
from probes.trust.intervals import around
from probes.trust.nesting import Nesting

STRENGTH = 2.0  # groups that the variance known before is worth


@dataclass(frozen=True)
class Codelength(Record):
    """Length of the code of all training labels, in bits a row (of tags: summed over tags).

    Intervals are over groups, on the fixed probes, as all others: the code is a sum over rows, so
    groups can be drawn again without another fit, and on the same draws for every layer. A
    jackknife would need a fit for each group left out. What another order of the groups would
    change is common to all layers, which are coded in the same orders.

    Attributes
    ----------
    rows : of the nested training sets, of the first order.
    blocks : bits a row of each block, in the first order; the first is sent blind.
    bits : of the code.
    uniform : of the code that knows nothing. Numbers, which have none: the normal distribution
        with the mean and variance of all training rows; they are in units of their deviation.
    prior : of the code that learns frequencies (mean and variance) and ignores the layer.
    compression : uniform / bits; NaN for numbers, whose bits have no zero.
    saved : prior - bits.
    orders : of the groups, averaged over.
    """

    rows: tuple[int, ...]
    blocks: tuple[float, ...]
    bits: Score
    uniform: float
    prior: float
    compression: Score
    saved: Score
    orders: int


def codelength(
    target: Target,
    nestings: Sequence[Nesting],
    outputs: Sequence[Sequence[np.ndarray]],
    index: np.ndarray,
    counts: np.ndarray,
) -> Codelength:
    """The online code of the training labels.

    Parameters
    ----------
    nestings : orders of the groups.
    outputs : for each order, what the probe of each set but the last says of the next block, as
        in `Answers.outputs`, without the choices.
    index : [train] number of the group, or of several groups as one, of each training row.
    counts : [resamples, training groups] how often each is drawn.
    """
    orders = [_bits(target, *one, index) for one in zip(nestings, outputs, strict=True)]
    blocks = [orders[0][0, nestings[0].block(step)] for step in range(len(nestings[0].sizes))]
    each = np.mean(orders, axis=0)
    groups, n = counts.shape[1], each.shape[1]
    code, prior, uniform, rows = (
        counts @ np.bincount(index, line, groups) for line in (*each, np.ones(n))
    )
    whole = each.sum(axis=1)
    ratio = (whole[2] / whole[0], uniform / code)
    if target.regression:
        ratio = (np.nan, np.full(len(counts), np.nan))
    return Codelength(
        nestings[0].sizes,
        tuple(float(block.mean()) if len(block) else np.nan for block in blocks),
        around(whole[0] / n, code / rows, groups),
        float(whole[2] / n),
        float(whole[1] / n),
        around(*ratio, groups),
        around((whole[1] - whole[0]) / n, (prior - code) / rows, groups),
        len(nestings),
    )


def _bits(
    target: Target, nesting: Nesting, outputs: Sequence[np.ndarray], index: np.ndarray
) -> np.ndarray:
    """[3, train] bits of each row by the code, the prior code and the uniform code."""
    truth = target.of(TRAIN)
    if target.regression:
        mean, spread = truth.mean(), truth.std()
        truth, outputs = (truth - mean) / spread, [(said - mean) / spread for said in outputs]
        blind = normal_bits(truth, 1.0)
    elif target.task.kind == "tags":
        blind = np.isfinite(truth).sum(axis=1).astype(float)
    else:
        blind = np.full(len(truth), np.log2(len(target.classes)))
    found = np.stack([blind, blind, blind])
    error = None
    for step, said in enumerate(outputs):
        before, block = nesting.rows(step), nesting.block(step + 1)
        if not len(block):
            continue
        new, known = truth[block], truth[before]
        if target.regression:
            prior = _variance(known.var(), len(set(index[before])), 1.0)
            spread = prior if error is None else _variance(*error, prior)
            found[0, block] = normal_bits(new - said, spread)
            found[1, block] = normal_bits(new - known.mean(), prior)
            error = np.square(new - said).mean(), len(set(index[block]))
        elif target.task.kind == "tags":
            found[:2, block] = tag_bits(said, new, known)
        else:
            found[:2, block] = class_bits(said, new, known)
    return found


def class_bits(
    log_p: np.ndarray, truth: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Bits of classes [rows] by a probe's log-probabilities [rows, classes], and by frequencies.

    Both are mixed with the uniform distribution as if every class had been seen half a time more
    among the rows `known`. Of frequencies that is the estimator of Krichevsky and Trofimov 1981;
    a class that was not seen yet costs a finite number of bits.
    """
    classes, n = log_p.shape[1], len(known)
    mixed = classes / 2 / (n + classes / 2)
    right = np.take_along_axis(log_p, truth[:, None], axis=1)[:, 0]
    code = -np.logaddexp(np.log1p(-mixed) + right, np.log(mixed / classes)) / np.log(2)
    seen = np.bincount(known, minlength=classes)
    return code, -np.log2((seen + 0.5) / (n + classes / 2))[truth]


def tag_bits(
    log_odds: np.ndarray, truth: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """As `class_bits`, for tags [rows, tags] that are or are not; unknown ones cost nothing."""
    n, have = np.isfinite(known).sum(axis=0), (known == 1).sum(axis=0)
    mixed = 1 / (n + 1)
    right = -np.logaddexp(0.0, np.where(truth == 1, -log_odds, log_odds))
    with np.errstate(divide="ignore"):  # of a tag that was never known nothing is left unmixed
        code = -np.logaddexp(np.log1p(-mixed) + right, np.log(mixed / 2)) / np.log(2)
    share = (have + 0.5) / (n + 1)
    prior = -np.log2(np.where(truth == 1, share, 1 - share))
    unknown = np.isnan(truth)
    return tuple(np.where(unknown, 0.0, bits).sum(axis=1) for bits in (code, prior))


def normal_bits(off: np.ndarray, variance: float) -> np.ndarray:
    """[rows] minus log2 of the normal density of deviations."""
    return 0.5 * (np.log2(2 * np.pi * variance) + off**2 / variance / np.log(2))


def _variance(mean_square: float, groups: int, before: float) -> float:
    """Of rows of so many groups, drawn towards what was known before: groups lean the same way."""
    return (STRENGTH * before + groups * mean_square) / (STRENGTH + groups)
