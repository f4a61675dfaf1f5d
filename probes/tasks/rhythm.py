"""Tasks about tempo and metre."""

from __future__ import annotations

import math

from probes.tasks.base import ACC1, ACC2, ACCURACY, BALANCED_ACCURACY, R2, Task, Value


def log2_positive(value: Value) -> float | None:
    """log2 of a number, None unless it is positive: equal steps are equal ratios."""
    number = float(value)
    return math.log2(number) if number > 0 else None


ENTRIES = (
    Task("tempo", "Tempo", "tempo", "tempo", "regression", R2,
         "beats per minute, on a scale of ratios", also=(ACC1, ACC2), recode=log2_positive,
         unit="log2 BPM"),
    Task("metre", "Metre", "beat", "metre", "classification", BALANCED_ACCURACY,
         "how beats are grouped and divided", also=(ACCURACY,), subsets=("fiddle",)),
    Task("dance", "Dance", "genre", "dance", "classification", BALANCED_ACCURACY,
         "the dance that a tune is for", also=(ACCURACY,)),
)  # fmt: skip
