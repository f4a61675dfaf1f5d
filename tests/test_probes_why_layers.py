"""What layers add and lose, what training added, what to take: on planted curves and layers."""

from __future__ import annotations

import json

import numpy as np
import planted
import pytest

from probes import inference
from probes.curves import Curve, read_curves, write_curves
from probes.errors import ProbeError
from probes.scored import Sums
from probes.why.choice import CHANCE, DEFAULT, JOINED, LAST, ONE, SINGLE, Choice, choice
from probes.why.conditional import Added, conditional
from probes.why.contrast import Contrast, contrasts
from probes.why.course import Course, course
from probes.why.training import Training, training

PENALTIES = (1.0, 1e2, 1e4)


def mean(sums):
    return sums[..., 0] / sums[..., 1]


def curve(
    truth, groups: int = 60, seed: int = 0, chance: float = 0.25, names=None, alike: float = 0.7
) -> Curve:
    """Right or wrong for rows in groups, as likely as `truth` says for each layer.

    Curves of one seed share what is hard about a row.
    """
    shared = np.random.default_rng([seed, 1])
    hard = shared.standard_normal((groups, 1, 1)) + shared.standard_normal((groups, 4, 1))
    rng = np.random.default_rng([seed, 2, int(1e6 * np.sum(truth))])
    own = rng.standard_normal((groups, 4, len(truth)))
    latent = np.sqrt(alike / 2) * hard + np.sqrt(1 - alike) * own
    rank = latent.reshape(-1, len(truth)).argsort(axis=0).argsort(axis=0).reshape(latent.shape)
    right = rank < np.asarray(truth) * rank.shape[0] * rank.shape[1]
    names = names or [f"l{i}" for i in range(len(truth))]
    sums = np.stack([right.sum(axis=1), np.full((groups, len(truth)), 4)], axis=-1).astype(float)
    scored = [Sums(sums[:, i], mean) for i in range(len(truth))]
    return Curve.of(names, truth, scored, inference.draw(groups, 300, seed), chance, (0.0, 1.0))


def same(record, kind) -> bool:
    return kind.from_json(json.loads(json.dumps(record.as_json(), allow_nan=False))) == record


def test_differences_are_tested_in_the_shape_they_come_in():
    rng = np.random.default_rng(0)
    value, drawn = np.array([[0.0, 1.0], [-1.0, 0.1]]), rng.normal(0, 0.2, (2, 2, 500))
    found = contrasts(value, value[..., None] + drawn, 50)
    assert found.shape == (2, 2)
    assert found[0, 1].above and found[1, 0].below
    assert not (found[0, 0].above or found[1, 1].above or found[1, 1].below)
    assert -found[0, 1] == Contrast(-1.0, -found[0, 1].high, -found[0, 1].low, found[0, 1].p)


def test_a_course_has_a_beginning_a_height_and_an_end():
    found = course(curve([0.25, 0.25, 0.45, 0.8, 0.82, 0.8, 0.5, 0.45]))
    assert (found.first, found.full, found.best, found.lost) == ("l2", "l3", "l4", "l6")
    assert found.end.below and not found.behind[5].below
    assert same(found, Course)


def test_what_is_never_there_has_no_course_and_what_stays_is_not_lost():
    nothing = course(curve([0.25, 0.24, 0.26, 0.25]))
    assert (nothing.first, nothing.full, nothing.lost) == (None, None, None)
    assert same(nothing, Course)
    stays = course(curve([0.25, 0.5, 0.79, 0.8]))
    assert (stays.first, stays.full, stays.lost) == ("l1", "l2", None)
    with pytest.raises(ProbeError, match="two layers at least, not 1"):
        course(curve([0.5]))


def test_training_is_credited_with_what_neither_the_twin_nor_a_reference_has():
    trained, twin = curve([0.45, 0.5, 0.8, 0.78]), curve([0.45, 0.46, 0.44, 0.4])
    references = curve([0.3, 0.55], names=["mfcc", "chroma"])
    found = training("key", trained, twin, references)
    assert (found.selected, found.twin, found.reference) == ("l2", "l1", "chroma")
    assert found.learned == ("l2", "l3")
    assert found.most == "l3"
    assert not found.gains[0].twin.above
    assert found.gains[1].reference.below or not found.gains[1].reference.above
    assert [one.above for one in found.best] == [True, True]
    assert sum(one.most for one in found.gains) == pytest.approx(1.0)
    assert found.gains[2].most + found.gains[3].most > 0.99
    assert same(found, Training)
    alone = training("key", trained, twin)
    assert alone.reference is None and alone.gains[0].reference is None
    assert len(alone.best) == 1
    assert same(alone, Training)


def test_curves_that_are_not_paired_are_refused():
    one = curve([0.3, 0.4])
    with pytest.raises(ProbeError, match="task key: the twin has other layers"):
        training("key", one, curve([0.3, 0.4, 0.5]))
    with pytest.raises(ProbeError, match="task key: scores are on other groups"):
        training("key", one, curve([0.3, 0.4], groups=20))
    with pytest.raises(ProbeError, match="task key: all of them is on other groups"):
        choice("key", one, {"all of them": curve([0.3], groups=20)})


