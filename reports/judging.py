"""Holds published results against a study by fixed rules (docs/method.md, "What was published").

A verdict is only given on the published data, with trained weights and the published protocol:
elsewhere the rule's outcome is kept, and what stands in the way is named.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from reports.expectations import (
    AGREES,
    DIFFERS,
    OPEN,
    PARTS,
    Expectation,
    Judged,
    Quantity,
)
from reports.numbers import Estimate, number, percent, with_interval
from reports.probing import Task
from reports.results import Measure
from reports.study import Study
from reports.words import clean

NONE = Estimate(math.nan)
SURE, UNLIKELY = 0.8, 0.05  # shares of resamples
BAD = 0.01  # share of clips that may fail
DRAWS = 2000
REFERENCES = "references"
WIDE = "interval too wide"


class _Absent(Exception):
    """A number that the study does not have; the message says which."""


def judge(expectations: Iterable[Expectation], studies: Mapping[str, Study]) -> list[Judged]:
    """Each expectation beside what its step found; `studies` are by step, those that were run."""
    return [_judge(one, studies.get(one.step)) for one in expectations]


def _judge(expected: Expectation, study: Study | None) -> Judged:
    if study is None:
        return Judged(expected, because=("the step was not run",))
    try:
        estimate, found, rule = _RULES[expected.kind](expected, study)
    except _Absent as absent:
        return Judged(expected, because=(f"not in this study: {absent}",))
    because = obstacles(expected, study)
    if rule == OPEN:
        because = (*because, WIDE)
    return Judged(expected, estimate, clean(found, 600), rule, because)


def obstacles(expected: Expectation, study: Study) -> tuple[str, ...]:
    """What forbids to hold this study's numbers against the published ones."""
    settings = study.raw.get("settings")
    settings = settings if isinstance(settings, Mapping) else {}
    data = study.raw.get("data")
    data = data if isinstance(data, Mapping) else {}
    name = clean(data.get("name"), 80)
    found = []
    cards = [study.models[role] for role in _roles(expected, study) if role in study.models]
    if not all(card.trained for card in cards):
        found.append("untrained weights")
    if not expected.data:
        found.append("the data of the published result is not known")
    elif name not in expected.data:
        found.append(f"on other data ({name}; published on {', '.join(expected.data)})")
    elif _partial(data, settings, len(study.raw.get("failures") or ())):
        found.append("on a part of the data")
    protocol = clean(settings.get("protocol"), 40) or "linear"
    if expected.protocol and protocol != expected.protocol:
        found.append(f"by another protocol ({protocol}; published by {expected.protocol})")
    return tuple(found)


def _partial(data: Mapping, settings: Mapping, failed: int) -> bool:
    """Whether clips were left out, recordings are absent, or more than 1 % could not be used."""
    limit, clips = (
        v if isinstance(v, int) else 0 for v in (settings.get("limit"), data.get("clips"))
    )
    return 0 < limit <= clips or bool(data.get("absent")) or failed > BAD * clips


# rules: (the number that decides, what was found in words, outcome)


def _number(expected: Expectation, study: Study) -> tuple[Estimate, str, str]:
    """The whole interval within the tolerance of the published value, or wholly without."""
    first, *rest = expected.quantities
    found = _difference(study, first, rest[0]) if rest else _value(study, first)
    value, room = expected.values[0], expected.tolerance
    text = f"{_named(study, first)}{' minus ' + _named(study, rest[0]) if rest else ''}: "
    text += with_interval(found)
    if not found.bounded:
        return found, text, OPEN
    if found.high < value - room or found.low > value + room:
        return found, text, DIFFERS
    inside = value - room <= found.low and found.high <= value + room
    return found, text, AGREES if inside else OPEN


def _ordering(expected: Expectation, study: Study) -> tuple[Estimate, str, str]:
    """Every step up, with intervals widened for the number of steps."""
    parts = expected.quantities
    steps = [_difference(study, upper, lower) for lower, upper in pairwise(parts)]
    wide = [step.widened(len(steps)) for step in steps]
    text = "; ".join(f"{_named(study, one)} {with_interval(_value(study, one))}" for one in parts)
    least = min(wide, key=lambda step: step.value)
    text += f"; {'smallest step' if len(wide) > 1 else 'difference'} "
    text += with_interval(least, sign=True)
    if any(step.bounded and step.high < 0 for step in wide):
        return least, text, DIFFERS
    up = all(step.bounded and step.low > 0 for step in wide)
    return least, text, AGREES if up else OPEN


