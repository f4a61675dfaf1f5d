"""Scores on the screen: short numbers and names, tables within the line, the live view."""

from __future__ import annotations

import io
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cli import scores
from cli.liveprobes import LiveProbes
from cli.scoretable import Line, layer_tables, summary
from cli.screen import Screen
from extract import models
from probes.published import Published
from probes.results import LayerScores, ProbeResults, Score, TaskResult

DEEP = ("frontend", *(f"block{i:02}" for i in range(1, 25)), "final")


def printed(tables, width):
    console = Console(file=io.StringIO(), width=width, highlight=False)
    for table in tables:
        console.print(table)
    return console.file.getvalue()


def line(task, values, selected, split="test", chance=".04"):
    return Line(task, split, chance, tuple(values), selected)


def result(task, layers, values, chosen, splits=("test",), published=()) -> TaskResult:
    """A task with a score of each layer, the same on all splits but for a shift."""
    rows = tuple(
        LayerScores(
            layer,
            {},
            Score(value, math.nan, math.nan),
            {split: Score(value - i / 10, 0.1, 0.9) for i, split in enumerate(splits)},
            {},
        )
        for layer, value in zip(layers, values, strict=True)
    )
    return TaskResult(
        task, task, "other", task, "classification", "linear", "accuracy", (0.0, 1.0), 0.25, "gold",
        4, "", "clips", (), {}, {}, "test", layers[chosen], rows, {}, {"balanced accuracy": 0.25},
        published=tuple(published),
    )  # fmt: skip


@given(st.floats(-1e6, 1.0) | st.just(math.nan))
def test_numbers_are_as_short_as_they_say(value):
    assert len(scores.hundredths(value)) <= 2
    assert len(scores.tight(value)) <= 4 or value < -999
    assert not re.fullmatch(r"-[0.]+", scores.plain(value) + scores.tight(value))
    if -0.995 <= value <= 1:
        assert float(scores.tight(value)) == pytest.approx(value, abs=0.0051)
        assert float(scores.plain(value)) == pytest.approx(value, abs=0.0051)
    if 0 <= value < 0.995:
        assert int(scores.hundredths(value)) == pytest.approx(100 * value, abs=0.51)


def test_numbers_at_the_edges():
    edges = (0.0, 0.9951, 1.0, -0.001, -0.12, -1.26, -45.2, math.nan)
    assert [scores.tight(v) for v in edges] == [
        ".00", "1.0", "1.0", ".00", "-.12", "-1.3", "-45", "-",
    ]  # fmt: skip
    assert [scores.hundredths(v) for v in edges] == ["0", "1.", "1.", "0", "<0", "<0", "<0", "-"]
    assert scores.spread(Score(0.814, 0.76, 0.853)) == ".81 [.76 .85]"
    assert scores.spread(Score(0.814, math.nan, math.nan)) == ".81"


def test_short_names_tell_the_layers_of_every_model_apart():
    for name in models.names():
        layers = [layer.name for layer in models.spec(name).card.layers]
        short = scores.short_layers(layers)
        assert len(set(short)) == len(layers) and max(map(len, short)) <= 5, name
    assert scores.short_layers(DEEP)[:3] == ["fron", "b1", "b2"]
    assert scores.short_layers(["conv1", "convolution1"]) == ["#1", "#2"]
    assert scores.listed(DEEP) == "frontend, block01 to block24, final"


@pytest.mark.parametrize("layers", [("cnn1", "cnn2", "dense"), DEEP[:13], DEEP])
@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_every_score_stands_within_the_line_at_every_width(layers, width):
    rng = np.random.default_rng(0)
    tasks = ("key", "triad_inversion", "tempo", "pitch_class", "octave")
    lines = [
        line(task, rng.uniform(-0.3, 1, len(layers)), at, split, ".04" if split == "test" else "")
        for at, task in enumerate(tasks) for split in ("test", "test_inst") if at < len(layers)
    ]  # fmt: skip
    out = printed(layer_tables(layers, lines, width, "model: every layer"), width)
    assert "…" not in out and max(map(len, out.splitlines())) <= width
    cells = re.findall(r"-?\d*\.\d+\*?", out)
    assert sum(cell.endswith("*") for cell in cells) == len(lines)
    for row in lines:
        wanted = {scores.plain(row.values[row.selected]), scores.tight(row.values[row.selected])}
        assert wanted & {cell.rstrip("*") for cell in cells if cell.endswith("*")}
    assert len(cells) == len(lines) * len(layers) + sum(bool(row.chance) for row in lines)


def test_many_layers_are_turned_where_lines_are_narrow_and_tasks_stay_whole():
    lines = [line(f"task{i}", [0.5] * 26, 3, split) for i in range(9)
             for split in ("test", "test_inst")]  # fmt: skip
    tables = layer_tables(DEEP, lines, 100)
    out = printed(tables, 100)
    assert len(tables) == 2 and out.count("block24") == 2
    for row in out.splitlines():
        if "task" in row:
            names = row.split()
            assert all(names.count(name) == 2 for name in names)
    assert len(layer_tables(DEEP, lines, 200)) == 1


