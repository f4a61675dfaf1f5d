"""Any data set that mirdata has a loader for: `mirdata:NAME:FOLDER`.

The package is an extra, imported only when asked for. Its loader says which files there are, what
their labels are and, for some sets, which split they are in; audio is read as everywhere else.

A loader knows its files by an index, which the package fetches with the data and does not carry.
The one it expects is looked for where $RSA_MIRDATA_INDEX says (a file, or a folder and all below
it), in the folder of the data, and where mirdata itself keeps it.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from extract.datasets.base import Curve, LabelCard, Segment
from extract.datasets.ondisk import OnDisk, Recording
from extract.errors import DataError

INDEX = "RSA_MIRDATA_INDEX"
# the last release that carries indexes; newer ones read them
INDEX_CURE = (
    "mirdata==0.3.8 carries 63 of them: `pip download --no-deps mirdata==0.3.8`, unzip the wheel, "
    f"and set {INDEX} to its folder mirdata/datasets/indexes"
)
PACKAGE_CURE = "pip install 'music-rsa[mirdata]'"
# where a track has several files, the one with everything in it
AUDIO = (
    "audio_path",
    "audio_mix_path",
    "audio_mic_path",
    "audio_path_stereo",
    "audio_stm_path",
)
GROUPS = (
    "mtrack_id",
    "artist",
    "artist_id",
    "artists",
    "singer_id",
    "singer",
    "player_id",
    "drummer",
    "song_id",
    "canonical_title",
    "work",
)
SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "valid",
    "valid": "valid",
    "test": "test",
}
SCALES = {"s": 1.0, "ms": 1e-3}
MODES = {"": "major", "maj": "major", "major": "major", "min": "minor", "minor": "minor"}
KEY = re.compile(r"([A-Ga-g])([#b]?)[\s:]*([A-Za-z]*)")
SURE = 0.5  # share of annotators from which an instrument counts as heard

# attribute -> track -> why it could not be had
Faults = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Family:
    """A label that several loaders have.

    Attributes
    ----------
    attributes : names under which loaders have it, the one to prefer first.
    read : from what a loader gives to what a clip holds; None where it is something else.
    """

    card: LabelCard
    attributes: tuple[str, ...]
    read: Callable[[object], object | None]


class Mirdata(OnDisk):
    """See the module."""

    needs = ()
    licence = "that of the set, as its loader states"
    clip_seconds = 30.0

    def __init__(
        self, loader: str, root: str | os.PathLike, index: str | os.PathLike | None = None
    ) -> None:
        package = _package(loader)
        self.name = f"mirdata:{loader}"
        self.loader = _loader(package, loader, Path(root))
        place = _index(self.loader, Path(root), index)
        if place is None:
            wanted = Path(self.loader.index_path).name
            raise DataError(f"{self.name}: its index {wanted} is nowhere; {INDEX_CURE}")
        self.loader.index_path = str(place)
        self.title = f"{loader}, version {self.loader.version}, as mirdata reads it"
        self.sources = f"mirdata {package.__version__}, loader {loader}; {_cited(self.loader)}"
        licence = getattr(self.loader, "_license_info", None) or "see mirdata"
        self.licence = " ".join(licence.split())
        super().__init__(root)
        if not self.card.labels:
            faults = "; ".join(self.caveats)
            known = ", ".join(card.name for card in self.labels)
            raise DataError(
                f"{self.name}: it has none of the labels {known}{faults and ': '}{faults}"
            )

    def recordings(self) -> Iterator[Recording]:
        faults: Faults = {}
        grouped = False
        for track in self._tracks():
            path = next(filter(None, (_get(track, name, faults) for name in AUDIO)), None)
            if path is None:
                continue
            # labels of what is not there would be read for nothing
            there = Path(path).is_file()
            groups = (_get(track, name, faults) for name in GROUPS if there)
            group = next(filter(None, groups), None)
            grouped |= group is not None
            found: dict[str, dict] = {"clip": {}, "segments": {}, "events": {}, "curve": {}}
            for family in FAMILIES if there else ():
                values = (_get(track, name, faults, family.read) for name in family.attributes)
                value = next((value for value in values if value is not None), None)
                if value is not None:
                    found.get(family.card.kind, found["clip"])[family.card.name] = value
            yield Recording(
                Path(path),
                track.track_id,
                _split(track, faults),
                group=_plain(group) if group else "",
                labels=found["clip"],
                segments=found["segments"],
                events=found["events"],
                curves=found["curve"],
            )
        self.caveats = tuple(
            f"mirdata could not give {name} of {len(of)} recordings ({next(iter(of.values()))})"
            # what is said of the data is the same wherever it lies
            .replace(f"{self.root}{os.sep}", "")
            for name, of in faults.items()
        )
        if not grouped:
            self.caveats += ("every recording is a group; mirdata names no artist",)

    def _tracks(self) -> Iterator:
        try:
            for track_id in self.loader.track_ids:
                yield self.loader.track(track_id)
        except Exception as error:
            fault = f"{self.loader.index_path}: not the index of this loader ({_line(error)})"
            raise DataError(f"{fault}; {INDEX_CURE}") from None


def _package(loader: str):
    try:
        import mirdata
    except ImportError:
        raise DataError(
            f"mirdata:{loader} needs the package mirdata, which is missing: {PACKAGE_CURE}"
        ) from None
    return mirdata


def _loader(package, name: str, root: Path):
    """mirdata's own object for a data set."""
    known = package.list_datasets()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise DataError(f"mirdata:{name}: mirdata has no such loader; {hint}")
    try:
        return package.initialize(name, data_home=str(root))
    except Exception as error:
        raise DataError(f"mirdata:{name}: mirdata cannot set it up ({_line(error)})") from None


