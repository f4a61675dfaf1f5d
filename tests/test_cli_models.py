"""`rsa models`: the table, a card, Markdown, and the trial of a model."""

from __future__ import annotations

import json
import re
import sys

import pytest
from click.testing import CliRunner

from cli import modeltable
from cli.models import command
from cli.nearest import suggestion
from extract import models
from extract.errors import ExtractError

BROKEN = """
import torch
from dataclasses import replace
from extract.models.own import wrap
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 4, 80, 80)
    def forward(self, x):
        return self.conv(x[:, None])
SPEC = wrap(Net, name="eighty", sample_rate=8000, taps={"conv": "conv"}, window=4.0)
wide = replace(SPEC.card.layers[0], width=5)
WIDE = replace(SPEC, card=replace(SPEC.card, layers=(wide,)))
"""


@pytest.fixture()
def rsa():
    def run(*arguments):
        result = CliRunner().invoke(command, [str(each) for each in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            assert isinstance(result.exception, ExtractError), result.exception
        return result

    return run


@pytest.fixture()
def folder(tmp_path, monkeypatch):
    (tmp_path / "eightynet.py").write_text(BROKEN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("eightynet", None)


def test_the_table_has_a_row_for_each_model_and_a_line_for_each_family(rsa):
    out = rsa().output
    for name in models.names():
        assert f" {name} " in out
    for family in models.FAMILIES:
        assert f"{family}:..." in out
    assert "module:Attribute" in out


@pytest.mark.parametrize("columns", [80, 120])
def test_a_narrow_table_keeps_within_the_terminal_and_names_whole(columns, monkeypatch):
    from io import StringIO

    screen = StringIO()
    screen.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", str(columns))
    modeltable.show_models([models.spec(name) for name in ("musicfm", "musicnn-mtt", "chordnet")])
    text = re.sub(r"\x1b\[[\d;]*m", "", screen.getvalue())
    table = text.partition("Families")[0].splitlines()
    assert max(map(len, table)) <= columns
    wanted = ["musicnn-mtt", "14 x 1024", "22.05 kHz", "316 M", " weights "]
    assert all(each in text for each in wanted) and "Pons & Serra" in text


@pytest.mark.parametrize("columns", [80, 120, 150])
def test_at_every_width_a_model_takes_few_lines_and_licences_stay_whole(columns, monkeypatch, rsa):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = rsa().output.partition("Families")[0].splitlines()
    assert max(map(len, lines)) <= columns
    assert any("CC-BY-NC-4.0 " in line for line in lines)
    assert any("none stated " in line for line in lines)
    starts = [at for at, line in enumerate(lines) if re.match("│ [a-z][a-z0-9-]+ +│", line)]
    assert len(starts) == len(models.names())
    ends = [*starts[1:], next(at for at, line in enumerate(lines) if line.startswith("└"))]
    assert max(end - start for start, end in zip(starts, ends, strict=True)) <= 5


def test_what_is_piped_is_wide_unless_columns_says_otherwise(monkeypatch, rsa):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert max(map(len, rsa().output.splitlines())) == 160
    monkeypatch.setenv("COLUMNS", "0")
    assert max(map(len, rsa().output.splitlines())) == 160


def test_a_card_begins_with_its_first_fact(rsa):
    lines = rsa("musicfm").output.splitlines()
    assert lines[1].startswith("┌") and "musicfm" in lines[2]


def test_a_card_says_window_layers_and_time(rsa):
    out = rsa("musicfm").output
    assert "at most 30 s" in out and "block12" in out and "centre of frame 0" in out
    assert "exactly 2.992 s" in rsa("musicnn-mtt").output


def test_json_of_one_and_of_all_wherever_the_option_stands(rsa):
    for arguments in (("musicfm", "--json"), ("--json", "musicfm")):
        card = json.loads(rsa(*arguments).output)
        assert card["name"] == "musicfm" and card["weights_present"] in (True, False)
    assert [card["name"] for card in json.loads(rsa("--json").output)] == models.names()


def test_markdown_has_every_model_once_and_as_many_cells_in_each_row(rsa):
    text = modeltable.markdown_table()
    for name in models.REGISTRY:
        assert text.count(f"`{name}`") == 1
    lines = text.splitlines()
    assert len({line.replace(r"\|", "").count("|") for line in lines}) == 1
    assert len(lines) < 2 + len(models.REGISTRY)  # siblings share a row
    assert "(division 0, 1, 2, 3, 4)" in text
    where = {row.split("`")[1]: row.split("|")[-2].strip() for row in lines[2:]}
    assert set(where.values()) == {"package", "hub", "yours"}
    assert where["musicnn-mtt"] == "package" and where["muq"] == "hub" and where["clmr"] == "yours"
    if not models._installed():
        assert rsa("--markdown").output.strip() == text


def test_an_unknown_name_gets_the_nearest(rsa):
    result = rsa("musicnx")
    assert result.exit_code == 2
    assert "did you mean musicnn-mtt or musicnn-msd?" in result.output
    assert " show" not in result.output  # a command that nobody can see
    result = rsa("check", "musicn-mtt")
    assert result.exit_code == 2 and "did you mean musicnn-mtt?" in result.output


def test_a_misspelt_command_is_not_taken_for_a_model(rsa):
    for slip in ("chekc", "chek", "checks"):
        result = rsa(slip, "musicfm") if slip == "chek" else rsa(slip)
        assert result.exit_code == 2, slip
    assert "did you mean rsa models check NAME?" in rsa("chekc").output
    assert "did you mean rsa models" not in rsa("chordnt").output


def test_the_beginning_of_names_and_a_slip_in_their_stem_bring_all_of_them():
    known = models.names()
    merts = "; did you mean mert-v0, mert-v0-public, mert-95m or mert-330m?"
    assert suggestion("mert", known) == suggestion("MERTT", known) == merts
    assert suggestion("musicnn", known) == "; did you mean musicnn-mtt or musicnn-msd?"
    assert suggestion("mert-95", known) == "; did you mean mert-95m?"
    assert suggestion("hf", [*known, "hf:"]) == "; did you mean hf:?"
    many = suggestion("mod", [f"model{i}" for i in range(9)])
    assert many == "; did you mean model0, model1, model2, model3, model4, model5 ...?"
    assert suggestion("m", ["mini", "maxi"]).startswith("; there are")


def test_suggestions_look_at_stems_too_and_give_up_in_time():
    known = ["musicfm", "musicnn-mtt", "chordnet", "hf:"]
    assert suggestion("musicnx", known) == "; did you mean musicnn-mtt?"
    assert suggestion("musicfn", known) == "; did you mean musicfm?"
    assert suggestion("Chordnt", known) == "; did you mean chordnet?"
    assert suggestion("quartz", known) == f"; there are {', '.join(known)}"
    assert suggestion("anything", []).startswith("; there are")


def test_a_trial_that_passes_ends_with_0_and_shows_every_check(rsa, folder):
    result = rsa("check", "eightynet:SPEC", "--untrained", "--quiet")
    assert result.exit_code == 0, result.output
    assert "time stamps" in result.output and "17 ok" in result.output


def test_a_trial_that_fails_ends_with_1_and_says_by_how_much(rsa, folder):
    result = rsa("check", "eightynet:WIDE", "--untrained", "--json")
    rows = {row["check"]: row for row in json.loads(result.output)["checks"]}
    # the loaded model keeps the card it was wrapped with
    assert result.exit_code == 1 and rows["loads"]["outcome"] == "failed"
    assert rows["layers"]["outcome"] == "ok"


def test_a_trial_without_weights_ends_with_the_reason(rsa, folder):
    result = rsa("check", "eightynet:SPEC", "--quiet")
    assert isinstance(result.exception, ExtractError) and result.exception.exit_code == 3
    assert "--untrained" in str(result.exception)


def test_a_package_that_is_broken_hides_no_other_model(rsa, monkeypatch):
    from importlib.metadata import EntryPoint

    entry = EntryPoint("theirs", "no_such_package_here:SPEC", "rsa.models")
    monkeypatch.setattr(models, "_installed", lambda: {"theirs": entry})
    result = rsa()
    assert "musicfm" in result.output and "left out: theirs" in result.output
    with pytest.raises(ExtractError, match="no_such_package_here"):
        models.spec("theirs")
