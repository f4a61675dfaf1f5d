"""Sliced mutual information: of one-dimensional projections, in bins of equal frequency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsa.errors import RsaError
from rsa.inference.intervals import linearized
from rsa.measures.base import Measure, Null, Table, constant_note
from rsa.measures.heldout import (
    doubled_variance,
    folds,
    no_chance_note,
    orders,
    upright,
    whiten,
    widened_to_chance,
)
from rsa.rows.joint import FEWEST_DRAWS, Joint
from rsa.threads import spread

# rows at most
ROWS = 4000
MOST_BINS, MOST_SLICES = 32, 1024
# floating-point operations that all permutations together may take; FEWEST_DRAWS all the same
BUDGET = 1.2e12
# of the search for the best directions
FOLDS, COMPONENTS, VARIANCE, CANDIDATES = 3, 20, 0.9, 16


@dataclass(frozen=True, kw_only=True)
class SlicedInformation(Measure):
    """Mean over random directions in both layers of the information of the two projections.

    Directions are drawn among a layer's principal components, so that they do not depend on how
    its columns are turned. Each direction serves x once and y once.

    Attributes
    ----------
    slices : pairs of directions; bins : of each projection.
    """

    slices: int = 64
    bins: int = 8

    def check(self) -> None:
        if not 4 <= self.slices <= MOST_SLICES or self.slices % 2:
            raise RsaError(f"measure {self.name!r}: an even number of slices, 4 to {MOST_SLICES}")
        _check_bins(self)

    def estimate(self, joint: Joint) -> Table:
        whole, joint = joint, joint.thinned(ROWS)
        count, rows, bins = len(joint), joint.rows, self.bins
        shape = (count, count)
        value, low, high = (np.full(shape, np.nan) for _ in range(3))
        notes = constant_note(joint)
        if rows < 4 * bins:
            sentence = f"{rows} rows are too few for {bins} bins: {4 * bins} are needed"
            nothing = np.empty((0, *shape))
            return Table(value, low, high, Null("", nothing), {}, [*notes, (frozenset(), sentence)])
        varied = np.flatnonzero(~joint.constant)
        first, second = self._cut(joint, varied)
        bits = _Bits(rows, bins)
        each = np.array(joint.spread(lambda s: bits.tables(first[s], second[s]), range(len(first))))
        found = each.mean(axis=0)
        ends = self._interval(joint, varied, first, second, found)
        # other directions would give another mean
        reach = np.hypot(ends[1] - found, 2 * each.std(axis=0, ddof=1) / np.sqrt(len(each)))
        ends = found - reach, found + reach
        cost = 2.0 * rows * (len(varied) * bins) ** 2 * len(first)
        orders = joint.permutations[: max(FEWEST_DRAWS, int(BUDGET / max(cost, 1)))]
        step = max(1, int(np.ceil(FEWEST_DRAWS * cost / BUDGET)))

        def draw(order: np.ndarray) -> np.ndarray:
            some = range(0, len(first), step)
            return sum(bits.tables(first[s], second[s][order]) for s in some) / len(some)

        drawn = np.array(joint.spread(draw, orders)).reshape(-1, *found.shape)
        ends = widened_to_chance(found, *ends, drawn)
        draws = np.full((len(orders), *shape), np.nan)
        at = np.ix_(varied, varied)
        wanted = np.where(joint.wanted, 1.0, np.nan)
        value[at], low[at], high[at] = found, *ends
        for matrix, one in zip(draws, drawn, strict=True):
            matrix[at] = one
        value, low, high, draws = (a * wanted for a in (value, low, high, draws))
        notes.append(
            (frozenset(), f"no more than {np.log2(bins):.3g} bits can truly fit into {bins} bins")
        )
        if joint is not whole:
            notes.append((frozenset(), f"on {rows} of {whole.rows} rows"))
        null = Null(f"permutation of groups, {len(draws)} draws", draws)
        return Table(value, low, high, null, {}, notes)

    def _cut(self, joint: Joint, varied: np.ndarray) -> tuple[list, list]:
        """Bins [rows, layers] of each direction for x, and of its partner for y."""
        half = self.slices // 2
        bases = [joint.basis(int(i)) for i in varied]
        most = max((b.scores.shape[1] for b in bases), default=0)
        rng = np.random.default_rng([joint.seed, 7])
        # a row at a time: fewer components see the beginning of the same numbers
        directions = rng.standard_normal((most, 2 * half))

        def project(basis) -> np.ndarray:
            scores = upright(basis.scores) * np.sqrt((basis.loadings**2).sum(axis=1))
            return equal_bins(scores @ directions[: scores.shape[1]], self.bins)

        cut = np.stack(spread(project, bases), axis=2)
        return [cut[:, s] for s in range(half)], [cut[:, half + s] for s in range(half)]

    def _interval(
        self, joint: Joint, varied: np.ndarray, first: list, second: list, found: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cluster-robust ends; the influence of a row is its log ratio of frequencies."""
        bits = _Bits(joint.rows, self.bins)
        a, b = np.array(first), np.array(second)
        influence = np.zeros((joint.grouping.groups, *found.shape))

        def cell(pair: tuple[int, int]) -> None:
            i, j = pair
            row = bits.rows(a[:, :, i], b[:, :, j]) + bits.rows(a[:, :, j], b[:, :, i])
            row = row.mean(axis=0) / 2
            summed = joint.grouping.sum_by_group(row - row.mean())
            influence[:, i, j] = influence[:, j, i] = summed

        spread(cell, [(i, j) for i in range(len(varied)) for j in range(i, len(varied))])
        return linearized(found, influence, joint.rows)


