"""Projection-weighted CCA with ridges, fitted on some groups and scored on others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsa.errors import RsaError
from rsa.inference.intervals import around
from rsa.measures.base import Measure, Null, Table, constant_note
from rsa.measures.folded import Fit, Rotation
from rsa.measures.heldout import doubled_variance, folds, no_chance_note, orders
from rsa.rows.joint import COMPONENTS, Joint
from rsa.threads import spread

# more rows than this are thinned
ROWS = 20_000
# ridges of either side, in units of its largest variance
RIDGES = (1e-5, 1e-3, 1e-1)
FEWEST_FOLDS, FEWEST_ROWS = 3, 3


@dataclass(frozen=True)
class Scored:
    """One pair of layers on held-out rows.

    Attributes
    ----------
    toward, back : mean over the folds, weights from x's neurons and from y's.
    error : standard error of the mean of both.
    draws : the mean of both with rows of y rearranged.
    """

    toward: float
    back: float
    error: float
    draws: np.ndarray


@dataclass(frozen=True, kw_only=True)
class RidgePWCCA(Measure):
    """Held-out correlations of ridge-regularised canonical variates, weighted by the neurons.

    Attributes
    ----------
    components : leading principal components of each layer that enter.
    folds : of whole groups. Each is held out once, the next one chooses the two ridges, the
        others fit.
    """

    components: int = 50
    folds: int = 10

    def check(self) -> None:
        if not 0 < self.components <= COMPONENTS:
            raise RsaError(f"measure {self.name!r}: 1 to {COMPONENTS} components are possible")
        if self.folds < FEWEST_FOLDS:
            raise RsaError(f"measure {self.name!r}: cv is at least {FEWEST_FOLDS}")

    def estimate(self, joint: Joint) -> Table:
        few, notes = joint.thinned(ROWS), constant_note(joint)
        if few is not joint:
            notes.append((frozenset(), f"on {few.rows} of {joint.rows} rows, from all groups"))
        count = len(few)
        forward, low, high = (np.full((count, count), np.nan) for _ in range(3))
        held = folds(few, self.folds)
        kept = np.zeros(count, dtype=int)
        smallest = min(test.sum() for test in held)
        if len(held) < FEWEST_FOLDS or smallest < FEWEST_ROWS:
            need = f"{FEWEST_FOLDS} groups, and {FEWEST_ROWS} rows in each of {self.folds} folds"
            notes.append((frozenset(), f"too few rows: {need} are needed"))
            return Table(forward, low, high, Null("not computed"), {"components": kept}, notes)
        if len(held) < self.folds:
            notes.append((frozenset(), f"{len(held)} folds: there are no more groups"))
        fitted = _Fitted(few, Rotation(held), self.components)
        for i, x in fitted.layers.items():
            kept[i] = x.shape[1]
        cells = [(i, j) for i, j in few.pairs() if i != j and kept[i] and kept[j]]
        found = few.spread(fitted, cells)
        notes += no_chance_note(few, len(held), len(fitted.shuffles[0]))
        draws = np.full((len(fitted.shuffles[0]), count, count), np.nan)
        for (i, j), scored in zip(cells, found, strict=True):
            forward[i, j], forward[j, i] = scored.toward, scored.back
            middle = (scored.toward + scored.back) / 2
            ends = around(np.asarray(middle), np.asarray(scored.error), len(held))
            (low[i, j], high[i, j]), (low[j, i], high[j, i]) = ends, ends
            draws[:, i, j] = draws[:, j, i] = scored.draws
        for i in np.flatnonzero(kept):
            forward[i, i] = low[i, i] = high[i, i] = 1.0
            draws[:, i, i] = 0.0
        draws = doubled_variance(draws)
        by = f"mean 0; spread by permutation of held-out groups, fits fixed, {len(draws)} draws"
        extra = {"components": kept, "weighted_by_x": forward, "weighted_by_y": forward.T}
        notes.append((frozenset(), "a layer has 1 with itself by definition"))
        value = (forward + forward.T) / 2
        return Table(value, low, high, Null(by, draws, np.zeros_like(value)), extra, notes)


class _Fitted:
    """Scores one pair of layers in every fold, from decompositions made once a layer."""

    def __init__(self, joint: Joint, turn: Rotation, components: int):
        self.joint, self.turn = joint, turn
        self.shuffles = orders(joint, turn.held)
        self.layers: dict[int, np.ndarray] = {}
        self.axes: dict[int, np.ndarray] = {}
        for i in range(len(joint)):
            basis = joint.basis(i)
            if basis is not None:
                loadings = basis.loadings[:components]
                scale = np.sqrt((loadings**2).sum(axis=1))
                self.layers[i] = basis.scores[:, :components] * scale
                self.axes[i] = loadings / scale[:, None]
        early = [turn.early(f) for f in range(len(turn.held))]
        fits = spread(lambda x: turn.fits(x, early), list(self.layers.values()))
        self.fits = dict(zip(self.layers, fits, strict=True))

    def __call__(self, cell: tuple[int, int]) -> Scored:
        i, j = cell
        x, y, turn = self.layers[i], self.layers[j], self.turn
        cross = turn.cross(x, y)
        toward, back = [], []
        draws = np.zeros(len(self.shuffles[0]))
        for f, (test, shuffle) in enumerate(zip(turn.held, self.shuffles, strict=True)):
            fx, fy = self.fits[i][f], self.fits[j][f]
            products = turn.products(fx, fy, turn.early(f), cross) @ fy.axes
            a, b = _directions(fx, fy, products)
            after = turn.after(f)
            shares = self._weights(i, f, a), self._weights(j, f, b)
            of_dev = _weighted(*_variates(fx, fy, a, b, x[after], y[after]), shares)
            best = int(np.argmax(of_dev[0] + of_dev[1]))
            u, v = _variates(fx, fy, a[best], b[best], x[test], y[test])
            shares = shares[0][best], shares[1][best]
            by_x, by_y = (float(rho) for rho in _weighted(u, v, shares))
            toward.append(by_x)
            back.append(by_y)
            if len(shuffle):
                both = (u * (shares[0] + shares[1]) / 2) @ v.T / test.sum()
                draws += both[np.arange(len(u)), shuffle].sum(axis=1)
        by_fold = (np.array(toward) + np.array(back)) / 2
        count = len(by_fold)
        # folds share rows that fit: 1/(folds - 2) is held-out over fitting rows (Nadeau and
        # Bengio 2003, Machine Learning 52, eq. 9)
        error = by_fold.std(ddof=1) * np.sqrt(1 / count + 1 / (count - 2))
        means = float(np.mean(toward)), float(np.mean(back))
        return Scored(*means, float(error), draws / count)

    def _weights(self, layer: int, fold: int, a: np.ndarray) -> np.ndarray:
        """[..., m] how much of a layer's neurons each variate accounts for in training."""
        fit = self.fits[layer][fold]
        carried = fit.variance[:, None] * a
        norm = np.sqrt((carried * a).sum(axis=-2))
        along = np.swapaxes(carried, -1, -2) @ (fit.axes.T @ self.axes[layer])
        alpha = np.abs(along).sum(axis=-1) / norm
        return alpha / alpha.sum(axis=-1, keepdims=True)


