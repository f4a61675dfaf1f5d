"""Matrix-based mutual information of order 2: kernels take the place of densities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsa.errors import RsaError
from rsa.measures.kernels import NO_WIDTH, ROTATIONS, gaussian_kernel
from rsa.measures.relations import Pairs, PairwiseMeasure, Products, Relation, without
from rsa.rows.joint import Joint


@dataclass(frozen=True, kw_only=True)
class RenyiInformation(PairwiseMeasure):
    """log2 of the mean product of squared kernels over the product of their means.

    Attributes
    ----------
    fraction : the kernels' width over the root of the median squared distance.
    """

    fraction: float = 0.5
    centred: bool = False

    def check(self) -> None:
        if not 0 < self.fraction <= 1000:
            raise RsaError(f"measure {self.name!r}: sigma is above 0 and at most 1000")

    def relation(self, joint: Joint, index: int, pairs: Pairs) -> Relation:
        kernel = gaussian_kernel(joint, index, pairs, self.fraction)
        if kernel is None:
            return Relation(None, why=NO_WIDTH)
        kernel *= kernel
        kernel[~pairs.allowed] = 0.0
        count = 2 * len(pairs.upper)
        mean = kernel.sum() / count
        numbers = {"entropy_bits": float(-np.log2(mean))}
        return Relation(kernel / (mean * np.sqrt(count)), numbers)

    def finish(self, found: Products) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        total = found.blocks.sum(axis=(0, 1))
        with np.errstate(invalid="ignore", divide="ignore"):
            effect = found.blocks / total - found.extra[..., :, None] - found.extra[..., None, :]
            share = found.counts / found.counts.sum()
            effect = (effect + share[:, :, None, None]) / np.log(2)
            # kernels so narrow that no two pairs meet have no finite value
            total, draws = (np.where(a > 0, a, np.nan) for a in (total, found.draws))
            return np.log2(total), effect, np.log2(draws)

    def replicates(self, found: Products) -> np.ndarray:
        """The widths and the layers' sizes are those of all rows; the means are taken again."""
        mean, count = without(found.extra), without(found.counts) / found.counts.sum()
        with np.errstate(invalid="ignore", divide="ignore"):
            joint = without(found.blocks) * count[:, None, None]
            return np.log2(joint / (mean[:, :, None] * mean[:, None, :]))

    def influence(self, entries: np.ndarray, pairs: Pairs, edges: np.ndarray) -> np.ndarray:
        """[blocks, blocks, layers], the pairs' shares in each layer's mean."""
        at = edges[:-1]
        sums = np.add.reduceat(np.add.reduceat(entries, at, 0, dtype=np.float64), at, 1)
        return sums / np.sqrt(2 * len(pairs.upper))

    def itself(self, found: Products) -> None:
        return None


RENYI = RenyiInformation(
    stem="mi:renyi,order=2,sigma={fraction:g}",
    heading="Renyi information",
    family="information",
    formula=(
        "S(A) + S(B) - S(A o B) in bits, S = -log2 of the mean squared kernel, over pairs of rows "
        "of different groups; k = exp(-d^2 / (2 s^2)), s^2 = sigma^2 x the median d^2 of these "
        "pairs; o multiplies entry by entry"
    ),
    source="Giraldo et al. 2015, arXiv:1211.2459; Yu et al. 2020, arXiv:1808.07912",
    says=(
        "Bits shared at the kernels' resolution: how much likelier two clips are close in one "
        "layer when they are close in the other."
    ),
    beware=(
        "The value depends on the kernel's width, and a narrower kernel sees more bits: compare "
        "only at one sigma. It is not Shannon's information, and a layer with itself has fewer "
        "bits than its entropy. The original counts each row with itself as a pair, which lifts "
        "it for unrelated layers."
    ),
    range=(None, None),
    invariances=ROTATIONS,
    minimum_rows=4,
    unit="bits",
)

MEASURES = (RENYI,)
