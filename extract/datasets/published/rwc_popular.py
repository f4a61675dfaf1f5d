"""RWC Popular: 100 songs with beats, sections, chords and tempi; the audio is the user's own.

Layout: `AIST.RWC-MDB-P-2001.BEAT/RM-P001.BEAT.TXT` (time in 1/100 s, and 384 for a downbeat),
`AIST.RWC-MDB-P-2001.CHORUS/RM-P001.CHORUS.TXT` (START END "NAME" in 1/100 s), chords of MARL as
`RWC_Pop_Chords/N001-M01-T01.lab`, tempi and singers in `rwc-p.csv`; each may lie deeper. Recordings
as `audio/RM-P001.wav`, as the discs are ripped (`audio/rwc-p-m01/1.wav`), or by `audio.csv` (see
`extract.datasets.ownaudio`).

Splits: none in the field; the group is the singer.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from extract.datasets import ownaudio
from extract.datasets.base import LabelCard, Segment
from extract.datasets.functions import FUNCTION, SECTION, sections
from extract.datasets.labelfiles import chord_of, intervals, lines, seconds, table
from extract.datasets.ondisk import Need, OnDisk, Recording
from extract.datasets.ownaudio import own_audio

SONGS = 100
RATE = 100  # times in the files of AIST are in 1/100 s
DOWNBEAT, NO_BEAT = 384, -1
AIST = "staff.aist.go.jp/m.goto/RWC-MDB/AIST-Annotation"


class RwcPopular(OnDisk):
    """See the module."""

    name = "rwc-popular"
    title = "RWC Popular Music Database"
    sources = (
        "Goto et al. 2002 (ISMIR); beats and sections: Goto 2006 (ISMIR); chords: Cho and Bello "
        "2011 (ISMIR)"
    )
    licence = "for research, by agreement with AIST"
    labels = (
        LabelCard("tempo", "number", "gold", "tempo of the production", "bpm"),
        LabelCard("beats", "events", "gold", "beats"),
        LabelCard("downbeats", "events", "gold", "first beats of bars"),
        LabelCard("chord", "segments", "gold", "chords, in Harte's syntax"),
        SECTION,
        FUNCTION,
    )
    needs = (
        Need("**/RM-P*.BEAT.TXT", "beats", AIST),
        ownaudio.AUDIO,
        Need("**/RM-P*.CHORUS.TXT", "sections", AIST, needed=False),
        Need("**/N*-M*-T*.lab", "chords", "github.com/tmc323/Chord-Annotations", needed=False),
        Need("**/rwc-p.csv", "tempi and singers", "github.com/magdalenafuentes/metadata", False),
    )
    caveats = (ownaudio.CAVEAT,)

    def recordings(self) -> Iterable[Recording]:
        marked = {p.name[:7]: p for p in self.root.glob("**/RM-P*.BEAT.TXT")}
        named = {p.name[:7]: p for p in self.root.glob("**/RM-P*.CHORUS.TXT")}
        played = {f"RM-P{p.name[1:4]}": p for p in self.root.glob("**/N*-M*-T*.lab")}
        about = {}
        for path in sorted(self.root.glob("**/rwc-p.csv"))[:1]:
            columns = "Piece No.", "Cat. Suffix", "Tr. No.", "Artist (Vocal)", "Tempo"
            for count, row in table(path, columns):
                about[f"RM-P{_number(row['Piece No.']):03d}"] = row | {
                    "Tempo": seconds(path, count, row["Tempo"])
                }
        songs = [f"RM-P{number:03d}" for number in range(1, SONGS + 1)]
        files = own_audio(self.root, {song: _names(about.get(song)) for song in songs})
        for song in songs:
            segments = sections(chorus(named[song])) if song in named else {}
            if song in played:
                segments["chord"] = intervals(played[song], value=chord_of)
            row = about.get(song)
            yield Recording(
                files[song],
                song,
                group=row["Artist (Vocal)"] if row else song,
                labels={"tempo": row["Tempo"]} if row else {},
                segments=segments,
                events=beats(marked[song]) if song in marked else {},
            )


def _number(text: str) -> int:
    """The number in `No. 7`."""
    return int("".join(c for c in text if c.isdigit()) or 0)


def _names(row: dict | None) -> tuple[str, ...]:
    """The name of a track on its disc: `rwc-p-m01/1`, the disc and the track."""
    if not row:
        return ()
    disc, track = row["Cat. Suffix"].lower(), _number(row["Tr. No."])
    return f"rwc-p-{disc}/{track}", f"rwc-p-{disc}/{track:02d}"


def beats(path: Path) -> dict[str, tuple[float, ...]]:
    """Beats of lines TIME TIME PLACE."""
    times, first = [], []
    for count, fields in lines(path):
        place = seconds(path, count, fields[-1])
        if place != NO_BEAT:
            times.append(seconds(path, count, fields[0]) / RATE)
            if place == DOWNBEAT:
                first.append(times[-1])
    return {"beats": tuple(sorted(times)), "downbeats": tuple(sorted(first))}


def chorus(path: Path) -> tuple[Segment, ...]:
    """Sections of lines START END "NAME"."""
    return tuple(
        Segment(s.start / RATE, s.end / RATE, str(s.value).strip('"')) for s in intervals(path)
    )
