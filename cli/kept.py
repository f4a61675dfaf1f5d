"""Results kept in the cache: a line that says what follows, then the result as JSON.

What is damaged, cut off or of another layout reads as not there, and is computed again.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

FORMAT = 1


def write(path: Path, content: object, code: str, beside: Path | None = None) -> None:
    """Writes a result, whole or not at all.

    Parameters
    ----------
    content : plain JSON.
    code : hash of the code that found it.
    beside : a further file of the result.
    """
    from extract.writing import write_text

    text = json.dumps(content, allow_nan=False)
    head = {"format": FORMAT, "code": code, "sha256": _hash(text.encode())}
    if beside:
        head["beside"] = _hash(beside.read_bytes())
    write_text(path, f"{json.dumps(head)}\n{text}")


def read(path: Path, beside: Path | None = None):
    """What was written, or None; `beside` must be what it was, and there if it was."""
    from extract.writing import sweep_once

    sweep_once(path.parent)
    try:
        first, _, text = path.read_text(encoding="utf-8").partition("\n")
        head = json.loads(first)
        whole = head["format"] == FORMAT and head["sha256"] == _hash(text.encode())
        if "beside" in head:
            whole = whole and beside is not None and head["beside"] == _hash(beside.read_bytes())
        return json.loads(text) if whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def code(path: Path) -> str | None:
    """Hash of the code that found a result; None where that cannot be read."""
    try:
        with open(path, encoding="utf-8") as file:
            head = json.loads(file.readline())
        return str(head["code"]) if head["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
