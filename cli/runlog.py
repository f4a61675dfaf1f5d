"""The log of a run: one JSON object a line, appended to one file (docs/long-runs.md).

It says when what was begun and ended, how far it was, what was warned of, with which versions and
settings, and where an unexpected error came from. What libraries say, by `warnings`, `logging` or
on standard error, is in it too. A file that cannot be written never ends a run.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, RLock, Thread

import click

from cli.noise import Noise
from cli.pace import clock_time
from extract.urls import without_secrets

FILE = "run.log.jsonl"
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
OWN = ("cli", "extract", "probes", "reports", "rsa")
TICK = 1.0  # seconds between looks at what libraries have said, and at stages
MOST = 1000  # different messages that are told apart
INTERRUPTED = 130


class RunLog:
    """A context around a command.

    Until a place is known (`open`) entries wait in memory; a command that never names one leaves
    nothing behind unless it ends in an unexpected error.

    Parameters
    ----------
    command : name of the command.
    level : of `LEVELS`; what is below is not written. The file never has less than `info`.
    options : of the command as they were resolved, for the record.

    Attributes
    ----------
    path : of the file; None where there is none yet.
    screen : stream that leads to the user while standard error leads to the log; else None.
    """

    def __init__(self, command: str, level: str = "info", options: dict | None = None):
        self.command, self.level = command, min(LEVELS[level], LEVELS["info"])
        self.path: Path | None = None
        self.stage = ""
        self.on_tick: Callable[[], None] | None = None
        self.on_noise: Callable[[str, bool], None] | None = None
        self._begun = time.monotonic()
        self._run = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
        self._waiting: list[dict] = []
        self._file = -1
        self._said: Counter[str] = Counter()
        self._repeats: Counter[str] = Counter()
        self._warnings = 0
        self._lock = RLock()
        self._noise, self._done = Noise(), Event()
        self._options = options or {}

    # a place for it

    def open(self, folder: Path, name: str = FILE) -> None:
        """Appends to a file of a folder from here on, what was said before first.

        Of several calls the first counts: a run has one log. Where the folder cannot be written
        the log goes to the cache, and where that cannot be either there is none.
        """
        with self._lock:
            if self._file >= 0:
                return
            for place in (lambda: Path(folder) / name, lambda: _in_cache(f"{self.command}.{FILE}")):
                try:
                    path = place()
                    path.parent.mkdir(parents=True, exist_ok=True)
                    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
                    self._file, self.path = os.open(path, flags, 0o644), path
                    break
                except OSError:
                    continue
            waiting, self._waiting = self._waiting, []
            for entry in waiting:
                self._append(entry)

    def in_cache(self, name: str) -> None:
        """As `open`, in the cache: for commands that write no study."""
        try:
            self.open(_in_cache(""), f"{name}.{FILE}")
        except OSError:
            pass

    # what is said

    def write(self, level: str, event: str, message: str, **numbers: object) -> None:
        """One entry; `numbers` are plain data."""
        if LEVELS[level] < self.level:
            return
        now = f"{datetime.now(UTC).isoformat(timespec='milliseconds')[:-6]}Z"
        entry = {"time": now, "run": self._run, "level": level, "event": event,
                 "stage": self.stage, "message": message, **numbers}  # fmt: skip
        with self._lock:
            self._warnings += level == "warning"
            if self._file < 0:
                self._waiting.append(entry)
            else:
                self._append(entry)

    def once(self, level: str, event: str, message: str) -> bool:
        """Writes what was not said before in this run, and says whether that was so."""
        with self._lock:
            self._said[message] += 1
            if self._said[message] > 1 or len(self._said) > MOST:
                self._repeats[message if self._said[message] > 1 else "(others)"] += 1
                if len(self._said) > MOST:
                    del self._said[message]
                return False
            self.write(level, event, message)
            return True

    @property
    def seconds(self) -> float:
        """Since the command began."""
        return time.monotonic() - self._begun

    @property
    def screen(self):
        return self._noise.screen

    # beginning and end

    def __enter__(self) -> RunLog:
        if not os.environ.get("RSA_DEBUG"):
            self._noise.__enter__()
        self._handler = _Handler(self)
        root = logging.getLogger()
        self._before = root.level
        if self.level < LEVELS["info"]:
            root.setLevel(min(root.level, LEVELS["info"]))
        root.addHandler(self._handler)
        for name in OWN:
            logging.getLogger(name).setLevel(self.level)
        logging.captureWarnings(True)
        self.write("info", "begin", shlex.join(["rsa", *sys.argv[1:]]), command=self.command,
                   options=_plain(self._options), stderr=self._noise.path and str(self._noise.path),
               **_about_here())  # fmt: skip
        self._thread = Thread(target=self._watch, name="run log", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind, error: BaseException | None, trace) -> None:
        self._done.set()
        self._thread.join()
        logging.captureWarnings(False)
        logging.getLogger().removeHandler(self._handler)
        logging.getLogger().setLevel(self._before)
        for name in OWN:
            logging.getLogger(name).setLevel(logging.NOTSET)
        self._listen(last=True)
        for message, times in self._repeats.most_common():
            self.write("info", "repeats", message, times=times)
        outcome, code = _outcome(error)
        if outcome == "failed":
            known = isinstance(error, click.ClickException) or code != 1
            where = {} if known else {"traceback": "".join(traceback.format_exception(error))}
            self.write("error", "error", _words(error), type=kind.__name__, **where)
            if not known:
                if self._file < 0:
                    self.in_cache(self.command)
                if self.path:
                    error.add_note(f"the traceback is in {self.path}")
        self.stage = ""
        self.write("info", "end", outcome, exit_code=code, seconds=round(self.seconds, 2),
                   peak_memory=peak_memory(), peak_gpu_memory=_peak_of_gpu(),
                   warnings=self._warnings)  # fmt: skip
        self._noise.__exit__()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def summary(self) -> str:
        """Time, memory and the place of the log, in a line."""
        peak = peak_memory()
        memory = f", {peak / 2**30:.1f} GiB of memory at most" if peak else ""
        place = f"; log: {self.path}" if self.path else ""
        return f"{clock_time(self.seconds)} in all{memory}{place}"

    def repeated(self) -> list[tuple[str, int]]:
        """Warnings of this program that came again, and how often they came."""
        return [(m, self._said[m]) for m in self._repeats if self._said[m] > 1]

    def _watch(self) -> None:
        while not self._done.wait(TICK):
            self._listen()
            if self.on_tick:
                self.on_tick()

    def _listen(self, last: bool = False) -> None:
        for line, bar in self._noise.lines(last):
            new = not bar and self.once("info", "noise", line)
            if self.on_noise and (bar or new):
                self.on_noise(line, bar)

    def _append(self, entry: dict) -> None:
        if self._file < 0:
            return
        line = without_secrets(json.dumps(entry, ensure_ascii=False, default=str)) + "\n"
        try:
            os.write(self._file, line.encode("utf-8", "backslashreplace"))  # one write, one line
        except OSError:  # a full disk: what matters says so by itself
            pass


class _Handler(logging.Handler):
    """Entries of `logging` and `warnings`; libraries have to be louder than this program."""

    def __init__(self, log: RunLog):
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        own = record.name.partition(".")[0] in OWN
        least = self._log.level if own else self._log.level + 10
        if record.levelno < least:
            return
        level = next(n for n, at in reversed(LEVELS.items()) if at <= max(record.levelno, 10))
        try:
            message = record.getMessage().strip()
        except Exception:  # a library's arguments that do not fit its words
            message = str(record.msg)
        self._log.once(level, record.name, message)


def _about_here() -> dict:
    """Versions and machine, without loading anything heavy."""
    from cli.record import about_program
    from extract import memory

    return {
        **about_program(), "cpus": os.cpu_count(), "memory": memory.total(),
        "memory_free": memory.available(),
    }  # fmt: skip


def peak_memory() -> int | None:
    """Bytes that the process held at most."""
    from extract.memory import peak

    return peak() or None


def _peak_of_gpu() -> int | None:
    """Bytes of the first GPU that torch held at most, where one was used."""
    torch = sys.modules.get("torch")
    used = torch is not None and torch.cuda.is_initialized()
    return torch.cuda.max_memory_allocated() if used else None


def _in_cache(name: str) -> Path:
    from extract.weights import cache_dir

    return cache_dir("logs") / name


def _plain(options: dict) -> dict:
    return {
        key: value if isinstance(value, (str, int, float, bool, type(None), list, tuple)) else
        str(value) for key, value in options.items()
    }  # fmt: skip


def _words(error: BaseException) -> str:
    if isinstance(error, click.ClickException):
        return error.format_message()
    return str(error) or type(error).__name__


def _outcome(error: BaseException | None) -> tuple[str, int]:
    """In a word, and the exit code."""
    if error is None:
        return "done", 0
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return "interrupted", INTERRUPTED
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        return "failed" if code else "done", code
    if isinstance(error, click.exceptions.Exit):
        return "failed" if error.exit_code else "done", error.exit_code
    code = getattr(error, "exit_code", 1)
    return "failed", code if isinstance(code, int) else 1
