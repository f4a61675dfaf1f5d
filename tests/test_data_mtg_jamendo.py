"""MTG-Jamendo in its published layout."""

from __future__ import annotations

import pytest
from field_audio import sound, text

from extract.datasets import open_dataset
from extract.errors import DataError

HEAD = "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS"
LISTS = {
    "top50tags-train": [
        "0000241\t05\talbum_033\t41/241.mp3\t340.1\tgenre---rock\tmood/theme---happy"
    ],
    "top50tags-validation": ["0000948\t07\talbum_034\t48/948.mp3\t212.7\tinstrument---piano"],
    "top50tags-test": ["1234500\t09\talbum_035\t00/1234500.mp3\t99.0\tgenre---rock"],
    "genre-train": ["0000241\t05\talbum_033\t41/241.mp3\t340.1\tgenre---rock\tgenre---hardrock"],
    "instrument-validation": ["0000948\t07\talbum_034\t48/948.mp3\t212.7\tinstrument---piano"],
    "moodtheme-train": [
        "0000241\t05\talbum_033\t41/241.mp3\t340.1\tmood/theme---happy",
        "0000242\t05\talbum_033\t42/242.mp3\t340.1\tmood/theme---sad",
    ],
}


def _lists(root):
    for name, tracks in LISTS.items():
        rows = [HEAD, *(f"track_{t}".replace("\t", "\tartist_", 1) for t in tracks)]
        place = root / "mtg-jamendo-dataset" / "data" / "splits" / "split-0"
        text(place / f"autotagging_{name}.tsv", "\r\n".join(rows) + "\r\n")
    return root


@pytest.fixture
def root(tmp_path):
    for track in ("41/241", "42/242", "48/948"):
        sound(tmp_path / "audio-low" / f"{track}.low.mp3", 0.5)
    return _lists(tmp_path)


def test_labels_splits_and_groups(root):
    data = open_dataset(f"mtg-jamendo:{root}")
    clips = {clip.track: clip for clip in data.clips}
    assert list(clips) == ["track_0000241", "track_0000242", "track_0000948"]
    assert clips["track_0000241"].labels == {
        "tags": ("genre---rock", "mood/theme---happy"),
        "genres": ("rock", "hardrock"),
        "moods": ("happy",),
    }
    assert clips["track_0000242"].labels == {"moods": ("sad",)}
    last = clips["track_0000948"]
    assert last.labels == {"tags": ("instrument---piano",), "instruments": ("piano",)}
    assert last.split == "valid" and last.group == "artist_07"
    assert last.id == "audio-low/48/948.low.mp3" and data.audio(last, 8000).ndim == 1
    assert "1 of its 4 recordings are not on this disk" in data.card.caveats


def test_audio_in_full_quality(tmp_path):
    sound(tmp_path / "41" / "241.mp3", 0.5)
    data = open_dataset(f"mtg-jamendo:{_lists(tmp_path)}")
    assert [clip.id for clip in data.clips] == ["41/241.mp3"]


def test_what_is_missing_or_wrong_is_named(root, tmp_path):
    with pytest.raises(DataError, match="top50tags-train.tsv .tags. is not there and 1 more"):
        open_dataset(f"mtg-jamendo:{root / 'audio-low' / '41'}")
    lists = root / "mtg-jamendo-dataset" / "data" / "splits" / "split-0"
    table = lists / "autotagging_genre-test.tsv"
    text(table, f"{HEAD}\ntrack_0000241\tartist_05\talbum_033\t41/241.mp3\t340.1\tgenre---rock\n")
    with pytest.raises(DataError, match="genre-test.tsv, line 2: track_0000241 is in train"):
        open_dataset(f"mtg-jamendo:{root}")
    text(table, f"{HEAD}\ntrack_0000241\tartist_05\t41/241.mp3\n")
    with pytest.raises(DataError, match="genre-test.tsv, line 2: a track and tags are needed"):
        open_dataset(f"mtg-jamendo:{root}")
    text(table, "TRACK_ID\tTAGS\n")
    with pytest.raises(DataError, match="genre-test.tsv, line 1: the columns are not"):
        open_dataset(f"mtg-jamendo:{root}")
