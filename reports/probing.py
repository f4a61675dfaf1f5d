"""What probes found, read from the study's files: scores of every task on every layer."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from reports import trust
from reports.numbers import Estimate
from reports.place import Place, load, plain
from reports.trust import LayerTrust, TaskTrust
from reports.words import clean

PROBES = 2  # format
VALID = "valid"
ALL = "all"  # the one layer of a head that takes all layers at once
# heads in words; a head that is not here goes by its own name
_HEADS = {
    "weighting": "weighted sum of layers",
    "concatenation": "all layers concatenated",
    "knn": "nearest neighbours",
    "centroid": "nearest centroid",
    "mlp": "one hidden layer",
    "attentive": "attentive pooling",
}


@dataclass(frozen=True)
class LayerScore:
    """One layer on one task.

    Attributes
    ----------
    also : further metric -> split -> score.
    facts : what else the head has to say, as it stands in the file.
    """

    layer: str
    valid: Estimate
    splits: Mapping[str, Estimate]
    wins: Mapping[str, float]
    information: Mapping[str, Estimate] = field(default_factory=dict)
    also: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    trust: LayerTrust = field(default_factory=LayerTrust)

    def score(self, metric: str, split: str) -> Estimate:
        """By a further metric; NaN where there is none."""
        return self.also.get(metric, {}).get(split, Estimate(math.nan))


@dataclass(frozen=True)
class Published:
    """A number of the field on the same data by the same metric; `spread` is NaN where unknown."""

    model: str
    metric: str
    value: float
    spread: float
    protocol: str
    source: str
    note: str


@dataclass(frozen=True)
class Task:
    """One task on all layers of one role."""

    key: str
    title: str
    family: str
    label: str
    kind: str
    head: str
    metric: str
    bounds: tuple[float, float]
    chance: float
    also_chance: Mapping[str, float]
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
    over_single: Mapping[str, Estimate]
    published: tuple[Published, ...]
    trust: TaskTrust
    notes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(layer.layer for layer in self.layers)

    @property
    def index(self) -> int:
        """Position of the selected layer."""
        return self.names.index(self.selected)

    @property
    def chosen(self) -> LayerScore:
        """The selected layer."""
        return self.layers[self.index]

    @property
    def head_title(self) -> str:
        return head_title(self.head)

    @property
    def other_split(self) -> str | None:
        """The test split that is not the quoted one."""
        splits = {split for layer in self.layers for split in layer.splits}
        return min(splits - {self.headline, VALID}, default=None)

    @property
    def further(self) -> tuple[str, ...]:
        """Further metrics, in the order of the file."""
        return tuple(dict.fromkeys(name for layer in self.layers for name in layer.also))

    @property
    def by_voices(self) -> dict[int, str]:
        """Number of notes at once -> metric, in rising order; empty for tasks not scored so."""
        pattern = re.compile(re.escape(self.metric) + r" (\d+)")
        found = ((pattern.fullmatch(name), name) for name in self.further)
        counts = {int(match[1]): name for match, name in found if match}
        several = len(counts) > 1 and self.family == "pitch"
        return dict(sorted(counts.items())) if several else {}

    def curve(self, split: str) -> np.ndarray:
        """[layers, 3]: value, low, high on a split."""
        return table(layer.splits.get(split) for layer in self.layers)

    def further_curve(self, metric: str, split: str) -> np.ndarray:
        """[layers, 3]: value, low, high of a further metric on a split."""
        return table(layer.score(metric, split) for layer in self.layers)

    def information(self) -> np.ndarray:
        """[layers, 3] bits that the probe finds on the headline split: value, low, high."""
        return table(layer.information.get(self.headline) for layer in self.layers)

    def wins(self) -> np.ndarray:
        """[layers] share of resamples of the headline split in which each layer scores best."""
        return np.array([layer.wins.get(self.headline, math.nan) for layer in self.layers], float)

    def best(self, metric: str = "", split: str = "") -> Estimate:
        """Score of the selected layer; by the task's metric on the headline split unless told."""
        split = split or self.headline
        if metric and metric != self.metric:
            return self.chosen.score(metric, split)
        return self.chosen.splits.get(split, Estimate(math.nan))

    def above_chance(self, split: str = "") -> bool:
        """Whether the selected layer is shown to be; True where chance is not known."""
        return not self.best(split=split).low <= self.chance

    def chance_of(self, metric: str) -> float:
        return self.chance if metric == self.metric else self.also_chance.get(metric, math.nan)


