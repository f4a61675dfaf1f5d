"""The command line as a test calls it: in a process of its own, or in the test's."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

from cli.main import main

ROOT = Path(__file__).parent.parent


def rsa(*arguments, **environment):
    """Runs the command in a process of its own; (exit code, standard output, standard error)."""
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", *map(str, arguments)],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, **environment},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def here(*arguments, **environment):
    """As `rsa`, in this process: nothing is loaded anew."""
    out, error, code = io.StringIO(), io.StringIO(), 0
    given = mock.patch.object(sys, "argv", ["rsa", *map(str, arguments)])
    heard = signal.getsignal(signal.SIGINT)
    with given, mock.patch.dict(os.environ, environment):
        with redirect_stdout(out), redirect_stderr(error):
            try:
                main()
            except SystemExit as done:
                code = done.code or 0
            finally:
                signal.signal(signal.SIGINT, heard)
    return code, out.getvalue(), error.getvalue()
