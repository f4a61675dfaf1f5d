"""Alignment of two shapes by the best rotation: Procrustes, Bures and angular shape distances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rsa.errors import RsaError
from rsa.measures.base import Measure, Table, constant_note
from rsa.measures.decompositions import (
    FULL,
    View,
    by_draws,
    chance,
    interval,
    leverage,
    noise_edge,
    singular,
    singular_sum,
    sizes,
    sureness,
    svd_cost,
    symmetric,
    thinned,
    views,
    weight,
)
from rsa.rows.joint import Joint

# where the cosine is this near 1 the distance is taken from the residual of the rotation instead
NEAR = 1e-5
# a distance this small is that of a copy: rounding alone, without an influence
COPY = 1e-7


@dataclass(frozen=True)
class Alignment:
    """Best rotation of all pairs of layers.

    Attributes
    ----------
    cells : pairs (i, j) with two layers that vary.
    cosine, chord : of each cell: s = |A'B|_* and min |A - BQ|_F = sqrt(2 - 2s), with A and B the
        (partly whitened) layers at unit norm.
    influence : of each cell, [groups], on s.
    draws : [draws, layers, layers] s under rearranged groups.
    components : [layers].
    """

    cells: list[tuple[int, int]]
    cosine: np.ndarray
    chord: np.ndarray
    influence: list[np.ndarray]
    draws: np.ndarray
    components: np.ndarray


def whitened_scale(view: View, alpha: float) -> np.ndarray:
    """[k] singular values to the power alpha, at unit norm."""
    power = (view.scale / view.scale[0]) ** alpha
    return power / np.sqrt((power**2).sum())


def divided_difference(scale: np.ndarray, alpha: float) -> np.ndarray:
    """[k, k] how the whitening follows a change of the covariance (Daleckii and Krein 1965).

    For variances l and the power -(1 - alpha)/2, symmetrised and in units of the components:
    -sinh(b t)/(2 sinh(t/2)) with t = ln l_i - ln l_j and b = (1 - alpha)/2; -b on the diagonal.
    """
    beta = (1 - alpha) / 2
    half = np.abs(np.subtract.outer(np.log(scale), np.log(scale)))  # t / 2
    with np.errstate(invalid="ignore"):
        ratio = np.exp((2 * beta - 1) * half) * np.expm1(-4 * beta * half) / np.expm1(-2 * half)
    return np.where(half > 1e-9, -ratio / 2, -beta)


def aligned(joint: Joint, alpha: float) -> Alignment:
    """Rotations, influences and chance for all pairs of layers."""
    found = views(joint, FULL)
    scales = [None if v is None else whitened_scale(v, alpha) for v in found]
    inner = [
        divided_difference(v.scale, alpha) if v is not None and alpha < 1 else None for v in found
    ]
    kept = sizes(found)
    cells = [(i, j) for i, j in joint.pairs() if kept[i] and kept[j]]

    whole = [None if v is None else v.scores * s for v, s in zip(found, scales, strict=True)]
    light = [None if a is None else a.astype(np.float32) for a in whole]
    of_row = [None if a is None else (a**2).sum(axis=1) for a in whole]
    # the participation ratio says over how many directions a layer's weight is spread
    weights = [
        None if v is None else weight(joint, v.scores * (s / np.sqrt((s**4).sum())))
        for v, s in zip(found, scales, strict=True)
    ]

    def cell(place: tuple[int, int]) -> tuple[float, float, np.ndarray]:
        i, j = place
        if i == j:
            return 1.0, 0.0, np.zeros(joint.grouping.groups)
        a, b = whole[i], whole[j]
        left, values, right = singular(a.T @ b)
        cosine = float(values.sum())
        chord = np.sqrt(max(2 - 2 * cosine, 0.0))
        if 1 - cosine < NEAR:
            chord = residual(a, b)
            cosine = 1 - chord**2 / 2
        row = ((light[i] @ np.float32(left @ right.T)) * light[j]).sum(axis=1, dtype=float)
        row -= alpha * cosine / 2 * (of_row[i] + of_row[j])
        for k, part, mix in ((i, left, inner[i]), (j, right, inner[j])):
            if mix is not None:
                curve = (part * values) @ part.T * mix
                row += ((found[k].scores @ curve) * found[k].scores).sum(axis=1)
        effect = joint.grouping.sum_by_group(joint.rows * (row - row.mean()))
        sure = sureness(values, noise_edge(joint, light[i], light[j])) @ values / values.sum()
        return cosine, chord, effect * leverage(weights[i], weights[j]) * sure

    solved = joint.spread(cell, cells)
    cosine, chord, influence = zip(*solved, strict=True) if cells else ((), (), ())

    def turn(index: int, order: np.ndarray) -> np.ndarray:
        y = whole[index][order]
        if joint.grouping.exact_permutations:
            return y
        y = y - y.mean(axis=0)  # groups that were stretched leave it neither centred nor scaled
        return y / np.linalg.norm(y)

    operations = svd_cost(joint.rows, kept, cells)
    draws = chance(joint, whole, turn, cells, operations, lambda _i, _j, c: singular_sum(c))
    return Alignment(cells, np.array(cosine), np.array(chord), list(influence), draws, kept)


def residual(a: np.ndarray, b: np.ndarray) -> float:
    """min |A - BQ|_F itself, for layers so near that 2 - 2s would lose its digits."""
    left, _, right = np.linalg.svd(a.T @ b, full_matrices=False)
    u, v = a @ left, b @ right.T
    beyond = [
        np.vdot(c, c) - np.vdot(w, w) if c.shape[1] > w.shape[1] else 0.0
        for c, w in ((a, u), (b, v))
    ]
    return float(np.sqrt(np.vdot(u - v, u - v) + max(sum(beyond), 0.0)))


@dataclass(frozen=True, kw_only=True)
class Shape(Measure):
    """A function of the cosine s between two layers after the best rotation.

    Attributes
    ----------
    alpha : 1 for the layers as they are, 0 for fully whitened ones.
    kind : `cosine`, `chord` (sqrt(2 - 2s)) or `angle` (arccos s).
    """

    variance: ClassVar[float] = FULL
    alpha: float = 1.0
    kind: str = "angle"

    def check(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise RsaError(f"measure {self.name!r}: alpha is from 0 to 1")

    def estimate(self, joint: Joint) -> Table:
        few, notes = thinned(joint)
        found = few.shared(("aligned", self.alpha), lambda: aligned(few, self.alpha))
        of_cells, slope = self._of(found.cosine, found.chord)
        value = symmetric(len(joint), found.cells, of_cells)
        effects = [s * effect for s, effect in zip(slope, found.influence, strict=True)]
        low, high = interval(few, value, found.cells, effects)
        drawn = np.minimum(found.draws, 1.0)  # a cosine; rounding alone takes it over 1
        draws, _ = self._of(drawn, np.sqrt(2 - 2 * drawn))
        extra = {"components": found.components}
        if self.kind != "cosine":
            extra["cosine"] = symmetric(len(joint), found.cells, found.cosine)
        if self.alpha < 1:
            notes.append((frozenset(), "whitened over the components above 1e-12 of the variance"))
        return Table(value, low, high, by_draws(draws), extra, constant_note(joint) + notes)

    def _of(self, cosine: np.ndarray, chord: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """This measure of a cosine and its chord, and its slope in the cosine."""
        if self.kind == "cosine":
            return cosine, np.ones_like(cosine)
        apart = np.where(chord > COPY, chord, np.inf)
        if self.kind == "chord":
            return chord, -1 / apart
        return 2 * np.arcsin(chord / 2), -1 / (apart * np.sqrt(1 - (chord / 2) ** 2))


_LINEAR = frozenset({"translation", "isotropic scaling", "permutation", "orthogonal"})
_BEST = "A, B the centred layers at unit norm, s = |A'B|_* the cosine after the best rotation; "
_WILLIAMS = "Williams et al. 2021, arXiv:2110.14739"

PROCRUSTES = Shape(
    stem="procrustes:orthogonal",
    heading="Procrustes distance",
    family="shape",
    formula=_BEST + "sqrt(2 - 2s) = min |A - BQ|_F over rotations Q",
    source="Ding et al. 2021, arXiv:2108.01661 (the root of their 2 - 2s); "
    "Schoenemann 1966 (Psychometrika 31)",
    says="How far apart two layers stay after the best rotation and scaling: 0 for equal shapes. "
    "It obeys the triangle inequality, so layers may be clustered and mapped by it.",
    beware="With few rows for the widths unrelated layers come close too: read it against chance. "
    "Directions with much variance decide.",
    range=(0.0, float(np.sqrt(2))),
    larger_is_more_similar=False,
    metric=True,
    invariances=_LINEAR,
    minimum_rows=4,
    kind="chord",
)

BURES = Shape(
    stem="bures:normalised",
    heading="Normalised Bures similarity",
    family="shape",
    formula=_BEST + "s = tr sqrt(sqrt(K) L sqrt(K)) / sqrt(tr K tr L), K and L the Gram matrices",
    source="Tang et al. 2020, arXiv:2003.11498; Harvey et al. 2023, arXiv:2311.11436",
    says="The part of two layers' variation that one rotation brings together: 1 for equal "
    "shapes, 0 when nothing is shared.",
    beware="It is far above 0 by chance when layers are wide and rows few: read the calibrated "
    "score, not the value.",
    range=(0.0, 1.0),
    invariances=_LINEAR,
    minimum_rows=4,
    kind="cosine",
)


def _angular(alpha: float, says: str, beware: str) -> Shape:
    return Shape(
        stem="shape:angular,alpha={alpha:g}",
        heading="Shape angle, alpha {alpha:g}",
        family="shape",
        formula="arccos |A'B|_*, A = X (X'X)^((alpha - 1) / 2) at unit norm, B likewise",
        source=f"{_WILLIAMS}; whitening by a power, so that scale does not matter",
        says=says,
        beware=beware,
        range=(0.0, float(np.pi / 2)),
        larger_is_more_similar=False,
        metric=True,
        unit="rad",
        invariances=_LINEAR,
        minimum_rows=4,
        alpha=alpha,
    )


ANGULAR = _angular(
    1.0,
    "The angle between two layers after the best rotation: 0 for equal shapes, pi/2 when nothing "
    "is shared. Angles obey the triangle inequality.",
    "Unrelated layers are nearer than pi/2 when rows are few: read it against chance. Directions "
    "with much variance decide.",
)

HALF_WHITENED = _angular(
    0.5,
    "The angle between two layers after the best rotation, with strong directions toned down: "
    "between Procrustes and canonical correlations.",
    "Weak directions, where noise lives, count for more than without whitening; it needs more "
    "rows.",
)

MEASURES = (PROCRUSTES, BURES, ANGULAR, HALF_WHITENED)
