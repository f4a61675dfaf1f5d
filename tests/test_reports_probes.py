"""What the report says of probes: evidence, published numbers, other heads, number of notes."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from matplotlib.colors import to_hex
from probing_fixture import CLIP_TASKS, EASY, HEADS, HELPED, TASKS
from study_fixture import make_study

from reports import ReportError, Study, glossary, tables_probes
from reports.explain import methods
from reports.figures import curves, evidence, levels, probe, voices, weights
from reports.findings import STRONG, SUGGESTIVE, UNSUPPORTED, find, of_section
from reports.style import ROLE_TEXT, ROLES, look

BARE = {"similarity": False, "geometry": False, "information": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("probes") / "s", **BARE)


@pytest.fixture(scope="module")
def study(folder):
    return Study.read(folder)


@pytest.fixture(scope="module")
def found(study):
    return find(study)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Probes that say nothing but scores."""
    place = tmp_path_factory.mktemp("plain") / "s"
    return Study.read(make_study(place, trust=False, published=False, heads=False, **BARE))


def change(folder, role, edit):
    path = folder / "probes" / f"{role}.json"
    values = json.loads(path.read_text())
    edit({task["task"]: task for task in values["tasks"]}, values)
    path.write_text(json.dumps(values))


def panels(drawing):
    return [axes for axes in drawing.figure.axes if axes.get_visible()]


def inside(figure) -> None:
    """No axes overlaps another, and all text stays on the figure."""
    figure.draw_without_rendering()
    boxes = [axes.get_position() for axes in figure.axes]
    for i, one in enumerate(boxes):
        for other in boxes[:i]:
            width = min(one.x1, other.x1) - max(one.x0, other.x0)
            height = min(one.y1, other.y1) - max(one.y0, other.y0)
            assert width < 1e-6 or height < 1e-6
    for axes in figure.axes:
        for text in (*axes.texts, *_ticks(axes.xaxis), *_ticks(axes.yaxis), axes.title):
            if text.get_text() and text.get_visible():
                box = text.get_window_extent()
                assert -1.5 <= box.x0 < box.x1 <= figure.bbox.width + 1.5, text.get_text()
                assert -1.5 <= box.y0 < box.y1 <= figure.bbox.height + 1.5, text.get_text()


def _ticks(axis):
    """Labels of ticks that are in view."""
    low, high = sorted(axis.get_view_interval())
    return [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]


# reading


def test_what_bears_a_score_out_is_read(study):
    task = study.probes["a"].tasks["tempo"]
    found = task.chosen.trust
    assert found.selectivity.value == pytest.approx(0.9 * (task.best().value - task.chance))
    assert math.isnan(found.code.compression.value) and found.code.saved.bounded
    assert found.learning.steps[-1] == 400 and found.learning.rise.bounded
    assert found.components.enough == 48 and found.components.scores.shape == (7, 3)
    assert found.calibration.intervals and len(found.calibration.stated) == 10
    assert found.shuffled.p == 0.05
    assert task.selected in task.trust.comparison.not_worse
    assert task.trust.emergence.decodable.shape == (len(task.layers), 3)
    metre = study.probes["a"].tasks["metre"].chosen.trust.calibration
    assert not metre.intervals and metre.p == 0.002 and metre.error > metre.chance
    # the quoted split is another one: what is null there is not taken from elsewhere
    assert math.isnan(study.probes["a"].tasks["instrument"].chosen.trust.components.enough)
    assert study.probes["ref"].tasks["key"].trust.comparison is None


