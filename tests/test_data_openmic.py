"""OpenMIC-2018 in its published layout."""

from __future__ import annotations

import pytest
from field_audio import sound, text

from extract.datasets import open_dataset
from extract.errors import DataError

KEYS = {"000046_3840": "4", "000135_483840": "52", "000178_3840": "4", "155311_453120": "9"}


@pytest.fixture
def root(tmp_path):
    for key in list(KEYS)[:3]:
        sound(tmp_path / "audio" / key[:3] / f"{key}.ogg", 0.5)
    text(
        tmp_path / "openmic-2018-aggregated-labels.csv",
        "sample_key,instrument,relevance,num_responses\n"
        "000046_3840,violin,0.5,3\n000046_3840,flute,0.17104999999999998,3\n"
        "000046_3840,banjo,1.0,3\n000178_3840,voice,0.0,3\n",
    )
    text(tmp_path / "partitions" / "split01_train.csv", "000046_3840\n000135_483840\n")
    text(tmp_path / "partitions" / "split01_test.csv", "000178_3840\n155311_453120\n")
    return tmp_path


def test_instruments_and_which_of_them_are_known(root):
    data = open_dataset(f"openmic:{root}")
    clips = {clip.track: clip for clip in data.clips}
    assert clips["000046_3840"].labels == {
        "instruments": ("banjo", "violin"),
        "instruments_known": ("banjo", "flute", "violin"),
    }
    assert clips["000135_483840"].labels == {"instruments": (), "instruments_known": ()}
    assert clips["000178_3840"].labels == {"instruments": (), "instruments_known": ("voice",)}
    assert [clip.split for clip in data.clips] == ["train", "train", "test"]
    assert [clip.group for clip in data.clips] == list(KEYS)[:3]
    assert data.audio(clips["000046_3840"], 8000).shape == (4000,)


def test_artists_are_the_groups_where_they_are_known(root):
    tracks = [
        f'{i},"Live\nat home, ""one""",{a},{k},3.84\n' for i, (k, a) in enumerate(KEYS.items())
    ]
    head = "track_id,album_title,artist_id,sample_key,start_time\n"
    text(root / "openmic-2018-metadata.csv", head + "".join(tracks))
    data = open_dataset(f"openmic:{root}")
    assert [clip.group for clip in data.clips] == ["artist 4", "artist 52", "artist 4"]


def test_what_is_missing_or_wrong_is_named(root):
    with pytest.raises(DataError, match="aggregated-labels.csv .instruments. is not there and 3"):
        open_dataset(f"openmic:{root / 'audio'}")
    table = root / "openmic-2018-aggregated-labels.csv"
    text(table, table.read_text().replace(",1.0,3", ",likely,3"))
    with pytest.raises(DataError, match="labels.csv, line 4: 'likely' is no number"):
        open_dataset(f"openmic:{root}")
