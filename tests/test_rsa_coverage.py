"""Over many simulated data sets: intervals cover, and corrected p rejects as often as it says."""

from __future__ import annotations

import numpy as np
import pytest
from test_rsa_properties import FITTED, small

import rsa

TRUTHS = {
    # strength of what rows share, of what rows of a track share, sizes of tracks
    "signal": (1.0, 0.5, np.repeat(2, 40)),
    "unequal tracks": (1.0, 0.7, np.r_[np.repeat(1, 20), np.repeat(2, 15), np.repeat(5, 8)]),
}
# directions are searched on other groups; what another search would find is not in the interval
FIXED = {"mi:max-sliced,bins=8,held-out": 0.65}


def layers(rng, shared, track, sizes):
    """Two layers [rows, 4] with a part in common, and with offsets of tracks of their own."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    common = rng.standard_normal((len(sizes), 3))[groups] * 0.7
    common = common + rng.standard_normal((len(groups), 3)) * 0.7
    out = []
    for _ in range(2):
        own = track * rng.standard_normal((len(sizes), 4))[groups]
        mixing = np.random.default_rng(7 + len(out)).standard_normal((3, 4))
        noise = rng.standard_normal((len(groups), 4))
        out.append(shared * common @ mixing + own + noise)
    return *out, groups


@pytest.mark.slow
@pytest.mark.parametrize("truth", TRUTHS)
@pytest.mark.parametrize("name", FITTED)
def test_intervals_cover_the_mean_of_the_estimator(name, truth):
    found = []
    for seed in range(400):
        rng = np.random.default_rng([seed, 11])
        x, y, groups = layers(rng, *TRUTHS[truth])
        extra = {"confound": rng.standard_normal((len(x), 3))} if "deconfounded" in name else {}
        one = rsa.pair(x, y, small(name), groups=groups, draws=0, seed=seed, **extra)
        found.append((one.value, one.low, one.high))
    value, low, high = np.array(found).T
    covered = np.mean((low <= value.mean()) & (value.mean() <= high))
    least, most = (p + side * 2 * np.sqrt(p * (1 - p) / 400) for p, side in ((0.92, -1), (0.98, 1)))
    if name in FIXED:
        least = FIXED[name]
    if abs(value.mean()) < value.std():
        most = 1.0  # where nothing is shared a jackknife is on the safe side
    assert least <= covered <= most, covered


@pytest.mark.slow
@pytest.mark.parametrize("name", FITTED)
def test_a_matrix_of_unrelated_layers_is_rejected_as_often_as_it_says(name):
    rejected = 0
    for seed in range(100):
        rng = np.random.default_rng([seed, 12])
        tracks = np.repeat(np.arange(40), 2)
        one, other = (
            {f"l{i}": rng.standard_normal((40, 4))[tracks] + rng.standard_normal((80, 4))
             for i in range(3)}
            for _ in range(2)
        )  # fmt: skip
        found = rsa.compare(
            rsa.Matrices("a", one, tracks), rsa.Matrices("b", other, tracks),
            measures=[small(name)], pairs=[(0, 1)], draws=39, seed=seed, confound=(0, "l0"),
        ).between(0, 1).measures[0]  # fmt: skip
        rejected += bool(np.nanmin(found.p) <= 0.05)
    # 5 of 100 expected; 12 would come once in a thousand
    assert rejected <= 12, rejected
