"""A file elsewhere as a stream that asks for the pieces that are read, and for no more."""

from __future__ import annotations

import io
from collections import OrderedDict

from extract.errors import RemoteError
from extract.remote.root import Entry, Root

BLOCK = 64 * 1024  # bytes asked for at least
MOST = 64  # blocks asked for at once, and kept; what is read in order is asked for in larger pieces

CHANGED = "another file since it was listed; run again when nothing writes to it"


class Changed(RemoteError):
    """A file is not what it was when it was listed."""


class Ranges(io.RawIOBase):
    """A readable, seekable stream.

    Decoders call it from C, where an exception would be lost: after the first failed request it
    is at its end, and `error` says why.
    """

    def __init__(self, root: Root, entry: Entry):
        self._root, self._entry = root, entry
        self._at, self._next, self._ahead = 0, -1, 1
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self.error: Exception | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._entry.size}[whence]
        if base + offset < 0:
            raise ValueError("before the start of the file")
        self._at = base + offset
        return self._at

    def readinto(self, buffer) -> int:
        done, count = 0, min(len(buffer), self._entry.size - self._at)
        while done < count and not self.error:
            place, inside = divmod(self._at, BLOCK)
            try:
                piece = self._block(place)[inside : inside + count - done]
            except Exception as error:
                self.error = error
                break
            buffer[done : done + len(piece)] = piece
            done += len(piece)
            self._at += len(piece)
        return done

    def _block(self, place: int) -> bytes:
        if place not in self._blocks:
            self._ahead = min(2 * self._ahead, MOST) if place == self._next else 1
            self._fetch(place, self._ahead)
            self._next = place + self._ahead
        self._blocks.move_to_end(place)
        return self._blocks[place]

    def _fetch(self, place: int, count: int) -> None:
        start = place * BLOCK
        end = min(start + count * BLOCK, self._entry.size)
        data = self._root.read(self._entry.name, start, end)
        if len(data) != end - start:
            raise Changed(f"{self._root.shown(self._entry.name)}: {CHANGED}")
        for first in range(0, len(data), BLOCK):
            self._blocks[place + first // BLOCK] = data[first : first + BLOCK]
        while len(self._blocks) > 2 * MOST:
            self._blocks.popitem(last=False)
