"""VocalSet in its published layout."""

from __future__ import annotations

import pytest
from field_audio import sound

from extract.datasets import open_dataset
from extract.errors import DataError

FILES = (
    "female1/arpeggios/belt/f1_arpeggios_belt_c_a.wav",
    "female2/arpeggios/vibrado/f2_arpeggios_vibrato_e.wav",
    "female2/scales/vibrato/f2_scales_vibrato_a(1).wav",
    "female9/arpeggios/fast_forte/arps_fast_piano_c.wav",
    "male6/long_tones/trillo/m6_ long_trillo_u.wav",
    "male8/excerpts/vibrato/m9_caro_vibrato.wav",
    "male10/excerpts/spoken/m10_row_spoken.wav",
)


@pytest.fixture
def root(tmp_path):
    for file in FILES:
        sound(tmp_path / "FULL" / file, 0.5)
    for place in ("__MACOSX/FULL/female1/arpeggios/belt/._f1_arpeggios_belt_c_a.wav",):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).touch()
    sound(tmp_path / "data_by_technique" / "belt" / "f1_arpeggios_belt_c_a.wav", 0.5)
    sound(tmp_path / "old" / "FULL" / FILES[0], 0.5)
    return tmp_path


def test_techniques_of_unseen_singers(root):
    data = open_dataset(f"vocalset:{root}")
    clips = {clip.group: clip for clip in data.clips}
    assert len(clips) == len(data.clips) == 6
    assert clips["female1"].labels == {"singer": "female1", "technique": "belt", "vowel": "a"}
    assert clips["female2"].labels == {"singer": "female2", "technique": "vibrato", "vowel": "e"}
    assert clips["female9"].labels == {"singer": "female9"}
    assert clips["male6"].labels == {"singer": "male6", "technique": "trillo", "vowel": "u"}
    assert clips["male8"].labels == {"singer": "male8", "technique": "vibrato"}
    assert clips["male10"].labels == {"singer": "male10", "technique": "spoken"}
    tests = {singer for singer, clip in clips.items() if clip.split == "test"}
    assert tests == {"female2", "male10"} and clips["male6"].split == "train"
    assert data.audio(clips["male6"], 8000).shape == (4000,)


def test_singers_by_recording(root):
    sound(root / "FULL" / "male8" / "excerpts" / "straight" / "m8_caro_straight.wav", 0.5)
    data = open_dataset(f"vocalset-singer:{root}")
    assert len({clip.group for clip in data.clips}) == len(data.clips) == 7
    assert {clip.split for clip in data.clips} == {""}
    assert [clip.labels["singer"] for clip in data.clips].count("male8") == 2
    assert [card.name for card in data.card.labels] == ["singer"]


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match="vocalset: .*FULL.* .recordings. is not there"):
        open_dataset(f"vocalset:{tmp_path}")