def test_further_metrics_heads_and_published_numbers_are_read(study):
    beat = study.probes["b"].tasks["beat"]
    assert beat.further == ("F peaks", "CMLt", "AMLt")
    assert beat.best("CMLt").bounded and beat.best("CMLt", "test_inst").bounded
    assert beat.chance_of("AMLt") == 0.1 and math.isnan(beat.chance_of("R2"))
    assert not beat.best("no such metric").exists
    heads = study.probes["a"].heads["tempo"]
    assert [head.head for head in heads] == [h for h in HEADS if h != "centroid"]
    assert {head.head: head.selected for head in heads}["weighting"] == "all"
    rows = study.probes["a"].tasks["key"].published
    assert [row.model for row in rows[:3]] == ["model-a", "Jukebox-5B", "mule"]
    assert math.isnan(rows[0].spread) and rows[2].spread == 0.004


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda t: t["layers"][0].update(trust=[]), "layers[0].trust is not a mapping"),
        (
            lambda t: t["layers"][0]["trust"]["learning"]["scores"]["test"].pop(),
            "layers[0].trust.learning.scores has 4 entries for 5 rows",
        ),
        (
            lambda t: t["layers"][0]["trust"]["dimensions"].update(components="all"),
            "layers[0].trust.dimensions.components is missing or not a list",
        ),
        (
            lambda t: t["comparisons"]["test"].update(not_worse=["x"]),
            "'x', which is not among the layers",
        ),
        (
            lambda t: t["emergence"]["test"]["decodable"].pop(),
            "emergence.test.decodable has 3 entries for 4 layers",
        ),
        (lambda t: t.update(published=[{"model": "m"}]), "published[0].metric is missing"),
        (lambda t: t["layers"][0].update(also={"F": 3}), "layers[0].also.F is not a mapping"),
    ],
)
def test_wrong_contents_are_named(tmp_path, edit, words):
    folder = make_study(tmp_path / "s", layers={"a": 4}, twins=False, tasks=10, **BARE)
    change(folder, "a", lambda tasks, _: edit(tasks["key"]))
    with pytest.raises(ReportError) as caught:
        Study.read(folder)
    message = str(caught.value)
    assert "\n" not in message and "probes/a.json" in message and "tasks[9]" in message
    assert words in message


def test_an_old_format_is_refused_in_one_line(tmp_path):
    folder = make_study(tmp_path / "s", layers={"a": 4}, twins=False, tasks=1, **BARE)
    change(folder, "a", lambda _, values: values.update(format=1))
    with pytest.raises(ReportError, match=r"a\.json: format 1, this version reads 2") as caught:
        Study.read(folder)
    assert "\n" not in str(caught.value)


# findings


def one(found, kind, **numbers):
    hits = [f for f in found if f.kind == kind and numbers.items() <= f.numbers.items()]
    assert len(hits) == 1
    return hits[0]


def test_what_falls_on_unheard_instruments_is_said_with_its_interval(found):
    fall = one(found, "drop", task="pitch_class", role="b")
    assert fall.grade == STRONG
    assert fall.estimate.value == pytest.approx(0.28 * (fall.numbers["test"] - 1 / 12), abs=0.01)
    assert fall.claim.startswith("Pitch class falls where training heard nothing like it")
    others = [f for f in found if f.kind == "drop" and f.numbers["task"] != "pitch_class"]
    assert len(others) == 2 * (len(TASKS) - 1)
    assert {f.grade for f in others} == {UNSUPPORTED}


def test_scores_no_better_than_their_control_task_are_flagged(study, found):
    flagged = [f for f in found if f.kind == "selectivity" and f.grade == UNSUPPORTED]
    assert {f.numbers["task"] for f in flagged} == EASY
    assert all("no better than its control task" in f.claim for f in flagged)
    told = [f for f in found if f.kind == "selectivity" and f.grade == STRONG]
    assert [f"{len(TASKS) - 1} of {len(TASKS)} tasks of model-{r}" in " ".join(
        f.claim for f in told) for r in "ab"] == [True, True]  # fmt: skip
    assert any("Mode (model-a, model-b)" in line for line in tables_probes.warnings(study))


