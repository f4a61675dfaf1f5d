"""Study files: an investigation of several comparisons and probing runs, as TOML (docs/studies.md).

Keys are the options of `rsa compare` and `rsa probe` without their dashes; nothing is guessed, and
what is not understood is an error of one line.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import click

from cli.comparison import Comparison
from cli.nearest import suggestion
from cli.probingrun import ProbingRun
from reports.expectations import DIRECTIONS, KINDS, PARTS, Expectation, Quantity

SHIPPED = Path(__file__).with_name("studies")
REFERENCES = "references"


@dataclass(frozen=True)
class Step:
    """One comparison or probing run; `name` is also part of its folder's name."""

    name: str
    asked: Comparison | ProbingRun

    @property
    def models(self) -> tuple[str, ...]:
        asked = self.asked
        return (asked.a, asked.b) if isinstance(asked, Comparison) else asked.models

    def layers(self, model: str) -> str | None:
        """Layers to keep of one of its models, None for all."""
        asked = self.asked
        if isinstance(asked, ProbingRun):
            return asked.layers
        return asked.layers_a if model == asked.a else asked.layers_b

    def changed(self, **options: Any) -> Step:
        """With other options."""
        return replace(self, asked=replace(self.asked, **options))


@dataclass(frozen=True)
class StudyFile:
    """A whole investigation.

    Attributes
    ----------
    weights : name of a model -> file or folder of its weights.
    running : options that decide how networks are run, as in `cli.steps.Run`.
    """

    path: Path
    title: str
    question: str
    seed: int
    steps: tuple[Step, ...]
    expectations: tuple[Expectation, ...]
    weights: Mapping[str, Path] = field(default_factory=dict)
    running: Mapping[str, Any] = field(default_factory=dict)


def shipped() -> dict[str, Path]:
    """The studies that come with the program, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def find(text: str) -> Path:
    """The file of a study: a path, or a name of `shipped`."""
    path = Path(text)
    if path.is_file():
        return path
    known = shipped()
    if text in known:
        return known[text]
    if path.suffix == ".toml" or path.parent != Path():
        raise click.UsageError(f"{text}: there is no such file")
    raise click.UsageError(f"no study {text!r}{suggestion(text, known)}")


def read(path: Path) -> StudyFile:
    """A study file, checked in every key.

    Raises
    ------
    click.UsageError : one line that names the file, the table and the key.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise click.UsageError(f"{path}: cannot be read as TOML: {error}") from None
    top = _Table(str(path.name), content, _TOP)
    own = top("weights", {})
    table = _Table(f"{path.name}, weights", own, dict.fromkeys(own, _path))
    weights = {name: table(name) for name in own}
    common = {key: top(key) for key in ("data", "manifest", "limit") if key in content}
    steps = []
    for kind, make in (("compare", _comparison), ("probe", _probing)):
        for count, table in enumerate(top(kind, []), 1):
            place = f"{path.name}, {kind} {table.get('name', count)!s}"
            steps.append(make(place, {**common, **table}, weights))
    if not steps:
        raise click.UsageError(f"{path.name}: no [[compare]] and no [[probe]]: nothing to do")
    names = [step.name for step in steps]
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice:
        raise click.UsageError(f"{path.name}: two steps are called {twice!r}; rename one")
    stray = next((n for n in weights if not any(n in step.models for step in steps)), None)
    if stray:
        models = dict.fromkeys(name for step in steps for name in step.models)
        raise click.UsageError(
            f"{path.name}, weights: no step has a model {stray!r}{suggestion(stray, models)}"
        )
    expectations = [
        _expectation(f"{path.name}, expect {count}", table, {step.name: step for step in steps})
        for count, table in enumerate(top("expect", []), 1)
    ]
    running = {key.replace("-", "_"): top(key) for key in _RUNNING if key in content}
    return StudyFile(
        path, top("title"), top("question", ""), top("seed", 0), tuple(steps),
        tuple(expectations), weights, running,
    )  # fmt: skip


# what a key may hold: a function of the value that returns it, or raises ValueError with what it
# should be


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("text")
    return " ".join(value.split())


