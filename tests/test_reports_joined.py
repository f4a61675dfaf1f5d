"""Several studies in one report: what is counted once, what is kept apart, what is said of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from study_fixture import make_study

from reports import ReportError, Study, across
from reports.figures.side_by_side import side_by_side
from reports.joined import write_joined
from reports.style import look
from reports.tables import Cell

LEAN = dict.fromkeys(
    ("similarity", "geometry", "information", "twins", "references", "trust", "published", "heads"),
    False,
)


def edited(folder: Path, name: str, change) -> None:
    values = json.loads((folder / name).read_text())
    change(values)
    (folder / name).write_text(json.dumps(values))


def named(folder: Path, role: str, name: str) -> None:
    edited(folder, "study.json", lambda study: study["models"][role].update(name=name))


def shown(table) -> list[list[str]]:
    rows = [row for group in table.groups for row in group]
    return [[c.text if isinstance(c, Cell) else c for c in row] for row in rows]


@pytest.fixture
def pair(tmp_path):
    """Two studies: `one` has model-a and model-b, `two` has model-a again and `other`."""
    one = make_study(tmp_path / "one", layers={"a": 4, "b": 5}, tasks=3, **LEAN)
    two = tmp_path / "two"
    shutil.copytree(one, two)
    named(two, "b", "other")
    return one, two


def compared(*folders: Path) -> across.Comparison:
    return across.compare([Study.read(folder) for folder in folders])


def test_a_model_with_the_same_results_counts_once(pair):
    found = compared(*pair)
    assert [column.name for column in found.columns] == ["model-a", "model-b", "other"]
    assert found.columns[0].studies == [1, 2]
    assert found.notes == ("The same results in studies 1 and 2, counted once: model-a",)
    (table,) = across.tables(found)
    assert table.head == ["Task", "Chance", "model-a", "model-b", "other"]
    assert len(table.groups) == 3


def test_a_model_with_other_results_is_shown_twice(pair):
    edited(
        pair[1],
        "probes/a.json",
        lambda probes: probes["tasks"][0]["layers"][1]["splits"]["test_inst"].update(value=0.11),
    )
    found = compared(*pair)
    names = [column.name for column in found.columns]
    assert names == ["model-a (study 1)", "model-b", "model-a (study 2)", "other"]
    (note,) = found.notes
    assert note == ("Other results in study 2 than in 1, both shown: model-a (Instrument family)")


def test_another_checkpoint_is_another_model(pair):
    edited(
        pair[1],
        "study.json",
        lambda study: study["models"]["a"]["weights"].update(sha256="f" * 64),
    )
    found = compared(*pair)
    assert len(found.columns) == 4 and found.notes == ()


def test_other_data_and_protocols_have_tables_of_their_own(pair):
    edited(pair[1], "study.json", lambda study: study["data"].update(identity="b" * 64))
    found = compared(*pair)
    assert len(found.settings) == 2 and len(found.columns) == 4
    assert [len(table.head) for table in across.tables(found)] == [4, 4]
    assert found.notes[0].startswith("Results on other data or by another protocol are not comp")
    assert "identity bbbbbbbbbbbb" in found.notes[0]
    one, two = (Study.read(folder) for folder in pair)
    edited(
        pair[1],
        "study.json",
        lambda study: study["data"].update(
            two.raw["data"] | {"identity": one.raw["data"]["identity"]}
        ),
    )
    for role in "ab":
        edited(pair[1], f"probes/{role}.json", lambda probes: probes.update(protocol="marble"))
    assert [s.protocol for s in compared(*pair).settings] == ["linear", "marble"]


def test_other_rows_stand_in_a_row_of_their_own(pair):
    for role in "ab":
        edited(
            pair[1], f"probes/{role}.json", lambda probes: probes["tasks"][1]["n"].update(test=7)
        )
    found = compared(*pair)
    (table,) = across.tables(found)
    assert len(table.groups) == 4
    rows = shown(table)
    pitch = [i for i, row in enumerate(rows) if row[0] == "Pitch"]
    assert len(pitch) == 2
    # in the first row study 1 alone has scores, in the second study 2 alone
    dashes = [[cell == "\N{EN DASH}" for cell in rows[i][2:]] for i in pitch]
    assert dashes[0] == [not dash for dash in dashes[1]]
    assert "7 test rows" in rows[pitch[1] + 1][0]
    assert any("asked of other rows, splits" in note and "Pitch" in note for note in found.notes)


def test_the_level_of_chance_stands_beside_the_scores(pair):
    edited(pair[1], "probes/b.json", lambda probes: probes["tasks"][0].update(chance=0.25))
    edited(pair[0], "probes/b.json", lambda probes: probes["tasks"][1].update(chance=None))
    (table,) = across.tables(compared(*pair))
    one = Study.read(pair[0]).probes["a"].tasks
    levels = [row[1] for row in shown(table)[::2]]
    assert levels[0] == f"{next(iter(one.values())).chance:.2f} to 0.25"
    assert levels[2] == f"{list(one.values())[2].chance:.2f}"
    assert [row[1] for row in shown(table)[1::2]] == ["", "", ""]


def test_bold_is_the_best_by_validation(pair):
    (table,) = across.tables(compared(*pair))
    studies = [Study.read(folder) for folder in pair]
    columns = [(studies[0], "a"), (studies[0], "b"), (studies[1], "b")]
    for group, key in zip(table.groups, studies[0].task_keys(), strict=True):
        valid = [s.probes[r].tasks[key].chosen.valid.value for s, r in columns]
        bold = [isinstance(cell, Cell) and cell.bold for cell in group[0][2:]]
        assert bold.index(True) == valid.index(max(valid)) and sum(bold) == 1


def test_models_stand_side_by_side_over_the_same_tasks(pair):
    edited(pair[1], "probes/b.json", lambda probes: probes["tasks"].pop(0))
    with look():
        (drawing,) = side_by_side(compared(*pair))
    panels = [axes for axes in drawing.figure.axes if axes.images]
    assert [panel.get_title(loc="left") for panel in panels] == ["model-a", "model-b", "other"]
    sizes = [panel.images[0].get_array().shape for panel in panels]
    assert sizes == [(3, 4), (3, 5), (3, 5)]
    tables = [np.ma.getmaskarray(panel.images[0].get_array()) for panel in panels]
    blank = [mask.all(axis=1).sum() for mask in tables]
    assert blank == [0, 0, 1]


def test_one_document_of_two(pair, tmp_path):
    (path,) = write_joined(pair, tmp_path / "out", ("md",))
    assert path == tmp_path / "out" / "report-joined.md"
    text = path.read_text(encoding="utf-8")
    places = [
        text.index(f"## {question}")
        for question in ("Which model knows what?", "Who specialises in what, side by side?")
    ]
    places += [text.index(f"# Study {n}: Model A and Model B on mini\n") for n in (1, 2)]
    assert places == sorted(places)
    assert text.count("## What did this study find?") == 2
    assert text.count("## How were the numbers made?") == text.count("## References") == 1
    assert text.count("## Can I trust and repeat it?") == 2
    assert text.count("Rendered audio: the timbres are those of one General MIDI font.") == 1
    assert "counted once: model-a" in text
    first = text[: text.index("**Before you believe this**")]
    told = [line for line in first.splitlines() if line.startswith("- *")]
    assert told and len(told) == len(set(told)) and "not supported" not in first
    assert all(text.count(line) > 1 for line in told), "each stands in its study, too"
    figures = {file.name for file in (tmp_path / "out" / "report-joined-figures").iterdir()}
    assert {"s1-overview.svg", "s2-overview.svg", "side-by-side-1.svg"} <= figures


@pytest.mark.slow
def test_pages_of_three(pair, tmp_path):
    pypdf = pytest.importorskip("pypdf")
    third = make_study(tmp_path / "three", layers={"a": 6}, tasks=2, seed=3)
    (path,) = write_joined([*pair, third], tmp_path / "out")
    reader = pypdf.PdfReader(path)
    titles = [entry.title for entry in reader.outline if not isinstance(entry, list)]
    assert [t[:8] for t in titles if t.startswith("Study")] == ["Study 1:", "Study 2:", "Study 3:"]


def test_folders_that_cannot_be_joined_are_named(pair, tmp_path):
    with pytest.raises(ReportError, match=f"{tmp_path}/none: no such folder"):
        write_joined([pair[0], tmp_path / "none"])
    with pytest.raises(ReportError, match=r"study\.json"):
        write_joined([pair[0], tmp_path])
    with pytest.raises(ReportError, match="given twice"):
        write_joined([pair[0], pair[1] / ".." / "one"])
    with pytest.raises(ReportError, match="is a file"):
        write_joined(pair, pair[0] / "study.json")
