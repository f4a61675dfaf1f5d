"""The probes' optimisers against scikit-learn's, on shapes that differ in what is hard."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from probing_data import best, design_of, objective, problem
from sklearn.linear_model import LogisticRegression, Ridge

from probes.solvers import Problem, solve

PENALTIES = (1e-3, 1e-1, 10.0)  # a row


def constant_column(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x[:, 3] = 1.7
    return x


SHAPES = {
    "wide, two classes": (problem(90, 150, 2), None),
    "wide, imbalanced": (problem(150, 300, 5, skew=4.0), None),
    "tall": (problem(500, 40, 12), None),
    "tall, 24 imbalanced classes": (problem(500, 60, 24, skew=4.0), None),
    "constant column": (problem(200, 20, 3), constant_column),
}


@pytest.mark.parametrize("name", SHAPES)
def test_softmax_reaches_the_optimum_of_scikit_learn(name):
    (x, y), change = SHAPES[name]
    x = x if change is None else change(x)
    design = design_of(x)
    classes = int(y.max()) + 1
    one = Problem(torch.tensor(y), "softmax", [p * len(y) for p in PENALTIES], classes)
    (fit,) = solve(design, [one])
    assert bool(fit.converged.all())
    new = torch.tensor(problem(400, x.shape[1], classes, seed=1)[0])
    asked = design.rotate(new)
    for i, penalty in enumerate(one.penalties):
        ours = objective(design, one, fit, i)
        assert abs(ours - best(design, one, i)) <= 1e-4 * ours
        assert float(fit.objective[i]) == pytest.approx(ours, rel=1e-4)
        theirs = LogisticRegression(C=(2 if classes == 2 else 1) / penalty, tol=1e-7, max_iter=9999)
        said = theirs.fit(design.rows.numpy(), y).predict(asked.numpy())
        ours = (asked @ fit.weights[i] + fit.intercepts[i]).argmax(dim=1).numpy()
        assert np.mean(ours == said) > 0.97


@pytest.mark.parametrize("shape", [(90, 150), (400, 40)])
def test_sigmoid_reaches_the_optimum_of_scikit_learn_for_every_output(shape):
    x, y = problem(*shape, 6)
    design = design_of(x)
    target = np.stack([y == 0, y == 1, y < 3], axis=1).astype(float)
    target[:20, 1] = np.nan  # these rows take no part for this output
    one = Problem(torch.tensor(target), "sigmoid", [p * len(y) for p in PENALTIES])
    (fit,) = solve(design, [one])
    for i in range(len(PENALTIES)):
        ours = objective(design, one, fit, i)
        assert abs(ours - best(design, one, i)) <= 1e-4 * ours
        assert float(fit.objective[i]) == pytest.approx(ours, rel=1e-4)


def test_a_soft_target_is_a_mixture_of_hard_ones():
    x, y = problem(200, 20, 2)
    design, share = design_of(x), 0.1 + 0.8 * y
    twice = design_of(np.concatenate([x, x]))
    hard = np.concatenate([np.ones(len(y)), np.zeros(len(y))])[:, None]
    weights = torch.tensor(np.concatenate([share, 1 - share]))
    (soft,) = solve(design, [Problem(torch.tensor(share[:, None]), "sigmoid", [3.0])])
    (mixed,) = solve(twice, [Problem(torch.tensor(hard), "sigmoid", [3.0], weights=weights)])
    assert float(soft.objective[0]) == pytest.approx(float(mixed.objective[0]), rel=1e-4)


@pytest.mark.parametrize("shape", [(60, 150), (300, 40)])
def test_ridge_is_that_of_scikit_learn(shape):
    rng = np.random.default_rng(0)
    x = constant_column(problem(*shape, 2)[0])
    y = x[:, :3] @ rng.normal(size=(3, 2)) + rng.normal(size=(shape[0], 2)) + 5.0
    design = design_of(x)
    one = Problem(torch.tensor(y), "squared", [p * len(x) for p in PENALTIES])
    (fit,) = solve(design, [one])
    rows = design.rows.double().numpy()
    for i, penalty in enumerate(one.penalties):
        ours = rows @ fit.weights[i].double().numpy() + fit.intercepts[i].numpy()
        theirs = Ridge(alpha=penalty).fit(rows, y).predict(rows)
        assert np.abs(ours - theirs).max() < 1e-3 * y.std()
        assert float(fit.objective[i]) == pytest.approx(objective(design, one, fit, i), rel=1e-4)


def test_problems_solved_together_are_those_solved_alone():
    x, first = problem(300, 50, 4)
    second, rng = problem(300, 50, 7, seed=3)[1], np.random.default_rng(0)
    design, grid = design_of(x), [p * len(x) for p in PENALTIES]
    problems = [
        Problem(torch.tensor(first), "softmax", grid, 4),
        Problem(torch.tensor(rng.normal(size=(300, 2))), "squared", grid),
        Problem(torch.tensor(second), "softmax", grid, int(second.max()) + 1),
        Problem(torch.tensor(first % 2), "softmax", grid[:2], 2),
        Problem(torch.tensor(rng.random((300, 3))), "sigmoid", grid),
        *(Problem(torch.tensor(rng.permutation(first)), "softmax", grid, 4) for _ in range(5)),
    ]
    for one, fit in zip(problems, solve(design, problems), strict=True):
        assert fit.weights.shape == (len(one.penalties), design.rows.shape[1], one.outputs)
        assert fit.intercepts.shape == (len(one.penalties), one.outputs)
        for i, penalty in enumerate(one.penalties):
            alone = solve(design, [Problem(one.target, one.loss, [penalty], one.classes)])[0]
            assert float(fit.objective[i]) == pytest.approx(float(alone.objective[0]), rel=5e-5)


def test_the_same_call_gives_the_same_numbers():
    x, y = problem(200, 60, 5)
    design = design_of(x)
    one = Problem(torch.tensor(y), "softmax", [1.0, 100.0], 5)
    first, second = solve(design, [one])[0], solve(design, [one])[0]
    assert torch.equal(first.weights, second.weights)
    assert torch.equal(first.steps, second.steps)


def test_a_cut_by_memory_does_not_change_the_optimum():
    x, y = problem(250, 60, 6)
    design, rng = design_of(x), np.random.default_rng(0)
    problems = [
        Problem(torch.tensor(rng.permutation(y)), "softmax", (1.0, 10.0, 1e3), 6) for _ in range(6)
    ]
    problems.append(Problem(torch.tensor(rng.random((250, 9))), "sigmoid", (1.0, 10.0)))
    whole = solve(design, problems)
    for memory in (1, 2**18):
        for one, two in zip(whole, solve(design, problems, memory=memory), strict=True):
            assert torch.allclose(one.objective, two.objective, rtol=5e-5)
            assert torch.allclose(
                one.weights, two.weights, atol=2e-2 * float(one.weights.abs().max())
            )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_the_numbers_of_the_cpu():
    x, y = problem(300, 80, 5)
    rng = np.random.default_rng(0)
    weights = torch.tensor(rng.integers(0, 3, size=300))
    problems = [
        Problem(torch.tensor(y), "softmax", (1.0, 100.0), 5),
        Problem(torch.tensor(y), "softmax", (1.0, 100.0), 5, weights),
        Problem(torch.tensor(rng.random((300, 3))), "sigmoid", (1.0, 100.0)),
        Problem(torch.tensor(rng.random((300, 3))), "squared", (1.0, 100.0), weights=weights),
    ]
    on_cpu = solve(design_of(x), problems)
    on_gpu = solve(type(design_of(x)).of(torch.tensor(x).cuda()), problems)
    for one, two in zip(on_cpu, on_gpu, strict=True):
        assert torch.allclose(one.objective, two.objective.cpu(), rtol=5e-5)