def _index(loader, root: Path, given: str | os.PathLike | None) -> Path | None:
    """The index of a loader; older releases call the same index by a shorter version."""
    expected = Path(loader.index_path)
    said = given or os.environ.get(INDEX)
    if said and Path(said).is_file():
        return Path(said)
    stem = expected.name.partition("_index")[0] + "_index"
    places = [(root, "")]
    if said:
        places.insert(0, (Path(said), "**/"))
    for folder, below in places:
        for name in (expected.name, f"{stem}*.json"):
            found = sorted(p for p in folder.glob(below + name) if "_sample" not in p.name)
            if found:
                return found[-1]
    return expected if expected.is_file() else None


def _get(track, name: str, faults: Faults, read: Callable = lambda value: value):
    """An attribute of a track as `read` reads it, None where it has none or cannot give it."""
    if name not in vars(track) and not hasattr(type(track), name):
        return None
    try:
        value = getattr(track, name)
        if name == "key" and isinstance(value, str) and isinstance(_get(track, "mode", {}), str):
            value = f"{value} {track.mode}"  # where they are two columns
        return None if value is None else read(value)
    except Exception as error:  # whatever a loader and its libraries raise
        faults.setdefault(name, {})[track.track_id] = _line(error)
        return None


def _split(track, faults: Faults) -> str:
    values = (_get(track, name, faults) for name in ("split", "subset"))
    return next((SPLITS[v] for v in values if isinstance(v, str) and v in SPLITS), "")


def _cited(loader) -> str:
    """The title of the paper, out of its BibTeX entry."""
    found = re.search(r"\btitle\s*=\s*[{\"](.*?)[}\"]\s*,?\s*$", loader.bibtex or "", re.M | re.I)
    return re.sub(r"[{}]", "", found[1]) if found else "see mirdata for its paper"


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _plain(value) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _category(value) -> str | None:
    """A word; of a list, its only word."""
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    return value.strip() or None if isinstance(value, str) else None


def _name(value) -> str | None:
    return str(value) if isinstance(value, str | int) else None


def _number(value) -> float | None:
    try:
        value = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return None
    return float(value.item()) if value.size == 1 and np.isfinite(value).all() else None


def _tempo(value) -> float | None:
    """One tempo; of several, the surest."""
    if hasattr(value, "tempos"):
        sure = getattr(value, "confidence", None)
        value = value.tempos[0 if sure is None else int(np.argmax(sure))]
    found = _number(value)
    return found if found and found > 0 else None


