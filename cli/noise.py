"""What libraries print on standard error while a command works: to its log, not on the screen.

Decoders, downloaders and numeric libraries write there past every Python hook, so it is the file
descriptor that leads elsewhere. A file and no pipe: nothing waits for a reader, and after a crash
what was last said is still there.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

LONGEST = 1 << 20  # bytes of the file, which begins anew when they were read
LINE = 2000  # characters of a line that are kept


class Noise:
    """Standard error of this process and of those it starts, while the context lasts.

    Attributes
    ----------
    screen : leads to what standard error was before; None where it was nothing to lead elsewhere.
    path : of the file that holds what was said since.
    """

    def __init__(self):
        self.screen: TextIO | None = None
        self.path: Path | None = None
        self._read, self._rest, self._saved = 0, "", -1
        self._fault = False

    def __enter__(self) -> Noise:
        try:
            if sys.stderr.fileno() != 2:
                return self
            sys.stderr.flush()
            file, name = tempfile.mkstemp(prefix="rsa-", suffix=".stderr")
            # every writer appends, so that the file can be cut when it was read
            os.close(file)
            file = os.open(name, os.O_WRONLY | os.O_APPEND)
            self._saved = os.dup(2)
            self.screen = open(
                self._saved, "w", encoding=sys.stderr.encoding, errors="backslashreplace",
                buffering=1, closefd=False,
            )  # fmt: skip
            os.dup2(file, 2)
            os.close(file)
            self.path = Path(name)
            # the last words of a library that crashes are for the user
            self._fault = not faulthandler.is_enabled()
            if self._fault:
                faulthandler.enable(self._saved)
        except (OSError, ValueError, AttributeError):
            pass  # no standard error, or a test's: it stays as it is
        return self

    def __exit__(self, *_) -> None:
        if self.path is None:
            return
        sys.stderr.flush()
        self.screen.flush()
        if self._fault:
            faulthandler.disable()
        os.dup2(self._saved, 2)
        os.close(self._saved)
        self.path.unlink(missing_ok=True)

    def lines(self, last: bool = False) -> Iterator[tuple[str, bool]]:
        """(line, whether it is a bar that draws over itself) of what was said since the last call.

        Parameters
        ----------
        last : a line that is not ended is taken too.
        """
        if self.path is None:
            return
        try:
            with open(self.path, "rb") as file:
                file.seek(self._read)
                new = file.read()
            self._read += len(new)
            if self._read > LONGEST:
                os.truncate(self.path, 0)
                self._read = 0
        except OSError:
            return
        *whole, self._rest = (self._rest + new.decode(errors="replace")).split("\n")
        if last and self._rest:
            whole.append(self._rest)
            self._rest = ""
        for line in whole:
            if text := line.rstrip("\r").rpartition("\r")[2].strip():
                yield text[:LINE], False
        if "\r" in self._rest:
            shown, _, self._rest = self._rest.rpartition("\r")
            if text := (self._rest or shown.rpartition("\r")[2]).strip():
                yield text[:LINE], True
