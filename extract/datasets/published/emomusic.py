"""EmoMusic ("1000 songs"): 744 excerpts of 45 s with the mean ratings of arousal and valence.

Layout: `songs_info.csv` (song_id, Artist, Genre, Mediaeval 2013 set), `static_annotations.csv`
(song_id, mean_arousal, mean_valence) and `clips_45seconds/2.mp3`, the two archives unpacked in one
place.

Splits: those of jukemir, of 504, 115 and 125 excerpts, which MARBLE uses. The column `Mediaeval
2013 set` gives the test set (evaluation); of the others (development), the last digit of the SHA-1
of the artist's name, as a decimal number, puts 0 to 7 into train, 8 and 9 into valid. The name is
taken in lower case, without anything but the letters of ASCII and single spaces. It is the group,
too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from extract.datasets.base import LabelCard
from extract.datasets.labelfiles import amount, one_of, table
from extract.datasets.ondisk import Need, OnDisk, Recording

SITE = "cvml.unige.ch/databases/emoMusic"
SONGS = "songs_info.csv"
RATINGS = "static_annotations.csv"
SET = "Mediaeval 2013 set"
SPLITS = {"development": "", "evaluation": "test"}


class EmoMusic(OnDisk):
    """See the module."""

    name = "emomusic"
    title = "EmoMusic"
    sources = "Soleymani et al. 2013 (CrowdMM); split: Castellon, Donahue and Liang 2021 (jukemir)"
    licence = "none stated; music of the Free Music Archive, Creative Commons"
    labels = (
        LabelCard("arousal", "number", "gold", "mean rating of the whole excerpt", "1 to 9"),
        LabelCard("valence", "number", "gold", "mean rating of the whole excerpt", "1 to 9"),
        LabelCard("genre", "category", "gold", "one of eight genres, as filed in the archive"),
    )
    needs = (
        Need(SONGS, "songs", f"annotations.tar.gz of {SITE}"),
        Need(RATINGS, "ratings", f"annotations.tar.gz of {SITE}"),
        Need("clips_45seconds/*.mp3", "audio", f"clips_45sec.tar.gz of {SITE}"),
    )
    caveats = ("53 of the 112 artists of the test set are in training or validation set too",)

    def recordings(self) -> Iterable[Recording]:
        ratings = _ratings(self.root / RATINGS)
        place = self.root / SONGS
        for count, row in table(place, ("song_id", "Artist", "Genre", SET)):
            song, artist = row["song_id"], plain(row["Artist"])
            yield Recording(
                self.root / "clips_45seconds" / f"{song}.mp3",
                song,
                one_of(place, count, row[SET], SPLITS) or split_of(artist),
                artist,
                labels={"genre": row["Genre"]} | ratings.get(song, {}),
            )


def plain(artist: str) -> str:
    """A name by which two spellings of an artist are the same."""
    kept = "".join(c for c in artist.lower() if c.isascii() and (c.isalpha() or c.isspace()))
    return " ".join(kept.split())


def split_of(artist: str) -> str:
    """Where jukemir has the development songs of an artist."""
    return "train" if int(hashlib.sha1(artist.encode()).hexdigest(), 16) % 10 < 8 else "valid"


def _ratings(path: Path) -> dict[str, dict[str, float]]:
    """Arousal and valence by song."""
    return {
        row["song_id"]: {
            "arousal": amount(path, count, row["mean_arousal"]),
            "valence": amount(path, count, row["mean_valence"]),
        }
        for count, row in table(path, ("song_id", "mean_arousal", "mean_valence"))
    }
