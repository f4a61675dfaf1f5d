"""Reads the folder `why/` of a study into `reports.why`, naming file and key where it is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from reports.numbers import Estimate
from reports.place import Place, load, plain
from reports.why import (
    Added,
    Association,
    Associations,
    Choice,
    Contrast,
    Erased,
    Gain,
    Option,
    Pair,
    Partition,
    Parts,
    Reference,
    Returning,
    Riding,
    Specificity,
    Training,
    Transfer,
    Why,
)
from reports.words import clean

WHY = 1  # format
_NAME = 80
T = TypeVar("T")


def why(path: Path) -> Why:
    """One model: `why/X.json`."""
    place = Place(path, load(path, WHY))
    partition = place.place("partition", place.mapping("partition"))
    return Why(
        role=clean(place.text("role"), 20),
        between=_maybe(partition, "between", _partition),
        within=_maybe(partition, "within", _partition),
        riding={one.task: one for one in map(_riding, place.places("riding"))},
        training={one.task: one for one in map(_training, place.places("training"))},
        added={one.task: one for one in map(_added, place.places("conditional"))},
        associations=_maybe(place, "associations", _associations),
        returning=_maybe(place, "returning", _returning),
        choice={one.task: one for one in map(_choice, place.places("choice"))},
        skipped={
            clean(one.values.get("what"), 80): clean(one.values.get("why"), 200)
            for one in place.places("skipped")
        },
        notes=_notes(place),
    )


def transfers(path: Path) -> tuple[tuple[str, str], dict[str, Transfer]]:
    """Probes of one model on another: `why/X-Y.json`; roles, and tasks by name."""
    place = Place(path, load(path, WHY))
    roles = clean(place.text("x"), 20), clean(place.text("y"), 20)
    return roles, {one.task: one for one in map(_transfer, place.places("transfer"))}


def _maybe(place: Place, key: str, read: Callable[[Place], T]) -> T | None:
    values = place.values.get(key)
    return None if values is None else read(place.place(key, values))


def _notes(place: Place) -> tuple[str, ...]:
    return tuple(clean(one, 400) for one in place.sequence("notes"))


def _contrast(place: Place, key: str) -> Contrast:
    """`{value, low, high, p}`; NaN where there is none."""
    values = place.values.get(key)
    return Contrast(float("nan")) if values is None else _as_contrast(place.place(key, values))


def _as_contrast(place: Place) -> Contrast:
    return Contrast(*(place.finite(k) for k in ("value", "low", "high")), p=place.share("p"))


def _contrasts(place: Place, key: str) -> dict[str, Contrast]:
    inner = place.place(key, place.mapping(key))
    return {clean(name, _NAME): _contrast(inner, name) for name in inner.values}


def _estimates(place: Place, key: str, size: int) -> tuple[Estimate, ...]:
    some = _sized(place, key, size)
    return tuple(Estimate(*(one.finite(k) for k in ("value", "low", "high"))) for one in some)


def _sized(place: Place, key: str, size: int) -> list[Place]:
    """The mappings of a list that has one a layer."""
    found = place.places(key, needed=True)
    if len(found) != size:
        raise place.fail(key, f"has {len(found)} entries for {size} layers")
    return found


def _trio(place: Place, key: str, values: Any) -> Estimate:
    if not isinstance(values, list) or len(values) != 3:
        raise place.fail(key, "is not [value, low, high]")
    return Estimate(*(plain(one, place, key) for one in values))


def _one_of(place: Place, key: str, names: tuple[str, ...], *, needed: bool = True) -> str:
    """The name of a layer among these; "" where there need not be one."""
    name = clean(place.values.get(key), 200)
    if name not in names and (needed or name):
        raise place.fail(key, f"is {name[:60]!r}, which is not among the layers")
    return name


def _riding(place: Place) -> Riding:
    layers = place.names("layers")
    return Riding(
        task=clean(place.text("task"), _NAME),
        head=clean(place.values.get("head"), 40),
        metric=clean(place.values.get("metric"), 80),
        split=clean(place.values.get("split"), 40),
        chance=place.finite("chance"),
        groups=place.whole("groups"),
        draws=place.whole("draws"),
        selected=_one_of(place, "selected", layers),
        layers=layers,
        before=_estimates(place, "before", len(layers)),
        references=tuple(_reference(one, len(layers)) for one in place.places("references")),
        notes=_notes(place),
    )


def _reference(place: Place, layers: int) -> Reference:
    selected = place.place("selected", place.mapping("selected"))
    return Reference(
        clean(place.text("name"), _NAME),
        tuple(
            Erased(
                one.finite("carried"),
                one.finite("removed"),
                one.finite("variance"),
                one.estimate("score"),
                one.estimate("drop"),
                one.estimates("controls"),
                _contrasts(one, "above"),
            )
            for one in _sized(place, "layers", layers)
        ),
        _contrasts(selected, "above"),
        _contrasts(selected, "over"),
    )


def _training(place: Place) -> Training:
    gains = tuple(
        Gain(
            clean(one.text("layer"), 200),
            _contrast(one, "twin"),
            None if one.values.get("reference") is None else _contrast(one, "reference"),
            one.share("most"),
        )
        for one in place.places("gains", needed=True)
    )
    return Training(
        clean(place.text("task"), _NAME),
        place.whole("groups"),
        clean(place.text("selected"), 200),
        clean(place.values.get("twin"), 200),
        clean(place.values.get("reference"), _NAME),
        _one_of(place, "most", tuple(one.layer for one in gains)),
        gains,
        tuple(map(_as_contrast, place.places("best"))),
    )


def _added(place: Place) -> Added:
    layers = place.names("layers")
    course = place.place("course", place.mapping("course"))
    behind = course.places("behind")
    return Added(
        task=clean(place.text("task"), _NAME),
        split=clean(place.values.get("split"), 40),
        groups=place.whole("groups"),
        layers=layers,
        bits=_estimates(place, "bits", len(layers)),
        adds=tuple(map(_as_contrast, _sized(place, "adds", len(layers)))),
        best=_one_of(course, "best", layers, needed=False),
        first=_one_of(course, "first", layers, needed=False),
        full=_one_of(course, "full", layers, needed=False),
        lost=_one_of(course, "lost", layers, needed=False),
        end=_as_contrast(behind[-1]) if behind else Contrast(float("nan")),
    )


def _partition(place: Place) -> Partition:
    layers = place.names("layers")
    whole = place.sequence("whole", needed=True)
    if len(whole) != len(layers):
        raise place.fail("whole", f"has {len(whole)} entries for {len(layers)} layers")
    parts = place.place("parts", place.mapping("parts"))
    return Partition(
        layers,
        place.whole("rows"),
        place.whole("groups"),
        place.yes("within"),
        tuple(_trio(place, "whole", one) for one in whole),
        {
            clean(name, _NAME): tuple(
                Parts(
                    _contrast(one, "alone"),
                    _contrast(one, "unique"),
                    _trio(one, "common", one.values.get("common") or [None] * 3),
                )
                for one in _sized(parts, name, len(layers))
            )
            for name in parts.values
        },
        _notes(place),
    )


def _associations(place: Place) -> Associations:
    return Associations(
        clean(place.values.get("measure"), 120),
        tuple(
            Association(
                clean(one.text("x"), _NAME),
                clean(one.text("y"), _NAME),
                one.whole("layers"),
                one.finite("correlation"),
                one.finite("beyond"),
                one.share("corrected"),
            )
            for one in place.places("pairs")
        ),
        _maybe(place, "specificity", _specificity),
    )


def _specificity(place: Place) -> Specificity:
    return Specificity(
        place.finite("own"),
        place.finite("other"),
        place.whole("arrangements"),
        place.share("p"),
    )


def _returning(place: Place) -> Returning | None:
    found = _maybe(place, "found", lambda one: one)
    if found is None:
        return None
    layers = found.names("layers")
    return Returning(
        clean(place.values.get("measure"), 120),
        clean(place.values.get("input"), _NAME) or "the input",
        layers,
        tuple(found.vector("similarity", len(layers), needed=True).tolist()),
        tuple(map(_as_contrast, _sized(found, "back", len(layers) - 1))),
    )


def _choice(place: Place) -> Choice:
    options = tuple(
        Option(
            clean(one.text("name"), 80),
            clean(one.values.get("layer"), 200),
            one.estimate("score"),
            _contrast(one, "best"),
            _contrast(one, "last"),
        )
        for one in place.places("options", needed=True)
    )
    recommended = clean(place.values.get("recommended"), 80)
    if recommended and recommended not in {one.name for one in options}:
        raise place.fail("recommended", f"is {recommended[:60]!r}, which is no option")
    return Choice(
        clean(place.text("task"), _NAME),
        place.whole("groups"),
        _contrast(place, "above"),
        options,
        recommended,
        place.whole("rule"),
    )


def _pair(place: Place) -> Pair:
    return Pair(
        place.estimate("score"),
        _contrast(place, "above"),
        _contrast(place, "own"),
        place.estimate("kept"),
    )


def _transfer(place: Place) -> Transfer:
    layers_x, layers_y = place.names("layers_a"), place.names("layers_b")
    rows = place.sequence("pairs", needed=True)
    if len(rows) != len(layers_x) or any(
        not isinstance(row, list) or len(row) != len(layers_y) for row in rows
    ):
        raise place.fail("pairs", f"is not {len(layers_x)}x{len(layers_y)}, as the layers make it")
    pairs = []
    for i, row in enumerate(rows):
        some = (place.place(f"pairs[{i}][{j}]", one) for j, one in enumerate(row))
        pairs.append(tuple(map(_pair, some)))
    return Transfer(
        clean(place.text("task"), _NAME),
        clean(place.values.get("metric"), 80),
        clean(place.values.get("split"), 40),
        place.finite("chance"),
        place.whole("groups"),
        layers_x,
        layers_y,
        tuple(pairs),
        _estimates(place, "scores_a", len(layers_x)) if "scores_a" in place.values else (),
    )
