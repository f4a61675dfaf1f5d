"""The report reads what a probing run really writes: every part of it is there."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from study_fixture import make_study

import probes
from probes.heads import head
from probes.heads.training import Schedule
from probes.source import Matrices, Table
from probes.tasks import TASKS
from probes.trust.checks import Settings
from reports import Study, tables_probes
from reports.figures import curves, evidence, probe, weights
from reports.findings import find
from reports.style import look

NAMES = ("frontend", "block01", "block02", "final")  # as the planted study has them


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Genres that the second layer has, and years that the third has."""
    rng = np.random.default_rng(0)
    tracks, clips = 60, 4
    n = tracks * clips
    genre, arousal = rng.integers(3, size=n), rng.normal(size=n)
    layers = {name: rng.normal(size=(n, 24)) for name in NAMES}
    layers["block01"] = layers["block01"] + 2 * np.eye(3)[genre] @ rng.normal(size=(3, 24))
    layers["block02"] = layers["block02"] + arousal[:, None] * rng.normal(size=24)
    split = np.repeat(["train", "train", "train", "valid", "test"], clips)[np.arange(n) % 20]
    labels = {"genre": [f"g{g}" for g in genre], "arousal": list(arousal)}
    table = Table([f"t{i // clips}" for i in range(n)], labels, split.astype(object))
    source = Matrices("model-a", {k: v.astype(np.float32) for k, v in layers.items()})
    folder = make_study(
        tmp_path_factory.mktemp("written") / "s", layers={"a": 4}, similarity=False,
        geometry=False, information=False, twins=False, references=False, tasks=1,
    )  # fmt: skip
    few = head("weighting", random_starts=1, rates=(3e-3,), schedule=Schedule(patience=2, most=4))
    found = probes.run(
        source, table, [TASKS["genre"], TASKS["arousal"]], heads=[few, head("knn")],
        checks=Settings(controls=2, shuffles=19, resamples=100),
        types_from=rng.normal(size=(n, 8)), resamples=100, data="gtzan",
    )  # fmt: skip
    dataclasses.replace(found, model="model-a").write(folder / "probes", "a")
    return Study.read(folder)


def test_nothing_that_was_written_is_lost(study):
    genre, arousal = (study.probes["a"].tasks[key] for key in ("genre", "arousal"))
    assert (genre.selected, arousal.selected) == ("block01", "block02")
    for task in (genre, arousal):
        found = task.chosen.trust
        assert found.selectivity.bounded and found.control.bounded
        assert found.shuffled.p == pytest.approx(0.05)
        assert found.code.saved.low > 0 and found.learning.rise.exists
        assert found.learning.steps[-1] == task.n["train"] == 144
        assert found.components.steps[0] == 1 and found.components.enough >= 1
        assert found.calibration.intervals == (task is arousal)
        assert task.selected in task.trust.comparison.not_worse
        seen = task.trust.emergence.decodable
        assert seen[task.index, 0] == seen[:, 0].max() > 0.6
    assert genre.chosen.trust.code.compression.value > 1
    assert np.isnan(arousal.chosen.trust.code.compression.value)
    assert genre.further == ("accuracy",) and genre.best("accuracy").bounded
    assert {row.metric for row in genre.published} == {"accuracy"}
    heads = {one.head: one for one in study.probes["a"].heads["genre"]}
    assert set(heads) == {"weighting", "knn"}
    assert heads["knn"].over_single["test"].bounded
    (one, _) = weights.learned(study.probes["a"])
    assert one.layers == NAMES and one.shares.sum() == pytest.approx(1.0)


def test_it_is_drawn_and_said(study):
    with look():
        assert len(evidence.evidence(study)) == len(probe.probe(study)) == 1
        assert len(weights.weights(study)) == len(curves.curves(study)) == 1
    assert len(tables_probes.trust(study).groups) == 2
    assert "MARBLE" in tables_probes.published(study).groups[0][0][3]
    kinds = {finding.kind for finding in find(study)}
    assert {"peak", "gain", "selectivity", "head"} <= kinds
    told = next(f for f in find(study) if f.kind == "selectivity")
    assert told.claim.startswith("All 2 tasks of model-a are read better than their control tasks")
