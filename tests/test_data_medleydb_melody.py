"""MedleyDB melody in its published layout."""

from __future__ import annotations

import json

import pytest
from field_audio import sound, text

from extract.datasets import open_dataset
from extract.datasets.published import medleydb_melody
from extract.errors import DataError

TRACKS = ("AimeeNorwich_Child", "AmarLal_Rest", "MatthewEntwistle_DontYouEver", "Wolf_DieBekherte")
HOP = 256 / 44100


@pytest.fixture
def root(tmp_path):
    for track in TRACKS:
        sound(tmp_path / "audio" / f"{track}_MIX.wav", 1.0)
        for kind, hertz in (("melody1", 220.0), ("melody2", 440.0)):
            rows = (f"{i * HOP!r},{hertz if i % 2 else 0.0}\n" for i in range(200))
            text(tmp_path / kind / f"{track}_{kind.upper()}.csv", "".join(rows))
    facts = {track: {"artist": "x", "genre": "Singer/Songwriter"} for track in TRACKS[:2]}
    text(tmp_path / "medleydb_melody_metadata.json", json.dumps(facts))
    return tmp_path


def test_clips_labels_and_splits(root):
    data = open_dataset(f"medleydb-melody:{root}")
    assert [(c.track, c.split) for c in data.clips] == list(
        zip(TRACKS, ("train", "valid", "test", "train"), strict=True)
    )
    clip = data.clips[0]
    assert clip.group == "AimeeNorwich" and clip.labels == {"genre": "Singer/Songwriter"}
    assert data.clips[2].labels == {}
    # the annotation goes on for longer than the audio
    assert clip.duration == 1.0 and clip.curves["melody"].times[-1] < 1.0
    assert clip.curves["melody"].values[:4].tolist() == [0.0, 440.0, 0.0, 440.0]
    assert clip.curves["melody1"].values.max() == 220.0
    assert {card.name for card in data.card.labels} == {"melody", "melody1", "genre"}


def test_melodies_are_cut_with_the_audio(root, monkeypatch):
    monkeypatch.setattr(medleydb_melody.MedleyDbMelody, "clip_seconds", 0.5)
    first, second, *_ = open_dataset(f"medleydb-melody:{root}").clips
    assert first.track == second.track and second.start == 0.5
    assert 0.0 <= second.curves["melody"].times[0] < HOP
    assert first.curves["melody"].times.size + second.curves["melody"].times.size == 173


def test_groups_are_who_plays():
    artist = medleydb_melody.artist
    assert artist("Debussy_LenfantProdigue") == artist("Schubert_Erstarrung")
    assert artist("Mozart_DiesBildnis") != artist("Mozart_BesterJungling")
    assert artist("MusicDelta_ChineseDrama") == artist("MusicDelta_ChineseHenan")
    assert artist("MusicDelta_Gospel") != artist("MusicDelta_Rock")
    lists = medleydb_melody.VALID, medleydb_melody.TEST
    assert [len(tracks) for tracks in lists] == [15, 27]
    players = [{artist(track) for track in tracks} for tracks in lists]
    assert not players[0] & players[1]


def test_what_is_missing_or_wrong_is_named(root):
    for path in (*(root / "melody1").iterdir(), root / "medleydb_melody_metadata.json"):
        path.unlink()
    data = open_dataset(f"medleydb-melody:{root}")
    assert {card.name for card in data.card.labels} == {"melody"}
    broken = root / "melody2" / "AimeeNorwich_Child_MELODY2.csv"
    for content, fault in (
        ("0.0,0.0\n0.1,low\n", "line 2: 'low'"),
        ("0.1,0.0\n0.1,5.0\n", "line 2: rising"),
        ("0.1\n", "line 1: rising"),
        ("", "no lines"),
    ):
        text(broken, content)
        with pytest.raises(DataError, match=f"Child_MELODY2.csv.*{fault}"):
            open_dataset(f"medleydb-melody:{root}")
    text(root / "medleydb_melody_metadata.json", "{")
    with pytest.raises(DataError, match="metadata.json"):
        open_dataset(f"medleydb-melody:{root}")
    for path in (root / "melody2").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"melody2.* .melodies, definition 2. is not there"):
        open_dataset(f"medleydb-melody:{root}")
