"""The registry: every measure by its canonical string."""

from __future__ import annotations

from collections.abc import Iterable

from rsa import (
    cca,
    critics,
    distance,
    information,
    kernels,
    ksg,
    linear_cka,
    neighbors,
    predictivity,
    rdm,
    renyi,
    ridge,
    shape,
    sliced,
    subspaces,
)
from rsa.errors import RsaError
from rsa.measure import Measure

MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        *linear_cka.MEASURES,
        *cca.MEASURES,
        *subspaces.MEASURES,
        *ridge.MEASURES,
        *shape.MEASURES,
        *predictivity.MEASURES,
        *information.MEASURES,
        *ksg.MEASURES,
        *critics.MEASURES,
        *sliced.MEASURES,
        *kernels.MEASURES,
        *distance.MEASURES,
        *renyi.MEASURES,
        *rdm.MEASURES,
        *neighbors.MEASURES,
    )
}

DEFAULT: tuple[str, ...] = (
    "cka:linear,debiased",
    "cka:linear,track-debiased",
    "cka:linear,biased",
    "svcca:var=0.99,mean",
    "pwcca:var=0.99,mean",
    "mi:gaussian,pca=20,held-out",
)


def find(name: str) -> Measure | None:
    """The measure that a canonical string names, None when there is none.

    Its numbers may differ from the registry's; `RsaError` where they are out of range.
    """
    if name in MEASURES:
        return MEASURES[name]
    return next((m for base in MEASURES.values() if (m := base.named(name)) is not None), None)


def measure(name: str) -> Measure:
    """The measure that a canonical string names; `RsaError` when there is none."""
    if (found := find(name)) is None:
        raise RsaError(f"measure {name!r} is unknown: use one of {', '.join(MEASURES)}")
    return found


def resolve(names: Iterable[str | Measure]) -> list[Measure]:
    """Measures by name (or as they are), in order, without repeats."""
    chosen = [n if isinstance(n, Measure) else measure(n) for n in names]
    return list({m.name: m for m in chosen}.values())
