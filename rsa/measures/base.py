"""What a measure of similarity is: a name for exactly what is computed, and its properties."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields, replace

import numpy as np

from rsa.rows.joint import Joint

INVARIANCES = ("translation", "isotropic scaling", "permutation", "orthogonal", "invertible linear")


@dataclass(frozen=True)
class Null:
    """What a measure gives where the rows of y have nothing to do with those of x.

    Attributes
    ----------
    by : how it was found, in words.
    draws : [draws, layers, layers], values under permutations of whole groups, one permutation
        for all layers of a draw; None where the rest is in closed form.
    mean : [layers, layers], the exact mean where it is known; the draws' own when None.
    level, p : [layers, layers], what chance exceeds in 5 % of cases, and the share of chance
        beyond the value, cell by cell; in closed form, instead of draws.
    """

    by: str
    draws: np.ndarray | None = None
    mean: np.ndarray | None = None
    level: np.ndarray | None = None
    p: np.ndarray | None = None


@dataclass(frozen=True)
class Table:
    """One measure of all pairs of layers of a `Joint`.

    Attributes
    ----------
    value, low, high : [layers, layers], x along rows; NaN where not defined.
    null : see `Null`.
    extra : name -> [layers, layers] or [layers].
    notes : each a set of layers (empty: all pairs) and a sentence; a note is shown with a pair of
        sources that contains all of its layers.
    replicates : [blocks, layers, layers], values without each block of groups; None where the
        interval is found in another way.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    null: Null
    extra: dict[str, np.ndarray] = field(default_factory=dict)
    notes: list[tuple[frozenset[int], str]] = field(default_factory=list)
    replicates: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class Measure(ABC):
    """One variant of one measure; a subclass adds its parameters as fields.

    Attributes
    ----------
    stem : the canonical name, with parameters in braces: `svcca:var={variance:g},mean`.
    heading : the title for readers, with parameters in braces too.
    family, unit : for readers; family is one of `FAMILIES`.
    formula, source : what is computed, and the paper it comes from.
    says, beware : what a reader may conclude from it, and what not.
    range : lowest and highest value; None where unbounded.
    larger_is_more_similar : False for distances, whose value for equal layers is 0.
    symmetric : whether x and y may change places.
    metric : whether it is a distance that obeys the triangle inequality.
    invariances : among `INVARIANCES`: maps of a representation's columns that leave the value as
        it is.
    needs : `moments` (a function of sums over rows) or `rows`. What thins many rows says in a
        note to how many.
    minimum_rows : fewest rows for a value, whatever the widths.
    """

    stem: str
    heading: str
    family: str
    formula: str
    source: str
    says: str
    beware: str
    range: tuple[float | None, float | None]
    invariances: frozenset[str]
    minimum_rows: int
    needs: str = "rows"
    larger_is_more_similar: bool = True
    symmetric: bool = True
    metric: bool = False
    unit: str = ""

    @property
    def name(self) -> str:
        """Canonical string: exactly the variant computed."""
        return self._filled(self.stem)

    @property
    def title(self) -> str:
        """What heads a figure."""
        return self._filled(self.heading)

    def _filled(self, template: str) -> str:
        return template.format(**{f.name: getattr(self, f.name) for f in fields(self)})

    def named(self, name: str) -> Measure | None:
        """This measure with the parameters of a canonical string; None when it is another one.

        `RsaError` where a parameter is out of range.
        """
        pattern = re.escape(self.stem)
        pattern = re.sub(r"\\\{(\w+)(:\w+)?\\\}", r"(?P<\1>[0-9.]+)", pattern)
        found = re.fullmatch(pattern, name)
        if found is None:
            return None
        try:
            given = {k: type(getattr(self, k))(v) for k, v in found.groupdict().items()}
        except ValueError:
            return None
        other = replace(self, **given)
        other.check()
        return other

    def check(self) -> None:  # noqa: B027 - most measures have nothing to check
        """Raises RsaError for parameters out of range."""

    @abstractmethod
    def estimate(self, joint: Joint) -> Table:
        """Value, interval and chance for all pairs of layers."""


FAMILIES = {
    "cka": "centred kernel alignment",
    "cca": "canonical correlations",
    "shape": "alignment of shapes",
    "relations": "geometry of relations between clips",
    "information": "mutual information",
}


def constant_note(joint: Joint) -> list[tuple[frozenset[int], str]]:
    """The note on layers that do not vary, if there are any."""
    return [
        (frozenset([i]), f"{joint.name(i)} is the same in every row: no similarity is defined")
        for i in np.flatnonzero(joint.constant)
    ]
