"""Canonical correlations after principal components: SVCCA and projection-weighted CCA."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsa.errors import RsaError
from rsa.measures.base import Measure, Table, constant_note
from rsa.measures.decompositions import (
    View,
    by_draws,
    interval,
    leverage,
    moved,
    noise_edge,
    orders,
    singular,
    sizes,
    sureness,
    svd_cost,
    symmetric,
    thinned,
    too_few_rows,
    views,
    weight,
)
from rsa.rows.joint import Joint


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

    def light(self) -> Canonical:
        """In single precision."""
        return Canonical(*(np.float32(a) for a in (self.correlations, self.left, self.right)))


def canonical(x: View, y: View, exact: bool = True) -> Canonical:
    """Canonical correlations and variates (Bjorck and Golub 1973): SVD of Q_x' Q_y.

    Parameters
    ----------
    exact : false for chance, where the digits of small correlations do not matter.
    """
    left, values, right = singular(x.scores.T @ y.scores, exact)
    # a cosine of two subspaces; rounding alone can take it over 1
    return Canonical(np.minimum(values, 1.0), left, right)


def weights(coefficients: np.ndarray, loadings: np.ndarray) -> np.ndarray:
    """[m], how much of a layer's neurons each canonical variate accounts for, summing to 1.

    sum_j |<h_i, x_j>| over the neurons x_j (Morcos et al. 2018, arXiv:1806.05759, eq. 3), with
    the variates h orthonormal over rows and the neurons centred.
    """
    alpha = np.abs(coefficients.T @ loadings).sum(axis=1)
    return alpha / alpha.sum()


def lever(joint: Joint, x: View, y: View) -> np.ndarray:
    """[groups], see `rsa.measures.decompositions.leverage`."""
    return leverage(weight(joint, x.scores), weight(joint, y.scores))


def influences(joint: Joint, found: Canonical, x: View, y: View) -> np.ndarray:
    """[groups, m] sums over a group's rows of the influence on each correlation.

    That of a row on rho is u v - rho (u^2 + v^2) / 2 with variates of unit variance (Romanazzi
    1992, Psychometrika 57); less where rho is no more than noise, see `sureness`.
    """
    u, v = x.scores @ found.left, y.scores @ found.right
    row = joint.rows * (u * v - found.correlations * (u**2 + v**2) / 2)
    sure = sureness(found.correlations, noise_edge(joint, x.scores, y.scores))
    return joint.grouping.sum_by_group(row) * sure * lever(joint, x, y)[:, None]


def weights_influence(joint: Joint, found: Canonical, x: View, y: View) -> np.ndarray:
    """[groups] influence on sum_i a_i rho_i through the weights a, mean of both sides.

    Weights follow the variates: their norm, and their turning by the other side's rows, a
    perturbation of singular vectors. Correlations nearer to each other than sampling tells apart
    do not turn freely, so gaps are taken together with their error.
    """
    root = np.float32(np.sqrt(joint.rows))
    rho = found.correlations
    gap = np.subtract.outer(rho**2, rho**2).T
    error = 2 * np.add.outer(rho**2, rho**2) / joint.grouping.groups
    with np.errstate(invalid="ignore", divide="ignore"):
        inverse = np.nan_to_num(gap / (gap**2 + error))
        steep = np.nan_to_num(rho / (rho**2 + 2 / joint.grouping.groups))
    u, v = root * x.scores @ found.left, root * y.scores @ found.right
    row, turns = np.zeros(joint.rows, dtype=np.float32), []
    for view, part, own, other in ((x, found.left, u, v), (y, found.right, v, u)):
        along = part.T @ view.loadings
        total = np.abs(along).sum(axis=1)
        mean = total @ rho / total.sum()
        gain = (rho - mean) / total.sum() / 2
        signed = np.sign(along) @ view.loadings.T
        gamma = signed @ part
        seen = root * view.scores @ signed.T
        row += (seen * own) @ gain / 2
        row += ((seen - own @ gamma.T) * (other * steep - own / 2)) @ gain
        pull = gain[:, None] * gamma
        turns.append(rho * (pull.T - pull) * inverse)
    of_x, of_y = turns
    row += ((u @ (of_x + of_y.T)) * v).sum(axis=1)
    row -= ((u @ (of_x * rho + rho[:, None] * of_y)) * u).sum(axis=1) / 2
    row -= ((v @ (rho[:, None] * of_x + of_y * rho)) * v).sum(axis=1) / 2
    return joint.grouping.sum_by_group(row - row.mean()) * lever(joint, x, y)


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
        few, notes = thinned(joint)
        found = few.shared(("cca", self.variance), lambda: solve(few, self.variance))
        which = int(self.projection)
        forward = found.forward[which]
        value = (forward + forward.T) / 2
        low, high = interval(few, value, found.cells, found.influence[which])
        extra = {"components": found.kept}
        if self.projection:
            extra |= {"weighted_by_x": forward, "weighted_by_y": forward.T}
        notes = constant_note(joint) + notes + too_few_rows(few, found.kept)
        return Table(value, low, high, by_draws(found.draws[which]), extra, notes)


@dataclass(frozen=True)
class Solved:
    """SVCCA and PWCCA (first, in this order) of all pairs of layers.

    Attributes
    ----------
    kept : [layers] components.
    cells : pairs (i, j) with rows enough.
    forward : [2, layers, layers], correlations weighted by the first layer's neurons.
    influence : two lists, of each cell [groups], on the mean of both directions.
    draws : [2, draws, layers, layers], the mean of both directions under rearranged groups.
    """

    kept: np.ndarray
    cells: list[tuple[int, int]]
    forward: np.ndarray
    influence: tuple[list, list]
    draws: np.ndarray


def solve(joint: Joint, variance: float) -> Solved:
    """All canonical correlations, once for SVCCA and PWCCA."""
    found = views(joint, variance)
    light = [None if v is None else v.light() for v in found]
    kept = sizes(found)
    cells = [
        (i, j) for i, j in joint.pairs() if kept[i] and kept[j] and kept[i] + kept[j] <= joint.rows
    ]

    def cell(place: tuple[int, int]) -> tuple:
        i, j = place
        if i == j:
            return (1.0, 1.0), (1.0, 1.0), (np.zeros(joint.grouping.groups),) * 2
        x, y = found[i], found[j]
        both = canonical(x, y)
        shares = _shares(both, x, y)
        toward, back = ([share[k] @ both.correlations for share in shares] for k in (0, 1))
        x, y, both = light[i], light[j], both.light()
        each = influences(joint, both, x, y)
        effect = [each @ ((a + b) / 2) for a, b in shares]
        effect[1] = effect[1] + weights_influence(joint, both, x, y)
        return toward, back, effect

    forward = np.full((2, len(joint), len(joint)), np.nan)
    influence: tuple[list, list] = ([], [])
    for (i, j), (toward, back, effect) in zip(cells, joint.spread(cell, cells), strict=True):
        forward[:, i, j], forward[:, j, i] = toward, back
        influence[0].append(effect[0])
        influence[1].append(effect[1])
    return Solved(kept, cells, forward, influence, _null(joint, found, cells))


def _shares(found: Canonical, x: View, y: View) -> tuple:
    """Weights of the correlations by x and by y: even (SVCCA), by neurons (PWCCA)."""
    even = np.full(len(found.correlations), 1 / len(found.correlations))
    return (even, even), (weights(found.left, x.loadings), weights(found.right, y.loadings))


def _null(joint: Joint, found: list, cells: list[tuple[int, int]]) -> np.ndarray:
    """[2, draws, layers, layers], with the second layer's groups rearranged."""
    used = orders(joint, svd_cost(joint.rows, sizes(found), cells))
    draws = np.full((2, len(used), len(found), len(found)), np.nan)
    for draw, order in enumerate(used):
        turned = [None if v is None else moved(joint, v, order) for v in found]

        def cell(place: tuple[int, int], turned=turned) -> list[float]:
            i, j = place
            both = canonical(found[i], turned[j], exact=False)
            shares = _shares(both, found[i], turned[j])
            return [(a + b) @ both.correlations / 2 for a, b in shares]

        drawn = np.array(joint.spread(cell, cells)).reshape(-1, 2)
        for which in (0, 1):
            draws[which, draw] = symmetric(len(found), cells, drawn[:, which])
    return draws


