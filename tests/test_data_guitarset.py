"""GuitarSet in its published layout."""

from __future__ import annotations

import json

import pytest
from field_audio import sound, text

from extract.datasets import open_dataset
from extract.datasets.base import Segment
from extract.errors import DataError


def part(namespace, data, source=""):
    return {"namespace": namespace, "annotation_metadata": {"data_source": source}, "data": data}


def row(time, duration, value):
    return {"time": time, "duration": duration, "value": value, "confidence": None}


def contour(times, hertz):
    values = [{"voiced": h > 0, "index": 0, "frequency": h} for h in hertz]
    return {"time": times, "duration": [0.0] * len(times), "value": values, "confidence": []}


def jams(*parts):
    return json.dumps({"annotations": parts, "file_metadata": {"duration": 2.0}, "sandbox": {}})


FULL = jams(
    part("pitch_contour", contour([], []), "0"),
    part("note_midi", [row(1.2, 0.3, 52.04)], "0"),
    part("pitch_contour", contour([0.5, 0.506, 0.506, 0.512], [110.0, 110.5, 111.0, 0.0]), "1"),
    part("note_midi", [row(0.5, 0.2, 45.02), row(0.6, 0.0, 45.0)], "1"),
    part(
        "beat_position",
        [
            row(0.5, 0.0, {"position": 4, "measure": 1, "num_beats": 4, "beat_units": 4}),
            row(1.0, 0.0, {"position": 1, "measure": 2, "num_beats": 4, "beat_units": 4}),
        ],
    ),
    part("tempo", [row(0.0, 2.0, 119.0)]),
    part("chord", [row(0.0, 1.0, "G:maj"), row(1.0, 1.0, "D:7")]),
    part("chord", [row(0.0, 1.0, "G:maj7/1"), row(1.0, 1.0, "D:nonsense")]),
    part("key_mode", [row(0.0, 2.0, "G:major")]),
)


@pytest.fixture
def root(tmp_path):
    for stem in ("00_BN1-129-Eb_comp", "04_BN1-129-Eb_comp", "05_BN3-119-G_solo"):
        text(tmp_path / "annotation" / f"{stem}.jams", FULL)
        sound(tmp_path / "audio_mono-mic" / f"{stem}_mic.wav", 2.0)
    sound(tmp_path / "audio_mono-pickup_mix" / "05_BN3-119-G_solo_mix.wav", 2.0)
    return tmp_path


def test_clips_labels_and_splits(root):
    data = open_dataset(f"guitarset:{root}")
    clips = {clip.track: clip for clip in data.clips}
    assert [clip.split for clip in clips.values()] == ["train", "valid", "test"]
    solo = clips["05_BN3-119-G_solo"]
    assert solo.id.startswith("audio_mono-mic/") and solo.subset == "solo"
    assert solo.group == "BN3-119-G"
    assert solo.labels == {"key": "G major", "tempo": 119.0}
    assert solo.events == {"beats": (0.5, 1.0), "downbeats": (1.0,)}
    assert [s.value for s in solo.segments["chord"]] == ["G:maj", "D:7"]
    assert [s.value for s in solo.segments["chord_performed"]] == ["G:maj7/1", "X"]
    assert solo.segments["notes"] == (Segment(0.5, 0.7, 45.02), Segment(1.2, 1.5, 52.04))
    assert set(solo.curves) == {"f0_A"}
    assert solo.curves["f0_A"].times.tolist() == [0.5, 0.506, 0.512]
    assert solo.curves["f0_A"].values.tolist() == [110.0, 110.5, 0.0]
    assert {card.name for card in data.card.labels} >= {"chord", "f0_A"}


def test_other_audio_serves_where_the_microphone_is_missing(root):
    for path in (root / "audio_mono-mic").iterdir():
        path.unlink()
    data = open_dataset(f"guitarset:{root}")
    assert [clip.id for clip in data.clips] == ["audio_mono-pickup_mix/05_BN3-119-G_solo_mix.wav"]
    assert "2 of its 3 recordings are not on this disk" in data.card.caveats


def test_what_is_missing_or_wrong_is_named(root, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="guitarset: .*annotation.* is not there"):
        open_dataset(f"guitarset:{empty}")
    broken = root / "annotation" / "05_BN3-119-G_solo.jams"
    for content in (FULL[:80], jams(part("tempo", [{"time": 0}])), "[]"):
        text(broken, content)
        with pytest.raises(DataError, match="05_BN3-119-G_solo.jams: no JAMS of GuitarSet"):
            open_dataset(f"guitarset:{root}")
