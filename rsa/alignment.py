"""Centred kernel alignment with linear kernels: biased, debiased, and debiased by tracks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsa.inference import jackknife
from rsa.joint import Joint
from rsa.measure import Measure, Null, Table, constant_note

_LINEAR = frozenset({"translation", "isotropic scaling", "permutation", "orthogonal"})


@dataclass(frozen=True, kw_only=True)
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
        notes = constant_note(joint) + self._signal_notes(joint, own[0])
        if joint.grouping.blocks < 2:
            notes.append((frozenset(), "one group of rows: no interval, no chance"))
        return Table(value, low, high, self._null(joint, scale[0]), {}, notes)

    def _signal_notes(self, joint: Joint, own: np.ndarray) -> list:
        if self.kind == "track-debiased" and joint.grouping.groups < 4:
            return [(frozenset(), f"{joint.grouping.groups} groups are too few: 4 are needed")]
        weak = np.flatnonzero(~(own > 0) & ~joint.constant)
        return [
            (frozenset([i]), f"{joint.name(i)} shows no signal above its noise at this many rows")
            for i in weak
        ]

    def _null(self, joint: Joint, scale: np.ndarray) -> Null:
        with np.errstate(invalid="ignore", divide="ignore"):
            draws = joint.null_hsic[self.kind] / scale[:, None] / scale[None, :]
        # the draw (y, x) is the draw (x, y) under the inverse rearrangement
        by = f"permutation of groups, {len(draws)} draws and their inverses"
        draws = np.concatenate([draws, draws.transpose(0, 2, 1)])
        single = joint.grouping.single
        if self.kind == "track-debiased" or (self.kind == "debiased" and single):
            return Null(f"mean zero by construction; {by}", draws, np.zeros(draws.shape[1:]))
        if self.kind == "biased" and single:
            # root of the participation ratio (tr K)^2 / |K|^2; layers have unit mean square
            root = joint.rows * joint.widths / (scale * (joint.rows - 1))
            mean = np.outer(root, root) / (joint.rows - 1)
            return Null(f"mean in closed form; {by}", draws, mean)
        return Null(by, draws)


def _cka(kind: str, title: str, source: str, low: float | None, rows: int) -> LinearCKA:
    pairs = {
        "biased": "all pairs of rows",
        "debiased": "pairs of different rows",
        "track-debiased": "pairs of rows of different groups",
    }[kind]
    return LinearCKA(
        stem=f"cka:linear,{kind}",
        title=title,
        family="cka",
        formula=f"HSIC(K,L) / (sqrt HSIC(K,K) sqrt HSIC(L,L)), K = XX', L = YY', over {pairs}",
        source=source,
        says="",
        beware="",
        needs="moments",
        range=(low, 1.0 if kind == "biased" else None),
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

MEASURES = (TRACK_DEBIASED, DEBIASED, BIASED)
