"""What a task is: a label, how its values become targets, and how answers are scored."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Literal

from probes.errors import ProbeError

Value = str | float | tuple[str, ...]
ACCURACY, BALANCED_ACCURACY, KEY_SCORE = "accuracy", "balanced accuracy", "weighted key score"
R2, ACC1, ACC2 = "R2", "Acc1", "Acc2"
ROC_AUC, AVERAGE_PRECISION = "ROC-AUC", "average precision"
# what a task is about; those of the field's probing papers and what is left
FAMILIES = (
    "genre", "era", "origin", "mood", "instrumentation", "key", "pitch", "voice", "tempo",
    "sonority", "tags", "beat", "chord", "structure", "other",
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """One question that a probe answers.

    Attributes
    ----------
    name : as on the command line.
    title : as in a report.
    family : one of `FAMILIES`.
    label : the column of the data that holds the answers.
    kind : `classification` (one class a row), `regression`, or `tags` (any number of them a row).
    metric : a name known to `probes.metrics`; by it layers are selected.
    also : further metrics that are reported.
    known : label of the tags that were judged at all, where the data has it; tags that it lacks
        are unknown, not absent.
    description : what can be concluded from a high score.
    by_name : only probed when asked for by its name, not as one of all.
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
    family: str
    label: str
    kind: Literal["classification", "regression", "tags", "frames"]
    metric: str
    description: str
    rows: str = "clips"
    also: tuple[str, ...] = ()
    known: str = ""
    by_name: bool = False
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
            if self.kind == "tags":
                if isinstance(found, str):
                    raise ValueError("a tuple of tags is needed")
                return tuple(str(tag) for tag in found)
            number = float(found)
            if math.isinf(number):
                raise ValueError("it is not finite")
        except (TypeError, ValueError, AttributeError) as error:
            raise ProbeError(
                f"task {self.name}: label {self.label} is {value!r}: {error}"
            ) from None
        return None if math.isnan(number) else number

    @classmethod
    def from_label(cls, name: str, values: Iterable[Value | None], **changes) -> Task:
        """A task for any label: by its values: numbers, collections of tags, or else classes."""
        present = [v for v in values if v is not None and v != ""]
        kind = "category"
        if present and all(isinstance(v, Real) and not isinstance(v, bool) for v in present):
            kind = "number"
        elif present and all(isinstance(v, tuple | list | set | frozenset) for v in present):
            kind = "tags"
        return cls.of_kind(name, kind, **changes)

    @classmethod
    def of_kind(cls, name: str, kind: str, **changes) -> Task:
        """A task for a label of kind `category`, `number` or `tags`."""
        what, metric, also, recode = _BY_KIND[kind]
        entry = {
            "title": name.replace("_", " ").capitalize(),
            "family": "other",
            "label": name,
            "kind": what,
            "metric": metric,
            "also": also,
            "description": f"{name} is linearly decodable",
            "recode": recode,
        }
        return cls(name=name, **{**entry, **changes})


def _blank_is_none(value: Value) -> Value | None:
    return None if value == "" else value


# kind of a label -> kind of its task, metric, further metrics, recoding
_BY_KIND = {
    "category": ("classification", BALANCED_ACCURACY, (ACCURACY,), _blank_is_none),
    "number": ("regression", R2, (), None),
    "tags": ("tags", ROC_AUC, (AVERAGE_PRECISION,), None),
}
