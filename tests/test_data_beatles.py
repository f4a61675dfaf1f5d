"""Isophonics' Beatles and Queen in their published layout."""

from __future__ import annotations

import pytest
from field_audio import sound, text

from extract.datasets import open_dataset
from extract.datasets.base import Segment
from extract.datasets.isophonics import chord
from extract.errors import DataError

ALBUM = "10CD1_-_The_Beatles"
SONG = f"{ALBUM}/CD1_-_05_-_Wild_Honey_Pie"
OTHER = "02_-_With_the_Beatles/01_-_It_Won't_Be_Long"


def beatles(root, song, keys="0.000\t0.500\tSilence\n0.500\t2.000\tKey\tC\n"):
    place = f"The Beatles/{song}"
    text(root / "chordlab" / f"{place}.lab", "0.000000 0.497838 N\n0.497838 2.000000 E:min7/b3 \n")
    text(root / "keylab" / f"{place}.lab", keys)
    text(root / "seglab" / f"{place}.lab", "0.000\t0.465\t\tsilence\n0.465\t2.000\t\tverse (a)\n")


@pytest.fixture
def root(tmp_path):
    beatles(tmp_path, SONG)
    keys = "0.000\t0.5\tKey\tA:minor\n0.500\t2.000\tKey\tG:mixolydian\n"
    beatles(tmp_path, OTHER, keys)
    text(
        tmp_path / "beat" / "The Beatles" / f"{SONG}.txt",
        "0.249  4\n0.959\tNew Point\n1.416  2\n1.7  1\n1.9  New Point\n",
    )
    sound(tmp_path / "audio" / f"{SONG}.wav", 2.0)
    sound(tmp_path / "audio" / "With the Beatles" / "01 - It Won't Be Long.flac", 2.0)
    text(
        tmp_path / "splits" / "beatles_8-fold_cv_album_distributed.folds",
        "beatles_10CD1_The_Beatles_05_Wild_Honey_Pie\t0\n"
        "beatles_02_With_the_Beatles_01_It_Won't_Be_Long\t5\n",
    )
    return tmp_path


def test_clips_labels_and_splits(root):
    data = open_dataset(f"beatles:{root}")
    clips = {clip.track: clip for clip in data.clips}
    song, other = clips[SONG], clips[OTHER]
    assert (song.split, other.split) == ("test", "train")
    assert song.labels == {"key": "C major"} and other.labels == {"key": "G other"}
    assert song.segments["chord"] == (
        Segment(0.0, 0.497838, "N"),
        Segment(0.497838, 2.0, "E:min7/b3"),
    )
    assert [s.value for s in other.segments["local_key"]] == ["A minor", "G other"]
    assert [s.value for s in song.segments["section"]] == ["silence", "verse (a)"]
    assert [s.value for s in song.segments["function"]] == ["silence", "verse"]
    assert song.events == {"beats": (0.249, 0.959, 1.416, 1.7, 1.9), "downbeats": (0.959, 1.7)}
    assert other.events == {}
    assert any("user's own" in caveat for caveat in data.card.caveats)


def test_labels_may_lie_deeper_and_songs_may_lack(root, tmp_path):
    moved = tmp_path / "annotations"
    moved.mkdir()
    for kind in ("chordlab", "keylab", "seglab", "beat"):
        (tmp_path / kind).rename(moved / kind)
    (tmp_path / "audio" / f"{SONG}.wav").unlink()
    data = open_dataset(f"beatles:{root}")
    assert [clip.track for clip in data.clips] == [OTHER]
    assert "1 of its 2 recordings are not on this disk" in data.card.caveats


def test_what_is_missing_or_wrong_is_named(root, tmp_path):
    text(root / "chordlab" / "The Beatles" / f"{SONG}.lab", "0.0 1.0 C\n1.0\n")
    with pytest.raises(DataError, match="Wild_Honey_Pie.lab, line 2: START END VALUE"):
        open_dataset(f"beatles:{root}")
    text(root / "chordlab" / "The Beatles" / f"{SONG}.lab", "0.0 1.0 C\n1.0 2.0 H:dur\n")
    with pytest.raises(DataError, match="Honey_Pie.lab, line 2: 'H:dur' is no chord in Harte's"):
        open_dataset(f"beatles:{root}")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="beatles: .*chordlab.* is not there and 1 more"):
        open_dataset(f"beatles:{empty}")


def test_chords_in_other_syntaxes():
    odd = ("E:4", "Db:6/2", "F#min7", "B:7sus", "E:sus", "G", "N", "A:maj/3", "C:(1,5)")
    assert [chord(text) for text in odd] == [
        "E:sus4",
        "Db:maj6/2",
        "F#:min7",
        "B:sus4(b7)",
        "E:sus4",
        "G",
        "N",
        "A:maj/3",
        "C:(1,5)",
    ]


def test_queen_has_chords_for_some_songs(tmp_path):
    songs = ("Greatest Hits I/01 Bohemian Rhapsody", "Greatest Hits II/01 A Kind Of Magic")
    for song in songs:
        text(tmp_path / "seglab" / "Queen" / f"{song}.lab", "0.000\t0.400\t\tsilence\n")
        sound(tmp_path / "audio" / f"{song}.flac", 1.0)
    text(
        tmp_path / "chordlab" / "Queen" / f"{songs[0]}.lab", "0.000\t0.459\tN\n0.459\t1.0\tBb:maj6"
    )
    text(tmp_path / "keylab" / "Queen" / f"{songs[0]}.lab", "0.456\t1.0\tKey\tBb")
    data = open_dataset(f"queen:{tmp_path}")
    first, second = data.clips
    assert first.labels == {"key": "Bb major"} and second.labels == {}
    assert [s.value for s in first.segments["chord"]] == ["N", "Bb:maj6"]
    assert "chord" not in second.segments and first.split == ""
