"""What a measure of similarity is: a name for exactly what is computed, and its properties."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np

from rsa.joint import Joint


@dataclass(frozen=True)
class Table:
    """One measure of all pairs of layers of a `Joint`.

    Attributes
    ----------
    value, low, high, chance, chance_high : [layers, layers]; NaN where not defined.
    chance_by : how `chance` was found.
    extra : name -> [layers, layers] or [layers].
    notes : each a set of layers (empty: all pairs) and a sentence; a note is shown with a pair of
        sources that contains one of its layers.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    chance: np.ndarray
    chance_high: np.ndarray
    chance_by: str
    extra: dict[str, np.ndarray] = field(default_factory=dict)
    notes: list[tuple[frozenset[int], str]] = field(default_factory=list)


@dataclass(frozen=True)
class Measure(ABC):
    """One variant of one measure.

    Attributes
    ----------
    name : canonical string.
    title, family, unit : for readers; family is `cka`, `cca` or `information`.
    formula, source : what is computed, and the paper it comes from.
    range : lowest and highest value; None where unbounded.
    symmetric : whether x and y may change places.
    invariances : among translation, isotropic scaling, permutation, orthogonal, invertible
        linear: maps of a representation's columns that leave the value as it is.
    minimum_rows : fewest rows for a value, whatever the widths.
    """

    name: str
    title: str
    family: str
    formula: str
    source: str
    range: tuple[float | None, float | None]
    symmetric: bool
    invariances: frozenset[str]
    minimum_rows: int
    unit: str = ""

    @abstractmethod
    def estimate(self, joint: Joint) -> Table:
        """Value, interval and chance for all pairs of layers."""


def constant_note(joint: Joint) -> list[tuple[frozenset[int], str]]:
    """The note on layers that do not vary, if there are any."""
    return [
        (frozenset([i]), f"{joint.name(i)} is the same in every row: no similarity is defined")
        for i in np.flatnonzero(joint.constant)
    ]
