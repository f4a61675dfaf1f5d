"""Row weights and leading axes: what they mean, shown by fits that do without them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from probing_data import best, design_of, objective, problem

from probes.design import Design
from probes.solvers import Problem, solve
from probes.solvers.squared import by_cost

LOSSES = ("softmax", "sigmoid", "squared")


def some(loss: str, n: int, width: int, seed: int = 0, **options) -> tuple[Design, Problem]:
    """A design and a problem of this loss on it; `options` are those of the problem."""
    x, y = problem(n, width, 4, seed=seed)
    rng = np.random.default_rng(seed)
    target = {
        "softmax": y,
        "sigmoid": np.stack([y == 0, y < 2], axis=1).astype(float),
        "squared": np.stack([y + rng.normal(size=n), 100 * rng.normal(size=n)], axis=1),
    }[loss]
    classes = 4 if loss == "softmax" else 0
    return design_of(x), Problem(torch.tensor(target), loss, (0.5, 30.0), classes, **options)


def predictions(design: Design, fit, i: int = 0) -> torch.Tensor:
    return design.rows @ fit.weights[i] + fit.intercepts[i]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", [(300, 30), (60, 100)])
@pytest.mark.parametrize("axes", [None, 7])
def test_weights_are_the_sample_weights_of_scikit_learn(loss, shape, axes):
    rng = np.random.default_rng(1)
    for weights in (rng.integers(0, 3, size=shape[0]), rng.exponential(size=shape[0])):
        design, one = some(loss, *shape, weights=torch.tensor(weights), axes=axes)
        (fit,) = solve(design, [one])
        for i in range(len(one.penalties)):
            ours = objective(design, one, fit, i)
            assert abs(ours - best(design, one, i)) <= 1e-4 * ours
            assert float(fit.objective[i]) == pytest.approx(ours, rel=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
def test_rows_without_weight_may_as_well_be_absent(loss):
    """Whatever their targets; in rows that are few, the solver takes axes of their own."""
    for kept in (12, 150):
        design, one = some(loss, 200, 40)
        used = torch.zeros(200)
        used[torch.randperm(200, generator=torch.Generator().manual_seed(0))[:kept]] = 1
        target = one.target.clone()
        target[used == 0] = 99 if loss == "softmax" else torch.nan
        weighted = Problem(target, loss, one.penalties, one.classes, used)
        mask = used > 0
        part = Design(design.rows[mask], design.eigenvalues, design.mean, design.scale, design.axes)
        alone = Problem(one.target[mask], loss, one.penalties, one.classes, torch.ones(kept))
        (fit,), (expected,) = solve(design, [weighted]), solve(part, [alone])
        assert torch.allclose(fit.objective, expected.objective, rtol=5e-5)
        scale = float(predictions(part, expected).abs().max())
        assert torch.allclose(
            predictions(part, fit), predictions(part, expected), atol=2e-2 * scale
        )


@pytest.mark.parametrize("loss", LOSSES)
def test_whole_weights_are_rows_repeated(loss):
    design, one = some(loss, 120, 20)
    counts = torch.randint(0, 4, (120,), generator=torch.Generator().manual_seed(0))
    twice = torch.arange(120).repeat_interleave(counts)
    longer = Design(design.rows[twice], design.eigenvalues, design.mean, design.scale, design.axes)
    repeated = Problem(one.target[twice], loss, one.penalties, one.classes, torch.ones(len(twice)))
    (fit,) = solve(design, [Problem(one.target, loss, one.penalties, one.classes, counts)])
    assert torch.allclose(fit.objective, solve(longer, [repeated])[0].objective, rtol=5e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_only_the_ratio_of_weights_and_penalty_counts(loss):
    design, one = some(loss, 150, 20)
    weights = torch.rand(150, generator=torch.Generator().manual_seed(0))
    (fit,) = solve(design, [Problem(one.target, loss, one.penalties, one.classes, weights)])
    more = Problem(one.target, loss, [1e6 * p for p in one.penalties], one.classes, 1e6 * weights)
    assert torch.allclose(fit.objective, solve(design, [more])[0].objective, rtol=5e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_axes_are_a_fit_on_the_leading_columns(loss):
    design, one = some(loss, 200, 40, axes=5)
    narrow = Design(
        design.rows[:, :5], design.eigenvalues[:5], design.mean, design.scale, design.axes[:, :5]
    )
    (fit,) = solve(design, [one])
    (alone,) = solve(narrow, [Problem(one.target, loss, one.penalties, one.classes)])
    assert fit.weights.shape[1] == design.rows.shape[1]
    assert not bool(fit.weights[:, 5:].any())
    assert torch.allclose(fit.objective, alone.objective, rtol=5e-5)


def test_many_weights_and_axes_in_one_call_are_those_of_one_call_each():
    design, one = some("softmax", 240, 30)
    rng, problems = np.random.default_rng(0), []
    for size in (20, 60, 120, 240):
        problems.append(Problem(one.target, "softmax", (1.0, 10.0), 4, torch.arange(240) < size))
    for _ in range(3):
        counts = torch.tensor(rng.multinomial(240, np.ones(240) / 240))
        problems.append(Problem(one.target, "softmax", (1.0, 10.0), 4, counts))
    problems += [Problem(one.target, "softmax", (1.0, 10.0), 4, axes=k) for k in (1, 2, 4, 8, 16)]
    problems.append(Problem(one.target, "softmax", (1.0, 10.0), 4))
    for single, fit in zip(problems, solve(design, problems), strict=True):
        assert bool(fit.converged.all())
        assert torch.allclose(fit.objective, solve(design, [single])[0].objective, rtol=5e-5)


def test_ridge_by_iteration_is_ridge_solved_directly():
    """Many resamples with one column each go through the iterative solver, one goes directly."""
    design, one = some("squared", 400, 250)
    rng = np.random.default_rng(0)
    problems = [
        Problem(one.target[:, :1], "squared", (100.0,), weights=torch.tensor(counts))
        for counts in rng.multinomial(400, np.ones(400) / 400, size=60)
    ]
    assert len(by_cost(design, problems)[2]) == 60
    assert by_cost(design, problems[:1])[1] == [[0]]
    for single, fit in zip(problems[:5], solve(design, problems), strict=False):
        (direct,) = solve(design, [single])
        assert int(direct.steps.max()) == 0 < int(fit.steps.min())
        said, expected = predictions(design, fit), predictions(design, direct)
        assert torch.allclose(said / expected.std(dim=0), expected / expected.std(dim=0), atol=2e-3)
