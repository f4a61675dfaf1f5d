"""Files that are there whole or not at all."""

from __future__ import annotations

import glob
import os
import secrets
from pathlib import Path


def replace(path: Path, content: bytes) -> None:
    """A reader sees the old file or the new one, never half of one.

    Raises OSError with the name of the file.
    """
    part = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    for old in path.parent.glob(f".{glob.escape(path.name)}-????????"):  # of a killed process
        old.unlink(missing_ok=True)
    try:
        part.write_bytes(content)
        os.replace(part, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        part.unlink(missing_ok=True)
