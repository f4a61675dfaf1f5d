"""Every measure as a function of two matrices: `rsa.cka(x, y, groups=tracks)`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from rsa.comparison import compare, named
from rsa.errors import RsaError
from rsa.measures.base import Measure
from rsa.rows.grouping import check_groups
from rsa.rows.joint import DRAWS
from rsa.source import Matrices, check_whole

if TYPE_CHECKING:
    import torch

    Rows = np.ndarray | torch.Tensor

# measures at most that an error names
MOST_NAMES = 8


@dataclass(frozen=True)
class Estimate:
    """One measure of two matrices; the fields are those of a cell of `MeasureResult`.

    `float(estimate)` is its value.
    """

    measure: str
    value: float
    low: float
    high: float
    chance: float
    chance_high: float
    score: float
    p: float
    extra: dict[str, float]
    notes: tuple[str, ...]

    def __float__(self) -> float:
        return self.value


def pair(
    x: Rows,
    y: Rows,
    measure: str | Measure,
    *,
    groups: Sequence | np.ndarray | None = None,
    blocks: int = 32,
    seed: int = 0,
    draws: int = DRAWS,
    confound: Rows | None = None,
) -> Estimate:
    """One measure between two matrices [rows, p] and [rows, q]; see `compare`.

    `confound` [rows, any] stands for the input, for measures that take out what it makes alike.
    """
    meant = named(measure)
    if len(meant) > 1:
        names = ", ".join(each.name for each in meant[:MOST_NAMES])
        more = " ..." if len(meant) > MOST_NAMES else ""
        raise RsaError(f"measure {measure!r} is {len(meant)} measures: name one of {names}{more}")
    if confound is not None and "deconfounded" not in meant[0].name:
        raise RsaError(f"{meant[0].name} takes no confound: use 'cka:linear,deconfounded'")
    sides = [Matrices("x", {"x": x}), Matrices("y", {"y": y})]
    if confound is not None:
        sides.append(Matrices("confound", {"confound": confound}))
    for side in sides[1:]:
        if len(side) != len(sides[0]):
            raise RsaError(
                f"x has {len(sides[0])} rows and {side.name} has {len(side)}: "
                "give the same rows to both"
            )
    two = compare(
        *sides,
        measures=meant,
        pairs=[(0, 1)],
        groups=None if groups is None else check_groups(groups, len(sides[0])),
        blocks=blocks,
        seed=seed,
        draws=draws,
        confound=None if confound is None else (2, "confound"),
        structure=False,
        stability=False,
    ).between(0, 1)
    result = two.measures[0]
    numbers = {name: float(np.ravel(array)[0]) for name, array in result.extra.items()}
    cell = {
        name: float(getattr(result, name)[0, 0])
        for name in ("value", "low", "high", "chance", "chance_high", "score", "p")
    }
    return Estimate(measure=result.measure, **cell, extra=numbers, notes=result.notes)


def _choice(name: str, value: object, known: Sequence[str]) -> str:
    """One of a few words; `RsaError` with the nearest one, or with all."""
    if isinstance(value, str) and value in known:
        return value
    near = get_close_matches(str(value).lower(), known, 1, 0.5)
    cure = f"did you mean {near[0]!r}?" if near else f"use {' or '.join(map(repr, known))}"
    raise RsaError(f"{name}={value!r} is unknown: {cure}")


def _number(name: str, value: object, least: float = 0.0, most: float | None = None) -> str:
    """A number in digits, as in canonical names; `RsaError` when it is none, or out of range."""
    fits = isinstance(value, Real) and not isinstance(value, bool) and np.isfinite(value)
    if not fits or value < least or (most is not None and value > most):
        to = f" to {most:g}" if most is not None else " and up"
        raise RsaError(f"{name}={value!r}: a number from {least:g}{to} is needed")
    return np.format_float_positional(float(value), trim="-")


def cka(
    x: Rows,
    y: Rows,
    *,
    debiased: bool | str | None = None,
    kernel: str = "linear",
    sigma: float | None = None,
    without: int = 0,
    **options,
) -> Estimate:
    """Centred kernel alignment of two matrices.

    Parameters
    ----------
    x, y : [rows, p] and [rows, q], arrays or tensors.
    debiased : False (all pairs of rows), True (pairs of different rows) or `"track"` (pairs of
        rows of different groups). When None, by tracks if there are groups; without any the last
        two are one number.
    kernel : `linear` or `rbf`; `sigma`, 0.5 when None, is the width of the latter in units of the
        root of the median squared distance.
    without : leading principal components taken out of both first (linear, by tracks only).
    options : those of `pair`; with `confound` the input's similarity is taken out first (linear,
        by tracks only).
    """
    if debiased is not None and debiased not in (False, True, "track"):
        raise RsaError(f"debiased={debiased!r} is unknown: use False, True or 'track'")
    _choice("kernel", kernel, ("linear", "rbf"))
    check_whole("without", without, 0)
    by = f"debiased={debiased!r}"
    if kernel == "rbf":
        width = _number("sigma", 0.5 if sigma is None else sigma, 0, 1000)
        if debiased is not None and not debiased:
            raise RsaError(f"kernel='rbf' has no {by}: use debiased=True or 'track'")
    elif sigma is not None:
        raise RsaError(f"sigma={sigma!r} is the width of kernel='rbf': leave it out, or use that")
    for name, asked in (
        (f"without={without}", bool(without)),
        ("confound", options.get("confound") is not None),
    ):
        if asked and kernel == "rbf":
            raise RsaError(f"kernel='rbf' takes no {name}: use kernel='linear', or leave it out")
        if asked and debiased not in (None, "track"):
            raise RsaError(f"{name} has no {by}: use debiased='track'")
        if asked and name == "confound" and without:
            raise RsaError(f"confound takes no without={without}: leave one of them out")
    if options.get("confound") is not None:
        return pair(x, y, "cka:linear,deconfounded", **options)
    if without:
        return pair(x, y, f"cka:linear,track-debiased,without={without}", **options)
    if debiased is None:
        debiased = True if options.get("groups") is None else "track"
    kind = {False: "biased", True: "debiased", "track": "track-debiased"}[debiased]
    if kernel == "rbf":
        return pair(x, y, f"cka:rbf,sigma={width},{kind}", **options)
    return pair(x, y, f"cka:linear,{kind}", **options)


def cca_r2(x: Rows, y: Rows, *, components: int | None = None, **options) -> Estimate:
    """Mean squared canonical correlation, of all units or of leading components of each side."""
    return pair(x, y, "cca:r2" + _leading(components), **options)


def cca_mean(x: Rows, y: Rows, *, components: int | None = None, **options) -> Estimate:
    """Mean canonical correlation, of all units or of leading components of each side."""
    return pair(x, y, "cca:mean" + _leading(components), **options)


def _leading(components: int | None) -> str:
    """The part of a name that says how many components; nothing for whole layers."""
    return "" if components is None else f",pca={check_whole('components', components, 1)}"


def svcca(x: Rows, y: Rows, *, variance: float = 0.99, **options) -> Estimate:
    """SVCCA at a share of variance; options are those of `pair`."""
    return pair(x, y, f"svcca:var={_number('variance', variance, 0, 1)},mean", **options)


def pwcca(x: Rows, y: Rows, *, variance: float = 0.99, **options) -> Estimate:
    """Projection-weighted CCA; `extra` has the value weighted by each side's neurons."""
    return pair(x, y, f"pwcca:var={_number('variance', variance, 0, 1)},mean", **options)


