"""Every measure as a function of two matrices: `rsa.cka(x, y, groups=tracks)`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rsa.comparison import compare
from rsa.errors import RsaError
from rsa.measures.base import Measure
from rsa.rows.joint import DRAWS
from rsa.source import Matrices

if TYPE_CHECKING:
    import torch

    Rows = np.ndarray | torch.Tensor


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
    confound: np.ndarray | None = None,
) -> Estimate:
    """One measure between two matrices [rows, p] and [rows, q]; see `compare`.

    `confound` [rows, any] stands for the input, for measures that take out what it makes alike.
    """
    two = compare(
        Matrices("x", {"x": x}, groups),
        Matrices("y", {"y": y}, groups),
        *([] if confound is None else [Matrices("input", {"input": confound}, groups)]),
        measures=[measure],
        pairs=[(0, 1)],
        blocks=blocks,
        seed=seed,
        draws=draws,
        confound=None if confound is None else (2, "input"),
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


def cka(
    x: Rows,
    y: Rows,
    *,
    debiased: bool | str = True,
    kernel: str = "linear",
    sigma: float = 0.5,
    without: int = 0,
    **options,
) -> Estimate:
    """Centred kernel alignment of two matrices.

    Parameters
    ----------
    x, y : [rows, p] and [rows, q], arrays or tensors.
    debiased : False (all pairs of rows), True (pairs of different rows) or `"track"` (pairs of
        rows of different groups).
    kernel : `linear` or `rbf`; `sigma` is the width of the latter in units of the root of the
        median squared distance.
    without : leading principal components taken out of both first (track-debiased only).
    options : those of `pair`; with `confound` the input's similarity is taken out first.
    """
    kinds = {False: "biased", True: "debiased", "track": "track-debiased"}
    if debiased not in kinds:
        raise RsaError(f"debiased={debiased!r} is unknown: use False, True or 'track'")
    if kernel not in ("linear", "rbf"):
        raise RsaError(f"kernel={kernel!r} is unknown: use 'linear' or 'rbf'")
    if options.get("confound") is not None:
        return pair(x, y, "cka:linear,deconfounded", **options)
    if kernel == "rbf":
        return pair(x, y, f"cka:rbf,sigma={sigma:g},{kinds[debiased]}", **options)
    if without:
        return pair(x, y, f"cka:linear,track-debiased,without={without}", **options)
    return pair(x, y, f"cka:linear,{kinds[debiased]}", **options)


def cca_r2(x: Rows, y: Rows, *, components: int | None = None, **options) -> Estimate:
    """Mean squared canonical correlation, of all units or of leading components of each side."""
    return pair(x, y, "cca:r2" + (f",pca={components}" if components else ""), **options)


def cca_mean(x: Rows, y: Rows, *, components: int | None = None, **options) -> Estimate:
    """Mean canonical correlation, of all units or of leading components of each side."""
    return pair(x, y, "cca:mean" + (f",pca={components}" if components else ""), **options)


def svcca(x: Rows, y: Rows, *, variance: float = 0.99, **options) -> Estimate:
    """SVCCA at a share of variance; options are those of `pair`."""
    return pair(x, y, f"svcca:var={variance:g},mean", **options)


def pwcca(x: Rows, y: Rows, *, variance: float = 0.99, **options) -> Estimate:
    """Projection-weighted CCA; `extra` has the value weighted by each side's neurons."""
    return pair(x, y, f"pwcca:var={variance:g},mean", **options)


def ridge_pwcca(x: Rows, y: Rows, *, components: int = 50, parts: int = 10, **options) -> Estimate:
    """Projection-weighted CCA with ridge penalties, on held-out groups."""
    return pair(x, y, f"pwcca:ridge,pca={components},cv={parts}", **options)


def procrustes(x: Rows, y: Rows, **options) -> Estimate:
    """Orthogonal Procrustes distance of two matrices of unit norm."""
    return pair(x, y, "procrustes:orthogonal", **options)


def bures(x: Rows, y: Rows, **options) -> Estimate:
    """Normalised Bures similarity."""
    return pair(x, y, "bures:normalised", **options)


def shape_angle(x: Rows, y: Rows, *, alpha: float = 1.0, **options) -> Estimate:
    """Angular shape distance in radians; `alpha` from 1 (rotations only) to 0 (whitened)."""
    return pair(x, y, f"shape:angular,alpha={alpha:g}", **options)


def predictivity(x: Rows, y: Rows, *, folds: int = 5, **options) -> Estimate:
    """Held-out R2 of y from x by ridge regression; `extra["reverse"]` is x from y."""
    return pair(x, y, f"predictivity:linear,cv={folds}", **options)


def rdm_correlation(x: Rows, y: Rows, *, kind: str = "spearman", **options) -> Estimate:
    """Correlation of the distances between rows: `spearman`, `rho-a` or `whitened`."""
    return pair(x, y, f"rdm:euclidean,{kind}", **options)


def mutual_neighbours(x: Rows, y: Rows, *, k: int = 10, **options) -> Estimate:
    """Share of the k nearest rows that both have in common."""
    return pair(x, y, f"knn:mutual,k={k}", **options)


def cknna(x: Rows, y: Rows, *, k: int = 10, **options) -> Estimate:
    """Centred kernel alignment over the neighbours that both have in common."""
    return pair(x, y, f"cknna:k={k}", **options)


def distance_correlation(x: Rows, y: Rows, **options) -> Estimate:
    """Bias-corrected distance correlation, over rows of different groups."""
    return pair(x, y, "dcor:track-debiased", **options)


def gaussian_mi(x: Rows, y: Rows, *, components: int = 20, **options) -> Estimate:
    """Held-out mutual information of a joint Gaussian, in bits."""
    return pair(x, y, f"mi:gaussian,pca={components},held-out", **options)


def ksg_mi(x: Rows, y: Rows, *, components: int = 3, k: int = 4, **options) -> Estimate:
    """Mutual information of few components by nearest neighbours, in bits."""
    return pair(x, y, f"mi:ksg,pca={components},k={k}", **options)


def critic_mi(x: Rows, y: Rows, *, kind: str = "infonce", components: int = 32, **options):
    """Held-out mutual information by a trained critic, `infonce` or `smile`, in bits."""
    if kind not in ("infonce", "smile"):
        raise RsaError(f"kind={kind!r} is unknown: use 'infonce' or 'smile'")
    clip = ",clip=5" if kind == "smile" else ""
    return pair(x, y, f"mi:{kind}{clip},pca={components}", **options)


def sliced_mi(x: Rows, y: Rows, *, slices: int = 64, bins: int = 8, **options) -> Estimate:
    """Mean mutual information of random one-dimensional projections, in bits."""
    return pair(x, y, f"mi:sliced,slices={slices},bins={bins}", **options)


def max_sliced_mi(x: Rows, y: Rows, *, bins: int = 8, **options) -> Estimate:
    """Mutual information of the best one-dimensional projections, on held-out groups, in bits."""
    return pair(x, y, f"mi:max-sliced,bins={bins},held-out", **options)


def renyi_mi(x: Rows, y: Rows, *, sigma: float = 0.5, **options) -> Estimate:
    """Matrix-based Renyi mutual information of order 2, in bits."""
    return pair(x, y, f"mi:renyi,order=2,sigma={sigma:g}", **options)
