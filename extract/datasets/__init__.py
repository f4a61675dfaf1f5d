"""Data sets by name: one module and one line here each; a path is a folder of audio."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from extract.errors import DataError
from extract.urls import is_url

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
    family : whether it stands for many, asked for as NAME:MEMBER:FOLDER.
    """

    home: str
    summary: str
    subsets: tuple[str, ...] = ()
    on_disk: bool = True
    family: bool = False

    def load(self):
        """The class; its `labels` and `licence` are known before any data is."""
        module, _, attribute = self.home.partition(":")
        return getattr(import_module(module), attribute)

    def form(self, name: str) -> str:
        """How it is asked for."""
        member = ":LOADER" if self.family else ""
        return f"{name}{member}:FOLDER" if self.on_disk else name


def _published(home: str, summary: str) -> Known:
    return Known(f"extract.datasets.published.{home}", summary)


REGISTRY = {
    "mini": Known(
        "extract.datasets.mini:Mini",
        "chorales, fiddle tunes, one to four voices, single notes and triads with exact labels, "
        "rendered on this machine from scores (needs music-rsa[demo])",
        ("chorale", "fiddle", "note", "theory", "voices"),
        on_disk=False,
    ),
    "ballroom": _published("ballroom:Ballroom", "eight dances, tempo, beats; excerpts of 30 s"),
    "beatles": _published(
        "beatles:Beatles", "chords, keys, sections, beats of the Beatles; own audio"
    ),
    "billboard": _published(
        "billboard:Billboard", "chords, sections, tonics of American hits; own audio"
    ),
    "emomusic": _published("emomusic:EmoMusic", "arousal and valence of 744 excerpts of 45 s"),
    "giantsteps-key": _published(
        "giantsteps_key:GiantstepsKey", "keys of electronic dance music, train to test"
    ),
    "giantsteps-tempo": _published(
        "giantsteps_tempo:GiantstepsTempo", "tempi of electronic dance music"
    ),
    "gtzan": _published("gtzan:Gtzan", "ten genres, tempo, beats; excerpts of 30 s"),
    "guitarset": _published(
        "guitarset:GuitarSet", "acoustic guitar: chords, keys, beats, notes, pitch of each string"
    ),
    "harmonix": _published(
        "harmonix:Harmonix", "sections, beats, tempi of 912 pop songs; own audio"
    ),
    "irmas": _published("irmas:Irmas", "predominant instruments in music, eleven of them"),
    "maestro": _published("maestro:Maestro", "piano recitals with every note; cut into 30 s"),
    "magnatagatune": _published("magnatagatune:MagnaTagATune", "top 50 tags; excerpts of 29 s"),
    "medley-solos-db": _published("medley_solos_db:MedleySolosDb", "eight solo instruments; 3 s"),
    "medleydb-melody": _published(
        "medleydb_melody:MedleyDbMelody", "melody in Hz of 108 recordings; cut into 30 s"
    ),
    "mirdata": Known(
        "extract.datasets.mirdata:Mirdata",
        "any of the loaders of mirdata that has audio, as mirdata:LOADER:FOLDER "
        "(needs music-rsa[mirdata])",
        family=True,
    ),
    "mtg-jamendo": _published(
        "mtg_jamendo:MtgJamendo", "tags, genres, instruments and moods of 55,525 tracks"
    ),
    "musdb18": _published(
        "musdb18:Musdb18", "when vocals, drums, bass and the rest sound; cut into 30 s"
    ),
    "nsynth": _published("nsynth:NSynth", "pitch, family, source, qualities of 305,979 notes"),
    "openmic": _published("openmic:OpenMic", "twenty instruments in 20,000 excerpts of 10 s"),
    "queen": _published("queen:Queen", "chords, keys, sections of Queen; own audio"),
    "rwc-popular": _published(
        "rwc_popular:RwcPopular", "beats, chords, sections of 100 pop songs; own audio"
    ),
    "salami": _published("salami:Salami", "sections of 1,359 recordings of all kinds; own audio"),
    "tinysol": _published("tinysol:TinySol", "instrument, pitch, dynamics of 2,913 single notes"),
    "vocalset": _published("vocalset:VocalSet", "ten vocal techniques, vowels; singers disjoint"),
    "vocalset-singer": _published("vocalset:VocalSetSinger", "twenty singers, by recording"),
}


