"""The registry: every measure by its canonical string."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module

from rsa.errors import RsaError
from rsa.measures.base import Measure
from rsa.measures.names import LIKE, named

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


def several(word: str) -> list[str]:
    """Canonical strings that `default`, `all`, a family or a beginning (`svcca`) stands for."""
    if word == "default":
        return list(DEFAULT)
    begun = (f"{word}:", f"{word},")
    return [n for n, m in MEASURES.items() if word in ("all", m.family) or n.startswith(begun)]


def find(name: str) -> Measure | None:
    """The measure that a name stands for, None when no measure begins like it.

    A canonical string, whose numbers may differ from the registry's; after the colon its parts in
    any order, those left out as in the registry (`mi:ksg,k=5`). `RsaError` says why where a number
    is out of range, a part belongs to no such measure, or several measures fit.
    """
    return MEASURES.get(name) or named(name, MEASURES.values())


def measure(name: str) -> Measure:
    """The measure that a name stands for (see `find`); `RsaError` when there is none."""
    if (found := find(name)) is None:
        near = get_close_matches(name, MEASURES, 1, LIKE)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise RsaError(f"measure {name!r} is unknown{meant} (rsa.MEASURES has all names)")
    return found


def resolve(names: Iterable[str | Measure]) -> list[Measure]:
    """Measures by name (or as they are), in order, without repeats."""
    chosen = [n if isinstance(n, Measure) else measure(n) for n in names]
    return list({m.name: m for m in chosen}.values())
