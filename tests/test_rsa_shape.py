"""Shapes: oracles, the two ends of the whitening, metric properties, copies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import fractional_matrix_power, orthogonal_procrustes, sqrtm

import rsa
from rsa.measures import measure
from rsa.measures.shape import divided_difference

ALL = ("procrustes:orthogonal", "bures:normalised", "shape:angular,alpha=1",
       "shape:angular,alpha=0.5")  # fmt: skip


def two(seed=0, n=120, p=5, q=8, noise=1.0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 3))
    x = z @ rng.standard_normal((3, p)) + noise * rng.standard_normal((n, p))
    return x, z @ rng.standard_normal((3, q)) + noise * rng.standard_normal((n, q))


def value(x, y, name):
    return rsa.pair(x, y, name, draws=0).value


def padded(x, y, alpha=1.0):
    """Centred, partly whitened, filled up with zeros, at unit norm: from the formula."""
    out = []
    for a in (x, y):
        a = a - a.mean(axis=0)
        a = a @ fractional_matrix_power(a.T @ a, (alpha - 1) / 2).real
        out.append(np.pad(a, ((0, 0), (0, max(x.shape[1], y.shape[1]) - a.shape[1]))))
    return [a / np.linalg.norm(a) for a in out]


@pytest.mark.parametrize("alpha", [1.0, 0.5, 0.2, 0.0])
@pytest.mark.parametrize("p, q", [(5, 8), (8, 5), (4, 4)])
def test_the_best_rotation_is_scipys(alpha, p, q):
    x, y = two(1, p=p, q=q)
    a, b = padded(x, y, alpha)
    turn, cosine = orthogonal_procrustes(a, b)
    assert value(x, y, f"shape:angular,alpha={alpha:g}") == pytest.approx(
        np.arccos(cosine), abs=1e-9
    )
    if alpha == 1:
        apart = np.linalg.norm(a @ turn - b)
        assert value(x, y, ALL[0]) == pytest.approx(apart, abs=1e-9)
        assert apart**2 == pytest.approx(2 - 2 * cosine, abs=1e-12)


def test_bures_from_gram_matrices():
    x, y = two(2, n=30)
    k, ell = (c @ c.T for c in (a - a.mean(0) for a in (x, y)))
    root = sqrtm(k + 1e-12 * np.eye(30)).real
    fidelity = np.trace(sqrtm(root @ ell @ root)).real / np.sqrt(np.trace(k) * np.trace(ell))
    assert value(x, y, "bures:normalised") == pytest.approx(fidelity, abs=1e-4)


def test_whitened_shapes_are_not_mean_cca():
    x, y = two(3, p=4, q=9)
    mean = value(x, y, "cca:mean")
    angle = value(x, y, "shape:angular,alpha=0")
    assert np.cos(angle) == pytest.approx(mean * 4 / np.sqrt(4 * 9), abs=1e-9)
    assert abs(np.cos(angle) - mean) > 0.05
    same = value(x, y[:, :4], "shape:angular,alpha=0")
    assert np.cos(same) == pytest.approx(value(x, y[:, :4], "cca:mean"), abs=1e-9)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.integers(0, 10_000),
    st.tuples(*[st.integers(1, 9)] * 3) | st.integers(1, 9).map(lambda d: (d, d, d)),
    st.sampled_from(["procrustes:orthogonal", "shape:angular,alpha=1", "shape:angular,alpha=0.5",
                     "shape:angular,alpha=0"]),
    st.floats(0, 2),
)  # fmt: skip
def test_triangle_inequality(seed, widths, name, noise):
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((30, 9))
    layers = [
        (base + noise * i * rng.standard_normal((30, 9)))[:, :d] for i, d in enumerate(widths)
    ]
    source = rsa.Matrices("a", {f"l{i}": x for i, x in enumerate(layers)})
    d = rsa.compare(source, measures=[name], draws=0)["a", "a"][name].value
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        assert d[i, k] <= d[i, j] + d[j, k] + 1e-9


def test_a_turned_copy_is_at_distance_zero_to_all_digits():
    x, _ = two(4, p=6)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0]
    wider = np.column_stack([x @ turn * 3 + 1, np.zeros((len(x), 2))])
    for name in ALL:
        best = 1.0 if "bures" in name else 0.0
        found = rsa.pair(x, wider, name, draws=0)
        assert found.value == pytest.approx(best, abs=1e-13)
        assert found.low == pytest.approx(best, abs=1e-7)
    near = x + 1e-6 * np.random.default_rng(1).standard_normal(x.shape)
    scale = np.linalg.norm(x - x.mean(0)) / np.sqrt(x.size)
    assert 0.5e-6 / scale < value(x, near, "procrustes:orthogonal") < 1.1e-6 / scale


def test_how_whitening_follows_the_covariance():
    variance = np.array([3.0, 3.0, 1.2, 0.1])
    for alpha in (0.0, 0.3, 0.5, 1.0):
        f, df = variance ** ((alpha - 1) / 2), (alpha - 1) / 2 * variance ** ((alpha - 3) / 2)
        for i, a in enumerate(variance):
            for j, b in enumerate(variance):
                slope = df[i] if a == b else (f[i] - f[j]) / (a - b)
                expected = slope * np.sqrt(a * b) * (1 / f[i] + 1 / f[j]) / 2
                found = divided_difference(np.sqrt(variance), alpha)[i, j]
                assert found == pytest.approx(expected, abs=1e-9)


def test_the_interval_follows_leaving_rows_out():
    x, y = two(5, n=100, noise=0.6)

    def all_of(x, y):
        sources = [rsa.Matrices("x", {"x": x[:, :3]}), rsa.Matrices("y", {"y": y[:, :3]})]
        return rsa.compare(*sources, measures=ALL, pairs=[(0, 1)], draws=0).between(0, 1)

    without = [all_of(np.delete(x, i, 0), np.delete(y, i, 0)) for i in range(100)]
    for name in ALL:
        jackknife = np.std([one[name].value[0, 0] for one in without]) * np.sqrt(99)
        found = all_of(x, y)[name]
        reach = (found.high - found.low)[0, 0] / 2 / 1.984
        assert reach == pytest.approx(jackknife, rel=0.12), name


def test_chance_is_a_large_distance_and_extra_keeps_the_cosine():
    x, y = two(6, n=90)
    groups = np.r_[np.repeat(np.arange(20), 3), np.repeat(np.arange(20, 26), 5)]
    for name in ALL:
        found = rsa.pair(x, y, name, groups=groups)
        sign = 1 if measure(name).larger_is_more_similar else -1
        assert sign * (found.value - found.chance_high) > 0 and found.p == 0.01
        assert found.extra["components_x"] == 5
    assert np.cos(found.value) == pytest.approx(found.extra["cosine"], abs=1e-12)
    with pytest.raises(rsa.RsaError, match="alpha is from 0 to 1"):
        measure("shape:angular,alpha=1.5")


@pytest.mark.slow
@pytest.mark.parametrize("strength", [1.0, 0.0])
@pytest.mark.parametrize("name", ALL)
def test_intervals_cover_the_mean_of_the_estimator(name, strength):
    found = []
    for seed in range(400):
        rng = np.random.default_rng([seed, 22])
        groups = np.repeat(np.arange(60), 3)
        common = rng.standard_normal((60, 3))[groups] + rng.standard_normal((180, 3))
        x, y = (
            strength * 0.7 * common @ np.random.default_rng(i).standard_normal((3, 8))
            + 0.5 * rng.standard_normal((60, 8))[groups]
            + rng.standard_normal((180, 8))
            for i in range(2)
        )
        one = rsa.pair(x, y, name, groups=groups, draws=0, seed=seed)
        found.append((one.value, one.low, one.high))
    value, low, high = np.array(found).T
    covered = np.mean((low <= value.mean()) & (value.mean() <= high))
    assert 0.92 <= covered <= 0.99, covered
