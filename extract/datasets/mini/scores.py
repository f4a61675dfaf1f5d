"""Reading scores with music21, once, into plain numbers.

Runs as a program as well (`python -m extract.datasets.mini.scores`): paths as JSON on standard
input, scores as JSON on standard output; so two processes share the work without the traps of
forking a process that has threads.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from extract.errors import DataError

BEAT_OF = {"4": 1.0, "2": 2.0, "8": 1.5}  # denominator -> beat in quarters; x/8 is compound


@dataclass(frozen=True)
class Score:
    """One piece, in quarter notes from its beginning; nothing is repeated.

    Attributes
    ----------
    name : of the file, without its ending.
    parts : notes (onset, duration, MIDI pitch) of each part, in order of time, ties joined.
    bars : (start, length) of the measures as written.
    metre : time signature, such as `4/4`; cut time is `2/2`.
    bar, beat : length of a full bar and of a beat (a dotted quarter in compound metres).
    tonic, mode : as notated; mode is "" when the score names none.
    phrase_ends : ends of notes under a fermata.
    """

    name: str
    parts: tuple[tuple[tuple[float, float, int], ...], ...]
    bars: tuple[tuple[float, float], ...]
    metre: str
    bar: float
    beat: float
    tonic: int
    mode: str
    phrase_ends: tuple[float, ...]

    @classmethod
    def from_json(cls, row: dict) -> Score:
        parts = tuple(tuple((a, b, int(p)) for a, b, p in part) for part in row["parts"])
        bars = tuple((a, b) for a, b in row["bars"])
        return cls(
            **{**row, "parts": parts, "bars": bars, "phrase_ends": tuple(row["phrase_ends"])}
        )


def part_count(path: Path) -> int:
    """Number of parts of a compressed MusicXML file, without parsing it."""
    with zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if n.endswith(".xml") and "META-INF" not in n]
        return archive.read(names[0]).count(b"<score-part ") if names else 0


def abc_fields(path: Path) -> dict[str, list[str]]:
    """Values of each field of an ABC file (fields by letter), also of those inside the tune."""
    fields: dict[str, list[str]] = {}
    text = path.read_text(encoding="latin-1")
    for letter, value in re.findall(r"(?:^|\[)([A-Za-z]):[ \t]*([^%\n\]]*)", text, re.MULTILINE):
        fields.setdefault(letter, []).append(value.strip())
    return fields


def parse(path: Path) -> Score | None:
    """Reads one score; None when its metre changes, is unusual, or nothing sounds."""
    from music21 import converter

    stream = converter.parse(path, forceSource=True)
    times = {ts.ratioString for ts in stream.recurse().getElementsByClass("TimeSignature")}
    if len(times) != 1 or not stream.parts:
        return None
    metre = times.pop()
    above, below = metre.split("/")
    if below not in BEAT_OF or (below == "8" and int(above) % 3):
        return None
    parts = tuple(_notes(part) for part in stream.parts)
    if not all(parts):
        return None
    first = stream.parts[0]
    keys = [k for k in first.recurse().getElementsByClass("Key")]
    ends = {
        round(float(n.getOffsetInHierarchy(first) + n.duration.quarterLength), 6)
        for n in first.recurse().notes
        if any("Fermata" in e.classes for e in n.expressions)
    }
    return Score(
        name=path.stem,
        parts=parts,
        bars=tuple(
            (round(float(m.offset), 6), round(float(m.duration.quarterLength), 6))
            for m in first.getElementsByClass("Measure")
        ),
        metre=metre,
        bar=int(above) * 4.0 / int(below),
        beat=BEAT_OF[below],
        tonic=keys[0].tonic.pitchClass if keys else 0,
        mode=(keys[0].mode or "") if keys else "",
        phrase_ends=tuple(sorted(ends)),
    )


def _notes(part) -> tuple[tuple[float, float, int], ...]:
    """Sounding notes of a part: ties joined; grace notes and chord symbols left out."""
    rows: list[list[float]] = []
    tied: dict[int, int] = {}
    for element in part.recurse().notes:
        if element.duration.isGrace or "ChordSymbol" in element.classes:
            continue
        start = float(element.getOffsetInHierarchy(part))
        length = float(element.duration.quarterLength)
        for note in getattr(element, "notes", (element,)):
            pitch, kind = note.pitch.midi, note.tie.type if note.tie else None
            index = tied.pop(pitch, None)
            # a tie holds only when the note before it ends where this one begins
            if kind in ("stop", "continue") and index is not None:
                before = rows[index]
                if abs(before[0] + before[1] - start) < 1e-3:
                    before[1] += length
                    if kind == "continue":
                        tied[pitch] = index
                    continue
            rows.append([start, length, pitch])
            if kind in ("start", "continue"):
                tied[pitch] = len(rows) - 1
    table = ((round(a, 6), round(b, 6), int(p)) for a, b, p in rows if b > 0)
    return tuple(sorted(table))


def parse_all(paths: Sequence[Path], processes: int = 2) -> list[Score]:
    """Reads scores in parallel, in the order of `paths`; unusable ones are left out.

    Raises
    ------
    DataError : a worker failed; the message is its last line.
    """
    processes = max(1, min(processes, os.cpu_count() or 1, len(paths) // 8))
    if processes == 1:
        return [score for score in map(parse, paths) if score is not None]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "extract.datasets.mini.scores"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        for _ in range(processes)
    ]
    for k, worker in enumerate(workers):
        # a worker that died at once is reported below, with its own last words
        with contextlib.suppress(BrokenPipeError):
            worker.stdin.write(json.dumps([str(p) for p in paths[k::processes]]).encode())
            worker.stdin.close()
        worker.stdin = None
    rows: dict[int, dict | None] = {}
    for k, worker in enumerate(workers):
        out, err = worker.communicate()
        if worker.returncode:
            last = (err.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
            raise DataError(f"music21 could not read its corpus: {last}; reinstall music21")
        for place, row in enumerate(json.loads(out)):
            rows[k + place * processes] = row
    return [Score.from_json(rows[i]) for i in sorted(rows) if rows[i] is not None]


def main() -> None:
    # what a library may print must not get between the scores
    with contextlib.redirect_stdout(sys.stderr):
        found = [parse(Path(p)) for p in json.load(sys.stdin)]
    json.dump([asdict(score) if score else None for score in found], sys.stdout)


if __name__ == "__main__":
    main()
