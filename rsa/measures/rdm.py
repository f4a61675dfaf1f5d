"""Representational similarity analysis: matrices of distances between rows, compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.stats import rankdata

from rsa.measures.kernels import ROTATIONS
from rsa.measures.relations import (
    Pairs,
    PairwiseMeasure,
    Products,
    Relation,
    rows_of,
    squared_distances,
    unit,
)
from rsa.rows.joint import Joint

# classes of ranks, for the influence of a pair on the other pairs' ranks
CLASSES = 128
# decimals of distances, relative to the largest: below are ties that rounding broke
DIGITS = 12


@dataclass(frozen=True, kw_only=True)
class RankedDistances(PairwiseMeasure):
    """Rank correlation of the distances between rows.

    Attributes
    ----------
    ties : correct the correlation for ties (Spearman's rho), or not (rho-a).
    """

    ties: bool = True

    @property
    def key(self) -> tuple:
        return ("ranked distances",)

    def relation(self, joint: Joint, index: int, pairs: Pairs) -> Relation:
        upper = pairs.upper
        distances = squared_distances(joint, index).ravel()[upper]
        distances = np.round(distances / distances.max(), DIGITS)
        rank = rankdata(distances)
        count = len(rank)
        _, tied = np.unique(rank, return_counts=True)
        tied = tied[tied > 1].astype(float)
        lost = (tied**3 - tied).sum() / (float(count) ** 3 - count)
        if lost == 1:
            return Relation(None, why="has the same distance between all rows")
        flat = np.zeros(joint.rows**2)
        # the sum of squares of ranks without ties, both halves of the matrix
        flat[upper] = (rank - (count + 1) / 2) / np.sqrt((float(count) ** 3 - count) / 6)
        entries = flat.reshape(joint.rows, joint.rows)
        return Relation(entries + entries.T, {"untied": 1 - lost})

    def influence(self, entries: np.ndarray, pairs: Pairs, edges: np.ndarray) -> np.ndarray:
        """[blocks, blocks, layers, layers], what pairs do to the ranks of the others.

        A pair at distance t raises the rank of all that are farther: it adds the mean of the
        other layer's centred ranks over pairs beyond t. Means are taken by classes of ranks.
        """
        rows, _, layers = entries.shape
        flat, places = entries.reshape(-1, layers), np.flatnonzero(pairs.allowed.ravel())
        count = len(places)
        blocks = len(edges) - 1
        block_of_row = np.repeat(np.arange(blocks), np.diff(edges))
        block = (block_of_row[:, None] * blocks + block_of_row[None, :]).ravel()[places]
        kept = flat[places]
        scale = np.sqrt(count / 12)
        by_block = np.empty((blocks**2, layers, layers))
        for i in range(layers):
            share = np.clip(kept[:, i] * scale + 0.5, 0, 1 - 1e-7)
            of_class = (share * CLASSES).astype(np.int64)
            member = sparse.csr_matrix(
                (np.ones(count, np.float32), of_class, np.arange(count + 1)), (count, CLASSES)
            )
            inside = np.asarray(member.T @ kept, dtype=np.float64)
            beyond = inside.sum(axis=0) - np.cumsum(inside, axis=0) + inside / 2
            table = np.bincount(block * CLASSES + of_class, minlength=blocks**2 * CLASSES)
            by_block[:, i] = table.reshape(-1, CLASSES) @ beyond * np.sqrt(12 / count) / count
        by_block += by_block.transpose(0, 2, 1)
        return by_block.reshape(blocks, blocks, layers, layers)

    def finish(self, found: Products) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        total = found.blocks.sum(axis=(0, 1))
        untied = found.numbers["untied"]
        own = np.sqrt(np.diag(total) / (1.0 if self.ties else untied))
        with np.errstate(invalid="ignore", divide="ignore"):
            over = 1 / np.outer(own, own)
            effect = (found.blocks + found.extra) * over
            share = found.counts / found.counts.sum()
            effect -= share[:, :, None, None] * effect.sum(axis=(0, 1))
            return total * over, effect, found.draws * over

    def replicates(self, found: Products) -> np.ndarray:
        """To first order, as far as leaving out one block's rows moves a mean over pairs."""
        value, effect, _ = self.finish(found)
        blocks = len(effect)
        step = (blocks / (blocks - 1)) ** 2 if blocks > 1 else np.nan
        return value - step * (effect.sum(axis=0) + effect.sum(axis=1))

    def itself(self, found: Products) -> np.ndarray:
        return np.ones(len(found.joint)) if self.ties else found.numbers["untied"]


@dataclass(frozen=True, kw_only=True)
class WhitenedDistances(PairwiseMeasure):
    """Correlation of squared distances, whitened by the covariance of their sampling noise.

    Whitening turns squared distances into the centred kernel, and taking off the mean distance
    takes the centring matrix off that: the cosine of what remains, so no solving is needed.
    """

    apart: bool = False

    def relation(self, joint: Joint, index: int, pairs: Pairs) -> Relation:
        x = rows_of(joint, index)
        gram = x @ x.T
        raw = float(np.linalg.norm(gram))
        mean = np.trace(gram) / (joint.rows - 1)
        gram += mean / joint.rows
        gram[np.diag_indices(joint.rows)] -= mean
        return unit(gram, raw)


def _ranked(name: str, title: str, source: str, ties: bool) -> RankedDistances:
    correlation = "Spearman's rho" if ties else "rho-a (ranks' covariance over that without ties)"
    return RankedDistances(
        stem=f"rdm:euclidean,{name}",
        heading=title,
        family="relations",
        formula=(
            f"{correlation} of the Euclidean distances between rows of different groups, one "
            "entry a pair"
        ),
        source=source,
        says="High where the pairs of clips that one layer finds least alike are so in the other.",
        beware=(
            "Large distances count as much as small ones, so a few groups of clips far apart are "
            "enough for a high value."
            + ("" if ties else " With ties a layer has less than 1 with itself.")
        ),
        range=(-1.0, 1.0),
        invariances=ROTATIONS,
        minimum_rows=4,
        ties=ties,
    )


SPEARMAN = _ranked(
    "spearman", "RDM rank correlation", "Kriegeskorte et al. 2008 (Front. Syst. Neurosci. 2)", True
)
RHO_A = _ranked("rho-a", "RDM rho-a", "Schuett et al. 2023, eLife 12:e82566", False)
WHITENED = WhitenedDistances(
    stem="rdm:euclidean,whitened",
    heading="Whitened RDM correlation",
    family="relations",
    formula=(
        "sum K L / sqrt(sum K^2 sum L^2) over all pairs of rows; K = G - tr(G) H / (n - 1) with "
        "the centred kernel G = XX', H = I - 11'/n: the correlation of squared Euclidean "
        "distances under the covariance of their noise"
    ),
    source="Diedrichsen et al. 2021, arXiv:2007.02789; Williams 2024 (UniReps)",
    says=(
        "Alike relations between clips, with distances weighted by how well they are known; 0 "
        "on average for unrelated layers, where every row is a track of its own."
    ),
    beware=(
        "Close to linear CKA by its making (without taking off the mean distance it is biased "
        "CKA): the two agreeing is no second witness. Rows of one group are not left out, nor is "
        "a row with itself: one row far out in both layers can take it to 1."
    ),
    range=(-1.0, 1.0),
    invariances=ROTATIONS,
    minimum_rows=4,
)

MEASURES = (SPEARMAN, RHO_A, WHITENED)
