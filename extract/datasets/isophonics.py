"""The reference annotations of Isophonics, as published for the Beatles, Queen and others.

Folders `chordlab`, `keylab`, `seglab` and `beat`, each with ARTIST/ALBUM/SONG.lab (`.txt` for
beats), as the archives unpack; they may lie deeper, as in `annotations/chordlab`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from extract.datasets.base import LabelCard, Segment
from extract.datasets.functions import FUNCTION, SECTION, sections
from extract.datasets.labelfiles import chord_of, intervals, key_of, lines, longest, seconds
from extract.datasets.ondisk import OnDisk, Recording
from extract.datasets.ownaudio import own_audio

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
            segments = sections(intervals(there["seglab"])) if "seglab" in there else {}
            if "chordlab" in there:
                segments["chord"] = intervals(there["chordlab"], value=chord_of)
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


def local_keys(path: Path) -> tuple[Segment, ...]:
    """Keys of lines START END `Key` KEY; lines of `Silence` have none."""
    found = []
    for segment in intervals(path):
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
        places.append(fields[-1] if len(fields) == 2 else "")
    after = [*places[1:], ""]
    first = [p == "1" or (not p and n == "2") for p, n in zip(places, after, strict=True)]
    return {
        "beats": tuple(sorted(times)),
        "downbeats": tuple(sorted(t for t, is_first in zip(times, first, strict=True) if is_first)),
    }
