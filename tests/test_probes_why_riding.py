"""Erasing and probing again: the right reference is found, and nothing where nothing is planted."""

from __future__ import annotations

import json

import numpy as np
import planted
import pytest

from probes.errors import ProbeError
from probes.why.riding import Riding, riding
from probes.why.tally import CONTROLS

NAMES = "abcdefg"


def study(seed: int, rides: str | None, groups: int = 150, width: int = 50):
    """Layers that carry everything, or all but a reference; a task on one reference, or on none."""
    rng = np.random.default_rng(seed)
    parts = planted.factors(rng, groups, 4, NAMES)
    about = parts[rides or "c"]
    rows = planted.table(
        groups,
        4,
        {
            "kind": planted.classes(rng, about),
            "size": about[:, 0] + 0.5 * rng.standard_normal(len(about)),
        },
    )
    every = [parts[n] for n in NAMES]
    layers = {
        "early": planted.mixed(rng, [parts["c"], parts["d"]], width, 1.0),
        "middle": planted.mixed(rng, every, width, 1.0),
        "late": planted.mixed(rng, [parts[n] for n in "acdefg"], width, 1.0),
    }
    references = {n: planted.mixed(rng, [parts[n]], 6) for n in "ab"}
    return (
        planted.source("model", layers),
        planted.source("references", references),
        planted.targets(rows),
    )


def found(seed: int, rides: str | None, **changes) -> list[Riding]:
    settings = {"draws": 6, "resamples": 200, "seed": seed, "directions": 3}
    return riding(*study(seed, rides), **{**settings, **changes})


def test_a_task_rides_on_the_reference_it_was_made_of_where_the_layers_carry_it():
    selected = {"kind": "middle", "size": "middle"}
    for one in found(0, "a", selected=selected):
        assert one.on == ("a",)
        assert one["a"].selected.rides
        for layer in ("middle", "late"):
            cost = one.erased("a", layer)
            assert cost.drop.low > 0.1
            assert cost.above["random"].above and cost.above["made up"].above
            assert cost.over["b"].above and one.erased("b", layer).over["a"].below
            assert cost.carried > 0.4
        nothing = one.erased("a", "early")
        assert nothing.carried < 0.1
        assert not any(nothing.above[control].above for control in CONTROLS)
        assert one.erased("b", "middle").removed == 3
        assert one.erased("b", "middle").taken["equal variance"] == pytest.approx(
            one.erased("b", "middle").variance, rel=0.3
        )


def test_the_other_reference_is_found_where_the_task_is_made_of_it():
    for one in found(1, "b", selected={"kind": "middle", "size": "middle"}):
        assert one.on == ("b",)


def test_nothing_is_claimed_where_nothing_was_planted():
    claims = [one.on for seed in range(2, 6) for one in found(seed, None)]
    assert claims == [()] * len(claims)


def test_the_protocols_head_tells_the_same():
    (kind, _) = found(
        0,
        "a",
        head="linear",
        draws=2,
        layers=("middle",),
        penalties=(1.0, 10.0, 100.0),
        selected={"kind": "middle"},
    )
    assert kind.head == "linear"
    assert kind.on == ("a",)


def test_the_selected_layer_is_the_one_with_the_least_loss_unless_named():
    (kind, _) = found(7, "a")
    assert kind.selected in ("middle", "late")
    (kind, _) = found(7, "a", selected={"kind": "early"}, draws=2)
    assert kind.selected == "early"


def test_results_are_written_and_read_and_do_not_depend_on_the_run():
    one, same = found(3, "a", draws=2)[0], found(3, "a", draws=2)[0]
    text = json.dumps(one.as_json(), allow_nan=False)
    assert json.dumps(same.as_json()) == text
    assert Riding.from_json(json.loads(text)) == one


def test_what_cannot_be_asked_is_refused_in_words():
    source, references, targets = study(0, "a", groups=20)
    short = planted.source("short", {"x": np.zeros((3, 2), np.float32)})
    with pytest.raises(ProbeError, match="short 3: extract both"):
        riding(source, short, targets)
    with pytest.raises(ProbeError, match="head 'mlp' cannot be probed again"):
        riding(source, references, targets, head="mlp")
    with pytest.raises(ProbeError, match="draws 1: at least 2"):
        riding(source, references, targets, draws=1)
    with pytest.raises(ProbeError, match="task kind: no layer end"):
        riding(source, references, targets, selected={"kind": "end"})
    (one, _) = riding(source, references, targets, draws=2, resamples=50)
    with pytest.raises(ProbeError, match="chroma was not erased, only a, b"):
        one["chroma"]
    with pytest.raises(ProbeError, match="task kind has no layer end"):
        one.erased("a", "end")


def test_a_reference_that_never_varies_is_left_out_with_a_note():
    source, references, targets = study(0, "a", groups=20)
    layers = {n: references.read(n) for n in references.layers}
    with_still = planted.source("r", {**layers, "still": np.ones((80, 3), np.float32)})
    (one, _) = riding(source, with_still, targets, draws=2, resamples=50)
    assert [r.name for r in one.references] == ["a", "b"]
    assert one.notes == ("never varies on training rows, not erased: still",)
    alone = planted.source("r", {"still": np.ones((80, 3), np.float32)})
    with pytest.raises(ProbeError, match="no reference varies"):
        riding(source, alone, targets, draws=2)


@pytest.mark.slow
def test_false_findings_are_rare_in_two_hundred_studies():
    studies = [found(seed, None, draws=10) for seed in range(200)]
    for task in range(2):
        selected = np.mean([bool(some[task].on) for some in studies])
        anywhere = np.mean(
            [
                any(
                    one.above["random"].above and one.above["made up"].above
                    for reference in some[task].references
                    for one in reference.layers
                )
                for some in studies
            ]
        )
        assert selected <= 0.05
        assert anywhere <= 0.05


@pytest.mark.slow
def test_the_right_reference_is_found_in_most_studies():
    studies = [found(seed, "a", selected={"kind": "late", "size": "late"}) for seed in range(40)]
    for task in range(2):
        assert np.mean([some[task].on == ("a",) for some in studies]) > 0.8
