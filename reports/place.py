"""A mapping from a file of a study, with checks that name the file and the key."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from reports.errors import ReportError
from reports.numbers import Estimate
from reports.words import clean

AGAIN = "write the study again with this version of rsa"
DAMAGED = "the file is damaged: run the command of the study again (its results are kept)"

OTHER = "give the folder of a study, or run the command of the study again"


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
        return _float(value)

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
        low, high = (plain(v, self, key) for v in pair)
        return low, high

    def yes(self, key: str) -> bool:
        value = self.values.get(key, True)
        if not isinstance(value, bool):
            raise self.fail(key, "is neither true nor false")
        return value

    def place(self, key: str, values: Any) -> Place:
        """A mapping inside this one."""
        return Place(self.path, values, f"{self.where}.{key}" if self.where else key)

    def places(self, key: str, *, needed: bool = False) -> list[Place]:
        """The mappings of a list."""
        entries = self.sequence(key, needed=needed)
        return [self.place(f"{key}[{index}]", entry) for index, entry in enumerate(entries)]

    def share(self, key: str) -> float:
        """A number from 0 to 1; NaN where there is none."""
        value = self.number(key)
        if not (math.isnan(value) or 0.0 <= value <= 1.0):
            raise self.fail(key, "is not between 0 and 1")
        return value

    def index(self, key: str, size: int) -> int:
        """The place of a layer among `size`."""
        value = self.values.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < size:
            raise self.fail(key, f"is no place among {size} layers")
        return value

    def estimate(self, key: str) -> Estimate:
        """`{value, low, high}`; NaN where there is none."""
        entry = self.values.get(key)
        if entry is None:
            return Estimate(math.nan)
        found = self.place(key, entry)
        return Estimate(*(found.finite(k) for k in ("value", "low", "high")))

    def estimates(self, key: str) -> dict[str, Estimate]:
        inner = self.place(key, self.mapping(key))
        return {name: inner.estimate(name) for name in inner.values}

    def finite(self, key: str) -> float:
        value = self.number(key)
        return value if math.isfinite(value) else math.nan

    def whole(self, key: str) -> int:
        """A count; 0 where there is none."""
        value = self.finite(key)
        return int(value) if math.isfinite(value) else 0

    def vector(self, key: str, size: int, *, needed: bool = False) -> np.ndarray:
        """One number a layer; NaN throughout where there is none."""
        return self._numbers(key, (size,), needed)

    def matrix(self, key: str, shape: tuple[int, int], *, needed: bool = False) -> np.ndarray:
        return self._numbers(key, shape, needed)

    def _numbers(self, key: str, shape: tuple[int, ...], needed: bool) -> np.ndarray:
        rows = self.values.get(key)
        if rows is None:
            if needed:
                raise self.fail(key, "is missing")
            return np.full(shape, math.nan)
        try:
            table = np.array(rows, dtype=float)
        except (TypeError, ValueError, OverflowError):
            what = "matrix" if len(shape) > 1 else "list"
            raise self.fail(key, f"is not a {what} of numbers") from None
        if table.shape != shape:
            found, right = ("x".join(map(str, s)) or "one number" for s in (table.shape, shape))
            raise self.fail(key, f"is {found}, the layers make it {right}")
        table[~np.isfinite(table)] = math.nan
        return table


def plain(value: Any, place: Place, key: str) -> float:
    """A number that may be null."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise place.fail(key, "holds something that is not a number")
    value = _float(value)
    return value if math.isfinite(value) else math.nan


def _float(value: int | float) -> float:
    """A number as a float; infinite where it is a whole number too large for one."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def load(path: Path, version: int) -> dict:
    """A JSON file of the right format."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ReportError(
            f"{path}: missing: the study is not finished, or this is no folder of one; run its "
            "command again (its results are kept), or give another folder"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ReportError(f"{path}: cannot be read ({clean(error, 120)}); {AGAIN}") from None
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{path}: not JSON ({clean(error, 120)}); {DAMAGED}") from None
    if not isinstance(values, dict) or "format" not in values:
        raise ReportError(f"{path}: JSON, but nothing that this program wrote; {OTHER}")
    found = values["format"]
    if found != version:
        raise ReportError(
            f"{path}: format {clean(found, 20) or 'missing'}, this version reads {version}; {AGAIN}"
        )
    return values
