"""Reads a study folder (docs/study.md) into typed, read-only objects.

Text from the files is cleaned on the way in (control characters out, white space folded); it is
handed on as data and never becomes markup.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reports.errors import ReportError
from reports.numbers import MINUS, Estimate

FORMAT = 1
_AGAIN = "write the study again with this version of rsa"
_ROLE = re.compile(r"[a-z]+")


def clean(text: Any, limit: int = 4000) -> str:
    """Any value as printable text on one line, at most `limit` characters."""
    if text is None:
        return ""
    kept = "".join(
        " " if c in "\t\r\n\u2028\u2029" else c
        for c in str(text)
        if c in "\t\r\n" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn")
    )
    kept = " ".join(kept.split())
    return kept if len(kept) <= limit else kept[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


def abridged(name: str, limit: int) -> str:
    """A name of at most `limit` characters: the middle goes first, both ends tell names apart."""
    if len(name) <= limit:
        return name
    head = (limit - 1) // 2
    return name[:head] + "\N{HORIZONTAL ELLIPSIS}" + name[-(limit - 1 - head) :]


@dataclass(frozen=True)
class LayerCard:
    """One layer of a model: see the model card in docs/study.md."""

    name: str
    width: int | None = None
    rate: float | None = None


@dataclass(frozen=True)
class ModelCard:
    """Who was studied, under one role."""

    role: str
    name: str
    title: str
    layers: tuple[LayerCard, ...]
    facts: Mapping[str, Any]
    trained: bool = True

    @property
    def layer_names(self) -> tuple[str, ...]:
        return tuple(layer.name for layer in self.layers)


@dataclass(frozen=True)
class Measure:
    """One measure between the layers of two roles; matrices are [layers of x, layers of y]."""

    name: str
    title: str
    family: str
    unit: str
    bounds: tuple[float, float]
    symmetric: bool
    interval: float
    chance_by: str
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    chance: np.ndarray
    chance_high: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def above_chance(self) -> np.ndarray:
        """True where the lower end of the interval exceeds what chance exceeds in 5 % of cases."""
        with np.errstate(invalid="ignore"):
            return np.greater(self.low, self.chance_high)

    @property
    def bounds_text(self) -> str:
        """`range 0 to 1`, for captions."""
        low, high = (f"{b:g}" if math.isfinite(b) else "" for b in self.bounds)
        low = low.replace("-", MINUS)
        if low and high:
            return f"range {low} to {high}"
        return f"at least {low}" if low else "unbounded"

    def at(self, row: int, column: int) -> Estimate:
        return Estimate(
            float(self.value[row, column]), float(self.low[row, column]), float(self.high[row, column])
        )

    def turned(self) -> Measure:
        """The same measure with x and y exchanged."""
        matrices = {k: getattr(self, k).T for k in ("value", "low", "high", "chance", "chance_high")}
        return Measure(**{**self.__dict__, **matrices})


@dataclass(frozen=True)
class Similarity:
    """Everything measured between two roles."""

    x: str
    y: str
    layers_x: tuple[str, ...]
    layers_y: tuple[str, ...]
    rows: str
    n_rows: int
    n_groups: int
    measures: Mapping[str, Measure]

    def main(self) -> Measure | None:
        """Track-debiased CKA where there is one, else debiased, else any CKA, else the first."""
        order = ("cka:linear,track-debiased", "cka:linear,debiased")
        for name in order:
            if name in self.measures:
                return self.measures[name]
        named = sorted(self.measures.values(), key=lambda m: m.family != "cka")
        return next((m for m in named if m.family != "information"), None)

    def information(self) -> tuple[Measure, ...]:
        return tuple(m for m in self.measures.values() if m.family == "information")


@dataclass(frozen=True)
class LayerScore:
    """One layer on one task."""

    layer: str
    valid: Estimate
    splits: Mapping[str, Estimate]
    wins: Mapping[str, float]


@dataclass(frozen=True)
class Task:
    """One task on all layers of one role."""

    key: str
    title: str
    kind: str
    metric: str
    bounds: tuple[float, float]
    chance: float
    tier: str
    classes: int | None
    unit: str
    rows: str
    n: Mapping[str, int]
    groups: Mapping[str, int]
    headline: str
    selected: str
    layers: tuple[LayerScore, ...]
    gain: Mapping[str, Estimate]
    notes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(layer.layer for layer in self.layers)

    @property
    def index(self) -> int:
        """Position of the selected layer."""
        return self.names.index(self.selected)

    def curve(self, split: str) -> np.ndarray:
        """[layers, 3]: value, low, high on a split."""
        missing = Estimate(math.nan)
        found = [layer.splits.get(split, missing) for layer in self.layers]
        return np.array([(e.value, e.low, e.high) for e in found], dtype=float)

    def wins(self) -> np.ndarray:
        """[layers] share of resamples of the headline split in which each layer scores best."""
        return np.array([layer.wins.get(self.headline, math.nan) for layer in self.layers], float)

    def best(self) -> Estimate:
        """Headline score of the selected layer."""
        return self.layers[self.index].splits.get(self.headline, Estimate(math.nan))


@dataclass(frozen=True)
class Probes:
    """All tasks of one role."""

    role: str
    model: str
    protocol: str
    tasks: Mapping[str, Task]


@dataclass(frozen=True)
class Study:
    """A study folder in memory; `raw` is study.json as it stands."""

    folder: Path
    title: str
    created: str
    command: str
    stamps: tuple[str, ...]
    caveats: tuple[str, ...]
    models: Mapping[str, ModelCard]
    references: ModelCard | None
    similarity: Mapping[tuple[str, str], Similarity]
    probes: Mapping[str, Probes]
    raw: Mapping[str, Any]

    @classmethod
    def read(cls, folder: str | Path) -> Study:
        """Reads and checks a study folder.

        Raises
        ------
        ReportError : names the file and what is wrong with it.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise ReportError(f"{folder}: no such folder; give the folder that a study was written to")
        path = folder / "study.json"
        raw = _load(path)
        place = _Place(path, raw)
        cards = place.mapping("models")
        if not cards:
            raise ReportError(f"{path}: no models; {_AGAIN}")
        for role in cards:
            if not _ROLE.fullmatch(role):
                raise ReportError(f"{path}: {clean(role, 40)!r} is not a role (a, b, ...); {_AGAIN}")
        models = {role: _model(_Place(path, cards[role], f"models.{role}"), role) for role in cards}
        models = dict(sorted(models.items()))
        ref = raw.get("references")
        references = _model(_Place(path, ref, "references"), "ref") if ref else None
        similarity, probes = {}, {}
        for file in sorted((folder / "similarity").glob("*.json")):
            found = _similarity(file)
            similarity[found.x, found.y] = found
        for file in sorted((folder / "probes").glob("*.json")):
            table = _probes(file)
            probes[table.role] = table
        return cls(
            folder=folder,
            title=clean(place.text("title"), 200),
            created=clean(raw.get("created"), 40),
            command=clean(raw.get("command")),
            stamps=tuple(clean(s, 80) for s in place.sequence("stamps") if clean(s)),
            caveats=tuple(clean(s, 600) for s in place.sequence("caveats") if clean(s)),
            models=models,
            references=references,
            similarity=similarity,
            probes=probes,
            raw=raw,
        )

    def between(self, x: str, y: str) -> Similarity | None:
        """The comparison of two roles, in this order whichever way it was stored."""
        if (x, y) in self.similarity:
            return self.similarity[x, y]
        found = self.similarity.get((y, x))
        if found is None:
            return None
        # A directed measure turned round would be another measure: those stay out.
        measures = {k: m.turned() for k, m in found.measures.items() if m.symmetric}
        return Similarity(
            x, y, found.layers_y, found.layers_x, found.rows, found.n_rows, found.n_groups, measures
        )

    def title_of(self, role: str) -> str:
        """What a model is called in sentences and on axes."""
        if role == "ref":
            return "references"
        card = self.models.get(role)
        return abridged(card.title, 48) if card else role


