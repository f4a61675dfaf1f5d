"""Several processes that compute one comparison together, as far as `rsa` needs to know of them.

Every process runs the same calls in the same order. Two things are dealt: items of a loop whose
results are gathered, which changes no digit; and rows, whose sums are added, which changes the
order of summation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import numpy as np

from rsa.threads import spread

Item = TypeVar("Item")
Result = TypeVar("Result")


class Team(Protocol):
    """The processes, seen from one of them.

    Attributes
    ----------
    rank, size : number of this process, and how many there are.
    """

    rank: int
    size: int

    def sum(self, array: np.ndarray) -> np.ndarray:
        """The sum over all processes of arrays of one shape, the same in each."""

    def gather(self, value: Result) -> list[Result]:
        """What each process gave, in order, the same in each."""


class Alone:
    """The one process of an ordinary run."""

    rank, size = 0, 1

    def sum(self, array: np.ndarray) -> np.ndarray:
        return array

    def gather(self, value: Result) -> list[Result]:
        return [value]


ALONE = Alone()


def dealt(
    team: Team, function: Callable[[Item], Result], items: Sequence[Item], threads: bool = True
) -> list[Result]:
    """Results of `function` in the order of `items`; each process computes its share of them.

    Parameters
    ----------
    threads : whether a process computes on all of its cores, see `rsa.threads.spread`.
    """
    own = items[team.rank :: team.size] if team.size > 1 else items
    found = spread(function, own) if threads else [function(item) for item in own]
    if team.size == 1:
        return found
    out: list = [None] * len(items)
    for rank, part in enumerate(team.gather(found)):
        out[rank :: team.size] = part
    return out
