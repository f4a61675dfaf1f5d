"""Where memory runs out in similarity and probes, the work goes on in smaller pieces."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from probing_data import objective, problem

import probes.memory
import rsa.memory
from probes.design import Design
from probes.heads import neighbours
from probes.solvers import Problem, solve
from probes.threads import one_a_core
from rsa.hsic import gram
from rsa.measures import relations
from rsa.threads import spread

ERRORS = [
    MemoryError("no room"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
]


@pytest.fixture(autouse=True)
def told(monkeypatch):
    """What is said; what memory held before is forgotten."""
    said: list[str] = []
    for room in (rsa.memory, probes.memory):
        monkeypatch.setattr(room, "tell", [said.append])
        monkeypatch.setattr(room, "_most", {})
    return said


@pytest.mark.parametrize("error", ERRORS, ids=["python", "gpu", "cpu"])
def test_tiles_of_gram_matrices(monkeypatch, told, error):
    rng = np.random.default_rng(0)
    layers = [rng.standard_normal((70, width)) for width in (5, 9)]
    edges = np.array([0, 30, 70])
    whole = gram.inner((layers, layers), (layers, layers), edges, edges)
    asked, real = [], gram._kernels

    def small(left, right, rows, columns):
        asked.append(rows.stop - rows.start)
        if asked[-1] > 10:
            raise error
        return real(left, right, rows, columns)

    monkeypatch.setattr(gram, "_kernels", small)
    found = gram.inner((layers, layers), (layers, layers), edges, edges)
    np.testing.assert_allclose(found, whole, rtol=1e-12, atol=1e-12)
    assert max(asked) > 10 and told == [
        "memory ran out: tiles of Gram matrices in smaller pieces from here on"
    ]


def test_below_the_floor_the_error_is_the_caller_s(monkeypatch, told):
    layers = [np.eye(40)]

    def never(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(gram, "_kernels", never)
    with pytest.raises(MemoryError, match="no room"):
        gram.inner((layers, layers), (layers, layers), np.array([0, 40]), np.array([0, 40]))
    assert [one.split(" in smaller")[0] for one in told] == [
        "memory ran out: tiles of Gram matrices",
        "memory ran out: layers and rearrangements side by side",
    ]


def test_another_error_is_not_tried_again(monkeypatch, told):
    calls = []

    def wrong(*_):
        calls.append(1)
        raise ValueError("wrong")

    monkeypatch.setattr(gram, "_kernels", wrong)
    with pytest.raises(ValueError, match="wrong"):
        gram.inner(([np.eye(9)],) * 2, ([np.eye(9)],) * 2, np.array([0, 9]), np.array([0, 9]))
    assert len(calls) == 1 and not told


@pytest.mark.parametrize("mirrored", [True, False])
def test_rearranged_distances(monkeypatch, told, mirrored):
    rng = np.random.default_rng(1)
    entries = rng.standard_normal((24, 24, 3))
    entries = entries + entries.transpose(1, 0, 2)
    order = rng.permutation(24)
    whole, real = relations.moved(entries, order, mirrored), relations._product

    def small(x, y):
        if len(x) > 5:
            raise MemoryError
        return real(x, y)

    monkeypatch.setattr(relations, "_product", small)
    found = relations.moved(entries, order, mirrored)
    np.testing.assert_allclose(found, whole, rtol=1e-12, atol=1e-9)
    assert told == ["memory ran out: rows of rearranged distances in smaller pieces from here on"]


def test_permutations_and_layers_one_by_one(told):
    working, most = [], []

    def work(item: int) -> int:
        working.append(item)
        most.append(len(working))
        try:
            if item % 3 == 0 and item not in again:
                again.add(item)
                raise MemoryError
            return item**2
        finally:
            working.remove(item)

    again: set[int] = set()
    assert spread(work, range(10)) == [item**2 for item in range(10)]
    again.clear()
    with one_a_core("cpu") as pool:
        assert list(pool.map(work, range(10))) == [item**2 for item in range(10)]
    assert told == [
        "memory ran out: layers and rearrangements side by side in smaller pieces from here on",
        "memory ran out: layers side by side in smaller pieces from here on",
    ]


def test_a_piece_that_does_not_fit_alone_is_an_error(told):
    def never(item):
        raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        spread(never, range(3))
    with pytest.raises(MemoryError, match="no room"), one_a_core("cpu") as pool:
        list(pool.map(never, range(3)))


@pytest.mark.parametrize("error", ERRORS, ids=["python", "gpu", "cpu"])
def test_penalties_and_tasks_of_the_solver(monkeypatch, told, error):
    module = sys.modules["probes.solvers.solve"]
    x, y = problem(60, 12, 3)
    design = Design.of(torch.as_tensor(x))
    asked = [Problem(torch.as_tensor(y), "softmax", (0.1, 1.0, 10.0, 100.0), 3)]
    whole, batch, real = solve(design, asked), [], module.descend

    def small(rows, lanes, **options):
        batch.append(sum(len(lane.number) for lane in lanes))
        if batch[-1] > 2:
            raise error
        return real(rows, lanes, **options)

    monkeypatch.setattr(module, "descend", small)
    monkeypatch.setattr(module, "FLOOR", 1 << 10)  # the problem is a small one
    found = solve(design, asked)
    for place in range(4):
        here, there = (objective(design, asked[0], one[0], place) for one in (found, whole))
        assert here == pytest.approx(there, rel=1e-4)
    assert batch[0] > 2 and len(told) == 1


def test_distances_to_neighbours(monkeypatch, told):
    rng = np.random.default_rng(2)
    train, rows = (torch.as_tensor(rng.standard_normal((n, 6)).astype("f4")) for n in (30, 40))
    whole, real = neighbours.nearest(train, rows, 5), torch.topk

    def small(values, *arguments, **options):
        if len(values) > 9:
            raise RuntimeError("CUDA out of memory")
        return real(values, *arguments, **options)

    monkeypatch.setattr(torch, "topk", small)
    assert torch.equal(neighbours.nearest(train, rows, 5), whole)
    assert told == [
        "memory ran out: rows of distances to neighbours in smaller pieces from here on"
    ]
