"""Several processes on one command: joined under torchrun, or started here, one a GPU.

Every process runs the same command. What can be dealt is dealt; one of them, the first, prints and
writes the study. They meet in torch's own key-value store: every few seconds each leaves a sign of
life there, and one that fails leaves its message, so that no other waits for it for ever.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from threading import Event, Thread
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    import numpy as np

Value = TypeVar("Value")

# seconds between signs of life, and without one after which a process counts as lost
BEAT, PATIENCE = 1.0, float(os.environ.get("RSA_PATIENCE", 120))
POLL = 0.05  # seconds between looks at what others have done
RESTARTS = 3  # of all workers that were started here, after one was killed
ALL_GPUS = "cuda:all"


class ProcessLost(Exception):
    """Another process of the run is gone."""

    exit_code = 1


class Alone:
    """The one process of an ordinary run; see `Joined` for the meaning of each method."""

    rank, size, first = 0, 1, True

    def mine(self, items: Sequence[Value]) -> Sequence[Value]:
        return items

    def agreed(self, value: Value) -> Value:
        return value

    def wait(self) -> None:
        pass

    def check(self) -> None:
        pass

    def turns(self, count: int) -> Iterator[int]:
        return iter(range(count))

    def sum(self, array: np.ndarray) -> np.ndarray:
        return array

    def gather(self, value: Value) -> list[Value]:
        return [value]


class Joined:
    """This process among several, which call the same methods in the same order.

    Attributes
    ----------
    rank, size : number of this process, and how many there are.
    first : whether it is the one that prints and writes.
    """

    def __init__(self) -> None:
        from datetime import timedelta

        import torch.distributed as dist

        known = os.environ
        try:
            found = dist.rendezvous("env://", timeout=timedelta(seconds=PATIENCE))
            store, self.rank, self.size = next(found)
            # gloo's own limit only ends what the signs of life do not
            dist.init_process_group(
                "gloo", store=dist.PrefixStore("gloo", store), rank=self.rank,
                world_size=self.size, timeout=timedelta(seconds=max(1800.0, PATIENCE)),
            )  # fmt: skip
        except (RuntimeError, ValueError, KeyError) as error:
            raise ProcessLost(
                f"process {known.get('RANK')} of {known.get('WORLD_SIZE')} could not join the "
                f"others at {known.get('MASTER_ADDR')}:{known.get('MASTER_PORT')}: "
                f"{str(error).partition(chr(10))[0]}; start all of them with one torchrun command"
            ) from None
        self.first = self.rank == 0
        self.told_to_stop = False
        self._store = dist.PrefixStore("rsa", store)
        self._beats = dist.PrefixStore("rsa", store.clone())
        self._seen: dict[int, tuple[int, float]] = {}
        self._step, self._over = 0, Event()
        self._heart = Thread(target=self._live, daemon=True)
        self._heart.start()

    def mine(self, items: Sequence[Value]) -> Sequence[Value]:
        """The part of some items that is this process's: neighbours stay together."""
        edges = [len(items) * rank // self.size for rank in (self.rank, self.rank + 1)]
        return items[slice(*edges)]

    def agreed(self, value: Value) -> Value:
        """Plain data as the first process has it."""
        key = self._next("agreed")
        if self.first:
            self._store.set(key, json.dumps(value))
            return value
        self._until(lambda: self._store.check([key]))
        return json.loads(self._store.get(key))

    def turns(self, count: int) -> Iterator[int]:
        """Numbers below `count`, each to one process: to whichever is free."""
        key = self._next("turns")
        while (number := self._store.add(key, 1) - 1) < count:
            yield number

    def wait(self) -> None:
        """Until every process is here.

        Raises
        ------
        ProcessLost : one of them is gone.
        """
        key = self._next("wait")
        self._store.add(key, 1)
        self._until(lambda: self._store.add(key, 0) >= self.size)

    def sum(self, array: np.ndarray) -> np.ndarray:
        """The sum of arrays of one shape, the same in each process."""
        import numpy as np
        import torch
        import torch.distributed as dist

        values = torch.from_numpy(np.array(array, dtype=np.float64))
        self._done(dist.all_reduce(values, async_op=True))
        return values.numpy()

    def gather(self, value: Value) -> list[Value]:
        """What each process gave, in order."""
        import torch
        import torch.distributed as dist

        mine = torch.frombuffer(bytearray(pickle.dumps(value)), dtype=torch.uint8)
        sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        self._done(dist.all_gather(sizes, torch.tensor([len(mine)]), async_op=True))
        longest = max(int(size) for size in sizes)
        padded = torch.nn.functional.pad(mine, (0, longest - len(mine)))
        parts = [torch.empty(longest, dtype=torch.uint8) for _ in range(self.size)]
        self._done(dist.all_gather(parts, padded, async_op=True))
        # from processes of the same user that run this same command
        return [
            pickle.loads(part[: int(size)].numpy().tobytes())
            for part, size in zip(parts, sizes, strict=True)
        ]

    def leave(self) -> None:
        """The work of this process is done; the first stays, for it may hold the store."""
        self._store.add("left", 1)
        if self.first:
            self._linger()
        self._over.set()
        self._heart.join(2 * BEAT)

    def fail(self, code: int) -> bool:
        """Tells the others to stop; whether this process is the one to say why."""
        self._over.set()
        if self.told_to_stop:
            return False
        try:
            speaks = self._store.add("failed", 1) == 1
            if speaks:
                self._store.set("code", str(code))
            self._store.add("left", 1)
            if self.first:
                self._linger()
            return speaks
        except RuntimeError:
            return True

    def code(self) -> int:
        """With which exit code the first to fail ended."""
        try:
            return int(self._store.get("code")) if self._store.check(["code"]) else 1
        except RuntimeError:
            return 1

    def _next(self, what: str) -> str:
        self._step += 1
        return f"{what}/{self._step}"

    def _linger(self) -> None:
        """Until all have left, or a few signs of life later."""
        until = time.monotonic() + 5 * BEAT
        while self._store.add("left", 0) < self.size and time.monotonic() < until:
            time.sleep(POLL)

    def _done(self, work) -> None:
        """Waits for an operation of all processes."""
        self._until(work.is_completed)
        try:
            work.wait()
        except RuntimeError as error:
            time.sleep(2 * BEAT)  # its own message comes first
            self.check()
            raise self._lost(f"a process is gone ({str(error).partition(chr(10))[0]})") from None

    def _until(self, ready: Callable[[], bool]) -> None:
        checked = time.monotonic()
        pause = 0.001
        while True:
            try:
                if ready():
                    return
            except RuntimeError:
                raise self._lost("process 0, which holds what all know, is gone") from None
            time.sleep(pause)
            pause = min(2 * pause, POLL)
            if time.monotonic() - checked > BEAT:
                self.check()
                checked = time.monotonic()

    def check(self) -> None:
        """Raises ProcessLost for a process that has not been heard of for long."""
        now = time.monotonic()
        for rank in range(self.size):
            try:
                beats = self._store.add(f"heart/{rank}", 0)
            except RuntimeError:
                raise self._lost("process 0, which holds what all know, is gone") from None
            known, since = self._seen.get(rank, (-1, now))
            if beats != known:
                self._seen[rank] = beats, now
            elif now - since > PATIENCE:
                raise self._lost(f"process {rank} was not heard of for {PATIENCE:.0f} s")

    def _lost(self, what: str) -> ProcessLost:
        return ProcessLost(
            f"{what} (this is process {self.rank} of {self.size}): run the same command again, "
            "finished work is kept"
        )

    def _live(self) -> None:
        """Leaves signs of life; ends the main thread's work when another process failed."""
        from _thread import interrupt_main

        while not self._over.wait(BEAT):
            try:
                self._beats.add(f"heart/{self.rank}", 1)
                failed = self._beats.add("failed", 0)
            except RuntimeError:
                continue  # the store is gone: the main thread finds out when it needs it
            if failed and not self._over.is_set():
                self.told_to_stop = True
                interrupt_main()
                return


_current: Alone | Joined = Alone()
_met = False


def current() -> Alone | Joined:
    """The processes of the running command."""
    return _current


def silent() -> bool:
    """Whether another process will say what this one would: before they met, all but the first."""
    return not _met and os.environ.get("RANK", "0") != "0" and expected() > 1


def expected() -> int:
    """How many processes torchrun, or another launcher, started this one among."""
    text = os.environ.get("WORLD_SIZE", "1")
    return int(text) if text.isdecimal() and "RANK" in os.environ else 1


def shared(command: Callable) -> Callable:
    """A command that several processes may run together; takes `--processes` and `--device`."""

    @wraps(command)
    def run(processes: int | None, device: str, **options):
        count = 0 if expected() > 1 else _wanted(processes, device)
        if count > 1:
            sys.exit(launch(count, sys.argv[1:]))
        with joined(device):
            return command(device="cuda" if device == ALL_GPUS else device, **options)

    return run


def _wanted(processes: int | None, device: str) -> int:
    if processes:
        return processes
    if device != ALL_GPUS:
        return 1
    import torch

    found = torch.cuda.device_count()
    if not found:
        raise click.UsageError(f"--device {device}: there is none here; use --device auto")
    return found


@contextmanager
def joined(device: str = "cpu") -> Iterator[Alone | Joined]:
    """Joins the other processes that this one was started with; a command runs inside."""
    global _current, _met
    if expected() < 2:
        yield _current
        return
    if device != "cpu":
        _take_gpu(int(os.environ.get("LOCAL_RANK", 0)))
    _current, _met = Joined(), True
    try:
        yield _current
        _current.leave()
    except BaseException as error:
        if not _current.fail(_code_of(error)):
            raise SystemExit(_current.code()) from None
        raise


def _code_of(error: BaseException) -> int:
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return 130
    code = getattr(error, "exit_code", getattr(error, "code", 1))
    return code if isinstance(code, int) else 1


def _take_gpu(place: int) -> None:
    """Leaves this process one of the machine's GPUs, which is then `cuda` in every thread."""
    import torch

    known = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = known.split(",") if known else [str(i) for i in range(torch.cuda.device_count())]
    if names:
        os.environ["CUDA_VISIBLE_DEVICES"] = names[place % len(names)]


def launch(count: int, arguments: Sequence[str]) -> int:
    """Runs this command in so many processes on this machine; returns the exit code.

    When one is killed from outside all begin again, at most `RESTARTS` times: what was finished is
    kept. One that ends by itself with an error has said why, and ends the others.
    """
    import logging
    import uuid
    from tempfile import TemporaryDirectory

    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)
    cores = os.cpu_count() or 1
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // count)))
    command = [sys.executable, "-m", "cli.main", *arguments]
    for attempt in range(RESTARTS + 1):
        try:
            with TemporaryDirectory() as folder:  # of torch's own notes
                config = LaunchConfig(
                    min_nodes=1, max_nodes=1, nproc_per_node=count, run_id=uuid.uuid4().hex,
                    rdzv_backend="c10d", rdzv_endpoint="localhost:0", max_restarts=0,
                    monitor_interval=0.2, logs_specs=DefaultLogsSpecs(folder),
                )  # fmt: skip
                elastic_launch(config, command[0])(*command[1:])
            return 0
        except (SignalException, KeyboardInterrupt):
            return 130
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            if failure.exitcode >= 0:
                return failure.exitcode
            left = RESTARTS - attempt
            what = f"process {rank} of {count} was killed (signal {-failure.exitcode})"
            cure = "all begin again" if left else "run the same command again"
            click.echo(f"rsa: {what}; {cure}, finished work is kept", err=True)
    return 1
