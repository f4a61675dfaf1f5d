"""Processes that meet through gloo: what each does, and what one that is gone does to others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from joined_worker import compared, data
from small_model import SmallModel

from cli import processes
from extract.pipeline import extract

WORKER = Path(__file__).parent / "joined_worker.py"


def free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def meet(folder: Path, size: int, patience: int = 60) -> list[subprocess.CompletedProcess]:
    """Runs so many workers to their ends."""
    about = {
        **os.environ, "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()), "OMP_NUM_THREADS": "1", "RSA_PATIENCE": str(patience),
        "PYTHONPATH": os.pathsep.join([str(WORKER.parent.parent), str(WORKER.parent)]),
    }  # fmt: skip
    started = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(folder)], env={**about, "RANK": str(rank)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(size)
    ]  # fmt: skip
    try:
        return [
            subprocess.CompletedProcess(one.args, one.returncode, out, error)
            for one in started
            for out, error in [one.communicate(timeout=280)]
        ]
    finally:
        for one in started:
            one.kill()


def check(folder: Path, size: int, alone: Path) -> None:
    """The workers saw each other, and came to what one process comes to."""
    found = [json.loads((folder / f"found-{rank}.json").read_text()) for rank in range(size)]
    expected = extract(SmallModel(), data(), data().clips, ["clips"], alone)["clips"]
    store = Path(folder / "store") / expected.store.folder.relative_to(alone)
    for shard in range(expected.store.plan.shards):
        name = expected.store.path(shard).name
        assert (store / name).read_bytes() == expected.store.path(shard).read_bytes()
    one = json.loads(json.dumps(compared(expected)))
    assert all(each["compared"] == one for each in found)


def dealt(folder: Path, size: int) -> list[int]:
    found = [json.loads((folder / f"found-{rank}.json").read_text()) for rank in range(size)]
    return sorted(sum((each["shards"] for each in found), []))


@pytest.mark.parametrize("size", [2, pytest.param(4, marks=pytest.mark.scale)])
def test_processes_share_what_one_would_do(tmp_path, size, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    done = meet(tmp_path, size)
    assert [one.returncode for one in done] == [0] * size, done[0].stderr + done[1].stderr
    for rank in range(size):
        seen = json.loads((tmp_path / f"seen-{rank}.json").read_text())
        assert seen["agreed"] == ["of", 0]
        assert sum(seen["parts"], []) == list(range(10)) and len(seen["parts"]) == size
        assert seen["turns"] == list(range(7))
        assert seen["sum"] == [[size * (size + 1) / 2] * 3] * 2
    assert dealt(tmp_path, size) == list(range(7))
    check(tmp_path, size, tmp_path / "alone")


@pytest.mark.scale
@pytest.mark.parametrize("size", [2, 4])
def test_one_that_is_killed_is_missed_and_its_shards_are_made_the_next_time(tmp_path, size):
    (tmp_path / "kill").touch()
    done = meet(tmp_path, size, patience=5)
    codes = [one.returncode for one in done]
    assert codes[0] == 1 and codes[1] == -9
    last = done[0].stderr.strip().splitlines()[-1]
    assert "not heard of" in last or "is gone" in last
    assert "finished work is kept" in last
    (tmp_path / "kill").unlink()
    done = meet(tmp_path, size)
    assert [one.returncode for one in done] == [0] * size, done[0].stderr
    assert len(dealt(tmp_path, size)) < 7
    check(tmp_path, size, tmp_path / "alone")


def test_a_process_without_others_is_alone(monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    with processes.joined() as team:
        assert team is processes.current() and team.first and not processes.silent()
        assert team.mine([1, 2]) == [1, 2] and list(team.turns(2)) == [0, 1]
        assert team.agreed("x") == "x" and team.gather("x") == ["x"]
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert processes.expected() == 3 and processes.silent()


def test_a_process_that_finds_no_other_says_so(monkeypatch):
    for name, value in (("RANK", "1"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "127.0.0.1"),
                        ("MASTER_PORT", str(free_port()))):  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(processes, "PATIENCE", 1.0)
    with pytest.raises(processes.ProcessLost, match="process 1 of 2 could not join") as found:
        processes.Joined()
    assert "\n" not in str(found.value)
