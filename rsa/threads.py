"""Independent pieces of linear algebra on all cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Result = TypeVar("Result")


def spread(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Results of `function` in the order of `items`, by one thread a core.

    The libraries below get one thread each: many small products gain nothing from sharing one
    product between cores, and results then do not depend on the number of cores.
    """
    with _libraries().limit(limits=1), ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(function, items))


@cache
def _libraries() -> ThreadpoolController:
    """The linear-algebra libraries in this process; finding them takes a while, so only once."""
    return ThreadpoolController()
