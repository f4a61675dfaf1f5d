"""Partitions, returns and associations against closed forms and planted truths."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LinearRegression

from rsa.errors import RsaError
from rsa.inference.simultaneous import (
    Contrast,
    from_influence,
    from_replicates,
    simultaneous,
)
from rsa.source import Matrices
from rsa.why.association import associations, holm, specificity
from rsa.why.partition import partition
from rsa.why.returning import returning, to_input


def read_again(one):
    return type(one).from_json(json.loads(json.dumps(one.as_json(), allow_nan=False)))


def test_a_single_value_is_tested_as_by_t():
    rng = np.random.default_rng(0)
    x = rng.normal(0.5, 1.0, size=20)
    found = simultaneous(np.array([x.mean()]), from_influence((x - x.mean())[:, None], 20))[0]
    classic = stats.ttest_1samp(x, 0.0)
    assert found.p == pytest.approx(classic.pvalue, rel=0.15)
    low, high = classic.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.03)


def test_replicates_without_a_row_give_the_same_deviations():
    x = np.random.default_rng(1).standard_normal((12, 3))
    without = np.stack([np.delete(x, i, axis=0).mean(axis=0) for i in range(12)])
    ours, theirs = from_replicates(without), from_influence(x - x.mean(axis=0), 12)
    assert np.allclose(ours.T @ ours, theirs.T @ theirs)


def test_the_price_of_many_is_that_of_independent_ones_at_most():
    rng = np.random.default_rng(2)
    deviations = rng.standard_normal((200, 30)) / 200**0.5
    value = np.zeros(30)
    value[0] = 3.0
    apart = simultaneous(value, deviations / np.sqrt((deviations**2).sum(axis=0)))
    alone = 2 * stats.t.sf(3.0, 199)
    assert apart[0].p == pytest.approx(1 - (1 - alone) ** 30, rel=0.2)
    alike = simultaneous(np.full(30, 3.0), np.repeat(deviations[:, :1], 30, axis=1)
                         / np.sqrt((deviations[:, 0] ** 2).sum()))  # fmt: skip
    assert alike[0].p == pytest.approx(alone, rel=0.4)
    assert simultaneous(np.array([0.0, np.nan]), np.zeros((5, 2)))[0].p == 1.0
    assert np.isnan(simultaneous(np.array([0.0, np.nan]), np.zeros((5, 2)))[1].p)
    odd = Contrast(1.0, np.nan, 2.0, 0.5)
    assert np.isnan(read_again(odd).low)


def rows(seed: int, groups: int = 80, each: int = 4, within: float = 1.0):
    """Three references that share a part, and layers made of them."""
    rng = np.random.default_rng(seed)

    def factor(size: int) -> np.ndarray:
        shared = np.repeat(rng.standard_normal((groups, size)), each, axis=0)
        return shared + within * rng.standard_normal((groups * each, size))

    a, b, c, common, other = (factor(3) for _ in range(5))
    references = {
        "a": np.c_[a, common],
        "b": np.c_[b, common],
        "c": c,
    }

    def layer(*parts: np.ndarray) -> np.ndarray:
        x = np.concatenate(parts, axis=1)
        return x @ np.linalg.qr(rng.standard_normal((20, 20)))[0][: x.shape[1]]

    layers = {
        "of a": layer(a, other),
        "of what a and b share": layer(common, other),
        "of a and b": layer(a, b, other),
        "of nothing": layer(other, factor(3)),
    }
    names = np.repeat([f"track {i}" for i in range(groups)], each)
    return Matrices("model", layers, names), Matrices("references", references, names)


def test_parts_are_those_that_were_planted():
    found = partition(*rows(0))
    at = {name: i for i, name in enumerate(found.layers)}

    def part(name: str, layer: str):
        return found.parts[name][at[layer]]

    assert part("a", "of a").unique.value == pytest.approx(0.5, abs=0.06)
    assert part("a", "of a").unique.above
    assert part("a", "of a").common[0] == pytest.approx(0.0, abs=0.04)
    for name in ("a", "b"):
        one = part(name, "of what a and b share")
        assert one.alone.value == pytest.approx(0.5, abs=0.06)
        assert one.unique.value == pytest.approx(0.0, abs=0.03) and not one.unique.above
        assert one.common[1] > 0.4
        assert part(name, "of a and b").unique.value == pytest.approx(1 / 3, abs=0.06)
    assert found.shared("of what a and b share") == pytest.approx(0.5, abs=0.06)
    assert found.whole[at["of a and b"]][0] == pytest.approx(2 / 3, abs=0.06)
    for name in "abc":
        assert not part(name, "of nothing").alone.above
        assert not part("c", found.layers[0]).unique.above
    assert read_again(found) == found


def test_a_regression_on_few_columns_is_that_of_least_squares():
    source, references = rows(1, groups=150)
    found = partition(source, Matrices("one", {"c": references.read("a")}, source.groups))
    x, y = references.read("a"), source.read("of a")
    half = len(x) // 2
    fit = LinearRegression().fit(x[:half], y[:half])
    off, total = y[half:] - fit.predict(x[half:]), y[half:] - y[:half].mean(axis=0)
    assert found.whole[0][0] == pytest.approx(1 - (off**2).sum() / (total**2).sum(), abs=0.05)
    one = found.parts["c"][0]
    assert one.alone.value == one.unique.value == pytest.approx(found.whole[0][0])


def test_within_groups_what_tells_them_apart_explains_nothing():
    rng = np.random.default_rng(2)
    groups, each = 60, 5
    track = np.repeat(rng.standard_normal((groups, 3)), each, axis=0)
    beat = rng.standard_normal((groups * each, 3))
    names = np.repeat(np.arange(groups), each)
    layer = np.c_[track, beat]
    source = Matrices("model", {"x": layer}, names)
    references = Matrices("r", {"track": track + 1e-9 * beat, "beat": beat}, names)
    across, inside = partition(source, references), partition(source, references, within=True)
    assert across.parts["track"][0].unique.value == pytest.approx(0.5, abs=0.05)
    assert inside.parts["track"][0].unique.value == pytest.approx(0.0, abs=0.01)
    assert inside.parts["beat"][0].alone.value > 0.95
    lonely = Matrices("model", {"x": layer}), Matrices("r", {"beat": beat})
    with pytest.raises(RsaError, match="one row a group"):
        partition(*lonely, within=True)


def test_layers_and_references_that_never_vary():
    source, references = rows(3, groups=20)
    still = Matrices("model", {"x": source.read("of a"), "still": np.ones((80, 4))}, source.groups)
    found = partition(still, references)
    assert np.isnan(found.whole[1][0]) and np.isnan(found.parts["a"][1].unique.p)
    assert "never varies, nothing to explain: still" in found.notes
    assert read_again(found).layers == found.layers
    flat = Matrices("r", {"loudness": np.zeros((80, 2))}, source.groups)
    with pytest.raises(RsaError, match="reference loudness never varies"):
        partition(source, flat)
    with pytest.raises(RsaError, match="2 groups, 3 are needed"):
        few = np.repeat(["x", "y"], 40)
        partition(Matrices("m", {"x": source.read("of a")}, few),
                  Matrices("r", {"a": references.read("a")}, few))  # fmt: skip


@pytest.mark.slow
def test_intervals_cover_and_idle_references_are_seldom_credited():
    """Against the value over many rows, of fits to as many groups."""
    truth = np.mean([partition(*rows(seed, 100)).whole[0][0] for seed in range(1000, 1060)])
    inside, claims = 0, 0
    for seed in range(200):
        found = partition(*rows(seed, 100))
        inside += found.whole[0][1] <= truth <= found.whole[0][2]
        at = found.layers.index("of nothing")
        claims += any(found.parts[name][at].unique.above for name in "abc")
    assert inside >= 180
    assert claims <= 10


def test_a_return_is_claimed_where_the_last_layer_is_nearer_to_the_input():
    rng = np.random.default_rng(0)
    truth = np.array([0.9, 0.6, 0.3, 0.3, 0.7])
    blocks = truth + 0.005 * rng.standard_normal((30, 1)) + 0.002 * rng.standard_normal((30, 5))
    found = returning("abcde", truth, blocks)
    assert found.turn == "c"
    assert [one.above for one in found.back] == [False, True, True, True]
    assert read_again(found) == found
    falls = np.sort(truth)[::-1]
    assert returning("abcde", falls, falls + blocks - truth).turn is None
    with pytest.raises(RsaError, match="two at least after the input"):
        returning("a", truth[:1], blocks[:, :1])


def test_a_flat_end_is_seldom_taken_for_a_return():
    rng = np.random.default_rng(1)
    claims = 0
    for _ in range(100):
        rows_of = 0.4 + rng.standard_normal((40, 1)) + rng.standard_normal((40, 12))
        without = np.stack([np.delete(rows_of, i, axis=0).mean(axis=0) for i in range(40)])
        claims += (
            returning([str(i) for i in range(12)], rows_of.mean(axis=0), without).turn is not None
        )
    assert claims <= 8


def smooth(rng: np.random.Generator, layers: int, scale: float, noise: float = 0.05) -> np.ndarray:
    """A curve that varies over so many layers."""
    apart = np.subtract.outer(np.arange(layers), np.arange(layers)) / scale
    factor = np.linalg.cholesky(np.exp(-0.5 * apart**2) + noise**2 * np.eye(layers))
    return factor @ rng.standard_normal(layers)


def test_a_profile_that_follows_another_is_told_from_one_that_is_only_smooth():
    rng = np.random.default_rng(0)
    x = smooth(rng, 13, 1.5)
    follows, other = x + 0.2 * rng.standard_normal(13), smooth(rng, 13, 1.5)
    yes, no, still = associations(
        {"chroma": x}, {"key": follows, "tempo": other, "still": np.ones(13)}
    )
    assert yes.claimed and yes.correlation > 0.9 and yes.effective < 13
    assert not no.claimed
    assert np.isnan(still.p) and not still.claimed
    assert read_again(yes) == yes
    assert yes.corrected == pytest.approx(min(1.0, 2 * yes.p))


def test_two_curves_that_rise_and_level_off_are_no_evidence():
    place = np.arange(13)
    rng = np.random.default_rng(1)
    claims = 0
    for _ in range(20):
        x, y = (
            1 - np.exp(-place / rng.uniform(2, 6)) + 0.03 * rng.standard_normal(13)
            for _ in range(2)
        )
        (one,) = associations({"x": x}, {"y": y})
        assert one.correlation > 0.8
        assert one.effective < 6
        claims += one.claimed
    assert claims <= 2


def test_profiles_of_few_layers_or_other_lengths():
    (one,) = associations({"x": np.arange(5.0)}, {"y": np.arange(5.0)})
    assert np.isnan(one.p) and not one.claimed
    with pytest.raises(RsaError, match="give all the same layers"):
        associations({"x": np.arange(5.0)}, {"y": np.arange(6.0)})


def test_smooth_profiles_are_seldom_said_to_follow_each_other():
    rng = np.random.default_rng(2)
    claims = 0
    for _ in range(40):
        x, y = smooth(rng, 13, 3.0), smooth(rng, 13, 3.0)
        naive = stats.pearsonr(x, y)
        (one,) = associations({"x": x}, {"y": y})
        claims += one.claimed
        assert one.correlation == pytest.approx(naive.statistic)
    assert claims <= 3


@pytest.mark.slow
@pytest.mark.parametrize("layers", [13, 25])
@pytest.mark.parametrize("scale", [0.3, 1.5, 4.0, 12.0])
def test_the_level_holds_for_any_smoothness(layers, scale):
    rng = np.random.default_rng(int(10 * scale))
    claims = [
        associations({"x": smooth(rng, layers, scale)}, {"y": smooth(rng, layers, scale)})[
            0
        ].claimed
        for _ in range(200)
    ]
    assert np.mean(claims) <= 0.05


@pytest.mark.slow
def test_what_follows_closely_is_found():
    rng = np.random.default_rng(5)
    found = []
    for _ in range(60):
        x = smooth(rng, 13, 1.5)
        found.append(associations({"x": x}, {"y": x + 0.3 * rng.standard_normal(13)})[0].claimed)
    assert np.mean(found) > 0.7


def test_families_follow_the_references_of_their_content():
    rng = np.random.default_rng(3)
    names = ("harmony", "rhythm", "timbre", "level", "melody", "form")
    references = {name: smooth(rng, 13, 2.0) for name in names}
    tasks = {
        f"{name} {i}": references[name] + 0.3 * rng.standard_normal(13)
        for name in names for i in (1, 2)
    }  # fmt: skip
    family = {task: task.split()[0] for task in tasks}
    content = {name: [name] for name in names}
    found = specificity(references, tasks, family, content)
    assert found.families == names and found.arrangements == 720
    assert found.own > 0.8 and found.p < 0.01
    assert read_again(found) == found
    few = {n: c for n, c in content.items() if n in names[:3]}
    assert np.isnan(specificity(references, tasks, family, few).p)
    with pytest.raises(RsaError, match="content: every family needs"):
        specificity(references, tasks, family, {n: list(names) for n in names})


def test_families_that_share_one_curve_follow_nothing():
    rng = np.random.default_rng(4)
    names = [str(i) for i in range(6)]
    claims = 0
    for _ in range(100):
        shared = smooth(rng, 13, 3.0)
        references = {n: shared + 0.5 * smooth(rng, 13, 3.0) for n in names}
        tasks = {n: shared + 0.5 * smooth(rng, 13, 3.0) for n in names}
        one = specificity(references, tasks, {n: n for n in names}, {n: [n] for n in names})
        claims += one.p <= 0.05
    assert claims <= 12


def test_holm_steps_down():
    assert holm([0.01, 0.04, np.nan, 0.03]) == pytest.approx(
        [0.03, 0.06, np.nan, 0.06], nan_ok=True
    )


def test_a_network_that_returns_to_its_input_is_seen_by_cka():
    rng = np.random.default_rng(4)
    heard, groups = rng.standard_normal((160, 6)), np.repeat(np.arange(40), 4)
    layers = {}
    for number, share in enumerate((0.9, 0.4, 0.1, 0.4, 0.9)):
        other = rng.standard_normal((160, 6))
        layers[f"l{number}"] = share * heard + (1 - share) * other
    source = Matrices("net", layers, groups)
    references = Matrices("ref", {"noise": rng.standard_normal((160, 3)), "heard": heard}, groups)
    found = to_input(source, references, "heard")
    assert found.turn == "l2" and found.layers == source.layers
    assert to_input(source, references, "noise").turn is None
    with pytest.raises(RsaError, match="no layer of ref"):
        to_input(source, references, "loudness")
