"""McGill Billboard: 739 American hits of 1958 to 1991 with chords, sections and tonics; the audio
is the user's own.

Layout: `McGill-Billboard/0003/full.lab` (chords, START END CHORD) and `.../salami_chords.txt`
(title, artist and tonic as comments, then lines TIME and LETTER, SECTION, | bars of chords |). The
recordings as `audio/0003.flac`, `audio/ARTIST - TITLE.flac` or by `audio.csv` (see
`extract.datasets.ownaudio`). Of 890 entries those that repeat a song are left out.

Splits: entries up to 1000 were published for training, those above were the test of MIREX 2012.
Songs that are in both are training. Of the artists in training, one in six by a hash is valid.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from extract.datasets import ownaudio
from extract.datasets.base import LabelCard, Segment
from extract.datasets.functions import FUNCTION, SECTION, sections
from extract.datasets.labelfiles import chord_of, intervals, longest, read, seconds, tonic_of
from extract.datasets.ondisk import Need, OnDisk, Recording
from extract.datasets.ownaudio import own_audio, plain
from extract.datasets.splits import hashed
from extract.errors import DataError

HOME = "McGill-Billboard"
LAST_OF_TRAINING = 1000
SHARES = {"train": 5, "valid": 1}
LETTER = re.compile(r"[A-Z]'*")
SOURCE = "ddmal.ca/research/The_McGill_Billboard_Project_(Chord_Analysis_Dataset)"


class Billboard(OnDisk):
    """See the module."""

    name = "billboard"
    title = "McGill Billboard 2.0, each song once"
    sources = "Burgoyne, Wild and Fujinaga 2011 (ISMIR)"
    licence = "CC0 (annotations); commercial recordings"
    labels = (
        LabelCard("chord", "segments", "gold", "chords, in Harte's syntax"),
        SECTION,
        FUNCTION,
        LabelCard("tonic", "category", "gold", "the tonic that holds longest, without mode"),
    )
    needs = (
        Need(f"{HOME}/*/salami_chords.txt", "songs and sections", SOURCE),
        ownaudio.AUDIO,
        Need(f"{HOME}/*/full.lab", "chords", SOURCE, needed=False),
    )
    caveats = (
        ownaudio.CAVEAT,
        "the last four chords of entry 0974 run backwards in time and are left out",
        "the published test goes by chart entry: of its 130 artists, 60 are in training too",
    )

    def recordings(self) -> Iterable[Recording]:
        songs: dict[tuple[str, str], list[Song]] = {}
        for path in sorted((self.root / HOME).glob("*/salami_chords.txt")):
            song = read_song(path)
            songs.setdefault((plain(song.artist), plain(song.title)), []).append(song)
        files = own_audio(
            self.root,
            {
                first.entry: (*(s.entry for s in more), f"{first.artist} - {first.title}")
                for first, *more in songs.values()
            },
        )
        for (artist, _), (song, *_) in songs.items():
            segments = sections(song.sections)
            lab = self.root / HOME / song.entry / "full.lab"
            if lab.is_file():
                segments["chord"] = intervals(lab, value=chord_of, reversed=True)
            yield Recording(
                files[song.entry],
                song.entry,
                "test" if int(song.entry) > LAST_OF_TRAINING else hashed(artist, SHARES),
                artist,
                labels={"tonic": longest(song.tonics)} if song.tonics else {},
                segments=segments,
            )


@dataclass(frozen=True)
class Song:
    """What `salami_chords.txt` says of an entry."""

    entry: str
    title: str
    artist: str
    sections: tuple[Segment, ...]
    tonics: tuple[Segment, ...]


def read_song(path: Path) -> Song:
    """Title, artist, named sections and tonics of an entry.

    A section begins at a line with a letter and lasts to the next one, or to silence; a letter
    without a name begins none. A tonic holds from the line that follows it.
    """
    entry = path.parent.name
    if not entry.isdigit():
        raise DataError(f"{path}: its folder is not named by a number; give it back its name")
    head = {"title": "", "artist": ""}
    marks: list[tuple[float, str]] = []
    tonics: list[tuple[float, str]] = []
    tonic, last = "", 0.0
    for count, line in enumerate(read(path).splitlines(), 1):
        if line.startswith("#"):
            name, _, value = line.lstrip("# ").partition(":")
            tonic = value.strip() if name == "tonic" else tonic
            if name in head:
                head[name] = value.strip()
        elif line.strip():
            time, _, rest = line.partition("\t")
            last = seconds(path, count, time)
            if not tonics or tonics[-1][1] != tonic:
                tonics.append((last, tonic))
            word = _section(rest)
            if word is not None:
                marks.append((last, word))
    return Song(
        entry,
        head["title"],
        head["artist"],
        tuple(s for s in _spans(marks, last) if s.value not in ("", "end")),
        tuple(
            Segment(s.start, s.end, tonic_of(str(s.value)))
            for s in _spans(tonics, last)
            if tonic_of(str(s.value))
        ),
    )


def _section(text: str) -> str | None:
    """The section that begins with a line, "" for one without a name; None where none begins."""
    words = [word.strip() for word in text.partition("|")[0].split(",")]
    if words[0] in ("silence", "end"):
        return words[0]
    if not LETTER.fullmatch(words[0]):
        return None
    return next((word for word in words[1:] if word and "(" not in word), "")


def _spans(marks: list[tuple[float, str]], end: float) -> list[Segment]:
    """What holds from each mark to the next."""
    ends = [*(time for time, _ in marks[1:]), end]
    return [
        Segment(start, stop, value)
        for (start, value), stop in zip(marks, ends, strict=True)
        if stop > start
    ]
