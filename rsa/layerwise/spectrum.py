"""How the variance of one layer is spread over directions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsa.inference.intervals import linearized
from rsa.rows.grouping import Grouping

# eigenvalues below this share of the largest, times the longer side, are rounding
RANK = np.finfo(float).eps
NAMES = ("effective_rank", "participation_ratio", "first_component")


@dataclass(frozen=True)
class Spectrum:
    """Principal components of rows [rows, width] about their mean.

    Attributes
    ----------
    power : [components] variance along each component, falling; those of no variance left out.
    scores : [rows, components], coordinates of the rows.
    """

    power: np.ndarray
    scores: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray) -> Spectrum | None:
        """From rows [rows, width], any offset; None when no row differs from another."""
        n, d = x.shape
        flat = (x == x[:1]).all(axis=0)
        z = x - x.mean(axis=0)
        z[:, flat] = 0.0
        if not z.any():
            return None
        # scaled before it is squared, so that neither end of the range of numbers is met
        size = np.abs(z).max()
        z /= size
        power, vectors = np.linalg.eigh(z.T @ z / n if d <= n else z @ z.T / n)
        kept = power > power[-1] * max(n, d) * RANK
        power, vectors = power[kept][::-1], vectors[:, kept][:, ::-1]
        scores = z @ vectors if d <= n else vectors * np.sqrt(n * power)
        return cls(power * size**2, scores * size)


def spread_of_variance(spectrum: Spectrum, grouping: Grouping) -> dict[str, tuple]:
    """Effective rank, participation ratio and share of the first component.

    All three are functions of the eigenvalues l_k of the covariance, p_k = l_k / sum l:

    - effective rank: exp(-sum p_k log p_k) (Roy and Vetterli 2007);
    - participation ratio: 1 / sum p_k^2; with n independent Gaussian rows 1 / (1/PR + 1/n) is
      what to expect, so the value stays below n and is low where it comes near it;
    - share of the first component: p_1, one over the stable rank.

    Intervals are cluster-robust: a row moves l_k by (u_k'z)^2 - l_k, to first order. They are
    made for the logarithm, in which these ratios are less skewed. Where rows are fewer than
    columns they are wide rather than narrow.

    Parameters
    ----------
    grouping : of the rows, whose groups are contiguous.

    Returns
    -------
    name -> (value, low, high).
    """
    power = spectrum.power
    total, squares = power.sum(), (power**2).sum()
    share = power / total
    entropy = -(share * np.log(share)).sum()
    logs = np.array([entropy, np.log(total**2 / squares), np.log(share[0])])
    slopes = np.stack(
        [
            (-np.log(share) - entropy) / total,
            2 / total - 2 * power / squares,
            np.full(len(power), -1 / total),
        ],
        axis=1,
    )
    slopes[0, 2] += 1 / power[0]
    influence = (spectrum.scores**2 - power) @ slopes
    low, high = linearized(logs, grouping.sum_by_group(influence), grouping.rows)
    return {
        name: tuple(float(v) for v in np.exp([logs[k], low[k], high[k]]))
        for k, name in enumerate(NAMES)
    }
