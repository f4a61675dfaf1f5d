"""Memory: limits of machine, container and process; pieces of work that share what there is."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from small_model import SmallData, SmallModel

from extract import forward, memory
from extract.errors import ActivationsInvalid
from extract.forward import Forward
from extract.pipeline import extract

GB = 1 << 30
ROOT = Path(__file__).parent.parent


def container(root: Path, files: dict[str, object], cgroup: str, free: int = 64 * GB) -> Path:
    """A file system as a container shows it."""
    files = {
        "proc/self/cgroup": cgroup,
        "proc/meminfo": f"MemTotal: 99 kB\nMemAvailable: {free >> 10} kB\n",
        **{f"sys/fs/cgroup/{name}": value for name, value in files.items()},
    }
    for name, value in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    return root


def test_the_least_limit_of_a_container_and_of_those_around_it_counts(tmp_path):
    root = container(
        tmp_path,
        {
            "a/memory.max": 8 * GB, "a/memory.current": 2 * GB,
            "a/b/memory.max": 6 * GB, "a/b/memory.current": 5 * GB,
            "a/b/memory.stat": f"anon 1\ninactive_file {3 * GB}",
        },
        "0::/a/b",
    )  # fmt: skip
    assert memory.limited_by_container(root) == 6 * GB
    assert memory.available(root) == min(4 * GB, memory.available(tmp_path))
    assert memory.total(root) == min(6 * GB, memory.total(tmp_path / "nowhere"))


def test_a_container_of_the_first_version_that_shows_itself_as_the_root(tmp_path):
    root = container(
        tmp_path,
        {
            "memory/memory.limit_in_bytes": 3 * GB, "memory/memory.usage_in_bytes": 2 * GB,
            "memory/memory.stat": f"total_inactive_file {GB // 2}",
        },
        "5:cpu,memory:/docker/1234\n4:devices:/",
    )  # fmt: skip
    assert memory.limited_by_container(root) == 3 * GB
    assert memory.available(root) == 3 * GB // 2


def test_heads_of_probes_keep_within_the_container(tmp_path, monkeypatch):
    from probes.heads import memory as heads

    for text, most in ((f"{GB}\n", 0.4 * GB), ("max\n", None), (f"{1 << 62}\n", None)):
        (tmp_path / "memory.max").write_text(text)
        monkeypatch.setattr(heads, "CONTAINER", (str(tmp_path / "memory.max"), "/nowhere"))
        found = heads.limit(torch.device("cpu"))
        assert found == int(most) if most else found > 0.4 * GB


@pytest.mark.parametrize("limit", ["max", 0x7FFFFFFFFFFFF000, "nonsense"])
def test_no_limit_is_none(tmp_path, limit):
    name = "memory.max" if limit == "max" else "memory/memory.limit_in_bytes"
    root = container(tmp_path, {name: limit}, "0::/\n3:memory:/", free=5 * GB)
    assert memory.limited_by_container(root) is None and memory.available(root) == 5 * GB


def test_without_proc_there_is_an_answer_or_none(tmp_path):
    assert memory.limited_by_container(tmp_path) is None
    assert memory.available(tmp_path) is None or memory.available(tmp_path) > 0


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (MemoryError(), True),
        (np._core._exceptions._ArrayMemoryError((9,), np.dtype(float)), True),
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (OSError(12, "Cannot allocate memory"), True),
        (RuntimeError("shape"), False),
        (ValueError("can't allocate memory"), False),
    ],
)
def test_what_says_that_memory_ran_out(error, full):
    assert memory.is_out_of_memory(error) is full


@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark is Linux's")
def test_the_peak_of_a_piece_of_work_is_measured_and_the_peak_of_all_kept():
    held = bytearray(300 << 20)
    before = memory.peak()
    del held
    mark = memory._Mark()
    held = bytearray(100 << 20)
    del held
    assert 90 << 20 < mark.bytes() < 200 << 20
    assert memory.peak() > before - (8 << 20)  # the kernel counts in steps


def beside(room: memory.Room, sizes: list[int], hold: int = 0) -> int:
    """The most numbers of input that were in work at once; each waits a while for `hold`."""
    now, most, lock = [0], [0], threading.Lock()

    def work(size: int) -> None:
        with room.take(size):
            with lock:
                now[0] += size
                most[0] = max(most[0], now[0])
            until = time.monotonic() + (5.0 if hold else 0.02)
            while most[0] < (hold or math.inf) and time.monotonic() < until:
                time.sleep(0.005)
            with lock:
                now[0] -= size

    threads = [threading.Thread(target=work, args=(size,)) for size in sizes]
    for one in threads:
        one.start()
    for one in threads:
        one.join(20)
        assert not one.is_alive()
    return most[0]


@pytest.fixture
def measured(monkeypatch):
    """Pieces of work take a megabyte a number; so much is free."""

    def of(free: int):
        monkeypatch.setattr(memory, "available", lambda: free)
        monkeypatch.setattr(memory._Mark, "bytes", lambda self: 10 << 20)

    return of


def test_as_many_pieces_run_beside_each_other_as_fit(measured):
    measured(70 << 20)  # half of it: 35 numbers
    assert 20 <= beside(memory.Room(0.5, 8), [10] * 12) <= 30
    measured(10 << 30)
    assert beside(memory.Room(0.5, 8), [10] * 12, hold=60) > 50


def test_a_piece_that_is_too_large_goes_alone(measured):
    measured(15 << 20)
    assert beside(memory.Room(0.5, 8), [10] * 5) == 10


def test_nothing_is_beside_what_is_alone():
    room, seen = memory.Room(0.5, 8, measured=False), []

    def other() -> None:
        with room.take(1):
            seen.append(1)

    with room.alone():
        thread = threading.Thread(target=other)
        thread.start()
        time.sleep(0.05)
        assert not seen
    thread.join(5)
    assert seen == [1]


class Crowded(SmallModel):
    """A window fits if nothing else is in work."""

    def __init__(self):
        super().__init__()
        self.working, self.lock, self.failed = 0, threading.Lock(), 0

    def forward(self, values, until=None):
        with self.lock:
            self.working += 1
            full = self.working > 1
        try:
            time.sleep(0.01)
            if full:
                self.failed += 1
                raise MemoryError
            return super().forward(values)
        finally:
            with self.lock:
                self.working -= 1


def test_a_window_that_lacks_what_others_took_is_tried_again_alone(tmp_path, monkeypatch):
    monkeypatch.setitem(forward.BATCH_SECONDS, "cpu", 2.0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    data, said, model = SmallData((2.0,) * 12), [], Crowded()
    tight = extract(model, data, data.clips, ["clips"], tmp_path / "a", say=said.append)["clips"]
    wide = extract(SmallModel(), data, data.clips, ["clips"], tmp_path / "b")["clips"]
    assert model.failed and torch.equal(tight.read("double"), wide.read("double")) and not said


def test_a_window_that_never_fits_names_model_length_and_what_would_help():
    class Full(SmallModel):
        def forward(self, values, until=None):
            raise MemoryError

    def message(model, **options) -> str:
        with Forward(model, "cpu", **options) as run, pytest.raises(ActivationsInvalid) as error:
            list(run.outputs([torch.zeros(2000)]))
        return str(error.value)

    said = message(Full())
    assert said.startswith("small: out of memory on cpu for a single window of 2 s; give a shorter")
    for cure in ("--window", "--precision bf16", "--layers", "--workers"):
        assert cure in said
    assert "\n" not in said
    assert "--window" not in message(Full(fixed=True))
    assert "--precision" not in message(Full(), precision="bf16")


def test_a_gpu_that_is_full_gets_smaller_batches(monkeypatch):
    """The GPU's part, with torch.cuda's answers put in: there is none here."""
    freed, said = [], []
    run = Forward(SmallModel(), "cuda", say=said.append)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: freed.append(1))

    def passes(batch):
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return {"mean": batch}

    monkeypatch.setattr(run, "_run", passes)
    values = [torch.full((3,), float(i)) for i in range(11)]
    found = torch.cat([out["mean"] for _, out in run.outputs(values)])
    assert torch.equal(found, torch.stack(values))
    assert said == ["out of memory on cuda: going on with smaller batches"] and freed
    for name, answer in (
        ("synchronize", None), ("reset_peak_memory_stats", None), ("memory_allocated", 0),
        ("mem_get_info", (10 * GB, 99 * GB)),
    ):  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, lambda *_, answer=answer: answer)
    peaks = iter([GB, 2 * GB])
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda *_: next(peaks))
    assert Forward._probe(run, torch.zeros(3)) == 3  # 0.7 * 10 GB for two batches in work


LIMITED = """
import resource, sys, torch
from pathlib import Path
from small_model import SmallData, SmallModel
from extract import forward, memory as limits
from extract.pipeline import extract

