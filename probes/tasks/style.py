"""Tasks about what a listener files a recording under: genre, era, origin, mood, tags."""

from __future__ import annotations

import re

from probes.tasks.base import (
    ACCURACY,
    AVERAGE_PRECISION,
    BALANCED_ACCURACY,
    R2,
    ROC_AUC,
    Task,
    Value,
)


def decade(value: Value) -> str | None:
    """The decade of a year or a date that begins with one; other names of eras as they are."""
    text = str(value).strip()
    year = re.fullmatch(r"(\d{3})\d(?:\.0|-\d\d.*)?", text)
    return f"{year[1]}0s" if year else text or None


ENTRIES = (
    Task("genre", "Genre", "genre", "genre", "classification", BALANCED_ACCURACY,
         "the genre that a recording is filed under", also=(ACCURACY,)),
    Task("genres", "Genres", "genre", "genres", "tags", ROC_AUC,
         "which of many genres a recording is filed under", also=(AVERAGE_PRECISION,)),
    Task("era", "Era", "era", "era", "classification", BALANCED_ACCURACY,
         "the decade, or the named era, that music is from", also=(ACCURACY,), recode=decade),
    Task("composer", "Composer", "era", "composer", "classification", BALANCED_ACCURACY,
         "who wrote the music", also=(ACCURACY,)),
    Task("origin", "Origin", "origin", "origin", "classification", BALANCED_ACCURACY,
         "the place or culture that music is from", also=(ACCURACY,)),
    Task("mood", "Mood", "mood", "mood", "classification", BALANCED_ACCURACY,
         "the one mood that listeners name", also=(ACCURACY,)),
    Task("moods", "Moods and themes", "mood", "moods", "tags", ROC_AUC,
         "which moods and themes a recording is filed under", also=(AVERAGE_PRECISION,)),
    Task("arousal", "Arousal", "mood", "arousal", "regression", R2,
         "how excited music sounds to listeners"),
    Task("valence", "Valence", "mood", "valence", "regression", R2,
         "how pleasant the mood of music is to listeners"),
    Task("tags", "Tags", "tags", "tags", "tags", ROC_AUC,
         "which of the most frequent tags listeners gave", also=(AVERAGE_PRECISION,)),
)  # fmt: skip
