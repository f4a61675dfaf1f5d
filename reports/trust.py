"""What makes a probe's score trustworthy, read from the study's files; NaN or None where absent.

A layer has its control task, its code, and the curves of its probe; a task has what compares its
layers. All numbers are of the split that the report quotes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reports.numbers import Estimate
from reports.place import Place
from reports.words import clean

_NONE = Estimate(math.nan)
_BY_SPLIT = ("comparisons", "emergence", "calibration", "coverage")


@dataclass(frozen=True)
class Code:
    """Online code of the training labels, bits a row.

    Attributes
    ----------
    compression : length of the code that knows nothing over that of this one; NaN for numbers.
    saved : against the code that knows frequencies alone.
    """

    bits: Estimate
    prior: float
    compression: Estimate
    saved: Estimate


@dataclass(frozen=True)
class Ladder:
    """Scores of a probe that is given more and more.

    Attributes
    ----------
    steps : training rows, or components; the last are all.
    scores : [steps, 3] value, low, high.
    enough : the fewest steps whose score is within one standard error of that of all; NaN where
        unknown.
    rise : from the last step but one to all.
    """

    steps: tuple[float, ...]
    scores: np.ndarray
    enough: float = math.nan
    rise: Estimate = _NONE


@dataclass(frozen=True)
class Calibration:
    """What a probe says against what is so.

    Attributes
    ----------
    stated : mean probabilities of bins, or the levels of central intervals.
    observed : [stated, 3] shares that are right, or that lie inside.
    error : expected calibration error; NaN for numbers.
    chance : the error that a calibrated probe has with as few rows.
    p : share of those as large.
    intervals : whether these are intervals of numbers.
    """

    stated: tuple[float, ...]
    observed: np.ndarray
    error: float = math.nan
    chance: float = math.nan
    p: float = math.nan
    intervals: bool = False


@dataclass(frozen=True)
class Comparison:
    """Layers against the selected one, tested all at once.

    Attributes
    ----------
    not_worse : layers that are not shown to be worse.
    one_error : the first layer within one standard error of the highest score.
    """

    not_worse: tuple[str, ...]
    one_error: str


@dataclass(frozen=True)
class Emergence:
    """Where in depth rows become decodable.

    Attributes
    ----------
    decodable : [layers, 3] share of rows whose truth is made more probable.
    expected : mean place of the layer at which information is found, from 0.
    never : share of rows that are decodable nowhere.
    one_error : the first layer whose bits are within one standard error of the most.
    """

    decodable: np.ndarray
    expected: Estimate
    never: Estimate
    one_error: str


@dataclass(frozen=True)
class Shuffled:
    """Scores with training labels shuffled between groups.

    Attributes
    ----------
    level : what one more draw would exceed in 5 % of cases.
    p : share of draws that score as well as the true labels.
    """

    chance: float
    level: float
    p: float


@dataclass(frozen=True)
class LayerTrust:
    """Of one layer; `control` is the score on control labels, `selectivity` how much less it is."""

    control: Estimate = _NONE
    selectivity: Estimate = _NONE
    shuffled: Shuffled | None = None
    code: Code | None = None
    learning: Ladder | None = None
    components: Ladder | None = None
    calibration: Calibration | None = None


@dataclass(frozen=True)
class TaskTrust:
    """Of one task: what compares its layers."""

    comparison: Comparison | None = None
    emergence: Emergence | None = None


def of_layer(place: Place, headline: str) -> LayerTrust:
    """What a layer of a task says of itself, under `trust`."""
    if place.values.get("trust") is None:
        return LayerTrust()
    found = place.place("trust", place.values["trust"])
    control = _part(found, "control", headline)
    shuffled = _part(found, "shuffled", headline)
    code = _part(found, "codelength", headline)
    return LayerTrust(
        _score(control, "score", headline),
        _score(control, "selectivity", headline),
        shuffled and Shuffled(*(_share(shuffled, k, headline) for k in ("chance", "level", "p"))),
        code and _code(code),
        _ladder(found, "learning", "rows", headline),
        _ladder(found, "dimensions", "components", headline),
        _calibration(found, headline) or _coverage(found, headline),
    )


def of_task(place: Place, layers: Sequence[str], headline: str) -> TaskTrust:
    """What compares the layers of a task."""
    return TaskTrust(
        _comparison(_part(place, "comparisons", headline), layers),
        _emergence(_part(place, "emergence", headline), layers),
    )


def _part(place: Place, key: str, headline: str) -> Place | None:
    """A mapping, or that of the quoted split where there is one for each split."""
    values = place.values.get(key)
    if values is None:
        return None
    found = place.place(key, values)
    if key in _BY_SPLIT:
        values = found.values.get(headline)
        return None if values is None else found.place(headline, values)
    return found


def _score(place: Place | None, key: str, headline: str) -> Estimate:
    """`{value, low, high}` for each split."""
    return place.place(key, place.mapping(key)).estimate(headline) if place else _NONE


def _share(place: Place, key: str, headline: str) -> float:
    """A number for each split."""
    return place.place(key, place.mapping(key)).finite(headline)


def _scores(place: Place, key: str, headline: str) -> np.ndarray:
    """[scores, 3] from a list of scores, also one list for each split."""
    entry = place.values.get(key)
    if isinstance(entry, dict):
        place, key = place.place(key, entry), headline
    rows = []
    for one in place.places(key):
        rows.append([one.finite(part) for part in ("value", "low", "high")])
    return np.array(rows, dtype=float).reshape(-1, 3)


def _steps(place: Place, key: str) -> tuple[float, ...]:
    values = place.vector(key, len(place.sequence(key)))
    return tuple(float(value) for value in values)


def _code(place: Place) -> Code:
    return Code(
        place.estimate("bits"),
        place.finite("prior"),
        place.estimate("compression"),
        place.estimate("saved"),
    )


def _ladder(place: Place, key: str, steps: str, headline: str) -> Ladder | None:
    if place.values.get(key) is None:
        return None
    found = place.place(key, place.values[key])
    scores = _scores(found, "scores", headline)
    places = _steps(found, steps)
    if len(scores) != len(places):
        raise found.fail("scores", f"has {len(scores)} entries for {len(places)} {steps}")
    enough = found.values.get("enough")
    if isinstance(enough, dict):
        enough = enough.get(headline)
    usable = isinstance(enough, int | float) and not isinstance(enough, bool)
    rise = _score(found, "rise", headline)
    known = np.isfinite(scores[:, 0]).any() if places else False
    return Ladder(places, scores, float(enough) if usable else math.nan, rise) if known else None


def _calibration(place: Place, headline: str) -> Calibration | None:
    found = _part(place, "calibration", headline)
    if found is None:
        return None
    bins = found.places("bins")
    observed = [one.estimate("observed") for one in bins]
    error = found.place("error", found.mapping("error"))
    return Calibration(
        tuple(one.finite("stated") for one in bins),
        np.array([(e.value, e.low, e.high) for e in observed], dtype=float).reshape(-1, 3),
        error.finite("value"),
        error.finite("chance"),
        error.finite("p"),
    )


def _coverage(place: Place, headline: str) -> Calibration | None:
    found = _part(place, "coverage", headline)
    if found is None:
        return None
    levels = _steps(found, "levels")
    covered = _scores(found, "covered", headline)
    if len(covered) != len(levels):
        raise found.fail("covered", f"has {len(covered)} entries for {len(levels)} levels")
    return Calibration(levels, covered, intervals=True)


def _comparison(place: Place | None, layers: Sequence[str]) -> Comparison | None:
    if place is None:
        return None
    kept = tuple(clean(name, 200) for name in place.sequence("not_worse"))
    first = clean(place.values.get("one_error"), 200)
    stray = next((name for name in (*kept, first) if name and name not in layers), None)
    if stray:
        raise place.fail("not_worse", f"names {stray!r}, which is not among the layers")
    return Comparison(kept, first)


def _emergence(place: Place | None, layers: Sequence[str]) -> Emergence | None:
    if place is None:
        return None
    decodable = _scores(place, "decodable", "")
    if len(decodable) != len(layers):
        raise place.fail("decodable", f"has {len(decodable)} entries for {len(layers)} layers")
    return Emergence(
        decodable,
        place.estimate("expected"),
        place.estimate("never"),
        clean(place.values.get("one_error"), 200),
    )
