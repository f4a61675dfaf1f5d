"""Blocks, trees and matchings as the study gives them, each with its stability."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from reports.numbers import Estimate

STABLE = 0.8  # share of resamples from which on a line is drawn solid


@dataclass(frozen=True)
class Boundary:
    """A block of layers begins here."""

    start: int
    stability: float


@dataclass(frozen=True)
class Within:
    """How the layers of one model hang together.

    Attributes
    ----------
    tree : [merges, 4] scipy's linkage.
    tree_stability : [merges] share of resamples that have the same cluster.
    """

    measure: str
    resamples: int
    blocks: tuple[Boundary, ...]
    tree: np.ndarray
    tree_stability: np.ndarray

    @property
    def cuts(self) -> tuple[Boundary, ...]:
        """Boundaries between blocks: the first block begins where the model does."""
        return tuple(b for b in self.blocks if b.start > 0)

    def turned(self) -> Within:
        return self


@dataclass(frozen=True)
class PathPair:
    """Two layers that the matching joins."""

    x: int
    y: int
    stability: float


@dataclass(frozen=True)
class Match:
    """The layer of the other model that is most alike."""

    layer: int
    stability: float


@dataclass(frozen=True)
class Across:
    """How the layers of two models go together.

    Attributes
    ----------
    path : the one-to-one matching that keeps the order of depth.
    order_kept : share of the free matching's sum that the path keeps.
    best_x, best_y : a layer's best partner in the other model; None where all is chance.
    """

    measure: str
    resamples: int
    path: tuple[PathPair, ...]
    order_kept: Estimate
    best_x: tuple[Match | None, ...]
    best_y: tuple[Match | None, ...]

    def turned(self) -> Across:
        path = tuple(PathPair(p.y, p.x, p.stability) for p in self.path)
        return replace(self, path=path, best_x=self.best_y, best_y=self.best_x)


Structure = Within | Across


@dataclass(frozen=True)
class Shrunk:
    """A matrix over some of the groups against that over all."""

    share: float
    groups: int
    deviation: Estimate
    correlation: float


@dataclass(frozen=True)
class Stability:
    """The main measure on fewer groups."""

    measure: str
    shares: tuple[Shrunk, ...]
