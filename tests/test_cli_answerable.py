"""What cannot be probed is known before any network runs, by the probes' own rules."""

from __future__ import annotations

import csv
import json

import pytest
from click.testing import CliRunner
from probe_folder import sounds

from cli import steps
from cli.answerable import impossible
from cli.main import root
from extract.datasets.folder import Folder
from probes.running import run
from probes.source import Matrices, Table
from probes.tasks import Task
from reports.study import Study

SETTINGS = ("--untrained", "--device", "cpu", "--no-report")


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """Of the labels `rare` is on four clips, `one` has one class, none in valid has `odd`."""
    folder = sounds(tmp_path_factory.mktemp("answerable") / "music")
    table = folder / "manifest.csv"
    with open(table, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for place, row in enumerate(rows):
        row["rare"] = f"c{place % 2}" if place < 4 else ""
        row["one"] = "same"
        row["odd"] = "" if row["split"] == "valid" else row["place"]
    with open(table, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture
def command(monkeypatch, tmp_path):
    """Runs a command where no network may run."""
    monkeypatch.chdir(tmp_path)

    def none_may(*_, **__):
        raise AssertionError("a network ran")

    monkeypatch.setattr(steps, "extract_rows", none_may)
    monkeypatch.setattr("extract.rehearsal.rehearse", none_may)

    def call(*arguments):
        return CliRunner().invoke(
            root, [*map(str, arguments)], env={"RSA_CACHE": str(tmp_path / "cache")}
        )

    return call


REASONS = {
    "rare": "task rare: 4 labelled rows in train; 20 are needed",
    "one": "task one: 1 class in train; 2 are needed",
    "odd": "task odd: 0 labelled rows in valid; 5 are needed",
}


def test_the_reasons_are_those_of_the_probes(music):
    clips = Folder(music).clips
    tasks = [Task.of_kind(name, "category") for name in ("place", *REASONS)]
    found = impossible(tasks, clips, seed=0)
    assert found == REASONS
    labels = {task.label: [c.labels.get(task.label) for c in clips] for task in tasks}
    table = Table([c.id for c in clips], labels, [c.split for c in clips])
    values = {"layer": [[float(i), 1.0] for i in range(len(clips))]}
    assert run(Matrices("m", values), table, tasks, resamples=10).skipped == found


def test_tasks_on_frames_are_looked_at_too():
    from extract.datasets.base import Clip
    from probes.tasks import TASKS

    clips = [Clip(f"c{i}", f"t{i}", f"t{i}", "", "train", 0.0, 2.0, events={"beats": (0.5, 1.0)})
             for i in range(6)]  # fmt: skip
    assert impossible([TASKS["beat"]], clips, seed=0) == {
        "beat": "task beat: 0 labelled groups in test; 2 are needed"
    }


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_run_without_a_possible_probe_is_refused_before_a_network_runs(
    command, music, tmp_path, more
):
    done = command("probe", "--model", "vgg-mtt", "--data", music, "--task", ",".join(REASONS),
                   *SETTINGS, *more)  # fmt: skip
    assert getattr(done.exception, "exit_code", None) == 5, done.output
    for reason in REASONS.values():
        assert reason in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_the_others_are_told_before_a_network_runs(command, music):
    done = command("probe", "--model", "vgg-mtt", "--data", music, "--task", "place,rare",
                   *SETTINGS)  # fmt: skip
    assert str(done.exception) == "a network ran"
    assert f"warning: not probed: {REASONS['rare']}" in done.stderr.splitlines()


STUDY = """
title = "Two steps"
[[probe]]
name = "good"
models = ["vgg-mtt"]
data = "{music}"
tasks = "place"
[[probe]]
name = "bad"
models = ["vgg-mtt"]
data = "{music}"
tasks = ["rare", "one"]
"""


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_study_with_an_impossible_step_is_refused_whole(command, music, tmp_path, more):
    path = tmp_path / "s.toml"
    path.write_text(STUDY.format(music=music))
    done = command("study", path, "--untrained", *more)
    assert getattr(done.exception, "exit_code", None) == 5, done.output
    before = f"s.toml, bad: nothing could be probed: {REASONS['rare']}"
    assert str(done.exception).startswith(before)
    assert list(tmp_path.iterdir()) == [path]


def test_a_comparison_leaves_them_out_and_its_report_says_so(music, tmp_path):
    study = tmp_path / "study"
    done = CliRunner().invoke(
        root,
        ["compare", "--a", "vgg-mtt", "--b", "vgg-msd", "--data", str(music), "--task",
         "rare,one", "--measures", "cka:linear,biased", "--no-why", *SETTINGS, "--layers-a",
         "pool5", "--layers-b", "pool5", "--out", str(study)],
        env={"RSA_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert done.stderr.count(f"not probed: {REASONS['one']}") == 1
    assert done.stderr.index("not probed") < done.stderr.index("activations of vgg-mtt")
    found = json.loads((study / "probes" / "a.json").read_text())
    assert found["tasks"] == [] and {o["task"] for o in found["skipped"]} == {"rare", "one"}
    assert set(Study.read(study).probes) == {"a", "b", "ref"}


def test_clips_that_fail_can_make_it_impossible_and_earlier_results_stay(tmp_path):
    folder, study = sounds(tmp_path / "music"), tmp_path / "study"
    asked = ["probe", "--model", "vgg-mtt", "--layers", "pool5", "--data", str(folder), "--task",
             "place", "--head", "none", "--no-checks", "--no-why", *SETTINGS, "--out", str(study),
             "--max-bad", "1"]  # fmt: skip
    done = CliRunner().invoke(root, asked, env={"RSA_CACHE": str(tmp_path / "cache")})
    assert done.exit_code == 0, done.output
    before = {p: p.read_bytes() for p in study.rglob("*.json")}
    with open(folder / "manifest.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["split"] == "test":
                (folder / row["path"]).write_bytes(b"no audio")
    done = CliRunner().invoke(root, asked, env={"RSA_CACHE": str(tmp_path / "cache")})
    assert getattr(done.exception, "exit_code", None) == 5, done.output
    assert "task place: 0 labelled rows in test; 5 are needed" in str(done.exception)
    assert {p: p.read_bytes() for p in study.rglob("*.json")} == before
