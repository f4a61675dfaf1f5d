"""Finished comparisons of two representations, kept so that a later command starts from them.

A model that is compared with a second and then with a third is compared with itself once.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from cli import kept

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from extract.store import Activations
    from rsa import Similarity


SIMILARITY, PROBES = "similarity", "probes"
ROOMS = (SIMILARITY, PROBES, "why", "maps")  # folders of the cache with finished results


class Known:
    """A folder of similarities, one file for two representations under given settings.

    Parameters
    ----------
    folder : made when something is kept.
    settings : what the numbers depend on beside rows and code: seed, confound.
    """

    def __init__(self, folder: Path, settings: dict):
        self.folder, self.settings = folder, settings

    def path(self, x: Activations, y: Activations) -> Path:
        about = [content(x), content(y), self.settings, code_behind(SIMILARITY)]
        return self.folder / f"{digest(about)}.json"

    def find(self, x: Activations, y: Activations) -> Similarity | None:
        """What is known of two representations; None when nothing (readable) is."""
        from rsa import Similarity

        found = kept.read(self.path(x, y))
        return None if found is None else Similarity.from_json(found)

    def keep(self, x: Activations, y: Activations, found: Similarity) -> None:
        """Writes a comparison: the file is there whole or not at all."""
        kept.write(self.path(x, y), found.as_json(), code_behind(SIMILARITY))


def missing(known: Similarity | None, measures: Sequence[str]) -> tuple[str, ...]:
    """Measures that are still to be computed."""
    have = {result.measure for result in known.measures} if known else set()
    return tuple(name for name in measures if name not in have)


def joined(known: Similarity | None, new: Similarity) -> Similarity:
    """Both sets of measures in one; what the new one has wins."""
    if known is None:
        return new
    fresh = {result.measure for result in new.measures}
    kept = tuple(result for result in known.measures if result.measure not in fresh)
    return replace(
        new,
        measures=(*kept, *new.measures),
        structure=_main(new.structure, known.structure),
        stability=_main(new.stability, known.stability),
    )


def _main(*found):
    """Of structures (or stabilities) of two runs the one by the measure that comes first."""
    from rsa.comparison import MAIN

    order = {name: place for place, name in enumerate(MAIN)}
    present = [one for one in found if one is not None]
    return min(present, key=lambda one: order.get(one.measure, len(MAIN)), default=None)


def chosen(known: Similarity, measures: Sequence[str]) -> Similarity:
    """Only these measures, in this order."""
    return replace(known, measures=tuple(known[name] for name in measures))


def content(x: Activations, labels: Collection[str] = ()) -> list[str]:
    """Identity of a representation: its plan, and the clips that are in it with their groups.

    Parameters
    ----------
    labels : that count as well, with splits and subsets; none of these unless named.
    """
    clips = [
        [clip.id, *clip.said(labels)] if labels else [clip.id, clip.group] for clip in x.rows.clips
    ]
    return [x.name, x.store.plan.digest, digest(clips)]


def digest(about: object) -> str:
    """Hash of plain data; what JSON has no form of counts by its `repr`."""
    text = json.dumps(about, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def code_of(package: ModuleType, but: str = "") -> str:
    """Hash of the code of a package and its tables: another version makes its numbers again.

    Parameters
    ----------
    but : a folder or file in it that does not count.
    """
    found = hashlib.sha256()
    room = Path(package.__file__).parent
    for path in sorted(room.rglob("*")):
        if path.suffix in (".py", ".toml") and path.relative_to(room).parts[0] != but:
            found.update(path.read_bytes())
    return found.hexdigest()


def code_behind(room: str) -> str:
    """Hash of the code that a folder of the cache depends on."""
    import probes
    import rsa

    if room == SIMILARITY:  # what describes single layers has no part in the numbers
        return code_of(rsa, but="layerwise")
    return code_of(probes) if room == PROBES else digest([code_of(probes), code_of(rsa)])


def remembered(room: str, key: Sequence[object], seed: int, kind, work: Callable):
    """What `work` finds, or found before for the same key, seed and code.

    Parameters
    ----------
    room : folder of the cache.
    key : what the work depends on, as plain JSON.
    kind : record that is kept; None for plain JSON.
    """
    from extract.weights import cache_dir

    code = code_behind(room)
    path = cache_dir(room) / f"{digest([key, seed, code])}.json"
    entry = kept.read(path)
    if entry is not None:
        return kind.from_json(entry) if kind else entry
    found = work()
    plain = json.loads(json.dumps(found.as_json() if kind else found))
    kept.write(path, plain, code)
    return kind.from_json(plain) if kind else plain  # as a later run will read it
