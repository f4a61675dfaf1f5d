"""The machine: device, memory, processors, shared memory, text."""

from __future__ import annotations

import os
import sys

from cli.doctor.check import Asked, Check
from cli.doctor.installed import look_at_torch

GIB = 1 << 30
ROOMY = 4 * GIB  # what the large transformers need


def device(asked: Asked) -> Check:
    """GPUs with memory and capability, Apple's, or none."""
    found, error = look_at_torch()
    if error and not found:
        return Check("device", "problem", "unknown: torch does not work", "see above")
    for gpu in found["gpus"]:
        kernels = [arch.rpartition("_")[2].rstrip("af") for arch in found["arches"]]
        major = gpu["capability"].partition(".")[0]
        if kernels and major not in {kernel[:-1] for kernel in kernels}:
            return Check("device", "warn", f"{gpu['name']} (capability {gpu['capability']}); torch "
                         f"has kernels for {', '.join(found['arches'])}",
                         "install a torch built for this GPU, or use --device cpu")  # fmt: skip
        if gpu["free"] < ROOMY:
            return Check("device", "warn", f"{gpu['name']}: {_gib(gpu['free'])} of "
                         f"{_gib(gpu['memory'])} free",
                         "end what else runs on it (batches become smaller)")  # fmt: skip
    if found["gpus"]:
        return Check("device", "ok", "cuda: " + "; ".join(
            f"{gpu['name']}, {_gib(gpu['free'])} of {_gib(gpu['memory'])} free, capability "
            f"{gpu['capability']}" for gpu in found["gpus"]))  # fmt: skip
    if found["mps"]:
        return Check("device", "ok", "mps; solvers in float64 run on the CPU")
    if sys.platform == "darwin" and found["mps_built"]:
        return Check("device", "warn", "cpu: torch has MPS, this macOS or machine has not",
                     "macOS 12.3 or newer on Apple's own chips")  # fmt: skip
    return Check("device", "ok", "cpu")


def memory(asked: Asked) -> Check:
    """What is free, within the limit of a container."""
    from extract import memory as limits

    free, total = limits.available(), limits.total()
    if free is None:
        return Check("memory", "ok", "unknown")
    inside = limits.limited_by_container()
    where = f" (a container's limit: {_gib(inside)})" if inside and inside == total else ""
    found = f"{_gib(free)} of {_gib(total)} free{where}"
    if free >= ROOMY:
        return Check("memory", "ok", found)
    cure = "MusicFM and MuQ need about 4 GiB: close other programs"
    cure += ", or give the container more" if where else ""
    return Check("memory", "problem" if free < GIB else "warn", found, cure)


def processors(asked: Asked) -> Check:
    """Cores that may be used, and threads of torch and the linear algebra."""
    cores, usable = os.cpu_count() or 1, usable_cores()
    threads = {"torch": look_at_torch()[0].get("threads"), **_blas()}
    said = ", ".join(f"{name} {count}" for name, count in threads.items() if count)
    found = f"{usable} of {cores} cores; threads: {said}"
    most = max((count for count in threads.values() if count), default=1)
    if most > usable:
        return Check("processors", "warn", f"{found}: more threads than cores slow each other",
                     f"export OMP_NUM_THREADS={usable}")  # fmt: skip
    if most < usable and "OMP_NUM_THREADS" in os.environ:
        return Check("processors", "warn", f"{found}: cores stay idle",
                     f"OMP_NUM_THREADS is {os.environ['OMP_NUM_THREADS']}: unset it")  # fmt: skip
    return Check("processors", "ok", found)


def shared_memory(asked: Asked) -> Check:
    """What processes that render and decode beside each other need."""
    import multiprocessing

    cure = "docker run --shm-size=1g, or mount a tmpfs at /dev/shm"
    try:
        multiprocessing.get_context().Lock()
    except (OSError, ImportError) as error:
        return Check("shared memory", "warn", f"no locks between processes: {error}", cure)
    try:
        stat = os.statvfs("/dev/shm")
    except (OSError, AttributeError):
        return Check("shared memory", "ok", "no /dev/shm on this system; locks work")
    free = stat.f_bavail * stat.f_frsize
    if free < 16 << 20:
        return Check("shared memory", "warn", f"/dev/shm: {free >> 20} MiB free", cure)
    return Check("shared memory", "ok", f"/dev/shm: {_gib(free)} free")


def text(asked: Asked) -> Check:
    """Whether names that are not English can be read, written and shown."""
    files, shown = sys.getfilesystemencoding(), getattr(sys.stdout, "encoding", None) or "ascii"
    cure = "export PYTHONUTF8=1, or LC_ALL=C.UTF-8"
    for where, encoding in (("file names", files), ("the terminal", shown)):
        try:
            "låt – 曲 ♯".encode(encoding)
        except (UnicodeError, LookupError):
            return Check("text", "warn", f"{where} in {encoding}: names of music do not fit", cure)
    return Check("text", "ok", f"file names in {files}, the terminal in {shown}")


def usable_cores() -> int:
    """By affinity and by a container's share, whichever is less."""
    from joblib import cpu_count

    return cpu_count()


def _blas() -> dict[str, int]:
    import numpy  # noqa: F401  its library is what is looked at
    from threadpoolctl import threadpool_info

    return {info["internal_api"]: info["num_threads"] for info in threadpool_info()
            if info["user_api"] == "blas"}  # fmt: skip


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
