"""OpenMIC-2018: excerpts of 10 s from the Free Music Archive, twenty instruments, judged in part.

Layout: `openmic-2018-aggregated-labels.csv` (sample_key, instrument, relevance, num_responses),
`openmic-2018-metadata.csv` (artist_id), `partitions/split01_train.csv` and `split01_test.csv` (a
sample key a line), `audio/000/000046_3840.ogg`.

Most instruments of an excerpt were judged by nobody. `instruments` holds those judged present, with
a relevance of one half or more as in the authors' baseline; `instruments_known` holds all that were
judged, so that a task can leave out the rest: an instrument in neither is unknown, not absent.

Splits: the published partition of 14,915 and 5,085 excerpts, drawn by artist; there is no
validation set. No two excerpts are of one recording.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from extract.datasets.base import LabelCard
from extract.datasets.labelfiles import amount, lines, table
from extract.datasets.ondisk import Need, OnDisk, Recording

ARCHIVE = "zenodo.org/record/1432913"
RELEVANCES = "openmic-2018-aggregated-labels.csv"
METADATA = "openmic-2018-metadata.csv"
PRESENT = 0.5


class OpenMic(OnDisk):
    """See the module."""

    name = "openmic"
    title = "OpenMIC-2018"
    sources = "Humphrey, Durand and McFee 2018 (ISMIR)"
    licence = "CC BY 4.0; audio Creative Commons, see the metadata"
    labels = (
        LabelCard("instruments", "tags", "gold", "instruments that listeners judged present"),
        LabelCard("instruments_known", "tags", "gold", "instruments that listeners judged at all"),
    )
    needs = (
        Need(RELEVANCES, "instruments", ARCHIVE),
        Need("partitions/split01_train.csv", "training list", ARCHIVE),
        Need("partitions/split01_test.csv", "test list", ARCHIVE),
        Need("audio/*/*.ogg", "audio", ARCHIVE),
        Need(METADATA, "artists", ARCHIVE, needed=False),
    )
    caveats = (
        "an instrument that is not in instruments_known was judged by nobody",
        "ten recordings were corrupt in the archive they come from (README of cosmir/openmic-2018)",
    )

    def recordings(self) -> Iterable[Recording]:
        relevances = _relevances(self.root / RELEVANCES)
        artists = _artists(self.root / METADATA)
        for split in ("train", "test"):
            for _, (key, *_) in lines(self.root / "partitions" / f"split01_{split}.csv", ","):
                judged = relevances.get(key, {})
                present = tuple(sorted(k for k, v in judged.items() if v >= PRESENT))
                yield Recording(
                    self.root / "audio" / key[:3] / f"{key}.ogg",
                    key,
                    split,
                    artists.get(key, ""),
                    labels={"instruments": present, "instruments_known": tuple(sorted(judged))},
                )


def _relevances(path: Path) -> dict[str, dict[str, float]]:
    """Relevance of each instrument that was judged, by sample key."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for count, row in table(path, ("sample_key", "instrument", "relevance")):
        found[row["sample_key"]][row["instrument"]] = amount(path, count, row["relevance"])
    return found


def _artists(path: Path) -> dict[str, str]:
    """Artist by sample key; nothing where there is no file."""
    if not path.is_file():
        return {}
    return {
        row["sample_key"]: f"artist {row['artist_id']}"
        for _, row in table(path, ("sample_key", "artist_id"))
    }
