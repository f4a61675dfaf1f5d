"""The command line: quick help, names that nearly fit, exit codes, one-line errors."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from cli.record import UNFINISHED, begin_study, study_folder

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "numpy", "scipy", "sklearn", "librosa", "matplotlib", "transformers", "rich")


def rsa(*arguments, **environment):
    """Runs the command; returns (exit code, standard output, standard error)."""
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", *map(str, arguments)],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, **environment},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


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
    code, _, error = rsa(*arguments)
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
    code, out, _ = rsa("models", "--json")
    cards = {card["name"]: card for card in json.loads(out)}
    assert code == 0 and {"musicfm", "muq", "musicnn-mtt", "chordnet"} <= set(cards)
    for card in cards.values():
        depths = [layer["depth"] for layer in card["layers"]]
        assert depths == sorted(set(depths)) and card["licence"] and card["paper"]
    code, out, _ = rsa("datasets", "--json")
    assert code == 0 and json.loads(out)[0]["name"] == "mini"


def test_a_study_is_never_written_over_something_else(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    code, _, error = rsa("compare", "--a", "musicnn-mtt", "--b", "musicnn-mtt", "--out", tmp_path)
    assert code == 2 and "holds no study" in error
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_an_interrupted_study_goes_on_without_numbers_of_an_earlier_one(tmp_path):
    folder = study_folder(tmp_path / "study", "unused")
    begin_study(folder)
    assert study_folder(folder, "unused") == folder
    (folder / "probes").mkdir()
    (folder / "probes" / "a.json").write_text("{}")
    (folder / "mine.txt").write_text("keep")
    begin_study(folder)
    assert not (folder / "probes").exists() and (folder / "mine.txt").exists()
    (folder / UNFINISHED).unlink()
    with pytest.raises(click.UsageError, match="holds no study"):
        study_folder(folder, "unused")


def test_a_misspelt_subset_and_a_manifest_that_belongs_nowhere_are_usage_errors(tmp_path):
    command = ("compare", "--a", "vgg-mtt", "--b", "vgg-mtt", "--untrained")
    code, _, error = rsa(*command, "--data", "mini:choral")
    assert code == 2 and "chorale" in error
    code, _, error = rsa(*command, "--data", "mini:note", "--manifest", tmp_path / "m.csv")
    assert code == 2 and "--manifest goes with a folder" in error


def test_a_report_of_nothing_is_one_line(tmp_path):
    code, _, error = rsa("report", tmp_path / "nowhere")
    assert code == 5 and error.splitlines()[0] == "report ..."
    (line,) = error.splitlines()[1:]
    assert line.startswith("rsa: ") and "nowhere" in line
