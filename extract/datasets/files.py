"""Audio files below a folder: finding them, looking into them, telling data sets apart by them."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from extract import audio
from extract.datasets.base import Clip
from extract.errors import AudioError, DataError, printable

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff")
EDGE = 8 * 1024  # bytes hashed at both ends of a file: some sets have 300,000 of them
READERS = 8  # threads that look into files while listing


@dataclass(frozen=True)
class File:
    """What listing a file found: its place, a digest of its content, and its head if readable.

    `size` is in bytes, -1 where it is no regular file that can be read.
    """

    path: Path
    name: str
    digest: str
    info: audio.AudioInfo | None
    size: int = -1

    @property
    def seconds(self) -> float:
        return self.info.seconds if self.info else 0.0


def search(folder: Path) -> Iterator[Path]:
    """Audio files below a folder: each file and folder once, real ones before links."""
    seen: set[Path] = set()
    waiting, links = [folder], []
    while waiting or links:
        place = waiting.pop() if waiting else links.pop(0)
        real = Path(os.path.realpath(place))
        if real in seen:
            continue
        seen.add(real)
        if not os.path.isdir(place):  # False too for what has too long a path
            yield place
            continue
        try:
            children = sorted(place.iterdir())
        except OSError as error:
            raise DataError(f"{place}: {error.strerror}; make the folder readable") from None
        for child in children:
            if child.name.startswith("."):
                continue
            try:
                link = stat.S_ISLNK(os.lstat(child).st_mode)
            except FileNotFoundError:  # gone since it was listed
                continue
            except OSError:
                raise DataError(
                    f"{folder}: below it are paths longer than this system opens, the first in a "
                    f"folder called {place.name}; move the folders up, or shorten their names"
                ) from None
            if os.path.isdir(child) or child.suffix.lower() in SUFFIXES:
                (links if link else waiting).append(child)


def name_of(path: Path, folder: Path) -> str:
    """A path as it stands in ids: relative, with slashes, accents composed, fit to be printed."""
    text = path.relative_to(folder).as_posix()
    text = os.fsencode(text).decode("utf-8", "backslashreplace")
    return printable(unicodedata.normalize("NFC", text))


def look(places: Sequence[tuple[str, Path]]) -> list[File]:
    """Looks into files, several at a time, in order of name."""
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda place: look_into(*place), places))


def look_into(name: str, path: Path) -> File:
    """Looks into one file."""
    try:
        info = audio.probe(path)
    except AudioError:
        info = None  # `audio` will say why
    digest, size = _digest(path)
    return File(path, name, digest, info, size)


def hear(file: File, sample_rate: int, start: float, duration: float) -> torch.Tensor:
    """A stretch of a listed file; see `audio.read`.

    Raises
    ------
    AudioError : also for a file whose size is not the one it was listed with.
    """
    try:
        size = os.stat(file.path).st_size
    except (OSError, ValueError):
        size = -1  # reading will say why
    if -1 not in (size, file.size) and size != file.size:
        raise AudioError(
            f"{file.path}: {file.size} bytes when it was listed, {size} now; "
            "run again when nothing writes to it"
        )
    return audio.read(file.path, sample_rate, start, duration)


def _digest(path: Path) -> tuple[str, int]:
    """Hash of the size and of the first and last 8 kB, which tells files apart; and the size."""
    digest = hashlib.sha256()
    try:
        # a pipe that nobody writes to would be waited for
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(handle, "rb") as file:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                return "no file", -1
            size = found.st_size
            digest.update(f"{size}|".encode())
            digest.update(file.read(EDGE))
            if size > EDGE:
                file.seek(max(EDGE, size - EDGE))
                digest.update(file.read(EDGE))
    except (OSError, ValueError):
        return "unreadable", -1
    return digest.hexdigest(), size


def identity(clips: Sequence[Clip], files: Sequence[File], labels: bool = True) -> str:
    """Hash of the clip table and of the files' names and digests.

    Neither the folder's own place nor the times of the files count.

    Parameters
    ----------
    labels : whether what is said of the clips counts (all columns of a manifest), or their cuts
        alone.
    """
    digest = hashlib.sha256()
    for clip in clips:
        row = [clip.id, clip.start, clip.duration, *(clip.said() if labels else ())]
        digest.update(json.dumps(row).encode() + b"\n")
    for file in files:
        digest.update(json.dumps([file.name, file.digest]).encode() + b"\n")
    return digest.hexdigest()