def _best_layer(expected: Expectation, study: Study) -> tuple[Estimate, str, str]:
    """In how many resamples of groups one of the published layers scores best."""
    asked = expected.quantities[0]
    task = _task(study, asked)
    meant = _meant(expected, task)
    wins = task.wins()
    if not np.isfinite(wins).any():
        raise _Absent(f"which layers win on {asked.task}")
    share = float(np.nansum(wins[[task.names.index(name) for name in meant]]))
    text = (
        f"{asked.model}, {asked.task}: {task.selected} selected; best in {percent(share)} of "
        f"resamples: {_span(meant, task.names)}"
    )
    rule = AGREES if share >= SURE else DIFFERS if share <= UNLIKELY else OPEN
    return Estimate(share), text, rule


def _curve(expected: Expectation, study: Study) -> tuple[Estimate, str, str]:
    """Rank correlation with the published curve, or with depth."""
    asked = expected.quantities[0]
    names = expected.layers or _layers(study, asked)
    points = [_value(study, asked, layer=name) for name in names]
    least = expected.least if expected.values else 0.0
    target = np.array(expected.values or range(len(names)), float)
    if expected.direction == "falling":
        target = -target
    found = correlation(points, target)
    against = "the published curve" if expected.values else f"a {expected.direction} one"
    text = (
        f"{asked.words()}, {len(names)} layers: rank correlation with {against} "
        f"{with_interval(found)}"
    )
    if not found.bounded:
        return found, text, OPEN
    rule = AGREES if found.low > least else DIFFERS if found.high < least else OPEN
    return found, text, rule


_RULES = {
    "number": _number,
    "ordering": _ordering,
    "best-layer": _best_layer,
    "curve": _curve,
}


def correlation(points: Sequence[Estimate], target: np.ndarray) -> Estimate:
    """Spearman's correlation of a curve and `target`.

    The interval is over curves redrawn from the intervals of the points, as if these were
    independent; the same points give the same interval. None where a point has no interval.
    """
    values = np.array([p.value for p in points])
    found = _spearman(values[None], target)[0]
    if not all(p.bounded for p in points) or not math.isfinite(found):
        return Estimate(float(found))
    errors = np.array([(p.high - p.low) / 2 / 1.96 for p in points])
    drawn = np.random.default_rng(0).normal(values, errors, (DRAWS, len(values)))
    low, high = np.nanquantile(_spearman(drawn, target), (0.025, 0.975))
    return Estimate(float(found), float(min(low, found)), float(max(high, found)))


def _spearman(curves: np.ndarray, target: np.ndarray) -> np.ndarray:
    """[curves]; NaN where one does not vary."""
    from scipy.stats import rankdata  # slow to import

    ranks = rankdata(curves, axis=1) - (curves.shape[1] + 1) / 2
    aim = rankdata(target) - (len(target) + 1) / 2
    size = np.sqrt((ranks**2).sum(1) * (aim**2).sum())
    return np.divide(ranks @ aim, size, out=np.full(len(curves), math.nan), where=size > 0)


# numbers of a study


def _role(study: Study, name: str, *, twin: bool = False) -> str:
    """The role that the step gave to a model."""
    if name == REFERENCES:
        return "ref"
    settings = study.raw.get("settings")
    settings = settings if isinstance(settings, Mapping) else {}
    asked = settings.get("models") or [settings.get("a"), settings.get("b")]
    named = dict(zip(study.models, asked, strict=False))
    cards = {role: card.name for role, card in study.models.items()}
    for table in (named, cards):
        for role, known in table.items():
            if known == name:
                return f"{role}0" if twin else role
    raise _Absent(f"model {name}")


def _roles(expected: Expectation, study: Study) -> list[str]:
    """Roles of the trained models that an expectation is about."""
    names = [q.model for q in expected.quantities if not q.twin]
    names += [q.of for q in expected.quantities if q.like]
    return [_role(study, name) for name in dict.fromkeys(names)]


def _task(study: Study, asked: Quantity) -> Task:
    role = _role(study, asked.model, twin=asked.twin)
    probes = study.probes.get(role)
    task = probes.tasks.get(asked.task) if probes else None
    if task is None:
        raise _Absent(f"{asked.task} of {asked.model}")
    if not asked.head or asked.head == task.head:
        return task
    for one in probes.heads.get(asked.task, ()):
        if one.head == asked.head:
            return one
    raise _Absent(f"{asked.task} of {asked.model} by the head {asked.head}")


def _layers(study: Study, asked: Quantity) -> tuple[str, ...]:
    """All layers that a curve of it has."""
    if asked.task:
        return _task(study, asked).names
    return study.models[_role(study, asked.model)].layer_names