def ridge_pwcca(x: Rows, y: Rows, *, components: int = 50, parts: int = 10, **options) -> Estimate:
    """Projection-weighted CCA with ridge penalties, on held-out groups."""
    check_whole("components", components, 1)
    check_whole("parts", parts, 2)
    return pair(x, y, f"pwcca:ridge,pca={components},cv={parts}", **options)


def procrustes(x: Rows, y: Rows, **options) -> Estimate:
    """Orthogonal Procrustes distance of two matrices of unit norm."""
    return pair(x, y, "procrustes:orthogonal", **options)


def bures(x: Rows, y: Rows, **options) -> Estimate:
    """Normalised Bures similarity."""
    return pair(x, y, "bures:normalised", **options)


def shape_angle(x: Rows, y: Rows, *, alpha: float = 1.0, **options) -> Estimate:
    """Angular shape distance in radians; `alpha` from 1 (rotations only) to 0 (whitened)."""
    return pair(x, y, f"shape:angular,alpha={_number('alpha', alpha, 0, 1)}", **options)


def predictivity(x: Rows, y: Rows, *, folds: int = 5, **options) -> Estimate:
    """Held-out R2 of y from x by ridge regression; `extra["reverse"]` is x from y."""
    check_whole("folds", folds, 2)
    return pair(x, y, f"predictivity:linear,cv={folds}", **options)


