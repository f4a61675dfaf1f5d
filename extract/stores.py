"""The stores in a folder: found, looked at, checked, mended, removed.

Nothing is touched that extraction has not written: a store with other files in it is left alone,
symbolic links are neither followed nor removed, and so is a store that a process is writing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from extract import claims
from extract.errors import StoreError
from extract.plan import MANIFEST, Plan, read_plan
from extract.store import ELSEWHERE, PRECISION, Store
from extract.writing import abandoned, temporaries

DAY = 86400.0
_NAME = re.compile(r".+-[0-9a-f]{12}")  # kind of rows, beginning of the plan's digest
_SHARD = re.compile(r"shard-(\d{5,})\.safetensors")


@dataclass(frozen=True)
class StoreFolder:
    """A store as it lies on the disk.

    Attributes
    ----------
    plan : None where the manifest cannot be read, for the reason `problem`.
    present : numbers of the shards that are there.
    bytes : of all its files.
    written, used : when its newest shard was written and when activations were last read, in
        seconds since 1970; 0 where that is not known.
    strange : names of what extraction has not put there.
    claimed : whether a process is writing it.
    elsewhere : URL to which its finished shards go; "" where they stay.
    """

    folder: Path
    plan: Plan | None
    problem: str
    present: tuple[int, ...]
    bytes: int
    written: float
    used: float
    strange: tuple[str, ...]
    claimed: bool
    elsewhere: str = ""

    @property
    def model(self) -> str:
        return self.plan.model if self.plan else self.folder.parent.name

    @property
    def finished(self) -> bool:
        return self.plan is not None and not set(range(self.plan.shards)) - set(self.present)


@dataclass(frozen=True)
class Fault:
    """Something wrong in a store, and what `repair` does about it ("" for nothing)."""

    path: Path | str
    what: str
    cure: str
    mended: bool = True


def find(folder: Path) -> list[StoreFolder]:
    """The folder itself where it is a store, or else the stores two levels below it.

    Raises
    ------
    StoreError : there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise StoreError(f"{folder}: no such folder; give a store or a folder of stores")
    if _is_store(folder):
        return [look(folder)]
    return [look(one) for room in _folders(folder) for one in _folders(room) if _is_store(one)]


def look(folder: Path) -> StoreFolder:
    """What a store's folder holds, without reading activations."""
    plan, problem, strange, present, size = None, "", [], [], 0
    times: dict[str, float] = {}
    for entry in _entries(folder):
        shard = _SHARD.fullmatch(entry.name)
        if entry.is_symlink() or not (entry.is_file() or _is_ours(entry)):
            strange.append(entry.name)
            continue
        if entry.is_dir():
            continue
        about = entry.stat()
        size += about.st_size
        times[entry.name] = about.st_mtime
        if shard:
            present.append(int(shard[1]))
        elif entry.name not in (MANIFEST, PRECISION, ELSEWHERE):
            strange.append(entry.name)
    try:
        plan = read_plan(folder / MANIFEST)
    except StoreError as error:
        problem = str(error)
    used = times.pop(MANIFEST, 0.0)
    return StoreFolder(
        folder, plan, problem, tuple(sorted(present)), size, max(times.values(), default=used),
        used, tuple(sorted(strange)), claims.held(folder), _elsewhere(folder),
    )  # fmt: skip


