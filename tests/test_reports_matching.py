"""Matching of layers and blocks of layers, against brute force."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from study_fixture import make_study

from reports import Study
from reports.figures.specialisation import profile, standardised
from reports.matching import best_matches, block_stability, blocks, excess, monotone_path
from reports.style import every_few


def brute_path(gain: np.ndarray) -> float:
    rows, columns = gain.shape
    best = 0.0
    for size in range(1, min(rows, columns) + 1):
        for i in combinations(range(rows), size):
            for j in combinations(range(columns), size):
                best = max(best, gain[list(i), list(j)].sum())
    return best


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 10**6))
def test_path_is_monotone_and_optimal(rows, columns, seed):
    rng = np.random.default_rng(seed)
    gain = np.maximum(rng.normal(size=(rows, columns)), 0.0)
    path = monotone_path(gain)
    assert path.total == pytest.approx(brute_path(gain))
    assert path.total == pytest.approx(sum(gain[p] for p in path.pairs))
    assert path.total <= path.free + 1e-12
    for (i, j), (k, m) in zip(path.pairs, path.pairs[1:], strict=False):
        assert i < k
        assert j < m
    assert all(gain[p] > 0 for p in path.pairs)


def test_path_keeps_the_order_or_says_what_it_costs():
    assert monotone_path(np.eye(4)).order_kept == 1.0
    assert monotone_path(np.eye(4)[::-1]).order_kept == 0.25
    assert monotone_path(np.zeros((3, 4))).pairs == ()
    assert np.isnan(monotone_path(np.zeros((3, 4))).order_kept)


def test_chance_cells_are_never_matched(tmp_path):
    study = Study.read(make_study(tmp_path / "s", probes=False))
    measure = study.between("a", "b").main()
    gain = excess(measure)
    assert (gain[~measure.above_chance] == 0).all()
    assert (~measure.above_chance).any()
    path = monotone_path(gain)
    assert all(measure.above_chance[p] for p in path.pairs)
    rows, columns = best_matches(measure)
    assert [int(np.argmax(r)) for r in measure.value] == list(rows)
    assert [int(np.argmax(c)) for c in measure.value.T] == list(columns)
    null = Study.read(make_study(tmp_path / "n", probes=False, planted=False))
    measure = null.between("a", "b").main()
    assert monotone_path(excess(measure)).pairs == ()
    assert set(sum(best_matches(measure), ())) == {None}


def brute_blocks(matrix: np.ndarray) -> float:
    size = len(matrix)
    off = ~np.eye(size, dtype=bool)
    gain = (matrix - matrix[off].mean()) * off
    scores = []
    for count in range(size):
        for cuts in combinations(range(1, size), count):
            edges = (0, *cuts, size)
            parts = zip(edges, edges[1:], strict=False)
            scores.append(sum(gain[a:b, a:b].sum() for a, b in parts))
    return max(scores)


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 8), st.integers(0, 10**6))
def test_blocks_are_optimal(size, seed):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(size, size))
    matrix = matrix + matrix.T
    cuts = blocks(matrix)
    off = ~np.eye(size, dtype=bool)
    gain = (matrix - matrix[off].mean()) * off
    edges = (0, *cuts, size)
    found = sum(gain[a:b, a:b].sum() for a, b in zip(edges, edges[1:], strict=False))
    assert found == pytest.approx(brute_blocks(matrix))


def test_planted_blocks_and_their_stability(tmp_path):
    study = Study.read(make_study(tmp_path / "s", probes=False))
    measure = study.between("a", "a").main()
    assert blocks(measure.value) == (5,)
    assert block_stability(measure, seed=3)[5] > 0.95
    assert block_stability(measure, seed=3) == block_stability(measure, seed=3)
    assert blocks(np.ones((2, 2))) == ()
    assert blocks(np.full((4, 4), np.nan)) == ()


def test_standardised_rows_and_order_of_tasks(tmp_path):
    study = Study.read(make_study(tmp_path / "s", similarity=False))
    keys, layers, scores, wins = profile(study.probes["a"])
    table = standardised(scores)
    assert np.allclose(table.mean(1), 0.0)
    assert np.allclose(table.std(1), 1.0)
    assert (standardised(np.ones((2, 3))) == 0).all()
    assert keys.index("instrument") < keys.index("chord") < keys.index("metre")
    assert wins.shape == scores.shape == (len(keys), len(layers))


@pytest.mark.parametrize("size", [1, 2, 9, 14, 25, 72, 300])
def test_labels_keep_both_ends(size):
    places = every_few(size, 18)
    assert places[0] == 0
    assert places[-1] == size - 1
    assert len(places) <= 19
    assert places == sorted(set(places))
