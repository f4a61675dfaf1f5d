"""HSIC: each estimator against its definition, both routes, merging, leaving blocks out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rsa.hsic.estimators import KINDS
from rsa.hsic.linear import Held, estimates, gram_products
from rsa.hsic.moments import moments
from rsa.hsic.rowsums import row_sums
from rsa.rows.grouping import Grouping

SIZES = (2, 3, 1, 2, 3)


def data(sizes, seed=0, p=3, q=2):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    x = rng.standard_normal((len(groups), p))
    y = rng.standard_normal((len(groups), q)) + x[:, :1] + 0.5
    return x, y, groups


class Two(Held):
    widths = property(lambda self: np.array([a.shape[1] for a in self.kept]))
    dtype = property(lambda self: self.kept[0].dtype)


def both_routes(x, y, groups, blocks=32, room=1e6):
    """kind -> [1 + blocks, 2, 2], by Gram matrices and by features."""
    grouping = Grouping.deal(groups, blocks, 0)
    layers = Two([x[grouping.order], y[grouping.order]])
    many = grouping.blocks > 1
    rows = row_sums(layers, None, grouping, many)
    pairs = [(0, 0), (0, 1), (1, 1)]
    gram = gram_products(layers.kept, grouping, many, "cpu")
    features = moments(layers, pairs, grouping, many, room)
    return grouping, *(estimates(rows, *found, grouping) for found in (gram, features))


def by_gram(x, y, groups, blocks=32):
    return both_routes(x, y, groups, blocks)[:2]


def distinct_tuples(x, y, groups):
    """The U-statistic from its definition: means over all tuples of rows of different groups."""
    k, m = x @ x.T, y @ y.T
    first, second, third = [], [], []
    rows = range(len(x))
    for i, j in itertools.permutations(rows, 2):
        if groups[i] == groups[j]:
            continue
        first.append(k[i, j] * m[i, j])
        for q in rows:
            if groups[q] in (groups[i], groups[j]):
                continue
            third.append(k[i, j] * m[i, q])
            second += [k[i, j] * m[q, r] for r in rows if groups[r] not in groups[[i, j, q]]]
    return np.mean(first) + np.mean(second) - 2 * np.mean(third)


def u_centred(x, y):
    """Szekely and Rizzo 2014: inner product of U-centred Gram matrices."""
    n = len(x)

    def centre(k):
        k = k - np.diag(np.diag(k))
        rows = k.sum(axis=0) / (n - 2)
        k = k - rows[:, None] - rows[None, :] + k.sum() / ((n - 1) * (n - 2))
        return k - np.diag(np.diag(k))

    return (centre(x @ x.T) * centre(y @ y.T)).sum() / (n * (n - 3))


def test_track_debiased_is_the_mean_over_distinct_tracks():
    x, y, groups = data(SIZES)
    expected = distinct_tuples(x, y, groups)
    for found in both_routes(x, y, groups)[1:]:
        assert found["track-debiased"][0, 0, 1] == pytest.approx(expected, rel=1e-12)


def test_debiased_is_the_inner_product_of_u_centred_grams():
    x, y, groups = data(SIZES, p=7)
    assert by_gram(x, y, groups)[1]["debiased"][0, 0, 1] == pytest.approx(
        u_centred(x, y), rel=1e-11
    )


def test_biased_is_the_trace_of_centred_grams():
    x, y, groups = data(SIZES)
    h = np.eye(11) - 1 / 11
    expected = np.trace(x @ x.T @ h @ y @ y.T @ h) / 100
    assert by_gram(x, y, groups)[1]["biased"][0, 0, 1] == pytest.approx(expected, rel=1e-12)


def test_one_row_a_group_makes_track_debiased_the_debiased_value():
    x, y, _ = data([1] * 12)
    values = by_gram(x, y, np.arange(12))[1]
    np.testing.assert_allclose(values["track-debiased"], values["debiased"], rtol=1e-12)


@pytest.mark.parametrize("room", [1e6, 2000])  # all pairs at once, and a pair at a time
@pytest.mark.parametrize(
    "sizes", [(1,) * 40, (3,) * 15, (2, 9, 1, 4, 4, 30, 2, 7), (700, 3, 600, 40, 9)]
)
def test_both_routes_agree_whole_and_without_each_block(sizes, room):
    x, y, groups = data(sizes, p=11, q=6)
    _, gram, features = both_routes(x, y, groups, 5, room)
    for kind in KINDS:
        np.testing.assert_allclose(gram[kind], features[kind], rtol=1e-9, atol=1e-12)
        assert len(gram[kind]) == 6


def test_one_block_leaves_nothing_out():
    x, y, groups = data((3,) * 15)
    _, gram, features = both_routes(x, y, groups, 1)
    for kind in KINDS:
        assert gram[kind].shape == (1, 2, 2)
        np.testing.assert_allclose(gram[kind], features[kind], rtol=1e-9)
        np.testing.assert_allclose(gram[kind], by_gram(x, y, groups, 5)[1][kind][:1], rtol=1e-9)


def test_values_without_a_block_are_those_of_the_other_rows():
    x, y, groups = data((2, 3, 1, 2, 3, 4, 1, 5))
    grouping, whole = by_gram(x, y, groups, blocks=4)
    x, y = x[grouping.order], y[grouping.order]
    for block in range(grouping.blocks):
        keep = np.ones(len(x), dtype=bool)
        keep[grouping.edges[block] : grouping.edges[block + 1]] = False
        rest = by_gram(x[keep], y[keep], grouping.group_of_row[keep])[1]
        for kind in KINDS:
            np.testing.assert_allclose(whole[kind][1 + block], rest[kind][0], rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_a_shift_changes_nothing_where_groups_are_equal(kind):
    x, y, groups = data((4,) * 9)
    near = by_gram(x, y, groups)[1][kind][0]
    np.testing.assert_allclose(by_gram(x + 30, y - 7, groups)[1][kind][0], near, rtol=1e-7)


def test_groups_are_never_divided_and_blocks_are_balanced():
    labels = np.random.default_rng(3).choice(list("abcdefghijklmnopqrstuvwxyz"), 500)
    grouping = Grouping.deal(labels, 6, seed=1)
    ordered = labels[grouping.order]
    assert sorted(grouping.order) == list(range(500))
    parts = [
        set(ordered[a:b]) for a, b in zip(grouping.edges[:-1], grouping.edges[1:], strict=True)
    ]
    assert sum(len(p) for p in parts) == len(set(labels))
    loads = np.diff(grouping.edges)
    assert loads.max() - loads.min() <= grouping.sizes.max()


def test_fewer_groups_than_blocks_makes_each_group_a_block():
    assert Grouping.deal(["a", "b", "a", "c"], 32, 0).blocks == 3


def test_equal_groups_change_places_whole_and_no_row_is_lost():
    grouping = Grouping.deal(np.repeat(np.arange(30), 4), 8, 0)
    order = grouping.permutation(np.random.default_rng(0))
    assert grouping.exact_permutations
    assert sorted(order) == list(range(120))
    came = grouping.group_of_row[order].reshape(30, 4)
    assert (came == came[:, :1]).all() and (came[:, 0] != np.arange(30)).any()


def test_unequal_groups_stay_together_and_in_order():
    sizes = np.random.default_rng(1).integers(3, 12, 40)
    grouping = Grouping.deal(np.repeat(np.arange(40), sizes), 8, 0)
    order = grouping.permutation(np.random.default_rng(0))
    for start, stop in zip(grouping.starts[:-1], grouping.starts[1:], strict=True):
        assert len(set(grouping.group_of_row[order[start:stop]])) == 1
        assert (np.diff(order[start:stop]) >= 0).all()
    came = grouping.group_of_row[order[grouping.starts[:-1]]]
    assert sorted(came) == list(range(40))
