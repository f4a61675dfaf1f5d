"""Which measure a name stands for, and what is wrong with a name that stands for none."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches

from rsa.errors import RsaError
from rsa.measures.base import Measure

LIKE = 0.5  # share of letters in common below which no name is near


def named(name: str, measures: Iterable[Measure]) -> Measure | None:
    """The one of the measures that a name stands for, with the numbers that the name gives it.

    Parts after the colon come in any order; those left out are the measure's own. None when no
    measure begins like it; `RsaError`, which says why, when no such measure has a part, a number
    is out of range, or several measures fit.
    """
    stem, _, rest = name.partition(":")
    all_fit = fit = [p for p in map(_Parts, measures) if p.stem == stem]
    given = [part.strip() for part in rest.split(",") if part.strip()]
    if not fit or not given:
        return None
    for at, part in enumerate(given):
        left = [parts for parts in fit if parts.place(part) is not None]
        if not left:
            reason = _blame(stem, given[:at], part, fit, all_fit)
            raise RsaError(f"measure {name!r} is unknown: {reason}")
        fit = left
    if len({fit[0].place(part) for part in given}) < len(given):
        raise RsaError(f"measure {name!r} is unknown: it says one thing twice")
    whole = [parts for parts in fit if len(parts.template) == len(given)]
    found = {m.name: m for m in (parts.filled(name, given) for parts in whole or fit)}
    if len(found) > 1:
        raise RsaError(f"measure {name!r} may be several: write {' or '.join(found)}")
    return next(iter(found.values()))


class _Parts:
    """A canonical string in its parts, of which some (`pca={components}`) hold a number."""

    def __init__(self, base: Measure):
        self.base = base
        self.stem, _, rest = base.stem.partition(":")
        self.template = rest.split(",")
        # number's key -> field of the measure
        self.fields = dict(re.findall(r"([\w-]+)=\{(\w+)", rest))

    def place(self, part: str) -> int | None:
        """Which part of the canonical string this is, whatever its number."""
        key, equals, _ = part.partition("=")
        if equals and key in self.fields:
            return next(i for i, t in enumerate(self.template) if t.startswith(f"{key}={{"))
        return self.template.index(part) if part in self.template else None

    def filled(self, name: str, given: list[str]) -> Measure:
        """The measure with the numbers of `given`, its own where there are none."""
        values = {}
        for part in given:
            key, _, text = part.partition("=")
            if key in self.fields:
                kind = type(getattr(self.base, self.fields[key]))
                values[key] = _number(name, key, text, kind)
        other = replace(self.base, **{self.fields[key]: v for key, v in values.items()})
        other.check()
        for key, value in values.items():
            if value < 0:
                raise RsaError(f"measure {name!r}: {key} may not be below 0")
        return other


def _number(name: str, key: str, text: str, kind: type) -> float:
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        what = "a whole number" if kind is int else "a number"
        raise RsaError(f"measure {name!r}: {key} is {what}, not {text!r}")
    return value


def _blame(stem: str, before: list[str], part: str, fit: list[_Parts], others: list[_Parts]) -> str:
    """Why no measure has this part beside those before it, which `fit` has."""
    key, equals, _ = part.partition("=")
    fixed = {t for parts in fit for t in parts.template if equals and t.startswith(f"{key}=")}
    if fixed:
        return f"{key} is always {fixed.pop().partition('=')[2]}"
    known = fit[0].base.name if len(fit) == 1 else f"{stem}:{','.join(before)}".rstrip(":")
    refused = f"{known} takes no {part!r}"
    if owners := [parts.base.name for parts in others if parts.place(part) is not None]:
        return f"{refused}, {owners[0]} does"
    if len(fit) == 1:
        keys = " and ".join(fit[0].fields)
        return f"{refused}, only a number for {keys}" if keys else f"{refused}, nor any number"
    near = get_close_matches(part, [t for parts in fit for t in parts.template], 1, LIKE)
    names = [parts.base.name for parts in fit if not near or near[0] in parts.template]
    return f"{refused}; {'did you mean' if near else 'there are'} {' or '.join(names)}"
