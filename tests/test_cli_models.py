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
    for wanted in ("musicnn-mtt", "Pons & Serra 2019", "14 x 1024", "22.05 kHz", "316 M", "ISC"):
        assert wanted in text


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
    if not models._installed():
        assert rsa("--markdown").output.strip() == text


def test_an_unknown_name_gets_the_nearest(rsa):
    result = rsa("musicnx")
    assert result.exit_code == 2 and "did you mean musicnn-" in result.output
    result = rsa("check", "musicn-mtt")
    assert result.exit_code == 2 and "did you mean musicnn-mtt?" in result.output


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
    assert "--untrained" in str(result.exception) and "skipped" in result.output


def test_a_package_that_is_broken_hides_no_other_model(rsa, monkeypatch):
    from importlib.metadata import EntryPoint

    entry = EntryPoint("theirs", "no_such_package_here:SPEC", "rsa.models")
    monkeypatch.setattr(models, "_installed", lambda: {"theirs": entry})
    result = rsa()
    assert "musicfm" in result.output and "left out: theirs" in result.output
    with pytest.raises(ExtractError, match="no_such_package_here"):
        models.spec("theirs")
