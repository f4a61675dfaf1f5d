"""What a probing run found, and how it is written and read."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from probes.curves import Curve, read_curves, write_curves
from probes.errors import ProbeError
from probes.published import Published
from probes.record import FAULTS, UNWRITTEN, Record, cell, plain
from probes.scored import Score
from probes.trust.comparisons import Comparison
from probes.trust.emergence import Emergence
from probes.trust.layer import LayerTrust
from probes.writing import write_whole

FORMAT = 2
ALL_LAYERS = "all"  # the one layer of a head that takes all at once


@dataclass(frozen=True)
class LayerScores(Record):
    """One layer on one task.

    Attributes
    ----------
    layer : its name; `all` for a head that takes all layers at once.
    setting : what was chosen of the head's grid on validation, such as `{"penalty": 10.0}`.
    valid : score on validation, by which the layer is selected.
    splits : test split -> score.
    wins : test split -> share of resamples in which this layer scores best.
    also : further metric -> split, validation included -> score.
    information : test split -> bits that the probe finds (see `probes.information`); empty where
        the head gives no probabilities.
    facts : what else the head has to say.
    trust : what was checked of a linear probe; None where it was not.
    """

    layer: str
    setting: Mapping[str, object]
    valid: Score
    splits: Mapping[str, Score]
    wins: Mapping[str, float]
    also: Mapping[str, Mapping[str, Score]] = field(default_factory=dict)
    information: Mapping[str, Score] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)
    trust: LayerTrust | None = None


@dataclass(frozen=True)
class Pointwise(Record):
    """Bits that the probes find, row by row.

    Attributes
    ----------
    rows, groups : name and group of each row.
    bits : [layers, rows], see `probes.information.pointwise`; rounded to thousandths.
    """

    rows: tuple[str, ...]
    groups: tuple[str, ...]
    bits: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class TaskResult(Record):
    """One task on all layers; the fields are those of `probes/X.json` in docs/study.md.

    Attributes
    ----------
    comparisons : test split -> every layer against the selected one.
    emergence : test split -> where in depth rows become decodable.
    pointwise : test split -> bits row by row.
    published : what others report on the same data set by one of the same metrics.
    gain_over_single : of a head beside the main one, test split -> how much it is above the layer
        that is selected with the main head, paired; a layer of its own selection or all at once.
    curve : scores on the headline split and their resamples; kept in a file of its own.
    """

    task: str
    title: str
    family: str
    label: str
    kind: str
    head: str
    metric: str
    range: tuple[float | None, float | None]
    chance: float
    tier: str
    classes: int | None
    unit: str
    rows: str
    subsets: tuple[str, ...]
    n: Mapping[str, int]
    groups: Mapping[str, int]
    headline: str
    selected: str
    layers: tuple[LayerScores, ...]
    gain_over_last: Mapping[str, Score]
    also_chance: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    comparisons: Mapping[str, Comparison] = field(default_factory=dict)
    emergence: Mapping[str, Emergence] = field(default_factory=dict)
    pointwise: Mapping[str, Pointwise] = field(default_factory=dict)
    published: tuple[Published, ...] = ()
    gain_over_single: Mapping[str, Score] = field(default_factory=dict)
    curve: Curve | None = field(default=None, repr=False, compare=False, metadata=UNWRITTEN)

    def layer(self, name: str) -> LayerScores:
        """The scores of a layer."""
        for one in self.layers:
            if one.layer == name:
                return one
        raise ProbeError(f"task {self.task} has no layer {name}; it has {_names(self.layers)}")

    @property
    def best(self) -> Score:
        """Score of the selected layer on the headline split."""
        return self.layer(self.selected).splits[self.headline]


@dataclass(frozen=True)
class ProbeResults:
    """All tasks on all layers of one model (or of the references).

    Attributes
    ----------
    tasks : by the head of the protocol.
    heads : by other heads.
    skipped : task -> why it was not probed.
    settings : penalties, seed, resamples and so on.
    role : of the model in the study; set when written.
    """

    model: str
    layers: tuple[str, ...]
    tasks: tuple[TaskResult, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    protocol: str = "linear"
    role: str = ""
    heads: tuple[TaskResult, ...] = ()

    def __getitem__(self, task: str) -> TaskResult:
        for one in self.tasks:
            if one.task == task:
                return one
        probed = ", ".join(t.task for t in self.tasks) or "no tasks"
        why = self.skipped.get(task, "; ".join([f"probed were {probed}", *self.skipped.values()]))
        raise ProbeError(f"no result for task {task}: {why}")

    def __iter__(self) -> Iterator[TaskResult]:
        return iter(self.tasks)

    def merge(self, *others: ProbeResults) -> ProbeResults:
        """These results and those of other kinds of rows of the same model; first come first."""
        tasks, skipped = {t.task: t for t in self.tasks}, dict(self.skipped)
        heads = {(t.task, t.head): t for t in self.heads}
        for other in others:
            if (other.model, other.layers) != (self.model, self.layers):
                raise ProbeError(
                    f"results of {other.model} ({len(other.layers)} layers) cannot join those of "
                    f"{self.model} ({len(self.layers)} layers): probe the same model"
                )
            for task in other.tasks:
                tasks.setdefault(task.task, task)
            for task in other.heads:
                heads.setdefault((task.task, task.head), task)
            skipped = {**other.skipped, **skipped}
        skipped = {name: why for name, why in skipped.items() if name not in tasks}
        return ProbeResults(
            self.model, self.layers, tuple(tasks.values()), skipped, self.settings,
            self.protocol, self.role, tuple(heads.values()),
        )  # fmt: skip

    def as_json(self, role: str | None = None) -> dict:
        """As in docs/study.md; numbers that do not exist are None."""
        return plain(
            {
                "format": FORMAT,
                "role": self.role if role is None else role,
                "model": self.model,
                "protocol": self.protocol,
                "settings": dict(self.settings),
                "layers": list(self.layers),
                "tasks": self.tasks,
                "heads": self.heads,
                "skipped": [{"task": t, "why": why} for t, why in self.skipped.items()],
            }
        )

    def write(self, folder: Path, role: str) -> Path:
        """Writes `<role>.json`, `.csv` and `.npz` (curves); returns the path of the JSON."""
        path = Path(folder) / f"{role}.json"
        text = json.dumps(self.as_json(role), indent=1, allow_nan=False) + "\n"
        write_whole(path, lambda part: part.write_text(text, "utf-8"))
        write_whole(path.with_suffix(".csv"), lambda part: self._write_table(part, role))
        self.write_curves(path.with_suffix(".npz"))
        return path

    def _write_table(self, path: Path, role: str) -> None:
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(
                ("role", "model", "task", "head", "metric", "quantity", "split", "layer",
                 "selected", "setting", "value", "low", "high", "chance")
            )  # fmt: skip
            for line in self._lines(role):
                writer.writerow(map(cell, plain(line)))

    def write_curves(self, path: Path) -> Path | None:
        """Writes the curves of all tasks and heads; None where there are none."""
        curves = {(t.task, t.head): t.curve for t in (*self.tasks, *self.heads) if t.curve}
        return write_curves(path, curves) if curves else None

    def _lines(self, role: str):
        """The long form: one number a line."""
        for task in (*self.tasks, *self.heads):
            head = (role, self.model, task.task, task.head)
            for one in task.layers:
                setting = " ".join(f"{name}={value}" for name, value in one.setting.items())
                place = (one.layer, int(one.layer == task.selected), setting)
                for metric, scores, chance in (
                    (task.metric, {"valid": one.valid, **one.splits}, task.chance),
                    *((name, some, task.also_chance.get(name)) for name, some in one.also.items()),
                ):
                    for split, score in scores.items():
                        numbers = (*asdict(score).values(), chance)
                        yield [*head, metric, "score", split, *place, *numbers]
                for split, share in one.wins.items():
                    yield [*head, task.metric, "wins", split, *place, share, None, None, None]
                for split, bits in one.information.items():
                    numbers = (*asdict(bits).values(), 0.0)
                    yield [*head, "bits", "information", split, *place, *numbers]
            gains = {
                "gain_over_last": task.gain_over_last, "gain_over_single": task.gain_over_single,
            }  # fmt: skip
            for quantity, of in gains.items():
                for split, gain in of.items():
                    place = (task.metric, quantity, split, task.selected, 1, None)
                    yield [*head, *place, *asdict(gain).values(), 0.0]

    @classmethod
    def read(cls, path: Path) -> ProbeResults:
        """Reads what `write` wrote, with the curves beside it where they are there.

        `ProbeError` names the file when it cannot be read.
        """
        try:
            entry = json.loads(Path(path).read_text("utf-8"))
            if entry["format"] != FORMAT:
                raise ProbeError(f"{path}: format {entry['format']}, not {FORMAT}; probe again")
            found = cls.from_json(entry)
        except FAULTS as error:
            raise ProbeError(f"{path}: not a result of probing ({error}); probe again") from None
        beside = Path(path).with_suffix(".npz")
        return found.with_curves(read_curves(beside)) if beside.exists() else found

    @classmethod
    def from_json(cls, entry: Mapping) -> ProbeResults:
        """What `as_json` was made of, without curves; a built-in error where it is not that."""
        return cls(
            entry["model"],
            tuple(entry["layers"]),
            tuple(TaskResult.from_json(task) for task in entry["tasks"]),
            {one["task"]: one["why"] for one in entry["skipped"]},
            entry["settings"],
            entry["protocol"],
            entry["role"],
            tuple(TaskResult.from_json(task) for task in entry["heads"]),
        )

    def with_curves(self, curves: Mapping[tuple[str, str], Curve]) -> ProbeResults:
        """These results with the curves of (task, head)."""
        tasks, heads = (
            tuple(replace(one, curve=curves.get((one.task, one.head))) for one in some)
            for some in (self.tasks, self.heads)
        )
        return replace(self, tasks=tasks, heads=heads)


def _names(layers: tuple[LayerScores, ...]) -> str:
    return ", ".join(one.layer for one in layers)