def _value(study: Study, asked: Quantity, layer: str = "") -> Estimate:
    """The number that is asked for."""
    layer = layer or asked.layer
    if not asked.task:
        return _similarity(study, asked, layer)
    task = _task(study, asked)
    name = {"": task.selected, "last": task.names[-1]}.get(layer, layer)
    if name not in task.names:
        raise _Absent(f"layer {name} of {asked.model}")
    at, split = task.layers[task.names.index(name)], asked.split or task.headline
    if asked.metric and asked.metric != task.metric:
        found = at.score(asked.metric, split)
    else:
        found = at.splits.get(split, NONE)
    if not found.exists:
        raise _Absent(asked.words())
    return found


def _similarity(study: Study, asked: Quantity, layer: str) -> Estimate:
    x, y = _role(study, asked.model, twin=asked.twin), _role(study, asked.of)
    compared = study.between(x, y)
    measure = compared and _measure(compared.measures, asked.measure, compared.main())
    if not measure:
        raise _Absent(f"{asked.measure or 'a similarity'} between {asked.model} and {asked.of}")
    if layer == "last":
        layer = compared.layers_x[-1]
    for name, known in ((layer, compared.layers_x), (asked.like, compared.layers_y)):
        if name not in known:
            raise _Absent(f"layer {name}")
    at = measure.at(compared.layers_x.index(layer), compared.layers_y.index(asked.like))
    if not at.exists:
        raise _Absent(asked.words())
    return at


def _measure(known: Mapping[str, Measure], name: str, main: Measure | None) -> Measure | None:
    """By canonical name, or by its beginning; the main measure for ""."""
    if not name:
        return main
    begins = (m for key, m in known.items() if key.startswith(name))
    return known.get(name) or next(begins, None)


def _difference(study: Study, upper: Quantity, lower: Quantity) -> Estimate:
    """Upper minus lower; paired over groups where the study has it so, else as if independent."""
    one, other = _value(study, upper), _value(study, lower)
    if paired := _paired(study, upper, lower):
        return paired
    if turned := _paired(study, lower, upper):
        return Estimate(-turned.value, -turned.high, -turned.low)
    return one.minus(other)


def _paired(study: Study, upper: Quantity, lower: Quantity) -> Estimate | None:
    """Selected layer minus last layer, or another head minus the selected layer of the main one."""
    same = (upper.model, upper.task, upper.twin) == (lower.model, lower.task, lower.twin)
    plain = not (upper.metric or lower.metric or upper.layer or lower.head)
    if not (same and plain and upper.task and upper.split == lower.split):
        return None
    task = _task(study, upper)
    split = upper.split or task.headline
    if not upper.head and lower.layer == "last":
        return task.gain.get(split)
    return task.over_single.get(split) if upper.head and not lower.layer else None


def _meant(expected: Expectation, task: Task) -> tuple[str, ...]:
    """The layers that count as the published ones."""
    unknown = [name for name in expected.layers if name not in task.names]
    if unknown:
        raise _Absent(f"layer {', '.join(unknown)}")
    if not expected.part:
        near = {
            i
            for name in expected.layers
            for i in range(
                task.names.index(name) - expected.within,
                task.names.index(name) + expected.within + 1,
            )
        }
        return tuple(name for i, name in enumerate(task.names) if i in near)
    names = expected.layers or task.names
    depth = np.linspace(0, 1, len(names))
    third = np.digitize(depth, (1 / 3, 2 / 3 + 1e-12))
    return tuple(n for n, t in zip(names, third, strict=True) if PARTS[t] == expected.part)


def _span(names: Sequence[str], known: Sequence[str]) -> str:
    """`block04 to block06`, or the names where they do not follow each other."""
    at = [known.index(name) for name in names]
    if len(at) > 2 and at == list(range(at[0], at[-1] + 1)):
        return f"{names[0]} to {names[-1]}"
    return ", ".join(names)


def _named(study: Study, asked: Quantity) -> str:
    """In words, with the layer that was chosen."""
    if not asked.task or asked.layer:
        return asked.words()
    return f"{asked.words()} ({_task(study, asked).selected})"


def published_words(expected: Expectation) -> str:
    """The published numbers in words, "" where there are none."""
    if expected.kind == "number":
        room = number(expected.tolerance, 3).rstrip("0")
        return f"published {expected.values[0]:g}, within {room}"
    if expected.kind == "ordering" and expected.values:
        return f"published {', '.join(f'{v:g}' for v in expected.values)}"
    if expected.kind == "curve" and expected.values:
        low, high = min(expected.values), max(expected.values)
        return f"published {low:g} to {high:g} over {len(expected.values)} layers"
    return ""
