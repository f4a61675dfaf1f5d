"""The probes' optimisers against scikit-learn's, on shapes that differ in what is hard."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from probes.design import Design
from probes.solvers import Problem, solve

PENALTIES = (1e-3, 1e-1, 10.0)  # a row


def problem(n: int, width: int, classes: int, skew: float = 0.0, seed: int = 0):
    """Rows with strongly unequal columns, and labels that depend on them."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, max(2, width // 4)))
    x = latent @ rng.normal(size=(latent.shape[1], width)) * np.exp(rng.normal(size=width))
    x = x + 0.3 * rng.normal(size=x.shape) + 3 * rng.normal(size=width)
    scores = latent @ rng.normal(size=(latent.shape[1], classes))
    scores = 2 * scores / np.sqrt(latent.shape[1]) + np.linspace(0, skew, classes)
    y = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
    return x.astype(np.float32), np.unique(y, return_inverse=True)[1]


def standard(x: np.ndarray) -> np.ndarray:
    spread = x.std(axis=0, dtype=float)
    return (x - x.mean(axis=0, dtype=float)) / np.where(spread > 0, spread, 1.0)


def objective(z: np.ndarray, weights: np.ndarray, y: np.ndarray, penalty: float) -> float:
    top = z.max(axis=1)
    loss = np.log(np.exp(z - top[:, None]).sum(axis=1)) + top - z[np.arange(len(y)), y]
    return float(loss.mean() + 0.5 * penalty * (weights**2).sum())


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
def test_logistic_reaches_the_optimum_of_scikit_learn(name):
    (x, y), change = SHAPES[name]
    x = x if change is None else change(x)
    new = problem(400, x.shape[1], int(y.max()) + 1, seed=1)[0]
    n, classes = len(y), int(y.max()) + 1
    design = Design.of(torch.tensor(x))
    grid = [p * n for p in PENALTIES]
    (fit,) = solve(design, [Problem(torch.tensor(y), "softmax", grid, classes)])
    assert bool(fit.converged.all())
    z, asked = standard(x), (new - x.mean(axis=0, dtype=float)) * design.scale.numpy()
    for i, penalty in enumerate(PENALTIES):
        # two classes: scikit-learn has one weight vector, half of the penalty of two
        c = (2.0 if classes == 2 else 1.0) / (penalty * n)
        theirs = LogisticRegression(C=c, tol=1e-7, max_iter=10000).fit(z, y)
        weights, intercept = theirs.coef_, theirs.intercept_
        if classes == 2:
            weights = np.concatenate([-weights, weights]) / 2
            intercept = np.concatenate([-intercept, intercept]) / 2
        best = objective(z @ weights.T + intercept, weights, y, penalty)
        logits = design.rows @ fit.weights[i] + fit.intercepts[i]
        ours = objective(logits.double().numpy(), fit.weights[i].double().numpy(), y, penalty)
        assert abs(ours - best) <= 1e-4 * best
        assert float(fit.objective[i]) == pytest.approx(ours, rel=1e-4)
        said = (design.rotate(torch.tensor(new)) @ fit.weights[i] + fit.intercepts[i]).argmax(1)
        assert np.mean(said.numpy() == theirs.predict(asked)) > 0.97


def test_problems_solved_together_are_those_solved_alone():
    x, first = problem(300, 50, 4)
    second = problem(300, 50, 7, seed=3)[1]
    design = Design.of(torch.tensor(x))
    grid = [p * len(x) for p in PENALTIES]
    problems = [
        Problem(torch.tensor(first), "softmax", grid, 4),
        Problem(torch.tensor(second), "softmax", grid, int(second.max()) + 1),
    ]
    for one, fit in zip(problems, solve(design, problems), strict=True):
        for i, penalty in enumerate(grid):
            alone = solve(design, [Problem(one.target, "softmax", [penalty], one.classes)])[0]
            assert float(fit.objective[i]) == pytest.approx(float(alone.objective[0]), rel=1e-5)


def test_a_short_run_says_that_it_did_not_converge():
    x, y = problem(200, 50, 4)
    design = Design.of(torch.tensor(x))
    fit = solve(design, [Problem(torch.tensor(y), "softmax", (2e-2, 2e4), 4)], max_steps=3)[0]
    assert fit.converged.tolist() == [False, True]


@pytest.mark.parametrize("shape", [(60, 150), (300, 40)])
def test_ridge_is_that_of_scikit_learn(shape):
    rng = np.random.default_rng(0)
    x, _ = problem(*shape, 2)
    y = x[:, :3] @ rng.normal(size=(3, 2)) + rng.normal(size=(shape[0], 2)) + 5.0
    design = Design.of(torch.tensor(constant_column(x)))
    grid = [p * len(x) for p in PENALTIES]
    (fit,) = solve(design, [Problem(torch.tensor(y), "squared", grid)])
    z = standard(constant_column(x))
    for i, penalty in enumerate(PENALTIES):
        ours = design.rows @ fit.weights[i] + fit.intercepts[i]
        theirs = Ridge(alpha=penalty * len(x)).fit(z, y).predict(z)
        assert np.abs(ours.numpy() - theirs).max() < 1e-3 * y.std()


def test_design_is_an_orthonormal_view_of_the_standardised_rows():
    x, _ = problem(80, 200, 2)
    design = Design.of(torch.tensor(x))
    gram = standard(x) @ standard(x).T
    assert np.allclose((design.rows @ design.rows.T).numpy(), gram, atol=1e-2 * np.abs(gram).max())
    assert torch.allclose(design.rotate(torch.tensor(x)), design.rows, atol=1e-2)
    assert torch.allclose(design.axes.T @ design.axes, torch.eye(design.axes.shape[1]), atol=1e-3)


def test_a_layer_that_never_varies_predicts_the_mean():
    design = Design.of(torch.full((40, 5), 3.0))
    y = torch.arange(40.0)[:, None]
    (fit,) = solve(design, [Problem(y, "squared", [1e-3])])
    said = design.rows @ fit.weights[0] + fit.intercepts[0]
    assert torch.allclose(said, torch.full((40, 1), 19.5))


def test_layers_with_nine_units_of_ten_dead_are_decomposed():
    """MKL's eigh, with two threads, fails on about one such matrix in fifteen."""
    torch.manual_seed(0)
    for _ in range(30):
        layer = torch.randn(600, 408)
        alive = torch.randperm(408)[:40]
        dead = torch.ones(408, dtype=torch.bool).index_fill(0, alive, False)
        layer[:, dead] = 2.5
        design = Design.of(layer)
        assert design.rows.shape == (600, 40)
        assert (design.axes[dead] == 0).all()
        assert torch.allclose(design.axes.T @ design.axes, torch.eye(40), atol=1e-5)
