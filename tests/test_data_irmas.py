"""IRMAS in its published layout."""

from __future__ import annotations

import pytest
from field_audio import sound, text

from extract.datasets import open_dataset
from extract.errors import DataError

PART1 = "IRMAS-TestingData-Part1/Part1"
PART2 = "IRMAS-TestingData-Part2/IRTestingData-Part2"


@pytest.fixture
def root(tmp_path):
    for name in (
        "cel/[cel][cla]0001__1",
        "cel/[cel][cla]0001__2",
        "gel/008__[gel][dru][pop_roc]0858__1",
        "voi/[voi][jaz_blu]2300__3",
    ):
        sound(tmp_path / "IRMAS-TrainingData" / f"{name}.wav", 0.5)
    for name, codes in {
        f"{PART1}/01 - Canto das três raças-9": "gel\t\nvoi\t\n",
        f"{PART1}/01 - Canto das três raças-14": "voi\t\n",
        f"{PART2}/01. The Best Of Wayne Shorter - [Speak No Evil]-26": "sax\t\n",
    }.items():
        sound(tmp_path / f"{name}.wav", 0.5)
        text(tmp_path / f"{name}.txt", codes)
    return tmp_path


def test_labels_splits_and_groups(root):
    data = open_dataset(f"irmas:{root}")
    clips = {clip.id.rpartition("/")[2]: clip for clip in data.clips}
    assert [clip.split for clip in data.clips] == ["train"] * 4 + ["test"] * 3
    first = clips["[cel][cla]0001__1.wav"]
    assert first.labels == {
        "instruments": ("cello",), "instrument": "cello", "genre": "classical",
    }  # fmt: skip
    assert first.group == clips["[cel][cla]0001__2.wav"].group
    guitar = clips["008__[gel][dru][pop_roc]0858__1.wav"]
    assert guitar.labels["drums"] == "yes" and guitar.labels["genre"] == "pop-rock"
    both = clips["01 - Canto das três raças-9.wav"]
    assert both.labels == {"instruments": ("electric guitar", "voice")}
    one = clips["01 - Canto das três raças-14.wav"]
    assert one.labels == {"instruments": ("voice",), "instrument": "voice"}
    assert one.group == both.group == "01 - Canto das três raças"
    assert data.audio(one, 8000).shape == (4000,)


def test_what_is_missing_or_wrong_is_named(root, tmp_path):
    with pytest.raises(DataError, match="irmas: .*TrainingData.* .training data. is not there"):
        open_dataset(f"irmas:{root / 'IRMAS-TrainingData'}")
    label = root / PART1 / "01 - Canto das três raças-9.txt"
    text(label, "gel\t\nban\t\n")
    with pytest.raises(DataError, match="-9.txt, line 2: 'ban' is none of cel, cla"):
        open_dataset(f"irmas:{root}")
    label.unlink()
    with pytest.raises(DataError, match="-9.txt: .*fetch the file again"):
        open_dataset(f"irmas:{root}")
    sound(root / "IRMAS-TrainingData" / "cel" / "[cel]0002.wav", 0.1)
    with pytest.raises(DataError, match="0002.wav: no name as in"):
        open_dataset(f"irmas:{root}")
