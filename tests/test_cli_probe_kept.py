"""Finished tasks of probing are kept: a killed run goes on, and a changed one begins anew."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from command import ROOT
from probe_folder import sounds

import probes
from cli.main import root
from cli.probed import Probed, Recorder
from cli.probing import probe_models, resolve_probing
from cli.screen import Screen
from cli.steps import Run
from extract.datasets.base import Clip
from extract.store import Activations, Plan, Store
from probes import TASKS, Task

RUN = Run("cpu", 0, 1, "float32", 0.5, False, False, None, None, "float32", False)
ROWS = 60
PLACE, HERTZ = Task.of_kind("place", "category"), Task.of_kind("hertz", "number")
LINEAR = resolve_probing("linear", "none", "", 0)
# ends the process in the middle of the second batch: another training set begins a batch
KILL = """
import os, signal
from cli import probed
shown = probed.Recorder.layer
def layer(self, task, layer, valid):
    shown(self, task, layer, valid)
    if task == "some" and layer == "pool1":
        os.kill(os.getpid(), signal.SIGKILL)
probed.Recorder.layer = layer
from cli.main import main
main()
"""


def activations(folder: Path, seed: int = 0, audio: str = "i") -> Activations:
    """Two layers over clips with a word and a number each."""
    rng = np.random.default_rng(0)
    splits = ("train", "train", "train", "valid", "test")
    clips = [
        Clip(f"c{i}", f"t{i}", f"t{i}", "", splits[i % 5], 0.0, 1.0,
             {"place": str(rng.integers(3)), "hertz": rng.normal()})
        for i in range(ROWS)
    ]  # fmt: skip
    plan = Plan("one", f"weights {seed}", "d", audio, "clips", "s", 1.0, 1.0,
                (("x", 3), ("y", 4)), tuple((clip.id, 1) for clip in clips), ROWS, "float32",
                "float32", "1")  # fmt: skip
    store = Store(folder, plan)
    drawn = torch.Generator().manual_seed(seed)
    values = {
        "x": torch.randn(ROWS, 3, generator=drawn),
        "y": torch.randn(ROWS, 4, generator=drawn),
    }
    store.write(0, values, [clip.id for clip in clips], [])
    return Activations("one", store, clips)


@pytest.fixture
def probed(tmp_path, monkeypatch):
    """Probes two tasks; says which were probed and not kept."""
    monkeypatch.setenv("RSA_CACHE", str(tmp_path / "cache"))
    real, asked = probes.run, []

    def run(source, rows, tasks, *, done, **options):
        asked.append([task.name for task in tasks if task.name not in {t.task for t in done.tasks}])
        return real(source, rows, tasks, done=done, **options)

    monkeypatch.setattr(probes, "run", run)

    def go(source, tasks=(PLACE, HERTZ), run=RUN, role="a", folder="study", probing=LINEAR):
        asked.clear()
        roles = {role: {"clips": source}}
        probe_models(roles, tasks, probing, run, tmp_path / folder, Screen(True))
        (names,) = asked
        return names

    go.folder = tmp_path
    return go


def test_what_was_probed_is_not_probed_again_and_is_the_same(probed):
    source = activations(probed.folder / "a")
    assert probed(source, folder="first") == ["place", "hertz"]
    assert probed(source, folder="again") == []
    first, again = (probed.folder / name / "probes" for name in ("first", "again"))
    for name in ("a.json", "a.csv"):
        assert (again / name).read_bytes() == (first / name).read_bytes()


def test_a_further_task_alone_is_probed(probed):
    source = activations(probed.folder / "a")
    assert probed(source, [HERTZ]) == ["hertz"]
    assert probed(source) == ["place"]
    found = probes.ProbeResults.read(probed.folder / "study" / "probes" / "a.json")
    assert [task.task for task in found.tasks] == ["place", "hertz"]


def test_another_seed_model_audio_task_or_role_is_probed(probed):
    source, both = activations(probed.folder / "a"), ["place", "hertz"]
    assert probed(source) == both
    assert probed(source, run=replace(RUN, seed=1)) == both
    assert probed(activations(probed.folder / "b", seed=1)) == both
    assert probed(activations(probed.folder / "c", audio="other files")) == both
    assert probed(source, [replace(PLACE, metric="accuracy", also=()), HERTZ]) == ["place"]
    assert probed(source, role="ref") == both  # references have no last layer
    assert probed(source) == []


def test_another_label_is_probed_where_a_task_reads_it(probed):
    source, both = activations(probed.folder / "a"), ["place", "hertz"]
    assert probed(source) == both
    first, *others = source.rows.clips

    def changed(**what):
        source._select([replace(first, **what), *others])

    changed(labels={**first.labels, "other": "new"})
    assert probed(source) == []
    changed(labels={**first.labels, "hertz": 0.25})
    assert probed(source) == ["hertz"]
    changed(labels={"hertz": first.labels["hertz"]})
    assert probed(source) == ["place"]
    for what in ({"group": "t1"}, {"split": "valid"}, {"subset": "some"}):
        changed(**what)
        assert probed(source) == both, what
    changed()
    assert probed(source) == []


def test_labels_of_a_folder_change_without_extracting_again(tmp_path):
    music = sounds(tmp_path / "music", 40)
    table, cache = music / "manifest.csv", tmp_path / "cache"
    head, *lines = table.read_text().splitlines()

    def probe(*cells):
        """With a further column, and how many stores there are then."""
        table.write_text("\n".join([head, *lines] if not cells else [
            f"{head},{cells[0]}",
            *(f"{line},{str(cells[1 + (i == 0)]).format(i)}" for i, line in enumerate(lines)),
        ]) + "\n")  # fmt: skip
        done = CliRunner().invoke(
            root, ["probe", "--model", "vgg-mtt", "--untrained", "--data", str(music), "--task",
                   "place", "--out", str(tmp_path / "study"), "--no-report", "--head", "none",
                   "--no-checks", "--no-why", "--layers", "pool1"], env={"RSA_CACHE": str(cache)},
        )  # fmt: skip
        assert done.exit_code == 0, done.stderr
        return "vgg-mtt: kept place" in done.stderr, sum(1 for _ in cache.rglob("shard-*"))

    kept, stores = probe()
    assert not kept and stores
    assert probe("energy", 1, 2) == (True, stores)
    assert probe("group", "g{}", "one") == (False, stores)
    lines[0] = lines[0].replace("low", "high")
    assert probe() == (False, stores)
    assert probe("start", 0.1, 0.0)[1] > stores


def test_another_protocol_or_head_is_probed_and_kept_with_its_heads(probed):
    source, both = activations(probed.folder / "a"), ["place", "hertz"]
    assert probed(source) == both
    near = resolve_probing("linear", "knn", "", 0)
    assert probed(source, probing=near, folder="first") == both
    assert probed(source, probing=near, folder="again") == []
    assert probed(source) == []
    first, again = (probed.folder / name / "probes" / "a.json" for name in ("first", "again"))
    assert again.read_bytes() == first.read_bytes()
    found = probes.ProbeResults.read(again)
    assert [(one.task, one.head) for one in found.heads] == [("place", "knn"), ("hertz", "knn")]


def test_fewer_clips_are_another_question(probed):
    source = activations(probed.folder / "a")
    probed(source)
    source._select(source.rows.clips[:-1])
    assert probed(source) == ["place", "hertz"]


def test_a_task_is_known_by_its_definition_and_the_code(tmp_path, monkeypatch):
    kept = Probed(tmp_path, activations(tmp_path / "a"), {"seed": 0})
    key = TASKS["key"]
    paths = {kept.path(task) for task in TASKS.values()}
    assert len(paths) == len(TASKS)
    assert kept.path(key) != kept.path(replace(key, recode=None)) != kept.path(PLACE)
    before = kept.path(key)
    monkeypatch.setattr("cli.probed.code_behind", lambda room: "another version")
    assert kept.path(key) != before


def test_a_damaged_file_is_probed_again(probed):
    source = activations(probed.folder / "a")
    probed(source)
    for kind in ("json", "npz"):
        file, _ = (probed.folder / "cache" / "probes").glob(f"*.{kind}")
        file.write_bytes(file.read_bytes()[:100])
        assert len(probed(source)) == 1 and probed(source) == []


def test_the_study_grows_with_every_batch(tmp_path):
    source = activations(tmp_path / "a")
    result = probes.run(source, source.rows, [PLACE, HERTZ], resamples=20)
    shown, written = [], []

    class Shown:
        def layer(self, *said):
            shown.append(said)

        def task(self, found, others):
            shown.append(found.task)

    kept = Probed(tmp_path / "kept", source, {})
    known = kept.find([PLACE, HERTZ])
    recorder = Recorder(Shown(), kept, [PLACE, HERTZ], known, written.append)
    recorder.layer("place", "x", 0.5)
    assert not written
    recorder.task(result["place"], ())
    recorder.layer("hertz", "x", 0.1)
    recorder.layer("hertz", "y", 0.1)
    assert [task.task for task in written[0].tasks] == ["place"] and len(written) == 1
    assert shown == [("place", "x", 0.5), "place", ("hertz", "x", 0.1), ("hertz", "y", 0.1)]
    again = kept.find([PLACE, HERTZ]).as_json()["tasks"]
    assert again == result.as_json()["tasks"][:1]


def test_a_killed_command_loses_the_batch_in_hand_only(tmp_path):
    music, study = sounds(tmp_path / "music"), tmp_path / "study"
    arguments = ["probe", "--model", "vgg-mtt", "--untrained", "--data", str(music), "--task",
                 "place,hertz,some", "--out", str(study), "--no-report", "--head", "none",
                 "--no-checks", "--no-why", "--layers", "pool1,pool2"]  # fmt: skip
    environment = {"RSA_CACHE": str(tmp_path / "cache")}
    killed = subprocess.run(
        [sys.executable, "-c", KILL, *arguments], cwd=ROOT, env={**os.environ, **environment},
        capture_output=True, text=True,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left = json.loads((study / "probes" / "a.json").read_text())
    assert [task["task"] for task in left["tasks"]] == ["place", "hertz"]
    assert not (study / "study.json").exists()

    done = CliRunner().invoke(root, arguments, env=environment)
    assert done.exit_code == 0, done.stderr
    assert "vgg-mtt: kept place, hertz" in done.stderr and "vgg-mtt some: " in done.stderr
    whole = json.loads((study / "probes" / "a.json").read_text())
    assert [task["task"] for task in whole["tasks"]] == ["place", "hertz", "some"]
    assert whole["tasks"][:2] == left["tasks"]

    other = {"RSA_CACHE": str(tmp_path / "other")}
    arguments[arguments.index("--out") + 1] = str(tmp_path / "fresh")
    assert CliRunner().invoke(root, arguments, env=other).exit_code == 0
    fresh = json.loads((tmp_path / "fresh" / "probes" / "a.json").read_text())
    assert fresh == whole
