"""Label files as the field writes them: columns of text with times, keys, chords, sections."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from extract.datasets.base import Curve, Segment
from extract.errors import DataError


def lines(path: Path, separator: str | None = None) -> Iterator[tuple[int, list[str]]]:
    """Number and fields of each line that is neither empty nor a comment (`#`).

    Raises
    ------
    DataError : the file cannot be read as UTF-8 text.
    """
    for count, line in enumerate(_text(path).splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield count, [field.strip() for field in line.strip().split(separator)]


def curve(path: Path, separator: str = ",") -> Curve:
    """A curve of lines TIME VALUE without a header, as melodies are published."""
    text = _text(path)
    try:
        # at once, because a melody has tens of thousands of lines
        values = np.loadtxt(text.splitlines() or ["none"], delimiter=separator, ndmin=2)
        return Curve(values[:, 0], values[:, 1])
    except (ValueError, IndexError):
        pass
    last = -math.inf
    for count, fields in lines(path, separator):
        time, _ = seconds(path, count, fields[0]), seconds(path, count, fields[-1])
        if len(fields) < 2 or time <= last:
            raise DataError(f"{path}, line {count}: rising TIME and VALUE are needed; correct it")
        last = time
    raise DataError(f"{path}: no lines of TIME VALUE; fetch the file again")


def seconds(path: Path, count: int, text: str) -> float:
    """A field as a time; `DataError` that names file and line otherwise."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{path}, line {count}: {text!r} is no time in seconds; correct the line")
    return value


def number(path: Path) -> float | None:
    """The one number in a file; None where there is no file."""
    if not path.is_file():
        return None
    for count, fields in lines(path):
        return seconds(path, count, fields[0])
    raise DataError(f"{path}: empty, a number is needed; fetch the file again")


def beats(path: Path) -> dict[str, tuple[float, ...]]:
    """`beats`, and `downbeats` where positions are given: lines of TIME or TIME POSITION.

    Position 1 is the first beat of a bar. Nothing where there is no file.
    """
    if not path.is_file():
        return {}
    times, first, positions = [], [], False
    for count, fields in lines(path):
        time = seconds(path, count, fields[0])
        times.append(time)
        if len(fields) > 1:
            positions = True
            if seconds(path, count, fields[1]) == 1:
                first.append(time)
    found = {"beats": tuple(sorted(times))}
    return found | ({"downbeats": tuple(sorted(first))} if positions else {})


def intervals(path: Path, separator: str | None = None) -> tuple[Segment, ...]:
    """Segments of lines START END VALUE, in order of time; the value may hold spaces."""
    found = []
    for count, fields in lines(path, separator):
        if len(fields) < 3:
            raise DataError(f"{path}, line {count}: START END VALUE is needed; correct the line")
        start, end = (seconds(path, count, field) for field in fields[:2])
        if end < start:
            raise DataError(f"{path}, line {count}: it ends before it starts; correct the line")
        if end > start:
            found.append(Segment(start, end, " ".join(fields[2:])))
    return tuple(sorted(found, key=lambda s: s.start))


def rows(
    path: Path, columns: Sequence[str], separator: str = ","
) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and fields by name of each row below a header; fields may be quoted.

    Raises
    ------
    DataError : one of `columns` is not in the header, or a row has more or fewer fields than it.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=separator)
            header = [name.strip() for name in next(reader, [])]
            for name in columns:
                if name not in header:
                    raise DataError(f"{path}, line 1: no column {name!r}; fetch the file again")
            for fields in reader:
                if len(fields) != len(header) and fields:
                    raise DataError(
                        f"{path}, line {reader.line_num}: {len(fields)} fields below "
                        f"{len(header)} columns; correct the line"
                    )
                if fields:
                    named = zip(header, (field.strip() for field in fields), strict=True)
                    yield reader.line_num, dict(named)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: {error}; fetch the file again") from None


def amount(path: Path, count: int, text: str) -> float:
    """A field as a number; `DataError` that names file and line otherwise."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{path}, line {count}: {text!r} is no number; correct the line")
    return value


def one_of(path: Path, count: int, text: str, names: Mapping[str, str]) -> str:
    """What a field stands for; `DataError` that names file and line for a field not in `names`."""
    if text not in names:
        known = ", ".join(names)
        raise DataError(f"{path}, line {count}: {text!r} is none of {known}; correct the line")
    return names[text]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}; fetch the file again") from None
