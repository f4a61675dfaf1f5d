"""`rsa study`: the list, what is missing before anything is computed, a whole small run, again."""

from __future__ import annotations

import json
import re

import pypdf
import pytest
from click.testing import CliRunner
from probe_folder import sounds

from cli import studyfile
from cli.main import root
from cli.steps import Run
from cli.studyplan import LEFT_OUT, TO_DO, Incomplete, plan, rehearsed
from reports.study import Study

SMALL = """
title = "Two small networks"
question = "Does place stand in them?"
seed = 1

[[compare]]
name = "pair"
a = "vgg-mtt"
b = "vgg-msd"
data = "{music}"
tasks = "none"
measures = "cka"
why = false
layers-a = ["pool1", "pool5"]
layers-b = ["pool1", "pool5"]

[[probe]]
name = "place"
models = ["vgg-mtt"]
data = "{music}"
tasks = ["place", "hertz"]
heads = "none"
checks = false
why = false

[[expect]]
step = "place"
kind = "ordering"
says = "Place is read out better than from loudness."
source = "Doe 2020, table 1"
data = "music"
rising = [
    {{ model = "references", task = "place", layer = "loudness" }},
    {{ model = "vgg-mtt", task = "place" }},
]

[[expect]]
step = "pair"
kind = "number"
says = "Two layers are alike."
source = "Doe 2020, table 2"
of = {{ model = "vgg-mtt", layer = "pool1", like = "pool1", of = "vgg-msd" }}
value = 0.9
tolerance = 0.05
"""


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    return sounds(tmp_path_factory.mktemp("study") / "music")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def rsa(cache, monkeypatch, tmp_path):
    """Runs the command in this process, with no hub and no data sets."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))

    def run(*arguments, **environment):
        given = ["study", *map(str, arguments)]
        return CliRunner().invoke(
            root, given, env={"RSA_CACHE": str(cache), "COLUMNS": "160", "RSA_DATA": None}
            | environment,
        )  # fmt: skip

    return run


def small(folder, music, old="\0", new=""):
    path = folder / "small.toml"
    path.write_text(SMALL.format(music=music).replace(old, new), encoding="utf-8")
    return path


def test_without_a_name_the_shipped_studies_are_listed(rsa):
    done = rsa()
    assert done.exit_code == 0, done.output
    for name in ("layerwise-musicfm-muq", "speech-vs-music-ssl", "supervised-vs-selfsupervised",
                 "tune-depth", "trained-taggers"):  # fmt: skip
        assert name in done.stdout
    rows = json.loads(rsa("--json").stdout)
    assert {row["name"] for row in rows} == set(studyfile.shipped())
    assert all(row["question"] and row["expectations"] for row in rows)


@pytest.mark.parametrize("name", studyfile.shipped())
def test_everything_that_is_missing_is_told_at_once_and_before_anything_is_done(
    rsa, name, tmp_path
):
    done = rsa(name, "--offline")
    lines = [line for line in done.stderr.splitlines() if line.startswith("missing: ")]
    assert isinstance(done.exception, Incomplete) and len(lines) == len(done.exception.lacking)
    assert done.exception.exit_code == 3  # weights of every study are absent in an empty cache
    told = "\n".join(lines)
    found = studyfile.read(studyfile.shipped()[name])
    for step in found.steps:
        data = step.asked.wanted().data.partition(":")[0]
        assert data == "mini" or f"missing: data {data}: " in told
        for model in step.models:
            assert told.count(f"missing: {model}: ") == 1
    assert "--untrained --data mini" in str(done.exception)
    assert not list(tmp_path.glob("study-*"))


def test_data_alone_that_is_missing_is_code_4_with_the_loader_s_checklist(rsa, tmp_path, music):
    text = SMALL.format(music="emomusic").replace('"place", "hertz"', '"arousal"')
    path = tmp_path / "other.toml"
    path.write_text(text[: text.index("[[expect]]")])
    (tmp_path / "disk" / "emomusic").mkdir(parents=True)
    done = rsa(path, "--untrained", RSA_DATA=str(tmp_path / "disk"))
    assert isinstance(done.exception, Incomplete) and done.exception.exit_code == 4
    assert len(done.exception.lacking) == 3 and "songs_info.csv" in done.exception.lacking[0]


def test_a_rehearsal_leaves_out_what_other_data_have_no_labels_for(tmp_path):
    study = studyfile.read(studyfile.shipped()["layerwise-musicfm-muq"])
    run = Run("cpu", 0, 1, "float32", 0.5, True, True, None, None, "float32", False)
    planned = plan(rehearsed(study, "mini", 8, True), tmp_path / "out", run, trim=True)
    steps = {one.step.name: one for one in planned}
    assert steps["key"].state == TO_DO and steps["key"].step.asked.limit == 8
    assert steps["genre"].state == LEFT_OUT and steps["genre"].dropped == ("genre",)
    assert not (tmp_path / "out").exists()


def test_a_rehearsal_on_few_clips_leaves_out_what_they_cannot_answer(rsa, tmp_path, music):
    done = rsa(small(tmp_path, music), "--untrained", "--limit", 12, "--dry-run", "--json")
    assert done.exit_code == 0, done.output
    steps = {row["step"][3:]: row["state"] for row in json.loads(done.stdout)["steps"]}
    assert steps["pair"] == "to do"
    assert steps["place"].startswith("left out (nothing could be probed: task place: ")
    done = rsa(small(tmp_path, music), "--untrained", "--limit", 3)
    assert done.exit_code == 2 and "every step is left out: pair: " in done.stderr
    assert not list(tmp_path.glob("study-*"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"vgg-mtt"', '"vgg-mtx"', "small.toml, pair: no model 'vgg-mtx'; did you mean"),
        ('"pool1", "pool5"', '"pool9"', "small.toml, pair: vgg-mtt has no layer 'pool9'"),
        ('measures = "cka"', 'measures = "ckaa"', "small.toml, pair: --measures: no measure"),
        ('heads = "none"', 'heads = "nun"', "small.toml, place: --head nun: there is no such"),
        ('heads = "none"', 'protocol = "marbel"', "small.toml, place: --protocol marbel"),
    ],
)
def test_names_are_checked_before_anything_is_done(rsa, tmp_path, music, old, new, words):
    done = rsa(small(tmp_path, music, old, new), "--untrained")
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert done.exit_code == 2 and words in said and not (tmp_path / "study-small").exists()


def test_a_task_without_labels_is_refused_unless_it_is_a_rehearsal(rsa, tmp_path):
    text = SMALL.format(music="mini").replace('"place", "hertz"', '"genre", "key"')
    path = tmp_path / "other.toml"
    path.write_text(text[: text.index("[[expect]]")])
    done = rsa(path, "--untrained", "--dry-run")
    assert done.exit_code == 2 and "other.toml, place: --task: " in done.stderr


def test_a_study_is_run_whole_and_goes_on_where_it_stopped(rsa, tmp_path, music):
    path, out = small(tmp_path, music), tmp_path / "out"
    done = rsa(path, "--untrained", "--out", out)
    assert done.exit_code == 0, done.output
    assert sorted(p.name for p in out.iterdir()) == [
        "01-pair", "02-place", "expectations.json", "report-joined.pdf", "run.log.jsonl",
        "study.toml",
    ]  # fmt: skip
    assert (out / "study.toml").read_bytes() == path.read_bytes()
    whole = json.loads((out / "expectations.json").read_text())
    assert whole["steps"] == {"pair": "01-pair", "place": "02-place"}
    assert [row["step"] for row in whole["expectations"]] == ["place", "pair"]
    assert {row["verdict"] for row in whole["expectations"]} == {"cannot be said"}
    assert all(row["because"][0] == "untrained weights" for row in whole["expectations"])
    for name in ("01-pair", "02-place"):
        study = Study.read(out / name)
        assert study.stamps == ("UNTRAINED WEIGHTS",) and len(study.expectations) == 1
    place = Study.read(out / "02-place").probes
    loudness = place["ref"].tasks["place"]
    at = loudness.layers[loudness.names.index("loudness")].splits["test"].value
    (one, _) = whole["expectations"]
    difference = place["a"].tasks["place"].best().value - at
    assert one["number"]["value"] == pytest.approx(difference)
    assert "vgg-mtt, place (" in one["found"]
    pair = Study.read(out / "01-pair")
    assert pair.models["a"].layer_names == ("pool1", "pool5") and pair.raw["settings"]["seed"] == 1
    text = "".join(page.extract_text() for page in pypdf.PdfReader(out / "report-joined.pdf").pages)
    assert "Two layers are alike" in text and "UNTRAINED WEIGHTS" in text
    assert re.search(r"Place is read out better .*cannot be said", " ".join(done.stdout.split()))

    def times():
        return {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()}

    before = times()
    done = rsa(path, "--untrained", "--out", out, "--json", "--workers", 1)
    summary = json.loads(done.stdout)
    assert [step["state"] for step in summary["steps"]] == ["finished", "finished"]
    after = times()
    changed = {p.name for p in after if after[p] != before.get(p)}
    # and no report, no study
    assert changed == {"expectations.json", "run.log.jsonl", "study.toml"}

    other = small(tmp_path, music, '["place", "hertz"]', '["place"]')
    done = rsa(other, "--untrained", "--out", out, "--dry-run", "--json")
    assert [step["state"] for step in json.loads(done.stdout)["steps"]] == ["finished", "to do"]
    (out / "02-place" / "study.json").unlink()
    done = rsa(path, "--untrained", "--out", out, "--dry-run", "--json")
    assert [step["state"] for step in json.loads(done.stdout)["steps"]] == ["finished", "to do"]


def test_a_rehearsal_leaves_out_steps_with_too_few_clips(rsa, tmp_path, music):
    """It ends in a report of the other steps all the same."""
    path, out = small(tmp_path, music), tmp_path / "out"
    done = rsa(path, "--untrained", "--limit", 8, "--out", out)
    assert done.exit_code == 0, done.output
    assert "02-place: left out: nothing could be probed: task place" in done.stderr
    assert (out / "report.pdf").read_bytes()[:4] == b"%PDF"
    rows = json.loads((out / "expectations.json").read_text())["expectations"]
    assert {row["step"]: row["verdict"] for row in rows} == dict.fromkeys(
        ("place", "pair"), "cannot be said"
    )


def test_a_dry_run_says_what_each_step_takes_and_counts_shared_stores_once(
    rsa, tmp_path, music, monkeypatch
):
    from cli import laterstages
    from cli.laterstages import Later

    # of each stage its name and rows; what a rehearsal measures is tested in test_sizes.py
    monkeypatch.setattr(
        laterstages.Rehearsed, "similarity",
        lambda self, kind, measures: Later("similarity", 1, 5.0, 10, "made up"),
    )
    monkeypatch.setattr(laterstages.Rehearsed, "layers", lambda self, kind: [])
    monkeypatch.setattr(
        laterstages.Rehearsed, "probes",
        lambda self, *options: [Later("probes", 1, 7.0, 20, "made up")],
    )  # fmt: skip
    cache = tmp_path / "fresh"
    path = small(tmp_path, music, 'layers-a = ["pool1", "pool5"]\n', "")
    done = rsa(path, "--untrained", "--dry-run", "--json", RSA_CACHE=str(cache))
    assert done.exit_code == 0, done.output
    costs = json.loads(done.stdout)["costs"]
    pair, place = costs["steps"]["01-pair"], costs["steps"]["02-place"]
    names = [stage["stage"] for stage in place["stages"]]
    assert names == ["vgg-mtt, clips", "references, clips", "probes"]
    first = {stage["stage"]: stage for stage in pair["stages"]}
    again = {stage["stage"]: stage for stage in place["stages"]}
    for name in names[:2]:  # the same network, layers and clips: one store
        assert first[name]["to_write"] > 0 == again[name]["to_write"] == again[name]["seconds"]
        assert again[name]["how"] == "the store of a step before"
    total = costs["total"]
    assert total["clips"] == 60 and total["to_write"] == pair["to_write"] > 0
    assert place["to_write"] == 0 and place["seconds"] == 7.0
    assert total["seconds"] == pytest.approx(pair["seconds"] + place["seconds"])
    assert not cache.exists() and not list(tmp_path.glob("study-*"))
    done = rsa(path, "--untrained", "--dry-run", RSA_CACHE=str(cache))
    assert "01-pair" in done.stdout and "In all: 60 clips" in done.stdout


def test_a_folder_with_something_else_in_it_is_refused(rsa, tmp_path, music):
    path = small(tmp_path, music)
    done = rsa(path, "--untrained", "--out", tmp_path)
    assert done.exit_code == 2 and "is not empty and holds no study.toml" in done.stderr
    done = rsa(path, "--untrained", "--out", path)
    assert done.exit_code == 2 and "a file of that name exists" in done.stderr