def test_a_published_number_never_makes_a_strong_claim(study, found):
    told = [f for f in found if f.kind == "published"]
    assert {(f.numbers["task"], f.numbers["role"]) for f in told} == {
        ("instrument", "a"), ("key", "a"),
    }  # fmt: skip
    assert {f.grade for f in told} == {SUGGESTIVE}
    assert all("says nothing of the model" in f.claim for f in told)
    assert all("better" not in f.claim and "worse" not in f.claim for f in told)


def test_a_spread_over_runs_widens_the_comparison(tmp_path):
    folder = make_study(tmp_path / "s", layers={"a": 4}, twins=False, tasks=10, **BARE)
    before = one(find(Study.read(folder)), "published", task="key").estimate
    change(folder, "a", lambda tasks, _: tasks["key"]["published"][0].update(spread=0.2))
    after = one(find(Study.read(folder)), "published", task="key")
    assert after.estimate.value == before.value and after.estimate.low < before.low
    assert after.grade == UNSUPPORTED and "no replication" in after.claim


def test_what_other_heads_add(found):
    told = [f for f in found if f.kind == "head"]
    assert len(told) == 2 * len(CLIP_TASKS)
    helped = [f for f in told if f.grade == STRONG]
    assert {f.numbers["task"] for f in helped} == set(HELPED)
    assert {f.numbers["head"] for f in helped} == {"mlp"}
    assert all("one hidden layer at" in f.claim for f in helped)
    assert {f.looked_at for f in told} == {2 * (5 * 7 + 4 * 5)}


def test_polyphony_is_held_against_chance_for_as_many_notes(found):
    told = one(found, "polyphony", role="b")
    assert told.grade == STRONG and told.null == 0.16 and told.numbers["notes"] == 4
    assert "with 4 notes at once" in told.claim


def test_a_section_begins_with_the_largest_of_each_kind(found):
    shown = of_section(found, "probes", 5)
    assert [f.kind for f in shown][:2] == ["advantage", "advantage"] or len(
        {f.kind for f in shown}
    ) == len(shown)
    assert {"advantage", "baseline", "polyphony", "drop"} <= {f.kind for f in shown}
    assert all(f.grade != UNSUPPORTED for f in shown)
    nothing = [f for f in found if f.grade == UNSUPPORTED]
    assert len(of_section(nothing, "probes", 5)) == 1
    assert of_section([], "probes", 5) == ()


# figures


def test_maps_hatch_what_is_not_above_its_control(study):
    with look():
        (drawing,) = evidence.evidence(study)
    maps = [axes for axes in panels(drawing) if axes.get_title(loc="left")]
    assert len(maps) == 2 * 5
    titles = [axes.get_title(loc="left") for axes in maps[:5]]
    assert titles[0].startswith("above the control")
    for axes, role in zip((maps[0], maps[5]), "ab", strict=True):
        tasks = study.probes[role].tasks.values()
        weak = sum(int((~(evidence.selectivity(t)[:, 1] > 0)).sum()) for t in tasks)
        hatched = [c for c in axes.collections if c.get_hatch()]
        assert sum(len(c.get_paths()) for c in hatched) == weak
        assert weak >= len(study.models[role].layer_names)
    inside(drawing.figure)


def test_the_chosen_and_the_first_good_layer_are_marked(study):
    with look():
        (drawing,) = evidence.evidence(study)
    axes = next(a for a in panels(drawing) if a.get_title(loc="left").startswith("not worse"))
    dots = {line.get_ydata()[0]: line.get_xdata()[0] for line in axes.lines
            if line.get_markerfacecolor() != "none"}  # fmt: skip
    rings = {line.get_ydata()[0]: line.get_xdata()[0] for line in axes.lines
             if line.get_markerfacecolor() == "none"}  # fmt: skip
    for row, task in enumerate(study.probes["a"].tasks.values()):
        assert dots[row] == task.index
        assert rings[row] == task.names.index(task.trust.comparison.one_error) <= task.index
    shown = axes.images[0].get_array()
    tasks = list(study.probes["a"].tasks.values())
    assert np.array_equal(
        np.asarray(shown).sum(1), [len(t.trust.comparison.not_worse) for t in tasks]
    )


