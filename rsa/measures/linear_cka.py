"""Centred kernel alignment with linear kernels: biased, debiased, and debiased by tracks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rsa.errors import RsaError
from rsa.hsic.leading import THINNED, leading
from rsa.hsic.linear import drawn_hsic, layer_traces, linear_hsic, visits, without_leading
from rsa.hsic.permutation import invariants, moments, tail
from rsa.inference.intervals import jackknife
from rsa.measures.base import Measure, Null, Table, constant_note
from rsa.rows.joint import Joint

_LINEAR = frozenset({"translation", "isotropic scaling", "permutation", "orthogonal"})
# most leading components that may be taken out
MOST = 64


@dataclass(frozen=True, kw_only=True)
class LinearCKA(Measure):
    """HSIC(K, L) / (sqrt HSIC(K, K) sqrt HSIC(L, L)) with one estimator of HSIC throughout.

    Attributes
    ----------
    kind : which estimator; see `rsa.hsic.estimators`.
    components : leading principal components taken out of each layer first.
    """

    kind: str = "debiased"
    components: int = 0

    def check(self) -> None:
        if "{components}" in self.stem and not 1 <= self.components <= MOST:
            raise RsaError(f"measure {self.name!r}: without is a number from 1 to {MOST}")

    def estimate(self, joint: Joint) -> Table:
        without = self.components
        kept = joint.shared(("hsic", without), lambda: linear_hsic(joint, without))[self.kind]
        own = np.einsum("bii->bi", kept)
        empty = self._empty(joint)
        with np.errstate(invalid="ignore", divide="ignore"):
            scale = np.sqrt(np.where((own > 0) & ~empty, own, np.nan))
            values = kept / scale[:, :, None] / scale[:, None, :]
        itself = np.arange(len(joint))
        values[:, itself, itself] = np.where(np.isnan(scale), np.nan, 1.0)
        values[:, ~joint.wanted] = np.nan
        low, high = jackknife(values[0], values[1:], units=joint.grouping.units)
        inferred = joint.draws > 0 or joint.grouping.blocks > 1
        extra = {"first_share": _first_share(joint)} if inferred else {}
        null = self._null(joint, scale[0])
        notes = self._notes(joint, own[0], empty)
        left_out = values[1:] if len(values) > 2 else None
        return Table(values[0], low, high, null, extra, notes, left_out)

    def _empty(self, joint: Joint) -> np.ndarray:
        """[layers] bool: nothing is left without the components."""
        if not self.components:
            return joint.constant
        found = leading(joint, self.components)
        return np.array([one is None or one.spans(self.components) for one in found])

    def _notes(self, joint: Joint, own: np.ndarray, empty: np.ndarray) -> list:
        notes = constant_note(joint)
        if joint.grouping.blocks < 2 and joint.grouping.groups < 2:
            notes.append((frozenset(), "one group of rows: no interval, no chance"))
        if joint.huge:
            text = f"layers do not fit in memory: rows are read in stretches, {visits(joint)} times"
            notes.append((frozenset(), text))
        if self.components:
            text = "interval and chance: the components that are taken out are held fixed"
            if joint.huge:
                text += f"; they are those of {THINNED} rows"
            notes.append((frozenset(), text))
        for i in np.flatnonzero(empty & ~joint.constant):
            text = f"nothing is left of {joint.name(i)} without {self.components} components"
            notes.append((frozenset([int(i)]), text))
        if self.kind == "track-debiased" and joint.grouping.groups < 4:
            text = f"{joint.grouping.groups} groups are too few: 4 are needed"
            return [*notes, (frozenset(), text)]
        for i in np.flatnonzero(~(own > 0) & ~empty):
            text = f"{joint.name(i)} shows no signal above its noise at this many rows"
            notes.append((frozenset([int(i)]), text))
        return notes

    def _null(self, joint: Joint, scale: np.ndarray) -> Null:
        if joint.grouping.single:
            return self._closed_form(joint, scale)
        if joint.grouping.groups < 2 or joint.draws == 0:
            return Null("not asked for" if joint.grouping.groups > 1 else "one group: not known")
        if joint.huge:
            return self._thinned(joint)
        return self._drawn(joint, scale)

    def _drawn(self, joint: Joint, scale: np.ndarray) -> Null:
        without = self.components
        draws = joint.shared(("drawn hsic", without), lambda: drawn_hsic(joint, without))[self.kind]
        with np.errstate(invalid="ignore", divide="ignore"):
            draws = draws / scale[:, None] / scale[None, :]
        # the draw (y, x) is the draw (x, y) under the inverse rearrangement
        by = f"permutation of groups, {len(draws)} draws and their inverses"
        draws = np.concatenate([draws, draws.transpose(0, 2, 1)])
        if self.kind == "track-debiased":
            return Null(f"mean zero by construction; {by}", draws, np.zeros(draws.shape[1:]))
        return Null(by, draws)

    def _thinned(self, joint: Joint) -> Null:
        if self.kind == "biased":
            return Null(
                "not known: it depends on the number of rows, which are too many to permute"
            )
        fewer = joint.thinned(THINNED)
        own = np.diagonal(linear_hsic(fewer, self.components)[self.kind][0])
        null = self._drawn(fewer, np.sqrt(np.where(own > 0, own, np.nan)))
        text = f"{null.by}, on {fewer.rows} of {joint.rows} rows: more than of all rows"
        return replace(null, by=text)

    def _closed_form(self, joint: Joint, scale: np.ndarray) -> Null:
        """Exact mean and moments under permutations of rows, which are all exchangeable."""
        n = joint.rows
        mean = np.where(np.isnan(scale[:, None] + scale[None, :]), np.nan, 0.0)
        form, factor = "debiased", n * (n - 3)
        if self.kind == "biased":
            form, factor = "biased", (n - 1) ** 2
            # root of the participation ratio (tr K)^2 / |K|^2
            root = layer_traces(joint, self.components) / (scale * (n - 1))
            mean = np.outer(root, root) / (n - 1)
        if joint.draws == 0:
            return Null("mean in closed form", mean=mean)
        key = ("invariants", self.components)
        known = joint.shared(key, lambda: self._invariants(joint))
        spreads, skewness = moments([None if k is None else k[form] for k in known], n)
        with np.errstate(invalid="ignore", divide="ignore"):
            spreads = spreads / (scale[:, None] * scale[None, :] * factor)
            value = joint.shared(("hsic", self.components), dict)[self.kind][0]
            z = (value / scale[:, None] / scale[None, :] - mean) / spreads
        level, p = tail(z, skewness)
        by = "permutations of rows: mean, variance and skewness in closed form, Pearson III tail"
        return Null(by, mean=mean, level=mean + level * spreads, p=p)

    def _invariants(self, joint: Joint) -> list:
        layers = joint.layers(
            without_leading(joint, self.components), np.float32 if joint.rows > 500 else np.float64
        )
        empty = self._empty(joint)

        def one(index: int):
            if empty[index]:
                return None
            return invariants(layers, index, joint.rows, joint.team, joint.own)

        if joint.own is not None:  # sums of several processes: layer after layer
            return [one(index) for index in range(len(joint))]
        return joint.spread(one, range(len(joint)))


def _first_share(joint: Joint) -> np.ndarray:
    """[layers] share of the variance that the first principal component holds."""
    return np.array([np.nan if one is None else one.share[0] for one in leading(joint)])


_PAIRS = {
    "biased": "all pairs of rows",
    "debiased": "pairs of different rows",
    "track-debiased": "pairs of rows of different groups",
}
_FORMULA = "HSIC(K,L) / (sqrt HSIC(K,K) sqrt HSIC(L,L)), K = XX', L = YY', over "
_SOURCES = {
    "biased": "Kornblith et al. 2019, arXiv:1905.00414, eq. 2",
    "debiased": "Song et al. 2012 (JMLR 13), eq. 4; Murphy et al. 2024, arXiv:2405.01012",
    "track-debiased": "Song et al. 2012 (JMLR 13), eq. 4, every pair of rows of one group left out",
}


def _cka(kind: str, title: str, says: str, beware: str) -> LinearCKA:
    return LinearCKA(
        stem=f"cka:linear,{kind}",
        heading=title,
        family="cka",
        formula=_FORMULA + _PAIRS[kind],
        source=_SOURCES[kind],
        says=says,
        beware=beware,
        needs="moments",
        range=(0.0 if kind == "biased" else None, 1.0 if kind == "biased" else None),
        invariances=_LINEAR,
        minimum_rows=4,
        kind=kind,
    )


TRACK_DEBIASED = _cka(
    "track-debiased",
    "Linear CKA, track-debiased",
    "How far two layers put the same tracks near each other and the same tracks apart, as their "
    "strongest directions see it: 1 when one is a rotation and scaling of the other, 0 on average "
    "when they have nothing to do with each other.",
    "A few directions of large variance decide it, so two layers may agree here and differ in all "
    "that a probe reads. It compares tracks, not moments within a track.",
)

DEBIASED = _cka(
    "debiased",
    "Linear CKA, debiased",
    "How far two layers put the same rows near each other and the same rows apart, as their "
    "strongest directions see it: 1 when one is a rotation and scaling of the other, 0 on average "
    "for unrelated layers when every row is a track of its own.",
    "Rows of one track resemble each other in every layer, and that alone lifts it above 0: with "
    "several rows a track, read the value debiased by track.",
)

BIASED = _cka(
    "biased",
    "Linear CKA, biased",
    "The value that most papers print: the same comparison, with every row also compared with "
    "itself.",
    "Wide layers and few rows push it towards 1 even when the layers are unrelated. Values of "
    "layers of other widths, or over other numbers of rows, cannot be compared; hold it against "
    "chance or read a debiased one.",
)

WITHOUT = LinearCKA(
    stem="cka:linear,track-debiased,without={components}",
    heading="Linear CKA without top {components}",
    family="cka",
    formula=_FORMULA
    + _PAIRS["track-debiased"]
    + ", after the leading principal components of each layer are taken out",
    source="Nguyen et al. 2021, arXiv:2010.15327, sec. 5; " + _SOURCES["track-debiased"],
    says="How alike two layers are beyond their strongest directions: where it stays high, the "
    "likeness does not hang on one or a few components.",
    beware="What is taken out of one layer need not be what is taken out of the other. A low value "
    "beside a high one with all components says that the likeness is theirs, not that it is false.",
    needs="moments",
    range=(None, None),
    invariances=_LINEAR,
    minimum_rows=4,
    kind="track-debiased",
    components=1,
)

MEASURES = (
    TRACK_DEBIASED,
    DEBIASED,
    BIASED,
    *(replace(WITHOUT, components=k) for k in (1, 5)),
)
