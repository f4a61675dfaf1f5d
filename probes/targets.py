"""From a task and a table of rows to numbers a solver can be given."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probes.source import RowTable
from probes.splits import EVALUATED, SPLITS, TRAIN, VALID
from probes.tasks.base import Task
from probes.trust.warnings import listed, of_labels

MIN_TRAIN_ROWS, MIN_TRAIN_GROUPS = 20, 3
MIN_VALID_ROWS, MIN_TEST_ROWS, MIN_TEST_GROUPS = 5, 5, 2
MIN_CLASS_ROWS = 2


class NotProbed(Exception):
    """A task that this data cannot answer; the message is the reason, in one line."""


@dataclass(frozen=True)
class Target:
    """A task on some rows.

    Attributes
    ----------
    values : [all rows] class index (int64) or number (float64); [all rows, tags] of 0, 1 and NaN
        where it is not known whether the row has the tag; meaningless outside `index`.
    index : split -> rows of that split that take part, rising; splits without rows are absent.
    names, groups : [all rows] name and group of each row.
    classes : names of classes or tags in the order of their indices; empty for a regression.
    headline : the split that a report quotes; one of `index`.
    notes : sentences for the reader.
    """

    task: Task
    values: np.ndarray
    index: dict[str, np.ndarray]
    names: np.ndarray
    groups: np.ndarray
    classes: tuple[str, ...]
    headline: str
    notes: tuple[str, ...]

    @property
    def regression(self) -> bool:
        return self.task.kind == "regression"

    @property
    def evaluated(self) -> list[str]:
        """The test splits that have rows."""
        return [split for split in EVALUATED if split in self.index]

    @property
    def prior(self) -> np.ndarray:
        """[classes] frequencies in training."""
        counts = np.bincount(self.of(TRAIN), minlength=len(self.classes))
        return counts / counts.sum()

    def of(self, split: str) -> np.ndarray:
        """[rows of the split] targets, or [rows of the split, tags]."""
        return self.values[self.index[split]]

    def group_index(self, split: str) -> np.ndarray:
        """[rows of the split] number of the group among those of the split."""
        return np.unique(self.groups[self.index[split]].astype(str), return_inverse=True)[1]

    def count_groups(self, split: str) -> int:
        return len(set(self.groups[self.index[split]]))


def make_target(task: Task, rows: RowTable, splits: np.ndarray) -> Target:
    """The target of a task on rows with these splits.

    Raises
    ------
    NotProbed : with the reason.
    ProbeError : for a label value that the task cannot read.
    """
    groups = np.asarray(rows.groups, dtype=object)
    found = np.array([task.target(v) for v in rows.label(task.label)] + [None], dtype=object)[:-1]
    here = np.array([v is not None for v in found]) & (splits != "")
    if task.subsets:
        inside = np.isin(np.asarray(rows.subsets).astype(str), task.subsets)
        here &= inside | (not inside.any())  # other data have no such parts
    if not here.any():
        raise NotProbed(f"task {task.name}: no row has the label {task.label}")
    notes: list[str] = []
    if task.kind == "classification":
        classes, here = _classes(found, here, splits, notes)
        number = {name: i for i, name in enumerate(classes)}
        values = np.array([number.get(v, -1) for v in found], dtype=np.int64)
    elif task.kind == "tags":
        judged = rows.label(task.known) if task.known else [None] * len(rows)
        classes, values = _tags(task, found, judged, here & (splits == TRAIN), notes)
    else:
        classes = ()
        values = np.array([np.nan if v is None else v for v in found], dtype=float)
    index = {split: np.flatnonzero(here & (splits == split)) for split in SPLITS}
    index = {split: rows_of for split, rows_of in index.items() if len(rows_of)}
    headline = _headline(task, index, groups, notes)
    _check(task, index, groups, values, classes, headline)
    notes += of_labels(task, index, values, classes, groups)
    return Target(
        task, values, index, np.asarray(rows.names), groups, classes, headline, tuple(notes)
    )


def together(targets: Sequence[Target]) -> list[list[Target]]:
    """Targets that share their training rows, in the order of their first."""
    found: dict[bytes, list[Target]] = defaultdict(list)
    for target in targets:
        found[target.index[TRAIN].tobytes()].append(target)
    return list(found.values())


def _classes(
    found: np.ndarray, here: np.ndarray, splits: np.ndarray, notes: list[str]
) -> tuple[tuple[str, ...], np.ndarray]:
    """Classes with enough training rows, in natural order; rows of the others leave."""
    counts = Counter(found[here & (splits == TRAIN)])
    kept = {name for name, count in counts.items() if count >= MIN_CLASS_ROWS}
    left = here & ~np.array([v in kept for v in found])
    if left.any():
        gone = sorted(set(found[left]), key=_natural)
        notes.append(
            f"left out for fewer than {MIN_CLASS_ROWS} training rows: {listed(gone)} "
            f"({left.sum()} rows)"
        )
    return tuple(sorted(kept, key=_natural)), here & ~left


def _tags(
    task: Task, found: np.ndarray, judged: Sequence, train: np.ndarray, notes: list[str]
) -> tuple[tuple[str, ...], np.ndarray]:
    """Tags that enough training rows have and lack, and [rows, tags] of 0, 1 and NaN."""
    names = sorted({tag for tags in found if tags is not None for tag in tags}, key=_natural)
    number = {name: i for i, name in enumerate(names)}
    values = np.full((len(found), len(names)), np.nan)
    for row, (tags, some) in enumerate(zip(found, judged, strict=True)):
        if tags is None:
            continue
        values[
            row, [number[t] for t in some if t in number] if some is not None else slice(None)
        ] = 0.0
        values[row, [number[tag] for tag in tags]] = 1.0
    there, absent = (values[train] == 1).sum(axis=0), (values[train] == 0).sum(axis=0)
    kept = (there >= MIN_CLASS_ROWS) & (absent >= MIN_CLASS_ROWS)
    if not kept.all():
        gone = [name for name, keep in zip(names, kept, strict=True) if not keep]
        notes.append(
            f"tags left out that fewer than {MIN_CLASS_ROWS} training rows have, or lack: "
            f"{listed(gone)}"
        )
    return tuple(n for n, keep in zip(names, kept, strict=True) if keep), values[:, kept]


def _headline(
    task: Task, index: dict[str, np.ndarray], groups: np.ndarray, notes: list[str]
) -> str:
    """The task's headline split, or the other test split where that has too little."""
    usable = [
        split
        for split in (task.headline, *EVALUATED)
        if len(index.get(split, ())) >= MIN_TEST_ROWS
        and len(set(groups[index[split]])) >= MIN_TEST_GROUPS
    ]
    if usable and usable[0] != task.headline:
        notes.append(f"too few rows in {task.headline}: {usable[0]} is quoted instead")
    return usable[0] if usable else task.headline


