"""Control tasks and shuffled labels: what is learnt by heart, what is chance, what is neither."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from probes.errors import ProbeError
from probes.heads.linear import LinearLayer
from probes.solvers import solve
from probes.source import Table
from probes.splits import TRAIN
from probes.targets import make_target
from probes.tasks.base import Task
from probes.trust.checks import Checks, Settings
from probes.trust.controls import Control, Shuffled, cells, control, shuffled

ONLY = {"orders": 0, "components": False, "calibration": False}


def task(label, kind="category", together=4, table_splits=(0.6, 0.1, 0.3)):
    """Rows in groups of `together`, dealt to splits in order."""
    n = len(label)
    sizes = [round(share * n) for share in table_splits]
    splits = np.repeat(np.array(["train", "valid", "test"], object), sizes)
    groups = np.array([f"{s}{i // together}" for i, s in enumerate(splits)])
    table = Table(groups, {"x": list(label)}, splits)
    one = Task.of_kind("x", "category")
    if kind != "category":
        one = Task.of_kind("x", kind)
    return make_target(one, table, splits)


def trust(rows, target, penalty, types=None, **settings):
    ready = LinearLayer(torch.tensor(rows, dtype=torch.float32), [target])
    (fit,) = solve(ready.design, [ready.problem(target, [penalty])])
    checks = Checks([target], Settings(**{**ONLY, **settings}), types)
    return checks.layer(ready, [ready.answers(target, fit)], [0], [penalty])[0]


def sounds(seed, kinds=60, n=1500, width=4):
    """Clips of so many kinds of sound, in a space where the kinds lie apart."""
    rng = np.random.default_rng(seed)
    kind = rng.permutation(np.arange(n) % kinds)
    places = 4 * rng.standard_normal((kinds, width))
    return rng, kind, places, places[kind] + 0.05 * rng.standard_normal((n, width))


def test_labels_of_kinds_are_no_more_than_their_control_where_kinds_are_known_by_heart():
    rng, kind, _, seen = sounds(0)
    names = rng.permutation(np.arange(60) % 4)[kind]  # each kind has a label for no reason
    target = task([f"c{i}" for i in names], together=5)
    by_heart = np.eye(60)[kind] + 0.02 * rng.standard_normal((1500, 60))
    found = trust(by_heart, target, 1.0, seen, cells=60, controls=4, shuffles=0).control
    assert found.score["test"].value > 0.95
    assert found.selectivity["test"].value == pytest.approx(0.0, abs=0.04)
    assert found.cells == 60 and found.draws == 4


def test_labels_that_follow_a_direction_are_more_than_their_control():
    rng, kind, places, seen = sounds(1)
    names = np.digitize(places[kind, 0], np.quantile(places[:, 0], [1 / 3, 2 / 3]))
    target = task([f"c{i}" for i in names], together=5)
    found = trust(seen, target, 1.0, seen, cells=60, controls=4, shuffles=0).control
    gap = found.selectivity["test"]
    assert found.score["test"].value < 0.6 and gap.value > 0.3 and gap.low > 0.2
    assert gap.low < gap.value < gap.high


def test_numbers_and_tags_have_control_tasks():
    rng, kind, places, seen = sounds(2)
    target = task(places[kind, 0] + 0.1 * rng.standard_normal(1500), "number", together=5)
    found = trust(seen, target, 1.0, seen, cells=60, controls=4, shuffles=0).control
    assert found.score["test"].value < 0.4 and found.selectivity["test"].value > 0.6
    tags = [tuple(t for t, on in zip("abcd", row, strict=True) if on) for row in places[kind] > 1]
    target = task(tags, "tags", together=5)
    one = control(target, cells(seen, target.index[TRAIN], number=60), rng)
    assert one.of(TRAIN).shape == target.of(TRAIN).shape
    assert set(np.unique(one.of(TRAIN))) == {0.0, 1.0}


def test_cells_are_found_and_come_back_in_test():
    _, kind, _, seen = sounds(3, kinds=20, n=600)
    found = cells(seen, np.arange(300), seed=0, number=60)
    for cell in np.unique(found):
        assert len(set(kind[found == cell])) == 1
    assert set(found[300:]) <= set(found[:300])
    assert len(np.unique(cells(seen, np.arange(300)))) == 30  # ten rows each
    with pytest.raises(ProbeError, match="finite matrix"):
        cells(np.full((10, 2), np.nan), np.arange(5))


def test_labels_of_types_are_drawn_as_often_as_the_task_has_them():
    rng = np.random.default_rng(4)
    target = task(["a", "a", "a", "b"] * 250)
    types = np.arange(1000) % 200
    share = np.mean([(control(target, types, rng).of(TRAIN) == 1).mean() for _ in range(40)])
    assert share == pytest.approx(0.25, abs=0.02)
    one = control(target, types, rng)
    assert all(len(set(one.values[types == cell])) == 1 for cell in range(200))
    with pytest.raises(ProbeError, match="use more cells"):
        control(target, np.zeros(1000, dtype=int), rng)


def test_shuffled_labels_stay_together_and_leave_the_test_alone():
    rng = np.random.default_rng(5)
    label = np.repeat(rng.permutation([f"c{i % 5}" for i in range(100)]), 7)
    target = task(label, together=7)
    one = shuffled(target, rng)
    index = target.group_index(TRAIN)
    for group in range(index.max() + 1):
        assert len(set(one.of(TRAIN)[index == group])) == 1
    assert one.of("test").tolist() == target.of("test").tolist()
    same = np.bincount(one.of(TRAIN), minlength=5).tolist()
    assert same == np.bincount(target.of(TRAIN), minlength=5).tolist()
    moved = np.mean([(shuffled(target, rng).of(TRAIN) == target.of(TRAIN)).mean()
                     for _ in range(50)])  # fmt: skip
    assert moved == pytest.approx(0.2, abs=0.05)


def test_shuffled_tags_are_known_of_some_rows():
    rng = np.random.default_rng(6)
    target = task([("a",) if i % 3 else ("b",) for i in range(120)], "tags")
    train = target.index[TRAIN]
    target.values[train[:-4], 1] = np.nan
    for _ in range(30):
        assert np.isfinite(shuffled(target, rng).of(TRAIN)[:, 1]).any()


def hard(seed, signal, groups=90, together=6):
    """Labels of whole groups, rows of a group alike: what is easily mistaken for knowledge."""
    rng = np.random.default_rng(seed)
    label = rng.permutation(np.arange(groups) % 3)
    rows = np.repeat(rng.standard_normal((groups, 10)), together, axis=0)
    rows[:, :3] += signal * np.repeat(np.eye(3)[label], together, axis=0)
    rows += 0.3 * rng.standard_normal(rows.shape)
    return rows, task(np.repeat([f"c{i}" for i in label], together), together=together)


def test_the_chance_of_shuffled_labels_is_that_of_the_metric_and_a_signal_is_above_it():
    found = trust(*hard(0, 3.0), 10.0, controls=0, shuffles=19).shuffled
    assert found.chance["test"] == pytest.approx(1 / 3, abs=0.08)
    assert found.p["test"] == 0.05 and found.draws == 19
    assert found.chance["test"] < found.level["test"] < 0.7


@pytest.mark.slow
def test_the_level_of_the_shuffled_labels():
    p, above, studies = [], 0, 200
    for seed in range(studies):
        rows, target = hard(seed, 0.0)
        found = trust(rows, target, 10.0, controls=0, shuffles=19, seed=seed).shuffled
        p.append(found.p["test"])
        above += found.level["test"] < _score(rows, target)
    slack = 2.5 * np.sqrt(0.05 * 0.95 / studies)
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + slack and above / studies <= 0.05 + slack
    assert np.mean(p) == pytest.approx(0.525, abs=0.06)


def _score(rows, target):
    from probes.judging import Judge

    ready = LinearLayer(torch.tensor(rows, dtype=torch.float32), [target])
    (fit,) = solve(ready.design, [ready.problem(target, [10.0])])
    judge = Judge(target)
    return judge.judge(ready.answers(target, fit), 0, {}).scores[target.task.metric]["test"].value


def test_without_anything_to_take_types_from_there_is_no_control():
    rows, target = hard(1, 1.0)
    found = trust(rows, target, 10.0, controls=5, shuffles=2)
    assert found.control is None and found.shuffled.draws == 2


def test_written_and_read():
    rows, target = hard(2, 1.0)
    found = trust(rows, target, 10.0, rows, controls=2, shuffles=1)
    for one, kind in ((found.control, Control), (found.shuffled, Shuffled)):
        again = kind.from_json(json.loads(json.dumps(one.as_json(), allow_nan=False)))
        assert repr(again) == repr(one)
    assert np.isnan(found.shuffled.level["test"])
