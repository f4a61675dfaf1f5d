"""Measures on relations between rows, each against a slow reading of its own formula."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from scipy.stats import rankdata, spearmanr
from sklearn.neighbors import NearestNeighbors

import rsa
from rsa.measures import distance, kernels, neighbors, rdm, relations, renyi
from rsa.measures.relations import Pairs
from rsa.rows.grouping import Grouping
from rsa.rows.joint import Joint

MEASURES = (*kernels.MEASURES, *distance.MEASURES, *renyi.MEASURES, *rdm.MEASURES,
            *neighbors.MEASURES)  # fmt: skip
BY_NAME = {m.name: m for m in MEASURES}
NAMES = sorted(BY_NAME)
GROUPS = np.repeat(np.arange(20), [2, 3] * 10)


def two(seed=0, n=50, noise=1.0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 3))
    return tuple(
        z @ rng.standard_normal((3, d)) + noise * rng.standard_normal((n, d)) for d in (5, 7)
    )


def estimate(x, y, name, **options):
    options = {"draws": 0} | options
    if "deconfounded" in str(name):
        options.setdefault("confound", np.random.default_rng(99).standard_normal((len(x), 3)))
    return rsa.pair(x, y, BY_NAME.get(name, name), **options)


def pairs_of(groups):
    return [(i, j) for i, j in itertools.combinations(range(len(groups)), 2)
            if groups[i] != groups[j]]  # fmt: skip


def centred(matrix, groups):
    """What least squares by r_i + r_j leaves of the entries of pairs of different groups."""
    places = pairs_of(groups)
    design = np.zeros((len(places), len(groups)))
    for row, (i, j) in enumerate(places):
        design[row, i] = design[row, j] = 1.0
    entries = np.array([matrix[place] for place in places])
    return entries - design @ np.linalg.lstsq(design, entries, rcond=None)[0]


def cosine(a, b):
    return a @ b / np.sqrt((a @ a) * (b @ b))


def kernel(x, groups, fraction):
    squared = squareform(pdist(x, "sqeuclidean"))
    middle = np.median([squared[place] for place in pairs_of(groups)])
    return np.exp(-squared / (2 * fraction**2 * middle))


def hsic(k, m):
    """HSIC_1 of Song et al. 2012, equation 4, term by term."""
    n = len(k)
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    total = np.trace(k @ m) + k.sum() * m.sum() / ((n - 1) * (n - 2))
    return (total - 2 / (n - 2) * (k @ m).sum()) / (n * (n - 3))


@pytest.mark.parametrize("fraction", [0.2, 0.5, 1.0])
def test_gaussian_cka_is_the_ratio_of_hsic(fraction):
    x, y = two(1)
    single = np.arange(50)
    k, m = kernel(x, single, fraction), kernel(y, single, fraction)
    truth = hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))
    for kind in ("debiased", "track-debiased"):
        base = BY_NAME[f"cka:rbf,sigma=0.5,{kind}"]
        found = estimate(x, y, base.named(f"cka:rbf,sigma={fraction:g},{kind}"))
        assert found.value == pytest.approx(truth, abs=1e-8)
    assert found.extra["mean_kernel_x"] == pytest.approx(k[np.triu_indices(50, 1)].mean())


def test_gaussian_cka_apart_from_rows_of_ones_own_group():
    x, y = two(2)
    a, b = (centred(kernel(z, GROUPS, 0.5), GROUPS) for z in (x, y))
    found = estimate(x, y, "cka:rbf,sigma=0.5,track-debiased", groups=GROUPS)
    assert found.value == pytest.approx(cosine(a, b), abs=1e-8)


def test_a_wide_gaussian_kernel_is_the_linear_one():
    x, y = two(3)
    wide = kernels.RBF.named("cka:rbf,sigma=300,debiased")
    linear = rsa.cka(x, y, draws=0).value
    assert estimate(x, y, wide).value == pytest.approx(linear, abs=1e-5)
    gaps = [abs(estimate(x, y, replace(kernels.RBF, fraction=f)).value - linear) for f in (1, 4)]
    assert gaps[0] > gaps[1]


def test_without_the_input_is_the_partial_correlation_of_kernels():
    rng = np.random.default_rng(4)
    source = rng.standard_normal((50, 4))
    x, y = (source @ rng.standard_normal((4, 6)) + rng.standard_normal((50, 6)) for _ in range(2))
    sides = [centred((z - z.mean(0)) @ (z - z.mean(0)).T, GROUPS) for z in (x, y, source)]
    a, b, c = sides
    rest = [s - (s @ c) / (c @ c) * c for s in (a, b)]
    name = "cka:linear,deconfounded"
    found = estimate(x, y, name, groups=GROUPS, confound=source, draws=39)
    assert found.value == pytest.approx(cosine(*rest), abs=1e-8)
    assert found.value < cosine(a, b) / 2
    # what both have from the input alone is gone
    assert found.p > 0.05
    itself = estimate(x, source, name, groups=GROUPS, confound=source)
    assert np.isnan(itself.value) and any("nothing is left" in note for note in itself.notes)
    unnamed = rsa.pair(x, y, BY_NAME[name], draws=5)
    assert np.isnan([unnamed.value, unnamed.low, unnamed.p]).all()
    assert "no input representation was named: give `confound`" in unnamed.notes


def test_distance_correlation_by_its_definition():
    x, y = two(5)
    n = len(x)

    def u_centred(z):
        d = squareform(pdist(z))
        out = np.zeros_like(d)
        for i, j in itertools.permutations(range(n), 2):
            out[i, j] = (d[i, j] - d[i].sum() / (n - 2) - d[:, j].sum() / (n - 2)
                         + d.sum() / ((n - 1) * (n - 2)))  # fmt: skip
        return out.ravel()

    found = estimate(x, y, "dcor:track-debiased")
    assert found.value == pytest.approx(cosine(u_centred(x), u_centred(y)), abs=1e-8)
    a, b = (centred(squareform(pdist(z)), GROUPS) for z in (x, y))
    grouped = estimate(x, y, "dcor:track-debiased", groups=GROUPS)
    assert grouped.value == pytest.approx(cosine(a, b), abs=1e-8)


def test_distance_correlation_sees_what_is_not_linear():
    rng = np.random.default_rng(6)
    x = rng.standard_normal((150, 1))
    y = x**2 + 0.1 * rng.standard_normal((150, 1))
    found = estimate(x, y, "dcor:track-debiased", draws=39)
    assert found.p < 0.05 and found.low > found.chance


@pytest.mark.parametrize("groups", [np.arange(50), GROUPS])
def test_rank_correlations_of_distances(groups):
    x, y = two(7)
    a, b = ([squareform(pdist(z))[place] for place in pairs_of(groups)] for z in (x, y))
    truth = spearmanr(a, b).statistic
    for name in ("rdm:euclidean,spearman", "rdm:euclidean,rho-a"):
        assert estimate(x, y, name, groups=groups).value == pytest.approx(truth, abs=1e-8)


def test_ties_count_in_spearman_and_not_in_rho_a():
    rng = np.random.default_rng(8)
    x, y = rng.integers(0, 2, (30, 3)).astype(float), rng.integers(0, 2, (30, 4)).astype(float)
    a, b = pdist(x), pdist(y)
    a, b = np.round(a, 9), np.round(b, 9)
    found = estimate(x, y, "rdm:euclidean,spearman")
    assert found.value == pytest.approx(spearmanr(a, b).statistic, abs=1e-8)
    # rho-a is the mean of Spearman's rho over ways to break the ties
    broken = [
        np.corrcoef(*(rankdata(d + 1e-9 * rng.random(len(d))) for d in (a, b)))[0, 1]
        for _ in range(400)
    ]
    rho_a = estimate(x, y, "rdm:euclidean,rho-a")
    assert rho_a.value == pytest.approx(np.mean(broken), abs=4 * np.std(broken) / 400**0.5)
    count = len(a)
    sides = [rankdata(d) for d in (a, b)]
    form = 12 / (count**3 - count) * (sides[0] @ sides[1]) - 3 * (count + 1) / (count - 1)
    assert rho_a.value == pytest.approx(form, abs=1e-8)
    assert rho_a.extra["untied_x"] < 1


def test_whitened_distances_by_solving_with_their_covariance():
    """(H H')-based covariance of squared distances under unit noise, and its inverse in full."""
    x, y = two(9, n=14)
    n = 14
    contrasts = np.array([np.eye(n)[i] - np.eye(n)[j] for i, j in pairs_of(np.arange(n))])
    inverse = np.linalg.inv((contrasts @ contrasts.T) ** 2)

    def whitened(a, b):
        return a @ inverse @ b / np.sqrt((a @ inverse @ a) * (b @ inverse @ b))

    a, b = pdist(x, "sqeuclidean"), pdist(y, "sqeuclidean")
    assert whitened(a, b) == pytest.approx(rsa.cka(x, y, debiased=False, draws=0).value, abs=1e-9)
    found = estimate(x, y, "rdm:euclidean,whitened")
    assert found.value == pytest.approx(whitened(a - a.mean(), b - b.mean()), abs=1e-8)


@pytest.mark.parametrize("groups", [np.arange(50), GROUPS])
@pytest.mark.parametrize("k", [1, 5])
def test_mutual_neighbours(groups, k):
    x, y = two(10)
    near, linear = [], []
    for z in (x, y):
        order = NearestNeighbors(n_neighbors=50).fit(z).kneighbors(z)[1]
        near.append([[j for j in row if groups[j] != groups[i]][:k] for i, row in enumerate(order)])
        linear.append((z - z.mean(0)) @ (z - z.mean(0)).T)
    shared = np.mean([len(set(a) & set(b)) / k for a, b in zip(*near, strict=True)])
    knn = estimate(x, y, neighbors.KNN.named(f"knn:mutual,k={k}"), groups=groups)
    assert knn.value == pytest.approx(shared, abs=1e-8)

    def align(a, b):
        return sum(
            linear[a][i, j] * linear[b][i, j]
            for i in range(50) for j in set(near[a][i]) & set(near[b][i])
        )  # fmt: skip

    truth = align(0, 1) / np.sqrt(align(0, 0) * align(1, 1))
    cknna = estimate(x, y, neighbors.CKNNA.named(f"cknna:k={k}"), groups=groups)
    assert cknna.value == pytest.approx(truth, abs=1e-8)


def test_chance_of_mutual_neighbours_is_exact():
    x, y = two(11)
    found = estimate(x, y, "knn:mutual,k=10", draws=99)
    assert found.chance == pytest.approx(10 / 49)
    draws = neighbors.KNN.estimate(Joint([rsa.Matrices("a", {"x": x, "y": y})])).null.draws
    assert draws[:, 0, 1].mean() == pytest.approx(10 / 49, abs=0.004)


@pytest.mark.parametrize("groups", [np.arange(50), GROUPS])
def test_renyi_information_from_matrices(groups):
    x, y = two(12)
    a, b = (kernel(z, groups, 0.5) for z in (x, y))
    keep = np.asarray(groups)[:, None] != np.asarray(groups)[None, :]

    def entropy(k):
        return -np.log2((k[keep] ** 2).mean())

    found = estimate(x, y, "mi:renyi,order=2,sigma=0.5", groups=groups)
    assert found.value == pytest.approx(entropy(a) + entropy(b) - entropy(a * b), abs=1e-7)
    assert found.extra["entropy_bits_x"] == pytest.approx(entropy(a))
    # with each row's pair with itself it is the source's form: eigenvalues of trace 1
    full = [np.linalg.eigvalsh(k / 50) for k in (a, b, a * b)]
    source = [-np.log2((values**2).sum()) for values in full]
    mean = [-np.log2((k**2).mean()) for k in (a, b, a * b)]
    np.testing.assert_allclose(source, mean, atol=1e-10)


@pytest.mark.parametrize("groups", [GROUPS, np.arange(50), np.repeat([0, 1, 2, 3], [30, 8, 7, 5])])
def test_centring_is_least_squares_over_the_pairs_that_count(groups):
    grouping = Grouping.deal(groups, 8, 0)
    pairs = Pairs(grouping)
    matrix = np.random.default_rng(0).standard_normal((50, 50))
    matrix = matrix + matrix.T
    found = pairs.centred(matrix)
    labels = grouping.group_of_row
    truth = centred(matrix, labels)
    np.testing.assert_allclose([found[p] for p in pairs_of(labels)], truth, atol=1e-12)
    assert np.abs(found.sum(axis=0)).max() < 1e-10 and not found[~pairs.allowed].any()


@pytest.mark.parametrize("name", NAMES)
def test_permutations_are_those_of_the_rows(name):
    x, y = two(13)
    groups = np.repeat(np.arange(25), 2)
    sources = [rsa.Matrices("a", {"x": x, "y": y, "c": x[:, :3] ** 2 + y[:, :3]}, groups)]
    joint = Joint(sources, draws=3, confound=(0, "c"))
    table = BY_NAME[name].estimate(joint)
    assert table.null.draws.shape == (6, 3, 3)
    if "deconfounded" in name:  # the residuals are moved, the input stays
        return
    order = joint.permutations[2]
    place = np.empty(50, dtype=int)
    place[joint.grouping.order] = joint.grouping.order[order]
    again = estimate(x, y[place], name, groups=groups)
    assert table.null.draws[2, 0, 1] == pytest.approx(again.value, abs=1e-5)
    np.testing.assert_array_equal(table.null.draws[3:], table.null.draws[:3].transpose(0, 2, 1))


@pytest.mark.parametrize("name", NAMES)
def test_products_by_tiles_are_those_of_whole_matrices(name, monkeypatch):
    x, y = two(14)
    plain = estimate(x, y, name, groups=GROUPS, draws=5)
    monkeypatch.setattr(relations, "TILE", 700)
    tiled = estimate(x, y, name, groups=GROUPS, draws=5)
    assert tiled.chance == pytest.approx(plain.chance, abs=1e-5)
    assert estimate(x, y, name, groups=GROUPS, blocks=7).value == pytest.approx(plain.value)


@pytest.mark.parametrize("name", NAMES)
def test_offsets_of_tracks_are_no_similarity(name):
    """50 tracks of 20 frames; offsets of tracks that the two layers do not share."""
    groups, reached, measure = np.repeat(np.arange(50), 20), 0, BY_NAME[name]
    rng = np.random.default_rng(15)
    layers = {
        f"l{i}": rng.standard_normal((50, 16))[groups] + rng.standard_normal((1000, 16))
        for i in range(4)
    }
    joint = Joint([rsa.Matrices("a", layers, groups)], draws=19, confound=(0, "l3"))
    table = measure.estimate(joint)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        draws = table.null.draws[:, i, j]
        reached += (draws >= table.value[i, j]).mean() < 0.05
        if measure.apart and measure.centred:
            assert abs(table.value[i, j]) < 0.1
    assert reached <= 1


@pytest.mark.parametrize("name", NAMES)
def test_too_few_rows_or_groups_are_said(name):
    x, y = two(16, n=40)
    if BY_NAME[name].apart:
        found = estimate(x, y, name, groups=np.repeat([0, 1], 20), draws=3)
        assert np.isnan([found.value, found.low, found.p]).all()
        assert any("groups" in note for note in found.notes)
    same = estimate(np.r_[np.ones((39, 2)), [[2.0, 3.0]]], y, name)
    assert np.isfinite(same.value) or any("x/x" in note for note in same.notes)


def test_many_rows_are_thinned_and_this_is_said(monkeypatch):
    monkeypatch.setattr(relations, "ROWS", 30)
    x, y = two(17)
    found = estimate(x, y, "rdm:euclidean,spearman", groups=np.repeat(np.arange(25), 2), draws=3)
    assert np.isfinite(found.value) and any("of 50 rows" in note for note in found.notes)
    assert relations.rows_for(100) ** 2 * 400 <= relations.BYTES * 1.01


def test_parameters_out_of_range_are_refused():
    for base, name in (
        (kernels.RBF, "cka:rbf,sigma=0,debiased"),
        (renyi.RENYI, "mi:renyi,order=2,sigma=0"),
        (neighbors.KNN, "knn:mutual,k=0"),
        (neighbors.CKNNA, "cknna:k=5000"),
    ):
        with pytest.raises(rsa.RsaError, match="measure"):
            base.named(name)


def simulated(seed, shared, tracks=40):
    rng = np.random.default_rng([seed, 21])
    groups = np.repeat(np.arange(tracks), 2)
    common = rng.standard_normal((tracks, 3))[groups] + rng.standard_normal((2 * tracks, 3))
    mixing = np.random.default_rng(3).standard_normal((2, 3, 4))
    layers = {
        f"l{i}": shared * common @ mixing[i]
        + 0.5 * rng.standard_normal((tracks, 4))[groups]
        + rng.standard_normal((2 * tracks, 4))
        for i in range(2)
    }
    layers["input"] = rng.standard_normal((2 * tracks, 3))
    return layers, groups


@pytest.mark.slow
@pytest.mark.parametrize("shared", [0.0, 0.7])
@pytest.mark.parametrize("name", NAMES)
def test_intervals_cover(name, shared):
    measure, found = BY_NAME[name], []
    for seed in range(400):
        layers, groups = simulated(seed, shared)
        joint = Joint([rsa.Matrices("a", layers, groups)], draws=0, confound=(0, "input"))
        table = measure.estimate(joint)
        found.append((table.value[0, 1], table.low[0, 1], table.high[0, 1]))
    value, low, high = np.array(found).T
    covered = np.mean((low <= value.mean()) & (value.mean() <= high))
    # skewed influences cost a few points; where nothing is shared intervals are wide
    assert 0.90 <= covered <= 0.995, covered


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_unrelated_layers_are_rejected_as_often_as_said(name):
    rejected = 0
    for seed in range(100):
        layers, groups = simulated(seed, 0.0, tracks=20)
        joint = Joint([rsa.Matrices("a", layers, groups)], draws=19, confound=(0, "input"))
        table = BY_NAME[name].estimate(joint)
        rejected += (table.null.draws[:19, 0, 1] >= table.value[0, 1]).sum() == 0
    # 5 of 100 expected; 12 would come once in a thousand
    assert rejected <= 12, rejected
