"""Results in the cache that no command will read again: their code is no more."""

from __future__ import annotations

from pathlib import Path


def stale(cache: Path) -> list[Path]:
    """Files of finished results that other code found, or that say of none.

    The code of a result is in its first line (see `cli.kept`); a result is read only under the
    code as it is now. Files beside a result go with it.
    """
    from cli import kept
    from cli.known import ROOMS, code_behind

    found: list[Path] = []
    for room in ROOMS:
        folder = cache / room
        if not folder.is_dir() or folder.is_symlink():
            continue
        files = [path for path in sorted(folder.iterdir()) if _is_ours(path)]
        now = code_behind(room)
        live = {p.stem for p in files if p.suffix == ".json" and kept.code(p) == now}
        found += [path for path in files if path.stem not in live]
    return found


def leftovers(cache: Path) -> list[Path]:
    """Temporary folders of killed processes among the results."""
    from cli.known import ROOMS
    from extract.writing import abandoned

    return [path for room in ROOMS for path in abandoned(cache / room)]


def _is_ours(path: Path) -> bool:
    """Whether a name is one that results get: a hash, and what kind of file it is."""
    named = len(path.stem) == 64 and not set(path.stem) - set("0123456789abcdef")
    plain = path.is_file() and not path.is_symlink()
    return named and plain and path.suffix in (".json", ".npz")