def rdm_correlation(x: Rows, y: Rows, *, kind: str = "spearman", **options) -> Estimate:
    """Correlation of the distances between rows: `spearman`, `rho-a` or `whitened`."""
    _choice("kind", kind, ("spearman", "rho-a", "whitened"))
    return pair(x, y, f"rdm:euclidean,{kind}", **options)


def mutual_neighbours(x: Rows, y: Rows, *, k: int = 10, **options) -> Estimate:
    """Share of the k nearest rows that both have in common."""
    check_whole("k", k, 1)
    return pair(x, y, f"knn:mutual,k={k}", **options)


def cknna(x: Rows, y: Rows, *, k: int = 10, **options) -> Estimate:
    """Centred kernel alignment over the neighbours that both have in common."""
    check_whole("k", k, 1)
    return pair(x, y, f"cknna:k={k}", **options)


def distance_correlation(x: Rows, y: Rows, **options) -> Estimate:
    """Bias-corrected distance correlation, over rows of different groups."""
    return pair(x, y, "dcor:track-debiased", **options)


def gaussian_mi(x: Rows, y: Rows, *, components: int = 20, **options) -> Estimate:
    """Held-out mutual information of a joint Gaussian, in bits."""
    check_whole("components", components, 1)
    return pair(x, y, f"mi:gaussian,pca={components},held-out", **options)


def ksg_mi(x: Rows, y: Rows, *, components: int = 3, k: int = 4, **options) -> Estimate:
    """Mutual information of few components by nearest neighbours, in bits."""
    check_whole("components", components, 1)
    check_whole("k", k, 1)
    return pair(x, y, f"mi:ksg,pca={components},k={k}", **options)


def critic_mi(x: Rows, y: Rows, *, kind: str = "infonce", components: int = 32, **options):
    """Held-out mutual information by a trained critic, `infonce` or `smile`, in bits."""
    _choice("kind", kind, ("infonce", "smile"))
    check_whole("components", components, 1)
    clip = ",clip=5" if kind == "smile" else ""
    return pair(x, y, f"mi:{kind}{clip},pca={components}", **options)


def sliced_mi(x: Rows, y: Rows, *, slices: int = 64, bins: int = 8, **options) -> Estimate:
    """Mean mutual information of random one-dimensional projections, in bits."""
    check_whole("slices", slices, 4)
    check_whole("bins", bins, 2)
    return pair(x, y, f"mi:sliced,slices={slices},bins={bins}", **options)


def max_sliced_mi(x: Rows, y: Rows, *, bins: int = 8, **options) -> Estimate:
    """Mutual information of the best one-dimensional projections, on held-out groups, in bits."""
    check_whole("bins", bins, 2)
    return pair(x, y, f"mi:max-sliced,bins={bins},held-out", **options)


def renyi_mi(x: Rows, y: Rows, *, sigma: float = 0.5, **options) -> Estimate:
    """Matrix-based Renyi mutual information of order 2, in bits."""
    return pair(x, y, f"mi:renyi,order=2,sigma={_number('sigma', sigma, 0, 1000)}", **options)
