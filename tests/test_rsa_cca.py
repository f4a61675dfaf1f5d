"""Canonical correlations against slow definitions, closed forms and simulated truths."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import subspace_angles
from sklearn.cross_decomposition import CCA

import rsa
from rsa.measures import measure
from rsa.measures.decompositions import singular
from rsa.measures.heldout import folds
from rsa.measures.ridge import RIDGES
from rsa.rows.joint import Joint

SVCCA, PWCCA = "svcca:var=0.99,mean", "pwcca:var=0.99,mean"
WHOLE = ("cca:r2", "cca:mean")
RIDGE = "pwcca:ridge,pca=4,cv=10"


def example(seed=0, n=512, p=64, q=96, shared=20, noise=1.0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, shared))
    x = z @ rng.standard_normal((shared, p)) + noise * rng.standard_normal((n, p))
    return x, z @ rng.standard_normal((shared, q)) + noise * rng.standard_normal((n, q))


def slow(x, y, share=0.99):
    """SVCCA, and PWCCA weighted by x, written from the papers."""
    bases, centred = [], []
    for a in (x, y):
        a = a - a.mean(axis=0)
        u, s, _ = np.linalg.svd(a, full_matrices=False)
        k = 1
        while (s[:k] ** 2).sum() < share * (s**2).sum():
            k += 1
        bases.append(u[:, :k])
        centred.append(u[:, :k] * s[:k] @ _[:k])
    left, rho, _ = np.linalg.svd(bases[0].T @ bases[1], full_matrices=False)
    alpha = np.array([sum(abs(h @ neuron) for neuron in centred[0].T) for h in (bases[0] @ left).T])
    return rho.mean(), alpha @ rho / alpha.sum()


@pytest.mark.parametrize("wide_first", [False, True])
def test_svcca_and_pwcca_are_those_of_the_papers(wide_first):
    x, y = example()[:: -1 if wide_first else 1]
    mean, weighted = slow(x, y)
    back = slow(y, x)[1]
    assert rsa.svcca(x, y, draws=0).value == pytest.approx(mean, abs=1e-10)
    found = rsa.pwcca(x, y, draws=0)
    assert found.extra["weighted_by_x"] == pytest.approx(weighted, abs=1e-10)
    assert found.extra["weighted_by_y"] == pytest.approx(back, abs=1e-10)
    assert found.value == pytest.approx((weighted + back) / 2, abs=1e-10)
    assert abs(weighted - back) > 1e-3  # it is not symmetric: both are kept


@pytest.mark.parametrize("name", [SVCCA, PWCCA, *WHOLE, RIDGE])
def test_an_offset_is_not_a_direction(name):
    x, y = example(1, 200, 8, 6, 3)
    moved = rsa.pair(x + 300, y - 30, name, draws=0).value
    assert moved == pytest.approx(rsa.pair(x, y, name, draws=0).value, abs=1e-9)


def test_whole_layers_against_principal_angles_and_scikit_learn():
    x, y = example(2, 300, 7, 4, 2)
    rho = np.cos(subspace_angles(x - x.mean(0), y - y.mean(0)))
    assert rsa.pair(x, y, "cca:r2", draws=0).value == pytest.approx((rho**2).mean(), abs=1e-12)
    assert rsa.pair(x, y, "cca:mean", draws=0).value == pytest.approx(rho.mean(), abs=1e-12)
    u, v = CCA(4, max_iter=20_000, tol=1e-12).fit_transform(x, y)
    theirs = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(u.T, v.T, strict=True)])
    assert rsa.pair(x, y, "cca:mean", draws=0).value == pytest.approx(theirs, abs=1e-6)


def test_correlations_are_one_by_counting_and_then_refused():
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((60, 40)), rng.standard_normal((60, 35))
    xc, yc = x - x.mean(0), y - y.mean(0)
    rho = np.linalg.svd(np.linalg.qr(xc)[0].T @ np.linalg.qr(yc)[0], compute_uv=False)
    assert (rho > 1 - 1e-10).sum() == 40 + 35 - 59
    for name in WHOLE:
        found = rsa.pair(x, y, name, draws=5)
        assert np.isnan([found.value, found.low, found.chance_high, found.p]).all()
        assert any("rows >= p + q" in note and "= 16 correlations" in note for note in found.notes)
        assert np.isfinite(rsa.pair(x[:, :20], y, name, draws=5).p)
    layers = {f"l{i}": x for i in range(4)}
    sources = rsa.Matrices("a", layers), rsa.Matrices("b", {"narrow": x[:, :3], "wide": y})
    found = rsa.compare(*sources, measures=WHOLE, draws=0, stability=False)
    notes = found["a", "a"]["cca:r2"].notes
    assert sum("by counting" in n for n in notes) == 6 and not any("b/" in n for n in notes)
    notes = found["a", "b"]["cca:r2"].notes
    assert sum("b/wide" in n for n in notes) == 4 == sum("by counting" in n for n in notes)


def test_components_are_fewer_where_rows_demand_it():
    x, y = example(4, 41, 60, 30, 5)
    found = rsa.pair(x, y, "cca:mean,pca=50", draws=3)
    assert found.extra["components_x"] == found.extra["components_y"] == 20
    assert 0 < found.value < 1 and any("fewer components" in note for note in found.notes)
    x, y = example(4, 200, 9, 12, 5)
    heads = [np.linalg.svd(a - a.mean(0), full_matrices=False)[0][:, :3] for a in (x, y)]
    rho = np.linalg.svd(heads[0].T @ heads[1], compute_uv=False)
    assert rsa.pair(x, y, "cca:mean,pca=3", draws=0).value == pytest.approx(rho.mean(), abs=1e-12)
    r2 = rsa.pair(x, y, "cca:r2,pca=3", draws=0).value
    assert r2 == pytest.approx((rho**2).mean(), abs=1e-12)


def test_chance_of_r2_is_the_larger_width_over_the_rows():
    x, y = example(5, 80, 12, 30, 5)
    found = rsa.pair(x, y, "cca:r2")
    assert found.chance == pytest.approx(30 / 79, abs=1e-12)
    rng = np.random.default_rng(0)
    values = [rsa.pair(x, y[rng.permutation(80)], "cca:r2", draws=0).value for _ in range(60)]
    assert np.mean(values) == pytest.approx(30 / 79, abs=4 * np.std(values) / np.sqrt(60))
    assert found.chance_high == pytest.approx(30 / 79 + 1.7 * np.std(values), abs=0.02)


def test_draws_by_tiles_and_by_pairs_are_the_same():
    rng = np.random.default_rng(6)
    layers = {f"l{i}": rng.standard_normal((24, 9)) for i in range(12)}
    two = {name: layers[name] for name in ("l0", "l1")}
    tiles, pairs = (
        measure("cca:r2").estimate(Joint([rsa.Matrices("a", some)], draws=6)).null.draws
        for some in (layers, two)
    )
    np.testing.assert_allclose(tiles[:, :2, :2], pairs, atol=1e-6)
    order = Joint([rsa.Matrices("a", two)], draws=6).permutations[2]
    at = Joint([rsa.Matrices("a", two)]).grouping.order
    value = rsa.pair(layers["l0"][at], layers["l1"][at][order], "cca:r2", draws=0).value
    assert pairs[2, 0, 1] == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (6, 6)])
def test_decompositions_by_eigenvectors_agree_with_the_svd(shape):
    rng = np.random.default_rng(7)
    least = min(shape)
    c = np.diag(np.geomspace(1, 1e-9, least))
    left, right = (np.linalg.qr(rng.standard_normal((k, least)))[0] for k in shape)
    c = left @ c @ right.T
    exact = singular(c)
    values = np.linalg.svd(c, compute_uv=False)
    np.testing.assert_allclose(exact[1], values, atol=1e-11)
    np.testing.assert_allclose(exact[0] * exact[1] @ exact[2].T, c, atol=1e-8)
    for vectors in exact[::2]:
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(least), atol=1e-14)
    np.testing.assert_allclose(singular(c, exact=False)[1], values, atol=1e-8)
    assert np.isfinite(singular(np.zeros(shape))[0]).all()
    assert (singular(np.zeros(shape), exact=False)[1] == 0).all()


def test_the_interval_follows_leaving_rows_out():
    names = (SVCCA, PWCCA, "cca:r2", "cca:r2,pca=4", "cca:mean,pca=4")
    x, y = example(8, 120, 5, 6, 5, 0.3)

    def all_of(x, y):
        sources = [rsa.Matrices("x", {"x": x}), rsa.Matrices("y", {"y": y})]
        return rsa.compare(*sources, measures=names, pairs=[(0, 1)], draws=0).between(0, 1)

    without = [all_of(np.delete(x, i, 0), np.delete(y, i, 0)) for i in range(120)]
    for name in names:
        jackknife = np.std([one[name].value[0, 0] for one in without]) * np.sqrt(119)
        found = all_of(x, y)[name]
        reach = (found.high - found.low)[0, 0] / 2 / 1.98
        assert reach == pytest.approx(jackknife, rel=0.16), name


def test_held_out_correlations_by_hand():
    x, y = example(9, 90, 4, 5, 2)
    joint = Joint([rsa.Matrices("a", {"x": x, "y": y})], draws=0)
    x, y = joint.layer(0), joint.layer(1)
    y = y @ np.linalg.svd(y, full_matrices=False)[2][:4].T  # components that enter
    neurons, found = joint.layer(1), []
    held = folds(joint, 10)
    for f, test in enumerate(held):
        dev = held[(f + 1) % 10]
        train = ~test & ~dev
        best = (-np.inf, None)
        for rx in RIDGES:
            for ry in RIDGES:
                roots = []
                for a, ridge in ((x, rx), (y, ry)):
                    cov = np.cov(a[train].T)
                    power, axes = np.linalg.eigh(cov)
                    roots.append(axes / np.sqrt(power + ridge * power[-1]) @ axes.T)
                a0, b0 = x[train] - x[train].mean(0), y[train] - y[train].mean(0)
                u, _, v = np.linalg.svd(roots[0] @ (a0.T @ b0) @ roots[1])
                u, v = roots[0] @ u, roots[1] @ v.T
                shares = []
                for side, units in ((a0 @ u, x), (b0 @ v, neurons)):
                    inside = units[train] - units[train].mean(0)
                    if units is neurons:  # what the components hold of the neurons
                        load = np.linalg.lstsq(y, neurons, rcond=None)[0]
                        inside = b0 @ load
                    alpha = np.abs((side / np.linalg.norm(side, axis=0)).T @ inside).sum(1)
                    shares.append(alpha / alpha.sum())

                def score(rows, u=u, v=v, shares=shares):
                    rho = [np.corrcoef(x[rows] @ u[:, k], y[rows] @ v[:, k])[0, 1]
                           for k in range(4)]  # fmt: skip
                    return (shares[0] + shares[1]) / 2 @ rho

                if score(dev) > best[0] + 1e-12:
                    best = (score(dev), score(test))
        found.append(best[1])
    ours = measure(RIDGE).estimate(joint).value[0, 1]
    assert ours == pytest.approx(np.mean(found), abs=1e-8)


def test_held_out_correlations_of_few_rows_and_of_nothing():
    x, y = example(10, 100, 80, 90, 3, 0.3)
    found = rsa.pair(x, y, "pwcca:ridge,pca=50,cv=10", draws=19)
    assert 0.3 < found.low < found.value < 1 and found.p == 0.05
    rng = np.random.default_rng(11)
    nothing = [
        rsa.pair(rng.standard_normal((60, 5)), rng.standard_normal((60, 40)), RIDGE, draws=0).value
        for _ in range(12)
    ]
    assert min(nothing) < 0 < max(nothing) and abs(np.mean(nothing)) < 0.1
    few = rsa.pair(x, y, RIDGE, groups=np.repeat([0, 1], 50), draws=3)
    assert np.isnan(few.value) and any("too few" in note for note in few.notes)
    copy = rsa.pair(x, x[:, ::-1] * 3 + 1, RIDGE, draws=0)
    assert copy.value == pytest.approx(1.0, abs=1e-9)


def test_tracks_alone_do_not_reject():
    names = (PWCCA, "cca:r2", RIDGE)
    rejected, naive = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for seed in range(60):
        rng = np.random.default_rng([seed, 3])
        tracks = np.repeat(np.arange(40), 3)
        x, y = (
            2 * rng.standard_normal((40, 4))[tracks] + rng.standard_normal((120, 4))
            for _ in range(2)
        )
        for count, groups in ((rejected, tracks), (naive, np.arange(120)))[: 2 if seed < 15 else 1]:
            sources = [rsa.Matrices(n, {"l": m}, groups) for n, m in (("x", x), ("y", y))]
            two = rsa.compare(*sources, measures=names, pairs=[(0, 1)], draws=19, seed=seed)
            for name in names:
                count[name] += two.between(0, 1)[name].p[0, 0] <= 0.05
    for name in names:
        # 3 expected; more than 9 once in five hundred
        assert rejected[name] <= 9 and naive[name] >= 5, (name, rejected, naive)


COVERED = {
    "signal": (40, 2, 1.0, 4, 0.92),
    "nothing": (40, 2, 0.0, 4, 0.92),
    "wide": (120, 2, 0.6, 16, 0.92),
}


@pytest.mark.slow
@pytest.mark.parametrize("truth", COVERED)
@pytest.mark.parametrize("name", [SVCCA, PWCCA, *WHOLE, RIDGE])
def test_intervals_cover_the_mean_of_the_estimator(name, truth):
    tracks, frames, strength, width, least = COVERED[truth]
    found = []
    for seed in range(400):
        rng = np.random.default_rng([seed, 21])
        groups = np.repeat(np.arange(tracks), frames)
        common = rng.standard_normal((tracks, 3))[groups] + rng.standard_normal((len(groups), 3))
        x, y = (
            strength * 0.7 * common @ np.random.default_rng(i).standard_normal((3, width))
            + 0.5 * rng.standard_normal((tracks, width))[groups]
            + rng.standard_normal((len(groups), width))
            for i in range(2)
        )
        one = rsa.pair(x, y, name, groups=groups, draws=0, seed=seed)
        found.append((one.value, one.low, one.high))
    value, low, high = np.array(found).T
    covered = np.mean((low <= value.mean()) & (value.mean() <= high))
    # turned directions leave R2's interval wide where nothing is shared
    assert least <= covered <= (0.985 if truth == "signal" else 1.0), covered
