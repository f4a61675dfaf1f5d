"""Layers side by side on the cores of a CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

from probes.memory import ran_out, smaller

SIDE_BY_SIDE = "layers side by side"


class Cores(ThreadPoolExecutor):
    """Threads whose pieces are done again, each alone, where memory does not hold all of them."""

    def map(self, function: Callable, *iterables: Iterable, **options) -> Iterator:
        """Results in order, as they come; the function may be called again where it failed."""
        items = list(zip(*iterables, strict=False))
        futures = [self.submit(function, *item) for item in items]

        def results() -> Iterator:
            try:
                for item, future in zip(items, futures, strict=True):
                    try:
                        yield future.result()
                        continue
                    except Exception as error:
                        if not ran_out(error):
                            raise
                    wait(futures)
                    smaller(SIDE_BY_SIDE, 1)
                    yield function(*item)
            finally:
                for future in futures:
                    future.cancel()

        return results()


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
        with threadpool_limits(1, user_api="blas"), Cores(cores) as pool:
            yield pool
    finally:
        if device == "cpu":
            torch.set_num_threads(cores)