def _elsewhere(folder: Path) -> str:
    try:
        return str(json.loads((folder / ELSEWHERE).read_text("utf-8"))["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def failures(store: StoreFolder) -> int | None:
    """Clips that could not be used; None where a shard that would say so cannot be read."""
    if store.plan is None:
        return None
    whole = Store(store.folder, store.plan)
    try:
        return sum(len(whole.contents(shard)[1]) for shard in _planned(store))
    except StoreError:
        return None


def verify(store: StoreFolder) -> Iterator[Fault]:
    """Everything wrong in a store; reads all of it and checks every hash."""
    folder = store.folder
    for name in store.strange:
        yield Fault(folder / name, "was not put there by rsa", "move it elsewhere", False)
    for path in abandoned(folder):
        yield Fault(path, "left by a killed process", "remove it")
    if store.plan is None:
        newer = "newer release" in store.problem
        cure = "update rsa" if newer else "remove it: the same extraction writes it again"
        yield Fault(folder / MANIFEST, store.problem.partition(": ")[2], cure, not newer)
        return
    if not folder.name.endswith(store.plan.digest[:12]):
        yield Fault(folder, "its name is not that of its manifest", "name it as it was", False)
    whole = Store(folder, store.plan)
    try:
        whole.deviations()
    except StoreError:
        yield Fault(folder / PRECISION, "damaged", "remove it: it is measured again")
    for shard in store.present:
        if shard >= store.plan.shards:
            yield Fault(whole.path(shard), "the manifest has no such shard", "remove it")
            continue
        try:
            whole.contents(shard)
            for layer, _ in store.plan.layers:
                whole.read_shard(shard, layer)
        except StoreError as error:
            what = re.search(r"damaged shard \((.*)\); delete it", str(error), re.S)
            reason = what[1] if what else str(error)
            yield Fault(whole.path(shard), f"damaged: {reason}", "remove it: it is extracted again")


def repair(store: StoreFolder, dry: bool = False) -> list[Fault]:
    """Removes what is damaged or left over, so that extraction computes just that again.

    Parameters
    ----------
    dry : nothing is removed.

    Returns
    -------
    What was (or would be) mended, and what cannot be.

    Raises
    ------
    StoreError : a process is writing the store.
    """
    if claims.held(store.folder):
        raise StoreError(f"{store.folder}: a process is writing it; wait, or end that process")
    found = list(verify(store))
    for fault in found if not dry else ():
        if not fault.mended:
            continue
        if fault.path.is_dir():
            shutil.rmtree(fault.path)
        else:
            fault.path.unlink()
    if not dry:
        claims.tidy(store.folder)
    return found


def protected(store: StoreFolder) -> str:
    """Why a store must not be removed; "" where it may be."""
    if store.claimed or claims.held(store.folder):
        return "a process is writing it"
    if store.strange:
        return f"it holds {store.strange[0]}, which rsa has not put there"
    if not _NAME.fullmatch(store.folder.name) or store.folder.is_symlink():
        return "its name is not that of a store"
    if store.plan is None and not store.present:
        return "nothing in it says that it is a store"
    foreign = set(temporaries(store.folder)) - set(abandoned(store.folder))
    if any(time.time() - path.stat().st_mtime < DAY for path in foreign):
        return "another machine may be writing it"
    return ""


def remove(store: StoreFolder) -> int:
    """Removes a store, file by file; returns the bytes that this frees.

    Raises
    ------
    StoreError : it must not be removed, see `protected`.
    """
    if reason := protected(store):
        raise StoreError(f"{store.folder}: left alone: {reason}")
    for path in temporaries(store.folder):
        shutil.rmtree(path)
    claims.tidy(store.folder)
    # the manifest last: what an interruption leaves is still known for a store
    names = [Path(f"shard-{shard:05d}.safetensors") for shard in store.present]
    for name in (*names, PRECISION, ELSEWHERE, MANIFEST):
        (store.folder / name).unlink(missing_ok=True)
    store.folder.rmdir()
    with suppress(OSError):  # stores of other clips are in it
        store.folder.parent.rmdir()
    return store.bytes


def _planned(store: StoreFolder) -> list[int]:
    return [shard for shard in store.present if shard < store.plan.shards]


def _is_store(folder: Path) -> bool:
    names = {entry.name for entry in _entries(folder) if entry.is_file(follow_symlinks=False)}
    return MANIFEST in names or any(_SHARD.fullmatch(name) for name in names)


def _is_ours(entry: os.DirEntry) -> bool:
    """Whether a folder in a store is one of those that extraction makes."""
    return entry.is_dir() and (
        entry.name == claims.FOLDER or Path(entry.path) in temporaries(Path(entry.path).parent)
    )


def _entries(folder: Path) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be read: {error.strerror}") from None


def _folders(folder: Path) -> list[Path]:
    return [Path(e.path) for e in _entries(folder) if e.is_dir(follow_symlinks=False)]