@dataclass(frozen=True, kw_only=True)
class MaxSlicedInformation(Measure):
    """Information of the best pair of directions found on some groups, seen on the others.

    Attributes
    ----------
    bins : of each projection.
    """

    bins: int = 8

    def check(self) -> None:
        _check_bins(self)

    def estimate(self, joint: Joint) -> Table:
        whole, joint = joint, joint.thinned(ROWS)
        count, rows = len(joint), joint.rows
        shape = (count, count)
        value, low, high = (np.full(shape, np.nan) for _ in range(3))
        draws, notes = np.empty((0, *shape)), constant_note(joint)
        masks = folds(joint, FOLDS)
        cells = [(i, j) for i, j in joint.pairs() if i < j and not joint.constant[[i, j]].any()]
        if len(masks) < FOLDS or min(int(test.sum()) for test in masks) < 3 * self.bins:
            sentence = f"{rows} rows are too few for {self.bins} bins in each of {FOLDS} folds"
            return Table(value, low, high, Null("", draws), {}, [*notes, (frozenset(), sentence)])
        if cells:
            terms, drawn = self._search(joint, cells, masks)
            sizes, terms = joint.grouping.sizes, joint.grouping.sum_by_group(terms)
            mean = terms.sum(axis=0) / rows
            ends = linearized(mean, terms - sizes[:, None] * mean, rows)
            ends = widened_to_chance(mean, *ends, drawn)
            draws = np.full((len(drawn), *shape), np.nan)
            i, j = np.array(cells).T
            for matrix, line in zip((value, low, high, *draws), (mean, *ends, *drawn), strict=True):
                matrix[i, j] = matrix[j, i] = line
            notes += no_chance_note(joint, FOLDS, len(draws))
        notes.append((frozenset(), "a layer with itself always fills the bins: not shown"))
        notes.append(
            (frozenset(), f"no more than {np.log2(self.bins):.3g} bits can truly fit the bins")
        )
        if joint is not whole:
            notes.append((frozenset(), f"on {rows} of {whole.rows} rows"))
        null = Null(f"held-out groups rearranged along fixed directions, {len(draws)} draws", draws)
        return Table(value, low, high, null, {}, notes)

    def _search(
        self, joint: Joint, cells: list[tuple[int, int]], masks: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Bits of each row, [rows, pairs], and values under permutations, [draws, pairs]."""
        count, rows = len(joint), joint.rows
        width = min(COMPONENTS, min(int((~test).sum()) for test in masks) // 4)
        scores, kept = np.zeros((rows, count, width)), np.zeros(count, dtype=int)
        for i in np.flatnonzero(~joint.constant):
            basis = joint.basis(int(i))
            kept[i] = min(width, basis.count(VARIANCE))
            scores[:, i, : kept[i]] = upright(basis.scores[:, : kept[i]]) * np.sqrt(rows)
        rng = np.random.default_rng([joint.seed, 8])
        random = rng.standard_normal((2, width, CANDIDATES // 2))
        shuffles = orders(joint, masks)
        terms, drawn = np.zeros((rows, len(cells))), np.zeros((len(shuffles[0]), len(cells)))
        for test, moved in zip(masks, shuffles, strict=True):
            white, train = whiten(scores, ~test, kept), ~test
            fitted, held = _Bits(int(train.sum()), self.bins), _Bits(int(test.sum()), self.bins)

            def cell(place: int, white=white, train=train, test=test, fitted=fitted, held=held,
                     moved=moved) -> None:  # fmt: skip
                x, y = (white[:, i] for i in cells[place])
                left, _, right = np.linalg.svd(x[train].T @ y[train])
                # each random direction serves both layers: exchanging them changes nothing
                # the sign of the canonical pair is the solver's: the bins must not hang on it
                skew = ((x[train] @ left[:, 0]) ** 3 + (y[train] @ right[0]) ** 3).sum()
                sign = -1.0 if skew < 0 else 1.0
                toward_x = np.hstack([sign * left[:, :1], random[0], random[1]])
                toward_y = np.hstack([sign * right[:1].T, random[1], random[0]])
                u, v = x @ toward_x, y @ toward_y
                seen = (equal_bins(z[train], self.bins).T for z in (u, v))
                best = int(np.argmax(fitted.of(*seen)))
                a, b = (equal_bins(z[test][:, [best]], self.bins)[:, 0] for z in (u, v))
                terms[test, place] = held.rows(a[None], b[None])[0]
                drawn[:, place] += test.sum() * held.of(a[None], b[moved])

            spread(cell, range(len(cells)))
        return terms, doubled_variance(drawn / rows)


def _check_bins(measure: SlicedInformation | MaxSlicedInformation) -> None:
    if not 2 <= measure.bins <= MOST_BINS:
        raise RsaError(f"measure {measure.name!r}: 2 to {MOST_BINS} bins are possible")


def equal_bins(values: np.ndarray, bins: int) -> np.ndarray:
    """[rows, columns] int16: bin of each value, the same number of rows in each bin.

    Equal values share the bin of their middle rank.
    """
    rows = len(values)
    order = np.argsort(values, axis=0, kind="stable")
    ranked = np.take_along_axis(values, order, axis=0)
    place = np.broadcast_to(np.arange(rows, dtype=float)[:, None], values.shape).copy()
    tied = (ranked[1:] == ranked[:-1]).any(axis=0)
    for column in np.flatnonzero(tied):
        _, which, size = np.unique(ranked[:, column], return_inverse=True, return_counts=True)
        place[:, column] = (np.cumsum(size) - (size + 1) / 2)[which]
    out = np.empty(values.shape, dtype=np.int16)
    np.put_along_axis(out, order, ((place + 0.5) * bins / rows).astype(np.int16), axis=0)
    return out


class _Bits:
    """Binned information of a fixed number of rows, corrected for its bias.

    The plug-in estimate less (K_xy - K_x - K_y + 1) / 2n nats, K the cells that are not empty
    (Miller 1955; Madow's correction of each entropy).
    """

    def __init__(self, rows: int, bins: int):
        self.n, self.bins = rows, bins
        counts = np.arange(rows + 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            self.log = np.where(counts > 0, np.log2(counts / rows), 0.0)
        # entropy of a table is minus the sum of these over its cells, with a cell's share of K
        self.term = counts / rows * self.log - (counts > 0) / (2 * rows * np.log(2))

    def tables(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """[layers, layers] bits, x and y exchanged and averaged, from bins [rows, layers]."""
        layers = x.shape[1]
        hot_x, hot_y = self._hot(x), self._hot(y)
        joint = np.rint(hot_x.T @ hot_y).astype(np.int32)
        joint = self.term[joint].reshape(layers, self.bins, layers, self.bins).sum(axis=(1, 3))
        own_x, own_y = (
            self.term[h.sum(axis=0, dtype=np.int32)].reshape(layers, self.bins).sum(axis=1)
            for h in (hot_x, hot_y)
        )
        bits = joint - own_x[:, None] - own_y[None, :] - 1 / (2 * self.n * np.log(2))
        return (bits + bits.T) / 2

    def _hot(self, cut: np.ndarray) -> np.ndarray:
        return (cut[:, :, None] == np.arange(self.bins, dtype=np.int16)).reshape(
            len(cut), -1
        ).astype(np.float32)  # fmt: skip

    def of(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """[slices] bits from bins [slices, rows]; x may have a single slice."""
        joint, own_x, own_y = self._counts(x, y)
        parts = (self.term[c].sum(axis=1) for c in (joint, own_x, own_y))
        both, alone_x, alone_y = parts
        return both - alone_x - alone_y - 1 / (2 * self.n * np.log(2))

    def rows(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """[slices, rows] what each row adds; the means over rows are those of `of`."""
        joint, own_x, own_y = self._counts(x, y)
        at = np.arange(len(y))[:, None]
        x, y = x.astype(int), y.astype(int)
        row = (
            self.log[joint][at, x * self.bins + y] - self.log[own_x][at, x] - self.log[own_y][at, y]
        )
        filled = [(c > 0).sum(axis=1) for c in (joint, own_x, own_y)]
        bias = (filled[0] - filled[1] - filled[2] + 1) / (2 * self.n * np.log(2))
        return row - bias[:, None]

    def _counts(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        slices = len(y)
        at = np.arange(slices)[:, None]
        cell = (at * self.bins + x.astype(int)) * self.bins + y
        joint = np.bincount(cell.ravel(), minlength=slices * self.bins**2)
        joint = joint.reshape(slices, self.bins, self.bins)
        return joint.reshape(slices, self.bins**2), joint.sum(axis=2), joint.sum(axis=1)


_INVARIANT = frozenset({"translation", "isotropic scaling", "permutation", "orthogonal"})

SLICED = SlicedInformation(
    stem="mi:sliced,slices={slices},bins={bins}",
    heading="Sliced information",
    family="information",
    formula="mean over pairs of random unit directions of the information of both projections, in "
    "bins of equal frequency, less (K_xy - K_x - K_y + 1) / 2n nats, K bins that are not empty",
    source="Goldfeld and Greenewald 2021, arXiv:2110.05279; Miller 1955",
    says="Bits that single random directions share on average: above chance only if the layers "
    "are dependent.",
    beware="Much smaller than the information of whole layers and falling with their dimension: "
    "compare only layers of equal width, and never with another estimator. Too high where rows "
    "do not fill the cells of two projections, about ten a cell; p holds all the same.",
    range=(None, None),
    invariances=_INVARIANT,
    minimum_rows=32,
    unit="bits",
)

MAX_SLICED = MaxSlicedInformation(
    stem="mi:max-sliced,bins={bins},held-out",
    heading="Max-sliced information",
    family="information",
    formula="information in bins of equal frequency, corrected as mi:sliced, of the pair of "
    "directions that tells most on training groups (leading canonical pair of the components with "
    "90 % of the variance, at most 20, or one of 16 random pairs), on held-out groups",
    source="Tsur et al. 2023, arXiv:2309.16200",
    says="Bits that the best single direction found in each layer share on unseen tracks: a low "
    "value means that no one feature is common to both.",
    beware="One direction of many, searched among a few; in truth never more than log2 of the "
    "bins. Too high where rows do not fill the cells, about ten a cell: 0.2 bits for unrelated "
    "layers on 240 rows; p holds all the same.",
    range=(None, None),
    invariances=_INVARIANT,
    minimum_rows=72,
    unit="bits",
)

MEASURES = (SLICED, MAX_SLICED)
