"""Jobs for `reports.painters` that tell which process does them; `kinds` names the caller."""

from __future__ import annotations

import os
import time
from pathlib import Path


def of_name(job: int, folder: Path, kinds: list[str]) -> tuple:
    """Tells where it was done."""
    print("printed by a job", flush=True)
    return job, str(folder), tuple(kinds), os.getpid()


def helpless(job: int, folder: Path, kinds: list[str]) -> int:
    """Done by the process of this number alone."""
    if str(os.getpid()) not in kinds:
        raise RuntimeError("not here")
    return job


def stopping(job: int, folder: Path, kinds: list[str]) -> int:
    """Interrupts the caller while another process is at work."""
    if str(os.getpid()) in kinds:
        raise KeyboardInterrupt
    time.sleep(60)
    return job


def waiting(job: int, folder: Path, kinds: list[str]) -> int:
    """The caller begins one and waits until all others are done."""
    if str(os.getpid()) in kinds:
        while len(list(folder.iterdir())) < 19:
            time.sleep(0.01)
    else:
        (folder / str(job)).touch()
    return os.getpid()
