"""Files that are there whole or not at all, and what is left of a writer that was killed.

A file is written in a folder of its own beside its place, `.NAME.HOST-PID-RANDOM.part`, and renamed
when it is on the disk. Libraries may make files of their own in there.
"""

from __future__ import annotations

import errno
import os
import platform
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

_HOST = re.sub(r"\W", "", platform.node()) or "host"
_TEMPORARY = re.compile(r"\..+\.(\w+)-(\d+)-[0-9a-f]{8}\.part")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Lets `write` make a file, syncs and renames it.

    Parameters
    ----------
    write : is given a path in another folder, with the same ending.

    Raises
    ------
    OSError : with the name of `path`.
    """
    path = Path(path)
    room = path.with_name(f".{path.name}.{_HOST}-{os.getpid()}-{secrets.token_hex(4)}.part")
    new = room / f"new{path.suffix}"
    try:
        sweep_once(path.parent)
        room.mkdir()
        write(new)
        with open(new, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(new, path)
    except OSError as error:
        raise named(error, path) from error
    finally:
        shutil.rmtree(room, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text, whole or not at all; makes the folder where it is not there.

    Half a surrogate pair, of a name that is no UTF-8, is written as JSON would.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise named(error, path) from error
    write_whole(path, lambda place: place.write_text(text, "utf-8", "backslashreplace"))


def named(error: OSError, path: Path) -> OSError:
    """The same error with the name of the file that was to be written."""
    return OSError(error.errno, error.strerror or str(error), str(path))


def cure(code: int | None) -> str:
    """What to do about an error of the operating system in writing."""
    if code in _FULL:
        return "make room on the disk and run the same command again; finished work is kept"
    if code in _CLOSED:
        return "name a folder that can be written: --out for studies, RSA_CACHE for the cache"
    if code == errno.EIO:
        return "the disk fails: copy what is on it and run the command with another one"
    return "see that the disk is there, and run the same command again; finished work is kept"


def abandoned(folder: Path) -> Iterator[Path]:
    """Temporary folders of processes of this machine that are no more.

    Those of other machines are not told apart from work in progress; see `temporaries`.
    """
    for path in temporaries(folder):
        host, pid = _TEMPORARY.fullmatch(path.name).groups()
        if host == _HOST and not _runs(int(pid)):
            yield path


def temporaries(folder: Path) -> list[Path]:
    """Temporary folders of all machines, those of work in progress among them."""
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if e.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return [Path(folder) / name for name in sorted(names) if _TEMPORARY.fullmatch(name)]


def sweep(folder: Path) -> None:
    """Removes what killed processes of this machine left in a folder."""
    for path in abandoned(folder):
        shutil.rmtree(path, ignore_errors=True)


@cache
def sweep_once(folder: Path) -> None:
    """`sweep`, the first time that this process asks for it."""
    sweep(folder)


def _runs(pid: int) -> bool:
    if os.name != "posix":  # there is no harmless signal elsewhere
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
