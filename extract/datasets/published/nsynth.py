"""NSynth: single notes of 4 s of 1,006 instruments from sample libraries, 16 kHz.

Layout: `nsynth-train/examples.json` and `nsynth-train/audio/bass_synthetic_068-049-025.wav`;
likewise `nsynth-valid` and `nsynth-test`. Any of the three may be absent.

Splits: as published, of 289,205, 12,678 and 4,096 notes. No instrument of the training set is in
the other two, which may share theirs. Notes of one instrument are one group.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from extract.datasets.base import LabelCard
from extract.datasets.ondisk import Need, OnDisk, Recording
from extract.errors import DataError
from extract.jsontext import loads

SITE = "magenta.tensorflow.org/datasets/nsynth"
SPLITS = ("train", "valid", "test")
PARTS = {"train": "training set", "valid": "validation set", "test": "test set"}


class NSynth(OnDisk):
    """See the module."""

    name = "nsynth"
    title = "NSynth"
    sources = "Engel et al. 2017 (ICML, arXiv:1704.01279)"
    licence = "CC BY 4.0"
    labels = (
        LabelCard("pitch", "number", "gold", "pitch of the note", "MIDI number"),
        LabelCard("family", "category", "gold", "one of eleven families of instruments"),
        LabelCard("instrument_source", "category", "gold", "acoustic, electronic or synthetic"),
        LabelCard("qualities", "tags", "silver", "which of ten qualities of sound it has"),
    )
    needs = (
        Need("nsynth-*/examples.json", "labels", SITE),
        Need("nsynth-*/audio/*.wav", "audio", SITE),
        *(Need(f"nsynth-{s}/examples.json", PARTS[s], SITE, needed=False) for s in SPLITS),
    )
    caveats = ("validation and test set may share instruments",)

    def recordings(self) -> Iterable[Recording]:
        for split in SPLITS:
            home = self.root / f"nsynth-{split}"
            for note, instrument, labels in _notes(home / "examples.json"):
                audio = home / "audio" / f"{note}.wav"
                yield Recording(audio, note, split, instrument, labels=labels)


def _notes(path: Path) -> Iterable[tuple[str, str, dict]]:
    """Name, instrument and labels of each note; nothing where there is no file."""
    if not path.is_file():
        return
    try:
        notes = loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: {error.msg}; fetch the file again") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}; fetch the file again") from None
    if not isinstance(notes, dict):
        raise DataError(f"{path}: no table of notes; fetch the file again")
    for note, facts in sorted(notes.items()):
        try:
            labels = {
                "pitch": float(facts["pitch"]),
                "family": facts["instrument_family_str"],
                "instrument_source": facts["instrument_source_str"],
                "qualities": tuple(facts["qualities_str"]),
            }
            instrument = facts["instrument_str"]
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: note {note}: {error!r}; fetch the file again") from None
        yield note, instrument, labels
