"""Suggesting the name that was meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher

CLOSE = 0.5  # share of letters in common below which no name is near


def suggestion(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, or the list of what there is."""
    known = list(known)
    best = max(known, key=lambda each: _likeness(name.lower(), each.lower()), default="")
    if best and _likeness(name.lower(), best.lower()) >= CLOSE:
        return f"; did you mean {best}?"
    return f"; there are {', '.join(known)}"


def _likeness(name: str, other: str) -> float:
    """0 to 1, of the whole names or of `name` and the stem of `musicnn-msd`, `hf:...`."""

    def share(a: str, b: str) -> float:
        return SequenceMatcher(None, a, b).ratio()

    # a stem that fits a little less well is still a worse guess than a whole name
    return max(share(name, other), share(name, re.split("[-:]", other)[0]) - 0.02)
