"""Stores elsewhere: shards are written on this disk, sent whole, and read through copies.

The layout is that of a store on a disk. A shard counts as being there when its size is the one that
its own header promises, so half of one is never read; the hashes in it are checked on reading, as
on a disk. There are no locks over a network: see `Shards.there`.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from errno import EIO
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError, safe_open

from extract.errors import StoreError
from extract.plan import MANIFEST, Plan, plan_in
from extract.remote.copies import copies, key_of
from extract.remote.looks import Looks
from extract.remote.retrying import Gone
from extract.remote.root import Entry, Root, Say, connect
from extract.store import Head, hash_of, shard_name
from extract.urls import protocol

Value = TypeVar("Value")

READERS = 16  # threads that look into shards
HEAD = 64 * 1024  # bytes in which most headers end
LONGEST = 100_000_000  # bytes of a header, the limit of the format
# here a file can be given another name at no cost; object storage shows a file when it is whole
RENAMING = ("file", "local", "memory", "sftp", "ssh", "smb", "hdfs", "webhdfs", "dbfs")
ALONE = (
    "stores elsewhere have no locks: processes of several machines do the same work where torchrun "
    "does not share it out; each looks for a shard before it makes it"
)
_warned: set[str] = set()  # places of which this process has said so
SHARD = re.compile(r"shard-(\d{5,})\.safetensors")


class Stores:
    """A place that stores are kept in.

    Parameters
    ----------
    root : from `connect`.
    say : told what a user should know.
    """

    def __init__(self, root: Root, say: Say | None = None):
        self.root, self.say = root, say

    @classmethod
    def at(cls, url: str, *, offline: bool = False, say: Say | None = None) -> Stores:
        """Those at a URL, or in a folder; raises as `connect`."""
        return cls(connect(url, offline=offline, say=say), say)

    def of(self, plan: Plan, name: str) -> Shards:
        """The store of a plan; nothing is written yet."""
        return Shards(self.root.below(name), plan, self.say)

    def warn(self) -> None:
        """Says, once for a process, that there are no locks."""
        if self.say and self.root.url not in _warned:
            _warned.add(self.root.url)
            self.say(ALONE)


class Shards:
    """The shards of one store elsewhere; what `extract.store.Store` needs of them.

    Attributes
    ----------
    url : of the store.
    """

    def __init__(self, root: Root, plan: Plan, say: Say | None = None):
        self.root, self.plan, self.url = root, plan, root.url
        self._say = say
        self._entries: dict[int, Entry] = {}
        self._heads: dict[int, Head] = {}
        self._looks = Looks("heads", root.url)

    # what there is

    def begin(self, manifest: str) -> None:
        """Looks at what is there; where that is nothing, the manifest goes first.

        Raises
        ------
        StoreError : another plan is there.
        """
        found = self.list()
        if MANIFEST in found:
            place = self.root.shown(MANIFEST)
            if plan_in(self.root.read(MANIFEST).decode("utf-8", "replace"), place) != self.plan:
                raise StoreError(f"{place}: belongs to another extraction; remove {self.url}")
        else:
            self._put_bytes(manifest.encode("utf-8", "backslashreplace"), MANIFEST)
        entries = self.planned(found)
        with ThreadPoolExecutor(READERS) as pool:
            heads = list(pool.map(self._head_of, entries.values()))
        for (shard, entry), head in zip(entries.items(), heads, strict=True):
            if head is not None:
                self._entries[shard], self._heads[shard] = entry, head
            elif self._say:
                self._say(f"{self.root.shown(entry.name)}: only part of it is there; made again")
        self._looks.save()

    def list(self) -> dict[str, Entry]:
        """All files of the store, by name."""
        try:
            return self.root.list()
        except Gone:
            return {}

    def planned(self, found: dict[str, Entry]) -> dict[int, Entry]:
        """The shards among some files."""
        named = ((shard, found.get(shard_name(shard))) for shard in range(self.plan.shards))
        return {shard: entry for shard, entry in named if entry}

    def there(self, shard: int, look: bool = False) -> bool:
        """Whether a shard is there, whole.

        Parameters
        ----------
        look : ask again for one that was not; another machine may have finished it.
        """
        if shard in self._entries or not look:
            return shard in self._entries
        try:
            entry = self.root.entry(shard_name(shard))
        except Gone:
            return False
        head = self._head_of(entry)
        if head is not None:
            self._entries[shard], self._heads[shard] = entry, head
        return head is not None

    # reading

    def head(self, shard: int) -> Head:
        """The header of a shard.

        Raises
        ------
        StoreError : it is not there.
        """
        if not self.there(shard, look=True):
            raise StoreError(
                f"{self.root.shown(shard_name(shard))}: gone, or not whole; give the command again"
            )
        return self._heads[shard]

    def use(self, shard: int, read: Callable[[Path], Value]) -> Value:
        """What `read` makes of a copy; of a fresh one where it fails on one that was here.

        Raises
        ------
        StoreError : it is not there, or damaged there.
        """
        self.head(shard)
        entry = self._entries[shard]
        name, here = self._copy(entry), copies()
        old = here.has(name, entry.size)
        for fresh in (not old, True):
            try:
                return here.use(name, entry.size, lambda path: self._bring(shard, path), read)
            except Exception:
                if fresh:
                    raise
                here.drop(name)  # the copy may be the one that is damaged
        raise AssertionError

    def text(self, name: str) -> str | None:
        """A small file beside the shards; None where there is none."""
        try:
            return self.root.read(name).decode("utf-8", "replace")
        except Gone:
            return None

    # writing

    def keep(self, shard: int, path: Path) -> None:
        """Sends a finished shard, which then becomes one of the copies.

        Raises
        ------
        RemoteError : it could not be sent; it stays where it is.
        """
        try:
            self._keep(shard, path)
        except (Gone, FileNotFoundError):
            # another process of this machine may have sent it meanwhile
            if path.exists() or not self.there(shard, look=True):
                raise

    def _keep(self, shard: int, path: Path) -> None:
        name, size = shard_name(shard), path.stat().st_size
        known = self._entries.get(shard)
        if known is None or known.size != size:
            entry = self._put(path, name)
            head = self._head_of(entry)
            if head is None:
                raise StoreError(f"{self.root.shown(name)}: did not arrive as it was sent; run the "
                                 "same command again, it is sent again")  # fmt: skip
            self._entries[shard], self._heads[shard] = entry, head
            self._looks.save(few=False)
        copies().adopt(self._copy(self._entries[shard]), path)

    def keep_text(self, name: str, text: str) -> None:
        """Writes a small file beside the shards."""
        self._put_bytes(text.encode("utf-8", "backslashreplace"), name)

    def _put_bytes(self, data: bytes, name: str) -> None:
        from tempfile import TemporaryDirectory

        with TemporaryDirectory() as folder:
            path = Path(folder) / "new"
            path.write_bytes(data)
            self._put(path, name)

    def _put(self, path: Path, name: str) -> Entry:
        """Sends a file so that its name stands for all of it or for nothing."""
        fs, place, size = self.root.fs, f"{self.root.path}/{name}", path.stat().st_size
        renames = protocol(self.url) in RENAMING

        def send() -> Entry:
            if not renames:
                fs.put_file(str(path), place)
                return self._arrived(name, size)
            fs.makedirs(self.root.path, exist_ok=True)
            part = f".{name}.{secrets.token_hex(4)}.part"
            try:
                fs.put_file(str(path), f"{self.root.path}/{part}")
                self._arrived(part, size)
                fs.mv(f"{self.root.path}/{part}", place)
            except Exception:
                if fs.exists(f"{self.root.path}/{part}"):
                    fs.rm_file(f"{self.root.path}/{part}")
                raise
            return self._arrived(name, size)

        return self.root.retry(self.root.shown(name), send)

    def _arrived(self, name: str, size: int) -> Entry:
        entry = self.root.entry(name)
        if entry.size != size:
            raise OSError(EIO, f"{entry.size} of {size} bytes arrived")
        return entry

    def _bring(self, shard: int, path: Path) -> None:
        """Writes a copy, of which every hash is right."""
        entry = self._entries[shard]

        def get() -> None:
            self.root.fs.get_file(entry.path, str(path))
            if path.stat().st_size != entry.size:
                raise OSError(EIO, f"{path.stat().st_size} of {entry.size} bytes arrived")

        for _ in range(2):  # once more, for it may have been damaged on the way
            self.root.retry(self.root.shown(entry.name), get)
            if not (reason := self._fault(path)):
                return
        raise StoreError(
            f"{self.root.shown(entry.name)}: damaged shard ({reason}); delete it there, and give "
            "the command again; the rest is kept"
        )

    def _fault(self, path: Path) -> str:
        """What is wrong in a shard's file; "" for nothing."""
        try:
            with safe_open(path, "pt") as file:
                hashes = json.loads(file.metadata()["rsa"])["sha256"]
                for name in file.keys():
                    if hash_of(file.get_tensor(name)) != hashes[name]:
                        return f"layer {name} does not match its hash"
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            return str(error)
        return ""

    def _copy(self, entry: Entry) -> str:
        return key_of(self.url, entry.name, entry.size, entry.version) + ".safetensors"

    def _head_of(self, entry: Entry) -> Head | None:
        """The header of a file that is whole; None of any other."""
        seen = self._looks.get(entry)
        if seen is None:
            seen = self._ask_head(entry)
            if seen is None:
                return None
            self._looks.put(entry, seen)
        try:
            return Head(seen[0], {name: tuple(shape) for name, shape in seen[1].items()})
        except (TypeError, ValueError, IndexError, AttributeError):
            return None

    def _ask_head(self, entry: Entry) -> list | None:
        """Layout: 8 bytes with the length of the header, the header in JSON, the tensors."""
        try:
            data = self.root.read(entry.name, 0, min(HEAD, entry.size))
            end = 8 + int.from_bytes(data[:8], "little")
            if not 8 < end <= min(entry.size, LONGEST):
                return None
            if end > len(data):
                data += self.root.read(entry.name, len(data), end)
            header = json.loads(data[8:end])
            about = header.pop("__metadata__")["rsa"]
            last = max((int(one["data_offsets"][1]) for one in header.values()), default=0)
            if end + last != entry.size:
                return None
            return [about, {name: [int(n) for n in one["shape"]] for name, one in header.items()}]
        except Gone:
            return None
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
            return None
