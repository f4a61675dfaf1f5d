"""Centred kernel alignment with linear kernels: biased, debiased, and debiased by tracks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsa.inference import jackknife, null_level
from rsa.joint import Joint
from rsa.measure import Measure, Table, constant_note

_LINEAR = frozenset({"translation", "isotropic scaling", "permutation", "orthogonal"})


@dataclass(frozen=True)
class LinearCKA(Measure):
    """HSIC(K, L) / (sqrt HSIC(K, K) sqrt HSIC(L, L)) with one estimator of HSIC throughout.

    Attributes
    ----------
    kind : which estimator; see `rsa.hsic`.
    """

    kind: str = "debiased"

    def estimate(self, joint: Joint) -> Table:
        kept = joint.hsic[self.kind]
        own = np.einsum("bii->bi", kept)
        with np.errstate(invalid="ignore", divide="ignore"):
            scale = np.sqrt(np.where(own > 0, own, np.nan))
            values = kept / scale[:, :, None] / scale[:, None, :]
        itself = np.arange(len(joint))
        values[:, itself, itself] = np.where(np.isnan(scale), np.nan, 1.0)
        value = values[0]
        low, high = jackknife(value, values[1:])
        chance, level, chance_by, notes = self._chance(joint, scale[0])
        notes = constant_note(joint) + self._signal_notes(joint, own[0]) + notes
        if joint.grouping.blocks < 2:
            notes.append((frozenset(), "one group of rows: no interval, no chance"))
        undefined = np.isnan(value)
        chance, level = np.where(undefined, np.nan, chance), np.where(undefined, np.nan, level)
        return Table(value, low, high, chance, level, chance_by, {}, notes)

    def _signal_notes(self, joint: Joint, own: np.ndarray) -> list:
        if self.kind == "track-debiased" and joint.grouping.groups < 4:
            return [(frozenset(), f"{joint.grouping.groups} groups are too few: 4 are needed")]
        weak = np.flatnonzero(~(own > 0) & ~joint.constant)
        return [
            (frozenset([i]), f"{joint.name(i)} shows no signal above its noise at this many rows")
            for i in weak
        ]

    def _chance(self, joint: Joint, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray, str, list]:
        with np.errstate(invalid="ignore", divide="ignore"):
            draws = joint.null_hsic[self.kind] / scale[:, None] / scale[None, :]
        # the draw (y, x) is the draw (x, y) under the inverse rearrangement
        mean, level = null_level(np.concatenate([draws, draws.transpose(0, 2, 1)]))
        count = len(draws)
        by = f"permutation of groups, {count} draws"
        notes = [(frozenset(), f"chance_high: Pearson III level of a {by}, and their inverses")]
        single = joint.grouping.single
        if self.kind == "track-debiased" or (self.kind == "debiased" and single):
            exact, by = np.zeros_like(mean), "zero by construction"
        elif self.kind == "biased" and single:
            # root of the participation ratio (tr K)^2 / |K|^2; layers have unit mean square
            root = joint.rows * joint.widths / (scale * (joint.rows - 1))
            exact, by = np.outer(root, root) / (joint.rows - 1), "closed form"
        else:
            return mean, level, by, notes
        return exact, exact + (level - mean), by, notes


def _cka(kind: str, title: str, source: str, low: float | None, rows: int) -> LinearCKA:
    pairs = {
        "biased": "all pairs of rows",
        "debiased": "pairs of different rows",
        "track-debiased": "pairs of rows of different groups",
    }[kind]
    return LinearCKA(
        name=f"cka:linear,{kind}",
        title=title,
        family="cka",
        formula=f"HSIC(K,L) / (sqrt HSIC(K,K) sqrt HSIC(L,L)), K = XX', L = YY', over {pairs}",
        source=source,
        range=(low, 1.0 if kind == "biased" else None),
        symmetric=True,
        invariances=_LINEAR,
        minimum_rows=rows,
        kind=kind,
    )


BIASED = _cka("biased", "Linear CKA", "Kornblith et al. 2019, arXiv:1905.00414, eq. 2", 0.0, 4)
DEBIASED = _cka(
    "debiased",
    "Debiased linear CKA",
    "Song et al. 2012 (JMLR 13), eq. 4; Murphy et al. 2024, arXiv:2405.01012",
    None,
    4,
)
TRACK_DEBIASED = _cka(
    "track-debiased",
    "Track-debiased linear CKA",
    "Song et al. 2012 (JMLR 13), eq. 4, with every pair of rows of one group left out",
    None,
    4,
)
