"""Comparisons of layers: known differences, the level under the null, the definitions by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import norm, t

from probes import inference
from probes.errors import ProbeError
from probes.trust.comparisons import DRAWS, Comparison, against, one_error, pairs, simultaneous

NAMES = ("a", "b", "c", "d")


def study(rng, groups, truth, rows=4, alike=0.7, resamples=400):
    """Right or wrong for each row at each layer: rows of a group, and layers, lean the same way."""
    hard = rng.standard_normal((groups, 1, 1)) + rng.standard_normal((groups, rows, 1))
    own = rng.standard_normal((groups, 1, len(truth))) + rng.standard_normal(
        (groups, rows, len(truth))
    )
    latent = (np.sqrt(alike) * hard + np.sqrt(1 - alike) * own) / np.sqrt(2)
    sums = (latent < np.asarray(truth)).sum(axis=1) / rows
    counts = inference.draw(groups, resamples, int(rng.integers(1 << 30)))
    return sums.mean(axis=0), (counts @ sums).T / groups


def test_one_layer_against_another_is_the_paired_t_test():
    rng = np.random.default_rng(0)
    difference = rng.normal(0.4, 1.0, size=40)
    counts = inference.draw(40, 20_000, 1)
    low, high, p = simultaneous(difference.mean()[None], (counts @ difference / 40)[None], 40)
    error = difference.std(ddof=1) / np.sqrt(40)
    reach = t.ppf(0.975, 39) * error
    assert low[0] == pytest.approx(difference.mean() - reach, abs=0.06 * error)
    assert high[0] == pytest.approx(difference.mean() + reach, abs=0.06 * error)
    classic = 2 * t.sf(difference.mean() / error, 39)
    assert p[0] == pytest.approx(classic, abs=4 * np.sqrt(classic / DRAWS))


def test_the_price_of_many_layers_is_that_of_their_number_and_likeness():
    rng = np.random.default_rng(1)
    one = rng.normal(0.35, 1.0, size=60)
    counts = inference.draw(60, 4000, 2)

    def p_of_first(others):
        table = np.column_stack([one, *others])
        return simultaneous(table.mean(axis=0), (counts @ table / 60).T, 60)[2][0]

    alone = p_of_first([])
    copies = p_of_first([one + 1e-9 * rng.standard_normal(60) for _ in range(20)])
    apart = p_of_first(list(rng.standard_normal((20, 60))))
    assert copies == pytest.approx(alone, abs=4 * np.sqrt(alone / DRAWS))
    assert apart == pytest.approx(1 - (1 - alone) ** 21, rel=0.25)


@pytest.mark.parametrize("groups", [6, 40])
def test_equal_layers_are_found_to_differ_in_one_study_of_twenty(groups):
    rng = np.random.default_rng(groups)
    studies = 200
    found = 0
    for _ in range(studies):
        values, drawn = study(rng, groups, np.full(8, 0.3))
        result = against([str(i) for i in range(8)], values, drawn, groups, "3")
        found += any(one.p <= 0.05 for one in result.differences)
    assert found / studies <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / studies)


@pytest.mark.slow
@pytest.mark.parametrize("groups", [5, 12, 60])
@pytest.mark.parametrize("every", [False, True])
def test_the_level_holds(groups, every):
    rng = np.random.default_rng(1 + groups + 1000 * every)
    studies, layers = 1000, 6
    names = [str(i) for i in range(layers)]
    found = 0
    for _ in range(studies):
        values, drawn = study(rng, groups, np.full(layers, 0.3), alike=0.5)
        if every:
            result = pairs(names, values, drawn, groups)
        else:
            result = against(names, values, drawn, groups, "0")
        found += any(one.p <= 0.05 for one in result.differences)
    assert found / studies <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / studies)


def test_intervals_cover_all_true_differences_at_once_and_the_set_the_best_layer():
    rng = np.random.default_rng(3)
    latent = np.array([-0.6, 0.0, 0.3, 0.25])
    truth = dict(zip(NAMES, norm.cdf(latent) - norm.cdf(latent[1]), strict=True))
    studies, covered, kept, kept_pairs = 120, 0, 0, 0
    for _ in range(studies):
        values, drawn = study(rng, 60, latent, rows=1)
        result = against(NAMES, values, drawn, 60, "b")
        covered += all(one.low <= truth[one.layer] <= one.high for one in result.differences)
        kept += "c" in result.not_worse
        kept_pairs += "c" in pairs(NAMES, values, drawn, 60).not_worse
    least = 0.95 - 2.5 * np.sqrt(0.05 * 0.95 / studies)
    assert least <= covered / studies < 1
    assert kept / studies >= least and kept_pairs / studies >= least


def test_a_clearly_worse_layer_is_named_and_leaves_the_set():
    rng = np.random.default_rng(4)
    values, drawn = study(rng, 80, [-1.5, 0.8, 0.8, 0.5])
    result = against(NAMES, values, drawn, 80, "b")
    worst = result.differences[0]
    assert (worst.layer, worst.other) == ("a", "b") and worst.p < 0.01 and worst.high < 0
    assert "a" not in result.not_worse and {"b", "c"} <= set(result.not_worse)
    every = pairs(NAMES, values, drawn, 80)
    assert len(every.differences) == 6 and "a" not in every.not_worse


def test_the_first_layer_within_one_standard_error():
    counts = inference.draw(50, 4000, 0)
    rng = np.random.default_rng(5)
    noise = rng.standard_normal(50)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    table = np.stack([noise * 0.7 + level for level in (0.5, 0.79, 0.85, 0.9, 0.89)])
    error = 0.7 / np.sqrt(50)  # 0.099
    values, drawn = table.mean(axis=1), table @ counts.T / 50
    assert 0.9 - 0.85 < error < 0.9 - 0.79
    assert one_error(values, drawn, 50) == 2
    assert one_error(np.array([np.nan, 0.1, 0.2]), drawn[:3] * np.nan, 50) == 2


def test_layers_that_answer_alike_do_not_differ_and_one_group_tells_nothing():
    rng = np.random.default_rng(6)
    values, drawn = study(rng, 30, [0.2, 0.5])
    values, drawn = values[[0, 0, 1]], drawn[[0, 0, 1]]
    same = against(("x", "y", "z"), values, drawn, 30, "x").differences[0]
    assert (same.value, same.low, same.high, same.p) == (0.0, 0.0, 0.0, 1.0)
    lonely = against(("x", "y", "z"), values, drawn, 1, "x")
    assert all(np.isnan([one.low, one.p]).all() for one in lonely.differences)
    assert lonely.not_worse == ("x", "y", "z")


def test_scores_that_some_resamples_lack_are_passed_over():
    rng = np.random.default_rng(7)
    values, drawn = study(rng, 30, [0.2, 0.5, 0.4])
    holes = drawn.copy()
    holes[:, :20] = np.nan
    holes[2] = np.nan
    found = against(("x", "y", "z"), values, holes, 30, "x").differences
    whole = against(("x", "y"), values[:2], drawn[:2, 20:], 30, "x").differences
    assert found[0] == whole[0] and np.isnan(found[1].p)


def test_written_and_read_and_an_unknown_layer():
    rng = np.random.default_rng(8)
    values, drawn = study(rng, 1, [0.2, 0.5, 0.4])
    result = against(("x", "y", "z"), values, drawn, 1, "x")
    text = json.dumps(result.as_json(), allow_nan=False)
    again = Comparison.from_json(json.loads(text))
    assert repr(again) == repr(result) and json.dumps(again.as_json()) == text
    with pytest.raises(ProbeError, match="no layer w"):
        against(("x", "y", "z"), values, drawn, 1, "w")
