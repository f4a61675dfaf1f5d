"""Mutual information of two representations under a joint Gaussian, on held-out rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsa.errors import RsaError
from rsa.inference.intervals import linearized
from rsa.measures.base import Measure, Null, Table, constant_note
from rsa.measures.heldout import folds as held_out
from rsa.measures.heldout import whiten, widened_to_chance
from rsa.rows.joint import COMPONENTS, FEWEST_DRAWS, Joint

FOLDS = 5
# rows at most, where all of them do not fit in memory
ROWS = 20_000
# floating-point operations that all permutations together may take; FEWEST_DRAWS all the same
BUDGET = 2.5e11
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
        whole, joint = joint, joint.thinned(ROWS) if joint.huge else joint
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
        need = 2 * int(kept.max(initial=0)) + 2
        enough = smallest >= need and len(folds) > 1
        draws = np.empty((0, *shape))
        if enough and len(pairs):
            total = self._held_out(joint, scores, scores, kept, pairs, folds)
            sizes = joint.grouping.sizes
            mean = total.sum(axis=0) / joint.rows
            ends = linearized(mean, total - sizes[:, None] * mean, joint.rows)

            orders = self._affordable(joint, count)
            drawn = self._chance(joint, scores, kept, pairs, folds, orders)
            ends = widened_to_chance(mean, *ends, drawn)
            draws = np.full((len(orders), *shape), np.nan)
            for matrix, found in zip(
                (value, low, high, *draws), (mean, *ends, *drawn), strict=True
            ):
                matrix[pairs[:, 0], pairs[:, 1]] = matrix[pairs[:, 1], pairs[:, 0]] = found
        null = Null(f"permutation of groups, {len(draws)} draws, fitted anew", draws)
        thinned = [] if joint is whole else [f"on {joint.rows} of {whole.rows} rows"]
        notes = (
            [(frozenset(), sentence) for sentence in thinned]
            + constant_note(joint)
            + self._notes(joint, value, kept, enough, smallest, need)
        )
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
            fit_x = whiten(x, train, kept)
            fit_y = fit_x if y is x else whiten(y, train, kept)
            cross = _products(fit_x[train], fit_y[train])
            step = max(1, CHUNK // int(test.sum()))
            for start in range(0, len(pairs), step):
                some = pairs[start : start + step]
                left, rho, right = np.linalg.svd(cross[some[:, 0], :, some[:, 1], :])
                u = fit_x[test][:, some[:, 0]].transpose(1, 0, 2) @ left
                v = fit_y[test][:, some[:, 1]].transpose(1, 0, 2) @ right.transpose(0, 2, 1)
                out[test, start : start + step] = _log_ratio(u, v, rho).T
        return joint.grouping.sum_by_group(out) / np.log(2)

    def _affordable(self, joint: Joint, layers: int) -> list[np.ndarray]:
        cost = 2.0 * joint.rows * (layers * self.components) ** 2
        return joint.permutations[: max(FEWEST_DRAWS, int(BUDGET / cost))]

    def _chance(
        self,
        joint: Joint,
        scores: np.ndarray,
        kept: np.ndarray,
        pairs: np.ndarray,
        folds: list[np.ndarray],
        orders: list[np.ndarray],
    ) -> np.ndarray:
        """[draws, pairs] the value when the second layer's groups change places; fitted anew."""
        fits = [whiten(scores, ~test, kept) for test in folds]

        def draw(order: np.ndarray) -> np.ndarray:
            return self._held_out_sum(scores, scores[order], kept, pairs, folds, fits)

        drawn = joint.spread(draw, orders)
        return np.array(drawn).reshape(len(orders), len(pairs)) / len(scores)

    def _held_out_sum(
        self,
        x: np.ndarray,
        y: np.ndarray,
        kept: np.ndarray,
        pairs: np.ndarray,
        folds: list[np.ndarray],
        fits_x: list[np.ndarray] | None = None,
    ) -> np.ndarray:
        """[pairs] bits, `_held_out` summed over groups, from second moments of each fold.

        With M the cross-covariance of white variables and G = (I - M M')^-1 M, the inverse of
        their joint covariance has the blocks I + G M', I + M' G and -G.
        """
        out = np.zeros(len(pairs))
        eye = np.eye(x.shape[2])
        for number, test in enumerate(folds):
            fit_x = whiten(x, ~test, kept) if fits_x is None else fits_x[number]
            fit_y = whiten(y, ~test, kept)
            i, j = pairs[:, 0], pairs[:, 1]
            own_x, own_y = (_own_products(fit[test]) for fit in (fit_x, fit_y))
            train, both = (_products(fit_x[at], fit_y[at]) for at in (~test, test))
            step = max(1, CHUNK // x.shape[2] ** 2)
            for start in range(0, len(pairs), step):
                some = slice(start, start + step)
                m, seen = train[i[some], :, j[some]], both[i[some], :, j[some]]
                turned = m.transpose(0, 2, 1)
                rest = eye - m @ turned
                g = np.linalg.solve(rest, m)
                quadratic = (
                    np.einsum("pab,pab->p", g @ turned, own_x[i[some]])
                    + np.einsum("pab,pab->p", turned @ g, own_y[j[some]])
                    - 2 * np.einsum("pab,pab->p", g, seen)
                )
                constant = -np.linalg.slogdet(rest)[1]
                out[some] += test.sum() * (constant - quadratic) / 2
        return out / np.log(2)

    def _notes(
        self,
        joint: Joint,
        value: np.ndarray,
        kept: np.ndarray,
        enough: bool,
        smallest: int,
        need: int,
    ) -> list:
        notes = [(frozenset(), f"{FOLDS} folds of whole groups; below 0: fitted to noise")]
        if not enough:
            whole = -(-need * FOLDS // (FOLDS - 1))
            text = (
                f"{joint.rows} rows in {joint.grouping.groups} groups are too few: about {whole} "
            )
            return [(frozenset(), f"{text}in {FOLDS} groups are needed, a fifth is held out")]
        unbounded = np.isnan(value) & (kept[:, None] > 0) & (kept[None, :] > 0) & joint.wanted
        copies = np.argwhere(np.triu(unbounded, 1))
        if len(copies):
            i, j = copies[0]
            more = f" (and {len(copies) - 1} more pairs)" if len(copies) > 1 else ""
            sentence = f"{joint.name(i)} and {joint.name(j)} determine each other{more}: "
            notes.append((frozenset(), sentence + "no finite value"))
        notes.append((frozenset(), "a layer's information about itself has no finite value"))
        return notes


def _folds(joint: Joint) -> list[np.ndarray]:
    return held_out(joint, FOLDS)


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
    heading="Gaussian mutual information",
    family="information",
    formula="mean over held-out rows of log2 p(x,y) / (p(x) p(y)), jointly Gaussian x, y",
    source="Cover and Thomas 2006, eq. 8.49; Pasad et al. 2021, arXiv:2107.04734",
    says="Bits of one layer's leading components that the other predicts by linear means, on "
    "tracks the fit has not seen.",
    beware="Exact only for jointly Gaussian layers; relations that are not linear are missed, and "
    "with few tracks the fit falls short of the truth, even below 0.",
    range=(None, None),
    invariances=frozenset({"translation", "isotropic scaling", "permutation", "orthogonal"}),
    minimum_rows=4,
    unit="bits",
)

MEASURES = (GAUSSIAN,)
