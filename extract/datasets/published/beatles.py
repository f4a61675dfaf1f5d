"""The Beatles: 180 songs with chords, keys, sections and beats; the audio is the user's own.

Layout: the archive "The Beatles Annotations" of Isophonics, with `chordlab/The Beatles/ALBUM/
SONG.lab`, `keylab/...`, `seglab/...` and `beat/The Beatles/ALBUM/SONG.txt`; the recordings as
`audio/ALBUM/SONG.flac` or by `audio.csv` (see `extract.datasets.ownaudio`); an id is ALBUM/SONG.

Splits: the 8 folds of Böck and Davies 2020, which spread albums over folds: fold 0 is test, fold 1
valid, the others train. Read from `splits/beatles_8-fold_cv_album_distributed.folds`; without that
file there are no splits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from extract.datasets import ownaudio
from extract.datasets.base import LabelCard
from extract.datasets.isophonics import LABELS, Isophonics
from extract.datasets.labelfiles import folds
from extract.datasets.ondisk import Need
from extract.datasets.ownaudio import plain

FOLDS = "splits/beatles_8-fold_cv_album_distributed.folds"
SOURCE = "isophonics.net/content/reference-annotations-beatles"


class Beatles(Isophonics):
    """See the module."""

    name = "beatles"
    title = "The Beatles, annotations of Isophonics"
    artist = "The Beatles"
    sources = (
        "Harte 2010 (chords); Mauch et al. 2009 (OMRAS2 metadata project); beats: Davies, Degara "
        "and Plumbley 2009; folds: Böck and Davies 2020"
    )
    licence = "none stated for the annotations; commercial recordings"
    labels = (
        *LABELS,
        LabelCard("beats", "events", "gold", "beats"),
        LabelCard("downbeats", "events", "gold", "first beats of bars"),
    )
    needs = (
        Need("**/chordlab/The Beatles/*/*.lab", "chords", SOURCE),
        ownaudio.AUDIO,
        Need("**/keylab/The Beatles/*/*.lab", "keys", SOURCE, needed=False),
        Need("**/seglab/The Beatles/*/*.lab", "sections", SOURCE, needed=False),
        Need("**/beat/The Beatles/*/*.txt", "beats", SOURCE, needed=False),
        Need(FOLDS, "folds", "github.com/superbock/ISMIR2020", needed=False),
    )
    caveats = (ownaudio.CAVEAT, "one band: the same voices and instruments in every split")

    def splits(self, ids: Sequence[str]) -> Mapping[str, str]:
        named = {plain(name): split for name, split in folds(self.root / FOLDS).items()}
        # the folds name songs of the double album without their `CD1_-_`
        short = {id: re.sub(r"/CD\d_-_", "/", id) for id in ids}
        return {id: named.get(plain(f"beatles{short[id]}"), "") for id in ids}
