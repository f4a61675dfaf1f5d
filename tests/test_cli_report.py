"""`rsa report` and `rsa figure`: names, places, and what is said of a slip."""

from __future__ import annotations

import csv

import pytest
from click.testing import CliRunner
from study_fixture import make_study

from cli.main import root
from reports import ReportError


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "study"
    return make_study(
        folder, layers={"a": 4, "b": 5}, tasks=2, measures=1, geometry=False, information=False,
        twins=False, references=False, trust=False, published=False, heads=False,
    )  # fmt: skip


def run(*arguments):
    return CliRunner().invoke(root, [str(a) for a in arguments])


def test_formats_by_name_a_path_a_line(study, tmp_path):
    done = run("report", study, "--format", "html,md", "--out", tmp_path / "r.x", "--quiet")
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == [str(tmp_path / "r.html"), str(tmp_path / "r.md")]
    assert (tmp_path / "r.html").read_text().startswith("<!DOCTYPE html>")
    assert (tmp_path / "r-figures" / "cross.svg").exists()


def test_format_by_the_ending_of_the_file(study, tmp_path):
    done = run("report", study, "--out", tmp_path / "r.md", "--quiet")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "r.md").read_text(encoding="utf-8").startswith("# Model A and Model B")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--format", "hmtl"), "--format hmtl: there is no such format; did you mean html?"),
        (("--format", "pdf,doc"), "--format doc: there is no such format"),
    ],
)
def test_a_slip_in_a_format(study, arguments, said):
    done = run("report", study, *arguments)
    assert done.exit_code == 2 and said in done.output


def test_list_of_figures_and_tables(study):
    done = run("figure", study, "--quiet")
    assert done.exit_code == 0, done.output
    names = "overview within-1 cross probes-1 specialisation-1 landscape recommendation-table"
    assert all(name in done.stdout for name in names.split())
    assert "weights" not in done.stdout


@pytest.mark.parametrize(
    ("kind", "start"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")]
)
def test_one_figure(study, tmp_path, kind, start):
    out = tmp_path / f"x.{kind}"
    done = run("figure", study, "cross", "--out", out, "--quiet")
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(out) and out.read_bytes().startswith(start)


def test_default_place_and_number_of_the_only_page(study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("figure", study, "within", "--quiet").stdout.strip() == "within.svg"
    assert (tmp_path / "within.svg").read_text().count("<svg") == 1


def test_one_table(study, tmp_path):
    out = tmp_path / "t.csv"
    done = run("figure", study, "recommendation-table", "--format", "csv", "--out", out, "--quiet")
    assert done.exit_code == 0, done.output
    with out.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["Task"] for row in rows] == ["Instrument family", "Pitch"]
    assert rows[1]["Model"] == "model-b" and "[" in rows[1]["Score"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("crosss",), 2, "has no figure 'crosss'; did you mean cross?"),
        (("within-7",), 2, "has no figure 'within-7'; did you mean within-1?"),
        (("cross", "--format", "svgg"), 2, "there is no such format; did you mean svg?"),
        (("--format", "svg"), 2, "need the NAME of a figure"),
    ],
)
def test_slips_are_answered_with_the_nearest(study, arguments, code, said):
    done = run("figure", study, *arguments, "--quiet")
    assert done.exit_code == code and said in done.output


def test_what_a_figure_or_table_cannot_be(study):
    done = run("figure", study, "cross", "--format", "csv")
    assert isinstance(done.exception, ReportError)
    assert "cross is a figure: it can be written as svg, pdf, png" in str(done.exception)
    done = run("figure", study, "cross", "--out", "cross.jpg")
    assert "svg, pdf, png, not jpg" in str(done.exception)
    done = run("figure", study, "weights")
    assert "weights: this study has no data for this figure" in str(done.exception)


def test_a_file_that_is_no_report_is_not_written_over(study, tmp_path):
    mine = tmp_path / "notes"
    mine.write_text("keep")
    for out, also, said in (
        (mine, (), "a report ends in .pdf, .html or .md"),
        (tmp_path / "x.docx", (), "a report ends in .pdf, .html or .md"),
        (tmp_path / "x.html", ("--format", "pdf"), "ends in .html, --format is pdf"),
    ):
        done = run("report", study, "--out", out, *also)
        assert done.exit_code == 2 and said in done.output, done.output
    assert mine.read_text() == "keep" and [one.name for one in tmp_path.iterdir()] == ["notes"]


def test_the_matrix_between_the_models_has_two_names(study, tmp_path):
    for name in ("cross", "cka-across"):
        done = run("figure", study, name, "--format", "svg", "--out", tmp_path / f"{name}.svg")
        assert done.exit_code == 0, done.output
    assert "<svg" in (tmp_path / "cka-across.svg").read_text(encoding="utf-8")
