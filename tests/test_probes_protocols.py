"""Protocols: the published settings, complete, and what they can be compared with."""

from __future__ import annotations

import numpy as np
import pytest
from planted_targets import one_thread, planted  # noqa: F401

from probes.errors import ProbeError
from probes.heads.mlp import MLP, _batches
from probes.heads.training import Schedule
from probes.protocols import PROTOCOLS, protocol
from probes.published import everything


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_says_what_it_is(name):
    one = protocol(name)
    assert one.name == name
    assert one.title and one.source and one.notes
    assert one.grid == one.head.choices
    assert len({head.name for head in one.heads}) == len(one.heads)
    assert one.selection in ("loss", "score")
    for note in one.notes:
        assert note == note.strip(" .")


def test_every_table_that_is_called_comparable_exists():
    known = {row.protocol for row in everything()}
    for one in PROTOCOLS.values():
        assert set(one.comparable) <= known
        assert {row.protocol for row in one.published()} == set(one.comparable)
    assert not PROTOCOLS["linear"].published()
    assert {row.source.split(",")[0] for row in PROTOCOLS["marble"].published()} == {"MARBLE"}
    sources = {row.source.split(",")[0] for row in PROTOCOLS["tune"].published()}
    assert sources == {"TUNe", "jukemir"}


def test_the_default_is_the_linear_probe():
    one = next(iter(PROTOCOLS.values()))
    assert one.name == "linear" and one.head.name == "linear"
    assert one.standardise == (True,) and one.selection == "loss"


def test_marble_is_that_of_the_constrained_track():
    one = protocol("marble")
    head = one.head
    assert [recipe.learning_rate for recipe in head.grid] == [5e-5, 1e-4, 5e-4, 1e-3, 5e-3, 1e-2]
    for recipe in head.grid:
        assert (recipe.hidden, recipe.dropout, recipe.batch) == (512, 0.2, 64)
        assert (recipe.input_dropout, recipe.l2) == (0, 0)
    assert one.standardise == (False,) and one.selection == "score"
    assert head.schedule.stop_on == "score" and head.schedule.halve_after
    assert one.heads[1].name == "weighting"


@pytest.mark.parametrize("name", ["jukemir", "tune"])
def test_jukemir_has_216_entries_in_eight_batches(name):
    one = protocol(name)
    assert len(set(one.head.grid)) == len(one.grid) == 216
    assert one.standardise == (False, True)
    values = {key: {choice[key] for choice in one.grid} for key in one.grid[0]}
    assert values == {
        "learning_rate": {1e-5, 1e-4, 1e-3},
        "hidden": {0, 512},
        "dropout": {0.0, 0.25, 0.5, 0.75},
        "input_dropout": {0.25, 0.5, 0.75},
        "l2": {0, 1e-4, 1e-3},
        "standardise": {False, True},
        "batch": {64, 256},
    }
    for recipe in one.head.grid:
        assert recipe.dropout == (recipe.input_dropout if recipe.hidden else 0.0)
    batches = _batches(one.head.grid)
    assert [len(batch) for batch in batches] == [27] * 8
    schedule = one.head.schedule
    assert (schedule.every, schedule.patience, schedule.dealt) == (8, 256, False)


def test_a_whole_grid_of_216_can_be_run():
    x, (colour, _, _) = planted(n=210, width=6)
    head = protocol("jukemir").head
    quick = Schedule(patience=3, most=4, every=8, stop_on="score", dealt=False)
    (answers,) = MLP(head.grid, quick).fit(x, [colour])
    outputs = answers.outputs["test"]
    assert outputs.shape[0] == 216 and np.isfinite(outputs).all()
    # entries whose score never rose within so few steps still have the start they share
    assert len({one.tobytes() for one in outputs}) > 60


def test_unknown_protocols_are_named():
    with pytest.raises(ProbeError, match="protocol 'hear' is unknown: use one of linear, marble"):
        protocol("hear")
