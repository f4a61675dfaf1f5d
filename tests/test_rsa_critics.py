"""Bounds from trained critics: known truths, the ceiling, nothing where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest

import rsa
from rsa.measures.critics import INFONCE, SMILE
from rsa.measures.training import Critics, Setting

BOTH = pytest.mark.parametrize("measure", [INFONCE, SMILE], ids=["infonce", "smile"])


@pytest.fixture
def short(monkeypatch):
    """Training that stops early: enough for what is not about how much is learnt."""
    monkeypatch.setattr("rsa.measures.critics.MOST", 60)


def gaussians(seed, n, dimensions, nats):
    rng = np.random.default_rng(seed)
    rho = np.sqrt(1 - np.exp(-2 * nats / dimensions))
    x, e = rng.standard_normal((2, n, dimensions))
    return x, rho * x + np.sqrt(1 - rho**2) * e


@BOTH
def test_ten_dimensions_with_two_nats(measure):
    x, y = gaussians(0, 2000, 10, 2.2314)
    found = rsa.pair(x, y, measure, draws=19)
    assert 1.8 < found.value * np.log(2) < 2.45 and found.low < found.value < found.high
    assert found.p == 0.05


@BOTH
def test_a_relation_that_no_line_shows(measure):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((600, 2))
    y = x**2 + 0.2 * rng.standard_normal((600, 2))
    assert rsa.pair(x, y, measure, draws=0).value > 0.5
    assert rsa.gaussian_mi(x, y, components=2, draws=0).value < 0.15


@BOTH
def test_independent_layers_have_nothing(measure, short):
    found = []
    for seed in range(3):
        x, y = gaussians(10 + seed, 240, 4, 0.0)
        group = np.repeat(np.arange(80), 3)
        track = np.random.default_rng(seed).standard_normal((2, 80, 4))[:, group]
        found.append(rsa.pair(x + track[0], y + track[1], measure, groups=group, draws=39))
    assert max(f.value for f in found) < 0.1
    assert sum(f.p <= 0.05 for f in found) <= 1


def test_infonce_stays_under_its_ceiling_and_says_when_it_is_near(short):
    x, _ = gaussians(2, 150, 3, 1.0)
    found = rsa.pair(x, -x[:, ::-1], INFONCE, draws=0)
    assert found.value <= found.extra["ceiling"] == pytest.approx(np.log2(50))
    assert found.value > 0.9 * found.extra["ceiling"]
    assert any("ceiling" in note for note in found.notes)


@BOTH
def test_the_same_pair_alone_or_among_others_and_twice(measure, short):
    x, y = gaussians(3, 120, 3, 1.0)
    alone, again = (rsa.pair(x, y, measure, draws=5) for _ in range(2))
    assert alone == again
    layers = {"x": x, "y": y, "z": x**2}
    among = rsa.compare(rsa.Matrices("m", layers), measures=[measure], draws=5)["m", "m"]
    assert among.measures[0].value[0, 1] == pytest.approx(alone.value, abs=1e-4)
    assert np.isnan(np.diag(among.measures[0].value)).all()


@pytest.mark.parametrize("clip", [0.0, 5.0])
def test_scores_are_those_of_plain_loops_over_the_table(clip):
    import torch

    rng = np.random.default_rng(4)
    x = rng.standard_normal((2, 60, 3))
    y = x + rng.standard_normal((2, 60, 3))
    rows = np.arange(60)
    critics = Critics.start(
        x, y, rows < 20, (20 <= rows) & (rows < 40), Setting(20, clip, 0, "cpu")
    )
    critics.train()
    orders = np.array([rng.permutation(20) for _ in range(3)])
    terms, drawn = critics.score(x[:, 40:], y[:, 40:], orders)
    u, v = (
        torch.from_numpy(a[:, 40:] @ t).float() for a, t in zip((x, y), critics._turn, strict=True)
    )
    with torch.no_grad():
        table = critics.table(u, v).double().numpy()

    def bound(t, order):
        n, total = len(t), 0.0
        if clip == 0:
            for i in range(n):
                total += t[i, order[i]] - np.log(np.exp(t[i]).mean()) / 2
                total -= np.log(np.exp(t[:, i]).mean()) / 2
            return total / n
        apart = [
            np.exp(np.clip(t[i, j], -clip, clip)) for i in range(n) for j in range(n)
            if j != order[i]
        ]  # fmt: skip
        return np.mean([t[i, order[i]] for i in range(n)]) - np.log(np.mean(apart))

    for pair in range(2):
        assert terms[pair].mean() == pytest.approx(bound(table[pair], range(20)), abs=1e-5)
        for draw, order in enumerate(orders):
            assert drawn[draw, pair] == pytest.approx(bound(table[pair], order), abs=1e-5)


def test_training_raises_the_bound_on_what_the_start_cannot_see():
    rng = np.random.default_rng(5)
    x = rng.standard_normal((1, 600, 2))
    y = np.abs(x) + 0.1 * rng.standard_normal((1, 600, 2))
    rows = np.arange(600)
    train, stop, test = rows < 300, (300 <= rows) & (rows < 400), rows >= 400
    before, after = (
        Critics.start(x, y, train, stop, Setting(steps, 0.0, 0, "cpu")) for steps in (0, 200)
    )
    none = np.empty((0, test.sum()), dtype=int)
    values = []
    for critics in (before, after):
        critics.train()
        values.append(critics.score(x[:, test], y[:, test], none)[0].mean())
    assert values[1] > values[0] + 0.5


@BOTH
def test_too_few_rows_and_wrong_parameters(measure):
    x, y = gaussians(6, 12, 2, 1.0)
    found = rsa.pair(x, y, measure)
    assert np.isnan(found.value) and any("too few" in note for note in found.notes)
    for bad in ("mi:infonce,pca=0", "mi:smile,clip=0,pca=8", "mi:smile,clip=5,pca=900"):
        with pytest.raises(rsa.RsaError, match="measure"):
            INFONCE.named(bad) or SMILE.named(bad)


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize("shared", [0.0, 1.0, 3.0])
def test_intervals_cover_and_false_alarms_are_few(measure, shared):
    found = []
    for seed in range(400):
        rng = np.random.default_rng(2000 + seed)
        group = np.repeat(np.arange(60), 3)
        x, y, both = rng.standard_normal((3, 180, 3)) + rng.standard_normal((3, 60, 3))[:, group]
        one = rsa.pair(x + shared * both, y + shared * both, measure, groups=group, draws=19)
        found.append((one.value, one.low, one.high, one.p))
    found = np.array(found)
    middle = found[:, 0].mean()
    assert 0.88 <= ((found[:, 1] <= middle) & (middle <= found[:, 2])).mean() <= 1.0
    if shared == 0.0:
        assert (found[:, 3] <= 0.05).mean() <= 0.09
    if shared == 3.0:
        assert (found[:, 3] <= 0.05).all()
