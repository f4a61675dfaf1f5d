"""A team of threads in one process: as processes, but nothing to start."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np


class Member:
    """One of several threads that make the same calls in the same order."""

    def __init__(self, rank: int, size: int, barrier: threading.Barrier, room: list):
        self.rank, self.size = rank, size
        self._barrier, self._room = barrier, room

    def gather(self, value):
        self._room[self.rank] = value
        self._barrier.wait()
        found = list(self._room)
        self._barrier.wait()
        return found

    def sum(self, array):
        parts = self.gather(np.array(array, dtype=np.float64))
        assert len({part.shape for part in parts}) == 1
        return np.sum(parts, axis=0)


def together(size: int, work: Callable[[Member], object]) -> list:
    """What `work` gives to each of so many threads."""
    barrier, room = threading.Barrier(size, timeout=60), [None] * size

    def one(rank: int):
        try:
            return work(Member(rank, size, barrier, room))
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(one, range(size)))
