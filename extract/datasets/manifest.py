"""The manifest of a folder: which stretches of which files, in which groups, with which labels.

A CSV (comma or semicolon), TSV or JSON-lines file in UTF-8 with these columns, of which only `path`
is needed:

`path`      of the file, relative to the folder
`start`     seconds; `duration` seconds. Without both, the file is cut as without a manifest
`split`     train, valid (also val, validation), test or test_inst; for all rows or for none
`group`     clips of one group are not independent; without it `artist`, then `track`, then the file
`track`     the recording or work; without it the file
`subset`    part of the data set

All other columns are labels. A column in which every value is a number is a number; one in which a
value holds `|` (or, where none does, `;`) is tags, separated by it; any other is a category. An
empty cell (or `nan`, and `inf` among numbers) is a label that the clip lacks, a lone `|` is a clip
with none of the tags. In JSON lines tags are a list of texts.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from extract.datasets.base import SPLITS, LabelCard, Value
from extract.errors import DataError, printable
from extract.jsontext import loads

MANIFESTS = ("manifest.csv", "manifest.tsv", "manifest.jsonl")
OWN = ("path", "start", "duration", "split", "group", "track", "subset")
GROUPS = ("group", "artist", "track")  # the first of these columns that there is
SPLIT_NAMES = {name: name for name in SPLITS} | {"val": "valid", "validation": "valid"}
ABSENT = ("", "nan")
LONGEST = 200  # characters of the name of a column
MARKS = ("|", ";")  # between tags; the first that a column holds counts

Cells = Mapping[str, str]


@dataclass(frozen=True)
class Entry:
    """One row of a manifest; empty or None where it says nothing."""

    line: int
    path: str
    start: float | None = None
    duration: float | None = None
    split: str = ""
    group: str = ""
    track: str = ""
    subset: str = ""
    labels: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """All rows of a manifest, in its order, and what its label columns are.

    Attributes
    ----------
    notes : a sentence for each column with values that were taken as missing.
    """

    path: Path
    entries: tuple[Entry, ...]
    labels: tuple[LabelCard, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Reads and checks a manifest.

        Raises
        ------
        DataError : names the manifest, the line and the cure.
        """
        rows = _json_rows(path) if path.suffix.lower() == ".jsonl" else _csv_rows(path)
        rows = [(line, _shown(path, line, cells)) for line, cells in rows]
        if not rows:
            raise DataError(f"{path}: no rows; give a column `path` and one row a clip")
        columns = list(dict.fromkeys(name for _, cells in rows for name in cells))
        if "path" not in columns:
            raise DataError(f"{path}: no column `path`; there are {', '.join(columns)}")
        group = next((name for name in GROUPS if name in columns), None)
        names = [name for name in columns if name not in OWN and name != group]
        kinds = {name: _kind(name, rows) for name in names}
        readers = {name: _reader(kind, name, rows) for name, kind in kinds.items() if kind}
        entries = tuple(_entry(path, line, cells, group, readers) for line, cells in rows)
        _check_splits(path, entries)
        cards = tuple(
            LabelCard(name, kind, "user", f"column {name} of {path.name}")
            for name, kind in kinds.items()
            if kind
        )
        numeric = [name for name, kind in kinds.items() if kind in ("number", "")]
        notes = [_not_finite(path, name, rows) for name in numeric]
        return cls(path, entries, cards, tuple(note for note in notes if note))


def _shown(path: Path, line: int, cells: Cells) -> Cells:
    """The cells as they may be printed: labels end up on screens, in tables and in reports."""
    shown = {
        printable(name): text if name == "path" else printable(text)
        for name, text in cells.items()
    }
    if long := [name for name in shown if len(name) > LONGEST]:
        raise DataError(
            f"{path}, line {line}: a column {long[0][:40]}... has a name of {len(long[0])} "
            f"characters; at most {LONGEST}"
        )
    if len(shown) < len(cells):
        raise DataError(f"{path}, line {line}: two columns have one name; rename one")
    return shown


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8; save it again in the encoding UTF-8") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; check the path of the manifest") from None


def _csv_rows(path: Path) -> Iterator[tuple[int, Cells]]:
    """(line, column -> text) of each row that is not blank."""
    text = _text(path)
    mark = _delimiter(path, text.partition("\n")[0])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    names: list[str] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not names:
                names = [name.strip() for name in cells]
                _check_names(path, reader.line_num, names)
                continue
            if len(cells) != len(names):
                raise DataError(
                    f"{path}, line {reader.line_num}: {len(cells)} cells, but {len(names)} "
                    f"columns; put cells that contain {mark!r} in double quotes"
                )
            yield reader.line_num, dict(zip(names, (c.strip() for c in cells), strict=True))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}; check the quotes") from None


def _delimiter(path: Path, head: str) -> str:
    if path.suffix.lower() == ".tsv":
        return "\t"
    # spreadsheets of half of Europe write semicolons
    return ";" if head.count(";") > head.count(",") else ","


def _check_names(path: Path, line: int, names: list[str]) -> None:
    for name in names:
        if not name:
            raise DataError(f"{path}, line {line}: a column without a name; name it or delete it")
        if names.count(name) > 1:
            raise DataError(f"{path}, line {line}: column {name} stands twice; rename one")


