"""Warnings: what is planted is named, and clean data is silent."""

from __future__ import annotations

import numpy as np
import torch

from probes.design import Design
from probes.source import Table
from probes.targets import make_target
from probes.tasks.base import Task
from probes.trust.warnings import Columns, copies, of_copies, of_layers

SPLITS = np.repeat(np.array(["train", "valid", "test"], object), [120, 60, 60])
GROUPS = np.array([f"{s}{i // 3}" for i, s in enumerate(SPLITS)], object)


def notes(values, kind="category", groups=GROUPS, splits=SPLITS):
    task = Task.of_kind("x", kind)
    return list(make_target(task, Table(groups, {"x": list(values)}, splits), splits).notes)


def test_balanced_labels_in_clean_splits_are_silent():
    assert notes(np.array(["a", "b", "c", "d"])[np.arange(240) % 4]) == []
    assert notes(np.sin(np.arange(240)), "number") == []


def test_unequal_classes_and_a_class_of_one_group():
    labels = np.array(["often", "rare", "lonely"], object)[
        np.where(np.arange(240) % 24 == 5, 1, 0) + np.where(np.isin(np.arange(240), (9, 10)), 2, 0)
    ]
    found = notes(labels)
    assert "train: classes are unequal, often has 113 rows and lonely 2" in found
    assert "train: one group alone has lonely: that group may be what is learnt" in found
    assert "valid: no rows of lonely" in found and "test: no rows of lonely" in found


def test_groups_in_two_splits():
    groups = GROUPS.copy()
    groups[[0, 1]] = GROUPS[130]  # of valid, now in training too
    groups[[239]] = GROUPS[125]
    groups[[235, 236]] = GROUPS[60]
    found = notes(np.array(["a", "b"])[np.arange(240) % 2], groups=groups)
    assert (
        "valid: 1 groups have rows in training too, of these choices lean to what was seen" in found
    )
    assert "test: 1 groups have rows in training too, of these it asks for new rows only" in found
    assert "test: 1 groups have rows in valid too, where choices are made" in found


def test_few_groups_and_few_rows():
    groups = np.where(SPLITS == "test", np.arange(240) % 4, GROUPS).astype(object)
    found = notes(np.array(["a", "b"])[np.arange(240) % 2], groups=groups)
    assert "test: the interval rests on 4 groups" in found
    splits = np.where((SPLITS == "valid") & (np.arange(240) % 3 > 0), "", SPLITS).astype(object)
    assert "valid: only 20 rows" in notes(np.array(["a", "b"])[np.arange(240) % 2], splits=splits)


def test_layers_with_dead_or_too_many_dimensions():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((40, 100)).astype(np.float32)
    rows[:, :25] = 3.7
    fine = rng.standard_normal((40, 30)).astype(np.float32)
    layers = {name: Columns.of(Design.of(torch.tensor(x)))
              for name, x in {"wide": rows, "fine": fine}.items()}  # fmt: skip
    assert layers == {"wide": Columns(100, 0.25), "fine": Columns(30, 0.0)}
    assert of_layers(layers, 40) == [
        "1 of 2 layers have dimensions that never change, wide the most (25 % of 100)",
        "fewer training rows (40) than dimensions (up to 100) in 1 of 2 layers: what is found "
        "there depends on the penalty",
    ]
    assert of_layers({"fine": layers["fine"]}, 40) == []


def planted(width=64):
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((240, 8)) @ rng.standard_normal((8, width)) + 5
    rows += 0.5 * rng.standard_normal(rows.shape)
    rows[200] = rows[7]  # of test, also in training
    rows[210] = rows[8] + 1e-3 * rng.standard_normal(width)
    rows[150] = rows[230]  # of valid and test
    rows[30] = rows[31]  # of training twice: no matter
    return torch.tensor(rows, dtype=torch.float32)


def test_copies_in_two_splits_are_found_and_nothing_else():
    found = copies(planted(), SPLITS)
    assert {(one.row, one.of, one.equal) for one in found} == {
        (200, 7, True), (210, 8, False), (230, 150, True),
    }  # fmt: skip
    names = [f"clip{i}" for i in range(240)]
    assert of_copies(found, names) == [
        "test: 2 rows stand in train too (1 equal, 1 nearly), such as clip200 is clip7",
        "test: 1 rows stand in valid too (1 equal, 0 nearly), such as clip230 is clip150",
    ]


def test_copies_in_narrow_layers_must_be_equal_and_constant_layers_have_none():
    found = copies(planted(width=12), SPLITS)
    assert {(one.row, one.of) for one in found} == {(200, 7), (230, 150)}
    assert copies(torch.full((240, 3), 2.5), SPLITS) == []


def test_rows_without_a_split_take_no_part():
    splits = SPLITS.copy()
    splits[[7, 230]] = ""
    assert {(one.row, one.of) for one in copies(planted(), splits)} == {(210, 8)}