def _directions(x: Fit, y: Fit, products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Canonical coefficients [ridges of both sides, k, m] of x and of y."""
    left, right = (
        [1 / np.sqrt(fit.variance + ridge * fit.variance[0]) for ridge in RIDGES] for fit in (x, y)
    )
    scale_x = np.array([a for a in left for _ in right])[:, :, None]
    scale_y = np.array([b for _ in left for b in right])[:, :, None]
    u, _, v = np.linalg.svd(scale_x * products * scale_y.transpose(0, 2, 1), full_matrices=False)
    return scale_x * u, scale_y * v.transpose(0, 2, 1)


def _variates(
    x: Fit, y: Fit, a: np.ndarray, b: np.ndarray, rows_x: np.ndarray, rows_y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """[..., rows, m] each: variates of rows not fitted to, at zero mean and unit variance."""
    u, v = x.scores(rows_x) @ a, y.scores(rows_y) @ b
    u, v = (z - z.mean(axis=-2, keepdims=True) for z in (u, v))
    with np.errstate(invalid="ignore", divide="ignore"):
        return u / u.std(axis=-2, keepdims=True), v / v.std(axis=-2, keepdims=True)


def _weighted(
    u: np.ndarray, v: np.ndarray, shares: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """[...] correlations of variates weighted by x's neurons and by y's."""
    rho = (u * v).mean(axis=-2)
    return (rho * shares[0]).sum(axis=-1), (rho * shares[1]).sum(axis=-1)


RIDGE = RidgePWCCA(
    stem="pwcca:ridge,pca={components},cv={folds}",
    heading="Held-out ridge PWCCA",
    family="cca",
    formula="leading components of each layer; canonical variates with ridges on both "
    "covariances, fitted on 8 of 10 folds of whole groups; ridges chosen on another; sum_k a_k "
    "corr(u_k, v_k) on the last, a_k ~ sum_j |<u_k, x_j>| in training; mean over folds and sides",
    source="Pasad et al. 2021, arXiv:2107.04734, sec. 3; Morcos et al. 2018, arXiv:1806.05759",
    says="How well directions of two layers that were matched on some groups still go together "
    "on groups not seen. 0 when nothing is shared, whatever the widths.",
    beware="With few groups the match is poor and the value too low; it may be negative. Only the "
    "leading components of each layer enter, found over all rows.",
    range=(-1.0, 1.0),
    invariances=frozenset({"translation", "isotropic scaling", "permutation"}),
    minimum_rows=30,
    components=50,
    folds=10,
)

MEASURES = (RIDGE,)