def _check(
    task: Task,
    index: dict[str, np.ndarray],
    groups: np.ndarray,
    values: np.ndarray,
    classes: tuple[str, ...],
    headline: str,
) -> None:
    """Raises `NotProbed` unless there is enough of everything."""
    needs = (
        (TRAIN, MIN_TRAIN_ROWS, MIN_TRAIN_GROUPS),
        (VALID, MIN_VALID_ROWS, 1),
        (headline, MIN_TEST_ROWS, MIN_TEST_GROUPS),
    )
    for split, least_rows, least_groups in needs:
        rows_of = index.get(split, np.empty(0, int))
        n_groups = len(set(groups[rows_of]))
        for count, least, what in (
            (len(rows_of), least_rows, "row"),
            (n_groups, least_groups, "group"),
        ):
            if count < least:
                raise NotProbed(f"task {task.name}: {too_few(count, what, split, least)}")
    if task.kind == "classification" and len(classes) < 2:
        found = "1 class" if classes else "no class with enough rows"
        raise NotProbed(f"task {task.name}: {found} in train; 2 are needed")
    if task.kind == "tags" and not classes:
        raise NotProbed(f"task {task.name}: no tag that some training rows have and some lack")
    if task.kind == "regression" and np.ptp(values[index[TRAIN]]) == 0:
        raise NotProbed(f"task {task.name}: {task.label} has one value in train; needs several")


def too_few(count: int, what: str, split: str, least: int) -> str:
    """That there are `count` of something (`group`) where at least `least` are needed."""
    many, needed = "" if count == 1 else "s", "is needed" if least == 1 else "are needed"
    return f"{count} labelled {what}{many} in {split}; {least} {needed}"


def _natural(name: str) -> list:
    """Sort key under which 9 stands before 10."""
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in re.split(r"(\d+)", name)]
