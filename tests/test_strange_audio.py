"""Strange and broken recordings are read rightly, or left out with the reason; nothing hangs."""

from __future__ import annotations

import os
import shutil
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import strange_audio as strange
from strange_audio import RATE, pcm16, signal, wav

from extract import audio
from extract.containers import promised
from extract.datasets.folder import Folder
from extract.errors import AudioError, DataError

SUBTYPES = [  # suffix, subtype, half a step of it
    ("wav", "PCM_U8", 2**-7), ("wav", "PCM_24", 2**-22), ("wav", "PCM_32", 2**-22),
    ("wav", "FLOAT", 2**-22), ("wav", "DOUBLE", 2**-22), ("wav", "ULAW", 0.02),
    ("wav", "ALAW", 0.02), ("flac", "PCM_S8", 2**-7), ("flac", "PCM_24", 2**-22),
    ("aiff", "PCM_S8", 2**-7), ("aiff", "FLOAT", 2**-22),
]  # fmt: skip


@pytest.mark.parametrize("suffix,subtype,step", SUBTYPES)
@pytest.mark.parametrize("channels", (1, 8))
def test_every_depth_at_96_khz_and_8_channels(tmp_path, suffix, subtype, step, channels):
    path = tmp_path / f"x.{suffix}"
    values = np.stack([signal(0.2, 96000, seed) for seed in range(channels)], 1)
    soundfile.write(path, values, 96000, subtype=subtype)
    found = audio.read(path, 96000).numpy()
    assert np.abs(found - values.mean(1)).max() <= step
    assert len(audio.read(path, 24000)) == 4800


@pytest.mark.parametrize(
    "name,format",
    [("a.wav", "MP3"), ("b.flac", "WAV"), ("c.mp3", "FLAC"), ("d.ogg", "AIFF"), ("e.aif", "OGG")],
)
def test_a_wrong_ending_does_not_matter(tmp_path, name, format):
    soundfile.write(tmp_path / "right", signal(), RATE, format=format)
    shutil.copy(tmp_path / "right", tmp_path / name)
    (clip,) = (data := Folder(tmp_path)).clips
    found = data.audio(clip, RATE).numpy()
    assert audio.probe(tmp_path / name).format == format
    expected, _ = soundfile.read(tmp_path / "right", dtype="float32")
    np.testing.assert_allclose(found[: len(expected)], expected[: len(found)], atol=1e-6)


def test_an_offset_stays_and_10_ms_are_enough(tmp_path):
    (tmp_path / "offset.wav").write_bytes(wav(pcm16(signal() * 0.5 + 0.6)))
    found = audio.read(tmp_path / "offset.wav", RATE).numpy()
    np.testing.assert_allclose(found, signal() * 0.5 + 0.6, atol=1e-4)
    (tmp_path / "10ms.wav").write_bytes(wav(pcm16(signal(0.01))))
    assert len(audio.read(tmp_path / "10ms.wav", RATE)) == 160


@pytest.mark.parametrize("claim", (2**31 - 1, 2**31, 2**32 - 1))
def test_a_stream_whose_head_was_never_finished_is_read_to_its_end(tmp_path, claim):
    (tmp_path / "stream.wav").write_bytes(wav(pcm16(signal()), claim=claim))
    found = audio.read(tmp_path / "stream.wav", RATE).numpy()
    np.testing.assert_allclose(found, signal(), atol=1e-4)


def test_what_cannot_be_used_says_why_in_one_line(tmp_path):
    reasons = strange.refused(tmp_path)
    data = Folder(tmp_path)
    assert {clip.id for clip in data.clips} == set(reasons)
    for clip in data.clips:
        told = []
        for read in (data.audio, lambda c, rate: audio.read(tmp_path / c.id, rate)):
            with pytest.raises(AudioError) as caught:
                read(clip, 22050)
            told.append(str(caught.value))
            assert told[-1].startswith(f"{tmp_path / clip.id}: ") and "\n" not in told[-1]
        assert reasons[clip.id] in told[1], told


