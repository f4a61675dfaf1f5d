"""`rsa probe` on a folder of sounds: tables, JSON, silence, tasks of a manifest, twins, slips."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from field_audio import text
from probe_folder import RATE, sounds

from cli.main import root
from cli.scores import tight
from cli.scoretable import SHORT
from extract.weights import cache_dir
from probes import ProbeResults
from reports.study import Study

# scores of the head of the protocol, nothing beside them
ALONE = ("--head", "none", "--no-checks", "--no-why")


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    return sounds(tmp_path_factory.mktemp("probe") / "music")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def probe(cache, tmp_path):
    """Runs the command in this process; a study folder of its own each time."""

    def run(*arguments, **environment):
        out = ("--out", tmp_path / "study", "--model", "vgg-mtt", "--untrained", "--no-report")
        given = [str(each) for each in ("probe", *out, *ALONE, *arguments)]
        done = CliRunner().invoke(
            root, given, env={"RSA_CACHE": str(cache), "COLUMNS": "100", **environment}
        )
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    run.study = tmp_path / "study"
    return run


def results(study: Path, role: str = "a") -> ProbeResults:
    return ProbeResults.read(study / "probes" / f"{role}.json")


def test_a_run_ends_with_both_tables_and_says_a_line_a_task(probe, music):
    done = probe("--data", music)
    assert done.exit_code == 0, done.stderr
    found = results(probe.study)
    assert [task.task for task in found.tasks] == ["moods", "place", "hertz", "digit", "some"]
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    for task in found.tasks:
        said = [
            line for line in done.stderr.splitlines() if line.startswith("vgg-mtt " + task.task)
        ]
        assert len(said) == 1 and task.selected in said[0] and "on validation, test" in said[0]
        summary, layers = [line.split() for line in lines if line.startswith(f"{task.task} ")]
        assert task.selected in summary and tight(task.best.value) in summary
        assert [cell for cell in layers if cell.endswith("*")] == [f"{task.best.value:.2f}*"]
    assert done.stdout.count("vgg-mtt") == 2 and "references" in done.stdout


def test_json_is_the_results_and_nothing_else_comes_with_it(probe, music):
    done = probe("--data", music, "--task", "place", "--json")
    content = json.loads(done.stdout)
    assert set(content) == {"a", "ref"} and content["a"]["tasks"][0]["task"] == "place"
    assert "on validation" not in done.stderr and "place:" not in done.stderr


def test_quiet_is_silent_until_the_tables(probe, music):
    done = probe("--data", music, "--task", "place", "--quiet")
    assert done.exit_code == 0 and done.stderr == ""
    assert "place" in done.stdout


def test_a_column_of_a_manifest_needs_no_data_option(probe, music):
    done = probe("--task", f"{music / 'manifest.csv'}:place,{music / 'manifest.csv'}:moods")
    assert done.exit_code == 0, done.stderr
    assert [(t.task, t.kind) for t in results(probe.study).tasks] == [
        ("place", "classification"), ("moods", "tags"),
    ]  # fmt: skip
    settings = json.loads((probe.study / "study.json").read_text())["settings"]
    assert settings["data"] == str(music)


def test_numbers_are_classes_where_that_is_asked_for(probe, music):
    done = probe("--data", music, "--task", "manifest.csv:digit:category,hertz")
    assert done.exit_code == 0, done.stderr
    digit, hertz = results(probe.study).tasks
    assert (digit.task, digit.kind, digit.classes) == ("digit", "classification", 2)
    assert digit.best.value > 0.8 and hertz.kind == "regression"


def test_a_manifest_elsewhere_labels_a_folder(probe, music, tmp_path):
    other = tmp_path / "other.jsonl"
    lines = (music / "manifest.csv").read_text().splitlines()[1:]
    rows = (line.split(",") for line in lines)
    other.write_text("\n".join(json.dumps({"path": r[0], "split": r[1], "h": r[2]}) for r in rows))
    done = probe("--data", music, "--task", f"{other}:h")
    assert done.exit_code == 0, done.stderr
    assert [task.task for task in results(probe.study).tasks] == ["h"]


@pytest.mark.parametrize(
    "task, hint",
    [
        ("{m}:plac", "the manifest has no label 'plac' with a value; did you mean place?"),
        ("{m}:path", "the manifest has no label 'path'"),
        ("{m}:", "name a column"),
        ("{m}", "name a column"),
        ("{m}:place:numbr", "no kind 'numbr'; did you mean number?"),
        ("{m}:place:number", "place cannot be taken for number: a value in it is none"),
        ("{m}:place:tags", "place cannot be taken for tags: no value in it holds | or ;"),
        ("{m}:moods:category", "moods cannot be taken for category: values in it hold several"),
        ("nowhere.csv:place", "there is no file nowhere.csv"),
        ("{m}:place,{o}:place", "labels come from one manifest"),
        ("plac", "did you mean place?"),
        ("{m}:empty", "the manifest has no label 'empty' with a value"),
        ("none", "nothing to probe"),
    ],
)
def test_a_wrong_task_is_one_line(probe, music, tmp_path, task, hint):
    (tmp_path / "o.csv").write_text((music / "manifest.csv").read_text())
    text = task.format(m=music / "manifest.csv", o=tmp_path / "o.csv")
    done = probe("--data", music, "--task", text)
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert done.exit_code == 2 and hint in said and not probe.study.exists()


@pytest.mark.parametrize(
    "options, hint",
    [
        (("--protocol", "marbel"), "no such protocol; did you mean marble?"),
        (("--head", "knn,wieghting"), "--head wieghting: there is no such head; did you mean weig"),
    ],
)
def test_a_wrong_protocol_or_head_is_one_line(probe, music, options, hint):
    done = probe("--data", music, *options)
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert done.exit_code == 2 and hint in said and not probe.study.exists()


def test_further_heads_stand_beside_the_linear_one(probe, music):
    done = probe("--data", music, "--task", "place", "--head", "knn,concatenation")
    assert done.exit_code == 0, done.stderr
    found = results(probe.study)
    assert [(one.head, len(one.layers)) for one in found.heads] == [
        ("knn", 6),
        ("concatenation", 1),
    ]
    for head in found.heads:
        (line,) = [line for line in done.stdout.splitlines() if line.startswith(f"- {head.head}")]
        assert head.selected in line and tight(head.best.value) in line
        assert f"vgg-mtt place, {head.head}: " in done.stderr
    assert "every layer, knn" in done.stdout and "every layer, concatenation" not in done.stdout


def test_references_have_no_weights_of_layers(probe, music):
    done = probe("--data", music, "--task", "place", "--head", "weighting,concatenation")
    assert done.exit_code == 0, done.stderr
    assert [one.head for one in results(probe.study).heads] == ["weighting", "concatenation"]
    assert [one.head for one in results(probe.study, "ref").heads] == ["concatenation"]


def test_a_stage_says_that_it_begins_where_no_bar_can(probe, music, tmp_path):
    done = probe("--data", music, "--task", "place", RSA_CACHE=str(tmp_path / "cache"))
    lines = done.stderr.splitlines()
    begun = lines.index("probes of vgg-mtt ...")
    assert [line for line in lines[begun:] if line.startswith("vgg-mtt place: ")]
    assert lines[0] == f"data set {music} ..." and lines[1].startswith(f"data set {music} (")


def test_values_that_are_no_numbers_are_told_once_and_missing(probe, tmp_path):
    music = sounds(tmp_path / "music")
    table = music / "manifest.csv"
    head, *lines = table.read_text().splitlines()
    cells = ["inf", "nan", "", *["1.5"] * (len(lines) - 3)]
    more = [f"{line},{cell},nan" for line, cell in zip(lines, cells, strict=True)]
    table.write_text("\n".join([f"{head},energy,empty", *more]) + "\n")
    for task in ("place", f"{table}:place"):
        done = probe("--data", music, "--task", task)
        assert done.exit_code == 0, done.stderr
        told = [line for line in done.stderr.splitlines() if "column energy" in line]
        assert told == [
            "warning: manifest.csv: column energy: 2 values are not numbers (first: line 2), "
            "taken as missing"
        ]
    done = probe("--data", music, "--task", f"{table}:empty")
    assert done.exit_code == 2
    assert "column empty: 60 values are not numbers (first: line 2)" in done.stderr
    assert "Error: --task: the manifest has no label 'empty' with a value" in done.stderr


@pytest.mark.slow
def test_another_protocol_is_named_where_its_numbers_are(probe, music):
    done = probe("--data", music, "--task", "place", "--protocol", "marble")
    assert done.exit_code == 0, done.stderr
    found = results(probe.study)
    assert found.protocol == "marble" and found["place"].head == "mlp"
    assert "vgg-mtt: protocol marble" in done.stdout
    assert json.loads((probe.study / "study.json").read_text())["settings"]["protocol"] == "marble"


def test_a_manifest_goes_with_a_folder_only(probe, music):
    done = probe("--data", "gtzan", "--task", f"{music / 'manifest.csv'}:place")
    assert done.exit_code == 2 and "--manifest goes with a folder" in done.stderr


def test_twins_go_with_trained_weights(probe, music):
    done = probe("--data", music, "--twins")
    assert done.exit_code == 2 and "--twins goes with trained weights" in done.stderr


def test_twins_are_probed_beside_their_models(music, tmp_path):
    from extract.errors import WeightsMissing
    from extract.models import musicnn

    try:
        musicnn.WHEEL.fetch()
    except WeightsMissing as error:
        pytest.skip(str(error))
    study, cache = tmp_path / "study", tmp_path / "cache"
    cache.mkdir()
    (cache / "wheels").symlink_to(cache_dir("wheels"))
    arguments = ("probe", "--model", "vgg-mtt", "--twins", "--data", music, "--task", "place,hertz",
                 "--out", study, "--no-report", *ALONE)  # fmt: skip
    done = CliRunner().invoke(
        root, [str(each) for each in arguments], env={"COLUMNS": "100", "RSA_CACHE": str(cache)}
    )
    assert done.exit_code == 0, done.stderr
    model, twin = results(study), results(study, "a0")
    assert model.layers == twin.layers and model["hertz"] != twin["hertz"]
    cards = json.loads((study / "study.json").read_text())
    assert cards["models"]["a"]["weights"]["trained"]
    assert not cards["twins"]["a0"]["weights"]["trained"] and not cards["stamps"]
    assert "vgg-mtt (untrained twin) place: " in done.stderr
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("hertz  R2")]
    assert row.split()[-2] == tight(twin["hertz"].best.value)
    assert set(Study.read(study).probes) == {"a", "a0", "ref"}


def test_a_task_on_frames_and_published_numbers_of_a_data_set_of_the_field(probe, tmp_path):
    from torchaudio.datasets import gtzan

    rng = np.random.default_rng(0)
    lists = ((gtzan.filtered_train, 20), (gtzan.filtered_valid, 8), (gtzan.filtered_test, 8))
    for names, count in lists:
        tracks = [name for name in names if name.startswith(("blues", "metal"))]
        for name in (*tracks[: count // 2], *tracks[-count // 2 :]):
            genre, number = name.split(".")
            beats = np.arange(rng.uniform(0.2, 0.6), 3.9, rng.uniform(0.4, 0.7))
            wave = 0.01 * rng.standard_normal(4 * RATE)
            for beat in beats:
                wave[int(beat * RATE) :][:400] += 0.5 * rng.standard_normal(400)
            path = tmp_path / "gtzan" / "genres" / genre / f"{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, wave, RATE)
            lines = "".join(f"{beat:.3f}\t{1 + i % 4}\n" for i, beat in enumerate(beats))
            text(
                tmp_path / "gtzan" / "gtzan_tempo_beat-main" / "beats"
                / f"gtzan_{genre}_{number}.beats",
                lines,
            )  # fmt: skip
    done = probe(
        "--data", f"gtzan:{tmp_path / 'gtzan'}", "--task", "beat,genre", "--layers", "pool1,pool2"
    )
    assert done.exit_code == 0, done.stderr
    found = results(probe.study)
    assert found["beat"].rows == "frames:25@beats,downbeats" and found["beat"].best.value > 0.7
    assert {row.model for row in found["beat"].published} >= {"mert-95m", "music2vec"}
    for name, metric in (("beat", "F"), ("genre", "accuracy")):
        values = [row.value for row in found[name].published if row.metric == metric]
        ends = f"{SHORT.get(metric, metric)} {tight(min(values))} to {tight(max(values))}"
        (line,) = [line for line in done.stdout.splitlines() if ends in line]
        assert line.startswith(name)
    assert "by others" in done.stdout


def test_where_nothing_can_be_probed_the_reasons_are_the_error(probe, music):
    with pytest.raises(AssertionError, match="ProbeError.'nothing could be probed: task place: 10"):
        probe("--data", music, "--limit", "12", "--task", "place")
