"""Label files as the field writes them: columns of text with times, keys, chords, sections."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from extract.datasets.base import Curve, Segment
from extract.errors import DataError

FOLDS = tuple(map(str, range(100)))


def read(path: Path) -> str:
    """The text of a file in UTF-8; `DataError` where it is none."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}; fetch the file again") from None


def lines(path: Path, separator: str | None = None) -> Iterator[tuple[int, list[str]]]:
    """Number and fields of each line that is neither empty nor a comment (`#`)."""
    for count, line in enumerate(read(path).splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield count, [field.strip() for field in line.strip().split(separator)]


def table(
    path: Path, columns: Sequence[str], separator: str = ","
) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and fields by name of each row below a header; fields may be quoted.

    Fields beyond the header (remarks) are left out.

    Raises
    ------
    DataError : it cannot be read, lacks one of `columns`, or a row has too few fields.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=separator)
            header = [name.strip() for name in next(reader, [])]
            for name in columns:
                if name not in header:
                    raise DataError(f"{path}, line 1: no column {name!r}; fetch the file again")
            for fields in reader:
                if fields and len(fields) < len(header):
                    raise DataError(
                        f"{path}, line {reader.line_num}: {len(fields)} fields below "
                        f"{len(header)} columns; correct the line"
                    )
                if fields:
                    named = zip(header, (field.strip() for field in fields), strict=False)
                    yield reader.line_num, dict(named)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: {error}; fetch the file again") from None


def seconds(path: Path, count: int, text: str) -> float:
    """A field as a time; `DataError` that names file and line otherwise."""
    return _finite(path, count, text, "time in seconds")


def number(path: Path) -> float | None:
    """The one number in a file; None where there is no file."""
    if not path.is_file():
        return None
    for count, fields in lines(path):
        return seconds(path, count, fields[0])
    raise DataError(f"{path}: empty, a number is needed; fetch the file again")


def line(path: Path) -> str:
    """The first line of a file that is neither empty nor a comment, without spaces around it."""
    for _, fields in lines(path, "\n"):
        return fields[0]
    raise DataError(f"{path}: empty; fetch the file again")


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


def intervals(
    path: Path,
    separator: str | None = None,
    value: Callable[[str], str] = str,
    reversed: bool = False,
) -> tuple[Segment, ...]:
    """Segments of lines START END VALUE, in order of time; the value may hold spaces.

    Parameters
    ----------
    value : reads the value; a `ValueError` of it becomes a `DataError` that names the line.
    reversed : leave out lines that end before they start, where published files have some.
    """
    found = []
    for count, fields in lines(path, separator):
        if len(fields) < 3:
            raise DataError(f"{path}, line {count}: START END VALUE is needed; correct the line")
        start, end = (seconds(path, count, field) for field in fields[:2])
        if end < start and not reversed:
            raise DataError(f"{path}, line {count}: it ends before it starts; correct the line")
        if end > start:
            try:
                found.append(Segment(start, end, value(" ".join(fields[2:]))))
            except ValueError as error:
                raise DataError(f"{path}, line {count}: {error}; correct the line") from None
    return tuple(sorted(found, key=lambda s: s.start))


def folds(path: Path) -> dict[str, str]:
    """Split by name, of lines NAME FOLD: fold 0 is test, 1 valid, the others train.

    Nothing where there is no file.
    """
    if not path.is_file():
        return {}
    found = {}
    for count, fields in lines(path, "\t"):
        if len(fields) != 2 or fields[1] not in FOLDS:
            raise DataError(f"{path}, line {count}: NAME<TAB>FOLD is needed; fetch the file again")
        found[fields[0]] = {"0": "test", "1": "valid"}.get(fields[1], "train")
    return found


def chord_of(text: str) -> str:
    """A chord in Harte's syntax; `ValueError` for what mir_eval cannot read."""
    import mir_eval

    chord = "".join(text.split())
    try:
        mir_eval.chord.encode(chord)
    except (mir_eval.chord.InvalidChordException, ValueError, KeyError, IndexError):
        raise ValueError(f"{text!r} is no chord in Harte's syntax") from None
    return chord


def longest(segments: Iterable[Segment]) -> str:
    """The value that holds for the longest time in all."""
    total: dict[str, float] = {}
    for segment in segments:
        total[str(segment.value)] = total.get(str(segment.value), 0.0) + segment.end - segment.start
    return max(total, key=total.__getitem__)


PITCH_CLASSES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
# spellings of a tonic that mir_eval does not read
_RARE = {"Cb": "B", "B#": "C", "E#": "F", "Fb": "E"}
_MODES = {
    "": "major",
    "maj": "major",
    "major": "major",
    "ionian": "major",
    "min": "minor",
    "minor": "minor",
    "aeolian": "minor",
}


def tonic_of(text: str) -> str | None:
    """A tonic under one spelling for each pitch class; None for what names none."""
    import mir_eval

    number = mir_eval.key.KEY_TO_SEMITONE.get(_RARE.get(text, text).lower())
    return None if number is None else PITCH_CLASSES[number]


def key_of(text: str) -> str | None:
    """`TONIC`, `TONIC:MODE` or `TONIC MODE` as "C major"; the mode is "other" where it is neither.

    None for what names no tonic, such as `Silence`.
    """
    import mir_eval

    tonic, _, mode = text.strip().replace(" ", ":").partition(":")
    tonic = tonic[:1].upper() + tonic[1:]
    tonic = _RARE.get(tonic, tonic)
    if mir_eval.key.KEY_TO_SEMITONE.get(tonic.lower()) is None:
        return None
    return f"{tonic} {_MODES.get(mode.strip(':').lower(), 'other')}"


def boundaries(
    path: Path, separator: str | None = None, end: float | None = None
) -> tuple[Segment, ...]:
    """Segments of lines TIME VALUE, each up to the next line; `end` as a value begins none.

    Parameters
    ----------
    end : where the last segment ends when no line says so; None leaves it out.
    """
    marks: list[tuple[float, str]] = []
    for count, fields in lines(path, separator):
        if len(fields) < 2:
            raise DataError(f"{path}, line {count}: TIME VALUE is needed; correct the line")
        time = seconds(path, count, fields[0])
        if marks and time < marks[-1][0]:
            raise DataError(f"{path}, line {count}: earlier than the line before; correct it")
        marks.append((time, " ".join(fields[1:])))
    if end is not None:
        marks.append((end, "end"))
    return tuple(
        Segment(start, stop, value)
        for (start, value), (stop, _) in zip(marks, marks[1:], strict=False)
        if stop > start and value.lower() != "end"
    )


def curve(path: Path, separator: str = ",") -> Curve:
    """A curve of lines TIME VALUE without a header, as melodies are published."""
    text = read(path)
    try:
        # at once, because a melody has tens of thousands of lines
        values = np.loadtxt(text.splitlines() or ["none"], delimiter=separator, ndmin=2)
        if np.isfinite(values).all():
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


def amount(path: Path, count: int, text: str) -> float:
    """A field as a number; `DataError` that names file and line otherwise."""
    return _finite(path, count, text, "number")


def _finite(path: Path, count: int, text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{path}, line {count}: {text!r} is no {what}; correct the line")
    return value


def one_of(path: Path, count: int, text: str, names: Mapping[str, str]) -> str:
    """What a field stands for; `DataError` that names file and line for a field not in `names`."""
    if text not in names:
        known = ", ".join(names)
        raise DataError(f"{path}, line {count}: {text!r} is none of {known}; correct the line")
    return names[text]
