"""Reading audio: levels, places and lengths are right; what cannot be used is named."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from extract import audio
from extract.errors import AudioError

RATES = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000)
FORMATS = [  # suffix, format, subtype, largest error after decoding
    ("wav", "WAV", "PCM_U8", 1.0e-2),
    ("wav", "WAV", "PCM_16", 1e-4),
    ("wav", "WAV", "PCM_24", 1e-6),
    ("wav", "WAV", "FLOAT", 1e-7),
    ("wav", "WAV", "DOUBLE", 1e-7),
    ("flac", "FLAC", "PCM_16", 1e-4),
    ("flac", "FLAC", "PCM_24", 1e-6),
    ("aif", "AIFF", "PCM_16", 1e-4),
    ("ogg", "OGG", "VORBIS", 5e-2),
    ("opus", "OGG", "OPUS", 5e-2),
    ("mp3", "MP3", "MPEG_LAYER_III", 5e-2),
]


def sine(frequency: float, rate: int, seconds: float, level: float = 0.5) -> np.ndarray:
    return level * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


def level_db(signal: torch.Tensor) -> float:
    """Level of a sine, in dB re amplitude 1, away from the edges."""
    middle = signal.double()[len(signal) // 8 : -len(signal) // 8]
    return float(10 * torch.log10(2 * (middle**2).mean() + 1e-30))


def noise(seconds: float, rate: int, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))


@pytest.mark.parametrize("suffix,container,subtype,error", FORMATS)
def test_formats_keep_level_place_and_length(tmp_path, suffix, container, subtype, error):
    rate = 48000
    path = tmp_path / f"tone.{suffix}"
    wave = sine(441, rate, 1.0)
    soundfile.write(path, wave, rate, format=container, subtype=subtype)
    info = audio.probe(path)
    assert (info.sample_rate, info.channels) == (rate, 1)
    assert info.format == container
    assert info.seconds == pytest.approx(1.0, abs=audio.TOLERANCE)
    out = audio.read(path, rate, duration=1.0)
    assert out.dtype == torch.float32 and out.shape == (rate,)
    # the middle: lossy codecs fade in and out
    middle = slice(rate // 10, rate - rate // 10)
    assert np.abs(out.numpy()[middle] - wave[middle]).max() < error
    assert level_db(out) == pytest.approx(20 * np.log10(0.5), abs=0.1)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("target", (16000, 22050, 24000))
def test_resampling_keeps_the_pass_band_and_the_length(tmp_path, rate, target):
    path = tmp_path / "tone.wav"
    frequency = 0.4 * min(rate, target)
    soundfile.write(path, sine(frequency, rate, 1.03), rate, subtype="FLOAT")
    out = audio.read(path, target)
    assert len(out) == round(round(1.03 * rate) / rate * target)
    assert level_db(out) == pytest.approx(20 * np.log10(0.5), abs=0.05)
    spectrum = np.abs(np.fft.rfft(out.numpy() * np.hanning(len(out))))
    assert spectrum.argmax() * target / len(out) == pytest.approx(frequency, abs=2)


@pytest.mark.parametrize("rate,target,frequency", [(44100, 16000, 9000), (48000, 22050, 11500),
                                                    (96000, 24000, 30000), (22050, 16000, 8300)])
def test_what_lies_above_the_new_nyquist_frequency_is_gone(tmp_path, rate, target, frequency):
    path = tmp_path / "tone.wav"
    soundfile.write(path, sine(frequency, rate, 1.0), rate, subtype="FLOAT")
    assert level_db(audio.read(path, target)) < 20 * np.log10(0.5) - 80


@pytest.mark.parametrize("rate,target", [(44100, 16000), (48000, 22050), (8000, 24000),
                                         (44100, 44100), (11025, 16000)])
def test_a_click_stays_where_it_is(tmp_path, rate, target):
    path = tmp_path / "click.wav"
    wave = np.zeros(2 * rate)
    wave[round(0.7 * rate)] = 0.9
    soundfile.write(path, wave, rate, subtype="FLOAT")
    for start in (0.0, 0.25, 0.6137):
        out = audio.read(path, target, start=start, duration=1.0)
        # the start is rounded to a sample of the file, which may be the coarser of the two
        allowed = max(1, 0.5 + target / rate / 2)
        assert abs(int(out.abs().argmax()) - (0.7 - start) * target) <= allowed


@pytest.mark.parametrize("suffix", ("wav", "flac", "ogg", "mp3"))
@pytest.mark.parametrize("target", (44100, 16000))
def test_stretches_join_without_a_seam(tmp_path, suffix, target):
    path = tmp_path / f"noise.{suffix}"
    soundfile.write(path, noise(4.0, 44100), 44100)
    whole = audio.read(path, target, duration=4.0)
    parts = [audio.read(path, target, start=start, duration=1.0) for start in range(4)]
    assert (torch.cat(parts) - whole).abs().max() < 1e-4


@pytest.mark.parametrize("channels", (1, 2, 3, 8))
def test_channels_are_averaged(tmp_path, channels):
    path = tmp_path / "many.wav"
    values = np.stack([noise(0.5, 16000, seed) for seed in range(channels)], axis=1)
    soundfile.write(path, values, 16000, subtype="FLOAT")
    assert audio.probe(path).channels == channels
    assert np.allclose(audio.read(path, 16000).numpy(), values.mean(1), atol=1e-6)


@pytest.mark.parametrize("duration", (0.01, 0.5, 1 / 3, 1.99999, 2.0))
@pytest.mark.parametrize("rate", (44100, 48000))
def test_length_is_exact(tmp_path, duration, rate):
    path = tmp_path / "noise.wav"
    soundfile.write(path, noise(2.0, rate), rate)
    for target in (16000, 22050, 24000):
        assert len(audio.read(path, target, duration=duration)) == round(duration * target)


def test_a_stretch_may_end_a_little_late_but_not_much(tmp_path):
    path = tmp_path / "noise.wav"
    soundfile.write(path, noise(1.0, 16000), 16000)
    out = audio.read(path, 16000, start=0.5, duration=0.53)
    assert len(out) == 8480 and not out[8000:].any() and out[7900:8000].any()
    with pytest.raises(AudioError, match=r"noise\.wav: lasts 1\.00 s, wanted 0\.50 to 1\.10 s"):
        audio.read(path, 16000, start=0.5, duration=0.6)
    with pytest.raises(AudioError, match="change the start"):
        audio.read(path, 16000, start=1.0)


def test_loud_floats_are_not_clipped(tmp_path):
    path = tmp_path / "loud.wav"
    soundfile.write(path, 4 * sine(440, 16000, 0.5), 16000, subtype="FLOAT")
    assert audio.read(path, 16000).abs().max() == pytest.approx(2.0, rel=1e-3)


def broken(folder: Path) -> dict[str, tuple[Path, str]]:
    """name -> a file that cannot be used and what the message must say."""
    rate = 16000
    wave = noise(2.0, rate)
    with_nan, with_inf, far = wave.copy(), wave.copy(), wave.copy()
    with_nan[100], with_inf[100:102], far[:] = np.nan, (np.inf, -np.inf), 2e-5 * np.sign(wave)
    soundfile.write(folder / "nan.wav", with_nan, rate, subtype="FLOAT")
    soundfile.write(folder / "inf.wav", with_inf, rate, subtype="FLOAT")
    soundfile.write(folder / "faint.wav", far, rate, subtype="FLOAT")
    soundfile.write(folder / "silent.wav", np.zeros(rate), rate)
    soundfile.write(folder / "offset.wav", np.full(rate, 0.25), rate)
    soundfile.write(folder / "opposite.wav", np.stack([wave, -wave], 1), rate)
    soundfile.write(folder / "none.wav", np.zeros(0), rate)
    soundfile.write(folder / "short.wav", wave[: rate // 200], rate)
    soundfile.write(folder / "half.flac", wave, rate)
    soundfile.write(folder / "half.mp3", wave, rate)
    for name in ("half.flac", "half.mp3"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
    # STREAMINFO ends with 36 bits for the number of samples before the checksum; 0 is "unknown"
    soundfile.write(folder / "stream.flac", wave, rate)
    head = bytearray((folder / "stream.flac").read_bytes())
    head[21] &= 0xF0
    head[22:26] = bytes(4)
    (folder / "stream.flac").write_bytes(head)
    (folder / "random.mp3").write_bytes(np.random.default_rng(0).bytes(20000))
    (folder / "text.wav").write_text("not audio at all " * 50)
    (folder / "empty.wav").write_bytes(b"")
    (folder / "folder.wav").mkdir()
    reasons = {
        "nan.wav": "not finite", "inf.wav": "not finite", "faint.wav": "silent",
        "silent.wav": "silent", "offset.wav": "silent", "opposite.wav": "channels cancel",
        "none.wav": "holds no samples", "short.wav": "5.0 ms are too short",
        "half.flac": "truncated or damaged", "half.mp3": "truncated: 2.0",
        "stream.flac": "does not state its length",
        "random.mp3": "not audio", "text.wav": "not audio", "empty.wav": "empty",
        "folder.wav": "a folder", "missing.wav": "no such file",
    }
    return {name: (folder / name, reason) for name, reason in reasons.items()}


def test_what_cannot_be_used_is_named_with_reason_and_cure(tmp_path):
    for name, (path, reason) in broken(tmp_path).items():
        with pytest.raises(AudioError) as caught:
            audio.read(path, 22050)
        message = str(caught.value)
        assert message.startswith(f"{path}: {reason}") or reason in message, message
        assert name in message and "\n" not in message


def test_probe_refuses_what_is_no_audio(tmp_path):
    cases = broken(tmp_path)
    for name in ("random.mp3", "text.wav", "empty.wav", "folder.wav", "missing.wav", "none.wav",
                 "stream.flac"):
        path, reason = cases[name]
        with pytest.raises(AudioError, match=reason):
            audio.probe(path)


def test_the_readable_part_of_a_truncated_file_can_be_read(tmp_path):
    path = tmp_path / "half.mp3"
    soundfile.write(path, noise(4.0, 44100), 44100)
    whole = audio.read(path, 16000, duration=1.0)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert torch.allclose(audio.read(path, 16000, duration=1.0), whole, atol=1e-4)


@pytest.mark.parametrize("start,duration", [(-1.0, None), (float("nan"), None), (0.0, -2.0),
                                            (0.0, float("nan")), (float("inf"), 1.0)])
def test_impossible_stretches_are_refused(tmp_path, start, duration):
    path = tmp_path / "noise.wav"
    soundfile.write(path, noise(1.0, 16000), 16000)
    with pytest.raises(AudioError, match="no stretch starts"):
        audio.read(path, 16000, start=start, duration=duration)


def test_names_beyond_ascii(tmp_path):
    path = tmp_path / "Dvořák – Симфония №9 (交響曲).flac"
    soundfile.write(path, noise(0.5, 16000), 16000)
    assert len(audio.read(str(path), 16000)) == 8000


def test_threads_hear_the_same(tmp_path):
    path = tmp_path / "noise.mp3"
    soundfile.write(path, noise(3.0, 44100), 44100)
    alone = [audio.read(path, 16000, start=k / 8, duration=1.0) for k in range(16)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda k: audio.read(path, 16000, k / 8, 1.0), range(16)))
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))
