"""Distance correlation, with its bias taken out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsa.measures.kernels import ROTATIONS
from rsa.measures.relations import Pairs, PairwiseMeasure, Relation, squared_distances, unit
from rsa.rows.joint import Joint


@dataclass(frozen=True, kw_only=True)
class DistanceCorrelation(PairwiseMeasure):
    """Cosine of U-centred distance matrices: an estimate of the squared distance correlation."""

    def relation(self, joint: Joint, index: int, pairs: Pairs) -> Relation:
        distances = np.sqrt(squared_distances(joint, index))
        return unit(pairs.centred(distances), float(np.linalg.norm(distances[pairs.allowed])))


DISTANCE = DistanceCorrelation(
    stem="dcor:track-debiased",
    heading="Distance correlation",
    family="relations",
    formula=(
        "sum A B / sqrt(sum A^2 sum B^2) over pairs of rows of different groups; A, B Euclidean "
        "distances without their best r_i + r_j; with one row a group R* of the source"
    ),
    source="Szekely and Rizzo 2013 (J. Multivariate Analysis 117); 2014 (Ann. Statist. 42)",
    says=(
        "Above chance for any kind of dependence, straight or bent; it estimates the square of "
        "the distance correlation."
    ),
    beware="An estimate of a square, so 0.25 answers to 0.5; it can fall a little below 0.",
    range=(-1.0, 1.0),
    invariances=ROTATIONS,
    minimum_rows=4,
)

MEASURES = (DISTANCE,)
