"""Commands killed at random moments and given again: in the end nothing differs.

`make faults` kills RSA_KILLS times (50), the default run a few times. Moments are drawn from
RSA_KILLS_SEED: half of them a moment of the clock, half a change to the disk that is not lived to
see, such as the rename of a finished file.
"""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from forked import ROOT, Forks

from cli import kept
from cli.known import ROOMS
from extract import stores
from extract.writing import abandoned

KILLS = int(os.environ.get("RSA_KILLS", 50))
SEED = int(os.environ.get("RSA_KILLS_SEED", 7))
FEW = 3  # of the default run
CLIPS, RATE = 70, 8000
NET = """
from torch import nn
from extract.models.own import wrap


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.front = nn.Sequential(nn.Conv1d(1, 6, 400, stride=160), nn.GELU())
        self.back = nn.Sequential(nn.Conv1d(6, 5, 3, padding=1), nn.GELU())

    def forward(self, waveforms):
        return self.back(self.front(waveforms[:, None])).mean(-1)


TAPS = {"front": "front", "back": "back"}
ONE = wrap(Net, name="one", sample_rate=8000, window=0.5, taps=TAPS)
TWO = wrap(Net, name="two", sample_rate=8000, window=0.5, taps=TAPS)
"""
DATA = ("--untrained", "--data", "sounds")
EXTRACT = ("extract", "--model", "mynet:ONE", *DATA, "--rows", "frames", "--grid", "10")
COMPARE = ("compare", "--a", "mynet:ONE", "--b", "mynet:TWO", *DATA, "--measures",
           "cka:linear,biased,procrustes", "--tasks", "hertz", "--no-why", "--no-report",
           "--out", "compared")  # fmt: skip
PROBE = ("probe", "--model", "mynet:ONE", *DATA, "--task", "hertz", "--head", "knn", "--no-checks",
         "--no-why", "--no-report", "--out", "probed")  # fmt: skip
# what no two runs have in common
DIFFERS = ("created", "timings", "command")
LOG = "run.log.jsonl"


