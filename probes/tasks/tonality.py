"""Tasks about keys and chords."""

from __future__ import annotations

from probes.tasks.base import ACCURACY, BALANCED_ACCURACY, KEY_SCORE, Task, Value

PITCH_CLASSES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
KEYS = tuple(f"{tonic} {mode}" for mode in ("major", "minor") for tonic in PITCH_CLASSES)


def one_key(value: Value) -> str | None:
    """The key under one spelling for each pitch class; None for `X` and for other modes."""
    import mir_eval

    mir_eval.key.validate_key(str(value))
    tonic, mode = mir_eval.key.split_key_string(str(value))
    if tonic is None or mode == "other":
        return None
    return f"{PITCH_CLASSES[tonic]} {mode}"


def major_or_minor(value: Value) -> str | None:
    """A chord as one of the 24 major and minor triads; None for `N`, `X` and other chords.

    The rule of mir_eval's `majmin`: chords agree in their tones up to the fifth, so a seventh on
    a major triad is major, and diminished, augmented and suspended chords take no part.
    """
    import mir_eval

    root, tones, _ = mir_eval.chord.encode(str(value))
    for name in ("maj", "min"):
        if root >= 0 and list(tones[:8]) == mir_eval.chord.QUALITIES[name][:8]:
            return f"{PITCH_CLASSES[root]}:{name}"
    return None


ENTRIES = (
    Task("key", "Key", "key", "key", "classification", KEY_SCORE,
         "the key of a passage, as one of 24 (fifths, relative and parallel keys earn a part)",
         also=(ACCURACY,), recode=one_key),
    Task("tonic", "Tonic", "key", "tonic", "classification", BALANCED_ACCURACY,
         "the pitch class that a passage rests on", also=(ACCURACY,)),
    Task("mode", "Mode", "key", "mode", "classification", BALANCED_ACCURACY,
         "major or minor", also=(ACCURACY,), subsets=("chorale",)),
    Task("chord", "Chord", "chord", "chord", "classification", BALANCED_ACCURACY,
         "the chord of a beat, as one of 24 major and minor triads",
         rows="segments:chord", also=(ACCURACY,), recode=major_or_minor),
    Task("triad_root", "Triad root", "chord", "triad_root", "classification", BALANCED_ACCURACY,
         "the root of a single chord", also=(ACCURACY,)),
    Task("triad_quality", "Triad quality", "chord", "triad_quality", "classification",
         BALANCED_ACCURACY, "major, minor, diminished or augmented", also=(ACCURACY,)),
    Task("triad_inversion", "Triad inversion", "chord", "triad_inversion", "classification",
         BALANCED_ACCURACY, "which tone of a chord is the lowest", also=(ACCURACY,)),
)  # fmt: skip
