"""What matrix products cost on a device, about: enough to choose between ways to one answer."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Machine:
    """A device.

    Attributes
    ----------
    single, double : operations a second in float32 and float64.
    narrow : columns that any product of the rows costs, however few it has.
    step : seconds of a step of the iterative solver without columns.
    block : bytes of logits at once; on a CPU they should stay in its cache.
    """

    single: float
    double: float
    narrow: int
    step: float
    block: int

    def steps(self, rows: int, axes: int, columns: int, steps: int = 1) -> float:
        """Seconds of some steps of the iterative solver."""
        return steps * (self.step + 4 * rows * axes * (columns + self.narrow) / self.single)

    def factors(self, rows: int, axes: int, count: int) -> float:
        """Seconds of a Gram matrix and Cholesky factors of it, for as many penalties."""
        small = min(rows, axes)
        return (2 * rows * axes * small + count * small**3 / 3) / self.double


CPU = Machine(single=1e11, double=4e10, narrow=40, step=1e-3, block=2**23)
GPU = Machine(single=2e13, double=1e12, narrow=500, step=3e-3, block=2**29)


def machine(device: torch.device) -> Machine:
    """What is known of a device."""
    return CPU if device.type == "cpu" else GPU