def _yes(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("a number")
    return float(value)


def _positive(value: Any) -> float:
    if not _number(value) > 0:
        raise ValueError("a number above 0")
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("a whole number")
    return value


def _seed(value: Any) -> int:
    if not 0 <= _whole(value) < 2**32:
        raise ValueError("a whole number from 0 to 4294967295")
    return value


def _count(value: Any) -> int:
    if _whole(value) < 1:
        raise ValueError("a whole number above 0")
    return value


def _beside(value: Any) -> int:
    if _whole(value) < 0:
        raise ValueError("a whole number, 0 or more")
    return value


def _list(value: Any) -> tuple[str, ...]:
    one = [value] if isinstance(value, str) else value
    if not isinstance(one, list) or not one or not all(isinstance(v, str) for v in one):
        raise ValueError("a list of names")
    names = tuple(v.strip() for v in one)
    if not all(names):
        raise ValueError("a list of names without an empty one")
    return names


def _joined(value: Any) -> str:
    """As the options take lists: separated by commas."""
    return ",".join(_list(value))


def _numbers(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError("a list of numbers")
    try:
        return tuple(map(_number, value))
    except ValueError:
        raise ValueError("a list of numbers") from None


def _path(value: Any) -> Path:
    return Path(_text(value)).expanduser()


def _table(value: Any) -> dict:
    if not isinstance(value, dict) or not value:
        raise ValueError("a table")
    return value


def _tables(value: Any) -> list[dict]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise ValueError("tables, each under its heading [[...]]")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,40}", value):
        raise ValueError("a name of small letters, digits and hyphens")
    return value


def _one(*known: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in known:
            raise ValueError(f"one of {', '.join(known)}")
        return value

    return check


Keys = Mapping[str, Callable[[Any], Any]]
_DATA: Keys = {"data": _text, "manifest": _path, "limit": _count}
_RUNNING: Keys = {
    "window": _positive, "hop": _positive,
    "precision": _one("float32", "tf32", "bf16", "fp16"),
    "store-dtype": _one("float32", "float16"),
}  # fmt: skip
_TOP: Keys = {
    "title": _text, "question": _text, "seed": _seed, **_DATA, "weights": _table,
    **_RUNNING, "compare": _tables, "probe": _tables, "expect": _tables,
}  # fmt: skip
_COMPARE: Keys = {
    "name": _name, "a": _text, "b": _text, **_DATA, "tasks": _joined, "measures": _joined,
    "rows": _one("clips", "frames", "sketch"), "grid": _positive, "sketch": _count,
    "layers-a": _joined, "layers-b": _joined, "twins": _yes, "why": _yes,
}  # fmt: skip
_PROBE: Keys = {
    "name": _name, "models": _list, **_DATA, "tasks": _joined, "protocol": _text,
    "heads": _joined, "checks": _yes, "max-frames": _count, "layers": _joined, "twins": _yes,
    "why": _yes,
}  # fmt: skip
_QUANTITY: Keys = {
    "model": _text, "task": _text, "layer": _text, "head": _text, "metric": _text,
    "split": _text, "like": _text, "of": _text, "measure": _text, "twin": _yes,
}  # fmt: skip
_EXPECT: Keys = {
    "step": _text, "kind": _one(*KINDS), "says": _text, "source": _text, "note": _text,
    "data": _list, "protocol": _text,
}  # fmt: skip
_OF_KIND: Mapping[str, Keys] = {
    "number": {"of": _table, "minus": _table, "value": _number, "tolerance": _positive},
    "ordering": {"rising": _tables, "values": _numbers},
    "best-layer": {"of": _table, "layers": _list, "within": _beside, "part": _one(*PARTS)},
    "curve": {
        "of": _table, "layers": _list, "values": _numbers, "direction": _one(*DIRECTIONS),
        "least": _number,
    },
}  # fmt: skip


class _Table:
    """A table of the file with the keys it may have; `place` begins its errors."""

    def __init__(self, place: str, values: Mapping[str, Any], keys: Keys) -> None:
        self.place, self.values, self.keys = place, values, keys
        for key in values:
            if key not in keys:
                raise self.fail(f"unknown key {key!r}{suggestion(key, keys)}")

    def fail(self, what: str) -> click.UsageError:
        return click.UsageError(f"{self.place}: {what}")

    def __call__(self, key: str, *default: Any) -> Any:
        """The value of a key, checked; without a default it must be there."""
        if key not in self.values:
            if default:
                return default[0]
            raise self.fail(f"{key} is missing")
        try:
            return self.keys[key](self.values[key])
        except ValueError as should:
            raise self.fail(f"{key} should be {should}") from None

    def given(self) -> dict[str, Any]:
        """All values that are there, by the names of options in Python."""
        return {key.replace("-", "_"): self(key) for key in self.values}


def _comparison(place: str, values: Mapping, weights: Mapping[str, Path]) -> Step:
    table = _Table(place, values, _COMPARE)
    name, a, b = table("name"), table("a"), table("b")
    given = {k: v for k, v in table.given().items() if k != "name"}
    return Step(name, Comparison(weights_a=weights.get(a), weights_b=weights.get(b), **given))


def _probing(place: str, values: Mapping, weights: Mapping[str, Path]) -> Step:
    table = _Table(place, values, _PROBE)
    name, models = table("name"), table("models")
    given = {k: v for k, v in table.given().items() if k != "name"}
    own = {model: weights[model] for model in models if model in weights}
    try:
        return Step(name, ProbingRun(weights=own, **given))
    except click.UsageError as error:
        raise table.fail(error.message) from None


def _expectation(place: str, values: Mapping, steps: Mapping[str, Step]) -> Expectation:
    kind = values.get("kind")
    if kind not in KINDS:
        fault = f"kind {kind!r} is not known" if kind else "kind is missing"
        raise click.UsageError(f"{place}: {fault}{suggestion(str(kind), KINDS)}")
    table = _Table(place, values, {**_EXPECT, **_OF_KIND[kind]})
    name = table("step")
    if name not in steps:
        raise table.fail(f"no step is called {name!r}{suggestion(name, steps)}")
    step = steps[name]

    def quantity(key: str, value: Mapping) -> Quantity:
        return _quantity(f"{place}, {key}", value, step)

    if kind == "ordering":
        quantities = tuple(quantity("rising", one) for one in table("rising"))
        if len(quantities) < 2:
            raise table.fail("rising should hold two quantities or more, the smallest first")
    else:
        quantities = (quantity("of", table("of")),)
        if "minus" in values:
            quantities += (quantity("minus", table("minus")),)
    found = {
        key: table(key)
        for key in ("within", "part", "direction", "least", "tolerance", "layers", "values",
                    "data", "protocol", "note")
        if key in values
    }  # fmt: skip
    if kind == "number":
        found |= {"values": (table("value"),), "tolerance": table("tolerance")}
    _fits(table, kind, quantities, found)
    return Expectation(
        step=name, says=table("says"), source=table("source"), kind=kind,
        quantities=quantities, **found,
    )  # fmt: skip


def _fits(
    table: _Table, kind: str, quantities: Iterable[Quantity], found: Mapping[str, Any]
) -> None:
    """What keys of an expectation ask of each other."""
    quantities = tuple(quantities)
    layers, values = found.get("layers", ()), found.get("values", ())
    if kind == "best-layer" and not ("part" in found or layers):
        raise table.fail("layers (the published ones) or part (early, middle, late) is missing")
    if kind == "best-layer" and "part" in found and "within" in found:
        raise table.fail("within goes with layers, and part without it")
    if kind == "best-layer" and not quantities[0].task:
        raise table.fail("of should name a task: layers are chosen by their scores")
    if kind in ("curve", "best-layer") and quantities[0].layer:
        raise table.fail(f"of should not name a layer: a {kind} is over layers")
    if kind not in ("curve", "best-layer"):
        bare = next((q for q in quantities if q.like and not q.layer), None)
        if bare:
            raise table.fail(f"layer of {bare.model} is missing, of a similarity")
    if kind == "curve":
        if ("direction" in found) == bool(values):
            raise table.fail("give values with their layers, or a direction")
        if values and len(values) != len(layers):
            raise table.fail(f"{len(values)} values for {len(layers)} layers")
        if "least" in found and not values:
            raise table.fail("least goes with values")
        if len(layers) in (1, 2):
            raise table.fail("a curve has three layers or more")
    if kind == "ordering" and values:
        if len(values) != len(quantities):
            raise table.fail(f"{len(values)} values for {len(quantities)} quantities")
        if list(values) != sorted(values):
            raise table.fail("values should rise, as the quantities are said to")


def _quantity(place: str, values: Mapping, step: Step) -> Quantity:
    """A number that the step has, as far as can be known before it is run."""
    table = _Table(place, values, _QUANTITY)
    found = Quantity(**table.given())
    if bool(found.task) == bool(found.like):
        raise table.fail("give task (for a score) or like (for a similarity)")
    known = (*step.models, REFERENCES)
    for name in (found.model, found.of):
        if name not in known:
            raise table.fail(f"step {step.name!r} has no model {name!r}{suggestion(name, known)}")
    if found.twin and not step.asked.twins:
        raise table.fail(f"step {step.name!r} has no twins; add twins = true to it")
    asked = step.asked
    if found.like:
        if isinstance(asked, ProbingRun):
            raise table.fail(f"step {step.name!r} probes: it has no similarities")
        if found.model == REFERENCES:
            raise table.fail("references are not compared with each other; turn it round")
        wrong = [f.name for f in fields(Quantity)
                 if f.name in ("head", "metric", "split") and getattr(found, f.name)]  # fmt: skip
    else:
        tasks = asked.tasks.split(",")
        if tasks != ["all"] and found.task not in tasks:
            raise table.fail(
                f"step {step.name!r} has no task {found.task!r}{suggestion(found.task, tasks)}"
            )
        wrong = [name for name in ("of", "measure") if name in values]
        if isinstance(asked, Comparison) and found.head:
            wrong.append("head")
    if wrong:
        raise table.fail(f"{wrong[0]} does not go with {'like' if found.like else 'task'}")
    return found
