"""GiantSteps tempo in its published layout."""

from __future__ import annotations

import pytest
from field_audio import sound, text

from extract.datasets import open_dataset
from extract.errors import DataError

TEMPI = {"1030011": "127.0", "3041381": "0.0", "1068430": "174.0", "906760": "139.0"}


@pytest.fixture
def root(tmp_path):
    for track, tempo in TEMPI.items():
        text(tmp_path / "annotations_v2" / "tempo" / f"{track}.LOFI.bpm", tempo)
        sound(tmp_path / "audio" / f"{track}.LOFI.mp3", 1.0)
    text(tmp_path / "splits" / "files.txt", "".join(f"{t}.LOFI.mp3\n" for t in TEMPI))
    text(tmp_path / "splits" / "fold01.txt", "1030011.LOFI.mp3\n3041381.LOFI.mp3\n")
    text(tmp_path / "splits" / "fold02.txt", "1068430.LOFI.mp3\n")
    text(tmp_path / "splits" / "fold10.txt", "906760.LOFI.mp3\n")
    return tmp_path


def test_clips_labels_and_splits(root):
    clips = {clip.track: clip for clip in open_dataset(f"giantsteps-tempo:{root}").clips}
    assert {track: clip.split for track, clip in clips.items()} == {
        "1030011": "test",
        "1068430": "valid",
        "906760": "train",
    }
    assert clips["906760"].labels == {"tempo": 139.0} and clips["906760"].group == "906760"


def test_previews_are_cut_into_clips_of_half_a_minute(root):
    sound(root / "audio" / "1030011.LOFI.mp3", 62.0, rate=8000)
    clips = [c for c in open_dataset(f"giantsteps-tempo:{root}").clips if c.track == "1030011"]
    assert [clip.start for clip in clips] == [0.0, 30.0]


def test_what_is_missing_or_wrong_is_named(root):
    text(root / "annotations_v2" / "tempo" / "906760.LOFI.bpm", "fast\n")
    with pytest.raises(DataError, match="906760.LOFI.bpm, line 1: 'fast'"):
        open_dataset(f"giantsteps-tempo:{root}")
    for path in (root / "audio").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="giantsteps-tempo: .*audio.* is not there"):
        open_dataset(f"giantsteps-tempo:{root}")
