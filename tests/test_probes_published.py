"""Published numbers: every row is whole, and what is not comparable is told apart."""

from __future__ import annotations

import re

import pytest

from extract import models
from probes.errors import ProbeError
from probes.published import METRICS, everything, numbers

GOOD = """
[[table]]
source = "A, arXiv:0000.00000, table 1"
protocol = "frozen"
note = "of a table"
scale = 100
columns = [
    { task = "genre", dataset = "gtzan", metric = "accuracy", note = "of a column" },
    { task = "key", dataset = "giantsteps-key", metric = "weighted key score" },
]
[table.values]
a = [70.0, "-"]
b = [80, 60.5]
[table.spreads]
b = [0.5, "-"]
[table.notes]
b = "of a model"
"""


def test_every_row_is_well_formed():
    for row in everything():
        for word in (row.task, row.dataset, row.model, row.protocol, row.source):
            assert word and word == word.strip(), row
        assert row.metric in METRICS, row
        assert re.search(r"arXiv:\d{4}\.\d{5}|ISMIR \d{4}", row.source), row
        assert re.search(r"table|results|MARBLE#7", row.source), row
        assert 0 < row.value < (1 if METRICS[row.metric] else 20), row
        assert row.spread is None or 0 <= row.spread < 0.01, row
        assert row.note == row.note.strip("; "), row


def test_models_that_look_like_ours_are_ours():
    names = {row.model for row in everything()}
    ours = names & set(models.names())
    assert ours == {
        "clmr",
        "mert-330m",
        "mert-95m",
        "mert-v0",
        "mert-v0-public",
        "mule",
        "music2vec",
        "musicfm",
        "musicfm-fma",
        "tune",
        "tune-plus",
    }
    assert all(name[0].isupper() for name in names - ours)


def test_all_tables_are_there():
    rows = everything()
    count = {}
    for row in rows:
        paper = row.source.partition(",")[0]
        count[paper] = count.get(paper, 0) + 1
    # of MARBLE's table 3, the beats of four models are not there
    assert count == {
        "MARBLE": 9 * 11 - 4 + 9 * 8 + 5 * 4,
        "MERT": 2 + 10,
        "MuQ": 4 * 11 + 1,
        "MusicFM": 12 * 8,
        "jukemir": 2 * 6,
        "MULE": 6 * 12,
        "TUNe": 2 * 6 + 3 * 2,
    }


def test_numbers_of_a_task():
    keys = numbers("key", "giantsteps-key")
    assert keys and {row.metric for row in keys} == {"weighted key score"}
    assert len(numbers("key")) > len(keys)
    found = [row for row in keys if row.model == "mule" and row.source.startswith("MARBLE")]
    assert [row.value for row in found] == [pytest.approx(0.649)]
    spread = [row for row in numbers("genre", "gtzan") if row.model == "MuQ (160k h)"]
    assert [(row.value, row.spread) for row in spread] == [
        (pytest.approx(0.855), pytest.approx(0.009))
    ]
    assert numbers("genre", "nowhere") == numbers("smell") == ()
    assert all(row.metric == "SDR" for row in numbers("separation of vocals", "musdb18"))


def test_the_two_tables_of_mert_are_told_apart():
    for model, marble, own in (("mert-95m", 0.748, 0.786), ("mert-330m", 0.776, 0.793)):
        rows = [row for row in numbers("genre", "gtzan") if row.model == model]
        values = {row.source.partition(",")[0]: row.value for row in rows}
        assert values == pytest.approx({"MARBLE": marble, "MERT": own})
        first, second = rows
        assert first.source != second.source and first.protocol != second.protocol
        assert "other numbers" in first.note and "not comparable" in second.note
    # the row that MuQ quotes mixes two sizes, so it is neither
    quoted = [
        r for r in everything() if r.source.startswith("MERT") and "quoted in MuQ" in r.source
    ]
    assert {row.model for row in quoted} == {"MERT (mixed sizes)"}
    assert all("mixed" in row.note for row in quoted)


def test_caveats_are_said():
    notes = {row.model: row.note for row in everything()}
    assert "not the released muq" in notes["MuQ iterated (160k h)"]
    assert all("not MARBLE" in r.note for r in everything() if r.source.startswith("MusicFM"))
    assert all("70 ms" in row.note for row in numbers("beats", "gtzan"))
    jukebox = [r for r in numbers("moods", "mtg-jamendo") if r.model == "Jukebox-5B"]
    assert jukebox and all("not finished" in row.note for row in jukebox)


def test_a_file_is_read(tmp_path):
    path = tmp_path / "good.toml"
    path.write_text(GOOD)
    rows = everything(path)
    assert [(r.model, r.task, r.value, r.spread) for r in rows] == [
        ("a", "genre", 0.7, None),
        ("b", "genre", 0.8, 0.005),
        ("b", "key", 0.605, None),
    ]
    assert [r.note for r in rows] == [
        "of a table; of a column",
        "of a table; of a column; of a model",
        "of a table; of a model",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"A, arXiv:0000.00000, table 1"', '" "', "table 1: source is missing"),
        ('protocol = "frozen"\n', "", "table 1: protocol is missing"),
        ('dataset = "gtzan", ', "", "table 1: dataset is missing"),
        ('"accuracy"', '"acc"', "the metric 'acc' is none of accuracy"),
        ("scale = 100", "scale = 0", "a scale above 0"),
        ("scale = 100", "scale = 10", "a: 7 is above 1"),
        ('70.0, "-"', "70.0", "table 1, a: 2 columns"),
        ("70.0,", "nan,", "a: nan is no number"),
        ("70.0,", '"70",', "a: '70' is no number"),
        ('[0.5, "-"]', '[-0.5, "-"]', "b: a spread below 0"),
        ('b = "of', 'c = "of', "c has values"),
        ("[[table]]", "[[tables]]", "put back"),
        ("[[table]]", "[[table", "put back"),
    ],
)
def test_a_broken_file_is_named_in_one_line(tmp_path, old, new, message):
    path = tmp_path / "broken.toml"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(ProbeError, match=re.escape(message)) as caught:
        everything(path)
    assert "broken.toml" in str(caught.value) and "\n" not in str(caught.value)


def test_a_number_that_is_there_twice_is_named(tmp_path):
    path = tmp_path / "twice.toml"
    path.write_text(GOOD + GOOD)
    with pytest.raises(ProbeError, match="genre, gtzan, a, accuracy, A, .* is there twice"):
        everything(path)
