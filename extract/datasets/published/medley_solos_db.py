"""Medley-solos-DB: excerpts of 3 s of eight solo instruments.

Layout: `Medley-solos-DB_metadata.csv` (subset, instrument, instrument_id, song_id, uuid4; before
version 1.2 song_id is called track_id), anywhere below the root, and the excerpts, in one folder:
`Medley-solos-DB_SUBSET-INSTRUMENTID_UUID.wav`.

Splits: as published, of 5,841, 3,494 and 12,236 excerpts; training and validation come from
MedleyDB, the test set from the collection solosDB. Excerpts of one song are one group; no song is
in two splits.
"""

from __future__ import annotations

from collections.abc import Iterable

from extract.datasets.base import LabelCard
from extract.datasets.labelfiles import one_of, table
from extract.datasets.ondisk import Need, OnDisk, Recording

ARCHIVE = "zenodo.org/record/3464194"
METADATA = "Medley-solos-DB_metadata.csv"
SPLITS = {"training": "train", "validation": "valid", "test": "test"}
COLUMNS = ("subset", "instrument", "instrument_id", "uuid4")


class MedleySolosDb(OnDisk):
    """See the module."""

    name = "medley-solos-db"
    title = "Medley-solos-DB"
    sources = "Lostanlen and Cella 2016 (ISMIR)"
    licence = "CC BY 4.0"
    labels = (LabelCard("instrument", "category", "gold", "one of eight instruments"),)
    needs = (
        Need(f"**/{METADATA}", "instruments", ARCHIVE),
        Need("**/Medley-solos-DB_*.wav", "audio", ARCHIVE),
    )

    def recordings(self) -> Iterable[Recording]:
        place = next(self.root.glob(f"**/{METADATA}"))
        home = next(self.root.glob("**/Medley-solos-DB_*.wav")).parent
        for count, row in table(place, COLUMNS):
            subset, instrument, number, uuid = (row[name] for name in COLUMNS)
            song = row.get("song_id", row.get("track_id"))
            yield Recording(
                home / f"Medley-solos-DB_{subset}-{number}_{uuid}.wav",
                f"song {song}" if song else uuid,
                one_of(place, count, subset, SPLITS),
                labels={"instrument": instrument},
            )
