"""Mutual information: known truths, plain references, nothing where there is nothing, coverage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import digamma
from sklearn.metrics import mutual_info_score

import rsa
from rsa.measures.gaussian import GAUSSIAN
from rsa.measures.heldout import doubled_variance, folds, no_chance_note, orders
from rsa.measures.ksg import KSG
from rsa.measures.sliced import MAX_SLICED, SLICED, _Bits, equal_bins
from rsa.rows.joint import Joint

FAST = (GAUSSIAN.named("mi:gaussian,pca=3,held-out"), KSG, SLICED, MAX_SLICED)


def gaussians(seed, n, dimensions, nats):
    """Two layers that share so many nats, evenly over their dimensions."""
    rng = np.random.default_rng(seed)
    rho = np.sqrt(1 - np.exp(-2 * nats / dimensions))
    x, e = rng.standard_normal((2, n, dimensions))
    return x, rho * x + np.sqrt(1 - rho**2) * e


def tracks(seed, shared, groups=60, clips=3, width=3):
    """Two layers whose clips resemble those of their track; `shared` of it is in both."""
    rng = np.random.default_rng(seed)

    def part():
        track = np.repeat(rng.standard_normal((groups, width)), clips, axis=0)
        return 0.7 * track + 0.7 * rng.standard_normal((groups * clips, width))

    both = part()
    return shared * both + part(), shared * both + part(), np.repeat(np.arange(groups), clips)


def slow_ksg(x, y, group, k):
    total = 0.0
    for i in range(len(x)):
        others = [j for j in range(len(x)) if group[j] != group[i]]
        in_x = np.array([np.abs(x[i] - x[j]).max() for j in others])
        in_y = np.array([np.abs(y[i] - y[j]).max() for j in others])
        radius = np.sort(np.maximum(in_x, in_y))[k - 1]
        near = (in_x < radius).sum(), (in_y < radius).sum()
        total += digamma(k) + digamma(len(others) + 1) - digamma(np.array(near) + 1).sum()
    return total / len(x) / np.log(2)


def white(x, count):
    u = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[0][:, :count]
    return (u * np.sqrt(len(x))).astype(np.float32)


@pytest.mark.parametrize("k, clips", [(4, 1), (3, 3)])
def test_ksg_is_what_plain_loops_give(k, clips):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((90, 5)) * [3, 2, 1.5, 1, 0.5]
    y, group = x[:, :4] + rng.standard_normal((90, 4)), np.repeat(np.arange(90 // clips), clips)
    found = rsa.pair(x, y, replace(KSG, k=k), groups=group, draws=0).value
    assert found == pytest.approx(slow_ksg(white(x, 3), white(y, 3), group, k), abs=1e-10)


def test_ksg_under_a_permutation_is_that_of_the_permuted_rows():
    x, y, group = tracks(0, 1.0, groups=30)
    joint = Joint([rsa.Matrices("a", {"x": x, "y": y}, group)], draws=3)
    drawn = KSG.estimate(joint).null.draws[:, 0, 1]
    order, put = joint.permutations[1], joint.grouping.order
    again = slow_ksg(white(x[put], 3), white(y[put], 3)[order], group[put], 4)
    assert drawn[1] == pytest.approx(again, abs=1e-10)


@pytest.mark.parametrize("dimensions, least, most", [(1, 1.9, 2.1), (2, 1.8, 2.1), (5, 1.1, 1.6)])
def test_ksg_of_gaussians_is_right_in_few_dimensions_and_short_in_many(dimensions, least, most):
    measure = replace(KSG, components=dimensions)
    found = [
        rsa.pair(*gaussians(s, 1000, dimensions, 2.0), measure, draws=0).value for s in range(3)
    ]
    assert least < np.mean(found) * np.log(2) < most


def test_ksg_is_zero_on_average_for_independent_layers_and_goes_below():
    rng = np.random.default_rng(1)
    found = [rsa.pair(*rng.standard_normal((2, 300, 3)), KSG, draws=0).value for _ in range(25)]
    assert min(found) < 0 and abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))


def test_ksg_of_a_copy_reaches_the_ceiling_and_says_so():
    x, _ = gaussians(2, 200, 3, 1.0)
    found = rsa.pair(x, -2 * x, KSG, draws=0)
    assert found.value == pytest.approx(found.extra["ceiling"])
    assert found.value == pytest.approx((digamma(200) - digamma(4)) / np.log(2))
    assert any("lower bound" in note for note in found.notes)


def test_ksg_refuses_what_it_cannot_do():
    for bad in ("mi:ksg,pca=6,k=4", "mi:ksg,pca=3,k=0"):
        with pytest.raises(rsa.RsaError, match="measure"):
            KSG.named(bad)
    x, y, _ = tracks(0, 1.0, groups=4)
    few = rsa.pair(x, y, KSG, groups=np.arange(12) // 6)
    assert np.isnan(few.value) and any("too few" in note for note in few.notes)


def test_many_rows_are_thinned_and_it_is_said():
    x, y = gaussians(3, 1300, 2, 1.0)
    assert any("on 1000 of 1300 rows" in note for note in rsa.pair(x, y, KSG, draws=0).notes)


def test_gaussian_chance_is_that_of_refitted_permutations():
    x, y, group = tracks(4, 0.7, groups=40)
    gauss = GAUSSIAN.named("mi:gaussian,pca=3,held-out")
    joint = Joint([rsa.Matrices("a", {"x": x, "y": y}, group)], draws=4)
    drawn = gauss.estimate(joint).null.draws[:, 0, 1]
    put = joint.grouping.order
    moved = Joint(
        [rsa.Matrices("a", {"x": x[put], "y": y[put][joint.permutations[2]]}, group[put])], draws=0
    )
    # the same folds of the same places: the second joint deals the groups in the same way
    if np.array_equal(moved.grouping.order, np.arange(len(put))):
        assert gauss.estimate(moved).value[0, 1] == pytest.approx(drawn[2], abs=1e-9)
    assert len(drawn) == 4 and np.ptp(drawn) > 0


def test_gaussian_copies_are_told_in_one_note():
    x, _ = gaussians(5, 200, 4, 1.0)
    layers = {"a": x, "b": 2 * x, "c": x[:, ::-1] + 1}
    found = rsa.compare(rsa.Matrices("m", layers), measures=["mi:gaussian,pca=4,held-out"], draws=0)
    notes = [n for n in found["m", "m"].measures[0].notes if "determine each other" in n]
    assert len(notes) == 1 and "(and 2 more pairs)" in notes[0]


def test_bins_of_equal_frequency_and_their_corrected_information():
    rng = np.random.default_rng(6)
    x, y = gaussians(6, 400, 1, 0.5)
    a, b = equal_bins(x, 8), equal_bins(y, 8)
    assert (np.bincount(a[:, 0]) == 50).all()
    plain = mutual_info_score(a[:, 0], b[:, 0]) / np.log(2)
    filled = len(np.unique(a[:, 0].astype(int) * 8 + b[:, 0]))
    wanted = plain - (filled - 8 - 8 + 1) / (2 * 400 * np.log(2))
    bits = _Bits(400, 8)
    both = bits.tables(np.hstack([a, b]), np.hstack([a, b]))
    assert bits.of(a.T, b.T)[0] == pytest.approx(wanted, abs=1e-12)
    assert bits.rows(a.T, b.T).mean() == pytest.approx(wanted, abs=1e-12)
    assert both[0, 1] == both[1, 0] == pytest.approx(wanted, abs=1e-6)
    assert (equal_bins(np.zeros((9, 1)), 4) == 2).all()  # ties stay together
    assert equal_bins(rng.permutation(16)[:, None].astype(float), 4).max() == 3


def test_sliced_information_of_one_dimension_is_that_of_the_two_columns():
    x, y = gaussians(7, 2000, 1, 1.0)
    found = rsa.pair(x, y, SLICED, draws=19)
    assert 1.1 < found.value < 1.0 / np.log(2) and found.p == 0.05
    wide = np.random.default_rng(0).standard_normal((2000, 20))
    assert rsa.pair(np.hstack([x, wide]), y, SLICED, draws=0).value < found.value / 4


def test_max_sliced_finds_the_one_direction_in_common():
    rng = np.random.default_rng(8)
    z = rng.standard_normal((900, 1))
    x = np.hstack([z + 0.3 * rng.standard_normal((900, 1)), rng.standard_normal((900, 9))])
    y = np.hstack([rng.standard_normal((900, 7)), z + 0.3 * rng.standard_normal((900, 1))])
    best, mean = (rsa.pair(x, y, m, draws=19) for m in (MAX_SLICED, SLICED))
    assert best.value > 0.8 > 0.1 > mean.value and best.p == 0.05
    nothing = rsa.pair(x[:, 1:], y[:, :7], MAX_SLICED, draws=19)
    assert nothing.low < nothing.chance < nothing.high and nothing.p > 0.05


@pytest.mark.parametrize("bad", ["mi:sliced,slices=3,bins=8", "mi:sliced,slices=64,bins=1"])
def test_slices_and_bins_out_of_range_are_refused(bad):
    with pytest.raises(rsa.RsaError, match="measure"):
        SLICED.named(bad)


def test_orders_of_a_fold_move_whole_groups_within_it():
    x, y, group = tracks(9, 0.0, groups=20)
    joint = Joint([rsa.Matrices("a", {"x": x, "y": y}, group)], draws=5)
    masks = folds(joint, 3)
    assert (np.sum(masks, axis=0) == 1).all()
    for test, found in zip(masks, orders(joint, masks), strict=True):
        inside = joint.grouping.group_of_row[test]
        assert len(found) == 5
        for order in found:
            assert sorted(order) == list(range(test.sum()))
            moved = inside[order]
            assert all(len(set(moved[inside == g])) == 1 for g in set(inside))


def test_folds_of_one_group_give_no_chance_and_say_so():
    x, y, group = tracks(9, 0.0, groups=5)
    joint = Joint([rsa.Matrices("a", {"x": x, "y": y}, group)], draws=5)
    found = orders(joint, folds(joint, 3))
    assert [len(one) for one in found] == [0, 0, 0]
    ((_, note),) = no_chance_note(joint, 3, len(found[0]))
    assert note == "5 groups are too few for 3 folds of two groups: no level of chance, score or p"


def test_doubled_variance_keeps_the_mean():
    draws = np.random.default_rng(0).standard_normal((50, 3))
    wide = doubled_variance(draws)
    np.testing.assert_allclose(wide.mean(axis=0), draws.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(wide.var(axis=0), 2 * draws.var(axis=0))


@pytest.mark.parametrize("measure", FAST, ids=lambda m: m.title)
def test_more_noise_is_fewer_bits_and_a_rotation_changes_nothing(measure):
    rng = np.random.default_rng(10)
    x, e = rng.standard_normal((2, 400, 3))
    found = [rsa.pair(x, x + noise * e, measure, draws=0).value for noise in (0.3, 0.8, 2.0, 6.0)]
    assert found == sorted(found, reverse=True)
    turned = (x + 0.8 * e) @ np.linalg.qr(rng.standard_normal((3, 3)))[0] * 5 - 7
    assert rsa.pair(x, turned, measure, draws=0).value == pytest.approx(found[1], abs=1e-8)


def outcomes(measure, shared, count, draws=19, groups=60):
    """value, low, high, p over simulated data sets: [count, 4]."""
    found = []
    for seed in range(count):
        x, y, group = tracks(1000 + seed, shared, groups=groups)
        one = rsa.pair(x, y, measure, groups=group, draws=draws)
        found.append((one.value, one.low, one.high, one.p))
    return np.array(found)


def covered(found):
    middle = found[:, 0].mean()
    return ((found[:, 1] <= middle) & (middle <= found[:, 2])).mean()


@pytest.mark.parametrize("measure", FAST, ids=lambda m: m.title)
def test_layers_alike_within_tracks_only_are_at_chance(measure):
    found = outcomes(measure, 0.0, 20, groups=40)
    assert (found[:, 3] <= 0.05).mean() <= 0.25 and covered(found) >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize("measure", FAST, ids=lambda m: m.title)
@pytest.mark.parametrize("shared", [0.0, 1.0, 3.0])
def test_intervals_cover_and_false_alarms_are_few(measure, shared):
    found = outcomes(measure, shared, 400)
    assert 0.91 <= covered(found) <= 1.0
    if shared == 0.0:
        assert (found[:, 3] <= 0.05).mean() <= 0.09
    if shared == 3.0:
        assert (found[:, 3] <= 0.05).all() and covered(found) <= 0.985
