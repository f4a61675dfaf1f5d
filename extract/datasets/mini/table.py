"""The label table: built once, kept as compressed JSON, rebuilt when its sources change."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import zlib
from collections.abc import Callable
from pathlib import Path

from extract.datasets.base import Clip, Segment
from extract.datasets.mini import music, sounds, sources
from extract.datasets.mini.excerpts import Sound
from extract.datasets.mini.midi import Note
from extract.weights import cache_dir
from extract.writing import write_whole

Rows = list[tuple[Clip, Sound]]

# what is built together is of scores that are read once
BUILDERS: dict[str, Callable[[], dict[str, Rows]]] = {
    "chorale": music.build_chorales,
    "fiddle": music.build_fiddle,
    "note": sounds.build_note,
    "theory": sounds.build_theory,
    "voices": music.build_chorales,
}
FROM_SCORES = ("chorale", "fiddle", "voices")
log = logging.getLogger(__name__)


def digest(value: object) -> str:
    """sha256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def key_of(subset: str) -> str:
    """Hash of all that decides a table: this recipe's own text, scores, font, renderer.

    Raises
    ------
    DataError : a package is missing.
    """
    recipe = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        recipe.update(path.read_bytes())
    scores = sources.version_of("music21") if subset in FROM_SCORES else ""
    parts = [subset, recipe.hexdigest(), scores, sources.font_hash(), sources.renderer()]
    return digest(parts)


def load(subset: str) -> Rows:
    """The clips of a subset with their sounds: from the cache, or built (and kept)."""
    key = key_of(subset)
    rows = _read(_path(subset, key), key)
    if rows is None:
        log.info("building the label table of mini:%s", subset)
        built = BUILDERS[subset]()
        for name, found in built.items():
            key = key_of(name)
            _write(_path(name, key), key, found)
        rows = built[subset]
    return rows


def _path(subset: str, key: str) -> Path:
    return cache_dir("mini") / f"{subset}-{key[:16]}.json.gz"


def encode(rows: Rows) -> list[dict]:
    """Rows as plain values, to be read only."""
    # not `asdict`, which copies: there are fifty thousand notes
    return [{"clip": _plain(clip), "sound": vars(sound)} for clip, sound in rows]


def sounds(rows: Rows) -> list[list]:
    """What decides the audio of rows, as plain values, to be read only."""
    return [[clip.id, clip.start, clip.duration, vars(sound)] for clip, sound in rows]


def _plain(clip: Clip) -> dict:
    segments = {
        name: [{"start": s.start, "end": s.end, "value": s.value} for s in values]
        for name, values in clip.segments.items()
    }
    return {**vars(clip), "segments": segments}


def _decode(row: dict) -> tuple[Clip, Sound]:
    clip, sound = row["clip"], row["sound"]
    segments = {
        name: tuple(Segment(s["start"], s["end"], s["value"]) for s in values)
        for name, values in clip["segments"].items()
    }
    events = {name: tuple(values) for name, values in clip["events"].items()}
    notes = tuple(Note(*note) for note in sound["notes"])
    return Clip(**{**clip, "segments": segments, "events": events}), Sound(
        **{**sound, "notes": notes}
    )


def _read(path: Path, key: str) -> Rows | None:
    """The kept table; None when there is none or it is damaged."""
    try:
        kept = json.loads(gzip.decompress(path.read_bytes()))
        if kept["key"] != key or kept["sha256"] != digest(kept["rows"]):
            return None
        return [_decode(row) for row in kept["rows"]]
    except (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error):
        return None


def _write(path: Path, key: str, rows: Rows) -> None:
    """Whole or not at all: two processes may build at once, none reads a half."""
    plain = encode(rows)
    text = json.dumps({"key": key, "sha256": digest(plain), "rows": plain})
    write_whole(path, lambda place: place.write_bytes(gzip.compress(text.encode(), mtime=0)))
