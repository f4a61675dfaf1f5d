"""Recordings of the user's own, matched to labels that are published without audio.

The recordings lie below `audio`, in any folders. The file of a recording is, in this order:

1. the one that `audio.csv` names, where the user has written one: a table with the columns `id` and
   `path`, the path below the folder of the data set;
2. the one whose name without suffix is the last part of the id. Only letters and digits count, and
   case does not. Between several the folder above decides, where the id has one, then the suffix,
   in the order of `SUFFIXES`;
3. likewise for other names that a data set gives; the folder above must be theirs.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from extract.datasets.files import SUFFIXES, search
from extract.datasets.labelfiles import table
from extract.datasets.ondisk import Need
from extract.errors import DataError

FOLDER, TABLE = "audio", "audio.csv"
AUDIO = Need(
    "audio*", "your own recordings, named as the labels or in audio.csv", "your collection"
)
CAVEAT = (
    "the audio is the user's own: another mastering than the annotated one shifts labels in time"
)


def plain(text: str) -> str:
    """Letters and digits of a name, without accents and case."""
    text = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in text if c.isalnum())


def own_audio(root: Path, wanted: Mapping[str, Sequence[str]]) -> dict[str, Path]:
    """The file of each recording; a path where nothing is, for those that are not there.

    Parameters
    ----------
    wanted : id -> other names; both may hold a folder, as in `ALBUM/SONG`.

    Raises
    ------
    DataError : several files fit one recording, one fits several, or `audio.csv` is wrong (names
        the line).
    """
    listed = _listed(root, wanted)
    by_name: dict[str, list[Path]] = {}
    home = root / FOLDER
    named = set(listed.values())
    for path in search(home) if home.is_dir() else ():
        if path not in named:
            by_name.setdefault(plain(path.stem), []).append(path)
    found: dict[str, Path] = {}
    taken: dict[Path, str] = {}
    for id, others in wanted.items():
        path = listed.get(id) or _choose(id, others, by_name)
        if path in taken:
            raise DataError(f"{path} fits both {taken[path]!r} and {id!r}; say in {TABLE} which")
        if path:
            taken[path] = id
        found[id] = path or home / f"{id}.wav"
    return found


def _listed(root: Path, wanted: Mapping[str, Sequence[str]]) -> dict[str, Path]:
    place, found = root / TABLE, {}
    if not place.is_file():
        return {}
    for count, row in table(place, ("id", "path")):
        if row["id"] not in wanted:
            raise DataError(f"{place}, line {count}: no recording has the id {row['id']!r}")
        path = root / row["path"]
        if not path.is_file() or not path.is_relative_to(root):
            raise DataError(
                f"{place}, line {count}: there is no file {row['path']!r} below {root}; "
                "correct the path, or link the folder that holds it"
            )
        found[row["id"]] = path
    return found


def _choose(id: str, others: Sequence[str], by_name: Mapping[str, list[Path]]) -> Path | None:
    for name in (id, *others):
        parts = PurePosixPath(name)
        found = by_name.get(plain(parts.name), [])
        if len(parts.parts) > 1:
            near = [p for p in found if plain(p.parent.name) == plain(parts.parent.name)]
            found = near or (found if name == id else [])
        if len({path.with_suffix("") for path in found}) > 1:
            raise DataError(
                f"{found[0]} and {found[1]} both fit {id!r}; say in {TABLE} which one it is"
            )
        if found:
            return min(found, key=lambda path: SUFFIXES.index(path.suffix.lower()))
    return None
