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
    "mi:smile,clip=5,pca=3": lambda x, y, **o: rsa.critic_mi(x, y, kind="smile", components=3, **o),
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


X, Y = two(22)
TRACKS = np.repeat(np.arange(30), 3)


def cut(values, *changes):
    values = list(values)
    for row, value in changes:
        values[row] = value
    return values


@pytest.mark.parametrize("options, name", [
    ({}, "linear,debiased"),
    ({"groups": TRACKS}, "linear,track-debiased"),
    ({"groups": TRACKS, "debiased": True}, "linear,debiased"),
    ({"groups": TRACKS, "debiased": False}, "linear,biased"),
    ({"kernel": "rbf", "groups": TRACKS}, "rbf,sigma=0.5,track-debiased"),
    ({"kernel": "rbf", "sigma": 1}, "rbf,sigma=1,debiased"),
    ({"without": 2, "debiased": "track"}, "linear,track-debiased,without=2"),
    ({"without": 2, "groups": TRACKS}, "linear,track-debiased,without=2"),
    ({"confound": X[:, :1], "debiased": "track"}, "linear,deconfounded"),
])  # fmt: skip
def test_options_of_cka_name_the_measure(options, name):
    assert rsa.cka(X, Y, draws=0, **options).measure == f"cka:{name}"


def test_row_and_track_debiased_are_one_number_without_groups():
    for kernel in ("linear", "rbf"):
        rows = rsa.cka(X, Y, kernel=kernel, draws=0).value
        assert rsa.cka(X, Y, kernel=kernel, debiased="track", draws=0).value == pytest.approx(rows)


@pytest.mark.parametrize("what, options", [
    ("without=2 has no debiased=False: use debiased='track'", {"debiased": False, "without": 2}),
    ("without=2 has no debiased=True", {"debiased": True, "without": 2}),
    ("kernel='rbf' takes no without=2", {"kernel": "rbf", "without": 2}),
    ("kernel='rbf' takes no confound", {"kernel": "rbf", "confound": X}),
    ("kernel='rbf' has no debiased=False", {"kernel": "rbf", "debiased": False}),
    ("confound has no debiased=False", {"confound": X, "debiased": False}),
    ("confound takes no without=1", {"confound": X, "without": 1}),
    ("sigma=0.5 is the width of kernel='rbf'", {"sigma": 0.5}),
    ("sigma='wide': a number", {"kernel": "rbf", "sigma": "wide"}),
    ("sigma=-1: a number", {"kernel": "rbf", "sigma": -1}),
    ("without=-1", {"without": -1}),
    ("debiased='song' is unknown", {"debiased": "song"}),
    ("kernel='cubic' is unknown", {"kernel": "cubic"}),
    ("kernel='lineal' is unknown: did you mean 'linear'", {"kernel": "lineal"}),
])  # fmt: skip
def test_options_of_cka_that_no_measure_has_are_refused(what, options):
    refused(what, lambda: rsa.cka(X, Y, **options))


@pytest.mark.parametrize("what, call, options", [
    ("components=0", rsa.cca_r2, {"components": 0}),
    ("components=0", rsa.cca_mean, {"components": 0}),
    ("components=2.5", rsa.gaussian_mi, {"components": 2.5}),
    ("components='3'", rsa.ksg_mi, {"components": "3"}),
    ("parts=0", rsa.ridge_pwcca, {"parts": 0}),
    ("folds=-1", rsa.predictivity, {"folds": -1}),
    ("k=0", rsa.mutual_neighbours, {"k": 0}),
    ("k=True", rsa.cknna, {"k": True}),
    ("bins=1", rsa.max_sliced_mi, {"bins": 1}),
    ("slices=-2", rsa.sliced_mi, {"slices": -2}),
    ("variance=-1: a number from 0 to 1", rsa.svcca, {"variance": -1}),
    ("variance=nan", rsa.pwcca, {"variance": float("nan")}),
    ("var is above 0", rsa.svcca, {"variance": 0}),
    ("alpha=2", rsa.shape_angle, {"alpha": 2}),
    ("sigma=None", rsa.renyi_mi, {"sigma": None}),
    ("kind='mine' is unknown", rsa.critic_mi, {"kind": "mine"}),
    ("kind='pearson' is unknown: did you mean 'spearman'", rsa.rdm_correlation,
     {"kind": "pearson"}),
    ("kind='tau' is unknown: use 'spearman' or 'rho-a' or 'whitened'", rsa.rdm_correlation,
     {"kind": "tau"}),
    ("draws=-1", rsa.cka, {"draws": -1}),
    ("draws=2.0", rsa.cka, {"draws": 2.0}),
    ("blocks=0", rsa.cka, {"blocks": 0}),
    ("seed=-1", rsa.cka, {"seed": -1}),
    ("svcca:var=0.99,mean takes no confound", rsa.svcca, {"confound": X}),
])  # fmt: skip
def test_numbers_and_words_out_of_range_are_refused_by_name(what, call, options):
    refused(what, lambda: call(X, Y, **options))


def test_small_and_long_numbers_are_not_unknown():
    assert (
        rsa.cka(X, Y, kernel="rbf", sigma=1e-5, draws=0).measure == "cka:rbf,sigma=1e-05,debiased"
    )
    assert rsa.svcca(X, Y, variance=1, draws=0).measure == "svcca:var=1,mean"


