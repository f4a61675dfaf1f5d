"""JSON from files of others: everything that is wrong with it is a ValueError of one line."""

from __future__ import annotations

import json

DIGITS = 300  # of a whole number; more do not fit a float


def loads(text: str | bytes) -> object:
    """The value that a JSON text stands for.

    Raises
    ------
    ValueError : not JSON, nested too deeply, or a number without end.
    """
    try:
        return json.loads(text, parse_int=_whole)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _whole(digits: str) -> int:
    if len(digits) > DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)
