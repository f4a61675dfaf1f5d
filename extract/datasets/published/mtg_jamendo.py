"""MTG-Jamendo: tags that artists gave their tracks on Jamendo; full tracks, mostly minutes long.

Layout: the repository with `data/splits/split-0/autotagging_KIND-SPLIT.tsv`, where KIND is
top50tags, genre, instrument or moodtheme and SPLIT train, validation or test, anywhere below the
root; columns TRACK_ID, ARTIST_ID, ALBUM_ID, PATH, DURATION and as many tags as a track has, as
`genre---rock`. Audio: `41/241.mp3`, or `41/241.low.mp3` where the smaller files were fetched,
which are taken where both are there.

Splits: split-0 of the five published. A track is listed only where it has a tag of the kind, so it
lacks the other labels; no track and no artist is in two splits of split-0, whatever the list.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from extract.datasets.base import LabelCard
from extract.datasets.labelfiles import lines
from extract.datasets.ondisk import Need, OnDisk, Recording
from extract.errors import DataError

REPOSITORY = "github.com/MTG/mtg-jamendo-dataset"
LISTS = "data/splits/split-0"
LABELS = {"top50tags": "tags", "genre": "genres", "instrument": "instruments", "moodtheme": "moods"}
SPLITS = {"train": "train", "validation": "valid", "test": "test"}
COLUMNS = ["TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS"]


class MtgJamendo(OnDisk):
    """See the module."""

    name = "mtg-jamendo"
    title = "MTG-Jamendo, split-0"
    sources = "Bogdanov et al. 2019 (ICML, Machine Learning for Music Discovery Workshop)"
    licence = "metadata CC BY-NC-SA 4.0; audio Creative Commons, see audio_licenses.txt"
    labels = (
        LabelCard("tags", "tags", "gold", "which of the 50 most frequent tags, of any category"),
        LabelCard("genres", "tags", "gold", "which of 87 genres"),
        LabelCard("instruments", "tags", "gold", "which of 40 instruments"),
        LabelCard("moods", "tags", "gold", "which of 56 moods and themes"),
    )
    needs = (
        *(
            Need(f"**/{LISTS}/autotagging_{kind}-train.tsv", label, REPOSITORY, kind == "top50tags")
            for kind, label in LABELS.items()
        ),
        Need("**/[0-9][0-9]/*.mp3", "audio", f"scripts/download of {REPOSITORY}"),
    )
    caveats = ("artists tag their own tracks: an absent tag may only mean that none was given",)

    def recordings(self) -> Iterable[Recording]:
        low = next(self.root.glob("**/[0-9][0-9]/*.low.mp3"), None)
        home = (low or next(self.root.glob("**/[0-9][0-9]/*.mp3"))).parents[1]
        lists = next(self.root.glob(f"**/{LISTS}"))
        found: dict[str, Recording] = {}
        for kind, label in LABELS.items():
            for name, split in SPLITS.items():
                _read(lists / f"autotagging_{kind}-{name}.tsv", label, split, home, found)
        for track in sorted(found):
            one = found[track]
            yield Recording(
                one.path.with_suffix(".low.mp3") if low else one.path,
                track,
                one.split,
                one.group,
                labels=one.labels,
            )


def _read(path: Path, label: str, split: str, home: Path, found: dict[str, Recording]) -> None:
    """Adds the tags of one list; nothing where there is no file."""
    if not path.is_file():
        return
    for count, fields in lines(path, "\t"):
        if count == 1 and fields != COLUMNS:
            raise DataError(f"{path}, line 1: the columns are not {', '.join(COLUMNS)}")
        if count == 1:
            continue
        if len(fields) < len(COLUMNS) or not all("---" in tag for tag in fields[5:]):
            raise DataError(f"{path}, line {count}: a track and tags are needed; correct the line")
        track, artist, _, place, _, *tags = fields
        # a kind is named once, by its label; among the top 50 it belongs to the tag
        given = tags if label == "tags" else [tag.partition("---")[2] for tag in tags]
        one = found.setdefault(track, Recording(home / place, track, split, artist, labels={}))
        if one.split != split:
            raise DataError(
                f"{path}, line {count}: {track} is in {one.split} elsewhere; fetch the lists again"
            )
        one.labels[label] = tuple(given)
