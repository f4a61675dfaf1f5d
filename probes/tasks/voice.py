"""Tasks about voices."""

from __future__ import annotations

from probes.tasks.base import ACCURACY, BALANCED_ACCURACY, Task

ENTRIES = (
    Task("singer", "Singer", "voice", "singer", "classification", ACCURACY,
         "who sings", also=(BALANCED_ACCURACY,)),
    Task("technique", "Vocal technique", "voice", "technique", "classification", ACCURACY,
         "belt, breathy, vibrato and so on", also=(BALANCED_ACCURACY,)),
    Task("vowel", "Vowel", "voice", "vowel", "classification", BALANCED_ACCURACY,
         "the vowel that is sung", also=(ACCURACY,)),
)  # fmt: skip
