"""What in the data makes a probe's number doubtful, in sentences of one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch

from probes.design import Design
from probes.splits import EVALUATED, SPLITS, TRAIN, VALID
from probes.tasks.base import Task

FEW_ROWS, FEW_GROUPS = 30, 10
UNBALANCED = 10  # rows of the largest class to one of the smallest
ALIKE = 0.9999  # correlation of rows from which on they are taken for copies
DIGITS = 4  # after the point of a standardised value
NARROW = 16  # columns below which unlike rows may correlate as much
AT_ONCE = 20_000_000  # correlations


def of_labels(
    task: Task,
    index: Mapping[str, np.ndarray],
    values: np.ndarray,
    classes: Sequence[str],
    groups: np.ndarray,
) -> list[str]:
    """What makes the numbers of a task uncertain; arguments as in `probes.targets.Target`."""
    notes = []
    for split, rows in index.items():
        notes += _of_split(task, split, rows, values, classes, groups)
    if classes:
        notes += _of_classes(task, index[TRAIN], values, classes, groups)
    for first, second in combinations([split for split in SPLITS if split in index], 2):
        shared = len(set(groups[index[first]]) & set(groups[index[second]]))
        if shared:
            notes.append(_shared(first, second, shared))
    return notes


def _of_split(task, split, rows, values, classes, groups) -> list[str]:
    notes = []
    if split != TRAIN and len(rows) < FEW_ROWS:
        notes.append(f"{split}: only {len(rows)} rows")
    n_groups = len(set(groups[rows]))
    if split in EVALUATED and n_groups < FEW_GROUPS:
        notes.append(f"{split}: the interval rests on {n_groups} groups")
    if task.kind == "tags":
        have, lack = (values[rows] == 1).any(axis=0), (values[rows] == 0).any(axis=0)
        absent = [c for c, one in zip(classes, have & lack, strict=True) if not one]
        if absent:
            notes.append(f"{split}: all rows or none have {listed(absent)}, not scored")
    elif classes:
        absent = [c for i, c in enumerate(classes) if i not in set(values[rows])]
        if absent:
            notes.append(f"{split}: no rows of {listed(absent)}")
    elif split != TRAIN:
        here, all_rows = np.var(values[rows]), np.nanvar(values)
        if here < 0.05 * all_rows:
            notes.append(f"{split}: {task.label} hardly varies, so R2 is unstable")
    return notes


def _of_classes(task, train, values, classes, groups) -> list[str]:
    """Of the training rows: classes of one group, and how unequal classes are."""
    notes, of = [], groups[train]
    if task.kind == "tags":
        member = values[train] == 1
    else:
        member = values[train][:, None] == np.arange(len(classes))
        rows = member.sum(axis=0)
        if rows.max() >= UNBALANCED * rows.min():
            most, least = (int(i) for i in (rows.argmax(), rows.argmin()))
            notes.append(
                f"train: classes are unequal, {classes[most]} has {rows[most]} rows and "
                f"{classes[least]} {rows[least]}"
            )
    alone = [c for c, here in zip(classes, member.T, strict=True) if len(set(of[here])) == 1]
    if alone:
        notes.append(
            f"train: one group alone has {listed(alone)}: that group may be what is learnt"
        )
    return notes


def _shared(first: str, second: str, groups: int) -> str:
    if first == TRAIN:
        what = "it asks for new rows only" if second != VALID else "choices lean to what was seen"
        return f"{second}: {groups} groups have rows in training too, of these {what}"
    if first == VALID:
        return f"{second}: {groups} groups have rows in {first} too, where choices are made"
    return f"{second}: {groups} groups have rows in {first} too"


@dataclass(frozen=True)
class Columns:
    """Of one layer on its training rows: dimensions, and the share of them that never changes."""

    width: int
    constant: float

    @classmethod
    def of(cls, design: Design) -> Columns:
        return cls(len(design.scale), float((design.scale == 0).double().mean()))


def of_layers(layers: Mapping[str, Columns], train: int) -> list[str]:
    """What makes the numbers of layers, by name, uncertain.

    Parameters
    ----------
    train : number of training rows.
    """
    notes = []
    dead = {name: one for name, one in layers.items() if one.constant > 0}
    if dead:
        worst = max(dead, key=lambda name: dead[name].constant)
        notes.append(
            f"{len(dead)} of {len(layers)} layers have dimensions that never change, {worst} the "
            f"most ({100 * dead[worst].constant:.0f} % of {dead[worst].width})"
        )
    wide = {n: one for n, one in layers.items() if one.width * (1 - one.constant) > train}
    if wide:
        most = max(one.width for one in wide.values())
        notes.append(
            f"fewer training rows ({train}) than dimensions (up to {most}) in {len(wide)} of "
            f"{len(layers)} layers: what is found there depends on the penalty"
        )
    return notes


@dataclass(frozen=True)
class Copy:
    """A row that also stands in another split: equal, or else as good as equal.

    Attributes
    ----------
    row, of : places among all rows; `of` is in the earlier of the two splits.
    split, other : of `row`, and of `of`.
    """

    row: int
    of: int
    split: str
    other: str
    equal: bool


def copies(layer: torch.Tensor, splits: np.ndarray) -> list[Copy]:
    """Rows of a layer that stand in two splits; at most one copy of a row for each other split.

    Columns are standardised over all rows. Equal are rows whose values agree to `DIGITS` digits
    after the point; as good as equal those that correlate by more than `ALIKE` (of layers of
    fewer than `NARROW` dimensions that vary only equal ones are looked for).

    Parameters
    ----------
    layer : [all rows, width]; an early layer, which does not take different clips for the same.
    splits : [all rows] names, blank where a row takes no part.
    """
    values = layer.double()
    spread = values.std(dim=0, correction=0)
    varies = spread > 1e-6 * values.mean(dim=0).abs() + torch.finfo(torch.float32).tiny
    if not bool(varies.any()):
        return []
    z = ((values - values.mean(dim=0)) / spread)[:, varies].float()
    rounded = (z.cpu().numpy().astype(float).round(DIGITS) + 0.0).astype(np.float32)
    keys = np.array([hash(row.tobytes()) for row in rounded])
    centred = z - z.mean(dim=1, keepdim=True)
    unit = centred / centred.norm(dim=1, keepdim=True).clamp_min(torch.finfo(z.dtype).tiny)
    found = []
    rows_of = {split: np.flatnonzero(splits == split) for split in SPLITS}
    for first, second in combinations([s for s, rows in rows_of.items() if len(rows)], 2):
        earlier, later = rows_of[first], rows_of[second]
        twin = {}
        for place in earlier[::-1]:  # of several the first
            twin[keys[place]] = place
        near = _nearest(unit, later, earlier) if z.shape[1] >= NARROW else [None] * len(later)
        for row, best in zip(later, near, strict=True):
            if keys[row] in twin:
                found.append(Copy(int(row), int(twin[keys[row]]), second, first, True))
            elif best is not None:
                found.append(Copy(int(row), int(best), second, first, False))
    return found


def _nearest(unit: torch.Tensor, later: np.ndarray, earlier: np.ndarray) -> list[int | None]:
    """For each later row the earlier row that it correlates with most, if by more than `ALIKE`."""
    step, out = max(1, AT_ONCE // len(earlier)), []
    against = unit[torch.as_tensor(earlier, device=unit.device)]
    for at in range(0, len(later), step):
        some_rows = unit[torch.as_tensor(later[at : at + step], device=unit.device)]
        best, place = (some_rows @ against.T).max(dim=1)
        out += [
            int(earlier[p]) if b > ALIKE else None
            for b, p in zip(best.tolist(), place.tolist(), strict=True)
        ]
    return out


def of_copies(found: Sequence[Copy], names: Sequence[str]) -> list[str]:
    """One sentence for each two splits that share rows.

    Parameters
    ----------
    names : [all rows] of the rows.
    """
    notes = []
    for split, other in dict.fromkeys((one.split, one.other) for one in found):
        here = [one for one in found if (one.split, one.other) == (split, other)]
        equal = sum(one.equal for one in here)
        first = f"{names[here[0].row]} is {names[here[0].of]}"
        notes.append(
            f"{split}: {len(here)} rows stand in {other} too ({equal} equal, {len(here) - equal} "
            f"nearly), such as {first}"
        )
    return notes


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first few names and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
