"""Centred kernel alignment beyond the linear kernel: Gaussian kernels, and the input's part out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsa.errors import RsaError
from rsa.measures.base import Table
from rsa.measures.relations import (
    Pairs,
    PairwiseMeasure,
    Relation,
    rows_of,
    squared_distances,
    unit,
)
from rsa.rows.joint import Joint

NO_WIDTH = "has the same values in most of its rows: no kernel width"
ROTATIONS = frozenset({"translation", "isotropic scaling", "permutation", "orthogonal"})


def gaussian_kernel(joint: Joint, index: int, pairs: Pairs, fraction: float) -> np.ndarray | None:
    """[rows, rows] exp(-d^2 / (2 sigma^2)).

    sigma^2 is fraction^2 times the median squared distance of these pairs; None where that is 0.
    """
    distances = squared_distances(joint, index)
    middle = float(np.median(distances.ravel()[pairs.upper]))
    if not middle > 0:
        return None
    kernel = distances * (-0.5 / (fraction**2 * middle))
    return np.exp(kernel, out=kernel)


@dataclass(frozen=True, kw_only=True)
class GaussianCKA(PairwiseMeasure):
    """CKA of Gaussian (RBF) kernels whose width is a fraction of the median distance.

    Attributes
    ----------
    fraction : the width sigma over the root of the median squared distance.
    """

    fraction: float = 0.5

    def check(self) -> None:
        if not 0 < self.fraction <= 1000:
            raise RsaError(f"measure {self.name!r}: sigma is above 0 and at most 1000")

    def relation(self, joint: Joint, index: int, pairs: Pairs) -> Relation:
        kernel = gaussian_kernel(joint, index, pairs, self.fraction)
        if kernel is None:
            return Relation(None, why=NO_WIDTH)
        counted = kernel.ravel()[pairs.upper]
        raw = float(np.linalg.norm(1 - counted))
        return unit(pairs.centred(kernel - 1), raw, mean_kernel=float(counted.mean()))


@dataclass(frozen=True, kw_only=True)
class DeconfoundedCKA(PairwiseMeasure):
    """Linear CKA after the input's similarities are regressed out of both sides."""

    def estimate(self, joint: Joint) -> Table:
        table = super().estimate(joint)
        if joint.confound is None:
            nothing = np.full_like(table.value, np.nan)
            notes = [(frozenset(), "no input representation was named: give `confound`")]
            return Table(nothing, nothing, nothing, table.null, {}, notes)
        return table

    def relation(self, joint: Joint, index: int, pairs: Pairs) -> Relation:
        if joint.confound is None:
            return Relation(None)
        x = rows_of(joint, index)
        gram = x @ x.T
        return unit(pairs.centred(gram), float(np.linalg.norm(gram[pairs.allowed])))

    def prepared(self, joint: Joint, entries: np.ndarray, missing: dict[int, str]) -> None:
        at = joint.confound
        if at is None or at in missing:
            missing |= {i: "cannot be freed of an input without relations"
                        for i in range(len(joint)) if i not in missing}  # fmt: skip
            return
        of_input = entries[..., at].astype(np.float64)
        for i in set(range(len(joint))) - set(missing):
            rest = entries[..., i].astype(np.float64)
            before = np.linalg.norm(rest)
            rest -= np.vdot(of_input, rest) / np.vdot(of_input, of_input) * of_input
            after = np.linalg.norm(rest)
            # entries are float32: what is left of a copy of the input is their rounding
            if i == at or not after > 1e-6 * before:
                missing[i] = "is the input's own similarity: nothing is left without it"
                rest[:] = 0.0
            entries[..., i] = rest / (after or 1.0)


def _rbf(kind: str, apart: bool) -> GaussianCKA:
    pairs = "rows of different groups" if apart else "different rows"
    return GaussianCKA(
        stem=f"cka:rbf,sigma={{fraction:g}},{kind}",
        heading="RBF CKA, across tracks" if apart else "RBF CKA",
        family="cka",
        formula=(
            f"sum K L / sqrt(sum K^2 sum L^2) over pairs of {pairs}; k = exp(-d^2 / (2 s^2)), "
            "s^2 = sigma^2 x the median d^2 of these pairs; K, L without their best r_i + r_j"
            + ("" if apart else " (U-centred: HSIC_1)")
        ),
        source="Kornblith et al. 2019, arXiv:1905.00414, sec. 4; Song et al. 2012 (JMLR 13), eq. 4",
        says=(
            "High where the same clips are close to each other in both layers; with a narrow "
            "kernel only close clips count."
        ),
        beware=(
            "The value depends on the kernel's width; as sigma grows it becomes linear CKA. "
            "The original takes the median over all entries, zeros on the diagonal too."
        ),
        range=(-1.0, 1.0),
        invariances=ROTATIONS,
        minimum_rows=4,
        apart=apart,
    )


RBF, RBF_APART = _rbf("debiased", False), _rbf("track-debiased", True)

DECONFOUNDED = DeconfoundedCKA(
    stem="cka:linear,deconfounded",
    heading="CKA without the input",
    family="cka",
    formula=(
        "sum K L / sqrt(sum K^2 sum L^2) over pairs of rows of different groups; K, L linear "
        "kernels without their best r_i + r_j and without their regression on the input's kernel"
    ),
    source="Cui et al. 2022, arXiv:2202.00095; Szekely and Rizzo 2014 (centring)",
    says=(
        "What two layers share beyond what the input's own similarities explain; near 0 if both "
        "only pass on the input."
    ),
    beware=(
        "Only the linear kernel of the one input representation named is taken out; a layer that "
        "bends the input keeps the bent part."
    ),
    range=(-1.0, 1.0),
    invariances=ROTATIONS,
    minimum_rows=4,
)

MEASURES = (RBF_APART, RBF, DECONFOUNDED)
