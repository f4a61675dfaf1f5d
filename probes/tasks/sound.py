"""Tasks about single sounds and about the texture of a passage."""

from __future__ import annotations

from probes.tasks.base import BALANCED_ACCURACY, R2, Task

ENTRIES = (
    Task("instrument", "Instrument family", "family", "classification", BALANCED_ACCURACY,
         "the family of the instrument, of instruments never heard in training",
         headline="test_inst"),
    Task("pitch", "Pitch height", "pitch", "regression", R2,
         "the height of a note", unit="semitones"),
    Task("pitch_class", "Pitch class", "pitch_class", "classification", BALANCED_ACCURACY,
         "the name of a note, whatever its octave"),
    Task("octave", "Octave", "octave", "classification", BALANCED_ACCURACY,
         "the octave of a note"),
    Task("density", "Note density", "density", "regression", R2,
         "how many notes begin in a second", unit="notes/s"),
    Task("polyphony", "Polyphony", "polyphony", "regression", R2,
         "how many notes sound at once, on average", unit="notes"),
    Task("register", "Register", "register", "regression", R2,
         "the mean pitch of a passage", unit="semitones"),
)  # fmt: skip
