"""VocalSet: twenty singers (nine women, eleven men) who sing with seventeen techniques, alone.

Layout: `FULL/female1/arpeggios/belt/f1_arpeggios_belt_c_a.wav`: singer, context (arpeggios,
scales, long_tones, excerpts), technique, and a file that ends in its vowel, if it has one. Singer
and technique are read from folders: some files lack the singer, one names another. The folders
`data_by_...` of later versions hold the same files and are not read; nor are second copies, as
`f2_scales_vibrato_a(1).wav`.

`technique` is one of the ten that the authors and MARBLE classify; the other seven are dynamics and
tempi (`fast_forte`, `messa`, `pp`, ...), and such recordings have no such label.

Splits: `vocalset` keeps the singers of the published `test_singers_technique.txt` (female2,
female8, male3, male5, male10) for the test and has the other fifteen in train; there is no
validation set. MARBLE draws one from the same fifteen singers, by recording. `vocalset-singer`, to
tell singers apart, has no split: the authors' and MARBLE's are drawn by recording too. Both cut
recordings into 3 s; here they are whole, 10 s on average.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from extract.datasets.base import LabelCard
from extract.datasets.ondisk import Need, OnDisk, Recording

ARCHIVE = "zenodo.org/record/1193957"
TEST = ("female2", "female8", "male3", "male5", "male10")
TECHNIQUES = (
    "belt", "breathy", "inhaled", "lip_trill", "spoken", "straight", "trill", "trillo", "vibrato",
    "vocal_fry",
)  # fmt: skip
SPELLINGS = {"vibrado": "vibrato"}
VOWELS = ("a", "e", "i", "o", "u")


class VocalSet(OnDisk):
    """See the module."""

    name = "vocalset"
    title = "VocalSet, techniques of unseen singers"
    sources = "Wilkins, Seetharaman, Wahl and Pardo 2018 (ISMIR)"
    licence = "CC BY 4.0"
    labels = (
        LabelCard("technique", "category", "gold", "one of ten vocal techniques"),
        LabelCard("vowel", "category", "gold", "a, e, i, o or u, where one alone is sung"),
        LabelCard("singer", "category", "gold", "one of twenty singers"),
    )
    needs = (Need("**/FULL/*/*/*/*.wav", "recordings", ARCHIVE),)
    caveats = ("no singer is in two splits: ask for singers with vocalset-singer",)

    def recordings(self) -> Iterable[Recording]:
        for path, singer, labels in _labelled(self.root):
            split = "test" if singer in TEST else "train"
            yield Recording(path, _track(path), split, singer, labels=labels)


class VocalSetSinger(VocalSet):
    """See the module."""

    name = "vocalset-singer"
    title = "VocalSet, singers"
    labels = (LabelCard("singer", "category", "gold", "one of twenty singers"),)
    caveats = ("no split is published: recordings of a singer are divided at random",)

    def recordings(self) -> Iterable[Recording]:
        for path, singer, _ in _labelled(self.root):
            yield Recording(path, _track(path), labels={"singer": singer})


def _labelled(root: Path) -> Iterator[tuple[Path, str, dict[str, str]]]:
    """Path, singer and labels of each recording, in order of singer, context and technique."""
    # archives packed on a Mac hold a shadow of each file
    homes = [home for home in root.glob("**/FULL") if "__MACOSX" not in home.parts]
    home = min(homes, key=lambda home: (len(home.parts), home), default=root)
    for path in sorted(home.glob("*/*/*/*.wav")):
        if path.name.startswith(".") or "(" in path.stem:
            continue
        singer, context, folder = path.parts[-4:-1]
        labels = {"singer": singer}
        technique = SPELLINGS.get(folder, folder)
        if technique in TECHNIQUES:
            labels["technique"] = technique
        vowel = path.stem.rpartition("_")[2]
        if vowel in VOWELS and context != "excerpts":
            labels["vowel"] = vowel
        yield path, singer, labels


def _track(path: Path) -> str:
    return "/".join((*path.parts[-4:-1], path.stem))
