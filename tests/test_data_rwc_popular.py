"""RWC Popular in its published layout."""

from __future__ import annotations

import pytest
from field_audio import sound, text

from extract.datasets import open_dataset
from extract.datasets.base import Segment
from extract.errors import DataError

TABLE = (
    "Piece No.,Cat. Suffix,Tr. No.,Title,Artist (Vocal),Singer Information,Length,Tempo,"
    "Live Instruments Used,Drum Information\n"
    "No. 1,M01,Tr. 01,Eien no replica,Kazuo Nishi,Male,03:29,135,Gt,Drum sequences\n"
    'No. 17,M02,Tr. 01,"Stay, please",Kazuo Nishi,Male,03:29,100,,\n'
)


@pytest.fixture
def root(tmp_path):
    beat = "4\t4\t384\n49\t49\t48\n93\t93\t96\n95\t95\t-1\n137\t137\t384\n"
    text(tmp_path / "AIST.RWC-MDB-P-2001.BEAT" / "RM-P001.BEAT.TXT", beat)
    text(
        tmp_path / "AIST.RWC-MDB-P-2001.CHORUS" / "RM-P001.CHORUS.TXT",
        '4\t102\t"intro"\n102\t150\t"chorus A (+1)"\n150\t200\t"nothing"\n',
    )
    text(
        tmp_path / "AIST.RWC-MDB-P-2001.CHORD" / "RWC_Pop_Chords" / "N001-M01-T01.lab",
        "0.000\t0.104\tN\n0.104\t2.0\tBb:maj(*3)\n",
    )
    text(tmp_path / "metadata-master" / "rwc-p.csv", TABLE)
    sound(tmp_path / "audio" / "RM-P001.wav", 2.0)
    sound(tmp_path / "audio" / "rwc-p-m02" / "1.wav", 2.0)
    sound(tmp_path / "audio" / "rwc-p-m03" / "1.wav", 2.0)
    return tmp_path


def test_clips_labels_and_groups(root):
    data = open_dataset(f"rwc-popular:{root}")
    clips = {clip.track: clip for clip in data.clips}
    assert set(clips) == {"RM-P001", "RM-P017"}
    song = clips["RM-P001"]
    assert song.labels == {"tempo": 135.0} and song.group == "Kazuo Nishi" and song.split == ""
    assert song.events == {"beats": (0.04, 0.49, 0.93, 1.37), "downbeats": (0.04, 1.37)}
    assert song.segments["section"][1] == Segment(1.02, 1.5, "chorus a (+1)")
    assert [s.value for s in song.segments["function"]] == ["intro", "chorus", "silence"]
    assert [s.value for s in song.segments["chord"]] == ["N", "Bb:maj(*3)"]
    assert clips["RM-P017"].id == "audio/rwc-p-m02/1.wav"
    assert "98 of its 100 recordings are not on this disk" in data.card.caveats


def test_without_the_table_the_song_is_the_group(root):
    (root / "metadata-master" / "rwc-p.csv").unlink()
    (clip,) = open_dataset(f"rwc-popular:{root}").clips
    assert clip.group == "RM-P001" and clip.labels == {}


def test_what_is_missing_or_wrong_is_named(root, tmp_path):
    text(root / "AIST.RWC-MDB-P-2001.BEAT" / "RM-P001.BEAT.TXT", "4\t4\t384\nx\t4\t48\n")
    with pytest.raises(DataError, match="RM-P001.BEAT.TXT, line 2: 'x'"):
        open_dataset(f"rwc-popular:{root}")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="rwc-popular: .*BEAT.TXT"):
        open_dataset(f"rwc-popular:{empty}")
