"""Results as JSON files: written one way, refused one way when they are something else."""

from __future__ import annotations

import csv
import io
import json
import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from rsa.errors import RsaError

Result = TypeVar("Result")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
# what comes of content that is no such file; numbers and nests without end among it
FAULTS = (
    OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError,
    RecursionError,
)  # fmt: skip


def cell(value: object) -> object:
    """A value as a cell of a table; a spreadsheet would run as a formula what begins like one."""
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return "" if value is None else value


def _write_whole(path: Path, text: str) -> None:
    """The file is there whole or not at all; OSError with its name where it cannot be written."""
    part = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8", newline="")
        os.replace(part, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        part.unlink(missing_ok=True)


def write_json(folder: Path | str, name: str, content: dict) -> Path:
    """Writes NAME.json into a folder, which is made if need be; returns its path."""
    path = Path(folder) / f"{name}.json"
    _write_whole(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
    return path


def write_csv(path: Path, head: Sequence[str], lines: Iterable[Sequence]) -> None:
    """Writes a table; what is None becomes an empty cell, and no text is a formula."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(head)
    writer.writerows(map(cell, line) for line in lines)
    _write_whole(path, text.getvalue())


def read_json(path: Path | str, form: int, kind: str, make: Callable[[dict], Result]) -> Result:
    """What `make` makes of a JSON file of this format; `RsaError` names the file otherwise."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if content["format"] != form:
            raise RsaError(
                f"{path} has format {content['format']}, this program reads {form}: "
                "make the comparison again"
            )
        return make(content)
    except FAULTS as error:
        raise RsaError(
            f"{path} is not a {kind} file ({type(error).__name__}: {error}): "
            "make the comparison again"
        ) from error
