"""The command line: quick help, names that nearly fit, exit codes, one-line errors."""

import json
import subprocess
import sys

import click
import pytest
from command import ROOT, here, rsa

from cli.record import UNFINISHED, begin_study, claim, study_folder
from cli.screen import Screen

HEAVY = ("torch", "numpy", "scipy", "sklearn", "librosa", "matplotlib", "transformers", "rich")


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['rsa', '--help']\n"
        "from cli.main import root\n"
        "root(standalone_mode=False)\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert "compare" in done.stdout and "Exit codes" in done.stdout
    assert done.stdout.strip().endswith("[]"), done.stdout[-200:] + done.stderr


@pytest.mark.parametrize(
    "arguments, hint",
    [
        (["compar"], "did you mean compare?"),
        (["compare", "--a", "musicfn", "--b", "muq"], "did you mean musicfm?"),
        (["compare", "--a", "muq", "--b", "quartz"], "there are"),
        (["models", "musicn-mtt"], "did you mean musicnn-mtt?"),
        (["datasets", "mimi"], "did you mean mini?"),
        (["extract", "--model", "chordnt"], "did you mean chordnet?"),
    ],
)
def test_a_name_that_nearly_fits_is_suggested(arguments, hint):
    code, _, error = here(*arguments)
    assert code == 2 and hint in error and "Traceback" not in error


def test_weights_that_are_nowhere_end_with_code_3_and_say_what_to_do(tmp_path):
    code, _, error = rsa(
        "compare", "--a", "musicfm", "--b", "muq", "--out", tmp_path / "s", "--offline",
        HF_HOME=str(tmp_path),
    )  # fmt: skip
    assert code == 3, error
    for wanted in ("pretrained_msd.pt", "minzwon/MusicFM", "MIT", "--weights", "--untrained"):
        assert wanted in error
    assert "Traceback" not in error
    assert not (tmp_path / "s").exists()


def test_models_and_datasets_can_be_read_by_a_script():
    code, out, _ = here("models", "--json")
    cards = {card["name"]: card for card in json.loads(out)}
    assert code == 0 and {"musicfm", "muq", "musicnn-mtt", "chordnet"} <= set(cards)
    for card in cards.values():
        depths = [layer["depth"] for layer in card["layers"]]
        assert depths == sorted(set(depths)) and card["licence"] and card["paper"]
    code, out, _ = here("datasets", "--json")
    assert code == 0 and json.loads(out)[0]["name"] == "mini"


def test_a_study_is_never_written_over_something_else(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    code, _, error = here("compare", "--a", "musicnn-mtt", "--b", "musicnn-mtt", "--out", tmp_path)
    assert code == 2 and "holds no study" in error
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_an_interrupted_study_goes_on_without_numbers_of_an_earlier_one(tmp_path):
    folder = study_folder(tmp_path / "study", "unused")
    claim(folder, Screen(True))
    assert study_folder(folder, "unused") == folder
    (folder / "probes").mkdir()
    (folder / "probes" / "a.json").write_text("{}")
    (folder / "mine.txt").write_text("keep")
    begin_study(folder)
    assert not (folder / "probes").exists() and (folder / "mine.txt").exists()
    (folder / UNFINISHED).unlink()
    with pytest.raises(click.UsageError, match="holds no study"):
        study_folder(folder, "unused")


def test_what_an_earlier_run_left_stays_until_results_are_written(tmp_path):
    study, screen = tmp_path / "study", Screen(True)
    claim(study, screen)
    assert study_folder(study, "unused") == study and (study / UNFINISHED).exists()
    (study / UNFINISHED).unlink()
    (study / "study.json").write_text("{}")
    claim(study, screen)
    assert {path.name for path in study.iterdir()} == {"study.json", UNFINISHED}


def test_an_unexpected_error_says_where_its_traceback_is(monkeypatch):
    def surprise(**_):
        error = KeyError("x")
        error.add_note("the traceback is in run.log.jsonl")
        raise error

    monkeypatch.setattr("cli.main.root", surprise)
    code, _, error = here("doctor")
    assert code == 1 and error.count("\n") == 1
    assert "unexpected KeyError: 'x' (rsa --debug" in error and "is in run.log.jsonl" in error


def test_a_misspelt_subset_and_a_manifest_that_belongs_nowhere_are_usage_errors(tmp_path):
    command = ("compare", "--a", "vgg-mtt", "--b", "vgg-mtt", "--untrained")
    code, _, error = here(*command, "--data", "mini:choral")
    assert code == 2 and "chorale" in error
    code, _, error = here(*command, "--data", "mini:note", "--manifest", tmp_path / "m.csv")
    assert code == 2 and "--manifest goes with a folder" in error


def test_a_report_of_nothing_is_one_line(tmp_path):
    code, _, error = here("report", tmp_path / "nowhere")
    assert code == 5 and error.splitlines()[0] == "report ..."
    (line,) = error.splitlines()[1:]
    assert line.startswith("rsa: ") and "nowhere" in line


def test_a_process_of_its_own_says_and_ends_the_same():
    (code, out, error), found = rsa("datasets", "mimi"), here("datasets", "mimi")
    assert found[:2] == (code, out) == (2, "")
    assert found[2].splitlines()[-1] == error.splitlines()[-1]  # above it the program's name