class Hungry(SmallModel):
    def forward(self, values, until=None):
        held = torch.zeros(len(values), {each} << 18) + 1  # each MiB a window
        return super().forward(values + 0 * held[:, :1])

forward.BATCH_SECONDS["cpu"] = 64.0
torch.set_num_threads(2)
torch.zeros(4, 4) @ torch.zeros(4, 4)
if {limit}:
    held = limits._status("VmSize")
    resource.setrlimit(resource.RLIMIT_AS, (held + ({limit} << 20),) * 2)
data = SmallData((2.0,) * 64)
found = extract(Hungry(), data, data.clips, ["clips"], Path(sys.argv[1]), say=print)["clips"]
print(float(found.read("double").double().sum()))
"""


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="a limit of the address space")
def test_under_a_limit_of_the_process_extraction_backs_off_and_gives_the_same(tmp_path):
    def run(name: str, each: int, limit: int):
        return subprocess.run(
            [sys.executable, "-c", LIMITED.format(each=each, limit=limit), tmp_path / name],
            capture_output=True, text=True, cwd=ROOT,
            env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "PATH": "", "OMP_NUM_THREADS": "2"},
        )  # fmt: skip

    free, tight, none = run("free", 16, 0), run("tight", 16, 700), run("none", 900, 700)
    assert free.returncode == 0, free.stderr
    assert tight.returncode == 0, tight.stderr
    *said, sum_ = tight.stdout.splitlines()
    assert sum_ == free.stdout.strip()
    assert said == ["out of memory on cpu: going on with smaller batches"]
    assert none.returncode == 1 and "a single window of 2 s; give a shorter --window" in none.stderr
