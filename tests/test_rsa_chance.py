"""Scores and p where there is little to go by: few groups, few rows."""

from __future__ import annotations

import numpy as np
import pytest

import rsa
from rsa.inference.chance import calibrated, largest_of_all
from rsa.measures import measure


@pytest.mark.parametrize(
    "name, value, level, score",
    [
        ("cka:linear,debiased", 0.6, 0.2, 0.5),
        ("cka:linear,debiased", 0.1, 0.2, 0.0),
        ("cka:linear,debiased", -0.55, 1.25, 0.0),
        ("cka:linear,debiased", 1.5, 1.25, 0.0),
        ("procrustes:orthogonal", 0.3, 1.2, 0.75),
        ("procrustes:orthogonal", 1.3, 1.2, 0.0),
        ("procrustes:orthogonal", 0.1, -0.2, 0.0),
        ("mi:gaussian,pca=3,held-out", -0.2, 0.3, 0.0),
        ("cka:linear,debiased", np.nan, 0.2, np.nan),
    ],
)
def test_score_is_between_chance_and_equality(name, value, level, score):
    found = calibrated(measure(name), np.array([[value]]), np.array([[level]]))
    np.testing.assert_allclose(found, [[score]], atol=1e-12)
    assert not np.signbit(found[0, 0]) or np.isnan(score)


def test_a_value_that_comes_up_again_but_for_rounding_is_no_evidence():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((2, 1, 1))
    draws = values[rng.integers(2, size=99)]
    p = largest_of_all(values[0] * (1 + 1e-13), draws)
    assert 0.4 < p[0, 0] <= 1.0


@pytest.mark.parametrize("name", ["cka:linear,track-debiased", "procrustes:orthogonal", "cca:r2"])
def test_two_groups_never_reject(name):
    rng = np.random.default_rng(1)
    groups = np.arange(60) % 2
    for _ in range(5):
        x, y = rng.standard_normal((2, 60, 4))
        found = rsa.pair(x, y, name, groups=groups)
        assert not found.p < 0.3
