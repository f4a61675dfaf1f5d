"""Which results of several studies may stand side by side, and the table of models x tasks.

The rules are written out in docs/method.md, "Several studies in one report".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from reports.numbers import count, number, with_interval
from reports.probing import Task
from reports.results import ModelCard
from reports.study import Study
from reports.tables import DASH, Cell, Table
from reports.words import abridged, clean

_ACROSS = 4  # models side by side
_SAME = 1e-9  # scores that differ by less are the same
_NAMED = 6  # tasks in a note


@dataclass(frozen=True)
class Setting:
    """What two studies must have in common before a score of theirs is compared."""

    data: str
    identity: str
    protocol: str

    @property
    def title(self) -> str:
        mark = f", identity {self.identity[:12]}" if self.identity else ""
        return f"{self.data}{mark}: {self.protocol} probes"


@dataclass
class Column:
    """One model under one setting, from one study or from several that agree.

    Attributes
    ----------
    studies : numbers of the studies, from 1.
    repeated : whether another column has the same model with other results.
    agrees : whether several studies have results that are the same.
    """

    setting: Setting
    card: ModelCard
    studies: list[int]
    tasks: dict[str, Task] = field(default_factory=dict)
    repeated: bool = False
    agrees: bool = False

    @property
    def name(self) -> str:
        name = abridged(self.card.name, 24) + ("" if self.card.trained else " untrained")
        numbers = ", ".join(map(str, self.studies))
        return f"{name} (study {numbers})" if self.repeated else name


@dataclass(frozen=True)
class Comparison:
    """Columns of all settings, and what had to be kept apart or was counted once."""

    columns: tuple[Column, ...]
    notes: tuple[str, ...]

    @property
    def settings(self) -> list[Setting]:
        return list(dict.fromkeys(column.setting for column in self.columns))

    def of(self, setting: Setting) -> list[Column]:
        return [column for column in self.columns if column.setting == setting]


def compare(studies: Sequence[Study]) -> Comparison:
    """Puts the probed models of several studies side by side.

    A model is the same when name, weights and layers are. Where two studies have the same model
    under the same setting, tasks with the same results count once; where any differ, both studies
    keep a column of their own.
    """
    columns: list[Column] = []
    notes: list[str] = []
    for place, study in enumerate(studies, 1):
        for role, card in study.models.items():
            probes = study.probes.get(role)
            if probes is None or not probes.tasks:
                continue
            setting = _setting(study, probes.protocol)
            alike = [c for c in columns if c.setting == setting and _model(c.card) == _model(card)]
            differing: dict[str, None] = {}
            for column in alike:
                shared = [key for key in probes.tasks if key in column.tasks]
                other = [k for k in shared if not _same(column.tasks[k], probes.tasks[k])]
                if not other:
                    column.tasks |= probes.tasks
                    if place not in column.studies:
                        column.studies.append(place)
                        column.agrees |= bool(shared)
                    break
                differing.update(dict.fromkeys(probes.tasks[k].title for k in other))
            else:
                own = Column(setting, card, [place], dict(probes.tasks), bool(alike))
                for column in alike:
                    column.repeated = True
                columns.append(own)
                if alike:
                    before = sorted({n for column in alike for n in column.studies})
                    notes.append(
                        f"Other results in study {place} than in {_listed(before)}, both shown: "
                        f"{card.name} ({_some(differing)})"
                    )
    apart = _apart(Comparison(tuple(columns), ()))
    return Comparison(tuple(columns), (*apart, *_once(columns), *notes))


def tables(comparison: Comparison) -> list[Table]:
    """Tasks down, models across: a table a setting, and one more for every four models."""
    out = []
    for setting in comparison.settings:
        columns = comparison.of(setting)
        for start in range(0, len(columns), _ACROSS):
            out.append(_table(setting, columns, columns[start : start + _ACROSS], start))
    return out


def _table(setting: Setting, every: list[Column], shown: list[Column], start: int) -> Table:
    groups = []
    for key, kinds in _rows(every).items():
        for kind in kinds:
            tasks = [_of_kind(column, key, kind) for column in shown]
            first = next((task for task in tasks if task), None)
            if first is None:
                continue
            best = _best(every, key, kind)
            said = Cell(_said(first, several=len(kinds) > 1), quiet=True)
            scores: list[str | Cell] = [abridged(first.title, 40), _chance(filter(None, tasks))]
            layers: list[str | Cell] = [said, ""]
            for column, task in zip(shown, tasks, strict=True):
                told = with_interval(task.best()) if task and task.best().exists else DASH
                scores.append(Cell(told, bold=column is best))
                layers.append(Cell(abridged(task.selected, 20) if task else "", mono=True))
            groups.append([scores, layers])
    part = " (further models)" if start else ""
    widths = [1.5, 0.5, *[1.0] * len(shown)]
    head = ["Task", "Chance", *(column.name for column in shown)]
    return Table(setting.title + part, "", head, groups, widths)


def _chance(tasks: Iterable[Task]) -> Cell:
    """The level of chance; its range where models that are compared had it from other draws."""
    levels = sorted({number(task.chance) for task in tasks if math.isfinite(task.chance)})
    ends = [levels[0], levels[-1]] if levels[1:] else levels
    return Cell(" to ".join(ends) or DASH, quiet=True)


def titles(columns: Iterable[Column]) -> dict[str, str]:
    """Key -> title of all tasks, in the order of the studies."""
    found: dict[str, str] = {}
    for column in columns:
        for key, task in column.tasks.items():
            found.setdefault(key, task.title)
    return found


def _setting(study: Study, protocol: str) -> Setting:
    data = study.raw.get("data")
    data = data if isinstance(data, dict) else {}
    name = clean(data.get("name") or data.get("title"), 80) or "unnamed data"
    return Setting(name, clean(data.get("identity"), 64), protocol)


def _model(card: ModelCard) -> tuple:
    weights = card.facts.get("weights")
    digest = clean(weights.get("sha256"), 64) if isinstance(weights, dict) else ""
    return card.name, digest, card.trained, card.layer_names


def _kind(task: Task) -> tuple:
    """What must be equal before two scores of a task are compared: rows, split and score."""
    sizes = (tuple(sorted(counts.items())) for counts in (task.n, task.groups))
    return task.metric, task.headline, task.rows, task.head, task.classes, *sizes


def _rows(columns: Iterable[Column]) -> dict[str, list[tuple]]:
    """Task -> the kinds in which columns have it."""
    found: dict[str, dict[tuple, None]] = {}
    for column in columns:
        for key, task in column.tasks.items():
            found.setdefault(key, {})[_kind(task)] = None
    return {key: list(kinds) for key, kinds in found.items()}


def _of_kind(column: Column, key: str, kind: tuple) -> Task | None:
    task = column.tasks.get(key)
    return task if task is not None and _kind(task) == kind else None


def _said(task: Task, *, several: bool) -> str:
    """Metric and split, and the rows where other rows of the task stand beside."""
    words = f"{task.metric}, {task.headline}"
    if several:
        rows = count(task.n.get(task.headline))
        words += f": {rows} test rows ({task.rows or 'rows not named'}), "
        words += f"{count(task.n.get('train'))} for training"
    return words


def _best(columns: list[Column], key: str, kind: tuple) -> Column | None:
    """The column of best validation score among those that can be compared, if there are two."""
    found = [(c, task) for c in columns if (task := _of_kind(c, key, kind))]
    valid = [(task.chosen.valid.value, c) for c, task in found]
    valid = [(value, c) for value, c in valid if math.isfinite(value)]
    return max(valid, key=lambda pair: pair[0])[1] if len(valid) > 1 else None


def _same(one: Task, other: Task) -> bool:
    """Whether two tasks have the same layers with the same scores."""
    if _kind(one) != _kind(other) or one.names != other.names or one.selected != other.selected:
        return False
    tables = (one.curve(one.headline), other.curve(other.headline))
    return bool(np.allclose(*tables, rtol=0.0, atol=_SAME, equal_nan=True))


def _apart(found: Comparison) -> list[str]:
    """What could not be compared."""
    notes = []
    if len(found.settings) > 1:
        told = "; ".join(setting.title for setting in found.settings)
        notes.append(
            "Results on other data or by another protocol are not comparable and stand in tables "
            f"of their own: {told}"
        )
    for setting in found.settings:
        columns = found.of(setting)
        split = [key for key, kinds in _rows(columns).items() if len(kinds) > 1]
        named = titles(columns)
        if split:
            notes.append(
                f"On {setting.data} some tasks were asked of other rows, splits or by another "
                "score; each such row of the table is compared with itself alone: "
                f"{_some(named[key] for key in split)}"
            )
    return notes


def _once(columns: Iterable[Column]) -> list[str]:
    """Which models several studies agree on."""
    found: dict[str, list[str]] = {}
    for column in columns:
        if column.agrees:
            found.setdefault(_listed(column.studies), []).append(column.card.name)
    return [
        f"The same results in studies {studies}, counted once: {', '.join(dict.fromkeys(names))}"
        for studies, names in found.items()
    ]


def _some(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _listed(numbers: Iterable[int]) -> str:
    numbers = [str(n) for n in numbers]
    return " and ".join([", ".join(numbers[:-1]), numbers[-1]] if numbers[1:] else numbers)
