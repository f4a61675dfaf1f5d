"""TinySOL: 2,913 single notes of fourteen instruments in ordinary playing, recorded at Ircam.

Layout: `TinySOL_metadata.csv` (Path, Fold, Family, Instrument (in full), Pitch ID, Dynamics and
more) anywhere below the root, and the folders of `TinySOL.tar.gz`, as in
`Strings/Contrabass/ordinario/Cb-ord-A2-mf-2c-N.wav`, at the root or in one folder below it.

Splits: of the five published folds, 0 to 2 are train, 3 is valid and 4 is test; the authors average
over all five. Folds are balanced in instrument, pitch and dynamics, so each instrument is in all of
them. One pitch of one instrument is a group; most groups are in more than one split.
"""

from __future__ import annotations

from collections.abc import Iterable

from extract.datasets.base import LabelCard
from extract.datasets.labelfiles import amount, one_of, table
from extract.datasets.ondisk import Need, OnDisk, Recording

ARCHIVE = "zenodo.org/record/3685367"
METADATA = "TinySOL_metadata.csv"
SPLITS = {"0": "train", "1": "train", "2": "train", "3": "valid", "4": "test"}
COLUMNS = ("Path", "Fold", "Family", "Instrument (in full)", "Pitch ID", "Dynamics")


class TinySol(OnDisk):
    """See the module."""

    name = "tinysol"
    title = "TinySOL"
    sources = "Cella et al. 2020 (OrchideaSOL, arXiv:2007.00763)"
    licence = "CC BY 4.0"
    labels = (
        LabelCard("instrument", "category", "gold", "one of fourteen instruments"),
        LabelCard("family", "category", "gold", "Brass, Keyboards, Strings or Winds"),
        LabelCard("pitch", "number", "gold", "pitch of the note", "MIDI number"),
        LabelCard("dynamics", "category", "gold", "pp, p, mf or ff"),
    )
    needs = (
        Need(f"**/{METADATA}", "labels", ARCHIVE),
        Need("**/*/ordinario/*.wav", "audio", ARCHIVE),
    )
    caveats = (
        "the folds divide notes: each instrument, and most of its pitches, is in every split",
        "640 of the 2,913 notes were made from a neighbouring pitch by retuning",
    )

    def recordings(self) -> Iterable[Recording]:
        place = next(self.root.glob(f"**/{METADATA}"))
        home = next(self.root.glob("**/*/ordinario/*.wav")).parents[3]
        for count, row in table(place, COLUMNS):
            path, fold, family, instrument, pitch, dynamics = (row[name] for name in COLUMNS)
            yield Recording(
                home / path,
                path.rpartition("/")[2].removesuffix(".wav"),
                one_of(place, count, fold, SPLITS),
                f"{instrument} {pitch}",
                labels={
                    "instrument": instrument,
                    "family": family,
                    "pitch": amount(place, count, pitch),
                    "dynamics": dynamics,
                },
            )
