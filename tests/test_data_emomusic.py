"""EmoMusic in its published layout."""

from __future__ import annotations

import pytest
from field_audio import sound, text

from extract.datasets import open_dataset
from extract.datasets.published.emomusic import plain
from extract.errors import DataError

SONGS = """\
song_id,file_name,Artist,Song title,start of the segment (min.sec),end of the segment (min.sec),\
Genre,Mediaeval 2013 set
2,2.mp3\t,The New Mystikal Troubadours\t,Tonight  A Lonely Century\t,0.48,1.33,Blues\t,development
3,3.mp3\t,"Dickey F, and friends"\t,"Good, bad"\t,0.5,1.35,Blues\t,development
12,12.mp3\t,Sul Rebel\t,Rebel Blues\t,0.03,0.48,Blues\t,evaluation
56,56.mp3\t,Vieux Farka Touré\t,Souba Souba\t,0.48,1.33,Blues\t,development
115,115.mp3\t,Vieux  Farka Tour,Fafa,0.48,1.33,Country,development
"""
RATINGS = """\
song_id,mean_arousal,std_arousal,mean_valence,std_valence
2,3.1,0.99443,3,0.66667
3,3.5,1.8409,3.3,1.7029
12,5.5,2.0138,5.8,1.9889
56,4.7,1.4944,5,1.5811
115,8.4,0.69921,7.8,1.2293
"""


@pytest.fixture
def root(tmp_path):
    text(tmp_path / "songs_info.csv", SONGS)
    text(tmp_path / "static_annotations.csv", RATINGS)
    for song in (2, 12, 56, 115):
        sound(tmp_path / "clips_45seconds" / f"{song}.mp3", 0.5)
    return tmp_path


def test_ratings_splits_and_groups(root):
    data = open_dataset(f"emomusic:{root}")
    clips = {clip.track: clip for clip in data.clips}
    assert clips["2"].labels == {"arousal": 3.1, "valence": 3.0, "genre": "Blues"}
    assert clips["2"].split == "valid" and clips["12"].split == "test", "as in jukemir"
    assert clips["56"].group == clips["115"].group == "vieux farka tour"
    assert clips["56"].split == clips["115"].split == "train", "as in jukemir"
    assert data.audio(clips["2"], 8000).ndim == 1
    assert "1 of its 5 recordings are not on this disk" in data.card.caveats
    assert plain("Mr. & Mrs.  Smith") == "mr mrs smith"


def test_what_is_missing_or_wrong_is_named(root):
    with pytest.raises(DataError, match="emomusic: .*songs_info.csv .songs. is not there"):
        open_dataset(f"emomusic:{root / 'clips_45seconds'}")
    text(root / "static_annotations.csv", RATINGS.replace("12,5.5,", "12,"))
    with pytest.raises(DataError, match="static_annotations.csv, line 4: 4 fields below 5"):
        open_dataset(f"emomusic:{root}")
    text(root / "static_annotations.csv", RATINGS.replace("12,5.5", "12,loud"))
    with pytest.raises(DataError, match="static_annotations.csv, line 4: 'loud' is no number"):
        open_dataset(f"emomusic:{root}")
    text(root / "static_annotations.csv", RATINGS)
    text(root / "songs_info.csv", SONGS.replace("evaluation", "test"))
    with pytest.raises(DataError, match="songs_info.csv, line 4: 'test' is none of development"):
        open_dataset(f"emomusic:{root}")