def test_a_stretch_of_what_a_head_only_promises_is_refused(tmp_path):
    strange.flac_of(tmp_path / "promise.flac", 2**31)
    (clip,) = (data := Folder(tmp_path)).clips
    assert clip.duration == 30.0 and clip.start > 60000
    with pytest.raises(AudioError, match=r"promise\.flac: truncated"):
        data.audio(clip, RATE)
    found = audio.read(tmp_path / "promise.flac", RATE, duration=0.5).numpy()
    np.testing.assert_allclose(found, signal()[: RATE // 2], atol=1e-4)


def test_nothing_after_the_start_of_a_short_stretch_is_no_silence(tmp_path):
    (tmp_path / "cut.wav").write_bytes(wav(pcm16(signal()))[: 44 + RATE])
    for start in (0.5, 0.52, 0.9):
        with pytest.raises(AudioError, match="truncated"):
            audio.read(tmp_path / "cut.wav", RATE, start=start, duration=0.03)


@pytest.mark.parametrize("where", ("start", "middle", "end"))
def test_an_hour_costs_what_the_clip_costs(tmp_path, where):
    rate, channels = 48000, 2
    begin = {"start": 0, "middle": 1800, "end": 3596}[where]
    sounding = slice(begin * rate, (begin + 4) * rate)
    path = strange.hours_of(tmp_path / "long.wav", 1, rate=rate, channels=channels,
                            sounding=sounding)  # fmt: skip
    assert audio.probe(path).seconds == 3600 and path.stat().st_size > 1.3e9
    tracemalloc.start()
    found = audio.read(path, rate, start=begin, duration=4.0).numpy()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    expected = np.mean([signal(4.0, rate, seed=c) for c in range(channels)], axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert most < 16 * found.nbytes, f"{most} bytes for a clip of {found.nbytes}"
    assert len(audio.read(path, 16000, start=begin + 1, duration=1.0)) == 16000


def test_many_channels_are_mixed_block_by_block(tmp_path):
    path = tmp_path / "wide.wav"
    values = np.tile(signal(20.0, 8000)[:, None], (1, 64)).astype("f4")
    soundfile.write(path, values, 8000, subtype="FLOAT")
    tracemalloc.start()
    found = audio.read(path, 8000).numpy()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_allclose(found, values[:, 0], atol=1e-6)
    assert values.nbytes > 40e6 and most < 28e6, most


def test_a_pipe_never_blocks_a_folder(tmp_path):
    soundfile.write(tmp_path / "good.wav", signal(), RATE)
    os.mkfifo(tmp_path / "pipe.wav")
    found = []
    work = threading.Thread(target=lambda: found.append(Folder(tmp_path)), daemon=True)
    work.start()
    work.join(20)
    assert not work.is_alive(), "listing a folder waits for a pipe"
    assert [(c.id, c.duration > 0) for c in found[0].clips] == [
        ("good.wav", True), ("pipe.wav", False),
    ]  # fmt: skip


NAMES = [
    "x" * 251 + ".wav", "交" * 83 + ".wav", "line\nbreak.wav", "tab\t.wav",
    "\x1b[31mred\x1b[0m.wav", "bell\x07.wav", "\u202egnp.wav", "[bold red]rich.wav",
    "#let x = 1.wav", "$x$ @all `a|b`.wav", "<script>alert(1)<script>.wav", "=cmd|' !A1.wav",
    " .wav", "-rf.wav", "%s%n.wav",
]  # fmt: skip


def test_any_name_can_be_heard(tmp_path):
    for seed, name in enumerate(NAMES):
        (tmp_path / name).write_bytes(wav(pcm16(signal(0.1, seed=seed))))
    raw = os.fsdecode(b"caf\xe9-\xff.wav")
    (tmp_path / raw).write_bytes(wav(pcm16(signal(0.1, seed=99))))
    data = Folder(tmp_path)
    heard = {Path(data.file(c)).name: data.audio(c, RATE).numpy() for c in data.clips}
    assert set(heard) == {*NAMES, raw}
    for seed, name in enumerate(NAMES):
        np.testing.assert_allclose(heard[name], signal(0.1, seed=seed), atol=1e-4)
    assert all(clip.id.encode("utf-8") for clip in data.clips)  # no half of a surrogate pair


def test_a_bad_file_of_any_name_is_told_in_one_printable_line(tmp_path):
    for name in (*NAMES, os.fsdecode(b"caf\xe9-\xff.wav")):
        (tmp_path / name).write_bytes(b"not audio")
    data = Folder(tmp_path)
    assert len(data.clips) == len(NAMES) + 1
    for clip in data.clips:
        with pytest.raises(AudioError) as caught:
            data.audio(clip, RATE)
        assert str(caught.value).isprintable(), repr(str(caught.value))


def test_folders_deeper_than_a_path_can_be(tmp_path):
    soundfile.write(tmp_path / "good.wav", signal(), RATE)
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(40):  # 40 names of 120 letters are more than the 4096 bytes of a path
        os.mkdir("d" * 120, dir_fd=here)
        below = os.open("d" * 120, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    with open(os.open("deep.wav", os.O_CREAT | os.O_WRONLY, dir_fd=here), "wb") as file:
        file.write(wav(pcm16(signal())))
    os.close(here)
    with pytest.raises(DataError, match="paths longer than this system opens") as caught:
        Folder(tmp_path)
    assert len(str(caught.value)) < 5000
    shutil.rmtree(tmp_path / ("d" * 120))


def test_a_deep_folder_within_limits(tmp_path):
    place = tmp_path.joinpath(*["d" * 200] * 15)
    place.mkdir(parents=True)
    (place / "deep.wav").write_bytes(wav(pcm16(signal())))
    (clip,) = (data := Folder(tmp_path)).clips
    np.testing.assert_allclose(data.audio(clip, RATE).numpy(), signal(), atol=1e-4)


def test_two_names_that_are_one_when_spelled_are_told(tmp_path):
    for name in ("\u00e9.wav", "e\u0301.wav"):
        (tmp_path / name).write_bytes(wav(pcm16(signal())))
    if len(os.listdir(tmp_path)) == 2:  # some file systems compose accents themselves
        with pytest.raises(DataError, match="rename one"):
            Folder(tmp_path)


def test_a_file_that_changes_size_after_it_was_listed(tmp_path):
    for name in ("grows.wav", "shrinks.wav", "goes.wav", "stays.wav"):
        (tmp_path / name).write_bytes(wav(pcm16(signal())))
    data = Folder(tmp_path)
    (tmp_path / "grows.wav").write_bytes(wav(pcm16(signal(2.0))))
    (tmp_path / "shrinks.wav").write_bytes(wav(pcm16(signal(0.5))))
    (tmp_path / "goes.wav").unlink()
    reasons = {}
    for clip in data.clips:
        try:
            data.audio(clip, RATE)
        except AudioError as error:
            reasons[clip.id] = str(error)
    assert set(reasons) == {"grows.wav", "shrinks.wav", "goes.wav"}
    assert "32044 bytes when it was listed, 64044 now" in reasons["grows.wav"]
    assert "run again when nothing writes to it" in reasons["shrinks.wav"]
    assert "no such file" in reasons["goes.wav"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    (tmp_path / "secret.wav").write_bytes(wav(pcm16(signal())))
    (tmp_path / "secret.wav").chmod(0)
    (clip,) = (data := Folder(tmp_path)).clips
    with pytest.raises(AudioError, match=r"secret\.wav: may not be read; change its permissions"):
        data.audio(clip, RATE)


def test_a_refusal_of_the_system_is_told(tmp_path, monkeypatch):
    """As of a file that may not be read, also where the tests run as the superuser."""
    path = tmp_path / "secret.wav"
    path.write_bytes(wav(pcm16(signal())))

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(audio.os, "open", refuse)
    with pytest.raises(AudioError, match="may not be read; change its permissions"):
        audio.read(path, RATE)


def test_a_zero_byte_in_a_path_is_an_audio_error():
    with pytest.raises(AudioError, match="a name that no file can have"):
        audio.read("a\0b.wav", RATE)


HEADS = [b"", b"RIFF", b"RIFF\0\0\0\0WAVE", b"FORM" + bytes(40), b"fLaC" + bytes(100)]


@pytest.mark.parametrize("content", [*HEADS, b"RIFF\0\0\0\0WAVE" + b"x" * 4000])
def test_a_head_that_promises_nothing(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    handle = os.open(tmp_path / "x", os.O_RDONLY)
    assert promised(handle) == 1.0 and os.lseek(handle, 0, os.SEEK_CUR) == 0
    os.close(handle)
