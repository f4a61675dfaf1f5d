"""Reads the folder `maps/` of a study: clips as points, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reports.place import Place, load
from reports.words import clean

MAPS = 1  # format


@dataclass(frozen=True)
class LayerMap:
    """Clips at one layer; `place` says why this one: `first`, `best`, `last`, or two of them."""

    layer: str
    place: str
    method: str
    trustworthiness: float
    points: np.ndarray


@dataclass(frozen=True)
class ClipMaps:
    """One model, clips coloured by the label that is read out best."""

    role: str
    title: str
    clips: tuple[str, ...]
    classes: tuple[str, ...]
    layers: tuple[LayerMap, ...]


def maps(path: Path) -> ClipMaps:
    """One model: `maps/X.json`."""
    place = Place(path, load(path, MAPS))
    classes = tuple(clean(one, 60) for one in place.sequence("classes", needed=True))
    clips = tuple(clean(one, 120) for one in place.sequence("clips", needed=True))
    if len(clips) != len(classes):
        raise place.fail("clips", f"are {len(clips)} and their classes {len(classes)}")
    return ClipMaps(
        clean(place.text("role"), 20),
        clean(place.text("title"), 80),
        clips,
        classes,
        tuple(_layer(one, len(clips)) for one in place.places("layers")),
    )


def _layer(place: Place, clips: int) -> LayerMap:
    points = np.stack([place.vector(axis, clips, needed=True) for axis in "xy"], axis=1)
    return LayerMap(
        clean(place.text("layer"), 200),
        clean(place.text("place"), 20),
        clean(place.text("method"), 120),
        place.share("trustworthiness"),
        points,
    )
