"""Tasks about single sounds, instruments and the texture of a passage."""

from __future__ import annotations

from probes.tasks.base import (
    ACCURACY,
    AVERAGE_PRECISION,
    BALANCED_ACCURACY,
    R2,
    ROC_AUC,
    Task,
)

ENTRIES = (
    Task("family", "Instrument family", "instrumentation", "family", "classification",
         BALANCED_ACCURACY, "the family of the instrument; on mini, of instruments never heard in "
         "training", also=(ACCURACY,), headline="test_inst"),
    Task("instrument", "Instrument", "instrumentation", "instrument", "classification",
         BALANCED_ACCURACY, "the one instrument that plays, or the predominant one",
         also=(ACCURACY,)),
    Task("instruments", "Instruments", "instrumentation", "instruments", "tags", ROC_AUC,
         "which instruments are heard", also=(AVERAGE_PRECISION,), known="instruments_known"),
    Task("instrument_source", "Source of sound", "instrumentation", "instrument_source",
         "classification", BALANCED_ACCURACY, "acoustic, electronic or synthetic",
         also=(ACCURACY,)),
    Task("dynamics", "Dynamics", "sonority", "dynamics", "classification", BALANCED_ACCURACY,
         "how loud a note was played", also=(ACCURACY,)),
    Task("qualities", "Qualities of sound", "sonority", "qualities", "tags", ROC_AUC,
         "bright, dark, distorted and so on", also=(AVERAGE_PRECISION,)),
    Task("pitch", "Pitch height", "pitch", "pitch", "regression", R2,
         "the height of a note", unit="semitones"),
    Task("pitch_number", "Pitch of a note", "pitch", "pitch", "classification", ACCURACY,
         "the MIDI number of a note, as one class each", also=(BALANCED_ACCURACY,),
         recode=lambda value: str(round(float(value))), by_name=True),
    Task("pitch_class", "Pitch class", "pitch", "pitch_class", "classification",
         BALANCED_ACCURACY, "the name of a note, whatever its octave", also=(ACCURACY,)),
    Task("octave", "Octave", "pitch", "octave", "classification", BALANCED_ACCURACY,
         "the octave of a note", also=(ACCURACY,)),
    Task("voices", "Number of voices", "sonority", "voices", "classification", BALANCED_ACCURACY,
         "how many voices sing the same excerpt", also=(ACCURACY,)),
    Task("density", "Note density", "sonority", "density", "regression", R2,
         "how many notes begin in a second", unit="notes/s"),
    Task("polyphony", "Polyphony", "sonority", "polyphony", "regression", R2,
         "how many notes sound at once, on average", unit="notes"),
    Task("register", "Register", "sonority", "register", "regression", R2,
         "the mean pitch of a passage", unit="semitones"),
)  # fmt: skip
