"""The reference annotations of Isophonics, as published for the Beatles, Queen and others.

Folders `chordlab`, `keylab`, `seglab` and `beat`, each with ARTIST/ALBUM/SONG.lab (`.txt` for
beats), as the archives unpack; they may lie deeper, as in `annotations/chordlab`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from extract.datasets.base import LabelCard, Segment
from extract.datasets.functions import FUNCTION, SECTION, sections
from extract.datasets.labelfiles import chord_of, intervals, key_of, lines, longest, seconds
from extract.datasets.ondisk import OnDisk, Recording
from extract.datasets.ownaudio import own_audio

# qualities that a few songs write otherwise
QUALITIES = {"4": "sus4", "sus": "sus4", "7sus": "sus4(b7)", "6": "maj6"}
LABELS = (
    LabelCard("chord", "segments", "gold", "chords, in Harte's syntax"),
    LabelCard("key", "category", "gold", "the key that holds longest; other for other modes"),
    LabelCard("local_key", "segments", "gold", "keys"),
    SECTION,
    FUNCTION,
)


class Isophonics(OnDisk):
    """Songs of one artist with the labels of Isophonics and audio of the user's.

    Attributes
    ----------
    artist : the folder of the artist.
    """

    artist: ClassVar[str]

    def recordings(self) -> Iterable[Recording]:
        places: dict[str, dict[str, Path]] = {}
        for kind, suffix in (
            ("chordlab", "lab"),
            ("keylab", "lab"),
            ("seglab", "lab"),
            ("beat", "txt"),
        ):
            for path in self.root.glob(f"**/{kind}/{self.artist}/*/*.{suffix}"):
                id = f"{path.parent.name}/{path.name.removesuffix(f'.{suffix}')}"
                places.setdefault(id, {})[kind] = path
        split = self.splits(sorted(places))
        files = own_audio(self.root, {id: () for id in sorted(places)})
        for id, path in files.items():
            there = places[id]
            keys = local_keys(there["keylab"]) if "keylab" in there else ()
            segments = {}
            if "seglab" in there:
                segments = sections(intervals(there["seglab"], reversed=True))
            if "chordlab" in there:
                segments["chord"] = intervals(there["chordlab"], value=chord, reversed=True)
            if keys:
                segments["local_key"] = keys
            yield Recording(
                path,
                id,
                split.get(id, ""),
                labels={"key": longest(keys)} if keys else {},
                segments=segments,
                events=beats(there["beat"]) if "beat" in there else {},
            )

    def splits(self, ids: Sequence[str]) -> Mapping[str, str]:
        """Split by id; none unless a data set says otherwise."""
        return {}


def chord(text: str) -> str:
    """A chord, of which some are written in other syntaxes than Harte's."""
    text = re.sub(r"^([A-G][b#]?)(?=min|maj|dim|aug)", r"\1:", text)
    root, colon, rest = text.partition(":")
    quality, slash, bass = rest.partition("/")
    return chord_of(f"{root}{colon}{QUALITIES.get(quality, quality)}{slash}{bass}")


def local_keys(path: Path) -> tuple[Segment, ...]:
    """Keys of lines START END `Key` KEY; lines of `Silence` have none."""
    found = []
    for segment in intervals(path, reversed=True):
        word, _, key = str(segment.value).partition(" ")
        name = key_of(key) if word == "Key" else None
        if name:
            found.append(Segment(segment.start, segment.end, name))
    return tuple(found)


def beats(path: Path) -> dict[str, tuple[float, ...]]:
    """Beats of lines TIME POSITION. `New Point` for a position, where the bars start anew, is a
    downbeat when the next beat is the second of a bar.
    """
    times, places = [], []
    for count, fields in lines(path):
        times.append(seconds(path, count, fields[0]))
        known = len(fields) == 2
        places.append(seconds(path, count, fields[1]) if known else None)
    after = [*places, None][1:]
    first = [
        time
        for time, place, following in zip(times, places, after, strict=True)
        if place == 1 or (place is None and following == 2)
    ]
    return {"beats": tuple(sorted(times)), "downbeats": tuple(sorted(first))}
