"""Calibration on simulated probabilities whose truth is known, and against closed forms."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from probes import inference
from probes.trust.calibration import Calibration, Coverage, of_classes, of_numbers, of_tags


def softmax(logits):
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def classes(seed, sharper=1.0, rows=1500, kinds=6, together=1):
    """A probe whose logits are `sharper` times the true ones; a group's rows are all alike."""
    rng = np.random.default_rng(seed)
    groups = rows // together
    logits = np.repeat(1.5 * rng.standard_normal((groups, kinds)), together, axis=0)
    luck = np.repeat(rng.random((groups, 1)), together, axis=0)
    truth = np.minimum((softmax(logits).cumsum(axis=1) < luck).sum(axis=1), kinds - 1)
    index = np.repeat(np.arange(groups), together)
    counts = inference.draw(groups, 200, 0)
    return of_classes(softmax(sharper * logits), truth, index, counts, seed=0)


@pytest.mark.parametrize("together", [1, 10])
def test_a_calibrated_probe_errs_as_much_as_chance_whatever_the_groups(together):
    found = [classes(seed, rows=800, together=together) for seed in range(24)]
    error = np.mean([one.error.value for one in found])
    chance = np.mean([one.error.chance for one in found])
    assert error == pytest.approx(chance, rel=0.1) and error > (0.02 if together == 1 else 0.08)
    several = np.mean([(one.classwise.value, one.classwise.chance) for one in found], axis=0)
    assert several[0] == pytest.approx(several[1], rel=0.2)
    assert np.mean([one.error.p <= 0.05 for one in found]) <= 0.21
    reliability = [one.brier.reliability for one in found]
    assert abs(np.mean(reliability)) < 2.5 * np.std(reliability) / np.sqrt(24)


@pytest.mark.parametrize("sharper", [0.5, 2.0])
def test_a_probe_that_is_too_sure_or_not_sure_enough_is_told(sharper):
    found = classes(1, sharper)
    assert found.error.value > 3 * found.error.chance and found.error.p < 0.01
    assert found.classwise.value > 2 * found.classwise.chance
    assert found.brier.reliability > 0.02
    stated, observed = (
        np.array([getattr(one, name) for one in found.bins]) for name in ("stated", "observed")
    )
    above = np.array([one.value for one in observed]) > stated
    assert above.mean() > 0.8 if sharper < 1 else above.mean() < 0.2


def test_bins_hold_equal_shares_and_give_the_error_back():
    found = classes(2, 1.7, rows=1510)
    rows = np.array([one.rows for one in found.bins])
    assert len(rows) == 15 and rows.sum() == 1510 and np.ptp(rows) <= 1
    gap = [abs(one.observed.value - one.stated) for one in found.bins]
    assert np.average(gap, weights=rows) == pytest.approx(found.error.value)
    assert all(one.observed.low <= one.observed.value <= one.observed.high for one in found.bins)


def test_parts_of_the_brier_score_sum_to_it():
    for together in (1, 7):
        one = classes(3, 1.6, together=together).brier
        parts = one.reliability - one.resolution + one.uncertainty + one.within
        assert parts == pytest.approx(one.value.value, abs=1e-12)


def test_two_sided_coin_against_scikit_learn_and_ferro_and_fricker():
    rng = np.random.default_rng(4)
    chances = np.array([0.1, 0.3, 0.45, 0.8])
    p = np.repeat(chances, [100, 60, 90, 50])
    y = (rng.random(len(p)) < p).astype(int)
    both = np.stack([1 - p, p], axis=1)
    index = np.arange(len(p))
    found = of_classes(both, y, index, inference.draw(len(p), 50, 0), 0).brier
    assert found.value.value / 2 == pytest.approx(brier_score_loss(y, p))
    # bins with one probability each: nothing is left within, and the corrections are known
    n = np.array([(p == c).sum() for c in chances])
    o = np.array([y[p == c].mean() for c in chances])
    noise = (n / len(p) * o * (1 - o) / (n - 1)).sum()
    reliability = (n / len(p) * (chances - o) ** 2).sum() - noise
    mean = y.mean()
    drift = mean * (1 - mean) / (len(p) - 1)
    resolution = (n / len(p) * (o - mean) ** 2).sum() - noise + drift
    assert found.within == pytest.approx(0.0, abs=1e-12)
    assert found.reliability / 2 == pytest.approx(reliability)
    assert found.resolution / 2 == pytest.approx(resolution)
    assert found.uncertainty / 2 == pytest.approx(mean * (1 - mean) + drift)


def test_tags_with_unknowns():
    rng = np.random.default_rng(5)
    logits = 1.5 * rng.standard_normal((800, 6)) - 2
    p = 1 / (1 + np.exp(-logits))
    truth = (rng.random(p.shape) < p).astype(float)
    truth[rng.random(p.shape) < 0.2] = np.nan
    index, counts = np.arange(800), inference.draw(800, 200, 0)
    good = of_tags(p, truth, index, counts, 0)
    sharp = of_tags(1 / (1 + np.exp(-2 * logits)), truth, index, counts, 0)
    known = np.isfinite(truth)
    by_tag = [np.mean((p[k, t] - truth[k, t]) ** 2) for t, k in enumerate(known.T)]
    assert good.brier.value.value == pytest.approx(np.mean(by_tag))
    assert sum(one.rows for one in good.bins) == known.sum()
    assert good.error.p > 0.01 > sharp.error.p and sharp.error.value > 3 * sharp.error.chance
    parts = good.brier
    assert parts.reliability - parts.resolution + parts.uncertainty + parts.within == (
        pytest.approx(parts.value.value, abs=1e-12)
    )


def test_probabilities_that_are_all_alike_are_one_bin():
    y = np.arange(90) % 3
    found = of_classes(np.full((90, 3), 1 / 3), y, np.arange(90), inference.draw(90, 50, 0), 0)
    assert len(found.bins) == 1 and found.error.value == pytest.approx(0.0, abs=1e-12)
    assert found.error.p == 1.0


@pytest.mark.parametrize("factor, at_90", [(1.0, 0.90), (0.5, 0.589), (2.0, 0.999)])
def test_coverage_of_normal_errors(factor, at_90):
    rng = np.random.default_rng(6)
    truth = rng.standard_normal(4000)
    answers = truth + 0.3 * rng.standard_normal(4000)
    counts = inference.draw(800, 200, 0)
    found = of_numbers(answers, 0.3 * factor, truth, np.arange(4000) // 5, counts)
    covered = found.covered[found.levels.index(0.9)]
    assert covered.value == pytest.approx(at_90, abs=0.015)
    assert covered.low <= covered.value <= covered.high
    assert found.spread == pytest.approx(0.3 * factor)


def test_written_and_read():
    found = classes(7, rows=60, together=60)  # one group: no intervals
    again = Calibration.from_json(json.loads(json.dumps(found.as_json(), allow_nan=False)))
    assert repr(again) == repr(found) and np.isnan(again.brier.value.low)
    numbers = of_numbers(np.zeros(4), 1.0, np.ones(4), np.arange(4), inference.draw(4, 9, 0))
    assert Coverage.from_json(json.loads(json.dumps(numbers.as_json()))) == numbers
