"""GuitarSet: 360 excerpts of acoustic guitar with chords, beats, key, tempo, notes and pitch.

Layout: `annotation/00_BN1-129-Eb_comp.jams` and one or more of the folders of audio
`audio_mono-mic/00_BN1-129-Eb_comp_mic.wav`, `audio_mono-pickup_mix/..._mix.wav`,
`audio_hex-pickup_debleeded/..._hex_cln.wav`. Of several the first in this order is read; six
channels are mixed to one. Names are PLAYER_STYLE+PROGRESSION-TEMPO-KEY_ROLE.

Splits: the field leaves out one player after the other (Wiggins and Kim 2019). Here once: player 05
is test, 04 valid, 00 to 03 train.

A group is a lead sheet, not a player: one player alone is in the test split, and all six play the
same 30 lead sheets twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from extract.datasets.base import Curve, LabelCard, Segment, Value
from extract.datasets.labelfiles import chord_of, key_of
from extract.datasets.ondisk import Need, OnDisk, Recording
from extract.errors import DataError
from extract.jsontext import loads

AUDIO = {
    "audio_mono-mic": "mic",
    "audio_mono-pickup_mix": "mix",
    "audio_hex-pickup_debleeded": "hex_cln",
}
STRINGS = "EADGBe"
SPLITS = {"04": "valid", "05": "test"}
SOURCE = "zenodo.org/record/3371780"


class GuitarSet(OnDisk):
    """See the module."""

    name = "guitarset"
    title = "GuitarSet 1.1.0"
    sources = "Xi et al. 2018 (ISMIR)"
    licence = "MIT (as mirdata states)"
    labels = (
        LabelCard("key", "category", "gold", "key of the lead sheet"),
        LabelCard("tempo", "number", "gold", "tempo of the click", "bpm"),
        LabelCard("beats", "events", "gold", "beats of the click"),
        LabelCard("downbeats", "events", "gold", "first beats of bars"),
        LabelCard("chord", "segments", "gold", "chords of the lead sheet, in Harte's syntax"),
        LabelCard(
            "chord_performed",
            "segments",
            "silver",
            "chords by the notes that were played, on the roots of the lead sheet",
        ),
        LabelCard(
            "notes", "segments", "gold", "notes of all strings, estimated pitch", "MIDI number"
        ),
        *(
            LabelCard(
                f"f0_{string}", "curve", "gold", f"pitch of the {string} string, 0 unvoiced", "Hz"
            )
            for string in STRINGS
        ),
    )
    needs = (
        Need("annotation/*.jams", "annotations", SOURCE),
        Need("audio_*/*.wav", "audio", SOURCE),
    )
    subsets = {"comp": "accompaniment", "solo": "improvisation over the same lead sheet"}
    caveats = (
        "all players play the same 30 lead sheets: chords, keys and tempi of the test split are "
        "in training too",
        "notes of 04_BN3-154-E_comp and 04_Jazz1-200-B_comp are known to be 0.4 and 0.3 s late",
        "chords of solos are those of the accompaniment, which is not in the recording",
    )

    def recordings(self) -> Iterable[Recording]:
        for path in sorted((self.root / "annotation").glob("*.jams")):
            parts = path.stem.split("_")
            if len(parts) != 3:
                raise DataError(f"{path}: not named PLAYER_SHEET_ROLE.jams; give it back its name")
            player, sheet, role = parts
            places = [
                self.root / folder / f"{path.stem}_{suffix}.wav" for folder, suffix in AUDIO.items()
            ]
            labels, segments, events, curves = annotations(path)
            yield Recording(
                next((place for place in places if place.is_file()), places[0]),
                path.stem,
                SPLITS.get(player, "train"),
                sheet,
                role,
                labels=labels,
                segments=segments,
                events=events,
                curves=curves,
            )


def annotations(path: Path) -> tuple[dict[str, Value], dict, dict, dict[str, Curve]]:
    """Labels, segments, events and curves of one JAMS file; what it lacks is absent."""
    try:
        found: dict[str, list] = {}
        for part in loads(path.read_text(encoding="utf-8"))["annotations"]:
            found.setdefault(part["namespace"], []).append(part)
        return _labels(found), _segments(found), _events(found), _contours(found)
    except (OSError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        reason = f"{type(error).__name__} {error}"
        raise DataError(f"{path}: no JAMS of GuitarSet ({reason}); fetch it again") from None


def _labels(found: dict[str, list]) -> dict[str, Value]:
    labels: dict[str, Value] = {}
    for namespace, name, read in (("key_mode", "key", key_of), ("tempo", "tempo", float)):
        for part in found.get(namespace, [])[:1]:
            if part["data"]:
                labels[name] = read(part["data"][0]["value"])
    return {name: value for name, value in labels.items() if value is not None}


def _segments(found: dict[str, list]) -> dict[str, tuple[Segment, ...]]:
    segments = {
        name: _spans(part["data"], _chord)
        for name, part in zip(("chord", "chord_performed"), found.get("chord", ()), strict=False)
    }
    notes = [row for part in found.get("note_midi", ()) for row in part["data"]]
    if "note_midi" in found:
        segments["notes"] = _spans(notes, float)
    return segments


def _chord(text: str) -> str:
    """A chord; `X` where the automatic part of the annotation wrote what is none."""
    try:
        return chord_of(text)
    except ValueError:
        return "X"


def _spans(rows: list[dict], read) -> tuple[Segment, ...]:
    spans = [
        Segment(row["time"], row["time"] + row["duration"], read(row["value"])) for row in rows
    ]
    return tuple(sorted((s for s in spans if s.end > s.start), key=lambda s: (s.start, s.end)))


def _events(found: dict[str, list]) -> dict[str, tuple[float, ...]]:
    for part in found.get("beat_position", [])[:1]:
        rows = sorted(part["data"], key=lambda row: row["time"])
        return {
            "beats": tuple(float(row["time"]) for row in rows),
            "downbeats": tuple(
                float(row["time"]) for row in rows if int(row["value"]["position"]) == 1
            ),
        }
    return {}


def _contours(found: dict[str, list]) -> dict[str, Curve]:
    """Pitch of each string that sounds; the moments of a string rise, doubled ones are dropped."""
    curves = {}
    for part in found.get("pitch_contour", ()):
        times = np.array(part["data"]["time"], dtype=float)
        values = part["data"]["value"]
        hertz = np.array([v["frequency"] if v["voiced"] else 0.0 for v in values], dtype=float)
        times, first = np.unique(times, return_index=True)
        if len(times):
            string = STRINGS[int(part["annotation_metadata"]["data_source"])]
            curves[f"f0_{string}"] = Curve(times, hertz[first])
    return curves
