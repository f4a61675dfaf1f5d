"""What every head returns: its answers on one layer."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Answers:
    """What one head says about the rows of each split, for each choice of its grid.

    Attributes
    ----------
    splits : split -> [choices, rows of the split], class index or number.
    loss : [choices] mean loss on validation: squared error, or cross-entropy in nats.
    converged : [choices] whether the optimum was reached.
    surprise : split -> [choices, rows of the split], minus log2 of the probability that the head
        gives to the right class; empty for numbers.
    """

    splits: dict[str, np.ndarray]
    loss: np.ndarray
    converged: np.ndarray
    surprise: dict[str, np.ndarray] = field(default_factory=dict)
