"""Independent pieces of linear algebra on all cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

from rsa.memory import one_by_one

Item = TypeVar("Item")
Result = TypeVar("Result")


def spread(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Results of `function` in the order of `items`, by one thread a core.

    The libraries below get one thread each: many small products gain nothing from sharing one
    product between cores, and results then do not depend on the number of cores. Where memory
    does not hold so many side by side, those for which it ran out are done again, one by one: so
    a function adds to nothing before all of its memory is taken.
    """

    def side_by_side(tried: Callable[[Item], object], items: Sequence[Item]) -> list:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            return list(pool.map(tried, items))

    with _libraries().limit(limits=1):
        return one_by_one("layers and rearrangements side by side", function, items, side_by_side)


@cache
def _libraries() -> ThreadpoolController:
    """The linear-algebra libraries in this process; finding them takes a while, so only once."""
    return ThreadpoolController()
