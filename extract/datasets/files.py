"""Audio files below a folder: finding them, looking into them, telling data sets apart by them."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import torch

from extract import audio
from extract.datasets.base import Clip
from extract.errors import AudioError, DataError, printable

if TYPE_CHECKING:
    from extract.remote.tree import Place

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff")
FOREIGN = (".m4a", ".aac", ".mp4", ".wma", ".ape", ".wv")  # audio that libsndfile does not read
UNREADABLE = "unreadable"  # in place of a digest
EDGE = 8 * 1024  # bytes hashed at both ends of a file: some sets have 300,000 of them
READERS = 8  # threads that look into files while listing


@dataclass(frozen=True)
class File:
    """What listing a file found: its place, a digest of its content, and its head if readable.

    `size` is in bytes, -1 where it is no regular file that can be read.
    """

    path: Path | Place
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
    return spelled(path.relative_to(folder).as_posix())


def spelled(name: str) -> str:
    """A relative path as `name_of` gives it."""
    try:
        name = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        pass  # half a pair that stands for no byte: `printable` writes it out
    return printable(unicodedata.normalize("NFC", name))


class Disk:
    """A folder of this machine, as `Folder` sees it; elsewhere is `extract.remote.tree.Tree`.

    Attributes
    ----------
    called : the folder's own name.
    """

    def __init__(self, path: Path):
        self.path = path
        if not path.is_dir():
            raise DataError(f"{path}: no such folder; give a folder of audio files")
        self.called = path.resolve().name

    def __str__(self) -> str:
        return str(self.path)

    def audio(self) -> Iterator[tuple[str, Path]]:
        """(name in ids, place) of each audio file below it."""
        return ((name_of(path, self.path), path) for path in search(self.path))

    def look(self, places: Sequence[tuple[str, Path]]) -> list[File]:
        """Looks into files, see `look`."""
        return look(places)

    def reading(self) -> AbstractContextManager:
        return nullcontext()

    def expect(self, file: File) -> None:
        """Nothing is fetched ahead of its time."""

    def hear(self, file: File, sample_rate: int, start: float, duration: float) -> torch.Tensor:
        """A stretch of a listed file; see `hear`."""
        return hear(file, sample_rate, start, duration)

    def find(self, name: str) -> Path | None:
        """A file that lies directly in the folder."""
        return self.path / name if (self.path / name).is_file() else None

    def locate(self, text: str) -> tuple[str, Path] | None:
        """(name in ids, place) of the file that a manifest calls so; None where there is none.

        Raises
        ------
        ValueError : it lies outside.
        """
        for written in (text, text.replace("\\", "/")):
            place = Path(os.path.normpath(self.path / written))
            name = name_of(place, Path(os.path.normpath(self.path)))
            composed = unicodedata.normalize("NFC", str(place))
            for candidate in (place, Path(composed)):  # as written, and with composed accents
                if candidate.is_file():
                    return name, candidate
        return None

    def foreign(self) -> Counter[str]:
        """Endings of audio files that cannot be read -> how many there are."""
        suffixes = (path.suffix.lower() for path in self.path.rglob("*"))
        return Counter(suffix for suffix in suffixes if suffix in FOREIGN)


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
    """See `edges`; and the size."""
    try:
        # a pipe that nobody writes to would be waited for
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(handle, "rb") as file:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                return "no file", -1
            return edges(file, found.st_size), found.st_size
    except (OSError, ValueError):
        return UNREADABLE, -1


def edges(file: BinaryIO, size: int) -> str:
    """Hash of the size and of the first and last 8 kB, which tells files apart."""
    digest = hashlib.sha256(f"{size}|".encode())
    digest.update(file.read(EDGE))
    if size > EDGE:
        file.seek(max(EDGE, size - EDGE))
        digest.update(file.read(EDGE))
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
