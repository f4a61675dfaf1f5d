"""Ballroom: 685 excerpts of 30 s in eight ballroom dances, with tempi, beats and bars.

Layout: `BallroomData/Waltz/Media-105901.wav` (data1.tar.gz); beats and positions in the bar:
`BallroomAnnotations/Media-105901.beats` (Krebs et al.; a download of the repository may be called
`BallroomAnnotations-master`); tempi: `BallroomAnnotations/ballroomGroundTruth/Media-105901.bpm`
(data2.tar.gz).

Of 698 excerpts, 13 are replicas of others (Sturm 2014, listed in the README of the annotations);
they are left out, as in Böck and Davies 2020.

Splits: the 8 folds of Böck and Davies 2020, which Beat This (2024) uses too: fold 0 is test, fold 1
valid, the others train. Read from `splits/ballroom_8-fold_cv_dancestyle.folds`; without that file
there are no splits.
"""

from __future__ import annotations

from collections.abc import Iterable

from extract.datasets.base import LabelCard
from extract.datasets.labelfiles import beats, folds, number
from extract.datasets.ondisk import Need, OnDisk, Recording

FOLDS = "splits/ballroom_8-fold_cv_dancestyle.folds"
REPLICAS = frozenset(
    (
        "Albums-AnaBelen_Veneo-15",
        "Albums-Ballroom_Magic-18",
        "Albums-Chrisanne2-12",
        "Albums-Fire-09",
        "Albums-Latin_Jam-13",
        "Albums-Latin_Jam-14",
        "Albums-Latin_Jam-15",
        "Albums-Latin_Jam2-13",
        "Albums-Latin_Jam2-14",
        "Albums-Latin_Jam2-15",
        "Media-103414",
        "Media-103415",
        "Media-104705",
    )
)


class Ballroom(OnDisk):
    """See the module."""

    name = "ballroom"
    title = "Ballroom, without replicas"
    sources = (
        "Gouyon et al. 2006 (IEEE Trans. Audio, Speech and Language Processing 14); beats: Krebs, "
        "Böck and Widmer 2013; folds: Böck and Davies 2020"
    )
    licence = "none stated for the audio, excerpts of commercial recordings"
    labels = (
        LabelCard("dance", "category", "gold", "one of eight; the three kinds of rumba are one"),
        LabelCard("tempo", "number", "gold", "tempo of the ISMIR 2004 contest", "bpm"),
        LabelCard("beats", "events", "gold", "beats, at the level of the dance"),
        LabelCard("downbeats", "events", "gold", "first beats of bars"),
    )
    needs = (
        Need(
            "BallroomData/*/*.wav",
            "audio",
            "mtg.upf.edu/ismir2004/contest/tempoContest/data1.tar.gz",
        ),
        Need(
            "BallroomAnnotations*/*.beats",
            "beats",
            "github.com/CPJKU/BallroomAnnotations",
            needed=False,
        ),
        Need(
            "BallroomAnnotations*/ballroomGroundTruth/*.bpm",
            "tempi",
            "mtg.upf.edu/ismir2004/contest/tempoContest/data2.tar.gz",
            needed=False,
        ),
        Need(FOLDS, "folds", "github.com/superbock/ISMIR2020", needed=False),
    )
    caveats = (
        "the excerpts were decoded from RealAudio: their sound is poor",
        "a group is an album where the name tells it, else one excerpt; the published folds are "
        "drawn by dance and divide albums",
    )

    def recordings(self) -> Iterable[Recording]:
        split = folds(self.root / FOLDS)
        marked = {p.stem: p for p in self.root.glob("BallroomAnnotations*/*.beats")}
        tempi = {
            p.stem: p for p in self.root.glob("BallroomAnnotations*/ballroomGroundTruth/*.bpm")
        }
        for path in sorted(self.root.glob("BallroomData/*/*.wav")):
            track = path.stem
            if track in REPLICAS:
                continue
            labels: dict[str, str | float] = {"dance": path.parent.name.split("-")[0]}
            if track in tempi:
                labels["tempo"] = number(tempi[track])
            album = track.rpartition("-")[0]
            yield Recording(
                path,
                track,
                split.get(f"ballroom_{track}", ""),
                album if album.startswith("Albums-") else track,
                labels=labels,
                events=beats(marked[track]) if track in marked else {},
            )