def _json_rows(path: Path) -> Iterator[tuple[int, Cells]]:
    for line, text in enumerate(_text(path).split("\n"), start=1):
        if not text.strip():
            continue
        try:
            row = loads(text)
        except ValueError as error:
            raise DataError(f"{path}, line {line}: not JSON ({error}); one object a line") from None
        if not isinstance(row, dict):
            raise DataError(f'{path}, line {line}: not an object; write {{"path": ...}}')
        yield line, {name: _cell(path, line, name, value) for name, value in row.items()}


def _cell(path: Path, line: int, name: str, value: object) -> str:
    """The text of a value as a cell of a CSV has it; a list as tags."""
    texts = [name, *(value if isinstance(value, list) else [value])]
    if any(isinstance(text, str) and not _whole(text) for text in texts):
        raise DataError(f"{path}, line {line}: {name} holds half a character; write it in UTF-8")
    if isinstance(value, list) and name not in OWN:
        mark = MARKS[0]
        if not all(isinstance(tag, str) and mark not in tag for tag in value):
            raise DataError(f"{path}, line {line}: {name} is a list; its tags are texts without |")
        return mark.join([*value, ""]) or mark
    if isinstance(value, (dict, list)):
        raise DataError(
            f"{path}, line {line}: {name} is a {type(value).__name__}; give one text or number"
        )
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).strip()


def _whole(text: str) -> bool:
    """Whether it is text: `\\ud800` in JSON is half of a pair that stands for one character."""
    return not any("\ud800" <= c <= "\udfff" for c in text)


def _kind(name: str, rows: list[tuple[int, Cells]]) -> str:
    """`number`, `tags`, `category`, or "" for a column without values."""
    present = [text for _, cells in rows if (text := cells.get(name, "")).lower() not in ABSENT]
    numbers = [_number(text) for text in present]
    if None in numbers:
        return "tags" if _mark(present) else "category"
    return "number" if any(map(math.isfinite, numbers)) else ""


def _number(text: str) -> float | None:
    """The number that a cell holds, finite or not; None where it is a text."""
    try:
        return float(text)
    except ValueError:
        return None


def _not_finite(path: Path, name: str, rows: list[tuple[int, Cells]]) -> str:
    """What to say of the values of a column of numbers that are none; "" where all are."""
    lines = [
        line
        for line, cells in rows
        if (value := _number(cells.get(name, ""))) is not None and not math.isfinite(value)
    ]
    if not lines:
        return ""
    what = "1 value is no number" if len(lines) == 1 else f"{len(lines)} values are not numbers"
    return f"{path.name}: column {name}: {what} (first: line {lines[0]}), taken as missing"


def _mark(texts: Iterable[str]) -> str:
    """What separates the tags of a column; "" where nothing does."""
    held = "".join(texts)
    return next((mark for mark in MARKS if mark in held), "")


def _reader(kind: str, name: str, rows: list[tuple[int, Cells]]) -> Callable[[str], Value | None]:
    """From the text of a cell to the value of a label."""
    if kind == "tags":
        mark = _mark(cells.get(name, "") for _, cells in rows)
        return lambda text: _tags(text, mark)
    return _finite if kind == "number" else str


def _finite(text: str) -> float | None:
    """A number, None for one that is not finite."""
    value = float(text)
    return value if math.isfinite(value) else None


def _tags(text: str, mark: str) -> tuple[str, ...]:
    """The tags of a cell, each once, in its order."""
    parts = (part.strip() for part in text.split(mark))
    return tuple(dict.fromkeys(part for part in parts if part))


def _entry(
    path: Path,
    line: int,
    cells: Cells,
    group: str | None,
    readers: Mapping[str, Callable[[str], Value | None]],
) -> Entry:
    if not cells.get("path"):
        raise DataError(f"{path}, line {line}: no path; name the file or delete the line")
    split = cells.get("split", "").lower()
    if split and split not in SPLIT_NAMES:
        raise DataError(f"{path}, line {line}: no split {split!r}; there are {', '.join(SPLITS)}")
    labels = {
        name: value
        for name, read in readers.items()
        if cells.get(name, "").lower() not in ABSENT and (value := read(cells[name])) is not None
    }
    return Entry(
        line=line,
        path=cells["path"],
        start=_seconds(path, line, "start", cells, least=0.0),
        duration=_seconds(path, line, "duration", cells, least=0.01),
        split=SPLIT_NAMES.get(split, ""),
        group=cells.get(group, "") if group else "",
        track=cells.get("track", ""),
        subset=cells.get("subset", ""),
        labels=labels,
    )


def _seconds(path: Path, line: int, name: str, cells: Cells, least: float) -> float | None:
    text = cells.get(name, "")
    if text.lower() in ABSENT:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value < math.inf:
        raise DataError(
            f"{path}, line {line}: {name} {text!r} is wrong; give seconds, {least:g} or more"
        )
    return value


def _check_splits(path: Path, entries: tuple[Entry, ...]) -> None:
    without = [entry.line for entry in entries if not entry.split]
    if without and len(without) < len(entries):
        raise DataError(
            f"{path}, line {without[0]}: no split, but other lines have one; "
            "fill it in, or delete the column"
        )
