"""Reads the files of a study into `reports.results`, naming file and key where they are wrong.

Text is cleaned on the way in (control characters out, white space folded); it is handed on as data
and never becomes markup.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from reports.errors import ReportError
from reports.numbers import Estimate
from reports.results import LayerCard, LayerScore, Measure, ModelCard, Probes, Similarity, Task
from reports.words import clean

FORMAT = 1
AGAIN = "write the study again with this version of rsa"


class Place:
    """A mapping from a file, with checks that name the file and the key."""

    def __init__(self, path: Path, values: Any, where: str = "") -> None:
        self.path, self.where = path, where
        if not isinstance(values, dict):
            raise ReportError(f"{path}: {where or 'the top level'} is not a mapping; {AGAIN}")
        self.values = values

    def fail(self, key: str, what: str) -> ReportError:
        name = f"{self.where}.{key}" if self.where else key
        return ReportError(f"{self.path}: {clean(name, 120)} {what}; {AGAIN}")

    def text(self, key: str) -> str:
        value = self.values.get(key)
        if not isinstance(value, str) or not clean(value):
            raise self.fail(key, "is missing or not text")
        return value

    def sequence(self, key: str, *, needed: bool = False) -> list:
        value = self.values.get(key)
        if value is None and not needed:
            return []
        if not isinstance(value, list):
            raise self.fail(key, "is missing or not a list")
        return value

    def mapping(self, key: str) -> dict:
        value = self.values.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.fail(key, "is not a mapping")
        return value

    def number(self, key: str, default: float = math.nan) -> float:
        value = self.values.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.fail(key, "is not a number")
        return float(value)

    def names(self, key: str) -> tuple[str, ...]:
        names = tuple(clean(v, 200) for v in self.sequence(key, needed=True))
        if not names:
            raise self.fail(key, "is empty")
        if len(set(names)) < len(names):
            raise self.fail(key, "names a layer twice")
        return names

    def bounds(self, key: str) -> tuple[float, float]:
        pair = self.sequence(key) or [None, None]
        if len(pair) != 2:
            raise self.fail(key, "is not [low, high]")
        low, high = (_float(v, self, key) for v in pair)
        return low, high

    def matrix(self, key: str, shape: tuple[int, int]) -> np.ndarray:
        rows = self.values.get(key)
        if rows is None:
            return np.full(shape, math.nan)
        try:
            table = np.array(rows, dtype=float)
        except (TypeError, ValueError):
            raise self.fail(key, "is not a matrix of numbers") from None
        if table.shape != shape:
            found = "x".join(map(str, table.shape))
            raise self.fail(key, f"is {found}, the layers make it {shape[0]}x{shape[1]}")
        table[~np.isfinite(table)] = math.nan
        return table


def _float(value: Any, place: Place, key: str) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise place.fail(key, "holds something that is not a number")
    return float(value) if math.isfinite(value) else math.nan


def load(path: Path) -> dict:
    """A JSON file of the right format."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ReportError(f"{path}: missing; is this the folder of a finished study?") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ReportError(f"{path}: cannot be read ({clean(error, 120)}); {AGAIN}") from None
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{path}: not JSON ({clean(error, 120)}); {AGAIN}") from None
    found = Place(path, values).values.get("format")
    if found != FORMAT:
        raise ReportError(
            f"{path}: format {clean(found, 20) or 'missing'}, this version reads {FORMAT}; {AGAIN}"
        )
    return values