@dataclass(frozen=True)
class Probes:
    """All tasks of one role; `heads` are those tasks again by other heads, task by task."""

    role: str
    model: str
    protocol: str
    tasks: Mapping[str, Task]
    skipped: Mapping[str, str]
    heads: Mapping[str, tuple[Task, ...]] = field(default_factory=dict)


def head_title(head: str) -> str:
    """A head in words."""
    return _HEADS.get(head, head)


def table(found: Iterable[Estimate | None]) -> np.ndarray:
    """[estimates, 3]: value, low, high; NaN where there is none."""
    missing = Estimate(math.nan)
    return np.array([(e.value, e.low, e.high) for e in (f or missing for f in found)], dtype=float)


def probes(path: Path) -> Probes:
    """One file of `probes/`."""
    place = Place(path, load(path, PROBES))
    found = [_task(one) for one in place.places("tasks", needed=True)]
    heads: dict[str, tuple[Task, ...]] = {}
    for one in (_task(entry) for entry in place.places("heads")):
        heads[one.key] = (*heads.get(one.key, ()), one)
    skipped = {
        clean(one.get("task"), 80): clean(one.get("why"), 200)
        for one in place.sequence("skipped")
        if isinstance(one, dict)
    }
    return Probes(
        clean(place.values.get("role") or path.stem, 20),
        clean(place.values.get("model"), 120),
        clean(place.values.get("protocol"), 80) or "linear",
        {task.key: task for task in found},
        skipped,
        heads,
    )


def _layer(place: Place, headline: str) -> LayerScore:
    also = place.place("also", place.mapping("also"))
    return LayerScore(
        clean(place.text("layer"), 200),
        place.estimate(VALID),
        place.estimates("splits"),
        {k: plain(v, place, "wins") for k, v in place.mapping("wins").items()},
        place.estimates("information"),
        {clean(name, 80): also.estimates(name) for name in also.values},
        place.mapping("facts"),
        trust.of_layer(place, headline),
    )


def _task(place: Place) -> Task:
    entry = place.values
    headline = clean(entry.get("headline"), 40) or "test"
    layers = tuple(_layer(one, headline) for one in place.places("layers", needed=True))
    if not layers:
        raise place.fail("layers", "is empty")
    names = [layer.layer for layer in layers]
    selected = clean(entry.get("selected"), 200) or names[0]
    if selected not in names:
        raise place.fail("selected", f"is {selected!r}, which is not among the layers")
    classes = place.number("classes")
    counts = {}
    for key in ("n", "groups"):
        found = place.place(key, place.mapping(key))
        pairs = found.values.items()
        counts[key] = {k: found.whole(k) for k, v in pairs if isinstance(v, (int, float))}
    chances = place.place("also_chance", place.mapping("also_chance"))
    return Task(
        key=clean(place.text("task"), 80),
        title=clean(entry.get("title"), 80) or clean(entry["task"], 80),
        family=clean(entry.get("family"), 40),
        label=clean(entry.get("label"), 80) or clean(entry["task"], 80),
        kind=clean(entry.get("kind"), 40),
        head=clean(entry.get("head"), 40) or "linear",
        metric=clean(entry.get("metric"), 80),
        bounds=place.bounds("range"),
        chance=place.number("chance"),
        also_chance={clean(name, 80): chances.finite(name) for name in chances.values},
        tier=clean(entry.get("tier"), 20),
        classes=int(classes) if math.isfinite(classes) else None,
        unit=clean(entry.get("unit"), 20),
        rows=clean(entry.get("rows"), 60),
        n=counts["n"],
        groups=counts["groups"],
        headline=headline,
        selected=selected,
        layers=layers,
        gain=place.estimates("gain_over_last"),
        over_single=place.estimates("gain_over_single"),
        published=tuple(_published(one) for one in place.places("published")),
        trust=trust.of_task(place, names, headline),
        notes=tuple(clean(n, 400) for n in place.sequence("notes")),
    )


def _published(place: Place) -> Published:
    return Published(
        clean(place.text("model"), 80),
        clean(place.text("metric"), 80),
        place.number("value"),
        place.finite("spread"),
        clean(place.values.get("protocol"), 400),
        clean(place.values.get("source"), 300),
        clean(place.values.get("note"), 400),
    )
