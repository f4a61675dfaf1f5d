"""IRMAS: excerpts of music with the instruments that predominate in them, out of eleven.

Layout: `IRMAS-TrainingData/cel/[cel][cla]0001__1.wav`, of 3 s, one instrument each, with the genre
in the second bracket; or `008__[cel][nod][cla]0058__1.wav`, where [dru] or [nod] says whether there
are drums. `IRMAS-TestingData-Part1/Part1/NAME-8.wav` (and parts 2 and 3), of 5 to 20 s, with a code
a line in `NAME-8.txt`.

`instruments` holds all instruments that are named, `instrument` the one where it is the only one.

Splits: training and testing data as published, of 6,705 and 2,874 excerpts. There is no validation
set. Excerpts of one recording are one group.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from extract.datasets.base import LabelCard
from extract.datasets.labelfiles import lines, one_of
from extract.datasets.ondisk import Need, OnDisk, Recording
from extract.errors import DataError

ARCHIVE = "zenodo.org/record/1290750"
TRAINING = "IRMAS-TrainingData"
INSTRUMENTS = {
    "cel": "cello",
    "cla": "clarinet",
    "flu": "flute",
    "gac": "acoustic guitar",
    "gel": "electric guitar",
    "org": "organ",
    "pia": "piano",
    "sax": "saxophone",
    "tru": "trumpet",
    "vio": "violin",
    "voi": "voice",
}
GENRES = {
    "cou_fol": "country-folk",
    "cla": "classical",
    "pop_roc": "pop-rock",
    "lat_sou": "latin-soul",
    "jaz_blu": "jazz-blues",
}
DRUMS = {"dru": "yes", "nod": "no"}
# [INSTRUMENT][DRUMS][GENRE]RECORDING__EXCERPT
NAME = re.compile(r"(?:\d+__)?\[(\w+)\](?:\[(dru|nod)\])?\[(\w+)\](\d+)__\d+")


class Irmas(OnDisk):
    """See the module."""

    name = "irmas"
    title = "IRMAS"
    sources = "Bosch, Janer, Fuhrmann and Herrera 2012 (ISMIR)"
    licence = "CC BY-NC-SA 3.0"
    labels = (
        LabelCard("instruments", "tags", "gold", "predominant instruments"),
        LabelCard("instrument", "category", "gold", "the predominant instrument, if it is one"),
        LabelCard("genre", "category", "gold", "one of five genres; training data only"),
        LabelCard("drums", "category", "gold", "yes or no; a part of the training data only"),
    )
    needs = (
        Need(f"{TRAINING}/*/*.wav", "training data", ARCHIVE),
        *(
            Need(f"IRMAS-TestingData-Part{part}/**/*.wav", "testing data", ARCHIVE, needed=False)
            for part in (1, 2, 3)
        ),
    )
    caveats = ("a training excerpt names one instrument, a testing excerpt all that predominate",)

    def recordings(self) -> Iterable[Recording]:
        for path in sorted(self.root.glob(f"{TRAINING}/*/*.wav")):
            yield _training(path)
        for path in sorted(self.root.glob("IRMAS-TestingData-Part*/**/*.wav")):
            instruments = _instruments(path.with_suffix(".txt"))
            labels = {"instruments": instruments}
            if len(instruments) == 1:
                labels["instrument"] = instruments[0]
            recording, _, _ = path.stem.rpartition("-")
            yield Recording(path, recording, "test", labels=labels)


def _training(path: Path) -> Recording:
    """A training excerpt; its name says it all."""
    parts = NAME.fullmatch(path.stem)
    if not parts or parts[1] not in INSTRUMENTS or parts[3] not in GENRES:
        raise DataError(f"{path}: no name as in [cel][cla]0001__1.wav; fetch the file again")
    code, drums, genre, recording = parts.groups()
    instrument = INSTRUMENTS[code]
    labels = {"instruments": (instrument,), "instrument": instrument, "genre": GENRES[genre]}
    if drums:
        labels["drums"] = DRUMS[drums]
    return Recording(path, f"{code} {recording}", "train", labels=labels)


def _instruments(path: Path) -> tuple[str, ...]:
    """Instruments of a testing excerpt, one a line."""
    return tuple(one_of(path, count, fields[0], INSTRUMENTS) for count, fields in lines(path))