def _key(value) -> str | None:
    """The one key of a recording; None where it changes, or its mode is neither major nor minor."""
    keys = value.keys if hasattr(value, "intervals") else value
    keys = {keys} if isinstance(keys, str) else set(keys)
    found = KEY.fullmatch(keys.pop().strip()) if len(keys) == 1 else None
    if found is None or found[3].lower() not in MODES:
        return None
    return f"{found[1].upper()}{found[2]} {MODES[found[3].lower()]}"


def _tags(value) -> tuple[str, ...] | None:
    """Words of a list, or those of a table of shares that are likely."""
    if isinstance(value, dict):
        value = [name for name, share in value.items() if share >= SURE]
    if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
        return None
    return tuple(sorted(set(value)))


def _segments(value) -> tuple[Segment, ...] | None:
    """Intervals with labels; of several annotators, the first who gives any."""
    for one in getattr(value, "annotations", [value]):
        labels = getattr(one, "labels", None)
        if labels is not None:
            return _spans(one, [str(label) for label in labels])
    return None


def _notes(value) -> tuple[Segment, ...] | None:
    unit = getattr(value, "pitch_unit", None)
    if unit not in ("hz", "midi"):
        return None
    pitches = np.asarray(value.pitches, dtype=float)
    if unit == "hz":
        pitches = 69 + 12 * np.log2(pitches / 440)
    return _spans(value, [int(p) if p == int(p) else float(p) for p in pitches])


def _spans(value, labels: Iterable) -> tuple[Segment, ...] | None:
    scale = SCALES.get(getattr(value, "interval_unit", "s"))
    if scale is None:
        return None
    rows = zip(np.asarray(value.intervals) * scale, labels, strict=True)
    found = (Segment(float(start), float(end), label) for (start, end), label in rows)
    return tuple(sorted((s for s in found if s.end > s.start), key=lambda s: s.start))


def _beats(value) -> tuple[float, ...] | None:
    scale = SCALES.get(getattr(value, "time_unit", None))
    return None if scale is None else tuple(sorted((value.times * scale).tolist()))


def _downbeats(value) -> tuple[float, ...] | None:
    scale, positions = SCALES.get(getattr(value, "time_unit", None)), value.positions
    if scale is None or positions is None or value.position_unit != "bar_index":
        return None
    return tuple(sorted((value.times[np.asarray(positions) == 1] * scale).tolist()))


def _melody(value) -> Curve | None:
    scale = SCALES.get(getattr(value, "time_unit", None))
    if scale is None or getattr(value, "frequency_unit", None) != "hz":
        return None
    voiced = np.asarray(value.voicing) > 0
    return Curve(value.times * scale, np.where(voiced, np.abs(value.frequencies), 0.0))


def _family(
    name: str, kind: str, what: str, attributes: str, read: Callable, unit: str = ""
) -> Family:
    card = LabelCard(name, kind, "gold", f"{what}, as the publisher has it", unit)
    return Family(card, tuple(attributes.split()), read)


FAMILIES = (
    _family("genre", "category", "genre", "genre", _category),
    _family("key", "category", "key of the whole recording", "key key_mode", _key),
    _family("tempo", "number", "tempo", "tempo_v2 tempo", _tempo, "bpm"),
    _family("instrument", "category", "instrument", "instrument instrument_full", _category),
    _family("instruments", "tags", "instruments that are heard", "instruments instrument", _tags),
    _family("family", "category", "family of the instrument", "family", _category),
    _family("technique", "category", "way of playing", "technique_full", _category),
    _family("pitch", "number", "pitch", "pitch_id midinote midi_nr", _number, "MIDI number"),
    _family("singer", "category", "singer", "singer_id singer", _name),
    _family("tags", "tags", "tags", "tags", _tags),
    _family("beats", "events", "beats", "beats", _beats),
    _family("downbeats", "events", "first beats of bars", "beats", _downbeats),
    _family("chord", "segments", "chords", "chords chords_full leadsheet_chords", _segments),
    _family(
        "section",
        "segments",
        "sections",
        "named_sections sections_uppercase sections",
        _segments,
    ),
    _family(
        "notes",
        "segments",
        "notes",
        "notes_all notes_a1 notes notes_pyin midinote",
        _notes,
        "MIDI number",
    ),
    _family("melody", "curve", "melody or fundamental", "melody2 melody f0 pitch", _melody, "Hz"),
)
Mirdata.labels = tuple(family.card for family in FAMILIES)
