"""The registry: every measure by its canonical string."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from rsa.errors import RsaError
from rsa.measures.base import Measure

# one line a file of measures, in the order in which they are listed
_FILES = (
    "linear_cka",
    "kernels",
    "cca",
    "subspaces",
    "ridge",
    "shape",
    "predictivity",
    "rdm",
    "neighbors",
    "distance",
    "gaussian",
    "ksg",
    "critics",
    "sliced",
    "renyi",
)

MEASURES: dict[str, Measure] = {
    measure.name: measure
    for file in _FILES
    for measure in import_module(f"rsa.measures.{file}").MEASURES
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
