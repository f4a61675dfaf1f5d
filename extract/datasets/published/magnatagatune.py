"""MagnaTagATune: excerpts of 29 s with the tags that players of the game TagATune agreed on.

Layout: `annotations_final.csv` (tab-separated: clip_id, 188 tags as 0 or 1, mp3_path, as in
`f/artist-album-01-title-30-59.mp3`), `clip_info_final.csv` (tab-separated, with the artist), and
the folders `0` to `f` of the joined `mp3.zip`, at the root or in one folder below it.

`tags` holds those of the 50 most frequent tags that an excerpt has, counted over all 25,863
annotated excerpts. An excerpt with none of them has no tags and stays, as in jukemir and MARBLE;
4,752 are such, and lists that drop them have 21,108. Left out are three excerpts whose mp3 cannot
be decoded (clips 35644, 55753, 57881), and the 5,519 that `clip_info_final.csv` lists without
audio: nobody annotated them.

Splits: by folder, 12:1:3, the field's: `0` to `b` train, `c` valid, `d` to `f` test; of 18,706,
1,825 and 5,329 excerpts. Excerpts of an album are in one split.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from extract.datasets.base import LabelCard
from extract.datasets.labelfiles import table
from extract.datasets.ondisk import Need, OnDisk, Recording
from extract.errors import DataError

SITE = "mirg.city.ac.uk/codeapps/the-magnatagatune-dataset"
ANNOTATIONS = "annotations_final.csv"
INFO = "clip_info_final.csv"
CORRUPT = ("35644", "55753", "57881")
TAGS = 50
SPLITS = dict.fromkeys("0123456789ab", "train") | {"c": "valid"} | dict.fromkeys("def", "test")
# FOLDER/ARTIST-ALBUM-NUMBER-TITLE-START-END.mp3
NAME = re.compile(r"([0-9a-f])/(.+)-\d+-\d+\.mp3")


class MagnaTagATune(OnDisk):
    """See the module."""

    name = "magnatagatune"
    title = "MagnaTagATune, top 50 tags"
    sources = "Law et al. 2009 (ISMIR); split 12:1:3 by folder"
    licence = "audio CC BY-NC-SA 1.0 (Magnatune)"
    labels = (LabelCard("tags", "tags", "gold", "which of the 50 most frequent tags it has"),)
    needs = (
        Need(ANNOTATIONS, "tags", SITE),
        Need("**/[0-9a-f]/*.mp3", "audio", SITE),
        Need(INFO, "artists", SITE, needed=False),
    )
    caveats = (
        "56 of 230 artists are in more than one split (no album is)",
        "synonyms stand beside each other as tags (vocal, vocals, singing, voice)",
        "an absent tag may only mean that no player gave it",
    )

    def recordings(self) -> Iterable[Recording]:
        home = next(self.root.glob("**/[0-9a-f]/*.mp3")).parents[1]
        artists = _artists(self.root / INFO)
        for clip, path, tags in _annotations(self.root / ANNOTATIONS):
            if clip in CORRUPT:
                continue
            folder, track = NAME.fullmatch(path).groups()
            yield Recording(
                home / path,
                track,
                SPLITS[folder],
                artists.get(clip) or track,
                labels={"tags": tags},
            )


def _annotations(path: Path) -> list[tuple[str, str, tuple[str, ...]]]:
    """Clip id, path of the audio and frequent tags of each excerpt."""
    found = []
    for count, row in table(path, ("clip_id", "mp3_path"), "\t"):
        clip, audio = row.pop("clip_id"), row.pop("mp3_path")
        if not NAME.fullmatch(audio):
            raise DataError(
                f"{path}, line {count}: {audio!r} is no path of an excerpt; fetch it again"
            )
        wrong = next((v for v in row.values() if v not in ("0", "1")), None)
        if wrong is not None:
            raise DataError(f"{path}, line {count}: {wrong!r} is neither 0 nor 1; correct the line")
        found.append((clip, audio, tuple(tag for tag, given in row.items() if given == "1")))
    often = {tag for tag, _ in Counter(t for *_, tags in found for t in tags).most_common(TAGS)}
    return [(clip, audio, tuple(t for t in tags if t in often)) for clip, audio, tags in found]


def _artists(path: Path) -> dict[str, str]:
    """Artist by clip id; nothing where there is no file."""
    if not path.is_file():
        return {}
    return {row["clip_id"]: row["artist"] for _, row in table(path, ("clip_id", "artist"), "\t")}
