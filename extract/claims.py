"""Which process computes which shard: locks that end with their process.

A claim is a locked file `claims/NUMBER` in a store. It is removed with the claim; what a killed
process leaves there holds no lock and means nothing.
"""

from __future__ import annotations

import errno
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from extract.errors import StoreError
from extract.store import Store
from extract.writing import cure, sweep

FOLDER = "claims"
WAIT = 0.5  # seconds between two looks at what other processes compute
# what file systems without locks answer
_NONE = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)


@dataclass(frozen=True)
class Claim:
    """A shard that this process computes, for the kinds of rows that lack it."""

    shard: int
    kinds: tuple[str, ...]


class Claims:
    """The shards that several stores of the same clips lack, shared out among processes.

    A context: what is still claimed at its end is given back.

    Parameters
    ----------
    stores : kind of rows -> store.
    say : told once where the file system has no locks; every process that wants a shard then
        computes it, to the same bytes.

    begin : of the missing shards those to begin with: processes then begin at different places.

    Attributes
    ----------
    left : clips of the shards that were not there when last looked at.
    """

    def __init__(
        self,
        stores: Mapping[str, Store],
        say: Callable[[str], object],
        begin: Callable[[Sequence[int]], Sequence[int]] | None = None,
    ):
        self._stores, self._say, self._locking = stores, say, True
        self._missing: dict[int, list[str]] = {}
        for kind, store in stores.items():
            for shard in store.missing():
                self._missing.setdefault(shard, []).append(kind)
        own = list(begin(sorted(self._missing))) if begin else []
        self._queue = deque([*own, *sorted(self._missing.keys() - own)])
        self._elsewhere: list[int] = []
        self._held: dict[int, list[FileLock]] = {}
        self.left = sum(map(self._clips, self._missing))

    def __enter__(self) -> Claims:
        return self

    def __exit__(self, *_) -> None:
        for shard in list(self._held):
            self._give_back(shard)
        for store in self._stores.values():
            tidy(store.folder)
            sweep(store.folder)  # a process may have been killed after its last rename

    def take(self) -> Claim | None:
        """The next shard to compute; None when other processes hold all that is left.

        Raises
        ------
        StoreError : the folder cannot be written.
        """
        while self._queue:
            shard = self._queue.popleft()
            if kinds := [kind for kind in list(self._missing[shard]) if self._taken(kind, shard)]:
                return Claim(shard, tuple(kinds))
            if shard in self._missing:
                self._elsewhere.append(shard)
        return None

    def done(self, claim: Claim) -> None:
        """Notes that a shard is written."""
        for kind in claim.kinds:
            self._there(kind, claim.shard)
        self._give_back(claim.shard)
        if claim.shard in self._missing:
            self._elsewhere.append(claim.shard)

    def wait(self) -> None:
        """Lets other processes work for a moment; their shards may then be taken again."""
        time.sleep(WAIT)
        self._queue.extend(self._elsewhere)
        self._elsewhere = []

    def _taken(self, kind: str, shard: int) -> bool:
        store = self._stores[kind]
        lock = None
        if not store.there(shard):
            lock = self._lock(store.folder, shard)
            if lock is None and self._locking:
                return False
        # perhaps finished between the look and the lock, or on another machine
        if store.there(shard, look=True):
            _let_go(lock)
            self._there(kind, shard)
            return False
        self._held.setdefault(shard, []).extend([lock] if lock else [])
        return True

    def _there(self, kind: str, shard: int) -> None:
        self._missing[shard].remove(kind)
        if not self._missing[shard]:
            del self._missing[shard]
            self.left -= self._clips(shard)

    def _clips(self, shard: int) -> int:
        return len(next(iter(self._stores.values())).plan.shard(shard))

    def _give_back(self, shard: int) -> None:
        for lock in self._held.pop(shard, ()):
            _let_go(lock)

    def _lock(self, folder: Path, shard: int) -> FileLock | None:
        if not self._locking:
            return None
        path = folder / FOLDER / f"{shard:05d}"
        try:
            return locked(path)
        except OSError as error:
            if error.errno not in _NONE:
                reason = error.strerror or str(error)
                raise StoreError(f"{path}: cannot write: {reason}; {cure(error.errno)}") from None
        except NotImplementedError:
            pass
        self._locking = False
        self._say(
            f"{folder}: this file system has no locks: other processes that extract the same do "
            "the same work again"
        )
        return None


def locked(path: Path) -> FileLock | None:
    """A lock that this process now holds; None where another one holds it."""
    while True:
        path.parent.mkdir(exist_ok=True)
        lock = FileLock(path, thread_local=False, fallback_to_soft=False)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return None
        except FileNotFoundError:
            continue  # another process removed the folder, which was empty
        return lock


def held(folder: Path) -> bool:
    """Whether some process computes shards of a store at this moment."""
    for path in _files(folder):
        try:
            lock = locked(path)
        except (OSError, NotImplementedError):
            return True  # not known: as if
        if lock is None:
            return True
        _let_go(lock)
    return False


def tidy(folder: Path) -> None:
    """Removes claims that nobody holds, and their folder."""
    for path in _files(folder):
        with suppress(OSError, NotImplementedError):
            if lock := locked(path):
                _let_go(lock)
    with suppress(OSError):
        (folder / FOLDER).rmdir()


def _files(folder: Path) -> list[Path]:
    room = Path(folder) / FOLDER
    return sorted(room.iterdir()) if room.is_dir() and not room.is_symlink() else []


def _let_go(lock: FileLock | None) -> None:
    """Removes the file while it is locked: who opened it meanwhile sees that it is gone."""
    if lock is not None:
        with suppress(OSError):
            Path(lock.lock_file).unlink()
        lock.release()
