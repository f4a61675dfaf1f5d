"""What a task is: a label, how its values become targets, and how answers are scored."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Literal

from probes.errors import ProbeError

Value = str | float
BALANCED_ACCURACY, KEY_SCORE, R2 = "balanced accuracy", "weighted key score", "R2"


@dataclass(frozen=True)
class Task:
    """One question that a probe answers.

    Attributes
    ----------
    name : as on the command line.
    title : as in a report.
    label : the column of the data that holds the answers.
    metric : a name known to `probes.metrics`.
    description : what can be concluded from a high score.
    rows : kind of rows it is asked of: `clips`, or `segments:LABEL`.
    subsets : parts of the data it is asked of, where the data has them; else all with the label.
    headline : the split that a report quotes.
    recode : label value -> target, or None to leave the row out; raises ValueError for a value
        that cannot be read. The value itself when absent.
    unit : of the target of a regression.
    tier : how the label came about, as the data says: `gold`, `silver`, `user`, or "".
    """

    name: str
    title: str
    label: str
    kind: Literal["classification", "regression"]
    metric: str
    description: str
    rows: str = "clips"
    subsets: tuple[str, ...] = ()
    headline: str = "test"
    recode: Callable[[Value], Value | None] | None = None
    unit: str = ""
    tier: str = ""

    def target(self, value: Value | None) -> Value | None:
        """The target for a label value, None for a row that takes no part."""
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None
        try:
            found = value if self.recode is None else self.recode(value)
            if found is None:
                return None
            if self.kind == "classification":
                return str(found)
            number = float(found)
        except (TypeError, ValueError, AttributeError) as error:
            raise ProbeError(
                f"task {self.name}: label {self.label} is {value!r}: {error}"
            ) from None
        return number if math.isfinite(number) else None

    @classmethod
    def from_label(cls, name: str, values: Iterable[Value | None], **changes) -> Task:
        """A task for any label: numbers are regressed on, everything else is classified."""
        present = [v for v in values if v is not None and v != ""]
        number = bool(present) and all(
            isinstance(v, Real) and not isinstance(v, bool) for v in present
        )
        return cls.of_kind(name, "number" if number else "category", **changes)

    @classmethod
    def of_kind(cls, name: str, kind: str, **changes) -> Task:
        """A task for a label of kind `category` or `number`."""
        number = kind == "number"
        entry = {
            "title": name.replace("_", " ").capitalize(),
            "label": name,
            "kind": "regression" if number else "classification",
            "metric": R2 if number else BALANCED_ACCURACY,
            "description": f"{name} is linearly decodable",
            "recode": None if number else _blank_is_none,
        }
        return cls(name=name, **{**entry, **changes})


def _blank_is_none(value: Value) -> Value | None:
    return None if value == "" else value
