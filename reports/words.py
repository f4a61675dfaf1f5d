"""Text from files, made fit to print."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
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


def listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def soft(values: Any) -> Any:
    """Gives words that are longer than a line places to break; goes through lists and mappings."""
    if isinstance(values, str):
        # Zero-width spaces: the reader sees the word as it is.
        return re.sub(r"(\S{28})(?=\S{12})", "\\1\u200b", values)
    if isinstance(values, dict):
        return {k: soft(v) if k != "url" else v for k, v in values.items()}
    return [soft(v) for v in values] if isinstance(values, (list, tuple)) else values


def named_rows(kind: str) -> str:
    """`clips`, `frames (5 Hz)`, `frames (20 a clip, of 25 Hz)`, `segments (chord)`."""
    name, _, detail = clean(kind, 80).partition(":")
    rate, _, a_clip = detail.partition(":")
    if name == "sketch":
        return f"frames ({a_clip} a clip, of {rate} Hz)"
    if name == "frames" and rate:
        return f"frames ({rate} Hz)"
    return f"{name} ({detail})" if detail else name or "rows"
