"""Text from files, made fit to print."""

from __future__ import annotations

import unicodedata
from typing import Any


def clean(text: Any, limit: int = 4000) -> str:
    """Any value as printable text on one line, at most `limit` characters."""
    if text is None:
        return ""
    kept = "".join(
        " " if c in "\t\r\n\u2028\u2029" else c
        for c in str(text)
        if c in "\t\r\n" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn")
    )
    kept = " ".join(kept.split())
    return kept if len(kept) <= limit else kept[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


def abridged(name: str, limit: int) -> str:
    """A name of at most `limit` characters: what goes is before the middle.

    Names of layers and files differ mostly towards their end.
    """
    if len(name) <= limit:
        return name
    head = (limit - 1) // 3
    return name[:head] + "\N{HORIZONTAL ELLIPSIS}" + name[-(limit - 1 - head) :]
