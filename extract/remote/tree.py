"""A folder of audio elsewhere, as `extract.datasets.folder.Folder` sees it.

Listing asks for the names; of each new file the first and last pieces and the pieces that its
header is in. A clip is heard from a copy of the whole file.
"""

from __future__ import annotations

import io
import posixpath
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from errno import EIO
from pathlib import Path
from threading import Lock

import torch

from extract import audio
from extract.datasets.files import FOREIGN, SUFFIXES, UNREADABLE, File, edges, spelled
from extract.errors import AudioError, DataError, RemoteError, printable
from extract.remote.copies import copies, key_of
from extract.remote.looks import Looks
from extract.remote.ranges import CHANGED, Changed, Ranges
from extract.remote.retrying import Denied, Gone
from extract.remote.root import Entry, Root

READERS = 16  # threads that look into files while listing
FETCHERS = 8  # threads that fetch files before they are heard
AT_ONCE = 1000  # files that are looked into before what was seen is kept


@dataclass(frozen=True)
class Place:
    """A file of a remote folder; reads as far as manifests need it like a `Path`."""

    root: Root
    entry: Entry

    def __str__(self) -> str:
        return self.root.shown(self.entry.name)

    @property
    def name(self) -> str:
        return posixpath.basename(self.entry.name)

    @property
    def suffix(self) -> str:
        return posixpath.splitext(self.name)[1]

    def read_text(self, encoding: str) -> str:
        data = self.root.read(self.entry.name)
        return io.TextIOWrapper(io.BytesIO(data), encoding).read()


