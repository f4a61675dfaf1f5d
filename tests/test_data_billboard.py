"""McGill Billboard in its published layout."""

from __future__ import annotations

import pytest
from field_audio import sound, text

from extract.datasets import open_dataset
from extract.datasets.base import Segment
from extract.errors import DataError

SONG = """# title: {title}
# artist: {artist}
# metre: 6/8
# tonic: C#

0.0\tsilence
0.1\tA, intro, | A:min | C:maj |
0.3\t| A:min | A:min |
0.5\tB', verse, | A:min |, (voice
0.8\tfadeout, | F:maj |
# tonic: A
1.0\tZ
1.2\tC, chorus two, | D:maj |, voice), (guitar)
1.9\tsilence
2.0\tend
"""


@pytest.fixture
def root(tmp_path):
    entries = {
        "0003": ("I Don't mind", "James Brown"),
        "1001": ("Another", "James Brown"),
        "0004": ("You've Got a Friend", "Roberta Flack"),
        "1229": ("You've got a friend", "Roberta Flack"),
    }
    for entry, (title, artist) in entries.items():
        home = tmp_path / "McGill-Billboard" / entry
        text(home / "salami_chords.txt", SONG.format(title=title, artist=artist))
        text(
            home / "full.lab",
            "0.0\t7.3469387e-2\tN\n7.3469387e-2\t1.8\tA:min/b3\n2.0\t0.5\tC:maj\n",
        )
    sound(tmp_path / "audio" / "0003.wav", 2.0)
    sound(tmp_path / "audio" / "1229.flac", 2.0)
    sound(tmp_path / "audio" / "1960s" / "James Brown - Another.mp3", 2.0)
    return tmp_path


def test_clips_labels_and_splits(root):
    clips = {clip.track: clip for clip in open_dataset(f"billboard:{root}").clips}
    assert set(clips) == {"0003", "0004", "1001"}
    assert clips["1001"].split == "test" and clips["1001"].group == "jamesbrown"
    assert {clips["0003"].split, clips["0004"].split} <= {"train", "valid"}
    assert clips["0004"].id == "audio/1229.flac"
    song = clips["0003"]
    assert song.segments["section"] == (
        Segment(0.0, 0.1, "silence"),
        Segment(0.1, 0.5, "intro"),
        Segment(0.5, 1.0, "verse"),
        Segment(1.2, 1.9, "chorus two"),
        Segment(1.9, 2.0, "silence"),
    )
    assert [s.value for s in song.segments["function"]][3] == "chorus"
    assert [s.value for s in song.segments["chord"]] == ["N", "A:min/b3"]
    assert song.labels == {"tonic": "Db"}


def test_what_is_missing_or_wrong_is_named(root, tmp_path):
    text(root / "McGill-Billboard" / "0003" / "salami_chords.txt", "# title: x\n\nnow\tsilence\n")
    with pytest.raises(DataError, match="salami_chords.txt, line 3: 'now'"):
        open_dataset(f"billboard:{root}")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="billboard: .*salami_chords.txt"):
        open_dataset(f"billboard:{empty}")