_STEPS = "components with the share var of the variance, singular values rho of Q_x' Q_y; "

SVCCA = CCA(
    stem="svcca:var={variance:g},mean",
    heading="SVCCA",
    family="cca",
    formula=_STEPS + "mean rho over the smaller number of components",
    source="Raghu et al. 2017, arXiv:1706.05806, sec. 2 (share of variance: squared values)",
    says="How well linear maps can bring the main directions of two layers together, each "
    "direction counted alike: 1 when one layer's directions can be made from the other's.",
    beware="Unrelated layers score high when components are many for the rows: read it against "
    "chance. Weak directions count as much as strong ones.",
    range=(0.0, 1.0),
    invariances=frozenset({"translation", "isotropic scaling", "permutation", "orthogonal"}),
    minimum_rows=4,
)

PWCCA = CCA(
    stem="pwcca:var={variance:g},mean",
    heading="Projection-weighted CCA",
    family="cca",
    formula=_STEPS + "sum_i a_i rho_i, a_i ~ sum_j |<h_i, x_j>|; mean of the weights by x and by y",
    source="Morcos et al. 2018, arXiv:1806.05759, eq. 3",
    says="How well linear maps can bring two layers together, with directions counted by how much "
    "of the neurons they account for.",
    beware="Unrelated layers score high when components are many for the rows: read it against "
    "chance. The weights depend on which layer gives them: both are kept, the value is their mean.",
    range=(0.0, 1.0),
    invariances=frozenset({"translation", "isotropic scaling", "permutation"}),
    minimum_rows=4,
    projection=True,
)

MEASURES = (SVCCA, PWCCA)
