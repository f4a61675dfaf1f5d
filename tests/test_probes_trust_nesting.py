"""Nested training sets: whole groups, inside each other, large enough to begin with."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.source import Table
from probes.targets import make_target
from probes.tasks.base import Task
from probes.trust.nesting import LEAST_GROUPS, LEAST_ROWS, nestings


def target(sizes, classes=3, seed=0):
    """Training groups of these sizes, and a little of the other splits."""
    rng = np.random.default_rng(seed)
    train = np.repeat([f"g{i}" for i in range(len(sizes))], sizes)
    groups = np.array([*train, *(f"v{i}" for i in range(12)), *(f"t{i}" for i in range(12))])
    splits = np.repeat(np.array(["train", "valid", "test"], object), [len(train), 12, 12])
    labels = rng.permutation(np.arange(len(groups)) % classes)
    table = Table(groups, {"x": [f"c{i}" for i in labels]}, splits)
    return make_target(Task.of_kind("x", "category"), table, splits)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(1, 30), min_size=6, max_size=60).filter(lambda s: sum(s) >= 40),
    st.integers(1, 3),
    st.integers(0, 5),
)
def test_sets_are_nested_and_of_whole_groups(sizes, orders, seed):
    one = target(sizes)
    index = one.group_index("train")
    found = nestings(one, orders, seed)
    assert len(found) == orders and len({len(n.sizes) for n in found}) == 1
    for nesting in found:
        assert sorted(nesting.order) == list(range(len(index)))
        assert nesting.sizes[-1] == len(index) and nesting.groups[-1] == len(sizes)
        assert nesting.sizes[0] >= min(LEAST_ROWS, len(index))
        for step, (rows, groups) in enumerate(zip(nesting.sizes, nesting.groups, strict=True)):
            inside = nesting.rows(step)
            assert len(inside) == rows and len(set(index[inside])) == groups >= LEAST_GROUPS
            outside = np.setdiff1d(np.arange(len(index)), inside)
            assert not set(index[inside]) & set(index[outside])
            assert nesting.weights(step).sum() == rows
            if step:
                before = nesting.rows(step - 1)
                assert sorted([*before, *nesting.block(step)]) == sorted(inside)


def test_sizes_are_the_published_fractions_from_the_smallest_that_will_do():
    found = nestings(target([1] * 2000))[0]
    assert found.sizes == (20, 32, 64, 125, 250, 500, 1000, 2000) and found.groups == found.sizes
    many = nestings(target([1] * 2000, classes=60))[0]
    assert many.sizes == (60, 64, 125, 250, 500, 1000, 2000)
    assert nestings(target([1] * 400), fractions=(0.5, 1.0))[0].sizes == (20, 200, 400)


def test_orders_differ_and_are_the_same_for_every_task():
    first, second = nestings(target([5] * 80), 2)
    assert first.order.tolist() != second.order.tolist()
    other = nestings(target([5] * 80, classes=7, seed=3), 2)
    assert other[1].order.tolist() == second.order.tolist()