@pytest.mark.parametrize("what, x", [
    ("x holds complex numbers", X + 1j),
    ("x holds text", X.astype(str)),
    ("x holds text", [["a", "b"]] * 90),
    ("x holds objects", X.astype(object)),
    ("x holds objects", [[1, None]] * 90),
    ("x is no array", [[1, 2], [3]]),
    ("x is None: give an array", None),
    (r"x: \[rows, width\] is needed, here \(90,\): x.reshape\(-1, 1\)", X[:, 0]),
    (r"x: \[rows, width\] is needed, here \(90, 5, 1\): x.mean\(1\)", X[:, :, None]),
    (r"x: \[rows, width\] is needed, here \(90, 0\)", X[:, :0]),
    (r"x: \[rows, width\] is needed, here \(\)", 3.0),
    ("x has masked values", np.ma.masked_greater(X, 1)),
    ("x holds 1 value that is not finite .*, the first in row 4: leave",
     np.where(np.arange(450).reshape(90, 5) == 22, np.inf, X)),
    ("x holds 10 values that are not finite .*, the first in row 3: leave",
     np.where(np.isin(np.arange(90), (3, 80))[:, None], np.nan, X)),
    ("x has 89 rows and y has 90: give the same rows", X[1:]),
])  # fmt: skip
def test_what_is_no_matrix_of_numbers_is_refused_by_name(what, x):
    refused(what, lambda: rsa.cka(x, Y))


def test_sparse_matrices_and_confounds_are_refused_by_name():
    from scipy.sparse import csr_array

    refused(r"y is sparse: give y.toarray\(\)", lambda: rsa.cka(X, csr_array(Y)))
    refused("confound: .* is needed", lambda: rsa.cka(X, Y, confound=X[:, 0]))
    refused("x has 90 rows and confound has 89", lambda: rsa.cka(X, Y, confound=X[1:]))


@pytest.mark.parametrize("kind", ["grad", "bfloat16", "float16", "float64", "int", "list", "bool"])
def test_tensors_and_numbers_of_every_real_kind_work(kind):
    import torch

    given = {
        "grad": lambda: torch.tensor(X, requires_grad=True),
        "bfloat16": lambda: torch.tensor(X).bfloat16().requires_grad_(),
        "float16": lambda: torch.tensor(X).half(),
        "float64": lambda: torch.tensor(X),
        "int": lambda: np.round(X * 1000).astype(int),
        "list": lambda: X.tolist(),
        "bool": lambda: X > 0,
    }[kind]()
    plain = X > 0 if kind == "bool" else X
    near = {"bfloat16": 1e-2, "float16": 1e-3, "int": 1e-3}.get(kind, 1e-9)
    expected = rsa.cka(plain.astype(float), Y, draws=0).value
    assert rsa.cka(given, Y, draws=0).value == pytest.approx(expected, abs=near)


@pytest.mark.parametrize("what, groups", [
    (r"groups holds shape \(90, 1\): give one label a row", TRACKS[:, None]),
    ("groups holds one int", 3),
    ("groups holds one str", "track"),
    ("groups holds one set", set(TRACKS)),
    ("groups holds None, the first in row 0", [None] * 90),
    ("groups holds None, the first in row 5", cut(TRACKS.astype(str), (5, None))),
    ("groups holds NaN, the first in row 2", cut(TRACKS.astype(str), (2, float("nan")))),
    ("groups holds NaN, the first in row 8", np.where(np.arange(90) == 8, np.nan, TRACKS)),
    ("groups holds NaN, the first in row 8", cut(TRACKS.tolist(), (8, float("nan")))),
    ("groups holds numbers and text: give labels of one kind", cut(TRACKS.tolist(), (1, "a"))),
    ("groups holds numbers and text", np.array(cut(TRACKS.tolist(), (1, "a")), dtype=object)),
    ("groups holds 89 group labels for 90 rows: give one label a row", TRACKS[1:]),
    ("groups holds labels of several lengths", cut(TRACKS.tolist(), (1, [1, 2]))),
    ("groups holds a dict, no label", [{}] * 90),
])  # fmt: skip
def test_groups_that_are_no_labels_are_refused(what, groups):
    refused(what, lambda: rsa.cka(X, Y, groups=groups))


@pytest.mark.parametrize("make", [
    lambda t: t.tolist(), lambda t: tuple(map(str, t)), lambda t: t / 2,
    lambda t: t.astype(str).astype(object), lambda t: t.astype("datetime64[D]"),
    lambda t: __import__("torch").tensor(t),
])  # fmt: skip
def test_groups_of_every_kind_work(make):
    expected = rsa.cka(X, Y, groups=TRACKS, draws=0)
    found = rsa.cka(X, Y, groups=make(TRACKS), draws=0)
    assert (found.value, found.low) == (expected.value, expected.low)


@pytest.mark.parametrize("word, what", [
    ("cka", "measure 'cka' is 8 measures: name one of cka:linear,track-debiased, "),
    ("all", r"measure 'all' is \d+ measures: .* \.\.\.$"),
    ("rdm:euclidean,pearson", "did you mean rdm:euclidean,spearman"),
    ("nonsense", "'nonsense' is unknown"),
    (None, "names are needed"),
    (["svcca", "bures"], "is 2 measures"),
])  # fmt: skip
def test_a_pair_has_one_measure(word, what):
    refused(what, lambda: rsa.pair(X, Y, word))
    assert rsa.pair(X, Y, "svcca", draws=0).measure == "svcca:var=0.99,mean"


def refused(what, call):
    with pytest.raises(rsa.RsaError, match=what) as error:
        call()
    assert "\n" not in str(error.value) and len(str(error.value)) < 400
    assert "extract" not in str(error.value)
