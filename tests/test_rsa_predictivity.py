"""Linear predictivity against scikit-learn, in both directions, at chance and held out."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

import rsa
from rsa.measures import measure
from rsa.measures.heldout import folds
from rsa.measures.predictivity import PENALTIES
from rsa.rows.joint import Joint

NAME = "predictivity:linear,cv=5"


def two(seed=0, tracks=40, frames=3, p=5, q=7, noise=1.0):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(tracks), frames)
    z = rng.standard_normal((len(groups), 3))
    x = z @ rng.standard_normal((3, p)) + noise * rng.standard_normal((len(groups), p))
    y = z @ rng.standard_normal((3, q)) + noise * rng.standard_normal((len(groups), q))
    return x, y, groups


@pytest.mark.parametrize("p, q", [(5, 7), (7, 5), (150, 4)])
def test_scikit_learn_fits_the_same(p, q):
    x, y, groups = two(0, p=p, q=q)
    joint = Joint([rsa.Matrices("a", {"x": x, "y": y}, groups)], draws=0)
    held, x, y = folds(joint, 5), joint.layer(0), joint.layer(1)
    error = total = 0.0
    for f, test in enumerate(held):
        dev = held[(f + 1) % 5]

        def fit(rows, penalty):
            centred = x[rows] - x[rows].mean(axis=0)
            largest = np.linalg.svd(centred, compute_uv=False)[0] ** 2
            return Ridge(alpha=penalty * largest, solver="svd").fit(x[rows], y[rows])

        errors = [((y[dev] - fit(~test & ~dev, a).predict(x[dev])) ** 2).sum() for a in PENALTIES]
        model = fit(~test, PENALTIES[np.argmin(errors)])
        error += ((y[test] - model.predict(x[test])) ** 2).sum()
        total += ((y[test] - y[~test].mean(axis=0)) ** 2).sum()
    assert measure(NAME).estimate(joint).value[0, 1] == pytest.approx(1 - error / total, abs=1e-9)


def test_a_part_is_predicted_by_the_whole_and_not_the_other_way():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((300, 12))
    found = rsa.pair(x, x[:, :3] + 0.01 * rng.standard_normal((300, 3)), NAME, draws=19)
    assert found.value > 0.99 and found.extra["reverse"] == pytest.approx(0.25, abs=0.1)
    back = rsa.pair(x[:, :3] + 0.0, x, NAME, draws=0)
    assert back.value == pytest.approx(0.25, abs=0.1)
    assert found.p == 0.05 and found.chance == 0.0 and found.chance_high > 0


def test_a_copy_is_predicted_and_nothing_is_not():
    x, y, groups = two(2)
    assert rsa.pair(x, x[:, ::-1] * 3 + 1, NAME, draws=0).value == pytest.approx(1, abs=1e-6)
    rng = np.random.default_rng(2)
    nothing = [
        rsa.pair(rng.standard_normal((60, 40)), rng.standard_normal((60, 5)), NAME, draws=0).value
        for _ in range(10)
    ]
    assert min(nothing) < 0 and abs(np.mean(nothing)) < 0.1
    few = rsa.pair(x, y, NAME, groups=np.repeat([0, 1], 60), draws=3)
    assert np.isnan([few.value, few.low, few.p]).all()
    assert any("too few" in note for note in few.notes)
    assert any("3 folds" in n for n in rsa.pair(x, y, NAME, groups=groups // 14, draws=3).notes)
    with pytest.raises(rsa.RsaError, match="cv is at least 3"):
        measure("predictivity:linear,cv=2")


def test_tracks_alone_do_not_reject():
    rejected = 0
    for seed in range(60):
        rng = np.random.default_rng([seed, 4])
        tracks = np.repeat(np.arange(40), 3)
        x, y = (
            2 * rng.standard_normal((40, 4))[tracks] + rng.standard_normal((120, 4))
            for _ in range(2)
        )
        rejected += rsa.pair(x, y, NAME, groups=tracks, draws=19, seed=seed).p <= 0.05
    # 3 expected; more than 9 once in five hundred
    assert rejected <= 9


def test_more_rows_than_the_limit_are_thinned(monkeypatch):
    from rsa.measures import predictivity

    monkeypatch.setattr(predictivity, "ROWS", 60)
    x, y, groups = two(3)
    found = rsa.pair(x, y, NAME, groups=groups, draws=3)
    assert np.isfinite(found.value) and any("of 120 rows" in note for note in found.notes)


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.5, 1.0])
def test_intervals_cover_the_mean_of_the_estimator(noise):
    found = []
    for seed in range(400):
        rng = np.random.default_rng([seed, 23])
        groups = np.repeat(np.arange(80), 3)
        common = rng.standard_normal((80, 3))[groups] + rng.standard_normal((240, 3))
        x, y = (
            common @ np.random.default_rng(i).standard_normal((3, 6))
            + noise * rng.standard_normal((80, 6))[groups]
            + noise * rng.standard_normal((240, 6))
            for i in range(2)
        )
        one = rsa.pair(x, y, NAME, groups=groups, draws=0, seed=seed)
        found.append((one.value, one.low, one.high))
    value, low, high = np.array(found).T
    covered = np.mean((low <= value.mean()) & (value.mean() <= high))
    assert 0.92 <= covered <= 0.985, covered
