"""Canonical correlations after principal components: SVCCA and projection-weighted CCA."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsa.errors import RsaError
from rsa.inference import linearized
from rsa.joint import Joint
from rsa.measure import Measure, Null, Table, constant_note
from rsa.threads import spread

# an approximation to first order: for SVCCA wide where many small correlations enter
_INTERVAL = "interval: influence of each group, with components and weights held fixed"
# floating-point operations that the permutations of one measure may take; at least MINIMUM draws
BUDGET, MINIMUM = 6e11, 19


@dataclass(frozen=True)
class View:
    """One layer, ready for CCA.

    Attributes
    ----------
    scores : [rows, k] orthonormal, centred columns.
    loadings : [k, width]; scores @ loadings is the layer.
    """

    scores: np.ndarray
    loadings: np.ndarray


@dataclass(frozen=True)
class Canonical:
    """Canonical correlations of two views.

    Attributes
    ----------
    correlations : [m], m the smaller number of components.
    left, right : [k, m] coefficients on the views' scores; the variates are orthonormal.
    """

    correlations: np.ndarray
    left: np.ndarray
    right: np.ndarray


def canonical(x: View, y: View) -> Canonical:
    """Canonical correlations and variates (Bjorck and Golub 1973): SVD of Q_x' Q_y."""
    left, values, right = np.linalg.svd(x.scores.T @ y.scores, full_matrices=False)
    # a cosine of two subspaces; rounding alone can take it over 1
    return Canonical(np.minimum(values, 1.0), left, right.T)


def weights(coefficients: np.ndarray, loadings: np.ndarray) -> np.ndarray:
    """[m], how much of a layer's neurons each canonical variate accounts for, summing to 1.

    sum_j |<h_i, x_j>| over the neurons x_j (Morcos et al. 2018, arXiv:1806.05759, eq. 3), with
    the variates h orthonormal over rows and the neurons centred.
    """
    alpha = np.abs(coefficients.T @ loadings).sum(axis=1)
    return alpha / alpha.sum()


def influences(found: Canonical, x: View, y: View, share: np.ndarray, by_group) -> np.ndarray:
    """[groups], sum over each group's rows of the influence on sum_i share_i rho_i.

    The influence of a row on rho is u v - rho (u^2 + v^2) / 2 with variates of unit variance
    (Romanazzi 1992, Psychometrika 57); divided by what the row's group leaves to the others, as
    leaving it out would.
    """
    n = len(x.scores)
    u, v = x.scores @ found.left, y.scores @ found.right
    row = n * ((u * v) @ share - (u**2 + v**2) @ (share * found.correlations) / 2)
    lever = (x.scores**2).sum(axis=1) + (y.scores**2).sum(axis=1)
    return by_group(row / np.maximum(1 - lever / 2, 0.1))


@dataclass(frozen=True, kw_only=True)
class CCA(Measure):
    """CCA between the components that hold a share of each layer's variance.

    Attributes
    ----------
    variance : the share.
    projection : weigh the correlations by the neurons (PWCCA) instead of evenly (SVCCA).
    """

    variance: float = 0.99
    projection: bool = False

    def check(self) -> None:
        if not 0 < self.variance <= 1:
            raise RsaError(f"measure {self.name!r}: var is above 0 and at most 1")

    def estimate(self, joint: Joint) -> Table:
        found = joint.shared(("cca", self.variance), lambda: solve(joint, self.variance))
        which = int(self.projection)
        forward, draws = found.forward[which], found.draws[which]
        value = (forward + forward.T) / 2
        low, high = linearized(value, found.influence[which], joint.rows)
        notes = constant_note(joint) + self._notes(joint, found)
        extra = {"components": found.kept}
        if self.projection:
            extra |= {"weighted_by_x": forward, "weighted_by_y": forward.T}
        null = Null(f"permutation of groups, {len(draws)} draws", draws)
        return Table(value, low, high, null, extra, notes)

    def _notes(self, joint: Joint, found: Solved) -> list:
        notes: list[tuple[frozenset[int], str]] = [(frozenset(), _INTERVAL)]
        kept = found.kept
        for i, j in zip(*np.nonzero(np.triu(~found.possible, 1)), strict=True):
            if kept[i] and kept[j]:
                notes.append(
                    (
                        frozenset([i, j]),
                        f"{joint.name(i)} and {joint.name(j)} keep {kept[i]} and {kept[j]} "
                        f"components: CCA needs more rows than both together, not {joint.rows}",
                    )
                )
        return notes


@dataclass(frozen=True)
class Solved:
    """SVCCA and PWCCA (first axis, in this order) of all pairs of layers.

    Attributes
    ----------
    kept : [layers] components.
    possible : [layers, layers], whether there are rows enough.
    forward : [2, layers, layers], correlations weighted by the first layer's neurons.
    influence : [2, groups, layers, layers], on the mean of both directions.
    draws : [2, draws, layers, layers], the mean of both directions under rearranged groups.
    """

    kept: np.ndarray
    possible: np.ndarray
    forward: np.ndarray
    influence: np.ndarray
    draws: np.ndarray


