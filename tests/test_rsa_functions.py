"""Measures as functions of two matrices: closed forms, refusals, arrays and tensors."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from test_rsa_properties import orthogonal, two

import rsa
from rsa.measures import MEASURES, measure


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
    x = np.linalg.qr(x - x.mean(0))[0] * deviations @ orthogonal(rng, 5)
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
    found = rsa.gaussian_mi(x @ orthogonal(rng, 3), y, components=3, draws=10)
    assert found.value == pytest.approx(truth, abs=0.06)
    assert found.low < truth < found.high and found.chance_high < 0.02
    nothing = rsa.gaussian_mi(x, rng.standard_normal((6000, 3)), components=3, draws=10)
    assert abs(nothing.value) < 0.01 and nothing.low < nothing.chance_high


def test_held_out_sum_from_moments_is_the_sum_over_rows():
    from rsa.measures.gaussian import _folds
    from rsa.rows.joint import Joint

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
    copy = rsa.gaussian_mi(x, x @ orthogonal(np.random.default_rng(0), 5), components=3)
    assert np.isnan(copy.value) and any("determine each other" in note for note in copy.notes)
    few = rsa.gaussian_mi(x[:10], y[:10], components=12)
    assert np.isnan(few.value) and any("too few" in note for note in few.notes)


def test_importing_the_package_imports_no_torch():
    code = "import sys, rsa; rsa.compare, rsa.MEASURES; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


CALLS = {
    "cka:linear,debiased": lambda x, y, **o: rsa.cka(x, y, **o),
    "cka:linear,track-debiased": lambda x, y, **o: rsa.cka(x, y, debiased="track", **o),
    "cka:linear,biased": lambda x, y, **o: rsa.cka(x, y, debiased=False, **o),
    "cka:linear,track-debiased,without=1": lambda x, y, **o: rsa.cka(x, y, without=1, **o),
    "cka:rbf,sigma=0.5,debiased": lambda x, y, **o: rsa.cka(x, y, kernel="rbf", **o),
    "cka:linear,deconfounded": lambda x, y, **o: rsa.cka(x, y, confound=x[:, :1] * y[:, :1], **o),
    "svcca:var=0.99,mean": rsa.svcca,
    "pwcca:var=0.99,mean": rsa.pwcca,
    "cca:r2": rsa.cca_r2,
    "cca:mean,pca=3": lambda x, y, **o: rsa.cca_mean(x, y, components=3, **o),
    "pwcca:ridge,pca=3,cv=10": lambda x, y, **o: rsa.ridge_pwcca(x, y, components=3, **o),
    "procrustes:orthogonal": rsa.procrustes,
    "bures:normalised": rsa.bures,
    "shape:angular,alpha=0.25": lambda x, y, **o: rsa.shape_angle(x, y, alpha=0.25, **o),
    "predictivity:linear,cv=5": rsa.predictivity,
    "rdm:euclidean,rho-a": lambda x, y, **o: rsa.rdm_correlation(x, y, kind="rho-a", **o),
    "knn:mutual,k=5": lambda x, y, **o: rsa.mutual_neighbours(x, y, k=5, **o),
    "cknna:k=5": lambda x, y, **o: rsa.cknna(x, y, k=5, **o),
    "dcor:track-debiased": rsa.distance_correlation,
    "mi:gaussian,pca=3,held-out": lambda x, y, **o: rsa.gaussian_mi(x, y, components=3, **o),
    "mi:ksg,pca=2,k=4": lambda x, y, **o: rsa.ksg_mi(x, y, components=2, **o),
    "mi:smile,clip=5,pca=3": lambda x, y, **o: rsa.critic_mi(
        x, y, kind="smile", components=3, **o
    ),
    "mi:sliced,slices=8,bins=4": lambda x, y, **o: rsa.sliced_mi(x, y, slices=8, bins=4, **o),
    "mi:max-sliced,bins=8,held-out": rsa.max_sliced_mi,
    "mi:renyi,order=2,sigma=0.5": rsa.renyi_mi,
}


@pytest.mark.parametrize("name", CALLS)
def test_a_function_computes_the_measure_of_its_name(name):
    import torch

    x, y = two(21)
    found = CALLS[name](torch.tensor(x), torch.tensor(y), draws=0)
    assert found.measure == name
    if "deconfounded" not in name:
        assert found.value == rsa.pair(x, y, name, draws=0).value == float(found)


def test_every_measure_of_the_registry_has_a_function():
    stems = {name.partition(":")[0] for name in CALLS}
    assert stems == {name.partition(":")[0] for name in MEASURES}
    for call in (
        lambda x: rsa.cka(x, x, debiased="song"),
        lambda x: rsa.cka(x, x, kernel="cubic"),
        lambda x: rsa.critic_mi(x, x, kind="mine"),
    ):
        with pytest.raises(rsa.RsaError, match="unknown"):
            call(np.eye(5))
