"""Copies of remote files on this machine's disk: a bounded number of bytes, last used last to go.

Whatever lies in this folder of the cache is a copy of something elsewhere and may be removed at
any time, by any process. Names are hashes: nothing that a storage says names a file here.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Lock, RLock
from typing import TypeVar

from extract.errors import OptionUnsuitable
from extract.weights import cache_dir
from extract.writing import write_whole

Value = TypeVar("Value")

LIMIT = "RSA_REMOTE_GB"  # the variable that sets it, in GB of 10^9 bytes
USUAL = 20.0
AGAIN = 5  # times that a copy is fetched which another process removes meanwhile


def copies() -> Copies:
    """Those of this user's cache."""
    text = os.environ.get(LIMIT) or str(USUAL)
    try:
        limit = float(text) * 1e9
        if not 0 <= limit < 1e21:
            raise ValueError
    except ValueError:
        raise OptionUnsuitable(
            f"{LIMIT}={text}: not a number of gigabytes; give one, or unset it for {USUAL:g}"
        ) from None
    return _copies(cache_dir("remote", "copies"), int(limit))


def key_of(*parts: object) -> str:
    """The name of a copy, by everything that decides its content."""
    text = "\0".join(map(str, parts))
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


class Copies:
    """Copies in a folder. Safe to use from several threads and processes.

    Parameters
    ----------
    limit : bytes. A file in use stays, so that one alone may be larger.
    """

    def __init__(self, folder: Path, limit: int):
        self.folder, self.limit = folder, limit
        self._lock = RLock()
        self._used: Counter[str] = Counter()  # by threads of this process, now
        self._fetched: dict[str, Lock] = {}
        self._total: int | None = None  # bytes when last counted, and what was added since
        self._added = 0

    def has(self, name: str, size: int) -> bool:
        try:
            return (self.folder / name).stat().st_size == size
        except OSError:
            return False

    def use(
        self, name: str, size: int, bring: Callable[[Path], object], read: Callable[[Path], Value]
    ) -> Value:
        """What `read` makes of a file, which `bring` writes first if it is not here.

        Parameters
        ----------
        name : from `key_of`, with an ending.
        size : in bytes, that it has when it is whole.
        """
        path = self.folder / name
        with self._held(name) as fetching:
            for count in range(AGAIN):
                with fetching:
                    if self.has(name, size):
                        with suppress(OSError):  # it may go before it is read, see below
                            os.utime(path)
                    else:
                        self._make_room(size)
                        write_whole(path, bring)
                        self._grown(size)
                try:
                    return read(path)
                except Exception:
                    if path.exists() or count == AGAIN - 1:
                        raise
                    # another process needed the room
        raise AssertionError

    def adopt(self, name: str, path: Path) -> None:
        """Takes over a file that was made here and is elsewhere by now."""
        size = path.stat().st_size
        with self._held(name):
            self._make_room(size)
            try:
                os.replace(path, self.folder / name)
            except OSError as error:
                if error.errno != errno.EXDEV:  # the cache reaches over two disks
                    raise
                write_whole(self.folder / name, lambda place: shutil.copyfile(path, place))
                path.unlink()
            self._grown(size)

    def drop(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    @contextmanager
    def _held(self, name: str):
        with self._lock:
            self._used[name] += 1
            fetching = self._fetched.setdefault(name, Lock())
        try:
            yield fetching
        finally:
            with self._lock:
                self._used[name] -= 1
                if not self._used[name]:
                    del self._used[name], self._fetched[name]
            self._make_room(0)

    def _grown(self, size: int) -> None:
        with self._lock:
            self._added += size
            self._total = (self._total or 0) + size

    def _make_room(self, size: int) -> None:
        """Removes what was not used for longest, until so many more bytes fit."""
        with self._lock:
            # others write here too: counted again now and then
            stale = self._total is None or self._added > self.limit / 20
            if not stale and self._total + size <= self.limit:
                return
            found = sorted(self._files())
            self._total, self._added = sum(bytes for _, _, bytes in found), 0
            for _, name, bytes in found:
                if self._total + size <= self.limit:
                    break
                if not self._used[name]:
                    with suppress(OSError):
                        os.unlink(self.folder / name)
                        self._total -= bytes

    def _files(self) -> list[tuple[float, str, int]]:
        """(time of last use, name, bytes)."""
        found = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_file(follow_symlinks=False):
                        about = entry.stat()
                        found.append((about.st_mtime, entry.name, about.st_size))
        return found


@cache
def _copies(folder: Path, limit: int) -> Copies:
    return Copies(folder, limit)
