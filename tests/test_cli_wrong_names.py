"""A wrong name is one line with a cure, before any stage begins, and leaves nothing behind."""

from __future__ import annotations

import json

import pytest
from command import here
from probe_folder import sounds
from study_fixture import make_study

COMPARE = ("compare", "--a", "vgg-mtt", "--b", "vgg-msd", "--untrained", "--data", "music")
PROBE = ("probe", "--model", "vgg-mtt", "--untrained", "--data", "music")
EXTRACT = ("extract", "--model", "vgg-mtt", "--untrained", "--data", "music")
STUDY = """title = "x"
[[probe]]
name = "p"
models = ["vgg-mtt"]
data = "music"
tasks = ["place"]
"""


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A folder with sounds, a file, study files, and studies that are none."""
    folder = tmp_path_factory.mktemp("wrong")
    sounds(folder / "music", 12)
    (folder / "afile").write_text("x")
    for name, text in (("braces", "{}"), ("list", "[]"), ("half", '{"format": 1,')):
        (folder / name).mkdir()
        (folder / name / "study.json").write_text(text)
    (folder / "deleted" / "probes").mkdir(parents=True)
    (folder / "braces.json").write_text("{}")
    for name, line in {
        "task": 'tasks = ["plac"]', "data": 'data = "mini:choral"', "head": 'heads = "knnn"',
        "layer": 'layers = ["pool9"]', "protocol": 'protocol = "marbel"', "key": "limits = 3",
        "model": 'models = ["vgg-mtx"]', "column": 'tasks = ["manifest.csv:plac"]',
    }.items():  # fmt: skip
        start = line.partition(" ")[0]
        lines = [old for old in STUDY.splitlines() if not old.startswith(start + " ")]
        (folder / f"{name}.toml").write_text("\n".join([*lines, line]))
    make_study(
        folder / "good", layers={"a": 3, "b": 3}, tasks=1, measures=1, geometry=False,
        information=False, twins=False, references=False, trust=False, published=False,
        heads=False,
    )  # fmt: skip
    return folder


def changed(command, **options):
    """The command with other values of options that it has."""
    command = list(command)
    for name, value in options.items():
        command[command.index(f"--{name}") + 1] = value
    return tuple(command)


NUMBERS = [
    (("--grid", "nan"), "--grid"), (("--grid", "inf"), "--grid"),
    (("--max-bad", "nan"), "--max-bad"), (("--hop", "inf"), "--hop"),
    (("--seed", "-1"), "--seed"), (("--seed", str(2**32)), "--seed"),
]  # fmt: skip
WRONG = [
    (changed(COMPARE, a="vgg-mtx"), "no model 'vgg-mtx'; did you mean vgg-mtt?"),
    (changed(COMPARE, b=""), "no model ''"),
    (changed(COMPARE, data="musik"), "--data musik: neither a data set nor a folder"),
    (changed(COMPARE, data=""), "--data: it is empty"),
    (changed(COMPARE, data="afile"), "--data afile: a file; give the folder"),
    (changed(COMPARE, data="mini:choral"), "no subset 'choral' in mini; did you mean chorale?"),
    (changed(COMPARE, data="gtzan"), "gtzan: say where it is, as in gtzan:/data/gtzan"),
    (changed(COMPARE, data="gtzan:nowhere"), "gtzan: there is no folder nowhere"),
    ((*COMPARE, "--task", "plac"), "no task 'plac': did you mean place?"),
    ((*COMPARE, "--task", "palce"), "no task 'palce': did you mean place?"),
    ((*COMPARE, "--task", ","), "--task: no task is named"),
    ((*COMPARE, "--task", "none,place"), "none goes alone"),
    ((*COMPARE, "--task", "beat"), "task beat needs the label beats; the data has: digit"),
    ((*COMPARE, "--task", "music/manifest.csv:plac"), "has no label 'plac' with a value"),
    ((*COMPARE, "--measures", "ckaa"), "--measures: no measure 'ckaa'; did you mean cka?"),
    ((*COMPARE, "--layers-a", "pool9"), "--layers-a: vgg-mtt has no layer 'pool9'; did you"),
    ((*COMPARE, "--layers-b", ","), "--layers-b: no layer is named; there are pool1"),
    ((*COMPARE, "--weights-b", "no.pt"), "--weights-b no.pt: there is no such file or folder"),
    ((*COMPARE, "--manifest", "no.csv"), "--manifest no.csv: there is no such file"),
    ((*COMPARE, "--out", "afile"), "--out afile: a file of that name exists"),
    ((*COMPARE, "--out", "afile/x/y"), "--out afile/x/y: afile is a file, no folder; name an"),
    ((*COMPARE, "--twins"), "--twins goes with trained weights: drop --untrained"),
    ((*COMPARE, "--format", "pfd"), "--format pfd: there is no such format; did you mean pdf?"),
    ((*COMPARE, "--format", "md", "--no-report"), "--format goes with a report: drop --no-report"),
    ((*COMPARE, "--dry-run", "--task", "plac"), "no task 'plac': did you mean place?"),
    ((*PROBE, "--task", ""), "--task: no task is named"),
    ((*PROBE, "--head", "knnn"), "--head knnn: there is no such head; did you mean knn?"),
    ((*PROBE, "--head", ""), "--head: no head is named"),
    ((*PROBE, "--head", "none,knn"), "--head none,knn: none goes alone"),
    ((*PROBE, "--protocol", "marbel"), "--protocol marbel: there is no such protocol; did you"),
    ((*PROBE, "--layers", "pool9"), "--layers: vgg-mtt has no layer 'pool9'; did you mean"),
    ((*PROBE, "--format", "pdf,htm"), "--format htm: there is no such format; did you mean html?"),
    (changed(EXTRACT, model="vgg-mtx"), "no model 'vgg-mtx'; did you mean vgg-mtt?"),
    (changed(EXTRACT, data="musik"), "--data musik: neither a data set nor a folder"),
    ((*EXTRACT, "--layers", "pool9"), "--layers: vgg-mtt has no layer 'pool9'"),
    ((*EXTRACT, "--weights", "no.pt"), "--weights no.pt: there is no such file or folder"),
    (("study", "trained-tagger"), "did you mean trained-taggers?"),
    (("study", "braces.json"), "braces.json: cannot be read as TOML"),
    (("study", "task.toml"), "task.toml, p: --task: no task 'plac': did you mean place?"),
    (("study", "column.toml"), "column.toml, p: --task: the manifest has no label 'plac' with"),
    (("study", "data.toml"), "data.toml, p: --data mini:choral: no subset 'choral'"),
    (("study", "head.toml"), "head.toml, p: --head knnn: there is no such head"),
    (("study", "layer.toml"), "layer.toml, p: vgg-mtt has no layer 'pool9'; did you mean"),
    (("study", "protocol.toml"), "protocol.toml, p: --protocol marbel: there is no such"),
    (("study", "model.toml"), "model.toml, p: no model 'vgg-mtx'; did you mean vgg-mtt?"),
    (("study", "key.toml"), "key.toml, probe p: unknown key 'limits'; did you mean limit?"),
    (("study", "task.toml", "--data", "musik"), "--data musik: neither a data set nor a folder"),
    (("study", "task.toml", "--out", "afile/x"), "--out afile/x: afile is a file, no folder"),
    (("report", "good", "--out", "afile/x.pdf"), "--out afile/x.pdf: afile is a file, no folder"),
    (("report", "good", "good", "--out", "afile"), "--out afile: a file of that name exists"),
    (("figure", "good", "cross", "--out", "afile/x.svg"), "afile is a file, no folder"),
    (("figure", "braces"), "braces/study.json: JSON, but nothing that this program wrote; give"),
    (("figure", "list"), "list/study.json: JSON, but nothing that this program wrote; give the"),
    (("figure", "half"), "half/study.json: not JSON"),
    (("figure", "deleted"), "deleted/study.json: missing: the study is not finished, or this is"),
    (("figure", "braces.json"), "braces.json: a file; give the folder of a study"),
]


@pytest.mark.parametrize(("more", "option"), NUMBERS, ids=lambda value: "")
def test_numbers_that_are_none_or_have_no_end_are_refused(room, tmp_path, more, option):
    code, out, error = here(
        "extract", "--model", "vgg-mtt", "--untrained", "--data", room / "sounds", *more,
        RSA_CACHE=str(tmp_path / "cache"),
    )  # fmt: skip
    assert code == 2 and f"Invalid value for '{option}'" in error and not out
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(("command", "said"), WRONG, ids=lambda value: "")
def test_a_wrong_name_is_one_line_and_leaves_nothing(room, tmp_path, monkeypatch, command, said):
    monkeypatch.chdir(room)
    before = sorted(room.rglob("*"))
    code, out, error = here(
        *command, RSA_CACHE=str(tmp_path / "cache"), HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path),
        RSA_DATA="",
    )  # fmt: skip
    lines = [line for line in error.splitlines() if line and not line.startswith(("Usage", "Try "))]
    assert len(lines) == 1 and said in lines[0], error
    assert code in (2, 3, 4, 5) and not out and "unexpected" not in error
    assert sorted(room.rglob("*")) == before and not (tmp_path / "cache").exists()


def test_a_damaged_study_is_told_of_by_report_too(room, monkeypatch):
    monkeypatch.chdir(room)
    code, _, error = here("report", "braces", "--quiet")
    assert code == 5 and "nothing that this program wrote" in error
    (room / "braces" / "run.log.jsonl").unlink()


def test_report_in_several_formats_at_the_end_of_a_run(room, tmp_path):
    study, cache = tmp_path / "study", str(tmp_path / "cache")
    data = sounds(tmp_path / "music", 40)
    code, out, error = here(
        "probe", "--model", "vgg-mtt", "--untrained", "--device", "cpu", "--data", data, "--task",
        "place", "--head", "none", "--no-checks", "--no-why", "--layers", "pool5", "--format",
        "html,md", "--out", study, RSA_CACHE=cache,
    )  # fmt: skip
    assert code == 0, error
    paths = [str(study / "report.html"), str(study / "report.md")]
    assert out.splitlines()[-2:] == paths and not (study / "report.pdf").exists()
    code, out, error = here(
        "compare", "--a", "vgg-mtt", "--b", "vgg-mtt", "--untrained", "--device", "cpu", "--data",
        data, "--task", "none", "--measures", "cka:linear,biased", "--no-why", "--layers-a",
        "pool5", "--layers-b", "pool5", "--format", "html", "--json", "--out", tmp_path / "two",
        RSA_CACHE=cache,
    )  # fmt: skip
    assert code == 0, error
    found = json.loads(out)
    assert found["reports"] == [found["report"]] == [str(tmp_path / "two" / "report.html")]
    assert (tmp_path / "two" / "report.html").read_text().startswith("<!DOCTYPE html>")
