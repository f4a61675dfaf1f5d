"""Ballroom in its published layout."""

from __future__ import annotations

import pytest
from field_audio import sound, text

from extract.datasets import open_dataset
from extract.errors import DataError

TRACKS = (
    "ChaChaCha/Albums-Latin_Jam-04",
    "ChaChaCha/Albums-Latin_Jam-13",  # a replica
    "ChaChaCha/Albums-Latin_Jam-05",
    "Rumba-Misc/Media-100607",
    "Waltz/Media-105901",
)


@pytest.fixture
def root(tmp_path):
    for track in TRACKS:
        sound(tmp_path / "BallroomData" / f"{track}.wav", 1.0)
    marked = tmp_path / "BallroomAnnotations"
    text(marked / "README.md", "beats")
    text(marked / "Media-105901.beats", "0.2000000000 3\n0.5000000000 1\n0.8000000000 2\n")
    text(marked / "Albums-Latin_Jam-04.beats", "0.1\t1\n0.3\t2\n")
    text(marked / "ballroomGroundTruth" / "Media-105901.bpm", "84\n")
    text(
        tmp_path / "splits" / "ballroom_8-fold_cv_dancestyle.folds",
        "ballroom_Albums-Latin_Jam-04\t0\nballroom_Albums-Latin_Jam-05\t1\n"
        "ballroom_Media-100607\t6\nballroom_Media-105901\t2\n",
    )
    return tmp_path


def test_clips_labels_and_splits(root):
    data = open_dataset(f"ballroom:{root}")
    clips = {clip.track: clip for clip in data.clips}
    assert len(clips) == 4 and "Albums-Latin_Jam-13" not in clips
    waltz = clips["Media-105901"]
    assert waltz.labels == {"dance": "Waltz", "tempo": 84.0} and waltz.split == "train"
    assert waltz.events == {"beats": (0.2, 0.5, 0.8), "downbeats": (0.5,)}
    assert waltz.group == "Media-105901"
    assert clips["Media-100607"].labels == {"dance": "Rumba"}
    assert clips["Albums-Latin_Jam-04"].split == "test"
    assert clips["Albums-Latin_Jam-05"].split == "valid"
    assert clips["Albums-Latin_Jam-05"].group == "Albums-Latin_Jam"


def test_without_folds_there_are_no_splits(root):
    (root / "splits" / "ballroom_8-fold_cv_dancestyle.folds").unlink()
    data = open_dataset(f"ballroom:{root}")
    assert {clip.split for clip in data.clips} == {""}
    lacking = [need.what for need, there in type(data).checklist(root) if not there]
    assert lacking == ["folds"]


def test_what_is_missing_or_wrong_is_named(root, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="ballroom: .*BallroomData.* is not there"):
        open_dataset(f"ballroom:{empty}")
    text(root / "splits" / "ballroom_8-fold_cv_dancestyle.folds", "ballroom_Media-105901 x\n")
    with pytest.raises(DataError, match="dancestyle.folds, line 1"):
        open_dataset(f"ballroom:{root}")
