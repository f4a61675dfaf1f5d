"""What measures built on singular values share: views of layers, products, draws of chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rsa.inference.intervals import around
from rsa.measures.base import Null
from rsa.rows.joint import FEWEST_DRAWS, Joint, principal_components

# more rows than this are thinned
ROWS = 20_000
# all components: those left out hold less than 1e-12 of the variance together
FULL = 1.0
# floating-point operations that the permutations of one measure may take; FEWEST_DRAWS all the same
BUDGET = 2.5e11
# steps that find a largest singular value; where values are clear of noise, in units of its
# largest; what is left of the influence on values that are noise
POWER, CLEAR, NOISE = 12, 1.25, 0.65


@dataclass(frozen=True)
class View:
    """One layer as principal components.

    Attributes
    ----------
    scores : [rows, k] orthonormal, centred columns.
    loadings : [k, width]; scores @ loadings is the layer, up to what is left out.
    """

    scores: np.ndarray
    loadings: np.ndarray

    @property
    def scale(self) -> np.ndarray:
        """[k] singular values of the layer."""
        return np.sqrt((self.loadings**2).sum(axis=1))

    def light(self) -> View:
        """In single precision, which is enough for intervals and chance."""
        return View(self.scores.astype(np.float32), self.loadings.astype(np.float32))

    def cut(self, components: int | None) -> View:
        """The leading components; all when None."""
        return View(self.scores[:, :components], self.loadings[:components])


def views(joint: Joint, variance: float, components: int | None = None) -> list[View | None]:
    """The components of each layer that hold a share of its variance, at most `components`.

    None for constant layers.
    """
    return [_view(joint, i, variance, components) for i in range(len(joint))]


def _view(joint: Joint, index: int, variance: float, components: int | None) -> View | None:
    basis = joint.basis(index)
    if basis is None:
        return None
    if variance > joint.share:
        basis = joint.shared(
            ("basis", index, variance),
            lambda: principal_components(joint.layer(index), variance, 1),
        )
    count = basis.count(variance)
    return View(basis.scores, basis.loadings).cut(min(count, components or count))


def sizes(found: list[View | None]) -> np.ndarray:
    """[layers] components; 0 for constant layers."""
    return np.array([0 if v is None else v.scores.shape[1] for v in found])


def moved(joint: Joint, view: View, order: np.ndarray) -> View:
    """A view with its rows rearranged, orthonormal again."""
    scores = view.scores[order]
    if joint.grouping.exact_permutations:
        return View(scores, view.loadings)
    # groups that were stretched leave the columns neither centred nor orthonormal
    scores, mixing = np.linalg.qr(scores - scores.mean(axis=0))
    return View(scores, mixing @ view.loadings)


def singular(c: np.ndarray, exact: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Singular vectors and values of a product: [p, m], [m] falling, [q, m].

    From the eigenvectors V of the smaller of C'C and CC', half of the work of an SVD. Columns of
    CV are orthogonal but for rounding, which weighs on the smallest: a QR decomposition, largest
    first, sets them right. Without it (not `exact`) small values lose digits, and their vectors
    right angles.
    """
    if c.shape[0] < c.shape[1]:
        left, values, right = singular(c.T, exact)
        return right, values, left
    right = np.linalg.eigh(c.T @ c)[1][:, ::-1]
    left = c @ right
    if exact:
        left, upper = np.linalg.qr(left)
        values = np.diagonal(upper)
        return left * np.where(values < 0, -1.0, 1.0), np.abs(values), right
    values = np.linalg.norm(left, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(values > 0, left / values, 0.0), values, right


def singular_sum(c: np.ndarray) -> float:
    """Sum of the singular values of a product whose smallest ones do not matter to 1e-8."""
    small = c.T @ c if c.shape[0] >= c.shape[1] else c @ c.T
    return float(np.sqrt(np.maximum(np.linalg.eigvalsh(small), 0.0)).sum())


def noise_edge(joint: Joint, x: np.ndarray, y: np.ndarray) -> float:
    """The largest singular value of X'Y where groups of y are rearranged, to a few per cent."""
    order = joint.shared(("edge",), lambda: _one_order(joint))
    x, y = (np.asarray(z, dtype=np.float32) for z in (x, y))
    c = x.T @ y[order]
    v = np.ones(c.shape[1], dtype=np.float32)
    for _ in range(POWER):
        v = c.T @ (c @ v)
        v /= np.linalg.norm(v)
    return float(np.linalg.norm(c @ v))


def _one_order(joint: Joint) -> np.ndarray:
    return joint.grouping.permutation(np.random.default_rng([joint.seed, 6]))


def sureness(values: np.ndarray, edge: float) -> np.ndarray:
    """[m] factors of the influence on each singular value: 1 where it stands clear of noise.

    The influence takes singular values for smooth. Those of noise are not: turning a direction
    around leaves them as they are, so their sum spreads less, sqrt(1 - 2/pi) = 0.60 times for a
    single correlation (folded normal), about 0.65 times for many (by simulation).
    """
    clear = np.clip((values / edge - 1) / (CLEAR - 1), 0.0, 1.0) if edge > 0 else 1.0
    return NOISE + (1 - NOISE) * clear


def weight(joint: Joint, x: np.ndarray) -> np.ndarray:
    """[groups] sum of squares of a group's rows.

    Parameters
    ----------
    x : [rows, k], as many times orthonormal as it has directions of weight.
    """
    return joint.grouping.sum_by_group(np.einsum("ij,ij->i", x, x))


def leverage(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """[groups] factors by which leaving a group out moves the rest more than its influence says.

    Half of what a group's rows would have if they all lay along one direction.

    Parameters
    ----------
    x, y : [groups] weights, see `weight`.
    """
    return 1 / np.maximum(1 - (x + y) / 4, 0.5)


def orders(joint: Joint, operations: float) -> list[np.ndarray]:
    """As many permutations as `BUDGET` allows at this many operations a draw, or `FEWEST_DRAWS`."""
    fits = int(BUDGET / operations) if operations else joint.draws
    return joint.permutations[: max(min(FEWEST_DRAWS, joint.draws), fits)]


def svd_cost(rows: int, k: np.ndarray, cells: list[tuple[int, int]]) -> float:
    """Operations of one product and one decomposition of singular values for each cell."""
    k = k.astype(float)
    return sum(2 * rows * k[i] * k[j] + 8 * k[i] * k[j] * min(k[i], k[j]) for i, j in cells)


def symmetric(count: int, cells: list[tuple[int, int]], results: np.ndarray) -> np.ndarray:
    """[layers, layers] with the result of each cell in both triangles, NaN elsewhere."""
    out = np.full((count, count), np.nan)
    for (i, j), result in zip(cells, results, strict=True):
        out[i, j] = out[j, i] = result
    return out


def chance(
    joint: Joint,
    left: list[np.ndarray | None],
    turn: Callable[[int, np.ndarray], np.ndarray],
    cells: list[tuple[int, int]],
    operations: float,
    statistic: Callable[[int, int, np.ndarray], float],
) -> np.ndarray:
    """[draws, layers, layers]: a statistic of X'Y with the second layer's groups rearranged.

    Products are of single precision: chance needs no more.

    Parameters
    ----------
    left : X of each layer [rows, k]; None for those in no cell.
    turn : Y of a layer in an order of the rows.
    operations : of all cells of a draw.
    """
    used = orders(joint, operations)
    draws = np.full((len(used), len(left), len(left)), np.nan)
    still = [None if x is None else x.astype(np.float32) for x in left]
    for draw, order in enumerate(used):
        turned = [
            None if x is None else turn(i, order).astype(np.float32) for i, x in enumerate(left)
        ]

        def cell(place: tuple[int, int], turned=turned) -> float:
            i, j = place
            return statistic(i, j, (still[i].T @ turned[j]).astype(np.float64))

        for (i, j), value in zip(cells, joint.spread(cell, cells), strict=True):
            draws[draw, i, j] = draws[draw, j, i] = value
    return draws


def by_draws(draws: np.ndarray, **closed: np.ndarray) -> Null:
    """Chance from permutations of whole groups."""
    return Null(f"permutation of groups, {len(draws)} draws", draws, **closed)


def interval(
    joint: Joint, value: np.ndarray, cells: list[tuple[int, int]], influence: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Cluster-robust ends [layers, layers] from each cell's influence [groups]."""
    low, high = np.full_like(value, np.nan), np.full_like(value, np.nan)
    for (i, j), effect in zip(cells, influence, strict=True):
        low[i, j], high[i, j] = low[j, i], high[j, i] = cluster_robust(joint, value[i, j], effect)
    return low, high


def cluster_robust(joint: Joint, value: float, effect: np.ndarray) -> tuple[float, float]:
    """Ends of an interval from the influence [groups] on one value."""
    if joint.grouping.groups < 2:
        return np.nan, np.nan
    groups = len(effect)
    error = np.sqrt(groups / (groups - 1) * (effect**2).sum()) / joint.rows
    low, high = around(np.asarray(value), error, max(joint.grouping.units, 2.0))
    return float(low), float(high)


def thinned(joint: Joint) -> tuple[Joint, list[tuple[frozenset[int], str]]]:
    """The joint on at most about `ROWS` rows, and the note that says so."""
    few = joint.thinned(ROWS)
    if few is joint:
        return joint, []
    return few, [(frozenset(), f"on {few.rows} of {joint.rows} rows, from all groups")]


def too_few_rows(joint: Joint, kept: np.ndarray) -> list[tuple[frozenset[int], str]]:
    """Notes on pairs whose components together outnumber the rows."""
    cells = [(i, j) for i, j in joint.pairs() if i < j and kept[i] * kept[j]]
    few = [(i, j) for i, j in cells if kept[i] + kept[j] > joint.rows]
    if not few:
        return []
    return [
        (
            frozenset((i, j)),
            f"CCA needs rows >= p + q; {joint.rows} are fewer than {kept[i]} + {kept[j]} "
            f"components of {joint.name(i)} and {joint.name(j)}: at least p + q - (rows - 1) = "
            f"{kept[i] + kept[j] - (joint.rows - 1)} correlations are 1 by counting",
        )
        for i, j in few
    ]
