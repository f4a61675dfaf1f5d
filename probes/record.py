"""Results as plain JSON and back: NaN stands as null."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping
from typing import Self, Union, get_args, get_origin, get_type_hints

UNWRITTEN = {"written": False}
FORMULA = ("=", "+", "-", "@", "\t", "\r")
# what comes of content that is no such file; numbers and nests without end among it
FAULTS = (
    OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError,
    RecursionError,
)  # fmt: skip


def cell(value: object) -> object:
    """A value as a cell of a table; a spreadsheet would run as a formula what begins like one."""
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


class Record:
    """Base of dataclasses that are written: floats, text, scores, and tuples and mappings of them.

    A field that a file lacks takes its default; `TypeError` where it has none. Fields with the
    metadata `UNWRITTEN` stay out of the file.
    """

    def as_json(self) -> dict:
        return plain(self)

    @classmethod
    def from_json(cls, entry: Mapping) -> Self:
        return restored(cls, entry)


def plain(value):
    """Dataclasses as dicts, tuples as lists, numbers that are not finite as None."""
    if dataclasses.is_dataclass(value):
        written = (f for f in dataclasses.fields(value) if f.metadata.get("written", True))
        return {f.name: plain(getattr(value, f.name)) for f in written}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def restored(kind, value):
    """What `plain` was given, by the annotation of its type."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        some = [one for one in inner if one is not types.NoneType]
        return None if value is None else restored(some[0], value)
    if kind is float:
        return math.nan if value is None else float(value)
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        names = [f.name for f in dataclasses.fields(kind) if f.name in value]
        return kind(**{name: restored(hints[name], value[name]) for name in names})
    if origin is tuple:
        return tuple(restored(inner[0], one) for one in value)
    if origin is not None and issubclass(origin, Mapping):
        return {key: restored(inner[1], one) for key, one in value.items()}
    return value
