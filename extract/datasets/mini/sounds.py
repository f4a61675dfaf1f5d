"""The subsets of single sounds: notes and triads, complete grids, labels by construction."""

from __future__ import annotations

from extract.datasets.base import Clip
from extract.datasets.mini import harmony, timed
from extract.datasets.mini.draws import choice
from extract.datasets.mini.excerpts import VELOCITY, Sound
from extract.datasets.mini.midi import Note
from extract.datasets.mini.programs import (
    FAMILY,
    SEEN,
    THEORY_SEEN,
    THEORY_UNSEEN,
    UNSEEN,
    UNSEEN_SPLIT,
    name_of,
)

SECONDS = 1.5
HELD = 1.2  # seconds until the note ends
PITCHES = range(48, 84)  # three octaves from C3
TRIADS = {"major": "maj", "minor": "min", "diminished": "dim", "augmented": "aug"}
INVERSIONS = ("root", "first", "second")
OCTAVES = (48, 60, 72)  # where the root of a triad in root position may lie: C3, C4, C5


def build_note() -> dict[str, list[tuple[Clip, Sound]]]:
    """The subset `note`: every program on every second pitch, one note a clip.

    A Latin design: even programs play even pitches, odd ones odd. Of the nine seen programs on a
    pitch six stand in train and three in valid and test; of a program's 18 notes 12, 3 and 3.
    """
    rows = []
    for p, program in enumerate(SEEN + UNSEEN):
        for k in range(p % 2, len(PITCHES), 2):
            pitch = PITCHES[k]
            place = (p // 2 + 4 * (k // 2)) % 9
            edge = 8 if k // 2 % 2 else 7
            split = "train" if place < 6 else "valid" if place < edge else "test"
            rows.append(
                _sound(
                    f"note/{name_of(program)}/{pitch}",
                    "note",
                    UNSEEN_SPLIT if program in UNSEEN else split,
                    program,
                    (pitch,),
                    {
                        "pitch": float(pitch),
                        "pitch_class": harmony.PITCH_CLASSES[pitch % 12],
                        "octave": str(pitch // 12 - 1),
                    },
                )
            )
    return {"note": rows}


def build_theory() -> dict[str, list[tuple[Clip, Sound]]]:
    """The subset `theory`: four triads on twelve roots, each in one of three inversions a program.

    A Latin design: a chord (root, quality, inversion) is heard from 4 of the 12 seen programs and
    2 of the 6 unseen ones, and a root and quality lie with 8, 2 and 2 of the seen programs in
    train, valid and test. Many programs with few chords each, because programs are the groups that
    intervals rest on.

    The inversions of an augmented triad are other augmented triads: root and inversion cannot be
    heard, so these have the quality as their only label, and lie in different octaves instead
    (two clips of the same notes might otherwise stand in two splits).
    """
    rows = []
    for program in THEORY_SEEN + THEORY_UNSEEN:
        pool = THEORY_UNSEEN if program in THEORY_UNSEEN else THEORY_SEEN
        p = pool.index(program)
        for root in range(12):
            for q, (quality, short) in enumerate(TRIADS.items()):
                i = -(p + 2 * root + q) % len(INVERSIONS)
                inversion = INVERSIONS[i]
                name = f"theory/{name_of(program)}/{root:02d}-{short}-{inversion}"
                place = (p + root + 5 * q) % len(THEORY_SEEN)
                split = "train" if place < 8 else "valid" if place < 10 else "test"
                labels: dict[str, str | float] = {"triad_quality": quality}
                octave = OCTAVES[i]
                if quality != "augmented":
                    octave = choice(name, "octave", OCTAVES)
                    labels["triad_root"] = harmony.PITCH_CLASSES[root]
                    labels["triad_inversion"] = inversion
                tones = harmony.QUALITIES[short]
                turned = tones[i:] + tuple(t + 12 for t in tones[:i])
                rows.append(
                    _sound(
                        name,
                        "theory",
                        UNSEEN_SPLIT if pool is THEORY_UNSEEN else split,
                        program,
                        tuple(octave + root + t for t in turned),
                        labels,
                    )
                )
    return {"theory": rows}


def _sound(
    name: str,
    subset: str,
    split: str,
    program: int,
    pitches: tuple[int, ...],
    labels: dict[str, str | float],
) -> tuple[Clip, Sound]:
    group = f"{subset}/{name_of(program)}"
    labels = {**labels, "family": FAMILY[program], "program": name_of(program)}
    notes = tuple(Note(0.0, HELD, pitch, voice) for voice, pitch in enumerate(pitches))
    segments = {"notes": timed.heard(notes, SECONDS)}
    clip = Clip(name, group, group, subset, split, 0.0, SECONDS, labels, segments)
    return clip, Sound(notes, program, choice(name, "velocity", VELOCITY))
