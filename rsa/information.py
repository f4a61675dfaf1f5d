"""Mutual information of two representations under a joint Gaussian, on held-out rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsa.errors import RsaError
from rsa.grouping import Grouping
from rsa.inference import linearized
from rsa.joint import COMPONENTS, Joint
from rsa.measure import Measure, Null, Table, constant_note
from rsa.threads import spread

FOLDS = 5
# permutations at most: each fits all Gaussians again
DRAWS = 19
# a canonical correlation this close to 1 means one layer is a function of the other
UNBOUNDED = 1 - 1e-10
# pairs of layers scored at a time, times rows
CHUNK = 200_000


@dataclass(frozen=True, kw_only=True)
class GaussianInformation(Measure):
    """Mean of log2 p(x, y) / (p(x) p(y)) over rows that the Gaussians were not fitted to.

    Attributes
    ----------
    components : leading principal components of each layer that enter.
    """

    components: int = 20

    def check(self) -> None:
        if not 0 < self.components <= COMPONENTS:
            raise RsaError(f"measure {self.name!r}: 1 to {COMPONENTS} components are possible")

    def estimate(self, joint: Joint) -> Table:
        count, width = len(joint), self.components
        scores = np.zeros((joint.rows, count, width))
        kept = np.zeros(count, dtype=int)
        for i in range(count):
            basis = joint.basis(i)
            if basis is not None:
                kept[i] = min(width, basis.scores.shape[1])
                scores[:, i, : kept[i]] = basis.scores[:, : kept[i]] * np.sqrt(joint.rows)
        cells = [(i, j) for i, j in joint.pairs() if i < j and kept[i] and kept[j]]
        pairs = np.array(cells, dtype=int).reshape(-1, 2)
        shape = (count, count)
        value, low, high = (np.full(shape, np.nan) for _ in range(3))
        folds = _folds(joint)
        smallest = joint.rows - max((f.sum() for f in folds), default=joint.rows)
        enough = smallest > 2 * width + 1 and len(folds) > 1
        draws = np.empty((0, *shape))
        if enough and len(pairs):
            total = self._held_out(joint, scores, scores, kept, pairs, folds)
            sizes = joint.grouping.sizes
            mean = total.sum(axis=0) / joint.rows
            ends = linearized(mean, total - sizes[:, None] * mean, joint.rows)

            def draw(order: np.ndarray) -> np.ndarray:
                return self._held_out_sum(scores, scores[order], kept, pairs, folds) / joint.rows

            orders = joint.permutations[:DRAWS]
            draws = np.full((len(orders), *shape), np.nan)
            drawn = spread(draw, orders)
            for matrix, found in zip(
                (value, low, high, *draws), (mean, *ends, *drawn), strict=True
            ):
                matrix[pairs[:, 0], pairs[:, 1]] = matrix[pairs[:, 1], pairs[:, 0]] = found
        null = Null(f"permutation of groups, {len(draws)} draws", draws)
        notes = constant_note(joint) + self._notes(joint, value, kept, enough, smallest)
        return Table(value, low, high, null, {"components": kept}, notes)

    def _held_out(
        self,
        joint: Joint,
        x: np.ndarray,
        y: np.ndarray,
        kept: np.ndarray,
        pairs: np.ndarray,
        folds: list[np.ndarray],
    ) -> np.ndarray:
        """[groups, pairs] bits, summed over the rows of each group when it was held out."""
        out = np.zeros((joint.rows, len(pairs)))
        for test in folds:
            train = ~test
            fit_x = _whiten(x, train, kept)
            fit_y = fit_x if y is x else _whiten(y, train, kept)
            cross = _products(fit_x[train], fit_y[train])
            step = max(1, CHUNK // int(test.sum()))
            for start in range(0, len(pairs), step):
                some = pairs[start : start + step]
                left, rho, right = np.linalg.svd(cross[some[:, 0], :, some[:, 1], :])
                u = fit_x[test][:, some[:, 0]].transpose(1, 0, 2) @ left
                v = fit_y[test][:, some[:, 1]].transpose(1, 0, 2) @ right.transpose(0, 2, 1)
                out[test, start : start + step] = _log_ratio(u, v, rho).T
        return joint.grouping.sum_by_group(out) / np.log(2)

    def _held_out_sum(
        self,
        x: np.ndarray,
        y: np.ndarray,
        kept: np.ndarray,
        pairs: np.ndarray,
        folds: list[np.ndarray],
    ) -> np.ndarray:
        """[pairs] bits, `_held_out` summed over groups, from second moments of each fold."""
        out = np.zeros(len(pairs))
        for test in folds:
            fit_x, fit_y = _whiten(x, ~test, kept), _whiten(y, ~test, kept)
            i, j = pairs[:, 0], pairs[:, 1]
            left, rho, right = np.linalg.svd(_products(fit_x[~test], fit_y[~test])[i, :, j, :])
            right = right.transpose(0, 2, 1)
            own_x, own_y = (_own_products(fit[test]) for fit in (fit_x, fit_y))
            both = _products(fit_x[test], fit_y[test])[i, :, j, :]
            rho = np.where(rho > UNBOUNDED, np.nan, rho)
            rest = 1 - rho**2
            spread_x = np.einsum("pak,pab,pbk->pk", left, own_x[i], left, optimize=True)
            spread_y = np.einsum("pak,pab,pbk->pk", right, own_y[j], right, optimize=True)
            joint_xy = np.einsum("pak,pab,pbk->pk", left, both, right, optimize=True)
            row = -np.log(rest) / 2 - rho**2 / rest * (spread_x + spread_y) / 2
            out += test.sum() * (row + rho / rest * joint_xy).sum(axis=1)
        return out / np.log(2)

    def _notes(
        self, joint: Joint, value: np.ndarray, kept: np.ndarray, enough: bool, smallest: int
    ) -> list:
        notes = [(frozenset(), f"{FOLDS} folds of whole groups; below 0: fitted to noise")]
        if not enough:
            need = 2 * self.components + 2
            return [(frozenset(), f"{smallest} rows to fit on are too few: {need} are needed")]
        unbounded = np.isnan(value) & (kept[:, None] > 0) & (kept[None, :] > 0)
        for i, j in zip(*np.nonzero(np.triu(unbounded, 1)), strict=True):
            notes.append(
                (
                    frozenset([i, j]),
                    f"{joint.name(i)} and {joint.name(j)} determine each other: no finite value",
                )
            )
        notes.append((frozenset(), "a layer's information about itself has no finite value"))
        return notes


def _folds(joint: Joint) -> list[np.ndarray]:
    """Held-out rows of each fold, [rows] bool; a group is in one fold only."""
    dealt = Grouping.deal(joint.grouping.group_of_row, FOLDS, joint.seed)
    folds = []
    for start, stop in zip(dealt.edges[:-1], dealt.edges[1:], strict=True):
        test = np.zeros(joint.rows, dtype=bool)
        test[dealt.order[start:stop]] = True
        folds.append(test)
    return folds


def _whiten(scores: np.ndarray, train: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """[rows, layers, components], white over the rows fitted on; columns not kept are zero."""
    out = np.zeros_like(scores)
    for i, k in enumerate(kept):
        if k == 0:
            continue
        part = scores[:, i, :k] - scores[train, i, :k].mean(axis=0)
        power, vectors = np.linalg.eigh(part[train].T @ part[train] / train.sum())
        useful = power > power[-1] * k * np.finfo(float).eps
        out[:, i, : useful.sum()] = part @ vectors[:, useful] / np.sqrt(power[useful])
    return out


def _products(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """[layers, components, layers, components], mean products over rows."""
    flat_x, flat_y = x.reshape(len(x), -1), y.reshape(len(y), -1)
    return (flat_x.T @ flat_y / len(x)).reshape(*x.shape[1:], *y.shape[1:])


def _own_products(x: np.ndarray) -> np.ndarray:
    """[layers, components, components], mean products within each layer."""
    by_layer = x.transpose(1, 0, 2)
    return by_layer.transpose(0, 2, 1) @ by_layer / len(x)


def _log_ratio(u: np.ndarray, v: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """[pairs, rows] nats: log density ratio of variates u, v [pairs, rows, k] with correlation rho.

    NaN where a correlation is so near 1 that the ratio has no finite value.
    """
    rho = np.where(rho > UNBOUNDED, np.nan, rho)
    rest = 1 - rho**2
    constant = -np.log(rest).sum(axis=1)[:, None] / 2
    own = ((u**2 + v**2) @ (rho**2 / rest)[:, :, None])[..., 0]
    both = ((u * v) @ (rho / rest)[:, :, None])[..., 0]
    return constant - own / 2 + both


GAUSSIAN = GaussianInformation(
    stem="mi:gaussian,pca={components},held-out",
    title="Gaussian mutual information",
    family="information",
    formula="mean over held-out rows of log2 p(x,y) / (p(x) p(y)), jointly Gaussian x, y",
    source="Cover and Thomas 2006, eq. 8.49; Pasad et al. 2021, arXiv:2107.04734",
    says="",
    beware="",
    range=(None, None),
    invariances=frozenset({"translation", "isotropic scaling", "permutation", "orthogonal"}),
    minimum_rows=4,
    unit="bits",
)

MEASURES = (GAUSSIAN,)