class _Place:
    """A mapping from a file, with checks that name the file and the key."""

    def __init__(self, path: Path, values: Any, where: str = "") -> None:
        self.path, self.where = path, where
        if not isinstance(values, dict):
            raise ReportError(f"{path}: {where or 'the top level'} is not a mapping; {_AGAIN}")
        self.values = values

    def fail(self, key: str, what: str) -> ReportError:
        name = f"{self.where}.{key}" if self.where else key
        return ReportError(f"{self.path}: {clean(name, 120)} {what}; {_AGAIN}")

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


def _float(value: Any, place: _Place, key: str) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise place.fail(key, "holds something that is not a number")
    return float(value) if math.isfinite(value) else math.nan


def _load(path: Path) -> dict:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ReportError(f"{path}: missing; is this the folder of a finished study?") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ReportError(f"{path}: cannot be read ({clean(error, 120)}); {_AGAIN}") from None
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{path}: not JSON ({clean(error, 120)}); {_AGAIN}") from None
    found = _Place(path, values).values.get("format")
    if found != FORMAT:
        raise ReportError(
            f"{path}: format {clean(found, 20) or 'missing'}, this version reads {FORMAT}; {_AGAIN}"
        )
    return values


def _model(place: _Place, role: str) -> ModelCard:
    layers = []
    for index, entry in enumerate(place.sequence("layers", needed=True)):
        layer = _Place(place.path, entry, f"{place.where}.layers[{index}]")
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


def _similarity(path: Path) -> Similarity:
    place = _Place(path, _load(path))
    layers_x, layers_y = place.names("layers_x"), place.names("layers_y")
    shape = (len(layers_x), len(layers_y))
    measures = {}
    for index, entry in enumerate(place.sequence("measures", needed=True)):
        one = _Place(path, entry, f"measures[{index}]")
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


def _estimate(place: _Place, key: str) -> Estimate:
    entry = place.values.get(key)
    if entry is None:
        return Estimate(math.nan)
    found = _Place(place.path, entry, f"{place.where}.{key}")
    parts = (_float(found.values.get(k), found, k) for k in ("value", "low", "high"))
    return Estimate(*parts)


def _estimates(place: _Place, key: str) -> dict[str, Estimate]:
    inner = _Place(place.path, place.mapping(key), f"{place.where}.{key}")
    return {name: _estimate(inner, name) for name in inner.values}


def _probes(path: Path) -> Probes:
    place = _Place(path, _load(path))
    tasks = {}
    for index, entry in enumerate(place.sequence("tasks", needed=True)):
        found = _task(_Place(path, entry, f"tasks[{index}]"))
        tasks[found.key] = found
    role = clean(place.values.get("role") or path.stem, 20)
    model = clean(place.values.get("model"), 120)
    return Probes(role, model, clean(place.values.get("protocol"), 80) or "linear", tasks)


def _task(place: _Place) -> Task:
    entry = place.values
    layers = []
    for index, item in enumerate(place.sequence("layers", needed=True)):
        one = _Place(place.path, item, f"{place.where}.layers[{index}]")
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
