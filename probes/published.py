"""Numbers of the field, to hold one's own against; which ones, and how they were made.

They are in `published.toml`, table by table as their sources print them. A number made with another
protocol is no reference for one's own: `protocol` and `note` say what it can be compared with.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from probes.errors import ProbeError
from probes.tasks.base import ACCURACY, KEY_SCORE, R2

FILE = Path(__file__).with_name("published.toml")
# metric -> whether it is a share, which is at most 1
METRICS = {
    ACCURACY: True,
    KEY_SCORE: True,
    R2: True,
    "ROC-AUC": True,
    "average precision": True,
    "F": True,
    "F 0.5": True,
    "SDR": False,
}
NOTHING = "-"  # where a table has no number
COLUMN, TABLE = ("task", "dataset", "metric"), ("source", "protocol")


@dataclass(frozen=True)
class Published:
    """One number of a published table.

    Attributes
    ----------
    task : by the name of the label that is asked for.
    dataset : as in `extract.datasets`, or a plain name; `unstated` where the source was not read
        for it.
    model : as in `extract.models`, or a plain name where it is none of them.
    metric : one of `METRICS`; shares are 0 to 1.
    spread : standard deviation over runs; None where none is given.
    protocol : how the number was made.
    source : paper and table.
    note : what to know before comparing with it, or "".
    """

    task: str
    dataset: str
    model: str
    metric: str
    value: float
    spread: float | None
    protocol: str
    source: str
    note: str


def numbers(task: str, dataset: str | None = None) -> tuple[Published, ...]:
    """What has been published on a task, on one data set or on any; () where nothing is known."""
    return tuple(row for row in everything() if row.task == task and dataset in (None, row.dataset))


@lru_cache
def everything(file: Path = FILE) -> tuple[Published, ...]:
    """All numbers, in order of the file.

    Raises
    ------
    ProbeError : the file, a table or a number is not as it must be; names the place.
    """
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8")).get("table")
        if not isinstance(tables, list):
            raise ValueError("there are no tables [[table]]")
    except (OSError, ValueError) as error:
        raise ProbeError(f"{file}: {error}; put back the file of this release") from None
    rows = tuple(
        row
        for count, table in enumerate(tables, 1)
        for row in _rows(f"{file}, table {count}", table)
    )
    keys = [(row.task, row.dataset, row.model, row.metric, row.source) for row in rows]
    twice = next((key for at, key in enumerate(keys) if key in keys[:at]), None)
    if twice:
        raise ProbeError(f"{file}: {', '.join(twice)} is there twice; keep one")
    return rows


def _rows(place: str, table: Mapping) -> Iterator[Published]:
    """The numbers of one table, model by model."""
    facts = {name: _word(place, table, name) for name in TABLE}
    scale, columns = table.get("scale"), table.get("columns", ())
    if not isinstance(scale, int | float) or not scale > 0 or not columns:
        raise ProbeError(f"{place}: a scale above 0 and columns are needed")
    notes, spreads = table.get("notes", {}), table.get("spreads", {})
    models = table.get("values", {})
    stray = next((name for name in (*notes, *spreads) if name not in models), None)
    if stray or not models:
        raise ProbeError(f"{place}: {stray or 'no model'} has values; give them or leave it out")
    for model, values in models.items():
        around = spreads.get(model, [NOTHING] * len(columns))
        if not len(values) == len(around) == len(columns):
            raise ProbeError(f"{place}, {model}: {len(columns)} columns, so as many numbers")
        for column, value, spread in zip(columns, values, around, strict=True):
            asked = {name: _word(place, column, name) for name in COLUMN}
            if value == NOTHING:
                continue
            said = (table.get("note"), column.get("note"), notes.get(model))
            row = Published(
                **asked,
                model=model,
                value=_number(place, model, value) / scale,
                spread=None if spread == NOTHING else _number(place, model, spread) / scale,
                **facts,
                note="; ".join(filter(None, said)),
            )
            _check(place, row)
            yield row


def _word(place: str, entry: Mapping, name: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ProbeError(f"{place}: {name} is missing; every number says where it comes from")
    return value


def _number(place: str, model: str, value) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ProbeError(f"{place}, {model}: {value!r} is no number; give one, or {NOTHING!r}")
    return float(value)


def _check(place: str, row: Published) -> None:
    if row.metric not in METRICS:
        known = ", ".join(METRICS)
        raise ProbeError(f"{place}: the metric {row.metric!r} is none of {known}")
    if METRICS[row.metric] and row.value > 1:
        raise ProbeError(f"{place}, {row.model}: {row.value:g} is above 1; correct it or the scale")
    if row.spread is not None and row.spread < 0:
        raise ProbeError(f"{place}, {row.model}: a spread below 0; correct it")
