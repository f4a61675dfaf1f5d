"""What was published before, and what a study says to it: `expectations.json` (docs/study.md).

The rules by which one is held against the other are in `reports.verdicts`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from reports.numbers import Estimate
from reports.place import Place, load
from reports.whole import replace
from reports.words import clean

FORMAT = 1
FILE = "expectations.json"
KINDS = ("number", "ordering", "best-layer", "curve")
PARTS = ("early", "middle", "late")
DIRECTIONS = ("rising", "falling")
AGREES, DIFFERS, CANNOT = "agrees", "differs", "cannot be said"
OPEN = "too wide"  # of a rule: the interval allows for both


@dataclass(frozen=True)
class Quantity:
    """A number that a study is asked for: a score of a task, or a similarity.

    Attributes
    ----------
    model : as the step names it, or `references`.
    twin : whether its untrained twin is meant.
    task : of a score. `layer` is then a layer's name, `last`, or "" for the one that validation
        chose; `head`, `metric` and `split` are those of the report where they are "".
    like : of a similarity, a layer of `of`, another model or the references; `measure` is a
        canonical name or its beginning, the main measure where it is "".
    """

    model: str
    task: str = ""
    layer: str = ""
    head: str = ""
    metric: str = ""
    split: str = ""
    like: str = ""
    of: str = "references"
    measure: str = ""
    twin: bool = False

    def words(self) -> str:
        """Such as `muq, genre at block06`."""
        name = f"{self.model} untrained" if self.twin else self.model
        if self.task:
            at = "the last layer" if self.layer == "last" else self.layer
            parts = [name, f"{self.task} by {self.metric}" if self.metric else self.task]
            text = ", ".join(parts) + (f" at {at}" if at else "")
            return text + (f", {self.head}" if self.head else "")
        whose = "" if self.of == "references" else f" of {self.of}"
        return f"{name}{' ' + self.layer if self.layer else ''} to {self.like}{whose}"


@dataclass(frozen=True)
class Expectation:
    """A published result, and what of a study it is held against.

    Attributes
    ----------
    step : of the study file.
    says : the result in a sentence.
    source : paper and table or figure; `note` is what to know of it.
    data : names of the data sets that it was published on; () where that is not known.
    protocol : that it was made with, where another makes other numbers; else "".
    kind : one of `KINDS`.
    quantities : `number`: one, or two whose difference is meant; `ordering`: two or more, the
        smallest first; else one.
    values : published numbers: of `number` one, of `ordering` one a quantity or none, of `curve`
        one a layer or none.
    layers : `best-layer`: the published ones, or those that `part` is a part of; `curve`: those of
        the curve. All layers where there are none.
    tolerance : `number`: how far two honest repetitions may be apart.
    within : `best-layer`: how many layers beside the published ones count as them.
    part : `best-layer`: a third of the depth.
    direction : `curve`: where no values are given.
    least : `curve`: rank correlation from which two curves have one shape.
    """

    step: str
    says: str
    source: str
    kind: str
    quantities: tuple[Quantity, ...]
    data: tuple[str, ...] = ()
    protocol: str = ""
    note: str = ""
    values: tuple[float, ...] = ()
    layers: tuple[str, ...] = ()
    tolerance: float = 0.0
    within: int = 0
    part: str = ""
    direction: str = ""
    least: float = 0.7


@dataclass(frozen=True)
class Judged:
    """An expectation beside what was found.

    Attributes
    ----------
    estimate : the number that the rule looks at; NaN where the study has none.
    found : what was found, in words.
    rule : `AGREES`, `DIFFERS` or `OPEN` by the numbers alone; "" where there are none.
    because : why no verdict is given; () where one is.
    """

    expectation: Expectation
    estimate: Estimate = Estimate(math.nan)
    found: str = ""
    rule: str = ""
    because: tuple[str, ...] = field(default=())

    @property
    def verdict(self) -> str:
        """`AGREES`, `DIFFERS` or `CANNOT`."""
        return CANNOT if self.because else self.rule


def write(
    folder: Path, judged: Iterable[Judged], *, title: str, question: str, steps: Mapping[str, str]
) -> Path:
    """Writes `expectations.json`; `steps` are the folders of the steps by name."""
    rows = []
    for one in judged:
        number = {
            k: v if math.isfinite(v) else None
            for k, v in asdict(one.estimate).items()
        }  # fmt: skip
        rows.append(
            {
                **asdict(one.expectation),
                "found": one.found,
                "number": number,
                "rule": one.rule,
                "verdict": one.verdict,
                "because": list(one.because),
            }
        )
    content = {
        "format": FORMAT,
        "title": title,
        "question": question,
        "steps": dict(steps),
        "expectations": rows,
    }
    path = folder / FILE
    replace(path, json.dumps(content, indent=1, ensure_ascii=False).encode("utf-8"))
    return path


def read(folder: Path) -> tuple[Judged, ...]:
    """What `expectations.json` of a folder holds; () where there is none.

    Raises
    ------
    ReportError : names the file and what is wrong with it.
    """
    path = folder / FILE
    if not path.exists():
        return ()
    return tuple(_judged(place) for place in Place(path, load(path, FORMAT)).places("expectations"))


def _judged(place: Place) -> Judged:
    values = place.values
    kind = _one_of(place, "kind", KINDS)
    rule = _one_of(place, "rule", ("", AGREES, DIFFERS, OPEN))
    expectation = Expectation(
        step=clean(values.get("step"), 80),
        says=clean(place.text("says"), 600),
        source=clean(place.text("source"), 300),
        kind=kind,
        quantities=tuple(_quantity(one) for one in place.places("quantities", needed=True)),
        data=_texts(place, "data"),
        protocol=clean(values.get("protocol"), 80),
        note=clean(values.get("note"), 600),
        values=tuple(_number(place, "values", v) for v in place.sequence("values")),
        layers=_texts(place, "layers"),
        tolerance=place.number("tolerance", 0.0),
        within=place.whole("within"),
        part=clean(values.get("part"), 20),
        direction=clean(values.get("direction"), 20),
        least=place.number("least", 0.7),
    )
    if kind == "number" and len(expectation.values) != 1:
        raise place.fail("values", "does not hold one number")
    because = _texts(place, "because")
    if not (rule or because):
        raise place.fail("because", "is empty where no number was found")
    return Judged(
        expectation, place.estimate("number"), clean(values.get("found"), 600), rule, because
    )


def _quantity(place: Place) -> Quantity:
    known = {name: clean(place.values.get(name), 200) for name in Quantity.__annotations__}
    return Quantity(**{**known, "twin": place.values.get("twin") is True})


def _texts(place: Place, key: str) -> tuple[str, ...]:
    return tuple(clean(one, 600) for one in place.sequence(key))


def _number(place: Place, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise place.fail(key, "holds something that is not a number")
    return float(value)


def _one_of(place: Place, key: str, known: tuple[str, ...]) -> str:
    value = clean(place.values.get(key), 40)
    if value not in known:
        raise place.fail(key, f"is none of {', '.join(filter(None, known))}")
    return value
