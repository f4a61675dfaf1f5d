"""Scores as text for tables: short numbers, short names of layers, intervals."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probes.results import Score

NONE = "-"  # a score that does not exist
LETTERS = 4  # of a short name without a number


def plain(value: float | None) -> str:
    """Two decimals: 0.83, -0.12."""
    if value is None or not math.isfinite(value):
        return NONE
    return f"{_cut(value):.2f}" if abs(value) < 100 else f"{value:.0f}"


def tight(value: float | None) -> str:
    """At most four characters: .83, 1.0, -.12, -3.1, -45."""
    if value is None or not math.isfinite(value):
        return NONE
    text = f"{_cut(value):.2f}"
    if text.lstrip("-").startswith("0"):
        return text.replace("0", "", 1)
    return f"{value:.1f}" if abs(value) < 9.95 else f"{value:.0f}"


def _cut(value: float) -> float:
    """Two decimals, and no zero below zero."""
    return round(value, 2) + 0.0


def hundredths(value: float | None) -> str:
    """Two characters: 83, `1.` for 1.00, `<0` below -0.09."""
    if value is None or not math.isfinite(value):
        return NONE
    whole = round(100 * value)
    return "1." if whole > 99 else "<0" if whole < -9 else str(whole)


def spread(score: Score | None) -> str:
    """A score with its interval: .81 [.76 .85]."""
    if score is None:
        return ""
    if not (math.isfinite(score.low) and math.isfinite(score.high)):
        return tight(score.value)
    return f"{tight(score.value)} [{tight(score.low)} {tight(score.high)}]"


def short_layers(layers: Sequence[str]) -> list[str]:
    """Names of at most a few letters, each once: b1 for block01, fron for frontend.

    By place (#3) where letters do not tell the layers apart.
    """
    parts = [re.fullmatch(r"(.*?)(\d+)", layer) for layer in layers]
    stems = list(dict.fromkeys(part[1] for part in parts if part))
    found = [
        f"{_beginning(part[1], stems)}{int(part[2])}" if part else layer[:LETTERS]
        for layer, part in zip(layers, parts, strict=True)
    ]
    unique = max(Counter(found).values(), default=1) == 1
    if unique and all(len(name) <= LETTERS + 1 for name in found):
        return found
    return [f"#{place}" for place in range(1, len(layers) + 1)]


def _beginning(stem: str, stems: Sequence[str]) -> str:
    """The shortest beginning that no other stem has."""
    others = [other for other in stems if other != stem]
    for length in range(1, len(stem)):
        if not any(other.startswith(stem[:length]) for other in others):
            return stem[:length]
    return stem


def listed(layers: Sequence[str]) -> str:
    """All layers in order, runs of numbers as their ends: frontend, block01 to block12, final."""
    runs: list[list[str]] = []
    for layer in layers:
        stem = re.sub(r"\d+$", "", layer)
        if runs and stem != layer and re.sub(r"\d+$", "", runs[-1][-1]) == stem:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)
