"""What each layer is by itself and what it tells about labels, read from the study's files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reports.place import Place, load
from reports.words import clean

GEOMETRY, INFORMATION = 1, 1  # formats
INTERVAL = 0.95


@dataclass(frozen=True)
class Quantity:
    """One number a layer: `curve` is [layers, 3], value with low and high."""

    key: str
    title: str
    unit: str
    source: str
    curve: np.ndarray
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Geometry:
    """Quantities of all layers of one role."""

    role: str
    layers: tuple[str, ...]
    rows: str
    n_rows: int
    n_groups: int
    quantities: dict[str, Quantity]


@dataclass(frozen=True)
class LabelInformation:
    """Bits that layers tell about a label.

    Attributes
    ----------
    curve : [layers, 3] value, low, high.
    entropy : bits of the label; NaN where it has none.
    floor, floor_high, p : [layers] against shuffled labels.
    """

    label: str
    kind: str
    n_rows: int
    entropy: float
    curve: np.ndarray
    floor: np.ndarray
    floor_high: np.ndarray
    p: np.ndarray
    notes: tuple[str, ...]

    @property
    def share(self) -> np.ndarray:
        """[layers] of the label's entropy."""
        return self.curve[:, 0] / self.entropy if self.entropy > 0 else self.curve[:, 0] * np.nan

    @property
    def above_chance(self) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return np.less_equal(self.p, 1.0 - INTERVAL + 1e-12)


@dataclass(frozen=True)
class Information:
    """What the layers of one role tell about labels."""

    role: str
    layers: tuple[str, ...]
    measure: str
    labels: dict[str, LabelInformation]


def geometry(path: Path) -> Geometry:
    """One file of `geometry/`."""
    place = Place(path, load(path, GEOMETRY))
    layers = place.names("layers")
    found = {}
    for one in place.places("quantities", needed=True):
        key = clean(one.text("quantity"), 80)
        found[key] = Quantity(
            key,
            clean(one.values.get("title"), 60) or key,
            clean(one.values.get("unit"), 20),
            clean(one.values.get("source"), 300),
            _curve(one, len(layers)),
            tuple(clean(n, 400) for n in one.sequence("notes")),
        )
    return Geometry(
        clean(place.text("x"), 20),
        layers,
        clean(place.values.get("rows"), 60),
        place.whole("n_rows"),
        place.whole("n_groups"),
        found,
    )


def information(path: Path) -> Information:
    """One file of `information/`."""
    place = Place(path, load(path, INFORMATION))
    layers = place.names("layers")
    size = len(layers)
    found = {}
    for one in place.places("labels", needed=True):
        label = clean(one.text("label"), 80)
        found[label] = LabelInformation(
            label=label,
            kind=clean(one.values.get("kind"), 40),
            n_rows=one.whole("n_rows"),
            entropy=one.finite("entropy"),
            curve=_curve(one, size),
            floor=one.vector("floor", size),
            floor_high=one.vector("floor_high", size),
            p=one.vector("p", size, needed=True),
            notes=tuple(clean(n, 400) for n in one.sequence("notes")),
        )
    measure = clean(place.values.get("measure"), 120)
    return Information(clean(place.text("x"), 20), layers, measure, found)


def _curve(place: Place, size: int) -> np.ndarray:
    parts = [place.vector(k, size, needed=k == "value") for k in ("value", "low", "high")]
    return np.stack(parts, axis=1)
