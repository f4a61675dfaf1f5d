"""Independent pieces of linear algebra on all cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Result = TypeVar("Result")


def spread(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Results of `function` in the order of `items`, by one thread a core.

    The libraries below get one thread each: many small products gain nothing from sharing one
    product between cores, and results then do not depend on the number of cores.
    """
    with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(function, items))