def test_saved_bits_are_a_share_of_the_best_layer(study):
    for task in study.probes["b"].tasks.values():
        table = evidence.saved(task)
        if task.key in CLIP_TASKS:
            assert table[:, 0].max() == pytest.approx(1.0)
        else:
            assert np.isnan(table).all()


@pytest.mark.parametrize(
    ("layers", "more"),
    [
        ({"a": 25, "b": 13}, 4),
        pytest.param({"a": 72, "b": 2, "c": 13, "d": 25}, 22, marks=pytest.mark.slow),
    ],
)
def test_many_layers_and_tasks_stay_legible(tmp_path, layers, more):
    folder = make_study(tmp_path / "s", layers=layers, twins=False, references=False, **BARE)

    def again(_, values):
        tasks = values["tasks"]
        values["tasks"] = [*tasks, *({**t, "task": f"again {t['task']}"} for t in tasks[:more])]

    for role in layers:
        change(folder, role, again)
    study = Study.read(folder)
    with look():
        drawn = [*evidence.evidence(study), *probe.probe(study), *weights.weights(study)]
        for drawing in drawn:
            assert drawing.figure.get_size_inches()[1] <= 8.8
            inside(drawing.figure)
    names = [drawing.name for drawing in drawn]
    assert {"evidence-1", "probe-2", "weights-1"} <= set(names) and len(set(names)) == len(names)


def test_small_panels_show_curves_of_the_selected_layer(study):
    with look():
        (drawing,) = probe.probe(study)
    shown = panels(drawing)
    assert len(shown) == 3 * len(TASKS)
    at = 3 * list(TASKS).index("tempo")
    learning, kept, stated = shown[at : at + 3]
    assert learning.get_title(loc="left") == "Tempo (R2, test)"
    for axes, name in ((learning, "learning"), (kept, "components")):
        for role in "ab":
            ladder = getattr(study.probes[role].tasks["tempo"].chosen.trust, name)
            lines = [line for line in axes.lines if to_hex(line.get_color()) == ROLES[role].lower()]
            assert any(np.array_equal(line.get_ydata(), ladder.scores[:, 0]) for line in lines)
    ticks = [line.get_xdata()[0] for line in kept.lines if line.get_marker() == "|"]
    assert ticks == [np.log2(48)] * 2
    metre = shown[3 * list(TASKS).index("metre") + 2]
    assert [t.get_weight() for t in metre.texts if "(" in t.get_text()] == ["bold"] * 2
    assert not any("(" in t.get_text() for t in stated.texts)
    inside(drawing.figure)


def test_published_levels_are_grey_and_of_the_same_metric(study, plain):
    with look():
        (first, *_) = curves.curves(study)
        (bare, *_) = curves.curves(plain)
    grey = to_hex(levels.PUBLISHED["color"])
    by_title = {axes.get_title(loc="left"): axes for axes in panels(first)}

    def drawn(axes):
        return [
            line.get_ydata()[0]
            for line in axes.lines
            if to_hex(line.get_color()) == grey and line.get_linewidth() == 0.9
        ]

    assert drawn(by_title["Key"]) == [0.55]
    # accuracy is published there, balanced accuracy is drawn
    assert drawn(by_title["Instrument family"]) == []
    words = [t for t in by_title["Key"].texts if t.get_text().startswith("published: model-a, MAR")]
    assert len(words) == 1 and to_hex(words[0].get_color()) == grey
    assert grey not in {to_hex(c) for c in (*ROLES.values(), *ROLE_TEXT.values())}
    assert "published" in first.caption and "not measured here" in first.caption
    assert "published" not in bare.caption
    assert not any(drawn(axes) for axes in panels(bare))