@pytest.fixture(scope="module")
def rsa():
    with Forks() as forks:
        yield forks


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """A folder to copy: sounds with one label, and two small networks."""
    folder = tmp_path_factory.mktemp("material")
    (folder / "sounds").mkdir()
    (folder / "mynet.py").write_text(NET)
    rng, rows = np.random.default_rng(0), []
    for i in range(CLIPS):
        hertz = rng.uniform(150, 3000)
        wave = 0.2 * np.sin(2 * np.pi * hertz * np.arange(RATE // 2) / RATE)
        sound = wave + 0.02 * rng.standard_normal(len(wave))
        soundfile.write(folder / "sounds" / f"{i:02}.wav", sound, RATE)
        split = ("train", "train", "train", "valid", "test")[i % 5]
        rows.append((f"{i:02}.wav", split, f"{hertz:.1f}"))
    with open(folder / "sounds" / "manifest.csv", "w", newline="") as file:
        csv.writer(file).writerows([("path", "split", "hertz"), *rows])
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """Every file of the cache and of the studies, but for what no two runs have in common."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not path.is_file() or name.split(os.sep)[0] not in ("cache", "compared", "probed"):
            continue
        if path.name.endswith(LOG):  # every run is noted there
            continue
        found[name] = path.read_bytes()
        if path.name == "study.json":
            study = json.loads(found[name])
            for key in DIFFERS:
                assert study.pop(key)
            found[name] = json.dumps(study).encode()
    return found


def check_whole(folder: Path) -> None:
    """After a kill: whatever has its name is whole; the rest is known for what it is."""
    cache = folder / "cache"
    if (cache / "activations").is_dir():
        for store in stores.find(cache / "activations"):
            left = [fault for fault in stores.verify(store) if fault.cure != "remove it"]
            assert not left and not store.claimed, left
    for room in ROOMS:
        for path in sorted((cache / room).glob("*.json")):
            assert kept.read(path, beside=path.with_suffix(".npz")) is not None, path


def killed(rsa: Forks, material: Path, folder: Path, arguments, kills: int, rng) -> list[str]:
    """Kills a command so many times, gives it again until it ends, and compares.

    Returns
    -------
    For every kill how far it had come: the last line it had written.
    """
    where: list[str] = []
    shutil.copytree(material, folder / "calm")
    begun = time.monotonic()
    calm = rsa(folder / "calm", *arguments)
    seconds = time.monotonic() - begun
    assert calm.code == 0, calm.text("error")
    wanted = content(folder / "calm")
    chain = 0
    while len(where) < kills:
        place = folder / f"killed{chain}"
        chain += 1
        shutil.copytree(material, place)
        code = -signal.SIGKILL
        while code == -signal.SIGKILL and len(where) < kills:
            if rng.random() < 0.5:
                run = rsa(place, *arguments, change=rng.randint(1, calm.changes))
                code = run.code
            else:
                run = rsa.start(place, *arguments)
                code = run.kill(rng.uniform(0, seconds))
            assert code in (0, -signal.SIGKILL), run.text("error")
            if code:
                where.append((run.text("error").splitlines() or ["before the first line"])[-1])
            check_whole(place)
        if code:
            run = rsa(place, *arguments)
            assert run.code == 0, run.text("error")
        assert not list(abandoned(place)) and not list(place.rglob("*.part"))
        found = content(place)
        assert sorted(found) == sorted(wanted)
        assert [name for name in wanted if found[name] != wanted[name]] == []
        shutil.rmtree(place)
    return where


def test_a_few_kills_leave_no_trace(rsa, material, tmp_path):
    where = killed(rsa, material, tmp_path, EXTRACT, FEW, random.Random(SEED))
    assert len(where) == FEW


@pytest.mark.faults
@pytest.mark.parametrize("share", range(3), ids=("extract", "compare", "probe"))
def test_kills_at_random_moments_leave_no_trace(rsa, material, tmp_path, share):
    kills = KILLS // 3 + (share < KILLS % 3)
    rng = random.Random(f"{SEED} {share}")
    where = killed(rsa, material, tmp_path, (EXTRACT, COMPARE, PROBE)[share], kills, rng)
    assert len(where) >= kills
    print(*where, sep="\n")


@pytest.mark.faults
@pytest.mark.parametrize("arguments", [EXTRACT, PROBE], ids=("extract", "probe"))
def test_two_processes_at_once_one_of_them_killed(rsa, material, tmp_path, arguments):
    """Their store is that of one process; the one that is left does the work of both."""
    shutil.copytree(material, tmp_path / "calm")
    shutil.copytree(material, tmp_path / "two")
    calm = rsa(tmp_path / "calm", *arguments)
    assert calm.code == 0, calm.text("error")
    wanted, rng = content(tmp_path / "calm" / "cache"), random.Random(SEED)
    other = tuple("other" if one == "probed" else one for one in arguments)
    for _ in range(4):
        shutil.rmtree(tmp_path / "two" / "cache", ignore_errors=True)
        victim = rsa.start(tmp_path / "two", *other, change=rng.randint(1, calm.changes))
        run = rsa(tmp_path / "two", *arguments)
        assert run.code == 0, run.text("error")
        assert victim.wait() in (0, -signal.SIGKILL), victim.text("error")
        check_whole(tmp_path / "two")
        assert rsa(tmp_path / "two", *arguments).code == 0
        assert content(tmp_path / "two" / "cache") == wanted


# Ctrl-C


def interrupt(folder: Path, arguments, moment: str) -> bool:
    """Runs a command as a terminal does and presses Ctrl-C when it says `moment`, or maps it.

    Returns
    -------
    False if the command was faster and has ended as if nothing had been pressed.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RSA_CACHE": str(folder / "cache")}
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", *arguments], cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        # a shell's background jobs ignore it, and so would what they start
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    said = ""
    if moment.startswith("import "):
        maps = Path(f"/proc/{process.pid}/maps")
        while moment.removeprefix("import ") not in maps.read_text():
            assert process.poll() is None
            time.sleep(0.01)
    else:
        while moment not in said:
            more = process.stderr.readline()
            assert more, said
            said += more
    time.sleep(random.Random(f"{SEED} {moment}").uniform(0, 0.2))
    os.killpg(process.pid, signal.SIGINT)
    out, more = process.communicate(timeout=300)
    return interrupted(folder, process.returncode, out, said + more)


def interrupted(folder: Path, code: int, out: str, said: str) -> bool:
    """Checks what Ctrl-C left: one line, nothing half, no claim; False if it came too late."""
    assert code in (0, 130), said
    lines = [one for one in said.splitlines() if "interrupted; finished work is kept" in one]
    assert lines == (said.splitlines()[-1:] if code else [])
    assert "Traceback" not in said and "Exception" not in said
    check_whole(folder)
    assert not list(folder.rglob("*.part")) and not list(folder.rglob("claims/*"))
    if code:
        assert not out
    return code == 130


def test_ctrl_c_in_extraction_is_one_line(rsa, material, tmp_path):
    shutil.copytree(material, tmp_path / "calm")
    calm = rsa(tmp_path / "calm", *EXTRACT)
    assert calm.code == 0, calm.text("error")
    for part in (0.25, 0.75):
        shutil.copytree(material, work := tmp_path / f"work{part}")
        run = rsa(work, *EXTRACT, change=int(part * calm.changes), number=signal.SIGINT)
        assert interrupted(work, run.code, run.text("out"), run.text("error"))
        assert rsa(work, *EXTRACT).code == 0
        assert content(work) == content(tmp_path / "calm")


def test_ctrl_c_after_the_work_changes_nothing():
    """A process that has ended its command takes a moment to leave; nothing is said of it then."""
    late = (
        "import atexit, os, signal, sys\n"
        "sys.argv = ['rsa', '--version']\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\n"
        "from cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", late], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("rsa")


STUDY = """
title = "Two small networks"
question = "Does it stop?"

[[probe]]
name = "first"
models = ["mynet:ONE"]
data = "sounds"
tasks = "hertz"
heads = "none"
checks = false
why = false
"""


@pytest.mark.faults
def test_ctrl_c_at_every_stage_and_the_commands_go_on(rsa, material, tmp_path):
    work, calm = tmp_path / "work", tmp_path / "calm"
    shutil.copytree(material, work)
    shutil.copytree(material, calm)
    tried = in_time = 0
    for arguments, moments in (
        (EXTRACT, ("import libtorch", "activations of one ...")),
        (COMPARE, ("import libtorch", "activations of references ...", "similarity ...",
                   "geometry of one ...", "probes of one ...")),
        (PROBE, ("probes of one ...", "probes of references ...")),
    ):  # fmt: skip
        for moment in moments:
            in_time += interrupt(work, arguments, moment)
            tried += 1
        assert rsa(work, *arguments).code == rsa(calm, *arguments).code == 0
    assert in_time > tried / 2
    found, wanted = content(work), content(calm)
    assert sorted(found) == sorted(wanted)
    assert [name for name in wanted if found[name] != wanted[name]] == []
    (work / "two.toml").write_text(STUDY)
    study = ("study", "two.toml", "--untrained", "--out", "together")
    assert interrupt(work, study, "probes of one ...")
    assert not list((work / "together").glob("*/study.json"))
    assert rsa(work, *study).code == 0
    assert [one.parent.name for one in (work / "together").glob("*/study.json")] == ["01-first"]
    assert interrupt(work, ("report", "compared"), "report ...")
    assert not (work / "compared" / "report.pdf").exists()
    assert rsa(work, "report", "compared").code == 0
    assert (work / "compared" / "report.pdf").read_bytes().rstrip().endswith(b"%%EOF")
