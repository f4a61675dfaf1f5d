"""Training sets inside each other, by whole groups: for learning curves and codes alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probes.splits import TRAIN
from probes.targets import Target

# of the training rows; Voita and Titov 2020, arXiv:2003.12298, section 2.2.2
FRACTIONS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.0625, 0.125, 0.25, 0.5, 1.0)
LEAST_ROWS, LEAST_GROUPS = 20, 2


@dataclass(frozen=True)
class Nesting:
    """Training rows in an order in which groups stay together, and where it is cut.

    Attributes
    ----------
    order : [train] places among the training rows.
    sizes : rows of each set, rising; the last has all.
    groups : groups of each set.
    """

    order: np.ndarray
    sizes: tuple[int, ...]
    groups: tuple[int, ...]

    def rows(self, step: int) -> np.ndarray:
        """The rows of a set, places among the training rows."""
        return self.order[: self.sizes[step]]

    def block(self, step: int) -> np.ndarray:
        """The rows that a set has and the one before has not."""
        return self.order[self.sizes[step - 1] if step else 0 : self.sizes[step]]

    def weights(self, step: int) -> np.ndarray:
        """[train] 1 for the rows of a set, 0 for others."""
        out = np.zeros(len(self.order), dtype=np.float32)
        out[self.rows(step)] = 1.0
        return out


def nestings(
    target: Target, orders: int = 1, seed: int = 0, fractions: Sequence[float] = FRACTIONS
) -> tuple[Nesting, ...]:
    """Sets of about these fractions of the training rows, in several orders of the groups.

    The smallest has at least as many rows as there are classes, `LEAST_ROWS` rows and
    `LEAST_GROUPS` groups; fractions below that are left out. Orders depend on the groups and the
    seed, not on the targets, and have as many sets each, which may be equal where groups are large.
    """
    index = target.group_index(TRAIN)
    n, least = len(index), max(LEAST_ROWS, len(target.classes))
    counts = np.bincount(index)
    wanted = [least, *(f * n for f in sorted(fractions) if least < f * n < n), n]
    found = []
    for number in range(orders):
        shuffled = np.random.default_rng((seed, 1 + number)).permutation(len(counts))
        total = counts[shuffled].cumsum()
        cuts = np.searchsorted(total, np.array(wanted) - 1e-9).clip(LEAST_GROUPS - 1, None)
        cuts = cuts.clip(None, len(counts) - 1)
        order = np.argsort(np.argsort(shuffled)[index], kind="stable")
        found.append((order, total[cuts], cuts + 1))
    grows = np.r_[True, np.diff(found[0][1]) > 0]
    return tuple(
        Nesting(order, tuple(sizes[grows].tolist()), tuple(cuts[grows].tolist()))
        for order, sizes, cuts in found
    )
