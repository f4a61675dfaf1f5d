"""Blocks, clusters and matchings of layers, and how stable they are, on planted structure."""

from __future__ import annotations

import numpy as np
import pytest

from rsa.inference.structure import (
    across,
    boundaries,
    cluster,
    from_json,
    monotone,
    resampled,
    within,
)


def planted(sizes, inside=0.9, outside=0.3):
    owner = np.repeat(np.arange(len(sizes)), sizes)
    matrix = np.where(owner[:, None] == owner[None, :], inside, outside).astype(float)
    np.fill_diagonal(matrix, 1.0)
    return matrix


def replicates(value, size, seed, blocks=32, symmetric=True):
    """Leave-one-block-out values whose jackknife error is about `size` in every cell."""
    noise = np.random.default_rng(seed).standard_normal((blocks, *value.shape))
    if symmetric:
        noise = np.triu(noise, 1)
        noise = noise + noise.transpose(0, 2, 1)
    return value + noise * size / np.sqrt(blocks - 1)


def test_resamples_have_the_covariance_of_the_jackknife():
    value = planted([2, 2])
    left_out = replicates(value, 0.05, 0)
    drawn = resampled(value, left_out, 0, draws=20_000)
    off = (left_out - left_out.mean(axis=0)).reshape(32, -1)
    expected = off.T @ off * 31 / 32
    np.testing.assert_allclose(np.cov(drawn.reshape(len(drawn), -1).T), expected, atol=2e-4)
    np.testing.assert_array_equal(drawn[:, range(4), range(4)], 1.0)


def test_planted_blocks_and_clusters_are_found_and_stable():
    value = planted([4, 3, 5])
    found = within("cka", value, replicates(value, 0.03, 1), 0)
    assert [start for start, _ in found.blocks] == [4, 7]
    assert min(share for _, share in found.blocks) > 0.95
    sets = dict(zip(_sets(found.tree), found.tree_stability, strict=True))
    for block in (range(4), range(4, 7), range(7, 12)):
        assert sets[frozenset(block)] > 0.95
    assert sets[frozenset(range(12))] == 1.0
    heights = found.tree[:, 2]
    assert heights[-1] == pytest.approx(0.7) and heights[0] == pytest.approx(0.1)


def test_boundaries_of_a_matrix_of_noise_are_unstable():
    shares = []
    for seed in range(6):
        noise = np.random.default_rng(seed).uniform(0, 0.02, (14, 14))
        value = 0.5 + noise + noise.T
        np.fill_diagonal(value, 1.0)
        found = within("cka", value, replicates(value, 0.1, seed), 0)
        shares += [share for _, share in found.blocks]
    assert np.mean(shares) < 0.85


def test_boundaries_are_the_best_of_all_cuts():
    rng = np.random.default_rng(2)
    matrix = rng.uniform(0, 1, (7, 7))
    matrix = (matrix + matrix.T) / 2
    off = ~np.eye(7, dtype=bool)
    gain = np.where(off, matrix - matrix[off].mean(), 0)

    def total(cuts):
        edges = [0, *cuts, 7]
        return sum(gain[a:b, a:b].sum() for a, b in zip(edges[:-1], edges[1:], strict=True))

    every = [[i for i in range(1, 7) if code >> i & 1] for code in range(0, 128, 2)]
    assert list(boundaries(matrix[None])[0]) == max(every, key=total)


def test_layers_without_a_similarity_are_typical_and_join_last():
    value = planted([3, 3])
    value[2, :] = value[:, 2] = np.nan
    found = within("cka", value, np.repeat(value[None], 8, axis=0), 0)
    assert [start for start, _ in found.blocks] in ([2], [3])
    assert cluster(value)[-1, 2] == pytest.approx(1.0)
    for size in (1, 2):
        small = within("cka", np.eye(size), np.repeat(np.eye(size)[None], 8, axis=0), 0)
        assert small.blocks == () and len(small.tree) == size - 1


def test_a_shifted_diagonal_is_matched_in_order_and_surely():
    value = np.full((8, 10), 0.1)
    for i in range(8):
        value[i, i + 2] = 0.8
    p = np.where(value > 0.5, 0.01, 0.4)
    noisy = replicates(value, 0.03, 3, symmetric=False)
    found = across("cka", value, noisy, np.full(value.shape, 0.05), p, 0)
    assert [(x, y) for x, y, _ in found.path] == [(i, i + 2) for i in range(8)]
    assert min(share for *_, share in found.path) > 0.99
    assert found.order_kept == pytest.approx((1.0, 1.0, 1.0))
    assert [m[0] for m in found.best_x] == list(range(2, 10))
    assert found.best_y[:2] == (None, None) and found.best_y[2] == (0, 1.0)


def test_a_reversed_model_keeps_little_of_its_order():
    value = np.fliplr(np.eye(6)) * 0.7 + 0.1
    noisy = replicates(value, 0.02, 4, symmetric=False)
    found = across("cka", value, noisy, np.full(value.shape, 0.1), np.full(value.shape, 0.01), 0)
    kept, low, high = found.order_kept
    assert kept == pytest.approx(1 / 6, abs=0.02) and low <= kept <= high
    assert [m[0] for m in found.best_x] == [5, 4, 3, 2, 1, 0]


def test_partners_as_good_as_each_other_are_unstable():
    value = np.full((3, 9), 0.5)
    noisy = replicates(value, 0.1, 5, symmetric=False)
    found = across("cka", value, noisy, np.zeros(value.shape), np.full(value.shape, 0.01), 0)
    assert max(share for _, share in found.best_x) < 0.7


def test_cells_at_chance_or_without_replicates_never_match():
    value = np.full((3, 3), 0.9)
    noisy = replicates(value, 0.01, 6, symmetric=False)
    args = (np.zeros((3, 3)), np.full((3, 3), 0.2), 0)
    nothing = across("cka", value, noisy, *args)
    assert nothing.path == () and nothing.best_x == nothing.best_y == (None,) * 3
    assert np.isnan(nothing.order_kept[0])
    noisy[3, 1] = np.nan
    p = np.full((3, 3), 0.01)
    some = across("cka", value, noisy, np.zeros((3, 3)), p, 0)
    assert some.best_x[1] is None and some.best_x[0] is not None
    assert from_json(nothing.as_json()).as_json() == nothing.as_json()


def test_the_path_is_the_best_of_all_that_keep_the_order():
    rng = np.random.default_rng(7)

    def best(gain):
        if not gain.size:
            return 0.0
        return max(best(gain[:-1]), best(gain[:, :-1]), best(gain[:-1, :-1]) + gain[-1, -1])

    for gain in rng.uniform(0, 1, (5, 4, 5)):
        path = monotone(gain[None])[0]
        assert sum(gain[i, j] for i, j in path) == pytest.approx(best(gain))
        assert all(a < c and b < d for (a, b), (c, d) in zip(path, path[1:], strict=False))


def test_both_kinds_read_back():
    value = planted([3, 3])
    inside = within("cka", value, replicates(value, 0.05, 8), 0)
    assert from_json(inside.as_json()).as_json() == inside.as_json()
    noisy = replicates(value, 0.05, 8, symmetric=False)
    between = across("cka", value, noisy, np.zeros((6, 6)), np.full((6, 6), 0.01), 0)
    assert from_json(between.as_json()) == between
    assert from_json(None) is None


def _sets(tree):
    sets = [frozenset([i]) for i in range(len(tree) + 1)]
    for left, right, *_ in tree:
        sets.append(sets[int(left)] | sets[int(right)])
    return sets[len(tree) + 1 :]
