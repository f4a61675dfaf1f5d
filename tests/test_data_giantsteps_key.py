"""GiantSteps key and GiantSteps-MTG key in their published layout."""

from __future__ import annotations

import pytest
from field_audio import sound, text

from extract.datasets import open_dataset
from extract.datasets.published.giantsteps_key import artist_splits
from extract.errors import DataError

ARTISTS = (
    "ID\tARTIST\tSONG TITLE\tMIX\tLABEL\tBP GENRE\tBP BPM\tBP KEY\n"
    "5061\tPhilippe Van Mullem\tCanopy\tProgress Mix\tBonzai\tTrance\t132\tD# major\n"
    "287952\tSL2\tOn A Ragga Tip ‘97\tOriginal Mix\tXL\tBreaks\t140\tA major\n"
    "300\tSL2, Another One\tTry\tOriginal Mix\tXL\tBreaks\t\t\n"
    "301\tNobody\tTry\tOriginal Mix\tXL\tBreaks\t\t\n"
)
KEYS = (
    "ID\tMANUAL KEY\tC\n5061\tD# minor\t2\n287952\tC# major \t2\n"
    "300\tF minor / G# major\t2\n301\t-\t0\n"
)


@pytest.fixture
def root(tmp_path):
    test = tmp_path / "giantsteps-key-dataset"
    text(test / "annotations" / "key" / "10089.LOFI.key", "D major")
    text(test / "annotations" / "key" / "1004923.LOFI.key", "Gb minor")
    sound(test / "audio" / "10089.LOFI.mp3", 2.0)
    train = tmp_path / "giantsteps-mtg-key-dataset-master"
    text(train / "annotations" / "annotations.txt", KEYS)
    text(train / "annotations" / "beatport_metadata.txt", ARTISTS)
    for track in (5061, 287952, 300, 301):
        sound(train / "audio" / f"{track}.LOFI.mp3", 1.0)
    return tmp_path


def test_clips_labels_and_splits(root):
    data = open_dataset(f"giantsteps-key:{root}")
    clips = {clip.track: clip for clip in data.clips}
    assert set(clips) == {"5061", "287952", "10089"}
    assert clips["10089"].labels == {"key": "D major"} and clips["10089"].split == "test"
    assert clips["5061"].labels == {"key": "D# minor"}
    assert clips["287952"].labels == {"key": "C# major"} and clips["287952"].group == "SL2"
    assert {clips["5061"].split, clips["287952"].split} <= {"train", "valid"}
    assert "1 of its 4 recordings are not on this disk" in data.card.caveats


def test_one_part_is_enough(root):
    (root / "giantsteps-mtg-key-dataset-master" / "annotations" / "annotations.txt").unlink()
    with pytest.raises(DataError, match="annotations.txt"):
        open_dataset(f"giantsteps-key:{root}")
    (root / "giantsteps-mtg-key-dataset-master").rename(root / "elsewhere")
    assert {clip.split for clip in open_dataset(f"giantsteps-key:{root}").clips} == {"test"}


def test_collaborators_of_valid_artists_are_valid():
    names = [f"artist {n}" for n in range(200)]
    alone = artist_splits([[name] for name in names])
    train = next(name for name in names if alone[name] == "train")
    valid = next(name for name in names if alone[name] == "valid")
    assert 0.05 < sum(split == "valid" for split in alone.values()) / 200 < 0.3
    assert artist_splits([[train, valid]]) == {train: "valid", valid: "valid"}


def test_what_is_missing_or_wrong_is_named(root, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="giantsteps-key: .*audio.* is not there"):
        open_dataset(f"giantsteps-key:{empty}")
    table = root / "giantsteps-mtg-key-dataset-master" / "annotations" / "annotations.txt"
    text(table, KEYS + "77\tC major\t2\n")
    with pytest.raises(DataError, match="annotations.txt, line 6: 77 is not in beatport_metadata"):
        open_dataset(f"giantsteps-key:{root}")
    text(table, "ID\tKEY\tC\n")
    with pytest.raises(DataError, match="annotations.txt, line 1: no column 'MANUAL KEY'"):
        open_dataset(f"giantsteps-key:{root}")
