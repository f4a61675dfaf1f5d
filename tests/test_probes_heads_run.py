"""Protocols and other heads in a whole run."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import probes
from probes.heads import head
from probes.heads.frames import FrameSource
from probes.protocols import PROTOCOLS
from probes.results import ALL_LAYERS
from probes.source import Matrices, Table
from probes.tasks import Task

NAMES = ("weighting", "concatenation", "knn", "centroid")
TASK, NUMBER = Task.of_kind("mood", "category"), Task.of_kind("energy", "number")


@pytest.fixture(scope="module")
def planted():
    """A class in two layers, half of it in each; a number in the second."""
    rng = np.random.default_rng(0)
    n = 500
    mood, energy = rng.integers(4, size=n), rng.normal(size=n)
    noise = rng.normal(size=(3, n, 10))
    low, high = (np.eye(2)[part] @ rng.normal(size=(2, 10)) * 3 for part in (mood % 2, mood // 2))
    layers = {
        "first": noise[0] + low,
        "second": noise[1] + high + 2 * energy[:, None],
        "third": noise[2],
    }
    labels = {"mood": [f"m{m}" for m in mood], "energy": list(energy)}
    split = np.repeat(["train", "train", "train", "valid", "test"], 5)[np.arange(n) % 25]
    table = Table([f"t{i // 5}" for i in range(n)], labels, split.astype(object))
    return Matrices("planted", {k: v.astype(np.float32) for k, v in layers.items()}), table


@pytest.fixture(scope="module")
def result(planted):
    return probes.run(*planted, [TASK, NUMBER], heads=[head(name) for name in NAMES], resamples=200)


def other(result, task: str, name: str):
    return next(one for one in result.heads if (one.task, one.head) == (task, name))


def test_every_head_answers_for_what_it_can(result):
    found = {(one.task, one.head) for one in result.heads}
    assert found == {("mood", n) for n in NAMES} | {("energy", n) for n in NAMES[:3]}
    assert [one.head for one in result.tasks] == ["linear", "linear"]
    assert result.settings["heads"] == list(NAMES)


def test_what_is_spread_over_layers_is_found_by_joining_them(result):
    alone = result["mood"].best.value
    joined = other(result, "mood", "concatenation")
    assert joined.selected == ALL_LAYERS and len(joined.layers) == 1
    assert joined.best.low > alone + 0.1 and joined.gain_over_last == {}
    mixed = other(result, "mood", "weighting").layers[0]
    assert mixed.facts["layers"] == ["first", "second", "third"]
    assert len(mixed.facts["weights"]) == 3 and mixed.facts["entropy"] > 0
    (same,) = [s for s in mixed.facts["starts"] if s["start"] == mixed.setting["start"]]
    assert same["weights"] == mixed.facts["weights"]
    assert 0 <= mixed.facts["agreement"] <= 1


def test_other_heads_are_held_against_the_best_single_layer(result):
    """On the same resamples: paired, and so surer than two scores apart."""
    main, joined = result["mood"], other(result, "mood", "concatenation")
    gain = joined.gain_over_single["test"]
    assert gain.value == pytest.approx(joined.best.value - main.best.value)
    assert gain.low > 0.05 and main.gain_over_single == {}
    wide = (main.best.high - main.best.low) + (joined.best.high - joined.best.low)
    assert gain.high - gain.low < wide
    worse = other(result, "mood", "centroid").gain_over_single["test"]
    assert worse.value < gain.value


def test_neighbours_and_centroids_see_the_layer_that_has_it(result):
    for name in ("knn", "centroid"):
        one = other(result, "mood", name)
        assert one.layer("third").splits["test"].low < 0.3
        assert one.best.value > 0.4


def test_results_with_heads_read_back(result, tmp_path):
    back = probes.ProbeResults.read(result.write(tmp_path, "a"))
    assert [one.head for one in back.heads] == [one.head for one in result.heads]
    assert back.as_json() == result.as_json("a")


def test_finished_tasks_are_not_probed_again(planted, result):
    told = []

    class Watcher:
        def layer(self, task, layer, valid):
            told.append((task, layer))

        def task(self, found, others):
            told.append((found.task, len(others)))

    again = probes.run(
        *planted, [TASK, NUMBER], heads=[head("knn")], done=result, watcher=Watcher()
    )
    assert told == [] and again.heads == result.heads and again.tasks == result.tasks
    one = probes.run(*planted, [TASK], heads=[head("knn")], watcher=Watcher(), resamples=20)
    assert told[-1] == ("mood", 1) and len(one.tasks) == 1


def test_a_head_that_lacks_memory_is_left_out_with_a_note(planted):
    small = head("concatenation", memory=1000)
    found = probes.run(*planted, [TASK], heads=[small], resamples=20)
    assert found.heads == ()
    assert any("head concatenation" in note for note in found["mood"].notes)


def test_a_protocol_of_networks_trains_them_on_every_layer(planted):
    marble = PROTOCOLS["marble"]
    few = dataclasses.replace(marble.head, grid=marble.head.grid[2:4])
    found = probes.run(
        *planted,
        [TASK],
        protocol=dataclasses.replace(marble, heads=(few,)),
        resamples=50,
    )
    assert found.protocol == "marble" and found["mood"].head == "mlp"
    assert found["mood"].selected != "third" and found["mood"].best.value > 0.35
    assert set(found["mood"].layers[0].setting) == {"learning_rate"}


def test_a_head_that_pools_frames_finds_what_the_mean_blurs(planted):
    """One frame in six tells the class, louder in the others is noise; the mean hardly shows it."""
    source, table = planted
    rng = np.random.default_rng(1)
    mood = np.array([int(m[1]) for m in table.label("mood")])
    tells = rng.integers(6, size=len(mood))
    frames = rng.normal(size=(len(mood), 6, 9)) * 2
    place = np.arange(len(mood))
    frames[place, tells, mood] += 8
    frames[place, tells, 8] += 12
    rows = np.repeat(place, 6)
    layer = {name: frames.reshape(-1, 9).astype(np.float32) for name in source.layers}
    pooled = FrameSource(Matrices("planted", layer), rows, len(mood))
    means = {name: frames.mean(axis=1).astype(np.float32) for name in source.layers}
    found = probes.run(
        Matrices("planted", means), table, [TASK], heads=[head("attentive")], frames=pooled,
        resamples=50,
    )  # fmt: skip
    assert other(found, "mood", "attentive").best.value > found["mood"].best.value + 0.05
    without = probes.run(source, table, [TASK], heads=[head("attentive")], resamples=20)
    assert without.heads == () and any("pools frames" in n for n in without["mood"].notes)


def test_heads_draw_from_the_seed_of_the_run(planted):
    def loss(**options):
        found = probes.run(*planted, [NUMBER], resamples=20, **options)
        return other(found, "energy", "weighting").layers[0].facts["starts"][1]["weights"]

    quick = dataclasses.replace(head("weighting"), rates=(3e-3,), random_starts=1)
    first = loss(heads=[quick], seed=1)
    assert loss(heads=[dataclasses.replace(quick, seed=7)], seed=1) == first
    assert loss(heads=[quick], seed=2) != first
    protocol = dataclasses.replace(PROTOCOLS["linear"], heads=(head("linear"), quick))
    assert loss(protocol=protocol, seed=1) == first


def test_heads_that_join_layers_are_steps_of_the_progress(planted):
    steps = []
    probes.run(
        *planted, [TASK, NUMBER], heads=["concatenation", "knn"], resamples=20,
        progress=lambda *at: steps.append(at),
    )  # fmt: skip
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]  # three layers, and one head that joins them
