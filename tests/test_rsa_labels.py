"""Information about labels: oracles, floors, files, what is left out and why."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score, mutual_info_score
from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information

import rsa
from rsa.layerwise.expected import Contingency
from rsa.layerwise.labels import LabelInformation, label_information


@pytest.mark.parametrize("n, k, classes", [(60, 5, 3), (380, 64, 24), (200, 1, 4), (50, 50, 2)])
def test_information_its_expectation_and_ami_are_those_of_scikit_learn(n, k, classes):
    rng = np.random.default_rng(n)
    a, b = rng.integers(k, size=n), rng.integers(classes, size=n)
    found = Contingency.of(a, b, k, classes)
    expected = expected_mutual_information(contingency_matrix(a, b, sparse=True), n)
    assert found.information == pytest.approx(mutual_info_score(a, b) / np.log(2), abs=1e-12)
    assert found.expected == pytest.approx(expected / np.log(2), abs=1e-9)
    if k > 1:
        assert found.adjusted == pytest.approx(adjusted_mutual_info_score(a, b), abs=1e-9)


def planted(seed=0, tracks=80, clips=4):
    """A layer of noise, one that knows the class, one that knows the track; and labels."""
    rng = np.random.default_rng(seed)
    n, group = tracks * clips, np.repeat(np.arange(tracks), clips)
    kind = rng.integers(4, size=tracks)[group]
    track = rng.standard_normal((tracks, 4))[group]
    layers = {
        "noise": rng.standard_normal((n, 6)),
        "class": np.eye(4)[kind] * 6 + rng.standard_normal((n, 4)),
        "track": 3 * track + 0.3 * rng.standard_normal((n, 4)),
    }
    labels = {
        "kind": [f"k{i}" for i in kind],
        "other": [f"o{i}" for i in rng.integers(3, size=tracks)[group]],
        "tempo": [float(t) for t in track[:, 0]],
        "one": ["same"] * n,
        "few": [None] * (n - 8) + ["a", "b"] * 4,
    }
    return rsa.Matrices("model", layers, group), labels


@pytest.fixture(scope="module")
def found():
    source, labels = planted()
    return label_information(source, labels, seeds=2)


def test_the_layer_that_knows_the_class_tells_most_of_its_entropy(found):
    kind = found["kind"]
    value, entropy = np.array(kind.value), kind.entropy
    assert value[1] > 0.6 * entropy and value[1] < entropy and kind.p[1] == 0.01
    assert kind.low[1] < value[1] < kind.high[1] and kind.floor_high[1] < value[1] / 2
    assert abs(value[0]) < 0.1 and kind.p[0] > 0.05
    assert 0 < kind.adjusted[1] < 1 and kind.kind == "classification" and kind.classes == 4


def test_labels_of_tracks_lift_the_floor_of_layers_that_know_the_track(found):
    other = found["other"]
    # above 0 without knowing anything: rows of a track share cluster and label
    assert other.value[2] > 0.05 and other.floor[2] > 0.05
    assert other.p[2] > 0.05 and other.value[2] < 2 * other.floor_high[2]


def test_numbers_are_cut_into_bins(found):
    tempo = found["tempo"]
    assert (tempo.kind, tempo.classes) == ("regression", 8) and tempo.entropy <= 3
    assert any("8 bins" in note for note in tempo.notes)
    assert np.argmax(tempo.value) == 2 and tempo.p[2] <= 0.05


def test_labels_that_say_nothing_are_left_out_with_a_reason(found):
    assert set(found.skipped) == {"one", "few"}
    assert "2 are needed" in found.skipped["one"] and "8 rows" in found.skipped["few"]
    with pytest.raises(rsa.RsaError, match="one"):
        found["one"]


def test_clusters_are_few_enough_for_the_rows(found):
    for one in found.labels:
        assert (one.clusters - 1) * (one.classes - 1) <= 0.25 * 2 * one.n_rows / 3


def test_files_are_as_the_study_promises_and_read_back(found, tmp_path):
    path = found.write(tmp_path / "information", "a")
    content = json.loads(path.read_text())
    assert content["format"] == 1 and content["x"] == "a" and content["unit"] == "bits"
    assert content["layers"] == ["noise", "class", "track"] and len(content["labels"]) == 3
    assert set(content["labels"][0]) == {
        "label", "kind", "classes", "clusters", "n_rows", "n_groups", "entropy", "value", "low",
        "high", "floor", "floor_high", "adjusted", "p", "notes",
    }  # fmt: skip
    assert LabelInformation.read(path).as_json() == content
    lines = list(csv.DictReader(path.with_suffix(".csv").open()))
    assert len(lines) == 9 and float(lines[1]["value"]) == pytest.approx(found["kind"].value[1])
    path.write_text("{}")
    with pytest.raises(rsa.RsaError, match="a.json"):
        LabelInformation.read(path)


def test_constant_layers_have_no_value_and_the_seed_settles_all():
    source, labels = planted(1, tracks=30)
    layers = {"flat": np.ones((120, 3)), "class": source.read("class")}
    source = rsa.Matrices("model", layers, source.groups)
    one, two = (
        label_information(source, {"kind": labels["kind"]}, seeds=1, draws=19).as_json()
        for _ in range(2)
    )
    assert one == two and one["labels"][0]["value"][0] is None
    assert one["labels"][0]["value"][1] is not None
    assert any("same in every row" in note for note in one["labels"][0]["notes"])


def test_folds_that_half_of_the_groups_leave_empty_do_not_count():
    rng = np.random.default_rng(5)
    group = np.repeat(np.arange(10), 12)
    labels = {"kind": [str(v) for v in rng.integers(2, size=120)]}
    x = rng.standard_normal((120, 3))
    source = rsa.Matrices("model", {"x": x}, group)
    found = label_information(source, labels, seeds=1, clusters=2).labels[0]
    assert np.isfinite([*found.value, *found.low, *found.high, *found.p]).all()
    assert np.isnan(Contingency(np.zeros((2, 3), int)).beyond_chance)


def test_wrong_lengths_and_too_many_clusters():
    source, labels = planted(2, tracks=20)
    with pytest.raises(rsa.RsaError, match="79 values"):
        label_information(source, {"kind": labels["kind"][:79]})
    with pytest.raises(rsa.RsaError, match="clusters"):
        label_information(source, labels, clusters=1)
    many = label_information(source, {"kind": labels["kind"]}, clusters=70)
    assert "70 clusters" in many.skipped["kind"]


@pytest.mark.slow
def test_false_alarms_are_few_and_intervals_cover():
    alarms, inside, values = [], [], []
    for seed in range(100):
        source, labels = planted(100 + seed, tracks=60)
        asked = {name: labels[name] for name in ("kind", "other")}
        found = label_information(source, asked, seeds=1, draws=39, clusters=16)
        alarms.append(min(found["other"].p) <= 0.05)
        kind = found["kind"]
        inside.append((kind.low[1], kind.high[1]))
        values.append(kind.value[1])
    middle, ends = np.mean(values), np.array(inside)
    assert np.mean(alarms) <= 0.12
    assert 0.88 <= ((ends[:, 0] <= middle) & (middle <= ends[:, 1])).mean()


def test_of_many_rows_few_are_read(monkeypatch):
    """The answer is that of the chosen rows alone, and no layer is read whole."""
    source, labels = planted(tracks=60)
    monkeypatch.setattr("rsa.layerwise.labels.ROWS", 100)
    reads = []

    class Watched(rsa.Matrices):
        def read(self, layer, start=0, stop=None):
            values = super().read(layer, start, stop)
            reads.append(len(values))
            return values

    layers = {name: source.read(name) for name in source.layers}
    watched = Watched("model", layers, np.asarray(source.groups))
    found = label_information(watched, {"kind": labels["kind"]}, seeds=2)
    assert "96 of 240 rows" in str(found["kind"].notes)
    assert reads and max(reads) < 240
    chosen = np.unique(np.random.default_rng([0, 10]).permutation(60)[:24])
    rows = np.flatnonzero(np.isin(np.asarray(source.groups), chosen))
    fewer = rsa.Matrices(
        "model", {n: v[rows] for n, v in layers.items()}, np.asarray(source.groups)[rows]
    )
    wanted = label_information(fewer, {"kind": [labels["kind"][i] for i in rows]}, seeds=2)
    assert np.allclose(found["kind"].value, wanted["kind"].value)
