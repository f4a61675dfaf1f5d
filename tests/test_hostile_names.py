"""A folder that a stranger made, from its files to the report: names and labels stay text."""

from __future__ import annotations

import csv
import html.parser
import json
import re
import sys
from pathlib import Path

import numpy as np
import pypdf
import pytest
import soundfile
import strange_audio as strange
from click.testing import CliRunner
from test_own import EXAMPLE

from probes.record import cell as kept
from reports.single import _inert
from rsa.records import cell

RATE = 16000
COLUMN = "=1+1 [red]<script>alert(2)</script> #let $x \x1b[31m\u202e *b*"
LABELS = (
    "=cmd|' /C calc'!A0 <img src=x onerror=alert(1)>",
    "#let x = 1; $y$ @all \\ `c` [red]\x1b]0;t\x07",
)
GROUPS = ("-2+3+cmd|' /C calc'!A0", "../../escaped", "a\nforged line", "@SUM(1+1)")
NAMES = ("[bold]x[-].wav", "<b>a&amp;b.wav", "#set page(fill: red).wav", "\x1b[2J.wav", "=1+1.wav")


def rsa(*arguments):
    from cli.main import root

    return CliRunner().invoke(root, [str(each) for each in arguments])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study of a hostile folder with the network of docs/own-model.md; and what was said."""
    home = tmp_path_factory.mktemp("hostile")
    folder = home / "music [red]<script>alert(3)</script>".replace("/", "-")
    folder.mkdir()
    reasons = strange.refused(folder)
    rows = []
    rng = np.random.default_rng(0)
    for i in range(60):
        low = i % 2
        name = NAMES[i] if i < len(NAMES) else f"{i:02}.wav"
        t = np.arange(RATE // 2) / RATE
        tone = 0.2 * np.sin(2 * np.pi * (300 if low else 2000) * (1 + i / 100) * t)
        soundfile.write(folder / name, tone + 0.02 * rng.standard_normal(len(t)), RATE)
        split = ("train", "train", "train", "valid", "test")[i // 2 % 5]
        rows.append((name, split, f"{GROUPS[i % 4]} {i}", LABELS[low]))
    there = [name for name in reasons if name not in ("dangling.wav", "circle.wav")]
    there = [name for name in there if (folder / name).is_file()]  # a manifest names files
    rows += [(name, "train", f"bad {i}", LABELS[0]) for i, name in enumerate(there)]
    with open(folder / "manifest.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "split", "group", COLUMN), *rows])
    (home / "mynet.py").write_text(EXAMPLE, encoding="utf-8")
    patch = pytest.MonkeyPatch()
    patch.chdir(home)
    patch.setattr(sys, "path", list(sys.path))
    shown = next(name for name in _columns(folder))
    told = rsa(
        "probe", "--model", "mynet:SPEC", "--untrained", "--data", folder,
        "--task", f"manifest.csv:{shown}", "--head", "none", "--no-checks", "--no-why",
        "--out", home / "study", "--no-report",
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    done = rsa("report", home / "study", "--format", "pdf,html,md")
    assert done.exit_code == 0, done.output
    yield home, there, reasons, told.output + told.stderr
    patch.undo()
    sys.modules.pop("mynet", None)


def _columns(folder: Path) -> list[str]:
    from extract.datasets.folder import Folder

    return [card.name for card in Folder(folder).card.labels]


@pytest.mark.fuzz
def test_every_bad_clip_is_counted_with_its_reason(made):
    home, there, reasons, said = made
    content = json.loads((home / "study" / "study.json").read_text(encoding="utf-8"))
    failed = {f["clip"]: f["reason"] for f in content["failures"]}
    assert set(failed) == set(there) and len(there) >= 20
    for name, reason in failed.items():
        expected = "truncated" if name == "promise-2e31.flac" else reasons[name]
        assert expected.split(":")[0] in reason, (name, reason)
    text = " ".join(
        page.extract_text() for page in pypdf.PdfReader(home / "study" / "report.pdf").pages
    )
    text = re.sub(r"[\u200b\s]+", " ", text)
    assert f"clips that could not be used: {len(there)}, listed at the end" in text
    assert "Clips that could not be used" in text and "empty (0 bytes)" in text
    for form in ("html", "md"):
        page = (home / "study" / f"report.{form}").read_text(encoding="utf-8")
        assert f"clips that could not be used: {len(there)}" in page
        assert "a sample rate of 1 Hz" in page
    assert "left out: " in said and f"{len(there) - 10} more clips" in said


@pytest.mark.fuzz
def test_the_terminal_gets_no_orders(made):
    *_, said = made
    assert "\x1b" not in said and "\x07" not in said and "\u202e" not in said
    assert "[red]<script>" in said, "the label is not shown as it is"
    assert not any(line.startswith("forged line") for line in said.splitlines())


class _Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


@pytest.mark.fuzz
def test_no_markup_of_a_label_is_markup_of_the_page(made):
    home, *_ = made
    page = (home / "study" / "report.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(2)" in page
    reader = _Tags()
    reader.feed(page)
    assert not any("onerror" in attributes for _, attributes in reader.found)
    assert not any(
        tag == "img" and attributes.get("src") == "x" for tag, attributes in reader.found
    )
    for kind, body in re.findall(r"<script([^>]*)>(.*?)</script>", page, re.S):
        # what stands over a point of a figure is data, in which nothing begins a tag
        assert "alert(" not in body or ("application/json" in kind and "<" not in body)
    assert "\x1b" not in page and "\u202e" not in page
    text = (home / "study" / "report.md").read_text(encoding="utf-8")
    assert not re.search(r"(?<!\\)<(script|img)", text) and "\x1b" not in text
    for line in text.splitlines():
        if "let $x" in line or "let \\$x" in line:
            assert "\\[red\\]" in line and "\\$x" in line


@pytest.mark.fuzz
def test_the_pdf_says_what_the_label_says(made):
    home, *_ = made
    text = "".join(p.extract_text() for p in pypdf.PdfReader(home / "study" / "report.pdf").pages)
    text = re.sub(r"[\u200b\s]+", "", text)
    assert "[red]<script>alert(2)</script>#let$x" in text


@pytest.mark.fuzz
def test_no_cell_of_a_table_is_a_formula(made):
    home, *_ = made
    found = 0
    for path in (home / "study").rglob("*.csv"):
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.reader(file):
                for cell in row:
                    if cell[:1] in ("=", "+", "-", "@"):
                        float(cell)  # a number, or the test fails
                    found += cell.startswith("'=1+1")
    assert found


@pytest.mark.parametrize(
    "text", ("=1+1", "+cmd|' /C calc'!A0", "-2+3+cmd|x", "@SUM(1)", "=HYPERLINK(1)")
)
def test_a_formula_in_a_table_of_the_report_is_text(text):
    assert _inert(text) == f"'{text}"
    assert cell(text) == kept(text) == f"'{text}"


@pytest.mark.parametrize(
    "text", ("-0.12", "+0.1 (0.05 to 0.2)", "-12%", "-1e-05", "a=b", "", "x-y")
)
def test_numbers_and_words_stay(text):
    assert _inert(text) == text


@pytest.mark.fuzz
def test_nothing_is_written_outside_of_the_study(made):
    home, *_ = made
    names = {path.name for path in home.iterdir()}
    assert names <= {"mynet.py", "__pycache__", "study"} | {
        name for name in names if name.startswith("music ")
    }
    assert not (home.parent / "escaped").exists()
    for path in (home / "study").rglob("*"):
        assert len(path.name.encode()) <= 255 and path.name.isprintable()
        assert re.fullmatch(r"[\w.+-]+", path.name), path


def test_names_that_are_no_text_reach_the_study(tmp_path, monkeypatch):
    """A file whose name is no UTF-8, and bad: its path is in study.json, which is still UTF-8."""
    import os

    from extract.writing import write_text

    reason = {"clip": "x", "file": os.fsdecode(b"caf\xe9.wav"), "reason": "r"}
    write_text(tmp_path / "study.json", json.dumps(reason, ensure_ascii=False))
    kept = json.loads((tmp_path / "study.json").read_text(encoding="utf-8"))
    assert kept == reason
