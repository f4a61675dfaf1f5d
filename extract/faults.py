"""Where in a user's code an exception came from."""

from __future__ import annotations

import os
import sysconfig
import traceback

_PATHS = sysconfig.get_paths()
_HERE = os.path.dirname(os.path.abspath(__file__))
_LIBRARIES = tuple({_PATHS[name] + os.sep for name in ("stdlib", "platstdlib")}) + ("<frozen",)
_INSTALLED = tuple({_PATHS[name] + os.sep for name in ("purelib", "platlib")})


def place(error: BaseException) -> str:
    """`FILE, line N` of the innermost line that is the user's; "" where all are of libraries.

    A file of an installed package counts where none outside of the libraries is on the way,
    torch's own apart.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(_HERE + os.sep)
    ]
    installed = [frame for frame in frames if frame.filename.startswith(_INSTALLED)]
    own = [f for f in frames if f not in installed and not f.filename.startswith(_LIBRARIES)]
    near = own or [f for f in installed if f"{os.sep}torch{os.sep}" not in f.filename]
    return f"{near[-1].filename}, line {near[-1].lineno}" if near else ""


def said(error: BaseException) -> str:
    """Kind, first line and place of an exception, in one line."""
    text = str(error.msg) if isinstance(error, SyntaxError) else str(error).strip()
    where = place(error)
    first = (text or "no message").splitlines()[0]
    return f"{type(error).__name__}: {first}{where and f' ({where})'}"
