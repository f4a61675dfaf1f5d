"""SALAMI in its published layout."""

from __future__ import annotations

import pytest
from field_audio import sound, text

from extract.datasets import open_dataset
from extract.datasets.base import Segment
from extract.datasets.splits import hashed
from extract.errors import DataError

TABLE = (
    "SONG_ID,SOURCE,ANNOTATOR1,ANNOTATOR2,SONG_TITLE,ARTIST\n"
    "2,Codaich,5,8,For_God_And_Country,The_Smashing_Pumpkins\n"
    "10,Codaich,5,,Who_Knows,Compilations\n"
    "1015,IA,3,7,Live,Band\n"
    "9999,IA,3,7,Not_Annotated,Band\n"
)


@pytest.fixture
def root(tmp_path):
    text(tmp_path / "metadata" / "metadata.csv", TABLE)
    functions = "0.0\tSilence\n0.5\tIntro\n1.0\tno_function\n1.5\tPre-Chorus\n2.0\tEnd\n"
    for song, annotator in ((2, 1), (2, 2), (10, 1), (1015, 2)):
        place = tmp_path / "annotations" / str(song) / "parsed"
        text(place / f"textfile{annotator}_functions.txt", functions)
        text(place / f"textfile{annotator}_uppercase.txt", "0.0\tA\n1.0\tA'\n2.0\tEnd\n")
        sound(tmp_path / "audio" / f"{song}.mp3", 2.0)
    return tmp_path


def test_clips_labels_and_splits(root):
    clips = {clip.track: clip for clip in open_dataset(f"salami:{root}").clips}
    assert list(clips) == ["2", "10", "1015"]
    song = clips["2"]
    assert song.group == "The_Smashing_Pumpkins" and clips["10"].group == "10"
    assert all(clip.split == hashed(clip.group) for clip in clips.values())
    assert [s.value for s in song.segments["section"]] == [
        "silence",
        "intro",
        "no_function",
        "pre-chorus",
    ]
    assert song.segments["function"][-1] == Segment(1.5, 2.0, "verse")
    assert song.segments["form"] == (Segment(0.0, 1.0, "A"), Segment(1.0, 2.0, "A'"))
    assert len(clips["1015"].segments["function"]) == 3


def test_shares_of_the_splits():
    drawn = [hashed(f"artist {n}") for n in range(2000)]
    assert 0.65 < drawn.count("train") / 2000 < 0.75
    assert 0.12 < drawn.count("valid") / 2000 < 0.18


def test_what_is_missing_or_wrong_is_named(root, tmp_path):
    broken = root / "annotations" / "10" / "parsed" / "textfile1_functions.txt"
    text(broken, "0.0\tSilence\nsoon\tIntro\n")
    with pytest.raises(DataError, match="textfile1_functions.txt, line 2: 'soon'"):
        open_dataset(f"salami:{root}")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="salami: .*metadata.csv.* and 2 more"):
        open_dataset(f"salami:{empty}")
