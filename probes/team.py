"""Several processes that train one probe together, as far as `probes` needs to know of them.

Each holds a share of the rows. Losses, gradients and moments are sums over rows, so they add.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
import torch

Value = TypeVar("Value")


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

    def gather(self, value: Value) -> list[Value]:
        """What each process gave, in order, the same in each."""


class Alone:
    """The one process of an ordinary run."""

    rank, size = 0, 1

    def sum(self, array: np.ndarray) -> np.ndarray:
        return array

    def gather(self, value: Value) -> list[Value]:
        return [value]


ALONE = Alone()


def added(team: Team, *tensors: torch.Tensor) -> Sequence[torch.Tensor]:
    """Sums over all processes, in float64 on the way; of one process as they are."""
    if team.size == 1:
        return tensors
    flat = torch.cat([one.detach().double().flatten().cpu() for one in tensors])
    parts = torch.from_numpy(team.sum(flat.numpy())).split([one.numel() for one in tensors])
    return [part.view(one.shape).to(one) for part, one in zip(parts, tensors, strict=True)]


def as_first(team: Team, mask: torch.Tensor) -> torch.Tensor:
    """A mask as the first process has it: where they part at a rounding, all take one way."""
    if team.size == 1:
        return mask
    (found,) = added(team, mask.double() * (team.rank == 0))
    return found > 0.5


def stretch(team: Team, rows: int) -> tuple[int, int]:
    """First row of the share of a process, and the one behind its last."""
    first, last = (rows * rank // team.size for rank in (team.rank, team.rank + 1))
    return first, last