def solve(joint: Joint, variance: float) -> Solved:
    """All canonical correlations, once for SVCCA and PWCCA."""
    count = len(joint)
    views = [_view(joint, i, variance) for i in range(count)]
    kept = np.array([0 if v is None else v.scores.shape[1] for v in views])
    possible = (kept[:, None] + kept[None, :] < joint.rows) & (kept[:, None] * kept[None, :] > 0)
    forward = np.full((2, count, count), np.nan)
    influence = np.full((2, joint.grouping.groups, count, count), np.nan)
    cells = [(i, j) for i, j in joint.pairs() if possible[i, j]]

    def cell(place: tuple[int, int]) -> None:
        i, j = place
        x, y = views[i], views[j]
        found = canonical(x, y)
        for which, (toward, back) in enumerate(_shares(found, x, y)):
            forward[which, i, j] = toward @ found.correlations
            forward[which, j, i] = back @ found.correlations
            effect = influences(found, x, y, (toward + back) / 2, joint.grouping.sum_by_group)
            influence[which, :, i, j] = influence[which, :, j, i] = effect

    spread(cell, [(i, j) for i, j in cells if i != j])
    for i in np.flatnonzero(kept):
        forward[:, i, i], influence[:, :, i, i] = 1.0, 0.0
    return Solved(kept, possible, forward, influence, _null(joint, views, cells))


def _view(joint: Joint, index: int, variance: float) -> View | None:
    basis = joint.basis(index)
    if basis is None:
        return None
    k = basis.count(variance)
    return View(basis.scores[:, :k], basis.loadings[:k])


def _shares(found: Canonical, x: View, y: View) -> tuple:
    """Weights of the correlations by x and by y: even (SVCCA), by neurons (PWCCA)."""
    even = np.full(len(found.correlations), 1 / len(found.correlations))
    return (even, even), (weights(found.left, x.loadings), weights(found.right, y.loadings))


def _null(joint: Joint, views: list, cells: list[tuple[int, int]]) -> np.ndarray:
    """[2, draws, layers, layers], with the second layer's groups rearranged."""
    k = np.array([0 if v is None else v.scores.shape[1] for v in views], dtype=float)
    cost = sum(2 * joint.rows * k[i] * k[j] + 25 * k[i] * k[j] * min(k[i], k[j]) for i, j in cells)
    fits = int(BUDGET / cost) if cost else joint.draws
    orders = joint.permutations[: max(min(MINIMUM, joint.draws), fits)]
    draws = np.full((2, len(orders), len(views), len(views)), np.nan)
    for draw, order in enumerate(orders):
        moved = [None if v is None else _moved(joint, v, order) for v in views]

        def cell(place: tuple[int, int], draw=draw, moved=moved) -> None:
            i, j = place
            found = canonical(views[i], moved[j])
            for which, (toward, back) in enumerate(_shares(found, views[i], moved[j])):
                chance = (toward + back) @ found.correlations / 2
                draws[which, draw, i, j] = draws[which, draw, j, i] = chance

        spread(cell, cells)
    return draws


def _moved(joint: Joint, view: View, order: np.ndarray) -> View:
    scores = view.scores[order]
    if joint.grouping.exact_permutations:
        return View(scores, view.loadings)
    # groups that were stretched leave the columns neither centred nor orthonormal
    scores, mixing = np.linalg.qr(scores - scores.mean(axis=0))
    return View(scores, mixing @ view.loadings)


_STEPS = "components with the share var of the variance, singular values rho of Q_x' Q_y; "

SVCCA = CCA(
    stem="svcca:var={variance:g},mean",
    title="SVCCA",
    family="cca",
    formula=_STEPS + "mean rho",
    source="Raghu et al. 2017, arXiv:1706.05806",
    says="",
    beware="",
    needs="moments",
    range=(0.0, 1.0),
    invariances=frozenset({"translation", "isotropic scaling", "permutation", "orthogonal"}),
    minimum_rows=4,
)

PWCCA = CCA(
    stem="pwcca:var={variance:g},mean",
    title="Projection-weighted CCA",
    family="cca",
    formula=_STEPS + "sum_i a_i rho_i, a_i ~ sum_j |<h_i, x_j>|; mean of the weights by x and by y",
    source="Morcos et al. 2018, arXiv:1806.05759, eq. 3",
    says="",
    beware="",
    needs="moments",
    range=(0.0, 1.0),
    invariances=frozenset({"translation", "isotropic scaling", "permutation"}),
    minimum_rows=4,
    projection=True,
)

MEASURES = (SVCCA, PWCCA)
