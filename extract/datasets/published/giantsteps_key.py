"""GiantSteps key: 604 previews of electronic dance music with one key each, and a training part.

Layout: two repositories side by side, each with `audio` filled by its own script:
`giantsteps-key-dataset/audio/10089.LOFI.mp3`, `.../annotations/key/10089.LOFI.key` ("D major");
`giantsteps-mtg-key-dataset/audio/5061.LOFI.mp3`, `.../annotations/annotations.txt` (ID, MANUAL KEY,
C for confidence) and `.../annotations/beatport_metadata.txt` (ID, ARTIST, ...). Names of the
two may end in `-master`; one of them is enough.

Splits: GiantSteps key (604) is test, as everywhere. Of the MTG part, 1,159 with confidence 2 and
one key (Korzeniowski and Widmer 2018), divided by artist as in jukemir (Castellon et al. 2021):
923 train, 236 valid. Clips are of 30 s, as there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from extract.datasets.base import LabelCard
from extract.datasets.labelfiles import line, table
from extract.datasets.ondisk import Need, OnDisk, Recording
from extract.errors import DataError

TEST, TRAIN = "giantsteps-key-dataset*", "giantsteps-mtg-key-dataset*"
SHARES = 100, 16  # of artists, in train and valid
HOPS = 2  # of collaborations that valid artists draw after them


class GiantstepsKey(OnDisk):
    """See the module."""

    name = "giantsteps-key"
    title = "GiantSteps key, trained on GiantSteps-MTG key"
    sources = (
        "Knees et al. 2015 (ISMIR); Faraldo et al. 2016 (ECIR); splits: Castellon et al. 2021 "
        "(jukemir)"
    )
    licence = "none stated; previews of commercial recordings"
    clip_seconds = 30.0
    labels = (LabelCard("key", "category", "gold", "the one key of the track, by listeners"),)
    needs = (
        Need(
            "giantsteps-*key-dataset*/audio/*.*",
            "audio",
            "github.com/GiantSteps/giantsteps-key-dataset (audio_dl.sh)",
        ),
        Need(
            f"{TEST}/annotations/key/*.key",
            "test part",
            "github.com/GiantSteps/giantsteps-key-dataset",
            needed=False,
        ),
        Need(
            f"{TRAIN}/annotations/annotations.txt",
            "training part",
            "github.com/GiantSteps/giantsteps-mtg-key-dataset",
            needed=False,
        ),
    )
    caveats = (
        "keys of the test part are corrections by customers of a shop",
        "artists of the test part are not listed: some may be in training too",
    )

    def recordings(self) -> Iterable[Recording]:
        for home in sorted(self.root.glob(TRAIN))[:1]:
            for track, (key, artist, split) in trusted(home / "annotations").items():
                yield _recording(home, track, key, split, artist)
        for home in sorted(self.root.glob(TEST))[:1]:
            for path in sorted((home / "annotations" / "key").glob("*.key")):
                track = path.name.split(".")[0]
                yield _recording(home, track, line(path), "test", track)


def _recording(home: Path, track: str, key: str, split: str, group: str) -> Recording:
    found = sorted((home / "audio").glob(f"{track}.LOFI.*"))
    path = found[0] if found else home / "audio" / f"{track}.LOFI.mp3"
    return Recording(path, track, split, group, labels={"key": key})


def trusted(folder: Path) -> dict[str, tuple[str, str, str]]:
    """Key, first artist and split of each track that has one key of the highest confidence."""
    place = folder / "beatport_metadata.txt"
    artists = {
        row["ID"]: [name.strip() for name in row["ARTIST"].split(",")]
        for _, row in table(place, ("ID", "ARTIST"), "\t")
    }
    splits = artist_splits(list(artists.values()))
    place, found = folder / "annotations.txt", {}
    for count, row in table(place, ("ID", "MANUAL KEY", "C"), "\t"):
        if row["C"] != "2" or "/" in row["MANUAL KEY"]:
            continue
        if row["ID"] not in artists:
            raise DataError(f"{place}, line {count}: {row['ID']} is not in beatport_metadata.txt")
        first = artists[row["ID"]][0]
        found[row["ID"]] = row["MANUAL KEY"], first, splits[first]
    return found


def artist_splits(tracks: list[list[str]]) -> dict[str, str]:
    """`train` or `valid` for each artist, from a hash of the name.

    Who made a track with a valid artist is valid too, over two hops, in order of the tracks.
    """
    train, valid = SHARES
    found = {}
    for name in dict.fromkeys(name for names in tracks for name in names):
        number = int(hashlib.sha1(name.lower().encode()).hexdigest(), 16)
        found[name] = "train" if number % (train + valid) < train else "valid"
    for _ in range(HOPS):
        for names in tracks:
            if any(found[name] == "valid" for name in names):
                found.update(dict.fromkeys(names, "valid"))
    return found
