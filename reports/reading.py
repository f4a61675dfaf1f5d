"""Reads the files of a study into `reports.results`, naming file and key where they are wrong.

Text is cleaned on the way in (control characters out, white space folded); it is handed on as data
and never becomes markup.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from reports.place import Place, load, plain
from reports.results import LayerCard, Measure, ModelCard, Similarity
from reports.structure import (
    Across,
    Boundary,
    Match,
    PathPair,
    Shrunk,
    Stability,
    Structure,
    Within,
)
from reports.words import clean

STUDY, SIMILARITY = 1, 2  # formats
_MATRICES = ("value", "low", "high", "chance", "chance_high", "score", "p")
_TEXTS = {"formula": 600, "source": 300, "says": 600, "beware": 600}


def model(place: Place, role: str) -> ModelCard:
    """A model card of study.json."""
    layers = []
    for layer in place.places("layers", needed=True):
        width = layer.number("width")
        rate = layer.number("rate")
        layers.append(
            LayerCard(
                clean(layer.text("name"), 200),
                int(width) if math.isfinite(width) else None,
                rate if math.isfinite(rate) else None,
            )
        )
    name = clean(place.text("name"), 120)
    weights = place.values.get("weights")
    trained = bool(weights.get("trained", True)) if isinstance(weights, dict) else True
    title = clean(place.values.get("title"), 120) or name
    return ModelCard(role, name, title, tuple(layers), place.values, trained)


def similarity(path: Path) -> Similarity:
    """One file of `similarity/`."""
    place = Place(path, load(path, SIMILARITY))
    layers_x, layers_y = place.names("layers_x"), place.names("layers_y")
    sizes = (len(layers_x), len(layers_y))
    x, y = clean(place.text("x"), 20), clean(place.text("y"), 20)
    found = [_measure(one, sizes) for one in place.places("measures", needed=True)]
    rows = place.values.get("rows")
    if isinstance(rows, dict):
        rows = rows.get("kind")
    return Similarity(
        x=x,
        y=y,
        layers_x=layers_x,
        layers_y=layers_y,
        rows=clean(rows, 60),
        n_rows=place.whole("n_rows"),
        n_groups=place.whole("n_groups"),
        measures={measure.name: measure for measure in found},
        structure=_structure(place, sizes, within=x == y),
        stability=_stability(place),
    )


def _measure(place: Place, sizes: tuple[int, int]) -> Measure:
    entry = place.values
    name = clean(place.text("measure"), 120)
    needed = ("value", "score", "p")
    matrices = {k: place.matrix(k, sizes, needed=k in needed) for k in _MATRICES}
    p = matrices["p"][np.isfinite(matrices["p"])]
    if ((p < 0.0) | (p > 1.0)).any():
        raise place.fail("p", "holds something outside 0 to 1")
    return Measure(
        name=name,
        title=clean(entry.get("title"), 120) or name,
        family=clean(entry.get("family"), 40),
        unit=clean(entry.get("unit"), 20),
        bounds=place.bounds("range"),
        symmetric=place.yes("symmetric"),
        larger_is_more_similar=place.yes("larger_is_more_similar"),
        interval=place.number("interval", 0.95),
        chance_by=clean(entry.get("chance_by"), 200),
        notes=tuple(clean(n, 400) for n in place.sequence("notes")),
        extra=_extra(place.place("extra", place.mapping("extra")), sizes),
        **{k: clean(entry.get(k), limit) for k, limit in _TEXTS.items()},
        **matrices,
    )


def _extra(place: Place, sizes: tuple[int, int]) -> dict[str, np.ndarray]:
    """Vectors are over the layers of one side, as their names say; single numbers stay so."""
    out = {}
    for key, values in place.values.items():
        if not isinstance(values, list):
            out[key] = np.array(plain(values, place, key))
        elif values and isinstance(values[0], list):
            out[key] = place.matrix(key, sizes)
        else:
            size = {"_x": sizes[0], "_y": sizes[1]}.get(key[-2:], len(values))
            out[key] = place.vector(key, size)
    return out


def _structure(place: Place, sizes: tuple[int, int], *, within: bool) -> Structure | None:
    if place.values.get("structure") is None:
        return None
    found = place.place("structure", place.values["structure"])
    measure = clean(found.text("measure"), 120)
    resamples = found.whole("resamples")
    if not within:
        return Across(
            measure=measure,
            resamples=resamples,
            path=tuple(
                PathPair(p.index("x", sizes[0]), p.index("y", sizes[1]), p.share("stability"))
                for p in found.places("path")
            ),
            order_kept=found.estimate("order_kept"),
            best_x=_matches(found, "best_x", sizes[0], "y", sizes[1]),
            best_y=_matches(found, "best_y", sizes[1], "x", sizes[0]),
        )
    blocks = tuple(
        Boundary(b.index("start", sizes[0]), b.share("stability")) for b in found.places("blocks")
    )
    rows = found.sequence("tree")
    merges = max(sizes[0] - 1, 0)
    tree = found.matrix("tree", (merges, 4), needed=True) if rows else np.empty((0, 4))
    # Row k of scipy's linkage joins two of the layers and of the k merges before it.
    known = np.arange(len(tree))[:, None] + sizes[0]
    if np.isnan(tree).any() or (tree[:, :2] < 0).any() or (tree[:, :2] >= known).any():
        raise found.fail("tree", "is no linkage of these layers")
    stability = found.vector("tree_stability", len(tree))
    return Within(measure, resamples, blocks, tree, stability)


def _matches(
    place: Place, key: str, size: int, other: str, other_size: int
) -> tuple[Match | None, ...]:
    entries = place.sequence(key) or [None] * size
    if len(entries) != size:
        raise place.fail(key, f"has {len(entries)} entries for {size} layers")
    out: list[Match | None] = []
    for index, entry in enumerate(entries):
        one = None if entry is None else place.place(f"{key}[{index}]", entry)
        out.append(one and Match(one.index(other, other_size), one.share("stability")))
    return tuple(out)


def _stability(place: Place) -> Stability | None:
    if place.values.get("stability") is None:
        return None
    found = place.place("stability", place.values["stability"])
    shares = tuple(
        Shrunk(
            one.share("share"),
            one.whole("groups"),
            one.estimate("deviation"),
            one.finite("correlation"),
        )
        for one in found.places("shares")
    )
    return Stability(clean(found.text("measure"), 120), shares)
