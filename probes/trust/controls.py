"""What a probe scores that has nothing to go by: control tasks and shuffled labels.

A control task (Hewitt and Liang 2019, arXiv:1909.03368) gives each type, here a cell of clips that
sound alike, a label by lot. Types come back in the test rows, so a probe that is able to learn
anything by heart scores well on it; a probe that scores better on the task than on its control
relies on what the layer makes easy. Labels shuffled between groups cannot be learnt at all: what is
scored then is chance, as this probe, this metric and these groups have it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t
from threadpoolctl import threadpool_limits

from probes.errors import ProbeError
from probes.record import Record
from probes.scored import Score, Scored
from probes.splits import TRAIN
from probes.targets import Target
from probes.trust.intervals import Bounds, around

ROWS_A_CELL = 10  # training rows, on average
MOST_CELLS = 256


@dataclass(frozen=True)
class Control(Record):
    """The control task of a layer.

    Intervals are over groups and over draws of labels at once.

    Attributes
    ----------
    cells, draws : types, and times that labels were drawn for them.
    score : test split -> score on the control task, mean over draws.
    selectivity : test split -> score on the task minus score on the control task.
    """

    cells: int
    draws: int
    score: Mapping[str, Score]
    selectivity: Mapping[str, Score]


@dataclass(frozen=True)
class Shuffled(Record):
    """The task with training labels shuffled between groups.

    Attributes
    ----------
    chance : test split -> score, mean over draws.
    level : test split -> what one more draw would exceed in 5 % of the cases, if such scores are
        normally distributed.
    p : test split -> share of draws, the true labels among them, that score as well as these.
    """

    draws: int
    chance: Mapping[str, float]
    level: Mapping[str, float]
    p: Mapping[str, float]


def cells(
    types_from: np.ndarray, train: np.ndarray, seed: int = 0, number: int | None = None
) -> np.ndarray:
    """[all rows] the type of each row: the nearest of several means of training rows (k-means).

    Parameters
    ----------
    types_from : [all rows, width] what clips are alike by, such as log-mel spectra.
    train : training rows. Their columns are standardised.
    number : of cells; as many as leave `ROWS_A_CELL` rows each, `MOST_CELLS` at most, unless given.
    """
    from sklearn.cluster import KMeans
    from sklearn.preprocessing import StandardScaler

    values = np.asarray(types_from, dtype=float)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise ProbeError(
            f"types of the control task need a finite matrix, not one of shape {values.shape}: "
            "give the rows of a reference such as log-mel"
        )
    if number is None:
        number = int(np.clip(len(train) // ROWS_A_CELL, 2, MOST_CELLS))
    scaler = StandardScaler().fit(values[train])
    known = scaler.transform(values[train])
    number = min(number, len(np.unique(known, axis=0)))
    with threadpool_limits(1):  # sums in another order may move a row to another cell
        found = KMeans(number, n_init=1, random_state=seed).fit(known)
        return found.predict(scaler.transform(values))


def control(target: Target, types: np.ndarray, rng: np.random.Generator) -> Target:
    """The task with a label for each type, drawn as labels are distributed over training rows.

    Parameters
    ----------
    types : [all rows] from 0.
    """
    train, number = target.of(TRAIN), int(types.max()) + 1
    for _ in range(100):
        lots = train[rng.integers(len(train), size=number)]
        if target.task.kind == "tags":
            # an unknown tag is drawn alone, of the rows in which it is known
            for tag, column in enumerate(train.T):
                unknown = np.isnan(lots[:, tag])
                lots[unknown, tag] = rng.choice(column[np.isfinite(column)], unknown.sum())
        values = lots[types]
        given = values[target.index[TRAIN]]
        if (given != given[0]).any():
            return dataclasses.replace(target, values=values)
    raise ProbeError(
        f"task {target.task.name}: one label for all {number} types of the control task: "
        "use more cells"
    )


def shuffled(target: Target, rng: np.random.Generator) -> Target:
    """The task with the labels of each training group taken from another training group.

    A group that gives fewer rows than are needed gives them several times over, in their order and
    beginning anywhere; one that gives more, some of them.
    """
    index, rows = target.group_index(TRAIN), target.index[TRAIN]
    sizes = np.bincount(index)
    members = np.split(np.argsort(index, kind="stable"), np.cumsum(sizes)[:-1])
    values = target.values.copy()
    for own, giver in zip(members, rng.permutation(len(members)), strict=True):
        given = members[giver]
        taken = given[(rng.integers(len(given)) + np.arange(len(own))) % len(given)]
        values[rows[own]] = target.values[rows[taken]]
    if target.task.kind == "tags":
        # a tag that is known of few rows may have lost them all
        for tag in np.flatnonzero(np.isnan(values[rows]).all(axis=0)):
            values[rows, tag] = target.values[rng.permutation(rows), tag]
    return dataclasses.replace(target, values=values)


def selectivity(
    cells: int,
    task: Mapping[str, Scored],
    drawn: Sequence[Mapping[str, Scored]],
    counts: Mapping[str, np.ndarray],
    bounds: Bounds,
    seed: int = 0,
) -> Control:
    """Holds the score on the task against those on its control tasks.

    Parameters
    ----------
    task : test split -> score on the task.
    drawn : for each draw of labels, test split -> score on the control task.
    counts : test split -> [resamples, groups] how often each group is drawn.
    bounds : of the score.
    seed : of which draws are in a resample.
    """
    # not the stream that groups are drawn from with the same seed
    rng, number = np.random.default_rng((seed, len(drawn))), len(drawn)
    score, gap = {}, {}
    for split, own in task.items():
        several = np.stack([one[split].resampled(counts[split]) for one in drawn])
        share = rng.multinomial(number, np.full(number, 1 / number), several.shape[1]).T / number
        mixed = (share * several).sum(axis=0)
        value = float(np.mean([one[split].value for one in drawn]))
        groups = counts[split].shape[1]
        score[split] = around(value, mixed, groups, bounds)
        reach = None if None in bounds else bounds[1] - bounds[0]
        ends = (None, None) if reach is None else (-reach, reach)
        gap[split] = around(own.value - value, own.resampled(counts[split]) - mixed, groups, ends)
    return Control(cells, number, score, gap)


def chance(
    task: Mapping[str, Scored], drawn: Sequence[Mapping[str, Scored]], bounds: Bounds
) -> Shuffled:
    """Holds the score on the task, by test split, against those with shuffled labels."""
    mean, level, p = {}, {}, {}
    for split, own in task.items():
        some = np.array([one[split].value for one in drawn])
        some, number = some[np.isfinite(some)], int(np.isfinite(some).sum())
        if not number or not np.isfinite(own.value):
            mean[split] = level[split] = p[split] = float("nan")
            continue
        mean[split] = float(some.mean())
        reach = t.ppf(0.95, number - 1) * some.std(ddof=1) if number > 1 else np.nan
        most = np.inf if bounds[1] is None else bounds[1]
        level[split] = float(np.minimum(mean[split] + reach * np.sqrt(1 + 1 / number), most))
        p[split] = float((1 + (some >= own.value - 1e-12).sum()) / (1 + number))
    return Shuffled(len(drawn), mean, level, p)
