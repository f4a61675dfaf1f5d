"""Folders: room on the disk, locks, what the cache holds."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cli.doctor.check import Asked, Check

GIB = 1 << 30


def disk(asked: Asked) -> Iterator[Check]:
    """Whether the cache, the temporary folder and the place of studies can be written to."""
    places = (
        ("cache", _cache, 5 * GIB, "set RSA_CACHE to a folder with room for weights and "
         "activations (about 5 GiB)"),
        ("temporary folder", lambda: Path(tempfile.gettempdir()), GIB // 2, "set TMPDIR elsewhere"),
        ("studies", lambda: asked.out, GIB // 2, "give --out in a folder that has room"),
    )  # fmt: skip
    for name, place, wanted, cure in places:
        folder = Path("?")
        try:
            folder = place().resolve()
            near = next(one for one in (folder, *folder.parents) if one.exists())
            if not near.is_dir():
                raise NotADirectoryError(f"{near} is a file")
            free = shutil.disk_usage(near).free
            file, written = tempfile.mkstemp(prefix=".rsa-lä-", dir=near)
            try:
                os.write(file, b"\0" * 4096)
                os.fsync(file)
            finally:
                os.close(file)
                os.unlink(written)
        except (OSError, UnicodeError) as error:
            cured = cure.replace("elsewhere", "to a folder you may write to")
            yield Check(name, "problem", f"{folder}: {error}", cured)
            continue
        state = "ok" if free >= wanted else "warn" if free >= wanted // 20 else "problem"
        found = f"{folder} ({free / GIB:.1f} GiB free)"
        yield Check(name, state, found, "" if state == "ok" else cure)


def locks(asked: Asked) -> Check:
    """Whether a file that one process locks is locked for another."""
    name = "file locks"
    try:
        import fcntl
    except ImportError:
        return Check(name, "ok", "not asked on this system")
    cure = "set RSA_CACHE to a local disk, or run one command at a time on this cache"
    file, path = tempfile.mkstemp(prefix=".rsa-lock-", dir=_cache())
    try:
        with open(path) as other:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return Check(name, "ok", "kept on the file system of the cache")
            return Check(name, "warn", "given twice on the file system of the cache", cure)
    except OSError as error:
        return Check(name, "warn", f"none on the file system of the cache: {error}", cure)
    finally:
        os.close(file)
        os.unlink(path)


def stores(asked: Asked) -> Iterator[Check]:
    """Sizes of what the cache holds, and activations that cannot be used; heads are read alone."""
    cache = _cache()
    sizes = {path.name: _size(path) for path in sorted(cache.iterdir()) if path.is_dir()}
    found = ", ".join(f"{name} {size / GIB:.2f} GiB" for name, size in sizes.items() if size)
    yield Check("cache holds", "ok", found or "nothing")
    count, old, damaged = 0, 0, 0
    for manifest in (cache / "activations").glob("*/*/manifest.json"):
        count += 1
        state = _state(manifest)
        old += state == "old"
        damaged += state == "damaged"
    if not old and not damaged:
        yield Check("activations", "ok", f"{count} stores")
        return
    yield Check("activations", "warn", f"{count} stores: {damaged} damaged, {old} of another "
                "version", "rsa store verify names them; rsa store repair, or delete the folders "
                "to extract again")  # fmt: skip


def _state(manifest: Path) -> str:
    from safetensors import SafetensorError, safe_open

    from extract.plan import FORMAT

    try:
        if json.loads(manifest.read_text("utf-8"))["format"] != FORMAT:
            return "old"
    except (OSError, ValueError, KeyError, TypeError):
        return "damaged"
    for shard in manifest.parent.glob("shard-*.safetensors"):
        try:
            with safe_open(shard, "np") as file:
                file.metadata()["rsa"]
        except (OSError, SafetensorError, KeyError, TypeError):
            return "damaged"
    return "good"


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size
        except OSError:
            continue  # gone meanwhile
    return total


def _cache() -> Path:
    from extract.weights import cache_dir

    return cache_dir()
