"""Layers side by side on the cores of a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits


@contextmanager
def one_a_core(device: str) -> Iterator[ThreadPoolExecutor]:
    """Threads that share out independent pieces of work, each piece on one core.

    A probe's products are too small to be divided between cores, and results then do not depend on
    how many there are. On a GPU one thread feeds the device.
    """
    cores = torch.get_num_threads() if device == "cpu" else 1
    if device == "cpu":
        torch.set_num_threads(1)
    try:
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(cores) as pool:
            yield pool
    finally:
        if device == "cpu":
            torch.set_num_threads(cores)
