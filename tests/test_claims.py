"""Several processes on one store: each shard is computed once, by whoever is free."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock
from small_model import SmallData, SmallModel

from extract import claims, writing
from extract.claims import FOLDER, held, locked
from extract.errors import StoreError
from extract.pipeline import Options, extract, open_store

CLIPS, SHARDS = 160, 5


class Told(SmallModel):
    """Leaves a line for every batch, and takes its time."""

    def __init__(self, log, seconds):
        super().__init__()
        self.log, self.seconds = log, seconds

    def forward(self, values, until=None):
        with open(self.log, "a") as file:
            file.write(f"{os.getpid()} {len(values)}\n")
        time.sleep(self.seconds)
        return super().forward(values)


def run(folder, log, seconds, together=1):
    data = SmallData((1.0,) * CLIPS)
    Path(f"{log}-{os.getpid()}").touch()
    while len(list(Path(log).parent.glob("log-*"))) < together:
        time.sleep(0.01)
    extract(Told(log, seconds), data, data.clips, ["clips"], folder)


def begin(*arguments):
    process = multiprocessing.get_context("spawn").Process(target=run, args=arguments)
    process.start()
    return process


def lines(log):
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


def shards(folder):
    return {p.name: p.read_bytes() for p in Path(folder).rglob("shard-*")}


def whole(folder):
    data = SmallData((1.0,) * CLIPS)
    return extract(SmallModel(), data, data.clips, ["clips"], folder)["clips"].store


def test_two_processes_share_the_shards_and_write_the_same_bytes(tmp_path):
    log = tmp_path / "log"
    both = [begin(tmp_path / "two", log, 0.1, 2) for _ in range(2)]
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]
    store = whole(tmp_path / "one")
    assert shards(tmp_path / "two") == shards(tmp_path / "one")
    assert sum(int(count) for _, count in lines(log)) == CLIPS  # nothing was computed twice
    assert len({pid for pid, _ in lines(log)}) == 2
    names = {path.name for path in (tmp_path / "two" / "small" / store.folder.name).iterdir()}
    assert names == {"manifest.json", *(f"shard-{i:05d}.safetensors" for i in range(SHARDS))}


def test_the_claims_of_a_killed_process_are_taken_over(tmp_path):
    log, folder = tmp_path / "log", tmp_path / "two"
    first = begin(folder, log, 0.2)
    deadline = time.monotonic() + 120
    while len(lines(log)) < 6:
        assert first.is_alive() and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(first.pid, signal.SIGKILL)
    first.join()
    assert list(folder.rglob(f"{FOLDER}/*"))  # it held some
    run(folder, log, 0.0)
    whole(tmp_path / "one")
    assert shards(folder) == shards(tmp_path / "one")
    assert not list(folder.rglob(FOLDER)) and not list(folder.rglob("*.part"))


def test_a_shard_of_another_process_is_waited_for(tmp_path, monkeypatch):
    data = SmallData((1.0,) * 64)
    store = open_store(SmallModel(), data, data.clips, "clips", tmp_path, Options())
    other = locked(store.folder / FOLDER / "00000")
    assert held(store.folder)
    extract(SmallModel(), data, data.clips, ["clips"], tmp_path / "else")
    source = next((tmp_path / "else").rglob("shard-00000*"))
    waits, seen = [], []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 2:
            os.replace(source, store.path(0))
            other.release()

    monkeypatch.setattr(claims.time, "sleep", sleep)
    model = SmallModel()
    extract(model, data, data.clips, ["clips"], tmp_path, progress=lambda *two: seen.append(two))
    assert len(waits) == 2 and model.calls > 0 and seen[0] == (0, 64) and seen[-1] == (64, 64)
    assert (32, 64) in seen and not held(store.folder)


def test_kinds_of_rows_are_claimed_apart(tmp_path):
    """A process that wants more rows of a shard than another computes those others alone."""
    data = SmallData((1.0,) * 3)
    stores = {
        kind: open_store(SmallModel(), data, data.clips, kind, tmp_path, Options())
        for kind in ("clips", "frames:5")
    }
    with claims.Claims({"clips": stores["clips"]}, print) as mine:
        taken = mine.take()
        assert taken.kinds == ("clips",) and mine.take() is None and mine.left == 3
        with claims.Claims(stores, print) as others:
            assert others.take().kinds == ("frames:5",)
            assert others.take() is None and others.left == 3
        assert held(stores["clips"].folder) and not held(stores["frames:5"].folder)
    assert not list(tmp_path.rglob(FOLDER))


@pytest.mark.parametrize("error", [OSError(errno.ENOLCK, "No locks"), NotImplementedError()])
def test_without_locks_it_is_said_once_and_gone_on(tmp_path, monkeypatch, error):
    def acquire(self, **_):
        raise error

    monkeypatch.setattr(FileLock, "acquire", acquire)
    data, said = SmallData((1.0,) * 70), []
    extract(SmallModel(), data, data.clips, ["clips"], tmp_path, say=said.append)
    assert len(said) == 1 and "has no locks" in said[0] and str(tmp_path) in said[0]
    assert not list(tmp_path.rglob(FOLDER))


def test_a_store_that_cannot_be_written_is_told_before_anything_is_computed(tmp_path, monkeypatch):
    data, model = SmallData((1.0,) * 3), SmallModel()
    open_store(model, data, data.clips, "clips", tmp_path, Options())

    def acquire(self, **_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(FileLock, "acquire", acquire)
    with pytest.raises(StoreError, match="claims/00000: cannot write: Permission.*RSA_CACHE"):
        extract(model, data, data.clips, ["clips"], tmp_path)
    assert model.calls == 0


def test_what_a_process_left_that_was_killed_after_its_last_rename_goes(tmp_path):
    store = whole(tmp_path)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    part = store.folder / f".shard-00004.safetensors.{writing._HOST}-{dead.pid}-0123abcd.part"
    part.mkdir()
    whole(tmp_path)
    assert not part.exists()
