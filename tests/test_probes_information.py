"""Bits that probes find: known truths, nothing where there is nothing, files old and new."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import probes
from probes.heads.linear import Linear
from probes.protocols import PROTOCOLS, Protocol
from probes.results import ProbeResults
from probes.source import Matrices, Table
from probes.tasks import TASKS


def only(penalty: float) -> Protocol:
    """Linear probes with one penalty."""
    return dataclasses.replace(PROTOCOLS["linear"], heads=(Linear(penalties=(penalty,)),))


def planted(seed: int, noise: float, tracks: int = 300, clips: int = 3):
    """Four equal classes and a number, read from columns with this much noise."""
    rng = np.random.default_rng(seed)
    n = tracks * clips
    groups = np.repeat([f"t{i}" for i in range(tracks)], clips).astype(object)
    split = np.repeat(np.array(["train", "valid", "test"], object)[np.arange(tracks) % 3], clips)
    tonic, tempo = rng.integers(4, size=n), rng.standard_normal(n)
    clear = np.column_stack([np.eye(4)[tonic], tempo]) + noise * rng.standard_normal((n, 5))
    layers = {"nothing": rng.standard_normal((n, 5)), "clear": clear}
    labels = {"tonic": [("C", "D", "E", "F")[t] for t in tonic], "tempo": list(2.0**tempo)}
    source = Matrices("planted", {k: v.astype(np.float32) for k, v in layers.items()})
    return source, Table(groups, labels, split)


def bits(seed: int, noise: float, task: str):
    source, table = planted(seed, noise)
    found = probes.run(source, table, [TASKS[task]], resamples=200)[task]
    return [found.layer(name).information["test"] for name in ("nothing", "clear")]


def test_classes_read_without_error_give_their_entropy():
    nothing, clear = bits(0, 0.02, "tonic")
    assert clear.value == pytest.approx(2.0, abs=0.05) and clear.low < clear.value < clear.high
    assert abs(nothing.value) < 0.05 and nothing.low < 0.02


def test_a_number_gives_half_the_log_of_the_variance_explained():
    nothing, clear = bits(1, 0.5, "tempo")
    truth = 0.5 * np.log2((1 + 0.25) / 0.25)
    assert clear.value == pytest.approx(truth, abs=0.15) and clear.low < truth < clear.high
    assert abs(nothing.value) < 0.05


def test_the_value_is_the_difference_of_two_cross_entropies():
    from sklearn.linear_model import LogisticRegression

    source, table = planted(2, 0.5)
    found = probes.run(source, table, [TASKS["tonic"]], protocol=only(10.0), resamples=50)["tonic"]
    split, label = np.asarray(table.splits), table.label("tonic").astype(str)
    x = source.read("clear").astype(float)
    train, test = split == "train", split == "test"
    x = (x - x[train].mean(axis=0)) / x[train].std(axis=0)
    fit = LogisticRegression(C=0.1, max_iter=5000, tol=1e-9).fit(x[train], label[train])
    column = np.searchsorted(fit.classes_, label[test])
    given = np.log2(fit.predict_proba(x[test])[np.arange(test.sum()), column]).mean()
    blind = np.log2([np.mean(label[train] == one) for one in label[test]]).mean()
    assert found.layer("clear").information["test"].value == pytest.approx(given - blind, abs=1e-3)


def test_intervals_cover_what_new_tracks_give():
    source, table = planted(3, 0.5, tracks=2400)
    many = probes.run(source, table, [TASKS["tonic"]], resamples=100)["tonic"]
    truth = many.layer("clear").information["test"].value
    inside = []
    for seed in range(20):
        _, clear = bits(100 + seed, 0.5, "tonic")
        inside.append(clear.low <= truth <= clear.high)
    assert sum(inside) >= 15


def test_bits_are_in_the_table_of_numbers(tmp_path):
    source, table = planted(4, 0.5)
    result = probes.run(source, table, [TASKS["tonic"]], resamples=20)
    path = result.write(tmp_path, "a")
    assert ProbeResults.read(path)["tonic"] == result["tonic"]
    assert "bits,information,test,clear" in (tmp_path / "a.csv").read_text()
