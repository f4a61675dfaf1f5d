"""Queen: 51 songs with sections, 20 of them with chords and keys; the audio is the user's own.

Layout: the archive "Queen Annotations" of Isophonics, with `chordlab/Queen/Greatest Hits I/01
Bohemian Rhapsody.lab`, `keylab/...` and `seglab/...`; the recordings as `audio/ALBUM/SONG.flac` or
by `audio.csv` (see `extract.datasets.ownaudio`); an id is ALBUM/SONG.

Splits: none in the field.
"""

from __future__ import annotations

from extract.datasets import ownaudio
from extract.datasets.isophonics import LABELS, Isophonics
from extract.datasets.ondisk import Need

SOURCE = "isophonics.net/content/reference-annotations-queen"


class Queen(Isophonics):
    """See the module."""

    name = "queen"
    title = "Queen, annotations of Isophonics"
    artist = "Queen"
    sources = "Mauch et al. 2009 (OMRAS2 metadata project)"
    licence = "none stated for the annotations; commercial recordings"
    labels = LABELS
    needs = (
        Need("**/seglab/Queen/*/*.lab", "sections", SOURCE),
        ownaudio.AUDIO,
        Need("**/chordlab/Queen/*/*.lab", "chords", SOURCE, needed=False),
        Need("**/keylab/Queen/*/*.lab", "keys", SOURCE, needed=False),
    )
    caveats = (ownaudio.CAVEAT, "one band: the same voices and instruments in every split")
