"""The Harmonix Set in its published layout."""

from __future__ import annotations

import pytest
from field_audio import sound, text

from extract.datasets import open_dataset
from extract.datasets.base import Segment
from extract.errors import DataError

HEAD = (
    "File,Title,Artist,Release,Duration,BPM,Ratio Bars in 4,Time Signature,Genre,"
    "MusicBrainz Id,Acoustid Id\n"
)
SONGS = [f"{n:04d}_song{n}" for n in range(1, 10)]


@pytest.fixture
def root(tmp_path):
    rows = [f'{song},"1, 2 Step",Ciara,Goodies,2.0,113,100.0,4|4,R&B,,\n' for song in SONGS]
    rows[1] = f"{SONGS[1]},Sans genre,Björk,,2.0,84,100.0,4|4,,,\n"
    text(tmp_path / "dataset" / "metadata.csv", HEAD + "".join(rows))
    for song in SONGS:
        text(tmp_path / "dataset" / "segments" / f"{song}.txt", "0.0 intro\n1.0 verse2\n1.5 end\n")
        text(
            tmp_path / "dataset" / "beats_and_downbeats" / f"{song}.txt",
            "0.0\t1\t1\n0.530973\t2\t1\n1.061946\t1\t2\n",
        )
        sound(tmp_path / "audio" / f"{song}.mp3", 2.0)
    return tmp_path


def test_clips_labels_and_folds(root):
    text(root / "dataset" / "segments" / f"{SONGS[1]}.txt", "0.5 prechorus\n0.9 end\n1.0 outro\n")
    clips = {clip.track: clip for clip in open_dataset(f"harmonix:{root}").clips}
    assert [clips[song].split for song in SONGS] == ["test", "valid", *["train"] * 6, "test"]
    song, other = clips[SONGS[0]], clips[SONGS[1]]
    assert song.labels == {"tempo": 113.0, "genre": "R&B"} and song.group == "Ciara"
    assert other.labels == {"tempo": 84.0} and other.group == "Björk"
    assert song.segments["section"] == (Segment(0.0, 1.0, "intro"), Segment(1.0, 1.5, "verse2"))
    assert [s.value for s in song.segments["function"]] == ["intro", "verse"]
    assert song.events["downbeats"] == (0.0, 1.061946)
    assert other.segments["section"] == (
        Segment(0.5, 0.9, "prechorus"),
        Segment(1.0, 2.0, "outro"),
    )


def test_folds_do_not_depend_on_what_is_there(root):
    for song in SONGS[:3]:
        (root / "audio" / f"{song}.mp3").unlink()
    clips = open_dataset(f"harmonix:{root}").clips
    assert [clip.split for clip in clips] == [*["train"] * 5, "test"]


def test_what_is_missing_or_wrong_is_named(root, tmp_path):
    text(root / "dataset" / "segments" / f"{SONGS[4]}.txt", "1.0 intro\n0.5 verse\n")
    with pytest.raises(DataError, match="0005_song5.txt, line 2: earlier"):
        open_dataset(f"harmonix:{root}")
    text(root / "dataset" / "segments" / f"{SONGS[4]}.txt", "1.0\n")
    with pytest.raises(DataError, match="0005_song5.txt, line 1: TIME VALUE"):
        open_dataset(f"harmonix:{root}")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="harmonix: .*metadata.csv"):
        open_dataset(f"harmonix:{empty}")