def published(*rows):
    return [Published("genre", "gtzan", *row, None, "p", "s", "") for row in rows]


def test_both_test_splits_chance_and_what_stands_beside():
    layers = ("early", "late")
    rows = published(("net", "accuracy", 0.786), ("other", "accuracy", 0.65))
    model = ProbeResults("net", layers, (
        result("genre", layers, (0.5, 0.8), 1, ("test", "test_inst"), rows),
        result("key", layers, (0.4, 0.3), 0),
    ))  # fmt: skip
    twin = ProbeResults("net", layers, (result("genre", layers, (0.31, 0.2), 0),))
    out = printed([summary(model, {"untrained": twin})], 100)
    head, _, genre, key = out.splitlines()[1:5]
    assert head.split() == [
        "task", "metric", "layer", "valid", "test", "test_inst", "chance", "untrained", "published",
    ]  # fmt: skip
    assert genre.split() == [
        "genre", "acc.", "late", ".80", ".80", "[.10", ".90]", ".70", "[.10", ".90]", ".25", ".31",
        "acc.", ".79",
    ]  # fmt: skip
    assert key.split() == ["key", "acc.", "early", ".40", ".40", "[.10", ".90]", ".25"]
    assert "by others" in out
    plain = printed([summary(ProbeResults("net", layers, model.tasks[1:]))], 100)
    assert "published" not in plain and "untrained" not in plain


def test_of_other_models_the_ends_are_shown():
    rows = published(*((f"m{v}", "balanced accuracy", v) for v in (0.61, 0.72, 0.65)))
    task = result("genre", ("one",), (0.5,), 0, published=rows)
    out = printed([summary(ProbeResults("net", ("one",), (task,)))], 100)
    assert "bal. acc. .61 to .72" in out


def live(width=100, height=30, terminal=True, **options):
    screen = Screen(**options)
    screen.console = Console(
        file=io.StringIO(), width=width, height=height, force_terminal=terminal,
        color_system=None, quiet=screen.console.quiet, highlight=False,
    )  # fmt: skip
    return screen


def view(shown):
    console = Console(
        file=io.StringIO(), width=shown.screen.console.width, height=shown.screen.console.height
    )
    console.print(shown)
    return console.file.getvalue()


@pytest.mark.parametrize(
    "layers", [DEEP[:6], DEEP[:13], DEEP, (*DEEP, *(f"x{i}" for i in range(30)))]
)
def test_the_live_view_fills_and_keeps_within_the_terminal(layers):
    shown = LiveProbes(live(), "net", layers)
    assert view(shown) == ""
    tasks = ("key", "triad_inversion", "tempo")
    for depth, layer in enumerate(layers):
        for task in tasks:
            shown.layer(task, layer, 0.42 + depth / 1000)
        if depth in (0, len(layers) // 2):
            out = view(shown)
            assert max(map(len, out.splitlines())) <= 100 and "…" not in out
            visible = min(depth + 1, 28)  # three characters each beside the longest name
            assert len(re.findall(r"(?:0?\.|\b)4[2-7]\b", out)) == len(tasks) * visible
    assert "on validation" in out and out.count("triad_inversion") == 1


def test_the_live_view_of_many_tasks_shows_those_in_hand():
    shown = LiveProbes(live(height=12), "net", ("a", "b"))
    for at in range(9):
        shown.task(result(f"done{at}", ("a", "b"), (0.1, 0.2), 0), ())
    for at in range(3):
        shown.layer(f"new{at}", "a", 0.5)
    out = view(shown)
    assert len(out.splitlines()) <= 10
    assert re.findall(r"\b(?:new|done)\d", out) == [
        "new0",
        "new1",
        "new2",
        "done8",
        "done7",
        "done6",
    ]
    assert "and 6 more tasks" in out


@pytest.mark.parametrize(
    "options, terminal, said",
    [({}, True, 0), ({}, False, 1), ({"quiet": True}, False, 0), ({"results": False}, False, 0)],
)
def test_a_line_a_task_where_there_is_no_terminal(options, terminal, said):
    screen = live(terminal=terminal, **options)
    shown = LiveProbes(screen, "net", ("early", "late"))
    shown.task(result("key", ("early", "late"), (0.5, 0.75), 1, ("test", "test_inst")), ())
    out = screen.console.file.getvalue().splitlines()
    assert out == said * [
        "net key: late, accuracy .75 on validation, test .75 [.10 .90], test_inst .65 [.10 .90] "
        "(chance .25)"
    ]
    if options:
        assert view(shown) == ""
    mode = result("mode", ("early", "late"), (0.5, 0.75), 1)
    shown.kept(ProbeResults("net", ("early", "late"), (mode,)))
    kept = screen.console.file.getvalue().splitlines()[said:]
    assert kept == ([] if options.get("quiet") else ["net: kept mode"])