class Tree:
    """The files below a folder elsewhere, as they were listed.

    Parameters
    ----------
    root : from `connect`.

    Attributes
    ----------
    called : the folder's own name.

    Raises
    ------
    DataError : there is nothing.
    RemoteError : it cannot be listed.
    """

    def __init__(self, root: Root):
        self.root, self.called = root, root.name
        self._fetchers: ThreadPoolExecutor | None = None
        self._expected: dict[str, int] = {}  # copies that are fetched ahead -> bytes
        self._lock = Lock()
        self._entries = root.list()
        if not self._entries:
            raise DataError(f"{root.url}: no such folder, or nothing in it; check the URL")

    def __str__(self) -> str:
        return self.root.url

    def audio(self) -> Iterator[tuple[str, Place]]:
        """(name in ids, place) of each audio file below it; names that begin with a dot are not."""
        for name, entry in self._entries.items():
            if any(part.startswith(".") for part in name.split("/")):
                continue
            if posixpath.splitext(name)[1].lower() in SUFFIXES:
                yield spelled(name), Place(self.root, entry)

    def look(self, places: Sequence[tuple[str, Place]]) -> list[File]:
        """Looks into files, several at a time, in order of name; what is known is not asked for."""
        looks = Looks("looks", self.root.url)
        known = {name: looks.get(place.entry) for name, place in places}
        new = [place for name, place in places if known[name] is None]
        try:
            with ThreadPoolExecutor(READERS) as pool:
                for first in range(0, len(new), AT_ONCE):
                    some = new[first : first + AT_ONCE]
                    for place, seen in zip(some, pool.map(_look_into, some), strict=True):
                        if seen is not None:
                            looks.put(place.entry, seen)
                            known[spelled(place.entry.name)] = seen
                    looks.save(few=False)
        finally:
            looks.save()
        return [_file(name, place, known[name]) for name, place in places]

    def hear(self, file: File, sample_rate: int, start: float, duration: float) -> torch.Tensor:
        """A stretch of a listed file, from a copy on this disk; see `audio.read`.

        Raises
        ------
        AudioError : also for a file that is gone, or another one, since it was listed.
        RemoteError : the storage gives no answer, or no longer gives what it has given: no fault
            of the file.
        """
        place = file.path
        entry = place.entry
        if entry.size < 0:
            raise AudioError(f"{place}: its storage does not say how large it is; copy it here")
        name = self._copy(file)
        with self._lock:
            self._expected.pop(name, None)

        def read(path: Path) -> torch.Tensor:
            try:
                return audio.read(path, sample_rate, start, duration)
            except AudioError as error:
                raise AudioError(str(error).replace(printable(str(path)), str(place))) from None

        try:
            return copies().use(name, entry.size, lambda path: _bring(file, path), read)
        except Gone:
            raise AudioError(f"{place}: gone since it was listed; run again") from None
        except Changed as error:
            raise AudioError(str(error)) from None
        except Denied as error:
            if file.digest == UNREADABLE:  # from the beginning: this file, not the credentials
                raise AudioError(str(error)) from None
            raise

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Inside, files that are expected are fetched ahead."""
        with ThreadPoolExecutor(FETCHERS) as self._fetchers:
            try:
                yield
            finally:
                self._fetchers.shutdown(wait=True, cancel_futures=True)
                self._fetchers, self._expected = None, {}

    def expect(self, file: File) -> None:
        """Begins to fetch a file that will be heard; not more than half of what is kept at all."""
        size, name, here = file.path.entry.size, self._copy(file), copies()
        with self._lock:
            ahead = sum(self._expected.values())
            if not self._fetchers or size < 0 or name in self._expected or here.has(name, size):
                return
            if ahead + size > here.limit / 2:
                return
            self._expected[name] = size
            self._fetchers.submit(self._fetch, file, name)

    def _fetch(self, file: File, name: str) -> None:
        with suppress(RemoteError, OSError):  # `hear` will meet with it, and say so
            size = file.path.entry.size
            copies().use(name, size, lambda path: _bring(file, path), lambda path: None)

    def _copy(self, file: File) -> str:
        """The name of the copy of a file."""
        entry, ending = file.path.entry, file.path.suffix.lower()
        name = key_of(self.root.url, entry.name, entry.size, entry.version, file.digest)
        return name + (ending if ending in SUFFIXES else "")

    def find(self, name: str) -> Place | None:
        """A file that lies directly in the folder."""
        return Place(self.root, self._entries[name]) if name in self._entries else None

    def locate(self, text: str) -> tuple[str, Place] | None:
        """(name in ids, place) of the file that a manifest calls so; None where there is none.

        Raises
        ------
        ValueError : it lies outside.
        """
        for written in (text, text.replace("\\", "/")):
            name = self._relative(written)
            for candidate in (name, unicodedata.normalize("NFC", name)):
                if candidate in self._entries:
                    return spelled(name), Place(self.root, self._entries[candidate])
        return None

    def _relative(self, text: str) -> str:
        for start in (self.root.url, self.root.path):
            if text.startswith(f"{start}/"):
                text = text[len(start) + 1 :]
                break
        name = posixpath.normpath(text)
        if name.startswith("/") or name.split("/")[0] == "..":
            raise ValueError(text)
        return text if text in self._entries else name  # keys may hold two slashes in a row

    def foreign(self) -> Counter[str]:
        """Endings of audio files that cannot be read -> how many there are."""
        endings = (posixpath.splitext(name)[1].lower() for name in self._entries)
        return Counter(ending for ending in endings if ending in FOREIGN)


def _look_into(place: Place) -> dict | None:
    """Digest and head of a file, as plain data; None where it cannot be had."""
    entry = place.entry
    if entry.size < 0:
        return None
    stream = Ranges(place.root, entry)
    try:
        digest = edges(stream, entry.size)
        if stream.error:
            raise stream.error
        stream.seek(0)
        try:
            info = asdict(audio.probe_stream(stream, entry.size, str(place)))
        except AudioError:
            info = None  # `hear` will say why
        if stream.error:
            raise stream.error
    except (Gone, Denied, Changed):
        return None
    return {"digest": digest, "info": info}


def _file(name: str, place: Place, seen: dict | None) -> File:
    try:
        info = audio.AudioInfo(**seen["info"]) if seen["info"] else None
        return File(place, name, str(seen["digest"]), info, place.entry.size)
    except (TypeError, KeyError):
        return File(place, name, UNREADABLE, None)


def _bring(file: File, path: Path) -> None:
    """Writes a copy of a file that is what was listed."""
    place = file.path
    root, entry = place.root, place.entry

    def get() -> None:
        root.fs.get_file(entry.path, str(path))
        if path.stat().st_size != entry.size:
            _check_same(root, entry)
            raise OSError(EIO, f"{path.stat().st_size} of {entry.size} bytes arrived")

    root.retry(str(place), get)
    _check_same(root, entry)
    with open(path, "rb") as copy:
        if file.digest not in (UNREADABLE, edges(copy, entry.size)):
            raise Changed(f"{place}: {CHANGED}")


def _check_same(root: Root, entry: Entry) -> None:
    now = root.entry(entry.name)
    if (now.size, now.version) != (entry.size, entry.version):
        raise Changed(f"{root.shown(entry.name)}: {CHANGED}")
