"""Linear CKA: precision of both routes, chance in closed form, removed components, coverage."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

import rsa
import rsa.hsic.linear
from rsa.hsic.linear import Held
from rsa.hsic.permutation import invariants, moments
from rsa.measures.linear_cka import MEASURES

NAMES = [m.name for m in MEASURES]
TRACK = "cka:linear,track-debiased"


def two(seed, n=120, p=9, q=7, shared=3, noise=1.0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, shared))
    return tuple(
        z @ rng.standard_normal((shared, d)) + noise * rng.standard_normal((n, d)) for d in (p, q)
    )


def u_centred(k):
    """Szekely and Rizzo 2014, by loops over the definition."""
    n = len(k)
    out = np.zeros_like(k)
    for i, j in itertools.permutations(range(n), 2):
        rows = sum(k[i, m] for m in range(n) if m != i) + sum(k[m, j] for m in range(n) if m != j)
        whole = sum(k[a, b] for a, b in itertools.permutations(range(n), 2))
        out[i, j] = k[i, j] - rows / (n - 2) + whole / ((n - 1) * (n - 2))
    return out


@pytest.mark.parametrize("kind", ["biased", "debiased"])
@pytest.mark.parametrize("n", [5, 6, 7])
def test_moments_are_those_of_all_permutations(kind, n):
    rng = np.random.default_rng(n)
    layers = [rng.standard_normal((n, d)) ** 2 * np.arange(1, d + 1) for d in (2, 9, 4)]
    layers = [x - x.mean(axis=0) for x in layers]
    known = [invariants(Held(layers), i, n)[kind] for i in range(3)]
    spread, skewness = moments(known, n)
    grams = [x @ x.T if kind == "biased" else u_centred(x @ x.T) for x in layers]
    orders = np.array(list(itertools.permutations(range(n))))
    for i, j in ((0, 1), (0, 2), (1, 1)):
        drawn = [(grams[i] * grams[j][np.ix_(p, p)]).sum() for p in orders]
        assert spread[i, j] == pytest.approx(np.std(drawn), rel=1e-10)
        assert skewness[i, j] == pytest.approx(stats.skew(drawn), rel=1e-8, abs=1e-10)


def cells(x, y, **options):
    """Every linear CKA of two layers."""
    sources = [rsa.Matrices(n, {"l": m}) for n, m in (("x", x), ("y", y))]
    two_ = rsa.compare(*sources, measures=NAMES, pairs=[(0, 1)], **options).between(0, 1)
    return {name: two_[name] for name in NAMES}


def test_closed_form_is_what_permuting_rows_gives():
    x, y = two(0, n=60, p=8, q=12)
    y = y * np.linspace(1, 4, 12)
    found, rng = cells(x, y), np.random.default_rng(1)
    drawn = [cells(x, y[rng.permutation(60)], draws=0, blocks=1) for _ in range(200)]
    for name in NAMES:
        values = np.array([one[name].value[0, 0] for one in drawn])
        cell = found[name]
        assert cell.chance[0, 0] == pytest.approx(values.mean(), abs=4 * values.std() / 14)
        assert 0.02 < (values > cell.chance_high[0, 0]).mean() < 0.095
        assert cell.p[0, 0] < 0.01 or "without" in name


def test_moments_keep_their_digits_at_many_rows():
    rng = np.random.default_rng(2)
    n = 3000
    x = rng.standard_normal((n, 40)) * np.arange(1, 41) ** -0.5
    x -= x.mean(axis=0)
    found = {k: moments([v], n) for k, v in invariants(Held([x]), 0, n).items()}
    k = x @ x.T
    t = np.trace(k) / (n - 1)
    centred = k - t * (np.eye(n) - 1 / n)
    rest = k - np.diag(np.diag(k))
    rows = rest.sum(axis=0) / (n - 2)
    u = rest - rows[:, None] - rows + rest.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(u, 0.0)
    for kind, a in (("biased", centred), ("debiased", u)):
        spread, skewness = (float(v[0, 0]) for v in found[kind])
        # spread of a random quadratic form; 1 / n is all that differs
        assert spread == pytest.approx(np.sqrt(2) * (a**2).sum() / n, rel=0.01)
        cube = np.vdot(a @ a, a)
        assert skewness == pytest.approx(8 * cube**2 / n**3 / spread**3, rel=0.05)


def test_false_positives_of_the_closed_form():
    rejected = dict.fromkeys(NAMES, 0)
    for seed in range(80):
        rng = np.random.default_rng(seed)
        x, y = (rng.standard_normal((40, d)) * np.linspace(1, 3, d) for d in (8, 12))
        for name, cell in cells(x, y, blocks=1).items():
            rejected[name] += cell.p[0, 0] <= 0.05
    # 80 x 0.05 = 4; more than 10 in 0.3 % of cases
    assert max(rejected.values()) <= 10, rejected


def test_p_in_the_whole_matrix_is_corrected():
    hits = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        a, b = (
            rsa.Matrices(n, {str(i): rng.standard_normal((40, 6)) for i in range(3)}) for n in "ab"
        )
        cells = rsa.compare(a, b, measures=[TRACK], pairs=[(0, 1)], blocks=1)["a", "b"][TRACK]
        hits += (cells.p <= 0.05).any()
    assert hits <= 9


CASES = {
    "plain": lambda x, rng: x,
    "offset": lambda x, rng: x + 300,
    "small": lambda x, rng: x * 1e-3,
    "large": lambda x, rng: x * 1e3,
    "constant column": lambda x, rng: np.column_stack([x, np.full(len(x), 7.7, x.dtype)]),
    "duplicate rows": lambda x, rng: np.concatenate([x[:-20], x[:20]]),
    "lost rank": lambda x, rng: np.column_stack([x, x[:, :4] @ rng.standard_normal((4, 9))]),
    "odd tile": lambda x, rng: x[: 256 + 3],
    "wide": lambda x, rng: np.repeat(x, 9, axis=1)[:50] * np.linspace(1, 2, x.shape[1] * 9),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("route", ["gram", "features"])
@pytest.mark.parametrize("size", [1, 3])
def test_float32_products_keep_five_digits(monkeypatch, case, route, size):
    x, y = (a.astype(np.float32) for a in two(3, n=540, p=37, q=50))
    rng = np.random.default_rng(0)
    x, y = CASES[case](x, rng).astype(np.float32), CASES[case](y, rng).astype(np.float32)
    groups = np.arange(len(x)) // size
    source = rsa.Matrices("a", {"x": x, "y": y}, groups)
    precise = rsa.compare(source, measures=NAMES, draws=0, blocks=6)["a", "a"]
    way = (0.0, 1.0) if route == "gram" else (1.0, 0.0)
    monkeypatch.setattr("rsa.hsic.linear.costs", lambda *_: way)
    monkeypatch.setattr("rsa.hsic.linear.SMALL", -1.0)
    rough = rsa.compare(source, measures=NAMES, draws=0, blocks=6)["a", "a"]
    for name in NAMES:
        np.testing.assert_allclose(rough[name].value, precise[name].value, atol=1e-5)
        np.testing.assert_allclose(rough[name].low, precise[name].low, atol=3e-5)


@pytest.mark.parametrize("components", [1, 5])
def test_without_components_is_the_value_of_the_deflated_layers(components):
    x, y = two(4)
    groups = np.arange(120) // 3

    def deflated(a):
        a = a - a.mean(axis=0)
        left, size, right = np.linalg.svd(a, full_matrices=False)
        size[:components] = 0.0
        return left * size @ right

    name = f"{TRACK},without={components}"
    found = rsa.pair(x, y, name, groups=groups, draws=19)
    plain = rsa.pair(deflated(x), deflated(y), TRACK, groups=groups, draws=19)
    assert found.value == pytest.approx(plain.value, abs=1e-10)
    # the direction of the first share is a layer's own
    power = np.linalg.svd(x - x.mean(axis=0))[1] ** 2
    assert found.extra["first_share_x"] == pytest.approx(power[0] / power.sum(), rel=1e-9)
    assert found.chance == 0.0 and np.isfinite([found.low, found.chance_high, found.p]).all()


def test_nothing_left_without_components_is_said():
    x, y = two(5, p=3)
    found = rsa.pair(x, y, f"{TRACK},without=5")
    assert np.isnan([found.value, found.low, found.p]).all()
    assert any("nothing is left of x/x" in note for note in found.notes)
    with pytest.raises(rsa.RsaError, match="without is a number"):
        rsa.pair(x, y, f"{TRACK},without=0")


def test_tracks_with_unrelated_offsets():
    by_track, by_row = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        labels = np.repeat(np.arange(50), 20)
        x, y = (
            rng.standard_normal((50, 32))[labels] + rng.standard_normal((1000, 32))
            for _ in range(2)
        )
        by_track.append(rsa.cka(x, y, debiased="track", groups=labels, draws=0, blocks=1).value)
        by_row.append(rsa.cka(x, y, debiased=True, groups=labels, draws=0, blocks=1).value)
    assert abs(np.mean(by_track)) < 0.03 and min(by_row) > 0.08


def test_a_bare_value_takes_no_detours(monkeypatch):
    from rsa.rows.joint import Joint

    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr(Joint, "basis", refuse)
    monkeypatch.setattr(Joint, "layer", refuse)
    monkeypatch.setattr("rsa.measures.linear_cka.leading", refuse)
    monkeypatch.setattr("rsa.measures.linear_cka.invariants", refuse)
    x, y = two(6)
    found = rsa.cka(x, y, draws=0, blocks=1)
    assert np.isfinite(found.value) and np.isnan(found.low)


def truth(kind, seed):
    """One data set: layers x and y over tracks of equal or unequal numbers of rows."""
    rng = np.random.default_rng([17, seed])
    sizes = rng.integers(1, 6, 60) if kind == "unequal" else np.full(60, 3)
    labels = np.repeat(np.arange(60), sizes)
    n = len(labels)
    z = rng.standard_normal((60, 4))[labels] + rng.standard_normal((n, 4))
    mix = np.random.default_rng(0).standard_normal((2, 4, 8))
    strength = 0.0 if kind == "independent" else 1.0
    return (*(strength * z @ w + 2 * rng.standard_normal((n, 8)) for w in mix), labels)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["independent", "signal", "unequal"])
def test_intervals_cover(kind):
    cells = {name: [] for name in NAMES if kind == "signal" or "without" not in name}
    for seed in range(400):
        x, y, labels = truth(kind, seed)
        sources = [rsa.Matrices(n, {"l": m}, labels) for n, m in (("x", x), ("y", y))]
        two_ = rsa.compare(*sources, measures=[*cells], pairs=[(0, 1)], draws=0).between(0, 1)
        for name, rows in cells.items():
            rows.append([getattr(two_[name], f)[0, 0] for f in ("value", "low", "high")])
    for name, rows in cells.items():
        value, low, high = np.array(rows).T
        covered = np.mean((low <= value.mean()) & (value.mean() <= high))
        # unrelated layers: the jackknife takes the spread of a degenerate statistic for up to
        # twice its variance (Efron and Stein 1981), so the interval is too wide, never too narrow
        most = 0.999 if kind == "independent" else 0.985
        assert 0.92 <= covered <= most, (name, covered)
