"""How much of one layer a ridge regression from another layer predicts, on groups held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsa.errors import RsaError
from rsa.measures.base import Measure, Null, Table, constant_note
from rsa.measures.decompositions import cluster_robust
from rsa.measures.folded import Fit, Rotation
from rsa.measures.heldout import doubled_variance, folds, no_chance_note, orders
from rsa.rows.joint import Joint
from rsa.threads import spread

# more rows than this are thinned: every ordered pair of layers is fitted anew in every fold
ROWS = 5_000
# penalties, in units of the largest variance of the predicting layer
PENALTIES = np.geomspace(1e-6, 10, 15)
# leading components of the predicted layer by which the penalty is chosen
CHOICE = 64
FEWEST_FOLDS = 3


@dataclass(frozen=True, kw_only=True)
class Predictivity(Measure):
    """1 - |y - prediction|^2 / |y - mean|^2 over rows, each held out once.

    Attributes
    ----------
    folds : of whole groups. For each, the next one chooses the penalty and the rest fit; then all
        but the fold fit with that penalty.
    """

    folds: int = 5

    def check(self) -> None:
        if self.folds < FEWEST_FOLDS:
            raise RsaError(f"measure {self.name!r}: cv is at least {FEWEST_FOLDS}")

    def estimate(self, joint: Joint) -> Table:
        few = joint.thinned(ROWS)
        notes = constant_note(joint)
        if few is not joint:
            notes.append((frozenset(), f"on {few.rows} of {joint.rows} rows, from all groups"))
        count, groups = len(few), few.grouping.groups
        shape = (count, count)
        value, low, high, penalty = (np.full(shape, np.nan) for _ in range(4))
        if groups < FEWEST_FOLDS:
            notes.append((frozenset(), f"{groups} groups are too few: {FEWEST_FOLDS} are needed"))
            return Table(value, low, high, Null("not computed"), {}, notes)
        held = folds(few, self.folds)
        if len(held) < self.folds:
            notes.append((frozenset(), f"{len(held)} folds: there are no more groups"))
        notes.append((frozenset(), "a layer predicts itself with 1 by definition"))
        cells = [
            (i, j)
            for i, j in np.argwhere(few.wanted)
            if i != j and not few.constant[i] and not few.constant[j]
        ]
        shuffles = orders(few, held)
        notes += no_chance_note(few, len(held), len(shuffles[0]))
        found = few.spread(_Regression(few, Rotation(held), shuffles), cells)
        draws = np.full((len(shuffles[0]), *shape), np.nan)
        for (i, j), (error, total, drawn, chosen) in zip(cells, found, strict=True):
            share = error.sum() / total.sum()
            value[i, j], penalty[i, j] = 1 - share, chosen
            # a row weighs on the fits of the other folds too; by simulation as much as this
            wider = len(held) / (len(held) - 1)
            influence = -wider * (error - share * total) / total.sum() * few.rows
            low[i, j], high[i, j] = cluster_robust(few, value[i, j], influence)
            draws[:, i, j] = 1 - drawn / total.sum()
        for i in np.flatnonzero(~few.constant):
            value[i, i] = low[i, i] = high[i, i] = 1.0
        return Table(value, low, high, self._null(draws, value), {"penalty": penalty}, notes)

    def _null(self, draws: np.ndarray, value: np.ndarray) -> Null:
        itself = np.arange(len(value))
        draws = doubled_variance(draws)
        draws[:, itself, itself] = 0.0
        return Null(
            f"mean 0, that of a fit that knows nothing; spread by permutation of held-out groups, "
            f"{len(draws)} draws",
            draws,
            np.where(np.isnan(value), np.nan, 0.0),
        )


class _Regression:
    """Fits one ordered pair of layers in every fold, from decompositions made once a layer."""

    def __init__(self, joint: Joint, turn: Rotation, shuffles: list[np.ndarray]):
        self.joint, self.turn, self.shuffles = joint, turn, shuffles
        layers = [i for i in range(len(joint)) if not joint.constant[i]]
        self.fits = dict(zip(layers, spread(self._layer, layers), strict=True))

    def _layer(self, layer: int) -> list[Fit]:
        """Fits of a layer by the fold held out: all early ones, then all late ones."""
        folds = range(len(self.turn.held))
        choices = [*map(self.turn.early, folds), *map(self.turn.late, folds)]
        return self.turn.fits(self.joint.layer(layer), choices)

    def __call__(self, cell: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """Squared error and total [groups], errors under shuffles [draws], median penalty."""
        x, y = (self.joint.layer(i) for i in cell)
        of_x, of_y = (self.fits[i] for i in cell)
        turn, count = self.turn, len(self.turn.held)
        cross = turn.cross(x, y)
        error, total = np.zeros(len(x)), np.zeros(len(x))
        drawn = np.zeros(len(self.shuffles[0]))
        chosen = []
        for f, (test, shuffle) in enumerate(zip(turn.held, self.shuffles, strict=True)):
            after = turn.after(f)
            products = turn.products(of_x[f], of_y[f], turn.early(f), cross)
            chosen.append(_penalty(of_x[f], of_y[f], products, x[after], y[after]))
            fit, target = of_x[count + f], of_y[count + f]
            products = turn.products(fit, target, turn.late(f), cross)
            guess = fit.scores(x[test]) @ _slope(fit, products, chosen[-1])
            truth = y[test] - target.mean
            error[test] = ((truth - guess) ** 2).sum(axis=1)
            total[test] = (truth**2).sum(axis=1)
            if len(shuffle):
                both = guess @ truth.T
                drawn += (guess**2).sum() + total[test][shuffle].sum(axis=1)
                drawn -= 2 * both[np.arange(len(truth)), shuffle].sum(axis=1)
        by_group = self.joint.grouping.sum_by_group
        return by_group(error), by_group(total), drawn, float(np.median(chosen))


def _slope(fit: Fit, products: np.ndarray, penalty: float) -> np.ndarray:
    """[k, q] what each axis of x adds to y."""
    return products / (fit.variance + penalty * fit.variance[0])[:, None]


def _penalty(fit: Fit, target: Fit, products: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """The penalty with the least error on rows x, y, over the target's leading components."""
    axes = target.axes[:, :CHOICE]
    products, z, truth = products @ axes, fit.scores(x), (y - target.mean) @ axes
    errors = [((truth - z @ _slope(fit, products, p)) ** 2).sum() for p in PENALTIES]
    return float(PENALTIES[int(np.argmin(errors))])


LINEAR = Predictivity(
    stem="predictivity:linear,cv={folds}",
    heading="Linear predictivity",
    family="shape",
    formula="1 - |y - ridge(x)|^2 / |y - mean of y in training|^2 over held-out rows, summed over "
    "units; penalty chosen on a training fold by the 64 leading components of y",
    source="Hoerl and Kennard 1970 (Technometrics 12); Schrimpf et al. 2018, bioRxiv 407007",
    says="The share of y's variance that a linear map of x predicts on groups it has not seen. "
    "One direction may be large and the other small: then x holds y and more.",
    beware="With few groups the fit falls short and the value is too low, even below 0. Units "
    "with much variance decide. What is not predicted may still be there, but not linearly.",
    range=(None, 1.0),
    symmetric=False,
    invariances=frozenset({"translation", "isotropic scaling", "permutation", "orthogonal"}),
    minimum_rows=4,
    folds=5,
)

MEASURES = (LINEAR,)
