"""The stores at a URL: what there is, and whether it is whole. Nothing is changed there."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from extract.errors import StoreError
from extract.plan import MANIFEST, Plan, plan_in
from extract.remote.root import Entry, Root
from extract.remote.shards import SHARD, Shards
from extract.store import PRECISION, Store
from extract.stores import Fault

CURE = "delete it there: it is extracted again"


@dataclass(frozen=True)
class RemoteStore:
    """A store as it lies on a storage; the fields of `extract.stores.StoreFolder` that it has.

    Attributes
    ----------
    plan : None where the manifest cannot be read, for the reason `problem`.
    present : numbers of the shards that are there.
    bytes : of all its files.
    """

    root: Root
    plan: Plan | None
    problem: str
    present: tuple[int, ...]
    bytes: int
    strange: tuple[str, ...]

    @property
    def model(self) -> str:
        return self.plan.model if self.plan else posixpath.basename(posixpath.dirname(self.url))

    @property
    def url(self) -> str:
        return self.root.url

    @property
    def finished(self) -> bool:
        return self.plan is not None and not set(range(self.plan.shards)) - set(self.present)


def find(root: Root) -> list[RemoteStore]:
    """The stores at and below a place.

    Raises
    ------
    StoreError : there is nothing.
    RemoteError : it cannot be listed.
    """
    found = root.list()
    if not found:
        raise StoreError(f"{root.url}: nothing there; give a store or a folder of stores")
    rooms: dict[str, dict[str, Entry]] = {}
    for name, entry in found.items():
        room, _, file = name.rpartition("/")
        rooms.setdefault(room, {})[file] = entry
    return [
        _look(root.below(room) if room else root, files)
        for room, files in sorted(rooms.items())
        if MANIFEST in files or any(SHARD.fullmatch(file) for file in files)
    ]


def _look(root: Root, files: dict[str, Entry]) -> RemoteStore:
    plan, problem = None, ""
    try:
        if MANIFEST not in files:
            raise StoreError(f"{root.shown(MANIFEST)}: not there")
        text = root.read(MANIFEST).decode("utf-8", "replace")
        plan = plan_in(text, root.shown(MANIFEST))
    except StoreError as error:
        problem = str(error)
    shards = sorted(int(found[1]) for file in files if (found := SHARD.fullmatch(file)))
    strange = [f for f in files if not SHARD.fullmatch(f) and f not in (MANIFEST, PRECISION)]
    size = sum(max(entry.size, 0) for entry in files.values())
    return RemoteStore(root, plan, problem, tuple(shards), size, tuple(sorted(strange)))


def failures(store: RemoteStore) -> int | None:
    """Clips that could not be used; None where a shard that would say so cannot be read."""
    if store.plan is None:
        return None
    try:
        with _opened(store) as whole:
            return sum(len(whole.contents(shard)[1]) for shard in _planned(store))
    except StoreError:
        return None


def verify(store: RemoteStore) -> Iterator[Fault]:
    """Everything wrong in a store; fetches all of it and checks every hash."""
    for name in store.strange:
        part = name.startswith(".") and name.endswith(".part")
        what = "left by a process that was killed" if part else "was not put there by rsa"
        yield _fault(store, name, what, "delete it there" if part else "move it elsewhere")
    if store.plan is None:
        yield _fault(store, MANIFEST, store.problem.partition(": ")[2], CURE)
        return
    if not store.url.endswith(store.plan.digest[:12]):
        yield _fault(store, "", "its name is not that of its manifest", "name it as it was")
    for shard in store.present:
        if shard >= store.plan.shards:
            name = f"shard-{shard:05d}.safetensors"
            yield _fault(store, name, "the manifest has no such shard", "delete it there")
    with _opened(store) as whole:
        for shard in _planned(store):
            try:
                whole.contents(shard)
                for layer, _ in store.plan.layers:
                    whole.read_shard(shard, layer)
            except StoreError as error:
                what = str(error).partition(": ")[2].partition("; ")[0]
                yield _fault(store, whole.path(shard).name, what, CURE)


class _opened:
    """A store that is only read: its folder on this machine is a passing one."""

    def __init__(self, store: RemoteStore):
        self._store, self._room = store, TemporaryDirectory()

    def __enter__(self) -> Store:
        shards = Shards(self._store.root, self._store.plan)
        return Store(Path(self._room.name), self._store.plan, shards)

    def __exit__(self, *_) -> None:
        self._room.cleanup()


def _planned(store: RemoteStore) -> list[int]:
    return [shard for shard in store.present if shard < store.plan.shards]


def _fault(store: RemoteStore, name: str, what: str, cure: str) -> Fault:
    return Fault(store.root.shown(name) if name else store.url, what, cure, False)
