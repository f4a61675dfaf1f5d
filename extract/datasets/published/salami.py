"""SALAMI: sections of 1,359 recordings of popular, jazz, classical and world music and of concerts;
the audio is the user's own.

Layout, below the folder of the repository salami-data-public (2.0): `metadata/metadata.csv`
(SONG_ID, ARTIST, ...), `annotations/2/parsed/textfile1_functions.txt` (lines TIME NAME, the last
one `End`) and `textfile1_uppercase.txt` (letters of sections that repeat); `textfile2` is by a
second annotator and serves where the first has none. Recordings as `audio/2.mp3` or by `audio.csv`
(see `extract.datasets.ownaudio`).

Splits: none in the field. Here by a hash of the artist: 70, 15 and 15 % of the artists are train,
valid and test. The artist of a compilation is not known; each of its songs is a group.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from extract.datasets import ownaudio
from extract.datasets.base import LabelCard, Segment
from extract.datasets.functions import FUNCTION, SECTION, sections
from extract.datasets.labelfiles import boundaries, table
from extract.datasets.ondisk import Need, OnDisk, Recording
from extract.datasets.ownaudio import own_audio
from extract.datasets.splits import hashed

TABLE = "metadata/metadata.csv"
SOURCE = "github.com/DDMAL/salami-data-public"
UNKNOWN = "Compilations"


class Salami(OnDisk):
    """See the module."""

    name = "salami"
    title = "SALAMI 2.0, first annotator"
    sources = "Smith et al. 2011 (ISMIR)"
    licence = "CC0 (annotations); recordings of others"
    labels = (
        SECTION,
        FUNCTION,
        LabelCard("form", "segments", "gold", "sections, by a letter for those that are alike"),
    )
    needs = (
        Need(TABLE, "table of recordings", SOURCE),
        Need("annotations/*/parsed/textfile*_functions.txt", "sections", SOURCE),
        ownaudio.AUDIO,
        Need("annotations/*/parsed/textfile*_uppercase.txt", "letters", SOURCE, needed=False),
    )
    caveats = (
        ownaudio.CAVEAT,
        "two annotators agree on part of the sections only; one of them is read",
        "some songs are of the Beatles, Queen and RWC too",
    )

    def recordings(self) -> Iterable[Recording]:
        artists = {
            row["SONG_ID"]: row["ARTIST"]
            for _, row in table(self.root / TABLE, ("SONG_ID", "ARTIST"))
        }
        home = self.root / "annotations"
        songs = sorted(
            {p.parts[-3] for p in home.glob("*/parsed/textfile[12]_functions.txt")}, key=_order
        )
        files = own_audio(self.root, {song: () for song in songs})
        for song in songs:
            artist = artists.get(song, UNKNOWN)
            group = song if artist == UNKNOWN else artist
            segments = sections(_first(home / song / "parsed", "functions"))
            letters = _first(home / song / "parsed", "uppercase")
            if letters:
                segments["form"] = letters
            yield Recording(files[song], song, hashed(group), group, segments=segments)


def _order(song: str) -> tuple[int, str]:
    return (int(song) if song.isdigit() else 0, song)


def _first(folder: Path, kind: str) -> tuple[Segment, ...]:
    """The segments of the first annotator who made them."""
    for number in (1, 2):
        path = folder / f"textfile{number}_{kind}.txt"
        if path.is_file():
            return boundaries(path, "\t")
    return ()
