"""Results as JSON files: written one way, refused one way when they are something else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rsa.errors import RsaError

Result = TypeVar("Result")


def write_json(folder: Path | str, name: str, content: dict) -> Path:
    """Writes NAME.json into a folder, which is made if need be; returns its path."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return path


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
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RsaError(
            f"{path} is not a {kind} file ({type(error).__name__}: {error}): "
            "make the comparison again"
        ) from error