def test_without_own_number_the_highest_published_one_is_drawn(tmp_path):
    folder = make_study(tmp_path / "s", layers={"a": 4}, twins=False, tasks=10, **BARE)
    change(folder, "a", lambda tasks, _: tasks["key"]["published"].pop(0))
    study = Study.read(folder)
    assert [row.model for row in levels.published(study, "key")] == ["mule"]
    with look():
        (drawing,) = curves.curves(study)
    axes = next(a for a in panels(drawing) if a.get_title(loc="left") == "Key")
    low, high = axes.get_ylim()
    assert low < 0.649 < high


def test_twins_are_dashed_beside_their_models(study):
    with look():
        (drawing, *_) = curves.curves(study)
    assert "without training" in drawing.caption
    axes = panels(drawing)[0]
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert {to_hex(line.get_color()) for line in dashed} >= {ROLES["a"].lower(), ROLES["b"].lower()}


def test_a_line_for_each_number_of_notes(study, plain):
    with look():
        drawing = voices.voices(study)
        assert voices.voices(plain) is not None
    left, right = panels(drawing)
    assert {t.get_text() for t in left.texts} >= {"one note", "two notes", "three", "four"}
    assert left.get_ylim() == right.get_ylim()
    task = study.probes["b"].tasks["multipitch"]
    curves_of = [line.get_ydata() for line in right.lines if len(line.get_ydata()) > 2]
    for metric in ("F 1", "F 2", "F 3", "F 4"):
        assert any(np.array_equal(c, task.further_curve(metric, "test")[:, 0]) for c in curves_of)
    top = max(np.nanmax(task.further_curve("F 1", "test")), 0)
    assert right.get_ylim()[1] >= top
    inside(drawing.figure)


def test_boundaries_within_three_seconds_are_no_voices(study):
    assert study.probes["a"].tasks["section"].by_voices == {}
    assert list(study.probes["a"].tasks["multipitch"].by_voices) == [1, 2, 3, 4]


def test_learned_weights_come_with_what_bounds_them(study, plain, tmp_path):
    with look():
        (drawing,) = weights.weights(study)
        assert weights.weights(plain) == []
    assert "not evidence by themselves" in drawing.caption
    one = weights.learned(study.probes["a"])[0]
    assert one.shares.sum() == pytest.approx(1.0, abs=1e-3) and 0 < one.evenness <= 1
    inside_of = [t.get_text() for axes in panels(drawing) for t in axes.texts]
    assert sum("0.83" in text for text in inside_of) == 2 * len(CLIP_TASKS)
    folder = make_study(tmp_path / "s", layers={"a": 4}, twins=False, tasks=3, **BARE)
    for wrong in ({"weights": [1.0]}, {"weights": "x"}, {"layers": None}, {"weights": [None] * 4}):

        def spoil(_, values, wrong=wrong):
            for head in values["heads"]:
                head["layers"][0]["facts"] |= wrong

        change(folder, "a", spoil)
        with look():
            assert weights.weights(Study.read(folder)) == []


# tables


def text_of(table):
    from reports.tables import Cell

    return [
        [c.text if isinstance(c, Cell) else c for c in row] for rows in table.groups for row in rows
    ]


def test_every_metric_has_a_row_on_both_splits(study):
    (table,) = tables_probes.metrics(study)
    rows = text_of(table)
    wanted = sum(2 + len(t.further) for t in study.probes["a"].tasks.values())
    assert len(rows) == wanted
    at = next(i for i, row in enumerate(rows) if row[0] == "Melody")
    assert [row[0] for row in rows[at + 1 : at + 6]] == ["OA", "RPA", "RCA", "VR", "VFA"]
    group = next(g for g in table.groups if g[0][0].text == "Instrument family")
    test, inst = group[1][2], group[1][3]
    assert (test.bold, inst.bold) == (False, True)
    assert "[" in test.text and "[" in inst.text and test.text != inst.text


