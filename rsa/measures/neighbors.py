"""Whether the same clips are each other's neighbours: mutual neighbours, and CKA among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsa.errors import RsaError
from rsa.measures.kernels import ROTATIONS
from rsa.measures.relations import Pairs, PairwiseMeasure, Relation, rows_of, squared_distances
from rsa.rows.joint import Joint


def nearest(joint: Joint, index: int, pairs: Pairs, k: int) -> np.ndarray:
    """[rows, k] the nearest rows of other groups; of equal distances, earlier rows first."""
    distances = np.where(pairs.allowed, squared_distances(joint, index), np.inf)
    near = np.argpartition(distances, k, axis=1)[:, : k + 1]
    at = np.take_along_axis(distances, near, axis=1)
    ranked = np.take_along_axis(near, np.lexsort((near, at), axis=1), axis=1)
    return ranked[:, :k]


@dataclass(frozen=True, kw_only=True)
class MutualNeighbours(PairwiseMeasure):
    """Mean share of a row's k nearest rows that two layers have in common.

    Attributes
    ----------
    k : neighbours of a row.
    """

    k: int = 10
    centred: bool = False
    mirrored: bool = False

    def check(self) -> None:
        if not 1 <= self.k <= 1000:
            raise RsaError(f"measure {self.name!r}: k is 1 to 1000")

    def too_few(self, joint: Joint, pairs: Pairs) -> str:
        fewest = int(pairs.allowed.sum(axis=1).min())
        if fewest > self.k and pairs.units >= 4:
            return ""
        return f"a row has {fewest} rows of other groups: more than k = {self.k} are needed"

    def relation(self, joint: Joint, index: int, pairs: Pairs) -> Relation:
        near = nearest(joint, index, pairs, self.k)
        entries = np.zeros((joint.rows, joint.rows))
        np.put_along_axis(entries, near, 1 / np.sqrt(near.size), axis=1)
        return Relation(entries)

    def chance(self, joint: Joint) -> float:
        return self.k / (joint.rows - 1)


@dataclass(frozen=True, kw_only=True)
class NeighbourCKA(MutualNeighbours):
    """Linear CKA with the sums over rows that are neighbours in both layers."""

    def relation(self, joint: Joint, index: int, pairs: Pairs) -> Relation:
        near = nearest(joint, index, pairs, self.k)
        x = rows_of(joint, index)
        close = np.take_along_axis(x @ x.T, near, axis=1)
        entries = np.zeros((joint.rows, joint.rows))
        size = np.linalg.norm(close)
        if not size > 0:
            return Relation(None, why="has no products between neighbours")
        np.put_along_axis(entries, near, close / size, axis=1)
        return Relation(entries)

    def chance(self, joint: Joint) -> None:
        return None


KNN = MutualNeighbours(
    stem="knn:mutual,k={k}",
    heading="Mutual nearest neighbours",
    family="relations",
    formula=(
        "mean over rows of |N_x(i) and N_y(i)| / k; N(i): the k rows of other groups nearest to "
        "row i, Euclidean"
    ),
    source="Huh et al. 2024, arXiv:2405.07987, app. A (there with rows scaled to length 1)",
    says="How often two layers agree on which clips of other tracks are most like a clip.",
    beware=(
        "Only the nearest count: layers may agree here and differ in the large, or the reverse. "
        "Chance is k over the number of other clips, so values of data sets of different size "
        "do not compare."
    ),
    range=(0.0, 1.0),
    invariances=ROTATIONS,
    minimum_rows=12,
)

CKNNA = NeighbourCKA(
    stem="cknna:k={k}",
    heading="CKA among neighbours",
    family="relations",
    formula=(
        "A(K,L) / sqrt(A(K,K) A(L,L)), A(K,L) the sum of K_ij L_ij over j in both N_x(i) and "
        "N_y(i); K, L centred linear kernels; N(i): the k rows of other groups nearest to row i, "
        "Euclidean"
    ),
    source="Huh et al. 2024, arXiv:2405.07987, app. A",
    says="CKA that looks only at clips that are neighbours in both layers.",
    beware=(
        "Clips far from the centre weigh most. Not zero by chance: hold it against the level of "
        "chance. The authors' code takes another, debiased sum."
    ),
    range=(-1.0, 1.0),
    invariances=ROTATIONS,
    minimum_rows=12,
)

MEASURES = (KNN, CKNNA)
