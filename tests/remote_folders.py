"""Folders of audio that also lie on a storage, and a cache that is a test's own."""

from __future__ import annotations

from pathlib import Path

import fsspec
import numpy as np
from strange_storage import Strange
from test_folder import write

from extract.errors import AudioError
from extract.remote import retrying

RATE = 8000
URL = "strange://music"


def emptied(tmp_path, monkeypatch) -> None:
    """A cache of its own, empty storages, and no waits."""
    monkeypatch.setenv("RSA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(retrying, "FIRST", 0.0)
    Strange.anew()
    fsspec.filesystem("memory").store.clear()


def make_music(folder: Path) -> Path:
    """Audio of all kinds, good and bad, with a manifest beside it that is not yet called so."""
    write(folder / "b.wav", 2.0, 1)
    write(folder / "a" / "z.flac", 1.0, 2)
    write(folder / "a" / "y.mp3", 1.5, 3)
    write(folder / "a" / "X.OGG", 40.0, 4)
    write(folder / "big.aiff", 12.0, 6, rate=44100)
    write(folder / ".hidden.wav", 1.0, 5)
    write(folder / ".dots" / "c.wav", 1.0, 5)
    (folder / "notes.txt").write_text("no audio")
    whole = (folder / "b.wav").read_bytes()
    (folder / "cut.wav").write_bytes(whole[: len(whole) // 2])
    (folder / "bad.mp3").write_bytes(np.random.default_rng(0).bytes(9000))
    (folder / "empty.wav").write_bytes(b"")
    return folder


def make_little(folder: Path) -> Path:
    """Two clips and one that is none."""
    write(folder / "a.wav", 1.0, 1)
    write(folder / "b" / "c.flac", 1.0, 2)
    (folder / "empty.wav").write_bytes(b"")
    return folder


def heard(data) -> dict:
    """Clip -> samples, or why not without the place."""
    found = {}
    for clip in data.clips:
        try:
            found[clip.id] = data.audio(clip, 16000).tolist()
        except AudioError as error:
            place = data.file(clip)
            assert str(error).startswith(place)
            found[clip.id] = str(error).removeprefix(place)
    return found


def copied(folder: Path, protocol: str) -> str:
    """The same folder elsewhere, and its URL."""
    if protocol == "file":
        return f"file://{folder}"
    if protocol == "strange":
        Strange.copy_of(folder)
        return URL
    fsspec.filesystem("memory").put(f"{folder}/", "/music/", recursive=True)
    return "memory://music"
