"""How much memory a head may take at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import torch

CPU = 64 << 20  # more networks side by side leave the cache and gain nothing
FLOOR = 1 << 20  # where memory runs out, at least
# versions 2 and 1 of cgroups, as a container shows its own
CONTAINER = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
SHARE = 0.4  # of the machine's memory, or of what is free on a GPU


def budget(device: torch.device, asked: int | None = None) -> int:
    """Bytes of what can be done in parts: what is asked for, or what suits the device."""
    if asked is not None:
        return asked
    return limit(device) if device.type == "cuda" else CPU


def limit(device: torch.device) -> int:
    """Bytes of what cannot be done in parts: a share of the memory of the device."""
    if device.type == "cuda":
        return int(SHARE * torch.cuda.mem_get_info(device)[0])
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows has none of them
        whole = 8 << 30
    return int(SHARE * min([whole, *_of_container()]))


def _of_container() -> Iterator[int]:
    """The limit of the container that this runs in, which ends what goes beyond it."""
    for path in CONTAINER:
        try:
            yield int(Path(path).read_text())
        except (OSError, ValueError):  # no container, or "max"
            continue
