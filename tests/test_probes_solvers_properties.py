"""What holds for any problem."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from probing_data import design_of, problem

from probes.design import Design
from probes.solvers import Problem, solve

few = settings(max_examples=15, deadline=None, derandomize=True)


@st.composite
def cases(draw) -> tuple[np.ndarray, Problem]:
    """Rows and a problem without weights."""
    n, width = draw(st.integers(15, 120)), draw(st.integers(1, 60))
    classes, seed = draw(st.integers(2, 6)), draw(st.integers(0, 10**6))
    x, y = problem(n, width, classes, seed=seed)
    loss = draw(st.sampled_from(("softmax", "sigmoid", "squared")))
    grid = sorted(draw(st.lists(st.floats(0.1, 1e4), min_size=2, max_size=4, unique=True)))
    if loss == "softmax":
        return x, Problem(torch.tensor(y), loss, grid, int(y.max()) + 1)
    target = np.stack([y % 2, y > 0], axis=1).astype(float)
    return x, Problem(torch.tensor(target), loss, grid)


@few
@given(cases(), st.integers(0, 10**6))
def test_the_order_of_rows_does_not_matter(case, seed):
    x, one = case
    order = np.random.default_rng(seed).permutation(len(x))
    other = Problem(one.target[order], one.loss, one.penalties, one.classes)
    (fit,), (turned,) = solve(design_of(x), [one]), solve(design_of(x[order]), [other])
    assert torch.allclose(fit.objective, turned.objective, rtol=1e-4, atol=1e-7)


@few
@given(cases(), st.integers(0, 10**6))
def test_the_scale_and_origin_of_columns_do_not_matter(case, seed):
    x, one = case
    rng = np.random.default_rng(seed)
    moved = x * np.exp(rng.normal(size=x.shape[1])) + rng.normal(size=x.shape[1])
    (fit,), (same,) = solve(design_of(x), [one]), solve(design_of(moved.astype(np.float32)), [one])
    assert torch.allclose(fit.objective, same.objective, rtol=1e-3, atol=1e-6)


@few
@given(cases())
def test_a_stronger_penalty_raises_the_objective_and_shrinks_the_weights(case):
    x, one = case
    (fit,) = solve(design_of(x), [one])
    objective, sizes = fit.objective, fit.weights.double().square().sum(dim=(1, 2))
    assert bool((objective.diff() >= -5e-5 * objective[1:] - 1e-9).all())
    assert bool((sizes.diff() <= 2e-2 * sizes[:-1] + 1e-9).all())


@few
@given(cases())
def test_the_objective_lies_between_none_and_that_of_intercepts_alone(case):
    x, one = case
    (fit,) = solve(design_of(x), [one])
    target = one.target.double()
    if one.loss == "squared":
        alone = 0.5 * float(target.var(dim=0, correction=0).sum())
    else:
        if one.loss == "softmax":
            shares = [torch.bincount(one.target).double() / len(x)]
        else:
            shares = [torch.stack([s, 1 - s]) for s in target.mean(dim=0)]
        alone = sum(float(torch.special.entr(share).sum()) for share in shares)
    assert bool((fit.objective >= 0).all())
    assert bool((fit.objective <= alone * (1 + 1e-5) + 1e-6).all())


@few
@given(cases(), st.integers(0, 10**6))
def test_names_of_classes_do_not_matter(case, seed):
    x, one = case
    if one.loss != "softmax":
        return
    names = torch.tensor(np.random.default_rng(seed).permutation(one.classes))
    (fit,), (named,) = (
        solve(design_of(x), [one]),
        solve(design_of(x), [Problem(names[one.target], "softmax", one.penalties, one.classes)]),
    )
    assert torch.allclose(fit.objective, named.objective, rtol=1e-4, atol=1e-7)
    assert torch.allclose(
        fit.weights, named.weights[..., names], atol=2e-2 * float(fit.weights.abs().max()) + 1e-4
    )


@few
@given(cases())
def test_two_classes_are_one_sigmoid_of_half_the_penalty(case):
    x, one = case
    y = (one.target if one.target.ndim == 1 else one.target[:, 0]).long() % 2
    design: Design = design_of(x)
    pair = Problem(y, "softmax", one.penalties, 2)
    single = Problem(y[:, None].double(), "sigmoid", [p / 2 for p in one.penalties])
    (two,), (alone,) = solve(design, [pair]), solve(design, [single])
    assert torch.allclose(two.objective, alone.objective, rtol=1e-5)
    assert torch.allclose(
        two.weights[..., 1] - two.weights[..., 0], alone.weights[..., 0], atol=1e-4
    )
