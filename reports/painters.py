"""Spreads the drawing of figures over processes.

A process of its own runs this file's `serve`: it is given all jobs at once and is then asked for
one after the other. It starts from a fresh interpreter, so that no threads of the caller are forked
and no script of the user's is imported again; whatever it cannot do, the caller does.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

J = TypeVar("J")
R = TypeVar("R")
Work = Callable[[J, Path, Sequence[str]], R]
ENOUGH = 8  # jobs that pay for the start of one process more
_START = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from reports.painters import serve; serve()"
)


def spread(work: Work, jobs: Sequence[J], folder: Path, kinds: Sequence[str]) -> list[R]:
    """`work(job, folder, kinds)` of every job, in the order of the jobs.

    The results are those of one process: which process does a job changes nothing. No more
    processes than cores, the caller's included; none is left when this returns or raises.
    """
    helpers = min(_cores() - 1, len(jobs) // ENOUGH)
    done: dict[int, R] = {}
    # From the end: maps, which take longest, come last in a report.
    queue = _Queue(range(len(jobs) - 1, -1, -1))
    started: list[_Helper] = []
    try:
        if helpers > 0:
            task = pickle.dumps((work, list(jobs), folder, list(kinds)))
            started = [_Helper(task, queue, done) for _ in range(helpers)]
        while (at := queue.take()) is not None:
            done[at] = work(jobs[at], folder, kinds)
        for helper in started:
            helper.join()
    finally:
        for helper in started:
            helper.end()
    return [
        done[at] if at in done else work(job, folder, kinds) for at, job in enumerate(jobs)
    ]  # what a helper failed at, with its error


def serve() -> None:
    """The other side: numbers of jobs from standard input, results to standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller ends it
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    work, jobs, folder, kinds = pickle.load(asked)
    while line := asked.readline():
        _send(answers, work(jobs[int(line)], folder, kinds))


class _Queue:
    """Numbers that several threads take, each once."""

    def __init__(self, numbers: Sequence[int]):
        self._numbers = iter(numbers)
        self._lock = threading.Lock()

    def take(self) -> int | None:
        with self._lock:
            return next(self._numbers, None)


class _Helper:
    """One process, and the thread that asks it for one job after the other."""

    def __init__(self, task: bytes, queue: _Queue, done: dict[int, Any]):
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._thread = threading.Thread(target=self._ask, args=(task, queue, done), daemon=True)
        self._thread.start()

    def _ask(self, task: bytes, queue: _Queue, done: dict[int, Any]) -> None:
        told, answers = self._process.stdin, self._process.stdout
        try:
            told.write(pickle.dumps(sys.path) + task)
            told.flush()
            while (at := queue.take()) is not None:
                told.write(b"%d\n" % at)
                told.flush()
                done[at] = pickle.load(answers)
        except (OSError, EOFError, pickle.UnpicklingError):
            pass  # it has failed or was ended; the caller does what is not done

    def join(self) -> None:
        self._thread.join()

    def end(self) -> None:
        """Ends the process, which has nothing of its own to lose, and waits for it."""
        self._process.kill()
        self._process.wait()
        self._thread.join()
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                pipe.close()
            except OSError:
                pass  # what was still to be written


def _send(answers: BinaryIO, result: Any) -> None:
    pickle.dump(result, answers)
    answers.flush()


def _cores() -> int:
    """Cores that this process may use, quotas of a container included."""
    from joblib import cpu_count

    return cpu_count()
