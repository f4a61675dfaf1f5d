"""Audio files below a folder: finding them, looking into them, telling data sets apart by them."""

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from extract import audio
from extract.datasets.base import Clip
from extract.errors import AudioError, DataError

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff")
EDGE = 8 * 1024  # bytes hashed at both ends of a file: some sets have 300,000 of them
READERS = 8  # threads that look into files while listing


@dataclass(frozen=True)
class File:
    """What listing a file found: its place, a digest of its content, and its head if readable."""

    path: Path
    name: str
    digest: str
    info: audio.AudioInfo | None

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
        if not place.is_dir():
            yield place
            continue
        try:
            children = sorted(place.iterdir())
        except OSError as error:
            raise DataError(f"{place}: {error.strerror}; make the folder readable") from None
        for child in children:
            if child.name.startswith("."):
                continue
            if child.is_dir() or child.suffix.lower() in SUFFIXES:
                (links if child.is_symlink() else waiting).append(child)


def name_of(path: Path, folder: Path) -> str:
    """A path as it stands in ids: relative, with slashes, accents composed, valid as UTF-8."""
    text = path.relative_to(folder).as_posix()
    text = os.fsencode(text).decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", text)


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
    return File(path, name, digest_of(path), info)


def digest_of(path: Path) -> str:
    """Hash of the size and of the first and last 64 kB: tells files apart without reading all."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest.update(f"{size}|".encode())
            digest.update(file.read(EDGE))
            if size > EDGE:
                file.seek(max(EDGE, size - EDGE))
                digest.update(file.read(EDGE))
    except OSError:
        return "unreadable"
    return digest.hexdigest()


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
