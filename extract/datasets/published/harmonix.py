"""Harmonix: 912 pop songs with sections, beats and downbeats; the audio is the user's own.

Layout, below the folder of the repository harmonixset: `dataset/metadata.csv` (File, Artist, BPM,
Genre, Duration, ...), `dataset/segments/0001_12step.txt` (lines TIME NAME, the last one `end`),
`dataset/beats_and_downbeats/0001_12step.txt` (TIME, POSITION, BAR); the recordings as
`audio/0001_12step.mp3` or by `audio.csv` (see `extract.datasets.ownaudio`).

Splits: the 8 folds of All-In-One (Kim and Nam 2023): of the songs in order of their names, every
eighth is of one fold. Fold 0 is test, fold 1 valid, the others train. The group is the artist.
"""

from __future__ import annotations

from collections.abc import Iterable

from extract.datasets import ownaudio
from extract.datasets.base import LabelCard, Value
from extract.datasets.functions import FUNCTION, SECTION, sections
from extract.datasets.labelfiles import beats, boundaries, seconds, table
from extract.datasets.ondisk import Need, OnDisk, Recording
from extract.datasets.ownaudio import own_audio

TABLE = "dataset/metadata.csv"
SOURCE = "github.com/urinieto/harmonixset"
FOLDS, SPLITS = 8, {0: "test", 1: "valid"}


class Harmonix(OnDisk):
    """See the module."""

    name = "harmonix"
    title = "The Harmonix Set"
    sources = "Nieto et al. 2019 (ISMIR); folds: Kim and Nam 2023 (WASPAA)"
    licence = "MIT (annotations); commercial recordings"
    labels = (
        SECTION,
        FUNCTION,
        LabelCard("beats", "events", "gold", "beats"),
        LabelCard("downbeats", "events", "gold", "first beats of bars"),
        LabelCard("tempo", "number", "gold", "tempo of the song", "bpm"),
        LabelCard("genre", "category", "gold", "genre, by the publisher of the labels"),
    )
    needs = (
        Need(TABLE, "table of songs", SOURCE),
        ownaudio.AUDIO,
        Need("dataset/segments/*.txt", "sections", SOURCE, needed=False),
        Need("dataset/beats_and_downbeats/*.txt", "beats", SOURCE, needed=False),
    )
    caveats = (
        ownaudio.CAVEAT,
        "the folds go by song: artists of the test split are in training too",
    )

    def recordings(self) -> Iterable[Recording]:
        place = self.root / TABLE
        columns = "File", "Artist", "Duration", "BPM", "Genre"
        songs = {row["File"]: (count, row) for count, row in table(place, columns)}
        files = own_audio(self.root, {song: () for song in sorted(songs)})
        for at, (song, path) in enumerate(files.items()):
            count, row = songs[song]
            labels: dict[str, Value] = {"tempo": seconds(place, count, row["BPM"])}
            if row["Genre"]:
                labels["genre"] = row["Genre"]
            marked = self.root / "dataset" / "segments" / f"{song}.txt"
            total = seconds(place, count, row["Duration"])
            yield Recording(
                path,
                song,
                SPLITS.get(at % FOLDS, "train"),
                row["Artist"],
                labels=labels,
                segments=sections(boundaries(marked, end=total)) if marked.is_file() else {},
                events=beats(self.root / "dataset" / "beats_and_downbeats" / f"{song}.txt"),
            )
