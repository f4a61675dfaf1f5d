"""What was seen of remote files, kept in the cache: while a file is the same it is not asked again.

Damage, or another layout, reads as nothing known.
"""

from __future__ import annotations

import json
from typing import Any

from extract.remote.copies import key_of
from extract.remote.root import Entry
from extract.weights import cache_dir
from extract.writing import write_text

FORMAT = 1


class Looks:
    """Plain data by file.

    Parameters
    ----------
    room : folder of the cache: what kind of data it is.
    url : of the folder that the files lie in.
    """

    def __init__(self, room: str, url: str):
        self._path = cache_dir("remote", room) / f"{key_of(url)}.json"
        self._known: dict[str, list] = {}
        self._new = 0  # of these, those that are not in the file
        try:
            found = json.loads(self._path.read_text("utf-8"))
            if found["format"] == FORMAT and isinstance(found["files"], dict):
                self._known = found["files"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            pass

    def get(self, entry: Entry) -> Any:
        """What is known of a file as it is now; None where that is nothing."""
        found = self._known.get(entry.name)
        if isinstance(found, list) and found[:2] == [entry.size, entry.version] and entry.version:
            return found[2] if len(found) == 3 else None
        return None

    def put(self, entry: Entry, seen: Any) -> None:
        self._known[entry.name] = [entry.size, entry.version, seen]
        self._new += 1

    def save(self, few: bool = True) -> None:
        """Writes what is known, all of it.

        Parameters
        ----------
        few : write for little that is new; else when it is a quarter of all.
        """
        if not self._new or not (few or 4 * self._new >= len(self._known)):
            return
        self._new = 0
        write_text(self._path, json.dumps({"format": FORMAT, "files": self._known}))
