"""Suggesting the name that was meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher

CLOSE = 0.5  # share of letters in common below which no name is near
SLIP = 0.8  # the same where names are short words, and most words have half their letters
SHOWN = 6  # names at most in one question


def suggestion(name: str, known: Iterable[str], least: float = CLOSE, lists: str = "") -> str:
    """`; did you mean X?` (`X, Y or Z?`), or the list of what there is.

    Parameters
    ----------
    least : as of `nearest`.
    lists : the command that lists what there is, to be named where that is long.
    """
    known = list(dict.fromkeys(known))
    near = nearest(name, known, least)
    if not near:
        return f"; `{lists}` lists them" if lists else f"; there are {', '.join(known)}"
    if len(near) > SHOWN:
        return f"; did you mean {', '.join(near[:SHOWN])} ...?"
    before = f"{', '.join(near[:-1])} or " if near[:-1] else ""
    return f"; did you mean {before}{near[-1]}?"


def nearest(name: str, known: Iterable[str], least: float = CLOSE) -> list[str]:
    """Names that begin with `name`, else those most like it; none if these are hardly like it.

    Parameters
    ----------
    least : likeness, 0 to 1, from which a name is near.
    """
    known, name = list(known), name.lower()
    longer = [each for each in known if len(name) > 1 and each.lower().startswith(name)]
    if longer:
        return longer
    scores = [_likeness(name, each.lower()) for each in known]
    best = max(scores, default=0.0)
    # names of one stem (mert-v0, mert-95m ...) are equally near to a slip in the stem
    return [each for each, score in zip(known, scores, strict=True) if score == best >= least]


def _likeness(name: str, other: str) -> float:
    """0 to 1, of the whole names or of `name` and the stem of `musicnn-msd`, `hf:...`."""

    def share(a: str, b: str) -> float:
        turned = len(a) > 2 and sorted(a) == sorted(b)  # `kye`
        return max(SequenceMatcher(None, a, b).ratio(), 0.9 if turned else 0.0)

    # a stem that fits a little less well is still a worse guess than a whole name
    return max(share(name, other), share(name, re.split("[-:]", other)[0]) - 0.02)
