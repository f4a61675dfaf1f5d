"""Every measure of the registry keeps what it declares; one table of cases for all of them."""

from __future__ import annotations

import re

import numpy as np
import pytest

import rsa
from rsa.measures import DEFAULT, MEASURES, find, measure
from rsa.measures.base import FAMILIES, INVARIANCES

SMALLER = {
    r"pca=\d+": "pca=3", r"k=\d+": "k=4", r"slices=\d+": "slices=24", r"without=5": "without=2",
}  # fmt: skip
NAMES = sorted(MEASURES)


def small(name: str) -> str:
    """The same measure with parameters for few rows and columns."""
    for pattern, instead in SMALLER.items():
        name = re.sub(pattern, instead, name)
    return name


# critics are trained: their value moves with rounding, and a run takes seconds
TRAINED = [name for name in NAMES if re.match("mi:(infonce|smile)", name)]
FITTED = [name for name in NAMES if name not in TRAINED]
BITS = [name for name in NAMES if MEASURES[name].unit == "bits"]
DISTANCES = [name for name in NAMES if not MEASURES[name].larger_is_more_similar]
METRICS = [name for name in NAMES if MEASURES[name].metric]


def two(seed=0, n=90, p=5, q=7, shared=3, noise=1.0):
    """Two layers with a linear part in common."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, shared))
    x = z @ rng.standard_normal((shared, p)) + noise * rng.standard_normal((n, p))
    y = z @ rng.standard_normal((shared, q)) + noise * rng.standard_normal((n, q))
    return x, y


def estimate(x, y, name, **options):
    if "deconfounded" in name:
        rng = np.random.default_rng(99)
        options.setdefault("confound", rng.standard_normal((len(x), 4)))
    return rsa.pair(x, y, small(name), **options)


def value(x, y, name, **options):
    return estimate(x, y, name, draws=0, **options).value


def orthogonal(rng, d):
    q, r = np.linalg.qr(rng.standard_normal((d, d)))
    return q * np.sign(np.diag(r))


MAPS = {
    "translation": lambda y, rng: y + rng.uniform(-50, 50, y.shape[1]),
    "isotropic scaling": lambda y, rng: y * 10.0 ** rng.uniform(-3, 3),
    "permutation": lambda y, rng: y[:, rng.permutation(y.shape[1])],
    "orthogonal": lambda y, rng: y @ orthogonal(rng, y.shape[1]),
    "invertible linear": lambda y, rng: y
    @ (orthogonal(rng, y.shape[1]) * np.geomspace(1, 8, y.shape[1]))
    @ orthogonal(rng, y.shape[1]),
}


@pytest.mark.parametrize("name", NAMES)
def test_the_registry_says_what_a_reader_needs(name):
    m = MEASURES[name]
    assert m.name == name == find(name).name
    assert m.title and len(m.title) <= 28 and m.formula and m.source and m.says and m.beware
    assert m.family in FAMILIES and m.needs in ("moments", "rows") and m.minimum_rows >= 4
    assert m.unit in ("", "bits", "rad") and set(m.invariances) <= set(INVARIANCES) == set(MAPS)
    assert not m.metric or (m.symmetric and not m.larger_is_more_similar)
    assert m.larger_is_more_similar or m.range[0] == 0.0
    other = small(name)
    assert measure(other).name == other


def test_titles_and_names_are_the_registrys_own():
    assert len({m.title for m in MEASURES.values()}) == len(MEASURES)
    assert set(DEFAULT) <= set(MEASURES)
    for bad in ("cka", "svcca:var=1.5,mean", "mi:gaussian,pca=900,held-out", "pwcca:var=.0,mean"):
        with pytest.raises(rsa.RsaError, match="measure"):
            measure(bad)


@pytest.mark.parametrize("name", FITTED)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_declared_invariances_hold(name, seed):
    x, y = two(seed)
    plain, rng = value(x, y, name), np.random.default_rng(seed)
    assert np.isfinite(plain)
    for invariance in MEASURES[name].invariances:
        moved = value(x, MAPS[invariance](y, rng), name)
        assert moved == pytest.approx(plain, abs=1e-8), invariance


@pytest.mark.parametrize("name", FITTED)
def test_invariances_that_are_not_declared_do_not_hold(name):
    missing = set(MAPS) - MEASURES[name].invariances
    for invariance in missing:
        changes = []
        for seed in range(5):
            x, y = two(seed)
            moved = MAPS[invariance](y, np.random.default_rng(seed))
            changes.append(abs(value(x, moved, name) - value(x, y, name)))
        assert max(changes) > 1e-4, invariance


@pytest.mark.parametrize("name", FITTED)
@pytest.mark.parametrize("p, q", [(4, 9), (9, 4), (3, 3)])
def test_symmetric_as_declared_in_range_and_any_widths(name, p, q):
    x, y = two(1, p=p, q=q)
    found, back = estimate(x, y, name, draws=0), value(y, x, name)
    if MEASURES[name].symmetric:
        assert found.value == pytest.approx(back, rel=1e-9)
    else:
        assert found.value != pytest.approx(back, rel=1e-6)
        assert found.extra["reverse"] == pytest.approx(back, rel=1e-9)
    low, high = MEASURES[name].range
    assert (low is None or low <= found.value) and (high is None or found.value <= high)


@pytest.mark.parametrize("name", [n for n in FITTED if n not in BITS])
def test_equal_layers_have_the_best_value(name):
    x, _ = two(2, p=6)
    best = 1.0 if MEASURES[name].larger_is_more_similar else 0.0
    turned = x @ orthogonal(np.random.default_rng(0), 6) * 3 + 1
    assert value(x, x.copy(), name) == pytest.approx(best, abs=2e-2 if "cv" in name else 1e-6)
    assert value(x, turned, name) == pytest.approx(best, abs=2e-2 if "cv" in name else 1e-6)


@pytest.mark.parametrize("name", FITTED)
@pytest.mark.parametrize("offset, scale", [(300, 1.0), (0, 1e-3), (0, 1e3)])
def test_float32_far_from_zero_or_of_any_size_keeps_the_value(name, offset, scale):
    x, y = (a.astype(np.float32) for a in two(3))
    plain = value(x.astype(np.float64), y.astype(np.float64), name)
    if offset:  # the sum itself rounds in float32: hold it against the same rounded numbers
        x, y = x + np.float32(offset), y + np.float32(offset)
        plain = value(x.astype(np.float64) - offset, y.astype(np.float64) - offset, name)
    assert value(x * np.float32(scale), y * np.float32(scale), name) == pytest.approx(
        plain, abs=1e-5
    )


@pytest.mark.parametrize("name", FITTED)
def test_a_constant_column_duplicate_rows_and_lost_rank_are_harmless(name):
    x, y = two(9)
    plain = value(x, y, name)
    padded = np.column_stack([x, np.full(len(x), 7.7)])
    if "sliced" not in name:  # a projection sees every column
        assert value(padded, y, name) == pytest.approx(plain, abs=1e-7)
    doubled = np.column_stack([x, x[:, :2] @ [[1.0], [2.0]]])
    assert np.isfinite(value(doubled, y, name))
    again = np.r_[x, x[:9]], np.r_[y, y[:9]]
    assert np.isfinite(value(*again, name, groups=np.r_[:90, :9]))


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_computed_is_nan_with_a_reason(name):
    x, y = two(8)
    for left, right in ((np.full_like(x, 0.1), y), (x[:4], y[:4])):
        found = estimate(left, right, name, draws=5)
        if len(left) == 4 and np.isfinite(found.value):
            assert MEASURES[name].minimum_rows <= 4
            continue
        assert np.isnan([found.value, found.low, found.score, found.p]).all()
        assert found.notes
    same = estimate(np.full_like(x, 0.1), y, name, draws=5)
    assert any("x/x" in note and "same in every row" in note for note in same.notes)


@pytest.mark.parametrize("name", FITTED)
def test_fewer_rows_than_columns_is_a_number_or_a_reason(name):
    x, y = two(10, n=24, p=60, q=40, noise=0.1)
    found = estimate(x, y, name, draws=5)
    assert np.isfinite(found.value) or found.notes
    if np.isfinite(found.value):
        assert found.low <= found.value <= found.high


@pytest.mark.parametrize("name", METRICS)
def test_metrics_obey_the_triangle_inequality(name):
    for seed in range(8):
        rng = np.random.default_rng(seed)
        x, y = two(seed, p=4, q=6)
        z = 0.5 * np.column_stack([x, y[:, :2]]) + rng.standard_normal((90, 6)) * seed / 4
        xy, yz, xz = value(x, y, name), value(y, z, name), value(x, z, name)
        assert xz <= xy + yz + 1e-9 and xy <= xz + yz + 1e-9 and yz <= xy + xz + 1e-9


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_has_an_interval_chance_score_and_p(name):
    x, y = two(4, n=160, noise=0.4)
    found = estimate(x, y, name, groups=np.repeat(np.arange(80), 2), draws=39)
    numbers = (found.value, found.low, found.high, found.chance, found.chance_high)
    assert np.isfinite(numbers).all() and found.low < found.value < found.high
    assert 0 < found.score <= 1 + 1e-9 and found.p <= 0.05
    sign = 1 if MEASURES[name].larger_is_more_similar else -1
    assert sign * found.value > sign * found.chance_high > sign * found.chance


@pytest.mark.parametrize("name", FITTED)
def test_more_noise_is_less_similar(name):
    rungs = [np.mean([value(*two(seed, 160, 4, 4, 4, noise), name) for seed in range(3)])
             for noise in (0.1, 0.5, 2.0)]  # fmt: skip
    sign = 1 if MEASURES[name].larger_is_more_similar else -1
    assert sign * rungs[0] > sign * rungs[1] > sign * rungs[2]


@pytest.mark.parametrize("name", NAMES)
def test_independent_layers_and_offsets_of_tracks_are_at_chance(name):
    """Frames of a track are alike in either model, for reasons that the models do not share."""
    reached = 0
    for seed in range(3):
        rng = np.random.default_rng([seed, 5])
        tracks = np.repeat(np.arange(40), 4)
        x, y = (
            rng.standard_normal((40, 5))[tracks] + rng.standard_normal((160, 5)) for _ in range(2)
        )
        found = estimate(x, y, name, groups=tracks, draws=39)
        reached += found.p <= 0.05
        assert found.p > 0 and (np.isnan(found.score) or found.score < 0.35)
    assert reached <= 1
