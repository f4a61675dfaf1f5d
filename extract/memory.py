"""How much memory there is: of the machine, of a container (cgroup), of the process.

A container that goes beyond its limit is killed without a word, whatever the machine has free, so
the least of all limits counts.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None

UNLIMITED = 1 << 60  # cgroup v1 writes a number near 2**63 where there is no limit
CUDA = ("CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED", "CUDA out of memory",
        "MPS backend out of memory")  # fmt: skip
CPU = ("can't allocate memory", "bad_alloc", "Cannot allocate memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on a CPU or a GPU."""
    if isinstance(error, MemoryError):
        return True
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    known = isinstance(error, (RuntimeError, OSError))
    return known and any(words in str(error) for words in (*CUDA, *CPU))


def total(root: Path = Path("/")) -> int | None:
    """Bytes that this process may ever take: the machine's, a container's or its own limit."""
    limits = [limit for limit, _ in _cgroups(root)]
    if (machine := _physical()) is not None:
        limits.append(machine)
    if (own := _own_limit()) is not None:
        limits.append(own)
    return min(limits, default=None)


def available(root: Path = Path("/")) -> int | None:
    """Bytes that can still be taken before something fails or is killed; None where unknown."""
    free = [max(0, limit - taken) for limit, taken in _cgroups(root)]
    if (machine := _free(root)) is not None:
        free.append(machine)
    if (own := _own_limit()) is not None:
        free.append(max(0, own - _status("VmSize")))
    return min(free, default=None)


def limited_by_container(root: Path = Path("/")) -> int | None:
    """The least limit of the cgroups that this process is in; None where there is none."""
    return min((limit for limit, _ in _cgroups(root)), default=None)


def _cgroups(root: Path) -> Iterator[tuple[int, int]]:
    """(limit, taken) of each cgroup with a limit that this process is in, versions 1 and 2.

    What the kernel keeps of files and would give back at once is not counted as taken.
    """
    for folder, names in _cgroup_folders(root):
        limit = _number(folder / names[0])
        if limit is None or limit >= UNLIMITED:
            continue
        taken, freely = _number(folder / names[1]) or 0, 0
        try:
            lines = (folder / "memory.stat").read_text().splitlines()
            freely = next(
                (int(line.split()[1]) for line in lines if line.split()[0] == names[2]), 0
            )
        except (OSError, ValueError, IndexError):
            pass
        yield limit, max(0, taken - freely)


def _cgroup_folders(root: Path) -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """The process's cgroup and those above it; a container may show its own as the root."""
    mount = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            base, names = mount, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            base = mount / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for count in range(len(parts), -1, -1):
            yield base.joinpath(*parts[:count]), names


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # ValueError: "max"
        return None


def _physical() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _free(root: Path) -> int | None:
    """What the machine can give, caches of files that it would drop included."""
    try:
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return _physical()


def _own_limit() -> int | None:
    """`ulimit -v`, the address space of the process."""
    if resource is None:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


def _status(key: str) -> int:
    """Bytes of a line of /proc/self/status; 0 where there is none."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            for line in file:
                if line.startswith(f"{key}:"):
                    return int(line.split()[1]) << 10
    except (OSError, ValueError, IndexError):
        pass
    return 0


_before_reset = 0  # the highest of all times at which the mark was set back


def peak() -> int:
    """The most bytes of memory that this process held at once, since it began."""
    now = _status("VmHWM")
    if not now and resource is not None:
        unit = 1 if sys.platform == "darwin" else 1024
        now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return max(now, _before_reset)


class _Mark:
    """What is held at most from now on, beyond what is held now."""

    def __init__(self):
        global _before_reset
        self._before = 0
        try:
            highest = peak()
            with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
                file.write("5")  # sets the high-water mark back to what is held now
            _before_reset, self._before = highest, _status("VmRSS")
        except OSError:
            pass  # no Linux, or not allowed: nothing is known

    def bytes(self) -> int:
        return max(0, _status("VmHWM") - self._before) if self._before else 0


class Room:
    """Memory that pieces of work share that run beside each other; one that does not fit waits.

    The first piece is done alone and measured; from then on a piece is taken to need as much for
    each number of its input. No piece is refused: alone it always goes.

    Parameters
    ----------
    share : of what is available that may be taken.
    beside : pieces that are in work at once where memory allows it.
    measured : False where nobody waits, but for one that is to be alone.
    """

    def __init__(self, share: float, beside: int, measured: bool = True):
        self._share, self._beside = share, beside
        # bytes a number of input; None until that is known
        self._each: float | None = None if measured else 0.0
        self._measured = 0
        self._whole = self._used = 0.0
        self._working = self._exclusive = 0
        self._changed = threading.Condition()

    @contextmanager
    def take(self, numbers: int) -> Iterator[None]:
        """Holds what a piece with so many numbers of input needs, as soon as it is there."""
        with self._changed:
            self._changed.wait_for(lambda: self._fits(numbers))
            measured = self._each is None
            wanted = 0.0 if measured else numbers * self._each
            self._working += 1
            self._used += wanted
        mark, free = (_Mark(), available()) if measured else (None, None)
        try:
            yield
            if measured:
                self._learn(numbers, mark.bytes(), free)
        finally:
            self._give_back(wanted)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nothing else is in work meanwhile."""
        with self._changed:
            self._exclusive += 1
            self._changed.wait_for(lambda: not self._working)
            self._working += 1
        try:
            yield
        finally:
            with self._changed:
                self._exclusive -= 1
            self._give_back(0.0)

    def _fits(self, numbers: int) -> bool:
        if not self._working:
            return not self._exclusive
        if self._exclusive or self._each is None:
            return False
        return self._used + numbers * self._each <= self._whole

    def _give_back(self, wanted: float) -> None:
        with self._changed:
            self._working -= 1
            self._used -= wanted
            self._changed.notify_all()

    def _learn(self, numbers: int, taken: int, free: int | None) -> None:
        each = taken / max(numbers, 1) if free is not None else 0.0
        with self._changed:
            self._measured += 1
            self._whole = self._share * (free or 0)
            # the first piece also pays for weights that are read when first used: where it looks
            # tight, the second is measured too
            tight = self._beside * numbers * each > self._whole
            if not tight or self._measured > 1:
                self._each = each
