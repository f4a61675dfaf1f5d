"""GTZAN and GTZAN-Rhythm in their published layout."""

from __future__ import annotations

import pytest
from field_audio import sound, text

from extract.datasets import open_dataset
from extract.errors import DataError


@pytest.fixture
def root(tmp_path):
    for track in ("blues.00029", "blues.00000", "jazz.00000", "blues.00012", "pop.00001"):
        genre = track.split(".")[0]
        sound(tmp_path / "genres" / genre / f"{track}.wav", 2.0)
    rhythm = tmp_path / "gtzan_tempo_beat-main"
    text(rhythm / "beats" / "gtzan_blues_00029.beats", "0.5\t4\n1.0\t1\n1.5\t2\n")
    text(rhythm / "tempo" / "gtzan_blues_00029.bpm", "120.0\n")
    return tmp_path


def test_clips_labels_and_splits(root):
    data = open_dataset(f"gtzan:{root}")
    clips = {clip.track: clip for clip in data.clips}
    splits = {track: clip.split for track, clip in clips.items()}
    assert splits["blues.00012"] == "test" and splits["blues.00029"] in ("train", "valid")
    clip = clips["blues.00029"]
    assert clip.labels == {"genre": "blues", "tempo": 120.0} and clip.duration == 2.0
    assert clip.events == {"beats": (0.5, 1.0, 1.5), "downbeats": (1.0,)}
    assert data.audio(clip, 16000).shape == (32000,)
    assert any("are not on this disk" in caveat for caveat in data.card.caveats)
    assert {card.name for card in data.card.labels} == {"genre", "tempo", "beats", "downbeats"}


def test_the_identity_follows_the_labels(root):
    before = open_dataset(f"gtzan:{root}").card.identity
    assert open_dataset(f"gtzan:{root}").card.identity == before
    text(root / "gtzan_tempo_beat-main" / "beats" / "gtzan_blues_00029.beats", "0.5\t1\n")
    assert open_dataset(f"gtzan:{root}").card.identity != before


def test_what_is_missing_or_wrong_is_named(root, tmp_path, monkeypatch):
    with pytest.raises(DataError, match="say where it is"):
        open_dataset("gtzan")
    monkeypatch.setenv("RSA_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="no folder"):
        open_dataset("gtzan")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="gtzan: .*genres.* is not there"):
        open_dataset(f"gtzan:{empty}")
    text(root / "gtzan_tempo_beat-main" / "beats" / "gtzan_blues_00029.beats", "0.5\t1\nhalf\t2\n")
    with pytest.raises(DataError, match="blues_00029.beats, line 2: 'half'"):
        open_dataset(f"gtzan:{root}")


def test_the_command_shows_what_is_there(root, tmp_path):
    from click.testing import CliRunner

    from cli.datasets import command

    found = CliRunner().invoke(command, [f"gtzan:{root}"])
    assert found.exit_code == 0, found.output
    assert "where to get it" in found.output and "fault-filtered" in found.output
    empty = tmp_path / "empty"
    empty.mkdir()
    found = CliRunner().invoke(command, [f"gtzan:{empty}"])
    assert found.exit_code and "where to get it" in found.output
