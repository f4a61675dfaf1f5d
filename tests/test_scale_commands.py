"""Commands run by several processes: the files of one process, also after one was killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_cli import ROOT, rsa

RATE = 16000
ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # sums of products come in another order with more


def music(folder: Path, clips: int) -> Path:
    """Tones with noise, two clips a track, with a word and a number each."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = ["path,track,place,hertz,split"]
    for i in range(clips):
        hertz = 110 * (1 + i // 2 % 7)
        t = np.arange(RATE) / RATE
        sound = 0.2 * np.sin(2 * np.pi * hertz * t) + 0.05 * rng.standard_normal(len(t))
        soundfile.write(folder / f"c{i:03d}.wav", sound, RATE)
        split = ("train", "train", "valid", "test")[i // 2 % 4]
        place = "low" if hertz < 500 else "high"
        lines.append(f"c{i:03d}.wav,t{i // 2},{place},{hertz},{split}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


def numbers(study: Path) -> dict[str, bytes]:
    """Name -> bytes of all results of a study."""
    found = {}
    for path in sorted(study.rglob("*")):
        if path.suffix in (".json", ".csv") and path.name != "study.json":
            found[str(path.relative_to(study))] = path.read_bytes()
    return found


def shards(cache: Path) -> dict[str, bytes]:
    found = sorted((cache / "activations").rglob("*.safetensors"))
    return {str(path.relative_to(cache)): path.read_bytes() for path in found}


def run(command, cache: Path, *more, **environment) -> str:
    code, out, error = rsa(*command, *more, RSA_CACHE=str(cache), **ONE_THREAD, **environment)
    assert code == 0, error
    return out


def extract_command(data: Path) -> tuple:
    return ("extract", "--model", "vgg-mtt", "--untrained", "--device", "cpu", "--data", data)


def compare_command(data: Path, study: Path) -> tuple:
    return (
        "compare", "--a", "vgg-mtt", "--b", "musicnn-mtt", "--untrained", "--device", "cpu",
        "--data", data, "--measures", "default", "--no-report", "--out", study, "--json",
    )  # fmt: skip


@pytest.mark.scale
@pytest.mark.parametrize("processes", [2, 4])
def test_every_shard_is_that_of_one_process(tmp_path, processes):
    data = music(tmp_path / "music", 150)
    run(extract_command(data), tmp_path / "one")
    out = run(extract_command(data), tmp_path / "several", "--processes", processes)
    assert out.count("rows of") == 1  # the first process alone prints
    alone = shards(tmp_path / "one")
    assert len(alone) == 5 and shards(tmp_path / "several") == alone


@pytest.mark.scale
@pytest.mark.parametrize("processes", [2, 4])
def test_a_comparison_is_that_of_one_process(tmp_path, processes):
    data = music(tmp_path / "music", 70)
    run(compare_command(data, tmp_path / "x"), tmp_path / "one")
    run(compare_command(data, tmp_path / "y"), tmp_path / "several", "--processes", processes)
    alone, together = numbers(tmp_path / "x"), numbers(tmp_path / "y")
    assert alone.keys() == together.keys() and len(alone) > 20
    assert [name for name in alone if alone[name] != together[name]] == []
    cards = [json.loads((tmp_path / s / "study.json").read_text()) for s in "xy"]
    for key in ("models", "data", "rows", "settings", "failures"):
        assert cards[0][key] == cards[1][key]


@pytest.mark.scale
def test_torchrun_starts_them_too_and_probes_are_those_of_one_process(tmp_path):
    data = music(tmp_path / "music", 60)
    command = (
        "probe", "--model", "vgg-mtt", "--untrained", "--device", "cpu", "--data", data,
        "--no-report", "--json",
    )  # fmt: skip
    run((*command, "--out", tmp_path / "x"), tmp_path / "one")
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         "-m", "cli.main", *map(str, command), "--out", str(tmp_path / "y")],
        capture_output=True, text=True, cwd=ROOT,
        env={**os.environ, "RSA_CACHE": str(tmp_path / "several"), **ONE_THREAD},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)
    assert numbers(tmp_path / "x") == numbers(tmp_path / "y")


def workers(launcher: int) -> list[int]:
    """Processes that a launcher started, by the environment that it gave them."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            known = (path / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if parent == launcher and any(one.startswith(b"RANK=") for one in known):
            found.append(int(path.name))
    return sorted(found)


@pytest.mark.scale
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds workers in /proc")
@pytest.mark.parametrize("processes", [2, 4])
def test_a_killed_process_is_started_again_and_nothing_is_lost(tmp_path, processes):
    data = music(tmp_path / "music", 300)
    cache = tmp_path / "several"
    command = [sys.executable, "-m", "cli.main", *map(str, extract_command(data))]
    started = subprocess.Popen(
        [*command, "--processes", str(processes)], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "RSA_CACHE": str(cache), **ONE_THREAD},
    )  # fmt: skip
    kept = {}
    while started.poll() is None and not kept:
        time.sleep(0.05)
        kept = shards(cache) if cache.exists() else {}
    assert 0 < len(kept) < 10, "it was over before a process could be killed"
    os.kill(workers(started.pid)[-1], signal.SIGKILL)
    out, error = started.communicate(timeout=280)
    assert started.returncode == 0, error
    assert "was killed (signal 9); all begin again" in error and out.count("rows of") == 1
    run(extract_command(data), tmp_path / "one")
    assert shards(cache) == shards(tmp_path / "one")


@pytest.mark.scale
def test_an_error_is_one_line_and_ends_all(tmp_path):
    data = music(tmp_path / "music", 70)
    for path in data.glob("*.wav"):
        path.write_bytes(b"no audio")
    code, out, error = rsa(
        *extract_command(data), "--quiet", "--processes", 2, RSA_CACHE=str(tmp_path / "c"),
        **ONE_THREAD,
    )  # fmt: skip
    assert code == 4 and not out
    said = [line for line in error.splitlines() if line.startswith("rsa:")]
    assert len(said) == 1 and "could not be used" in said[0] and "Traceback" not in error


@pytest.mark.scale
def test_a_process_that_stands_still_is_missed_by_the_others(tmp_path):
    data = music(tmp_path / "music", 70)
    command = [sys.executable, "-m", "cli.main", *map(str, extract_command(data))]
    about = {
        **os.environ, "RSA_CACHE": str(tmp_path / "c"), "RSA_PATIENCE": "30", "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), **ONE_THREAD,
    }  # fmt: skip
    pair = [
        subprocess.Popen(command, cwd=ROOT, env={**about, "RANK": str(rank)}, text=True,
                         stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        for rank in (0, 1)
    ]  # fmt: skip
    try:
        while not shards(tmp_path / "c") and pair[0].poll() is None:
            time.sleep(0.05)
        os.kill(pair[1].pid, signal.SIGSTOP)
        _, error = pair[0].communicate(timeout=200)
        assert pair[0].returncode == 1
        assert "process 1 was not heard of for 30 s" in error and "Traceback" not in error
    finally:
        for process in pair:
            process.kill()


@pytest.mark.scale
def test_bytes_and_memory_are_what_a_dry_run_said(tmp_path):
    data, cache = music(tmp_path / "music", 400), tmp_path / "c"
    said = json.loads(run((*extract_command(data), "--dry-run", "--json"), cache))
    command = [sys.executable, "-m", "cli.main", *map(str, extract_command(data))]
    about = {**os.environ, "RSA_CACHE": str(cache), **ONE_THREAD}
    started = subprocess.Popen(
        command, cwd=ROOT, env=about, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    error = started.stderr.read()
    _, status, usage = os.wait4(started.pid, 0)
    assert status == 0, error
    took = float(re.search(r"activations of vgg-mtt \(([0-9.]+) s\)", error)[1])
    files = (cache / "activations").rglob("*")
    written = sum(path.stat().st_size for path in files if path.is_file())
    assert written == said["to_write"]
    assert said["memory"] == pytest.approx(1024 * usage.ru_maxrss, rel=0.2)
    # how near is for a quiet machine to say: docs/scale.md
    assert took / 5 < said["seconds"] < 5 * took


def free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
