"""Canonical correlations of whole layers or of their leading components, none left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rsa.errors import RsaError
from rsa.hsic.gram import inner
from rsa.measures.base import Measure, Table, constant_note
from rsa.measures.cca import canonical, influences
from rsa.measures.decompositions import (
    FULL,
    View,
    by_draws,
    chance,
    interval,
    moved,
    singular_sum,
    sizes,
    svd_cost,
    symmetric,
    thinned,
    too_few_rows,
    views,
)
from rsa.rows.joint import FEWEST_DRAWS, Joint

# rows of a tile of projections at most, numbers of all tiles at once, permutations side by side
TILE, ROOM, TOGETHER = 256, 12_000_000, 4
# floating-point operations that all permutations of projections may take
ALL_DRAWS = 4e12


def cut_influence(joint: Joint, whole: View, x: View, y: View, slope: np.ndarray) -> np.ndarray:
    """[groups] influence through the choice of the leading components.

    A row turns the kept components towards those left out by sqrt(l_i l_j) z_i z_j / (l_i - l_j),
    l the variances; gaps are taken together with their error.

    Parameters
    ----------
    whole, x : a layer before and after the cut; y : the other one.
    slope : [x's, y's components] derivative of the value in Q_x' Q_y.
    """
    kept = x.scores.shape[1]
    if kept == whole.scores.shape[1]:
        return np.zeros(joint.grouping.groups)
    rest = whole.scores[:, kept:]
    variance = whole.scale**2
    inside, outside = variance[:kept, None], variance[None, kept:]
    gap = inside - outside
    turn = outside * gap / (gap**2 + 2 * inside * outside / joint.grouping.groups)
    mixing = turn * (slope @ (y.scores.T @ rest))
    return joint.grouping.sum_by_group(joint.rows * ((x.scores @ mixing) * rest).sum(axis=1))


@dataclass(frozen=True, kw_only=True)
class Subspaces(Measure):
    """What is common to the spaces that two layers span.

    Attributes
    ----------
    components : leading principal components of each layer; 0 for all.
    squared : mean of the squared correlations instead of the correlations.
    """

    variance: ClassVar[float] = FULL
    components: int = 0
    squared: bool = False

    def check(self) -> None:
        if "pca=" in self.stem and self.components < 1:
            raise RsaError(f"measure {self.name!r}: pca is at least 1")

    def estimate(self, joint: Joint) -> Table:
        few, notes = thinned(joint)
        whole = views(few, FULL)
        found = [None if v is None else v.cut(self.components or None) for v in whole]
        kept = sizes(found)
        if self.components:
            # fewer where rows demand it, so that no correlation is 1 by counting
            kept = np.minimum(kept, max((few.rows - 1) // 2, 1))
            found = [None if v is None else v.cut(k) for v, k in zip(found, kept, strict=True)]
            less = np.flatnonzero((kept < self.components) & (kept > 0))
            if len(less):
                text = (
                    f"{len(less)} layers have fewer components, {few.name(less[0])} {kept[less[0]]}"
                )
                notes.append((frozenset(), text))
        cells = [
            (i, j) for i, j in few.pairs() if kept[i] and kept[j] and kept[i] + kept[j] <= few.rows
        ]
        solved = few.spread(lambda c: self._cell(few, whole, found, c), cells)
        value = symmetric(len(joint), cells, np.array([v for v, _ in solved]))
        low, high = interval(few, value, cells, [effect for _, effect in solved])
        draws = (self._squared_draws if self.squared else self._draws)(few, found, cells)
        draws[:, np.isnan(value)] = np.nan
        mean = {}
        if self.squared and few.grouping.single:
            mean["mean"] = np.maximum.outer(kept, kept) / (few.rows - 1)
        notes += too_few_rows(few, kept)
        return Table(
            value,
            low,
            high,
            by_draws(draws, **mean),
            {"components": kept},
            constant_note(joint) + notes,
        )

    def _cell(
        self, joint: Joint, whole: list, found: list, place: tuple[int, int]
    ) -> tuple[float, np.ndarray]:
        """Value of a pair of layers, and the influence of each group on it."""
        i, j = place
        x, y = found[i], found[j]
        if i == j:
            return 1.0, np.zeros(joint.grouping.groups)
        smaller = min(x.scores.shape[1], y.scores.shape[1])
        if self.squared:
            c = x.scores.T @ y.scores
            into_y, into_x = x.scores @ c, y.scores @ c.T
            row = 2 * (into_y * y.scores).sum(axis=1)
            row -= (into_y**2).sum(axis=1) + (into_x**2).sum(axis=1)
            value, slope = float((c**2).sum() / smaller), 2 * c / smaller
            effect = joint.grouping.sum_by_group(row * joint.rows / smaller)
        else:
            both = canonical(x, y)
            value = float(both.correlations.sum() / smaller)
            slope = both.left @ both.right.T / smaller
            effect = influences(joint, both, x, y).sum(axis=1) / smaller
        effect = effect + cut_influence(joint, whole[i], x, y, slope)
        return value, effect + cut_influence(joint, whole[j], y, x, slope.T)

    def _draws(self, joint: Joint, found: list, cells: list[tuple[int, int]]) -> np.ndarray:
        def turn(index: int, order: np.ndarray) -> np.ndarray:
            return moved(joint, found[index], order).scores

        scores = [None if v is None else v.scores for v in found]
        operations = svd_cost(joint.rows, sizes(found), cells)
        return chance(
            joint, scores, turn, cells, operations, lambda _i, _j, c: singular_sum(c) / min(c.shape)
        )

    def _squared_draws(
        self, joint: Joint, found: list[View | None], cells: list[tuple[int, int]]
    ) -> np.ndarray:
        """|Q_y' Q_x|^2 from tiles of the projections Q Q' of all layers: linear in the layers."""
        kept, rows, count = sizes(found), float(joint.rows), len(found)
        width = kept.astype(float)
        by_tiles = rows**2 * (width.sum() * (1 + 1 / TOGETHER) + 2 * count**2)
        by_pairs = sum(2 * rows * width[i] * width[j] for i, j in cells)
        operations = max(min(by_tiles, by_pairs), 1.0)
        used = joint.permutations[: max(int(ALL_DRAWS / operations), FEWEST_DRAWS)]
        nothing = np.zeros((joint.rows, 1), dtype=np.float32)

        def turned(order: np.ndarray) -> list[np.ndarray]:
            return [
                nothing if v is None else moved(joint, v, order).scores.astype(np.float32)
                for v in found
            ]

        scores = turned(np.arange(joint.rows))
        draws = np.zeros((len(used), count, count))
        side = min(TILE, int(np.sqrt(ROOM / (count * (1 + TOGETHER)))))
        edges = np.linspace(0, joint.rows, -(-joint.rows // side) + 1).astype(int)
        for start in range(0, len(used), TOGETHER):
            orders = used[start : start + TOGETHER]
            y = [z for order in orders for z in turned(order)]
            if by_tiles <= by_pairs:
                both = (scores, y)
                sums = inner(both, both, edges, edges, team=joint.team).sum(axis=(0, 1))
                sums = sums.reshape(count, len(orders), count).transpose(1, 0, 2)
            else:
                sums = np.zeros((len(orders), count, count))
                for draw in range(len(orders)):
                    moved_to = y[draw * count : (draw + 1) * count]
                    drawn = joint.spread(
                        lambda c, z=moved_to: np.linalg.norm(scores[c[0]].T @ z[c[1]]) ** 2, cells
                    )
                    sums[draw] = np.nan_to_num(symmetric(count, cells, np.array(drawn)))
            draws[start : start + TOGETHER] = np.triu(sums)
        draws += np.triu(draws, 1).transpose(0, 2, 1)
        return draws / np.maximum(np.minimum.outer(kept, kept), 1)


_STEPS = "Q an orthonormal basis of the centred layer, rho the singular values of Q_x' Q_y; "
_SOURCE = "Kornblith et al. 2019, arXiv:1905.00414, table 1"
_WHOLE = frozenset(
    {"translation", "isotropic scaling", "permutation", "orthogonal", "invertible linear"}
)
_MANY = (
    "Unrelated layers reach about the larger width over the rows (R2), more where rows of a track "
    "are alike: read it against chance. "
)
_NOISE = "Directions of noise count as much as strong ones."


def _measure(squared: bool, components: int) -> Subspaces:
    name, mean = ("r2", "|Q_y' Q_x|^2 / min(p, q)") if squared else ("mean", "mean rho")
    title = "R2 of CCA" if squared else "Mean CCA"
    cut = ", {components} components" if components else ""
    said = "squared canonical correlation" if squared else "canonical correlation"
    return Subspaces(
        stem=f"cca:{name}" + (",pca={components}" if components else ""),
        heading=title + cut,
        family="cca",
        formula=("leading components of each layer; " if components else "") + _STEPS + mean,
        source=_SOURCE,
        says=f"The mean {said}"
        + (
            " between the leading directions of two layers: how much of one a linear map of the "
            "other gives, whatever the directions' strengths."
            if components
            else ": what linear maps of two layers can have in common, whatever the strength of "
            "their directions. No invertible linear map of either layer changes it."
        ),
        beware=_MANY + ("" if components else "Not defined below rows >= p + q. ") + _NOISE,
        needs="moments",
        range=(0.0, 1.0),
        invariances=_WHOLE - ({"invertible linear"} if components else set()),
        minimum_rows=4,
        components=components,
        squared=squared,
    )


R2, MEAN = _measure(True, 0), _measure(False, 0)
R2_CUT, MEAN_CUT = _measure(True, 50), _measure(False, 50)

MEASURES = (R2, MEAN, R2_CUT, MEAN_CUT)
