"""NSynth in its published layout."""

from __future__ import annotations

import json

import pytest
from field_audio import sound, text

from extract.datasets import open_dataset
from extract.errors import DataError

NOTES = {
    "train": [
        "bass_synthetic_068-049-025",
        "bass_synthetic_068-050-127",
        "reed_acoustic_037-068-075",
    ],
    "test": ["keyboard_electronic_001-021-127"],
}


def _facts(note):
    instrument, pitch, velocity = note.rsplit("-", 2)
    family, source, _ = instrument.rsplit("_", 2)
    return {
        "qualities": [0, 1, 0, 0, 0, 0, 0, 0, 0, 0] if family == "bass" else [0] * 10,
        "pitch": int(pitch),
        "note": 217499,
        "instrument_source_str": source,
        "velocity": int(velocity),
        "instrument_str": instrument,
        "instrument": 656,
        "sample_rate": 16000,
        "qualities_str": ["dark"] if family == "bass" else [],
        "instrument_source": 2,
        "note_str": note,
        "instrument_family": 0,
        "instrument_family_str": family,
    }


@pytest.fixture
def root(tmp_path):
    for split, notes in NOTES.items():
        home = tmp_path / f"nsynth-{split}"
        text(home / "examples.json", json.dumps({n: _facts(n) for n in notes}, indent=4))
        for note in notes[:2]:
            sound(home / "audio" / f"{note}.wav", 0.25, 16000)
    return tmp_path


def test_labels_splits_and_groups(root):
    data = open_dataset(f"nsynth:{root}")
    first, second, last = data.clips
    assert first.labels == {
        "pitch": 49.0, "family": "bass", "instrument_source": "synthetic", "qualities": ("dark",),
    }  # fmt: skip
    assert first.group == second.group == "bass_synthetic_068" and first.split == "train"
    assert last.labels["qualities"] == () and last.split == "test"
    assert data.rate == 16000 and data.audio(last, 16000).shape == (4000,)
    assert "1 of its 4 recordings are not on this disk" in data.card.caveats


def test_what_is_missing_or_wrong_is_named(root):
    with pytest.raises(DataError, match="nsynth: .*examples.json .labels. is not there"):
        open_dataset(f"nsynth:{root / 'nsynth-test'}")
    table = root / "nsynth-train" / "examples.json"
    good = table.read_text()
    text(table, good.replace('"pitch": 49,', '"pitch": "high",'))
    with pytest.raises(DataError, match="examples.json: note bass_synthetic_068-049-025: Value"):
        open_dataset(f"nsynth:{root}")
    text(table, good.replace('"pitch": 49,', '"pitch" 49,'))
    with pytest.raises(DataError, match="examples.json, line 15: Expecting ':' delimiter"):
        open_dataset(f"nsynth:{root}")
