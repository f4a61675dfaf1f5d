"""Tags: many labels a row, some unknown; every family of labels has a task."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

import probes
from extract import datasets
from probes.heads.linear import linear
from probes.judging import Judge
from probes.source import Matrices, Table
from probes.targets import NotProbed, make_target
from probes.tasks import TASKS, Task, resolve
from probes.tasks.base import FAMILIES
from probes.tasks.style import decade

TAGS = ("guitar", "loud", "slow")


def planted(unknown: float = 0.0, rows: int = 600):
    """Layers `blind` (noise) and `seeing` (the tags, linearly); some tags were never judged."""
    rng = np.random.default_rng(1)
    has = rng.random((rows, 3)) < [0.5, 0.3, 0.1]
    judged = rng.random((rows, 3)) >= unknown
    noise = rng.normal(size=(2, rows, 12))
    layers = {"blind": noise[0], "seeing": noise[1] + has @ rng.normal(size=(3, 12)) * 2}
    names = np.array(TAGS)
    labels = {
        "tags": [tuple(names[row]) for row in has & judged],
        "known": [tuple(names[row]) for row in judged],
    }
    groups = [f"t{i // 3}" for i in range(rows)]
    split = np.repeat(["train"] * 3 + ["valid", "test"], 3)[np.arange(rows) % 15].astype(object)
    table = Table(groups, labels, split)
    return Matrices("planted", {k: v.astype(np.float32) for k, v in layers.items()}), table, has


def test_the_layer_that_has_the_tags_wins():
    source, table, _ = planted()
    found = probes.run(source, table, [TASKS["tags"]])["tags"]
    assert (found.kind, found.metric, found.classes) == ("tags", "ROC-AUC", 3)
    assert found.selected == "seeing" and found.best.value > 0.95 and found.best.low > 0.9
    blind, seeing = found.layers
    assert blind.splits["test"].low <= 0.5 <= blind.splits["test"].high
    assert found.chance == 0.5
    assert 0.2 < found.also_chance["average precision"] < 0.4
    assert seeing.also["average precision"]["test"].value > 0.85
    assert seeing.information["test"].low > 0 >= blind.information["test"].low


def test_unknown_tags_neither_train_nor_count():
    task = Task.of_kind("tags", "tags", known="known")
    source, table, has = planted(unknown=0.4)
    splits = table.splits
    target = make_target(task, table, splits)
    assert np.isnan(target.values).mean() == pytest.approx(0.4, abs=0.05)
    found = probes.run(source, table, [task])["tags"]
    blind_to_the_mask = probes.run(source, table, [TASKS["tags"]])["tags"]
    assert found.best.value > blind_to_the_mask.best.value
    rows = target.index["test"]
    for tag in range(3):
        known = np.isfinite(target.values[rows, tag])
        assert np.array_equal(target.values[rows, tag][known], has[rows, tag][known])


def test_tags_that_all_or_none_have_are_left_out_and_said():
    source, table, _ = planted()
    tags = [(*t, "music", "theremin") if i == 0 else (*t, "music")
            for i, t in enumerate(table.label("tags"))]  # fmt: skip
    table = Table(table.groups, {"tags": tags}, table.splits)
    found = probes.run(source, table, [TASKS["tags"]])["tags"]
    assert found.classes == 3
    assert any("music, theremin" in note for note in found.notes)
    with pytest.raises(NotProbed, match="no tag that some training rows have"):
        only = Table(table.groups, {"tags": [("music",)] * len(table)}, table.splits)
        make_target(TASKS["tags"], only, only.splits)


def test_a_text_is_no_tuple_of_tags():
    with pytest.raises(probes.ProbeError, match="task tags: label tags is 'rock'"):
        TASKS["tags"].target("rock")


def test_scores_are_macro_averages_over_tags():
    source, table, _ = planted()
    target = make_target(TASKS["tags"], table, table.splits)
    (answers,) = linear(torch.from_numpy(source.read("seeing")), [target])
    judge = Judge(target)
    choice = judge.choose(answers)
    found = judge.judge(answers, choice, {}).scores["ROC-AUC"]["test"].value
    outputs = answers.outputs["test"][choice]
    assert found == pytest.approx(roc_auc_score(target.of("test"), outputs, average="macro"))


def test_every_family_of_labels_has_a_task():
    assert {task.family for task in TASKS.values()} | {"other"} >= set(FAMILIES) - {"structure"}
    assert {task.family for task in TASKS.values()} <= set(FAMILIES)


@pytest.mark.parametrize(
    "name", [n for n, k in datasets.REGISTRY.items() if k.on_disk and not k.family]
)
def test_labels_of_published_data_have_tasks(name):
    cards = datasets.REGISTRY[name].load().labels
    clip_labels = {c.name for c in cards if c.kind in ("category", "number", "tags")}
    asked = {t.label for t in resolve("all", cards)} | {t.known for t in TASKS.values()}
    assert clip_labels - asked <= {"drums"}


def test_years_are_decades():
    assert [decade(v) for v in ("1967", 1967.0, "1967-06-01", "Baroque", "")] == [
        "1960s", "1960s", "1960s", "Baroque", None,
    ]  # fmt: skip


def test_tags_may_be_any_collection():
    assert Task.from_label("t", [["a"], None, {"b"}]).kind == "tags"
    assert Task.of_kind("t", "tags").target(["a", "b"]) == ("a", "b")


def test_natural_mistakes_in_python_are_named():
    source, table, _ = planted(rows=90)
    for given, message in (
        ({"tasks": ["tags"]}, "'tags' is no Task"),
        ({"tasks": [], "heads": ["nonsense"]}, "head 'nonsense' is unknown"),
        ({"tasks": [], "protocol": "nonsense"}, "protocol 'nonsense' is unknown"),
    ):
        with pytest.raises(probes.ProbeError, match=message):
            probes.run(source, table, **given)
    with pytest.raises(probes.ProbeError, match="has no layers"):
        Matrices("m", {})
    with pytest.raises(probes.ProbeError, match="not finite"):
        Task.of_kind("n", "number").target(float("inf"))
