"""The registry: every measure by its canonical string."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rsa import alignment, cca, information
from rsa.errors import RsaError
from rsa.joint import COMPONENTS
from rsa.measure import Measure

MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        alignment.DEBIASED,
        alignment.TRACK_DEBIASED,
        alignment.BIASED,
        cca.SVCCA,
        cca.PWCCA,
        information.GAUSSIAN,
    )
}

DEFAULT: tuple[str, ...] = tuple(MEASURES)


def measure(name: str) -> Measure:
    """The measure that a canonical string names.

    The share of variance in `svcca:var=V,mean` and `pwcca:var=V,mean` and the number of
    components in `mi:gaussian,pca=K,held-out` may be chosen; the rest is as in `MEASURES`.
    """
    if name in MEASURES:
        return MEASURES[name]
    if found := re.fullmatch(r"(svcca|pwcca):var=(0?\.\d+),mean", name):
        base = cca.SVCCA if found[1] == "svcca" else cca.PWCCA
        if float(found[2]) > 0:
            return base.with_variance(float(found[2]))
    if found := re.fullmatch(r"mi:gaussian,pca=(\d+),held-out", name):
        if 0 < int(found[1]) <= COMPONENTS:
            return information.GAUSSIAN.with_components(int(found[1]))
        raise RsaError(f"measure {name!r}: between 1 and {COMPONENTS} components are possible")
    raise RsaError(f"measure {name!r} is unknown: use one of {', '.join(MEASURES)}")


def resolve(names: Iterable[str | Measure]) -> list[Measure]:
    """Measures by name (or as they are), in order, without repeats."""
    chosen = [n if isinstance(n, Measure) else measure(n) for n in names]
    return list({m.name: m for m in chosen}.values())
