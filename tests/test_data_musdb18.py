"""MUSDB18 in its published layout, and where its stems sound."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from field_audio import sound

from extract.datasets import open_dataset
from extract.datasets.published import musdb18
from extract.errors import DataError

TRACKS = (
    ("train", "Skelpolu - Together Alone"),
    ("train", "Skelpolu - Human Mistakes"),
    ("test", "Juliet's Rescue - Heartbeats"),
)
RATE = 8000
FRAME = round(2048 / 44100 * RATE)


def stem(path, *levels: tuple[int, float]):
    """Frames of noise of one level (dB of full scale) after each other, in two channels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    gains = np.repeat([10 ** (db / 20) for n, db in levels for _ in range(n)], FRAME)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (len(gains), 2))
    soundfile.write(path, signs * gains[:, None], RATE, subtype="FLOAT")
    return path


@pytest.fixture
def root(tmp_path):
    for part, track in TRACKS:
        sound(tmp_path / part / track / "mixture.wav", 100 * FRAME / RATE, RATE)
        for name in ("vocals", "drums", "bass", "other"):
            stem(tmp_path / part / track / f"{name}.wav", (40, -20), (60, -80))
    return tmp_path


def test_clips_labels_and_splits(root):
    data = open_dataset(f"musdb18:{root}")
    found = {clip.track: clip for clip in data.clips}
    assert [found[track].split for _, track in TRACKS] == ["train", "valid", "test"]
    clip = found["Juliet's Rescue - Heartbeats"]
    assert clip.group == "Juliet's Rescue"
    assert set(clip.segments) == {f"{s}_active" for s in ("vocals", "drums", "bass", "other")}
    values = [(s.value, s.start, s.end) for s in clip.segments["bass_active"]]
    edge = 40 * FRAME / RATE
    assert values == [("yes", 0.0, edge), ("no", edge, 100 * FRAME / RATE)]
    assert any("Skelpolu" in caveat for caveat in data.card.caveats)


@pytest.mark.parametrize(
    ("levels", "values"),
    [
        ([(10, -20), (5, -59), (10, -61), (10, -20)], "yes no yes"),
        ([(10, -60)], "yes"),
        ([(10, -20), (1, -90), (9, -20)], "yes no yes"),
        # noise of a coder alone, and silence
        ([(10, -80), (10, -75)], "no"),
        ([(10, -400)], "no"),
    ],
)
def test_where_a_stem_sounds(tmp_path, levels, values):
    found = musdb18.activity(stem(tmp_path / "vocals.wav", *levels))
    assert " ".join(s.value for s in found) == values
    assert all(a.end == b.start for a, b in zip(found, found[1:], strict=False))
    assert found[-1].end == sum(n for n, _ in levels) * FRAME / RATE


def test_what_was_found_is_kept_until_the_stem_changes(tmp_path, monkeypatch):
    path = stem(tmp_path / "vocals.wav", (10, -20), (10, -90))
    first = musdb18.activity(path)
    with monkeypatch.context() as patch:
        patch.setattr(musdb18, "_stretches", lambda path: pytest.fail("read again"))
        assert musdb18.activity(path) == first
    stem(path, (20, -20), (10, -90))
    assert musdb18.activity(path)[0].end == 2 * first[0].end


def test_blocks_and_a_short_last_frame_leave_no_seam(tmp_path, monkeypatch):
    path = sound(tmp_path / "vocals.wav", 1.01, RATE)
    whole = musdb18._stretches(path)
    monkeypatch.setattr(musdb18, "BLOCK", 3)
    assert musdb18._stretches(path) == whole == [[0.0, 1.01, "yes"]]


def test_what_is_missing_or_wrong_is_named(root):
    folder = root / "test" / TRACKS[2][1]
    (folder / "bass.wav").unlink()
    clips = {clip.track: clip for clip in open_dataset(f"musdb18:{root}").clips}
    assert "bass_active" not in clips[TRACKS[2][1]].segments
    (folder / "drums.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"Heartbeats/drums.wav: .*again") as caught:
        open_dataset(f"musdb18:{root}")
    assert "\n" not in str(caught.value)
    (folder / "mixture.wav").unlink()
    with pytest.raises(DataError, match="test.*mixture.wav .mixes to test on. is not there"):
        open_dataset(f"musdb18:{root}")
