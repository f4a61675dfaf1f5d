"""A storage that fails as it is told to: in memory, under a protocol of its own."""

from __future__ import annotations

import posixpath
from collections import Counter, defaultdict
from pathlib import Path

import fsspec
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

PROTOCOL = "strange"


class Busy(Exception):
    """As client libraries of object storage have them: no `OSError`, a status."""

    status = 503


class Strange(MemoryFileSystem):
    """As object storage: files cannot be renamed cheaply, names may hold anything.

    Attributes
    ----------
    calls : how often each operation was asked for.
    sent : names of files in the order in which they were sent.
    faults : operation -> what its next calls come to: an exception, "half" (half of the bytes,
        then a broken connection), "short" (half of the bytes, and no word) or None (nothing).
    """

    protocol = PROTOCOL
    store: dict = {}
    pseudo_dirs = [""]
    cachable = False
    calls: Counter = Counter()
    sent: list[str] = []
    faults: dict[str, list] = defaultdict(list)

    @classmethod
    def _strip_protocol(cls, path):
        path = str(path).removeprefix(f"{PROTOCOL}://").rpartition("@")[2].partition("?")[0]
        return "/" + path.strip("/") if path.strip("/") else ""

    @classmethod
    def anew(cls) -> type[Strange]:
        """Empty, and without faults."""
        for kept in (cls.store, cls.calls, cls.sent, cls.faults):
            kept.clear()
        cls.pseudo_dirs[:] = [""]
        return cls

    @classmethod
    def put_in(cls, path: str, data: bytes) -> None:
        """A file under any name at all."""
        cls.store[path] = MemoryFile(cls(), path, data)

    @classmethod
    def copy_of(cls, folder: Path, to: str = "/music") -> None:
        """All files of a folder."""
        for path in folder.rglob("*"):
            if path.is_file():
                cls.put_in(f"{to}/{path.relative_to(folder).as_posix()}", path.read_bytes())

    @classmethod
    def fetched(cls) -> int:
        """Requests for contents so far."""
        return cls.calls["cat_file"] + cls.calls["get_file"]

    def _next(self, operation: str):
        self.calls[operation] += 1
        fault = self.faults[operation].pop(0) if self.faults[operation] else None
        if isinstance(fault, BaseException):
            raise fault
        if callable(fault):
            fault()
            return None
        return fault

    def find(self, path, **options):
        """As object storage does it: whatever name begins so."""
        self._next("find")
        start = f"{self._strip_protocol(path)}/"
        return {
            name: {"name": name, "size": file.size, "type": "file", "created": file.created}
            for name, file in sorted(self.store.items()) if name.startswith(start)
        }  # fmt: skip

    def info(self, path, **options):
        self._next("info")
        return super().info(path, **options)

    def cat_file(self, path, start=None, end=None, **options):
        fault = self._next("cat_file")
        data = super().cat_file(path, start=start, end=end)
        return data[: len(data) // 2] if fault == "short" else data

    def get_file(self, path, local, **options):
        fault = self._next("get_file")
        data = super().cat_file(path)
        part = fault in ("half", "short")
        Path(local).write_bytes(data[: len(data) // 2] if part else data)
        if fault == "half":
            raise ConnectionResetError(104, "Connection reset by peer")

    def put_file(self, local, path, **options):
        fault = self._next("put_file")
        data = Path(local).read_bytes()
        part = fault in ("half", "short")
        self.put_in(self._strip_protocol(path), data[: len(data) // 2] if part else data)
        self.sent.append(posixpath.basename(path))
        if fault == "half":
            raise ConnectionResetError(104, "Connection reset by peer")


fsspec.register_implementation(PROTOCOL, Strange, clobber=True)
