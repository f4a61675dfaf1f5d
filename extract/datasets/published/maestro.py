"""MAESTRO v3: 1,276 piano recitals of 199 h in all, with the notes the instrument recorded.

Layout: `maestro-v3.0.0.csv` (columns `canonical_composer`, `canonical_title`, `split`,
`midi_filename`, `audio_filename`) and the files it names, `2018/NAME.wav`, `2018/NAME.midi`.

Splits: the table's own train, validation and test (962, 137 and 177 recitals); no composition is in
two of them.
"""

from __future__ import annotations

from collections.abc import Iterable

from extract.datasets.base import LabelCard
from extract.datasets.labelfiles import one_of, table
from extract.datasets.midifile import notes
from extract.datasets.ondisk import Need, OnDisk, Recording

TABLE = "maestro-v3.0.0.csv"
COLUMNS = ("canonical_composer", "canonical_title", "split", "midi_filename", "audio_filename")
SPLITS = {"train": "train", "validation": "valid", "test": "test"}
SOURCE = "magenta.tensorflow.org/datasets/maestro"


class Maestro(OnDisk):
    """See the module."""

    name = "maestro"
    title = "MAESTRO v3.0.0"
    sources = "Hawthorne et al. 2019 (ICLR, arXiv:1810.12247)"
    licence = "CC BY-NC-SA 4.0"
    labels = (
        LabelCard("notes", "segments", "gold", "notes as the piano recorded them", "MIDI number"),
        LabelCard("composer", "category", "gold", "composer; two names where one arranged"),
    )
    needs = (
        Need(TABLE, "table of recitals", SOURCE),
        Need("*/*.wav", "audio", SOURCE),
        Need("*/*.midi", "notes", SOURCE, needed=False),
    )
    caveats = (
        "notes end where the key is released; a pedal may let them sound on",
        "titles are not spelled alike, so that one composition may count as two groups",
    )
    clip_seconds = 30.0

    def recordings(self) -> Iterable[Recording]:
        path = self.root / TABLE
        for line, row in table(path, COLUMNS):
            midi, composer = self.root / row["midi_filename"], row["canonical_composer"]
            audio = self.root / row["audio_filename"]
            # notes of recitals that are not there would be read for nothing
            known_notes = {"notes": notes(midi)} if midi.is_file() and audio.is_file() else {}
            yield Recording(
                audio,
                row["audio_filename"].rpartition(".")[0],
                one_of(path, line, row["split"], SPLITS),
                group=f"{composer}: {row['canonical_title']}",
                labels={"composer": composer},
                segments=known_notes,
            )
