"""Tasks about time."""

from __future__ import annotations

import math

from probes.tasks.base import BALANCED_ACCURACY, R2, Task, Value


def log2_positive(value: Value) -> float | None:
    """log2 of a number, None unless it is positive: equal steps are equal ratios."""
    number = float(value)
    return math.log2(number) if number > 0 else None


ENTRIES = (
    Task("tempo", "Tempo", "tempo", "regression", R2,
         "beats per minute, on a scale of ratios", recode=log2_positive, unit="log2 BPM"),
    Task("metre", "Metre", "metre", "classification", BALANCED_ACCURACY,
         "how beats are grouped and divided", subsets=("fiddle",)),
    Task("dance", "Dance", "dance", "classification", BALANCED_ACCURACY,
         "the dance that a tune is for"),
)  # fmt: skip
