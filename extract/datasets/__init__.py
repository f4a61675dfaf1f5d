"""Data sets by name: one module and one line here each; a path is a folder of audio."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from extract.errors import DataError

if TYPE_CHECKING:
    from extract.datasets.base import Dataset
    from extract.datasets.ondisk import OnDisk

# the folder below which data sets are looked for that are named without a path
ROOT = "RSA_DATA"


@dataclass(frozen=True)
class Known:
    """A data set that has a name.

    Attributes
    ----------
    home : module:class.
    summary : for the list of data sets.
    subsets : that may be asked for as NAME:SUBSET,SUBSET.
    on_disk : whether it is read where the user keeps it, as NAME:FOLDER.
    """

    home: str
    summary: str
    subsets: tuple[str, ...] = ()
    on_disk: bool = True

    def load(self):
        """The class."""
        module, _, attribute = self.home.partition(":")
        return getattr(import_module(module), attribute)


def _published(home: str, summary: str) -> Known:
    return Known(f"extract.datasets.published.{home}", summary)


REGISTRY = {
    "mini": Known(
        "extract.datasets.mini:Mini",
        "chorales, fiddle tunes, single notes and triads with exact labels, "
        "rendered on this machine from scores (needs music-rsa[demo])",
        ("chorale", "fiddle", "note", "theory"),
        on_disk=False,
    ),
    "gtzan": _published("gtzan:Gtzan", "ten genres, tempo, beats; excerpts of 30 s"),
    "ballroom": _published("ballroom:Ballroom", "eight dances, tempo, beats; excerpts of 30 s"),
    "beatles": _published(
        "beatles:Beatles", "chords, keys, sections, beats of the Beatles; own audio"
    ),
    "billboard": _published(
        "billboard:Billboard", "chords, sections, tonics of American hits; own audio"
    ),
    "giantsteps-key": _published(
        "giantsteps_key:GiantstepsKey", "keys of electronic dance music, train to test"
    ),
    "giantsteps-tempo": _published(
        "giantsteps_tempo:GiantstepsTempo", "tempi of electronic dance music"
    ),
    "guitarset": _published(
        "guitarset:GuitarSet", "acoustic guitar: chords, keys, beats, notes, pitch of each string"
    ),
    "harmonix": _published(
        "harmonix:Harmonix", "sections, beats, tempi of 912 pop songs; own audio"
    ),
    "queen": _published("queen:Queen", "chords, keys, sections of Queen; own audio"),
    "rwc-popular": _published(
        "rwc_popular:RwcPopular", "beats, chords, sections of 100 pop songs; own audio"
    ),
    "salami": _published("salami:Salami", "sections of 1,359 recordings of all kinds; own audio"),
}


def names() -> list[str]:
    """Names of the data sets."""
    return list(REGISTRY)


def place_of(text: str) -> Path:
    """Where the files of `NAME:FOLDER`, or of `NAME` below $RSA_DATA, should be."""
    name, _, detail = text.partition(":")
    if detail:
        return Path(detail)
    root = os.environ.get(ROOT)
    if not root:
        raise DataError(f"{name}: say where it is, as in {name}:/data/{name}, or set {ROOT}")
    return Path(root) / name


def on_disk(text: str) -> type[OnDisk] | None:
    """The class of a data set that is read from a folder; None for any other."""
    known = REGISTRY.get(text.partition(":")[0])
    return known.load() if known and known.on_disk else None


def open_dataset(text: str, manifest: Path | None = None) -> Dataset:
    """`NAME`, `NAME:SUBSET,SUBSET`, `NAME:FOLDER` or the path of a folder of audio.

    Raises
    ------
    KeyError : neither a known name nor a folder.
    DataError : an unknown subset, or a data set that cannot be read.
    """
    name, _, detail = text.partition(":")
    known = REGISTRY.get(name)
    if known and known.on_disk:
        place = place_of(text)
        if not place.is_dir():
            raise DataError(f"{name}: there is no folder {place}; give the one that holds it")
        return known.load()(place)
    if known:
        subsets = tuple(filter(None, detail.split(",")))
        for subset in subsets:
            if subset not in known.subsets:
                there = ", ".join(known.subsets)
                raise DataError(f"{text}: no subset {subset!r} in {name}; there are {there}")
        return known.load()(subsets) if subsets else known.load()()
    if Path(text).is_dir():
        from extract.datasets.folder import Folder

        return Folder(Path(text), manifest=manifest)
    raise KeyError(text)