def test_published_numbers_stand_beside_ones_own_with_source_and_protocol(study, plain):
    rows = text_of(tables_probes.published(study))
    assert len(rows) == 4
    assert rows[0][0] == "Instrument family, accuracy"
    assert rows[0][2].startswith("model-a\N{NO-BREAK SPACE}0.550 (this model), mule")
    assert "0.649 \N{PLUS-MINUS SIGN} 0.004" in rows[0][2]
    assert "arXiv:2306.10548" in rows[0][3] and "290 test excerpts" in rows[0][3]
    assert rows[1][:2] == ["", ""] and "MuQ" in rows[1][3]
    assert tables_probes.published(plain) is None


def test_heads_with_their_gains(study, plain):
    first, second = tables_probes.heads(study)
    assert first.intro and not second.intro
    assert list(first.head)[1:3] == ["linear, best single layer", "weighted sum of layers"]
    group = next(g for g in first.groups if g[0][0] == "Tempo")
    gains = {name: cell for name, cell in zip(first.head, group[1], strict=True)}
    assert gains["one hidden layer"].bold and not gains["nearest neighbours"].bold
    assert tables_probes.heads(plain) == []


def test_the_table_of_evidence_marks_doubts(study, plain):
    table = tables_probes.trust(study)
    rows = {(g[0][0], row[1]): row for g in table.groups for row in g}
    assert len(rows) == 2 * len(TASKS)
    doubt = rows["Mode", "model-a"]
    assert doubt[3].bold and not rows["Key", "model-a"][3].bold
    assert rows["Beats", "model-b"][5] == rows["Beats", "model-b"][7] == "\N{EN DASH}"
    assert tables_probes.trust(plain) is None and tables_probes.warnings(plain) == []


def test_the_glossary_has_every_metric_of_the_study(study, plain):
    names = ", ".join(row["name"] for row in glossary.metrics(study)).split(", ")
    for key in study.task_keys():
        for task in study.probed(key).values():
            for metric in (task.metric, *task.further):
                assert set(metric.split(", ")) <= set(names), metric
    assert all(row["formula"] and row["text"] for row in glossary.metrics(study))
    keys = methods(study, {"probes"})["methods"]
    about = {"selectivity", "codelength", "emergence", "paired", "curves", "calibration", "heads"}
    assert about | {"published"} <= set(keys)
    assert not about & set(methods(plain, {"probes"})["methods"])


def test_nulls_are_drawn_as_nothing(tmp_path):
    folder = make_study(tmp_path / "s", layers={"a": 4, "b": 5}, nulls=True, **BARE)

    def empty(tasks, _):
        gone = {"value": None, "low": None, "high": None}
        found = tasks["tempo"]["layers"]
        for layer in found:
            layer["trust"]["control"]["selectivity"] = {"test": gone}
            layer["trust"]["learning"]["scores"]["test"] = [gone] * 5
            layer["trust"]["codelength"] = None
            layer["trust"]["dimensions"]["enough"] = {"test": None}
            layer["trust"]["coverage"]["test"]["covered"] = [gone] * 10
        tasks["tempo"]["comparisons"] = tasks["tempo"]["emergence"] = {}
        tasks["key"]["layers"][0]["trust"] = None

    change(folder, "a", empty)
    study = Study.read(folder)
    assert study.probes["a"].tasks["tempo"].chosen.trust.learning is None
    with look():
        drawn = [*evidence.evidence(study), *probe.probe(study), *weights.weights(study)]
        for drawing in (*drawn, voices.voices(study), *curves.curves(study)):
            drawing.figure.draw_without_rendering()
    for table in (tables_probes.trust(study), *tables_probes.metrics(study)):
        assert not any("nan" in cell.lower() for row in text_of(table) for cell in row)
    assert not any("nan" in f.claim.split() for f in find(study))
