"""Study files: what they may hold, what is refused in one line, the shipped ones."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli import studyfile
from cli.comparison import Comparison
from cli.probingrun import ProbingRun
from extract import models
from probes import published
from reports.expectations import Quantity

GOOD = """
title = "Two networks"
question = "Which?"
data = "mini"
limit = 100
seed = 3
window = 10

[weights]
muq = "~/muq"

[[compare]]
name = "pair"
a = "musicfm"
b = "muq"
tasks = "none"
measures = ["cka:linear,debiased", "pwcca"]
twins = true
layers-a = ["block01", "final"]

[[probe]]
name = "tasks"
models = ["muq", "chordnet"]
data = "mini:chorale"
tasks = ["key", "density"]
heads = "none"
max-frames = 500

[[expect]]
step = "tasks"
kind = "best-layer"
says = "Key is in the middle."
source = "Doe 2020, table 1"
data = "mini"
of = { model = "muq", task = "key" }
part = "middle"

[[expect]]
step = "pair"
kind = "curve"
says = "It falls."
source = "Doe 2020, figure 1"
of = { model = "musicfm", like = "log-mel" }
direction = "falling"
"""


def read(folder: Path, text: str):
    path = folder / "some.toml"
    path.write_text(text, encoding="utf-8")
    return studyfile.read(path)


def test_every_key_finds_its_option(tmp_path):
    found = read(tmp_path, GOOD)
    assert (found.title, found.question, found.seed) == ("Two networks", "Which?", 3)
    assert found.running == {"window": 10.0}
    pair, tasks = found.steps
    assert pair.asked == Comparison(
        a="musicfm", b="muq", data="mini", limit=100, tasks="none",
        measures="cka:linear,debiased,pwcca", weights_b=Path.home() / "muq",
        layers_a="block01,final", twins=True,
    )  # fmt: skip
    assert tasks.asked == ProbingRun(
        models=("muq", "chordnet"), weights={"muq": Path.home() / "muq"}, data="mini:chorale",
        limit=100, tasks="key,density", heads="none", max_frames=500,
    )  # fmt: skip
    best, curve = found.expectations
    assert best.quantities == (Quantity("muq", task="key"),) and best.data == ("mini",)
    assert curve.quantities == (Quantity("musicfm", like="log-mel"),) and curve.data == ()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('title = "Two networks"', "", "some.toml: title is missing"),
        ("seed = 3", "sead = 3", "some.toml: unknown key 'sead'; did you mean seed?"),
        ("seed = 3", 'seed = "3"', "some.toml: seed should be a whole number"),
        ("seed = 3", "seed = true", "seed should be a whole number"),
        ("limit = 100", "limit = 0", "limit should be a whole number above 0"),
        ("window = 10", "window = -1", "window should be a number above 0"),
        ('name = "pair"', 'name = "a pair"', "name should be a name of small letters"),
        ('name = "pair"', "", "some.toml, compare 1: name is missing"),
        ('name = "pair"', 'name = "tasks"', "two steps are called 'tasks'"),
        ("measures =", "mesures =", "compare pair: unknown key 'mesures'; did you mean measures?"),
        ("twins = true", 'twins = "yes"', "compare pair: twins should be true or false"),
        ('b = "muq"', "b = 3", "compare pair: b should be text"),
        ('["key", "density"]', '["key", ""]', "tasks should be a list of names without an empty"),
        ('["key", "density"]', '["key", 3]', "probe tasks: tasks should be a list of names"),
        ('["key", "density"]', '"none"', "probe tasks: --task none: nothing to probe"),
        ('["muq", "chordnet"]', "[]", "models should be a list of names"),
        ('muq = "~/muq"', 'muk = "x"', "weights: no step has a model 'muk'; did you mean muq?"),
        ('muq = "~/muq"', "muq = 1", "weights: muq should be text"),
        ('kind = "best-layer"', 'kind = "best"', "kind 'best' is not known; did you mean best-"),
        ('kind = "best-layer"', "", "some.toml, expect 1: kind is missing"),
        ('step = "tasks"', 'step = "task"', "no step is called 'task'; did you mean tasks?"),
        ('source = "Doe 2020, table 1"', "", "expect 1: source is missing"),
        ('part = "middle"', 'part = "centre"', "part should be one of early, middle, late"),
        ('part = "middle"', "", "layers (the published ones) or part"),
        ('part = "middle"', 'part = "late"\nwithin = 1', "within goes with layers"),
        ('part = "middle"', "tolerance = 1", "expect 1: unknown key 'tolerance'"),
        ('task = "key"', 'task = "keys"', "has no task 'keys'; did you mean key?"),
        ('task = "key"', 'like = "mfcc"', "step 'tasks' probes: it has no similarities"),
        ('task = "key"', 'task = "key", like = "mfcc"', "give task (for a score) or like"),
        ('task = "key"', 'task = "key", layer = "final"', "of should not name a layer"),
        ('task = "key"', 'task = "key", of = "muq"', "of does not go with task"),
        ('task = "key"', 'task = "key", twin = true', "step 'tasks' has no twins"),
        ('model = "muq", task', 'model = "mu", task', "has no model 'mu'; did you mean muq?"),
        ('like = "log-mel"', 'like = "log-mel", split = "test"', "split does not go with like"),
        ('model = "musicfm", like', 'model = "references", like', "not compared with each other"),
        ('direction = "falling"', 'direction = "down"', "direction should be one of rising"),
        ('direction = "falling"', "", "give values with their layers, or a direction"),
        ('direction = "falling"', "values = [1, 2]", "2 values for 0 layers"),
        ('direction = "falling"', 'values = [1]\nlayers = ["a"]', "a curve has three layers"),
        ('direction = "falling"', 'direction = "rising"\nleast = 0.5', "least goes with values"),
        ("[weights]", "[weights", "cannot be read as TOML"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_one_line(tmp_path, old, new, words):
    assert old in GOOD
    with pytest.raises(click.UsageError) as caught:
        read(tmp_path, GOOD.replace(old, new, 1))
    assert words in caught.value.message and "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ('rising = [{model = "muq", task = "key"}]', "two quantities or more"),
        ('rising = [{model = "muq", task = "key"}, {model = "chordnet", task = "key"}]\n'
         "values = [2, 1]", "values should rise"),
        ('rising = [{model = "muq", task = "key"}, {model = "chordnet", task = "key"}]\n'
         "values = [1, 2, 3]", "3 values for 2 quantities"),
        ('rising = [{model = "muq", task = "key"}, {model = "chordnet", tusk = "key"}]',
         "expect 1, rising: unknown key 'tusk'; did you mean task?"),
        ('rising = "muq"', "rising should be tables"),
    ],
)  # fmt: skip
def test_an_ordering_that_is_none_is_one_line(tmp_path, keys, words):
    text = GOOD.replace('of = { model = "muq", task = "key" }\npart = "middle"', keys)
    with pytest.raises(click.UsageError) as caught:
        read(tmp_path, text.replace('kind = "best-layer"', 'kind = "ordering"'))
    assert words in caught.value.message


def test_a_number_needs_value_and_tolerance(tmp_path):
    text = GOOD.replace('kind = "best-layer"', 'kind = "number"').replace('part = "middle"', "{}")
    for keys, word in (("value = 1", "tolerance is missing"), ("tolerance = 1", "value is missing"),
                       ("value = 1\ntolerance = 0", "tolerance should be a number above 0"),
                       ("value = nan\ntolerance = 1", "value should be a number")):  # fmt: skip
        with pytest.raises(click.UsageError) as caught:
            read(tmp_path, text.replace("{}", keys))
        assert word in caught.value.message
    found = read(tmp_path, text.replace("{}", "value = 1\ntolerance = 0.5")).expectations[0]
    assert (found.values, found.tolerance) == ((1.0,), 0.5)


def test_a_file_without_steps_and_one_that_is_nowhere(tmp_path):
    with pytest.raises(click.UsageError, match="nothing to do"):
        read(tmp_path, 'title = "T"')
    with pytest.raises(click.UsageError, match="there is no such file"):
        studyfile.find(str(tmp_path / "nope.toml"))
    with pytest.raises(click.UsageError, match="did you mean tune-depth"):
        studyfile.find("tune-deep")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    table=st.sampled_from(["top", "compare", "probe", "best-layer", "ordering", "number", "curve"]),
    data=st.data(),
)
def test_any_value_is_taken_or_refused_in_one_line(table, data):
    keys = {
        "top": studyfile._TOP, "compare": studyfile._COMPARE, "probe": studyfile._PROBE,
    }.get(table) or {**studyfile._EXPECT, **studyfile._OF_KIND[table]}  # fmt: skip
    drawn = data.draw(st.dictionaries(st.sampled_from(sorted(keys)), VALUES))
    found = studyfile._Table("here", drawn, keys)
    for key in drawn:
        try:
            found(key)
        except click.UsageError as error:
            assert error.message.startswith(f"here: {key} should be ")
            assert "\n" not in error.message


@pytest.mark.parametrize("name", studyfile.shipped())
def test_shipped_studies_are_valid_and_say_where_their_numbers_come_from(name):
    found = studyfile.read(studyfile.shipped()[name])
    assert found.question.endswith("?") and found.expectations
    assert (studyfile.shipped()[name]).read_text(encoding="utf-8").startswith("# ")
    for one in found.expectations:
        assert one.says.endswith(".") and len(one.source) > 15
        step = next(step for step in found.steps if step.name == one.step)
        for asked in one.quantities:
            if asked.model != studyfile.REFERENCES:
                known = {layer.name for layer in models.spec(asked.model).card.layers}
                assert {*one.layers, asked.layer or "last"} <= known | {"last"}, step.name


def test_marble_s_numbers_in_studies_are_those_of_the_published_table():
    """Every number that a study takes from a table that is kept is the one kept there."""
    labels = {"pitch_number": "pitch", "beat": "beats"}
    aliases = {"musicnn-msd": "MusiCNN (MSD, big)"}
    held = 0
    for path in studyfile.shipped().values():
        for one in studyfile.read(path).expectations:
            if not one.source.startswith("MARBLE, arXiv") or one.kind not in ("number", "ordering"):
                continue
            for asked, value in zip(one.quantities, one.values, strict=True):
                rows = published.numbers(labels.get(asked.task, asked.task), one.data[0])
                names = {asked.model, aliases.get(asked.model)}
                known = [row.value for row in rows
                         if row.model in names and row.source.startswith("MARBLE")]  # fmt: skip
                assert any(value == pytest.approx(v) for v in known), (path.stem, one.says, known)
                held += 1
    assert held > 10
