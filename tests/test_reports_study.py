"""Reading study folders: what is there, and one line for what is wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
from study_fixture import HOSTILE, make_study

from reports import ReportError, Study, tables
from reports.words import clean


@pytest.fixture
def folder(tmp_path):
    return make_study(tmp_path / "study", layers={"a": 4, "b": 5})


def change(path, edit):
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))


def refused(folder) -> str:
    with pytest.raises(ReportError) as caught:
        Study.read(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


def test_reads_everything(folder):
    study = Study.read(folder)
    assert list(study.models) == ["a", "b"]
    assert study.models["b"].layer_names[-1] == "final"
    pairs = "a-a a-b a-ref b-b b-ref a0-ref b0-ref a-a0 b-b0"
    assert set(study.similarity) == {tuple(pair.split("-")) for pair in pairs.split()}
    assert list(study.twins) == ["a0", "b0"]
    assert study.name_of("b0") == "model-b untrained"
    measure = study.between("a", "b").main()
    assert measure.name == "cka:linear,track-debiased"
    assert measure.value.shape == (4, 5)
    assert np.array_equal(study.between("b", "a").main().value, measure.value.T)
    task = study.probes["a"].tasks["instrument"]
    assert task.headline == "test_inst"
    assert task.best().value == task.curve("test_inst")[task.index, 0]


def test_main_measure_falls_back(folder):
    path = folder / "similarity" / "a-b.json"
    change(path, lambda v: v["measures"].pop(0))
    assert Study.read(folder).between("a", "b").main().name == "cka:linear,debiased"
    change(path, lambda v: v.update(measures=v["measures"][2:3]))
    assert Study.read(folder).between("a", "b").main().family == "cca"
    change(path, lambda v: v.update(measures=[]))
    assert Study.read(folder).between("a", "b").main() is None


def test_directed_measures_are_not_turned_round(folder):
    path = folder / "similarity" / "a-b.json"
    change(path, lambda v: v["measures"][0].update(symmetric=False))
    study = Study.read(folder)
    assert "cka:linear,track-debiased" in study.between("a", "b").measures
    assert "cka:linear,track-debiased" not in study.between("b", "a").measures


def test_nulls_become_nan(tmp_path):
    study = Study.read(make_study(tmp_path / "s", nulls=True))
    assert np.isnan(study.between("a", "b").main().value[0, -1])
    assert np.isnan(study.probes["a"].tasks["key"].curve("test")[1:3]).all()


def test_missing_folder_and_file(tmp_path, folder):
    assert "no such folder" in refused(tmp_path / "nowhere")
    (folder / "study.json").unlink()
    assert "study.json: missing" in refused(folder)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("study.json", "{", "not JSON"),
        ("study.json", "[]", "nothing that this program wrote"),
        ("study.json", '{"format": 2}', "format 2"),
        ("study.json", '{"title": "x"}', "nothing that this program wrote"),
        ("study.json", '{"format": 1, "title": "x", "models": {}}', "no models"),
        ("study.json", '{"format": 1, "models": {"../x": {}}, "title": "x"}', "is no role"),
        ("similarity/a-b.json", "\udcff", "cannot be read"),
        ("similarity/a-b.json", '{"format": 1, "x": "a"}', "this version reads 2"),
        ("similarity/a-b.json", '{"format": 2, "x": "a"}', "layers_x"),
        ("geometry/a.json", '{"format": 1, "x": "a", "layers": ["l"]}', "quantities"),
        ("information/a.json", '{"format": 2}', "format 2"),
        ("probes/a.json", '{"format": 2}', "tasks"),
        ("probes/a.json", '{"format": 2, "tasks": [{"task": "t", "layers": []}]}', "is empty"),
        ("probes/a.json", "[" * 100_000, "not JSON"),
    ],
)
def test_damaged_files_are_named(folder, name, content, words):
    (folder / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    message = refused(folder)
    assert str(folder / name) in message
    assert words in message


@pytest.mark.parametrize(
    ("name", "edit", "words"),
    [
        (
            "similarity/a-b.json",
            lambda v: v["measures"][0]["value"].pop(),
            "the layers make it 4x5",
        ),
        ("similarity/a-b.json", lambda v: v["measures"][0].update(low="x"), "not a matrix"),
        ("similarity/a-b.json", lambda v: v.update(layers_x=["q"] * 4), "names a layer twice"),
        ("similarity/a-b.json", lambda v: v["measures"][0].pop("measure"), "measures[0].measure"),
        (
            "similarity/a-b.json",
            lambda v: v["measures"][1].pop("p"),
            "measures[1].p is missing",
        ),
        (
            "similarity/a-b.json",
            lambda v: v["measures"][0]["p"][0].__setitem__(0, 1.5),
            "outside 0 to 1",
        ),
        (
            "similarity/a-b.json",
            lambda v: v["measures"][0].update(larger_is_more_similar="yes"),
            "neither true nor false",
        ),
        (
            "similarity/a-b.json",
            lambda v: v["measures"][0]["extra"].update(ceiling_x=[1.0]),
            "measures[0].extra.ceiling_x is 1, the layers make it 4",
        ),
        (
            "similarity/a-b.json",
            lambda v: v["structure"]["path"][0].update(y=5),
            "structure.path[0].y is no place among 5 layers",
        ),
        (
            "similarity/a-b.json",
            lambda v: v["structure"]["best_x"].pop(),
            "structure.best_x has 3 entries for 4 layers",
        ),
        (
            "similarity/a-a.json",
            lambda v: v["structure"]["tree"][0].__setitem__(0, 9),
            "structure.tree is no linkage",
        ),
        (
            "similarity/a-a.json",
            lambda v: v["structure"]["blocks"][0].update(stability=93),
            "structure.blocks[0].stability is not between 0 and 1",
        ),
        (
            "similarity/a-a.json",
            lambda v: v["stability"]["shares"][0].update(deviation=0.1),
            "stability.shares[0].deviation is not a mapping",
        ),
        (
            "geometry/a.json",
            lambda v: v["quantities"][0]["value"].pop(),
            "quantities[0].value is 3, the layers make it 4",
        ),
        ("information/b.json", lambda v: v["labels"][1].pop("p"), "labels[1].p is missing"),
        ("study.json", lambda v: v["twins"].update(c0={}), "'c0' is the twin of no model"),
        ("probes/a.json", lambda v: v["tasks"][0].update(selected="nope"), "not among the layers"),
        ("probes/a.json", lambda v: v["tasks"][0].update(chance="high"), "not a number"),
        ("probes/a.json", lambda v: v["tasks"][0]["layers"][0].update(splits=[]), "not a mapping"),
        ("study.json", lambda v: v.pop("title"), "title"),
        ("study.json", lambda v: v["models"]["a"].update(layers="x"), "models.a.layers"),
        ("study.json", lambda v: v.update(stamps="UNTRAINED"), "stamps"),
    ],
)
def test_wrong_contents_are_named(folder, name, edit, words):
    change(folder / name, edit)
    message = refused(folder)
    assert str(folder / name) in message
    assert words in message


def test_text_is_cleaned():
    assert clean("a\x00b\x1b[31m\tc\nd\u202ee") == "ab[31m c de"
    assert len(clean("x" * 10_000, 50)) == 50
    assert clean(None) == ""
    assert "\x00" not in clean(HOSTILE)
    assert "\u202e" not in clean(HOSTILE)


def test_a_reader_is_told_what_is_missing_and_what_rests_on_little(folder):
    before = tables.reservations(Study.read(folder))
    assert not any("not probed" in line for line in before)
    why = [{"task": "key", "why": "8 labelled rows in train; 20 are needed"}]
    change(folder / "probes" / "a.json", lambda v: v.update(skipped=why))
    change(
        folder / "study.json",
        lambda v: v.update(failures=[{"clip": "x", "file": "x.mp3", "reason": "broken"}]),
    )
    for file in (folder / "similarity").glob("*.json"):
        change(file, lambda v: v.update(n_groups=4))
    text = "\n".join(tables.reservations(Study.read(folder)))
    assert "not probed: key (8 labelled rows in train; 20 are needed)" in text
    assert "clips that could not be used: 1" in text and "rests on 4 groups" in text


def test_parts_that_are_optional_may_be_absent(tmp_path):
    folder = make_study(
        tmp_path / "s", layers={"a": 4}, geometry=False, information=False, twins=False
    )
    change(folder / "study.json", lambda v: v.pop("twins"))
    change(folder / "similarity" / "a-a.json", lambda v: v.update(structure=None, stability=None))
    study = Study.read(folder)
    assert study.geometry == study.information == study.twins == {}
    assert study.between("a", "a").structure is None


def test_the_main_measure_is_no_distance_and_not_in_bits(folder):
    path = folder / "similarity" / "a-b.json"
    change(path, lambda v: v.update(measures=[v["measures"][-1]]))
    assert Study.read(folder).between("a", "b").main() is None
    change(
        path,
        lambda v: v["measures"][0].update(family="shape", unit="", larger_is_more_similar=False),
    )
    assert Study.read(folder).between("a", "b").main() is None


def test_extra_numbers_turn_with_the_comparison(folder):
    path = folder / "similarity" / "a-b.json"
    change(
        path,
        lambda v: v["measures"][0]["extra"].update(
            ceiling_y=[0.1] * 5, ceiling=[[float(j) for j in range(5)]] * 4
        ),
    )
    study = Study.read(folder)
    turned = study.between("b", "a").main()
    assert turned.extra["ceiling_x"].shape == (5,)
    assert turned.extra["ceiling_y"].shape == (4,)
    assert turned.extra["ceiling"].shape == (5, 4)


def test_the_record_says_what_fewer_tracks_and_draws_mean(folder):
    study = Study.read(folder)
    rows = dict(tables.steadiness(study))
    assert set(rows) == {"model-a", "model-b", "model-a and model-b"}
    assert "on 0.50 of the groups (160) cells move by 0.024 [0.020, 0.028]" in rows["model-a"]
    assert "rank correlation 0.96" in rows["model-a"]
    assert "permutation of groups, 99 draws" in dict(tables.smallest_p(study))["1/100 = 0.01"]
    change(
        folder / "similarity" / "a-b.json",
        lambda v: v["measures"][0].update(chance_by="permutation of groups, 9 draws"),
    )
    found = dict(tables.smallest_p(Study.read(folder)))["1/10 = 0.1"]
    assert "permutation of groups, 9 draws" in found and "no cell can be above chance" in found