def model(place: Place, role: str) -> ModelCard:
    """A model card of study.json."""
    layers = []
    for index, entry in enumerate(place.sequence("layers", needed=True)):
        layer = Place(place.path, entry, f"{place.where}.layers[{index}]")
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
    place = Place(path, load(path))
    layers_x, layers_y = place.names("layers_x"), place.names("layers_y")
    shape = (len(layers_x), len(layers_y))
    measures = {}
    for index, entry in enumerate(place.sequence("measures", needed=True)):
        one = Place(path, entry, f"measures[{index}]")
        name = clean(one.text("measure"), 120)
        measures[name] = Measure(
            name=name,
            title=clean(entry.get("title"), 120) or name,
            family=clean(entry.get("family"), 40),
            unit=clean(entry.get("unit"), 20),
            bounds=one.bounds("range"),
            symmetric=bool(entry.get("symmetric", True)),
            interval=one.number("interval", 0.95),
            chance_by=clean(entry.get("chance_by"), 200),
            notes=tuple(clean(n, 400) for n in one.sequence("notes")),
            **{k: one.matrix(k, shape) for k in ("value", "low", "high", "chance", "chance_high")},
        )
    rows = place.values.get("rows")
    if isinstance(rows, dict):
        rows = rows.get("kind")
    return Similarity(
        x=clean(place.text("x"), 20),
        y=clean(place.text("y"), 20),
        layers_x=layers_x,
        layers_y=layers_y,
        rows=clean(rows, 60),
        n_rows=int(place.number("n_rows", 0)),
        n_groups=int(place.number("n_groups", 0)),
        measures=measures,
    )


def _estimate(place: Place, key: str) -> Estimate:
    entry = place.values.get(key)
    if entry is None:
        return Estimate(math.nan)
    found = Place(place.path, entry, f"{place.where}.{key}")
    parts = (_float(found.values.get(k), found, k) for k in ("value", "low", "high"))
    return Estimate(*parts)


def _estimates(place: Place, key: str) -> dict[str, Estimate]:
    inner = Place(place.path, place.mapping(key), f"{place.where}.{key}")
    return {name: _estimate(inner, name) for name in inner.values}


def probes(path: Path) -> Probes:
    """One file of `probes/`."""
    place = Place(path, load(path))
    tasks = {}
    for index, entry in enumerate(place.sequence("tasks", needed=True)):
        found = _task(Place(path, entry, f"tasks[{index}]"))
        tasks[found.key] = found
    role = clean(place.values.get("role") or path.stem, 20)
    model = clean(place.values.get("model"), 120)
    skipped = {
        clean(one.get("task"), 80): clean(one.get("why"), 200)
        for one in place.sequence("skipped")
        if isinstance(one, dict)
    }
    return Probes(role, model, clean(place.values.get("protocol"), 80) or "linear", tasks, skipped)


def _task(place: Place) -> Task:
    entry = place.values
    layers = []
    for index, item in enumerate(place.sequence("layers", needed=True)):
        one = Place(place.path, item, f"{place.where}.layers[{index}]")
        wins = {k: _float(v, one, "wins") for k, v in one.mapping("wins").items()}
        layers.append(
            LayerScore(
                clean(one.text("layer"), 200),
                _estimate(one, "valid"),
                _estimates(one, "splits"),
                wins,
            )
        )
    if not layers:
        raise place.fail("layers", "is empty")
    names = [layer.layer for layer in layers]
    selected = clean(entry.get("selected"), 200) or names[0]
    if selected not in names:
        raise place.fail("selected", f"is {selected!r}, which is not among the layers")
    classes = place.number("classes")
    counts = {}
    for key in ("n", "groups"):
        table = place.mapping(key)
        counts[key] = {k: int(v) for k, v in table.items() if isinstance(v, (int, float))}
    return Task(
        key=clean(place.text("task"), 80),
        title=clean(entry.get("title"), 80) or clean(entry["task"], 80),
        kind=clean(entry.get("kind"), 40),
        metric=clean(entry.get("metric"), 80),
        bounds=place.bounds("range"),
        chance=place.number("chance"),
        tier=clean(entry.get("tier"), 20),
        classes=int(classes) if math.isfinite(classes) else None,
        unit=clean(entry.get("unit"), 20),
        rows=clean(entry.get("rows"), 60),
        n=counts["n"],
        groups=counts["groups"],
        headline=clean(entry.get("headline"), 40) or "test",
        selected=selected,
        layers=tuple(layers),
        gain=_estimates(place, "gain_over_last"),
        notes=tuple(clean(n, 400) for n in place.sequence("notes")),
    )
