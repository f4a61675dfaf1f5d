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

from cli.record import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from extract.store import Activations
    from rsa import Similarity


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
        import rsa

        # what describes single layers has no part in the numbers
        about = [content(x), content(y), self.settings, code_of(rsa, but="layerwise")]
        text = json.dumps(about, sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()}.json"

    def find(self, x: Activations, y: Activations) -> Similarity | None:
        """What is known of two representations; None when nothing (readable) is."""
        from rsa import RsaError, Similarity

        path = self.path(x, y)
        if not path.exists():
            return None
        try:
            return Similarity.read(path)
        except RsaError:
            return None

    def keep(self, x: Activations, y: Activations, found: Similarity) -> None:
        """Writes a comparison: the file is there whole or not at all."""
        path = self.path(x, y)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(found.as_json(), allow_nan=False))


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
    said = hashlib.sha256(json.dumps(clips).encode()).hexdigest()
    return [x.name, x.store.plan.digest, said]


@cache
def code_of(package: ModuleType, but: str = "") -> str:
    """Hash of the code of a package and its tables: another version makes its numbers again.

    Parameters
    ----------
    but : a folder or file in it that does not count.
    """
    digest = hashlib.sha256()
    room = Path(package.__file__).parent
    for path in sorted(room.rglob("*")):
        if path.suffix in (".py", ".toml") and path.relative_to(room).parts[0] != but:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def remembered(room: str, key: Sequence[object], seed: int, kind, work: Callable):
    """What `work` finds, or found before for the same key, seed and code.

    Parameters
    ----------
    room : folder of the cache.
    key : what the work depends on, as plain JSON.
    kind : record that is kept; None for plain JSON.
    """
    import probes
    import rsa
    from extract.weights import cache_dir

    about = json.dumps([key, seed, code_of(probes), code_of(rsa)])
    path = cache_dir(room) / f"{hashlib.sha256(about.encode()).hexdigest()}.json"
    try:
        entry = json.loads(path.read_text("utf-8"))
        return kind.from_json(entry) if kind else entry
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # not there, or damaged
    found = work()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(found.as_json() if kind else found, allow_nan=False))
    return found