def names() -> list[str]:
    """Names of the data sets."""
    return list(REGISTRY)


def place_of(text: str) -> Path:
    """Where the files of `NAME:FOLDER`, or of `NAME` below $RSA_DATA, should be.

    Of a family, `NAME:MEMBER:FOLDER`, or MEMBER below $RSA_DATA.
    """
    name, _, detail = text.partition(":")
    known, own = REGISTRY.get(name), name
    if known and known.family:
        own, _, detail = detail.partition(":")
        name = f"{name}:{own or 'LOADER'}"
    root = os.environ.get(ROOT)
    if is_url(where := detail or root or ""):
        raise DataError(
            f"{name}: published data sets are read from a disk; copy {where} to this machine, and "
            f"give {name}:FOLDER"
        )
    if detail:
        return Path(detail)
    if not root or not own:
        raise DataError(f"{name}: say where it is, as in {name}:/data/{own}, or set {ROOT}")
    return Path(root) / own


def check_place(text: str) -> None:
    """Raises `DataError` for data that are read from a folder which is not there."""
    name = text.partition(":")[0]
    known = REGISTRY.get(name)
    if known and known.on_disk and not (place := place_of(text)).is_dir():
        raise DataError(f"{name}: there is no folder {place}; give the one that holds it")


def is_here(name: str) -> bool:
    """Whether a data set can be opened by its name alone.

    Its files are below $RSA_DATA, or what it is built from is installed.
    """
    known = REGISTRY[name]
    if known.family:
        return False
    if not known.on_disk:
        from extract.datasets.mini import sources

        return not sources.lacking()
    try:
        place = place_of(name)
    except DataError:
        return False
    parts = known.load().checklist(place) if place.is_dir() else []
    return bool(parts) and all(found for need, found in parts if need.needed)


def on_disk(text: str) -> type[OnDisk] | None:
    """The class of a data set that is read from a folder; None for any other."""
    known = REGISTRY.get(text.partition(":")[0])
    return known.load() if known and known.on_disk else None


def open_dataset(
    text: str,
    manifest: Path | None = None,
    *,
    offline: bool = False,
    say: Callable[[str], object] | None = None,
) -> Dataset:
    """`NAME`, `NAME:SUBSET,SUBSET`, `NAME:FOLDER`, `mirdata:LOADER:FOLDER` or a folder of audio.

    Parameters
    ----------
    text : the folder may be a URL (`s3://bucket/music`), see `extract.remote`.
    offline : a URL that needs the network is refused.
    say : told when a storage has to be asked again.

    Raises
    ------
    KeyError : neither a known name nor a folder.
    DataError : an unknown subset, or a data set that cannot be read.
    RemoteError, OptionUnsuitable : a URL that cannot be read.
    """
    name, _, detail = text.partition(":")
    known = REGISTRY.get(name)
    if known and known.on_disk:
        check_place(text)
        member = [detail.partition(":")[0]] if known.family else []
        return known.load()(*member, place_of(text))
    if known:
        subsets = tuple(filter(None, detail.split(",")))
        for subset in subsets:
            if subset not in known.subsets:
                there = ", ".join(known.subsets)
                raise DataError(f"{text}: no subset {subset!r} in {name}; there are {there}")
        return known.load()(subsets) if subsets else known.load()()
    if is_url(text):
        from extract.datasets.folder import Folder
        from extract.remote.root import connect
        from extract.remote.tree import Tree

        return Folder(Tree(connect(text, offline=offline, say=say)), manifest=manifest)
    if Path(text).is_dir():
        from extract.datasets.folder import Folder

        return Folder(Path(text), manifest=manifest)
    raise KeyError(text)
