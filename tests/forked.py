"""Runs of `rsa` that are killed: each is a fork of a process that has imported everything.

A fork begins in a moment, so that many can be killed. It ends itself with SIGKILL just before the
N-th change to a folder (a file opened for writing, renamed, removed, a folder made), or is killed
from outside after some seconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHANGES = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree")
# what commands import inside functions, so that no fork does it again
HEAVY = (
    "torch", "librosa", "sklearn.linear_model", "scipy.stats", "rsa", "rsa.why.partition",
    "rsa.why.returning", "probes", "probes.framing.running", "probes.why.evidence", "reports",
    "reports.writing", "matplotlib.pyplot", "extract.pipeline", "extract.models.descriptors",
    "cli.compare", "cli.comparison", "cli.probe", "cli.probingrun", "cli.extract", "cli.why",
    "cli.maps", "cli.similarity", "cli.layers", "cli.screen",
)  # fmt: skip


def main() -> None:
    """Reads runs as JSON, one a line; answers with `[pid]`, and with `[pid, status]` at the end."""
    from importlib import import_module

    for name in HEAVY:
        import_module(name)
    _answer("ready")
    children = {}
    for line in sys.stdin:
        run = json.loads(line)
        if "wait" in run:
            _answer([run["wait"], os.waitpid(run["wait"], 0)[1]])
            continue
        pid = os.fork()
        if pid == 0:
            _child(run)
        children[pid] = run
        _answer([pid])


def _answer(what) -> None:
    print(json.dumps(what), flush=True)


def _child(run: dict) -> None:
    code = 1
    try:
        os.chdir(run["folder"])
        sys.path.insert(0, run["folder"])
        os.environ["RSA_CACHE"] = run["cache"]
        sys.argv = ["rsa", *run["arguments"]]
        for number, name in ((1, "out"), (2, "error")):
            target = os.open(f"{run['log']}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(target, number)
        sys.stdin = open(os.devnull)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _watch(Path(run["folder"]), run["change"], run["signal"], f"{run['log']}.changes")
        from cli.main import main as command

        command()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _watch(folder: Path, last: int | None, number: int, log: str) -> None:
    """Ends the process before change `last`; counts the changes in `log` by its size."""
    below, seen = str(folder) + os.sep, [0]
    count = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)

    def hook(event: str, arguments: tuple) -> None:
        if event == "open":
            path, _, flags = arguments
            if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR):
                return
        elif event in CHANGES:
            path = arguments[0]
        else:
            return
        if not isinstance(path, (str, os.PathLike)) or below not in os.path.abspath(path) + os.sep:
            return
        seen[0] += 1
        os.write(count, b".")
        if seen[0] == last:
            os.kill(os.getpid(), number)

    sys.addaudithook(hook)


class Forks:
    """The process that is forked; a context."""

    def __init__(self):
        self.runs = 0

    def __enter__(self) -> Forks:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=ROOT, env=environment,
        )  # fmt: skip
        assert self._hear() == "ready"
        return self

    def __exit__(self, *_) -> None:
        self.process.stdin.close()
        self.process.wait()

    def start(
        self, folder: Path, *arguments, change: int | None = None, number: int = signal.SIGKILL
    ) -> Run:
        """Begins `rsa ARGUMENTS` in a folder, which is watched and has a cache of its own.

        Parameters
        ----------
        change : number of the change that the signal `number` comes before.
        """
        self.runs += 1
        log = folder.parent / f"{folder.name}-{self.runs}"
        self._say(
            {
                "arguments": [str(one) for one in arguments], "folder": str(folder),
                "cache": str(folder / "cache"), "log": str(log),
                "change": change, "signal": int(number),
            }
        )  # fmt: skip
        return Run(self, self._hear()[0], log)

    def __call__(self, folder: Path, *arguments, **options) -> Run:
        """Runs to the end."""
        run = self.start(folder, *arguments, **options)
        run.wait()
        return run

    def _say(self, what: dict) -> None:
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def _hear(self):
        line = self.process.stdout.readline()
        assert line, "the process that is forked has ended"
        return json.loads(line)


class Run:
    """A command that runs or has run; `code` is as of subprocess: -9 for one that was killed."""

    def __init__(self, forks: Forks, pid: int, log: Path):
        self.forks, self.pid, self.log, self.code = forks, pid, log, None

    def wait(self) -> int:
        self.forks._say({"wait": self.pid})
        self.code = os.waitstatus_to_exitcode(self.forks._hear()[1])
        return self.code

    def kill(self, seconds: float, number: int = signal.SIGKILL) -> int:
        """Sends a signal after some seconds, or after the end."""
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
        return self.wait()

    @property
    def changes(self) -> int:
        """Changes to the folder so far."""
        return Path(f"{self.log}.changes").stat().st_size

    def text(self, name: str) -> str:
        """What it wrote to `out` or `error`."""
        return Path(f"{self.log}.{name}").read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