def test_curves_are_kept_in_a_file(tmp_path):
    kept = {("key", "linear"): curve([0.3, 0.5]), ("key", "mlp"): curve([0.4], names=["all"])}
    path = write_curves(tmp_path / "curves" / "a.npz", kept)
    again = read_curves(path)
    assert list(again) == list(kept)
    for name, one in kept.items():
        assert again[name].layers == one.layers and again[name].bounds == (0.0, 1.0)
        assert (again[name].groups, again[name].chance) == (60, 0.25)
        assert np.array_equal(again[name].values, one.values)
        assert np.allclose(again[name].resampled, one.resampled, atol=1e-6)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ProbeError, match="a.npz: no curves of a probing run"):
        read_curves(path)
    with pytest.raises(ProbeError, match="b.npz: no curves"):
        read_curves(tmp_path / "b.npz")


def test_nothing_is_learned_where_the_twin_is_as_good():
    claims = 0
    for seed in range(60):
        truth = [0.4, 0.5, 0.5, 0.45]
        found = training(
            "key", curve(truth, seed=seed), curve(truth, seed=seed + 1000), curve([0.2], seed=seed)
        )
        claims += bool(found.learned)
    assert claims <= 6


@pytest.mark.parametrize(
    ("layers", "joined", "recommended", "rule"),
    [
        ([0.25, 0.26, 0.24], {}, None, CHANCE),
        ([0.4, 0.8, 0.5], {"weighted": 0.78}, SINGLE, ONE),
        ([0.4, 0.7, 0.5], {"weighted": 0.9, "concatenation": 0.92}, "concatenation", JOINED),
        ([0.4, 0.7, 0.8], {"weighted": 0.8}, LAST, DEFAULT),
    ],
)
def test_what_to_take_follows_the_rules(layers, joined, recommended, rule):
    heads = {name: curve([value], names=["all"]) for name, value in joined.items()}
    found = choice(
        "key",
        curve(layers, groups=120),
        {name: curve([value], groups=120, names=["all"]) for name, value in joined.items()},
    )
    assert (found.recommended, found.rule) == (recommended, rule)
    assert [one.name for one in found.options] == [LAST, SINGLE, *heads]
    last = found.option(LAST)
    assert last.layer == "l2" and last.last.value == 0 and last.last.p == 1.0
    assert found.option(SINGLE).last.value == pytest.approx(-last.best.value)
    assert same(found, Choice)
    with pytest.raises(ProbeError, match="task key: stacking is no option"):
        found.option("stacking")


def test_a_last_layer_that_is_surely_about_as_good_is_enough():
    close = curve([0.5, 0.801, 0.8], groups=400, alike=0.99)
    found = choice("key", close)
    assert found.option(LAST).best.value < 0
    assert (found.recommended, found.rule) == (LAST, DEFAULT)


def layers_of(seed: int, groups: int = 150, width: int = 16):
    rng = np.random.default_rng(seed)
    parts = planted.factors(rng, groups, 4, "abc")
    rows = planted.table(
        groups,
        4,
        {
            "kind": planted.classes(rng, parts["a"]),
            "size": parts["a"][:, 0] + 0.5 * rng.standard_normal(4 * groups),
        },
    )
    new = planted.mixed(rng, [parts["a"], parts["b"]], width, 0.7)
    idle = rng.standard_normal(new.shape).astype(np.float32)
    layers = {
        "before": planted.mixed(rng, [parts["b"], parts["c"]], width, 0.7),
        "new": new,
        "again": (new @ np.linalg.qr(rng.standard_normal((width, width)))[0]).astype(np.float32),
        "gone": idle,
    }
    return planted.source("model", layers), planted.targets(rows)


def test_bits_are_new_where_they_appear_and_not_where_they_are_passed_on():
    for one in conditional(*layers_of(1), penalties=PENALTIES, resamples=200):
        assert one.new == ("new",)
        assert (one.course.first, one.course.full, one.course.lost) == ("new", "new", "gone")
        assert one.adds[1].value == pytest.approx(one.bits[1].value - one.bits[0].value, abs=0.2)
        assert abs(one.adds[2].value) < 0.05 and abs(one.adds[3].value) < 0.1
        assert same(one, Added)


def test_one_layer_has_none_before_it():
    _, targets = layers_of(0, groups=20)
    one = planted.source("model", {"x": np.zeros((80, 2), np.float32)})
    with pytest.raises(ProbeError, match="model has one layer"):
        conditional(one, targets)


@pytest.mark.slow
def test_layers_that_add_nothing_are_seldom_said_to():
    claims = []
    for seed in range(200):
        for one in conditional(*layers_of(seed, groups=50), penalties=PENALTIES, resamples=200):
            claims.append(bool(set(one.new) - {"new"}))
    assert np.mean(claims) <= 0.05
