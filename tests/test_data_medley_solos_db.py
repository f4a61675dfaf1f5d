"""Medley-solos-DB in its published layout."""

from __future__ import annotations

import pytest
from field_audio import sound, text

from extract.datasets import open_dataset
from extract.errors import DataError

ROWS = (
    ("training", "clarinet", 0, "012", "a7a3bc1b-5cb9-5ab4-f5ea-ffd5ca7a2a48"),
    ("training", "clarinet", 0, "012", "f6b5fa8d-5a56-5ee2-ec2e-0cf1f7f6a2a1"),
    ("validation", "flute", 3, "210", "d07b1fc0-567d-52c2-fef4-239f31c9d40e"),
    ("test", "distorted electric guitar", 1, "099", "0e4371ac-1c6a-51ab-fdb7-f8abd5fbf1a3"),
    ("test", "violin", 7, "098", "33383119-fd64-59c1-f596-d1a23e8a0eff"),
)


@pytest.fixture
def root(tmp_path):
    table = "subset,instrument,instrument_id,song_id,uuid4\n"
    for subset, instrument, number, song, uuid in ROWS:
        table += f"{subset},{instrument},{number},{song},{uuid}\n"
        if instrument != "violin":
            name = f"Medley-solos-DB_{subset}-{number}_{uuid}.wav"
            sound(tmp_path / "audio" / name, 0.5)
    text(tmp_path / "annotation" / "Medley-solos-DB_metadata.csv", table)
    return tmp_path


def test_labels_splits_and_groups(root):
    data = open_dataset(f"medley-solos-db:{root}")
    assert [clip.split for clip in data.clips] == ["train", "train", "valid", "test"]
    assert data.clips[0].group == data.clips[1].group == "song 012"
    assert data.clips[3].labels == {"instrument": "distorted electric guitar"}
    assert data.audio(data.clips[2], 8000).shape == (4000,)
    assert "1 of its 5 recordings are not on this disk" in data.card.caveats


def test_songs_had_another_name_before(root):
    table = root / "annotation" / "Medley-solos-DB_metadata.csv"
    text(table, table.read_text().replace("song_id", "track_id"))
    assert open_dataset(f"medley-solos-db:{root}").clips[0].group == "song 012"


def test_what_is_missing_or_wrong_is_named(root):
    with pytest.raises(DataError, match="Medley-solos-DB_metadata.csv .instruments. is not there"):
        open_dataset(f"medley-solos-db:{root / 'audio'}")
    table = root / "annotation" / "Medley-solos-DB_metadata.csv"
    text(table, table.read_text().replace("validation", "val"))
    with pytest.raises(DataError, match="metadata.csv, line 4: 'val' is none of training"):
        open_dataset(f"medley-solos-db:{root}")
