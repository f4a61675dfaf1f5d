"""Every measure: closed forms, declared properties, bad inputs, information in bits."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rsa
from rsa.measure import FAMILIES
from rsa.measures import MEASURES, measure

NAMES = sorted(MEASURES)
SMALL = {name: name.replace("pca=20", "pca=3") for name in NAMES}
CKA = [name for name in NAMES if name.startswith("cka")]


def two(seed=0, n=90, p=5, q=7, shared=3, noise=1.0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, shared))
    x = z @ rng.standard_normal((shared, p)) + noise * rng.standard_normal((n, p))
    y = z @ rng.standard_normal((shared, q)) + noise * rng.standard_normal((n, q))
    return x, y


def value(x, y, name, **options):
    return rsa.pair(x, y, SMALL.get(name, name), draws=0, **options).value


def random_orthogonal(rng, d):
    q, r = np.linalg.qr(rng.standard_normal((d, d)))
    return q * np.sign(np.diag(r))


MAPS = {
    "translation": lambda y, rng: y + rng.uniform(-50, 50, y.shape[1]),
    "isotropic scaling": lambda y, rng: y * 10.0 ** rng.uniform(-3, 3),
    "permutation": lambda y, rng: y[:, rng.permutation(y.shape[1])],
    "orthogonal": lambda y, rng: y @ random_orthogonal(rng, y.shape[1]),
    "invertible linear": lambda y, rng: y @ (
        random_orthogonal(rng, y.shape[1]) * np.geomspace(1, 8, y.shape[1])
    ) @ random_orthogonal(rng, y.shape[1]),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=6, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_declared_invariances_hold(name, seed):
    x, y = two(seed)
    plain, rng = value(x, y, name), np.random.default_rng(seed)
    for invariance in MEASURES[name].invariances:
        moved = value(x, MAPS[invariance](y, rng), name)
        assert moved == pytest.approx(plain, abs=1e-8), invariance


@pytest.mark.parametrize("name", NAMES)
def test_invariances_not_declared_do_not_hold(name):
    missing = set(MAPS) - MEASURES[name].invariances
    assert missing
    for invariance in missing:
        changes = []
        for seed in range(5):
            x, y = two(seed)
            moved = MAPS[invariance](y, np.random.default_rng(seed))
            changes.append(abs(value(x, moved, name) - value(x, y, name)))
        assert max(changes) > 1e-4, invariance


@pytest.mark.parametrize("name", NAMES)
def test_symmetric_in_range_and_any_widths(name):
    for p, q in ((3, 9), (9, 3), (1, 4)):
        x, y = two(1, p=p, q=q)
        there, back = value(x, y, name), value(y, x, name)
        assert there == pytest.approx(back, rel=1e-9)
        low, high = MEASURES[name].range
        assert (low is None or low <= there) and (high is None or there <= high)


@pytest.mark.parametrize("name", [n for n in NAMES if not n.startswith("mi")])
def test_itself_and_a_rotation_of_itself_are_one(name):
    x, _ = two(2)
    similarity = rsa.compare(rsa.Matrices("a", {"x": x, "y": x * 3 + 1}), measures=[name], draws=0)[
        "a", "a"
    ]
    np.testing.assert_allclose(similarity[name].value, 1.0, atol=1e-10)
    assert similarity[name].value[0, 0] == similarity[name].low[0, 0] == 1.0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("offset, scale", [(300, 1.0), (0, 1e-3), (0, 1e3)])
def test_float32_far_from_zero_or_of_any_size_keeps_the_value(name, offset, scale):
    x, y = two(3)
    x, y = x.astype(np.float32), y.astype(np.float32)
    plain = value(x, y, name)
    moved = (a * np.float32(scale) + np.float32(offset) for a in (x, y))
    assert value(*moved, name) == pytest.approx(plain, abs=1e-5)


def test_biased_cka_from_features_and_debiased_from_grams():
    x, y = two(4)
    xc, yc = x - x.mean(0), y - y.mean(0)
    norm = np.linalg.norm
    features = norm(xc.T @ yc) ** 2 / norm(xc.T @ xc) / norm(yc.T @ yc)
    assert rsa.cka(x, y, debiased=False, draws=0).value == pytest.approx(features, rel=1e-12)
    n, a, b = len(x), (xc**2).sum(1), (yc**2).sum(1)

    def h(c, a, b):
        return norm(c) ** 2 - n / (n - 2) * a @ b + a.sum() * b.sum() / ((n - 1) * (n - 2))

    debiased = h(xc.T @ yc, a, b) / np.sqrt(h(xc.T @ xc, a, a) * h(yc.T @ yc, b, b))
    assert float(rsa.cka(x, y, draws=0)) == pytest.approx(debiased, rel=1e-12)


def test_svcca_keeps_components_by_variance():
    rng = np.random.default_rng(5)
    deviations = np.array([10, 5, 2, 0.5, 0.1])
    x = np.linalg.qr(rng.standard_normal((200, 5)) - 0)[0]
    x = np.linalg.qr(x - x.mean(0))[0] * deviations @ random_orthogonal(rng, 5)
    found = rsa.svcca(x, rng.standard_normal((200, 4)), draws=0)
    shares = np.cumsum(deviations**2) / (deviations**2).sum()
    assert found.extra["components_x"] == np.argmax(shares >= 0.99) + 1 == 3
    assert rsa.svcca(x, x[:, :4], variance=0.9, draws=0).extra["components_x"] == 2


def test_svcca_and_pwcca_of_known_correlations():
    rng = np.random.default_rng(6)
    q = np.linalg.qr(rng.standard_normal((300, 6)) @ np.diag([1] * 6))[0]
    q = np.linalg.qr(q - q.mean(0))[0]
    rho = np.array([0.9, 0.5, 0.1])
    x, y = q[:, :3], q[:, :3] * rho + q[:, 3:] * np.sqrt(1 - rho**2)
    assert rsa.svcca(x, y, draws=0).value == pytest.approx(rho.mean(), abs=1e-10)
    # neurons that lie along the variates: the weights are the neurons' sizes
    size = np.array([4.0, 2.0, 1.0])
    found = rsa.pwcca(x * size, y, draws=0)
    assert found.extra["weighted_by_x"] == pytest.approx(size @ rho / size.sum(), abs=1e-10)
    assert found.extra["weighted_by_y"] == pytest.approx(rho.mean(), abs=0.2)
    both = found.extra["weighted_by_x"] + found.extra["weighted_by_y"]
    assert found.value == pytest.approx(both / 2, abs=1e-12)


def test_cca_is_refused_where_rows_do_not_exceed_the_components():
    rng = np.random.default_rng(7)
    x, y = rng.standard_normal((40, 25)), rng.standard_normal((40, 30))
    for call in (rsa.svcca, rsa.pwcca):
        found = call(x, y, draws=5)
        assert np.isnan([found.value, found.low, found.chance_high]).all()
        assert any("rows >= p + q" in note and "x/x" in note for note in found.notes)
    assert np.isfinite(rsa.svcca(x, y, variance=0.3, draws=0).value)


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_layer_has_no_similarity_and_is_named(name):
    x, y = two(8)
    found = rsa.pair(np.full_like(x, 0.1), y, SMALL[name], draws=3)
    assert np.isnan([found.value, found.low, found.high, found.chance_high]).all()
    assert any("x/x" in note and "same in every row" in note for note in found.notes)


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_column_duplicate_rows_and_lost_rank_are_harmless(name):
    x, y = two(9)
    plain = value(x, y, name)
    padded = np.column_stack([x, np.full(len(x), 7.7)])
    assert value(padded, y, name) == pytest.approx(plain, abs=1e-9)
    doubled = np.column_stack([x, x[:, :2] @ [[1.0], [2.0]]])
    assert np.isfinite(value(doubled, y, name))
    again = np.r_[x, x[:9]], np.r_[y, y[:9]]
    assert value(*again, name, groups=np.r_[:90, :9]) == pytest.approx(plain, abs=0.2)


@pytest.mark.parametrize("name", CKA)
def test_fewer_rows_than_columns(name):
    x, y = two(10, n=12, p=60, q=40, noise=0.1)
    routes = rsa.pair(x, y, name, draws=0)
    assert -1 < routes.value <= 1 and routes.low < routes.value < routes.high


def test_negative_values_are_not_clamped():
    rng = np.random.default_rng(11)
    values = [
        rsa.cka(rng.standard_normal((20, 30)), rng.standard_normal((20, 30)), draws=0).value
        for _ in range(20)
    ]
    assert min(values) < 0 < max(values) and abs(np.mean(values)) < 0.1


def test_gaussian_information_is_recovered_in_bits():
    rng = np.random.default_rng(12)
    rho = np.array([0.9, 0.6, 0.3])
    x = rng.standard_normal((6000, 3))
    y = x * rho + rng.standard_normal((6000, 3)) * np.sqrt(1 - rho**2)
    truth = -np.log2(1 - rho**2).sum() / 2
    found = rsa.gaussian_mi(x @ random_orthogonal(rng, 3), y, components=3, draws=10)
    assert found.value == pytest.approx(truth, abs=0.06)
    assert found.low < truth < found.high and found.chance_high < 0.02
    nothing = rsa.gaussian_mi(x, rng.standard_normal((6000, 3)), components=3, draws=10)
    assert abs(nothing.value) < 0.01 and nothing.low < nothing.chance_high


def test_held_out_sum_from_moments_is_the_sum_over_rows():
    from rsa.information import _folds
    from rsa.joint import Joint

    x, y = two(13)
    joint = Joint([rsa.Matrices("a", {"x": x, "y": y}, np.repeat(np.arange(30), 3))])
    gauss = measure("mi:gaussian,pca=3,held-out")
    scores = np.stack([joint.basis(i).scores[:, :3] for i in (0, 1)], axis=1)
    order = joint.permutations[0]
    args = (scores, scores[order], np.array([3, 3]), np.array([[0, 1]]), _folds(joint))
    by_group = gauss._held_out(joint, *args)
    np.testing.assert_allclose(gauss._held_out_sum(*args), by_group.sum(axis=0), rtol=1e-9)


def test_information_of_a_copy_and_of_too_few_rows_is_refused():
    x, y = two(14)
    copy = rsa.gaussian_mi(x, x @ random_orthogonal(np.random.default_rng(0), 5), components=3)
    assert np.isnan(copy.value) and any("determine each other" in note for note in copy.notes)
    few = rsa.gaussian_mi(x[:20], y[:20], components=12)
    assert np.isnan(few.value) and any("too few" in note for note in few.notes)


def test_names_choose_the_variant():
    assert measure("svcca:var=0.95,mean").variance == 0.95
    assert measure("mi:gaussian,pca=7,held-out").name == "mi:gaussian,pca=7,held-out"
    for bad in ("cka", "svcca:var=1.5,mean", "mi:gaussian,pca=900,held-out", "pwcca:var=.0,mean"):
        with pytest.raises(rsa.RsaError, match="measure"):
            measure(bad)


@pytest.mark.parametrize("name", NAMES)
def test_the_registry_says_what_a_reader_needs(name):
    m = MEASURES[name]
    assert m.name == name and m.title and m.formula and m.source
    assert m.family in FAMILIES and m.minimum_rows >= 4


def test_importing_the_package_imports_no_torch():
    code = "import sys, rsa; rsa.compare, rsa.MEASURES; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
