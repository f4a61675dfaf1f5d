"""Leading principal components of layers: how much variance they hold, and where they point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import eigsh

from rsa.rows.joint import Joint
from rsa.threads import spread

# rows from which components are taken where layers do not fit in memory
THINNED = 4096
# components found at once, and width from which only the leading ones are computed
FEWEST, WIDE = 5, 128
# rows at a time; rows from which products are in float32
BATCH, MANY = 2048, 500
# variance left of a layer below which nothing is left
NOTHING = 1e-6


@dataclass(frozen=True)
class Leading:
    """The leading principal components of one layer.

    Attributes
    ----------
    share : [components] cumulative share of the variance.
    directions : [components, width], orthonormal.
    """

    share: np.ndarray
    directions: np.ndarray

    def spans(self, count: int) -> bool:
        """Whether `count` components are the whole layer."""
        return len(self.share) <= count or 1 - self.share[count - 1] < NOTHING


def leading(joint: Joint, count: int = 1) -> list[Leading | None]:
    """At least `count` components of each layer, or all; None for a constant layer.

    From at most about `THINNED` rows where the layers do not fit in memory.
    """
    found = max(count, FEWEST) + 1
    of = joint.thinned(THINNED) if joint.huge else joint
    dtype = np.float64 if of.rows < MANY else np.float32
    layers = of.layers([None] * len(of), dtype)

    def one(index: int) -> Leading | None:
        return None if of.constant[index] else _leading(layers, index, of.rows, found)

    return joint.shared(("leading", found), lambda: spread(one, range(len(joint))))


def _leading(layers, index: int, rows: int, count: int) -> Leading:
    power: np.ndarray | float = 0.0
    for start in range(0, rows, BATCH):
        x = layers.rows(index, start, min(start + BATCH, rows))
        power = power + (x.T @ x).astype(np.float64)
    if len(power) > WIDE and count < len(power) // 4:
        # a fixed start: the same numbers in every run
        values, vectors = eigsh(power, k=count, v0=np.diag(power) + power.mean(axis=0))
    else:
        values, vectors = np.linalg.eigh(power)
    order = np.argsort(values)[::-1][:count]
    return Leading(np.cumsum(values[order]) / np.trace(power), vectors[:, order].T)
