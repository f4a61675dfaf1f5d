"""Problems at the edge, and problems that have no answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from probing_data import best, design_of, objective, problem

from probes.design import Design
from probes.errors import ProbeError
from probes.solvers import Problem, solve


def test_separable_classes_have_an_optimum_by_the_penalty():
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    x = 10 * np.eye(3)[y] @ rng.normal(size=(3, 15)) + 0.1 * rng.normal(size=(120, 15))
    design = design_of(x.astype(np.float32))
    one = Problem(torch.tensor(y), "softmax", (1e-2, 1.0, 1e2), 3)
    (fit,) = solve(design, [one])
    assert bool(fit.converged.all())
    for i in range(3):
        assert objective(design, one, fit, i) <= best(design, one, i) * (1 + 1e-4)
    assert ((design.rows @ fit.weights[0] + fit.intercepts[0]).argmax(1).numpy() == y).all()


def test_one_row_a_class():
    x = problem(8, 30, 2)[0]
    design = design_of(x)
    one = Problem(torch.arange(8), "softmax", (0.1, 10.0), 8)
    (fit,) = solve(design, [one])
    for i in range(2):
        assert abs(objective(design, one, fit, i) / best(design, one, i) - 1) <= 1e-4


def test_a_class_without_rows_gets_no_chance():
    x, y = problem(100, 10, 3)
    design = design_of(x)
    (fit,) = solve(design, [Problem(torch.tensor(y), "softmax", (1.0,), 5)])
    (without,) = solve(design, [Problem(torch.tensor(y), "softmax", (1.0,), 3)])
    assert bool(fit.converged.all())
    assert torch.allclose(fit.objective, without.objective, rtol=1e-4)
    chances = torch.softmax(design.rows @ fit.weights[0] + fit.intercepts[0], dim=1)
    assert float(chances[:, 3:].max()) < 1e-4


@pytest.mark.parametrize("loss", ["softmax", "sigmoid", "squared"])
@pytest.mark.parametrize("weighted", [False, True])
def test_constant_targets_need_no_weights(loss, weighted):
    design = design_of(problem(60, 10, 2)[0])
    target = {
        "softmax": torch.full((60,), 2),
        "sigmoid": torch.tensor([[0.0, 1.0]]).expand(60, -1),
        "squared": torch.full((60, 1), 19.5),
    }[loss]
    weights = torch.arange(60) % 3 if weighted else None
    (fit,) = solve(design, [Problem(target, loss, (1e-2, 1.0), 4, weights)])
    assert bool(fit.converged.all())
    assert float(fit.objective.max()) < 2e-3
    assert float(fit.weights.abs().max()) < 1e-2
    if loss == "squared":
        assert torch.allclose(fit.intercepts, torch.full((2, 1), 19.5))


def test_a_layer_that_never_varies_predicts_the_mean():
    design = Design.of(torch.full((40, 5), 3.0))
    y = torch.arange(40.0)[:, None]
    fits = solve(
        design, [Problem(y, "squared", [1e-3]), Problem(y.long()[:, 0] % 4, "softmax", [1.0], 4)]
    )
    said = design.rows @ fits[0].weights[0] + fits[0].intercepts[0]
    assert torch.allclose(said, torch.full((40, 1), 19.5))
    assert float(fits[1].objective[0]) == pytest.approx(np.log(4), rel=1e-5)


def test_one_class_is_certain():
    design = design_of(problem(30, 5, 2)[0])
    (fit,) = solve(design, [Problem(torch.zeros(30, dtype=torch.int64), "softmax", (1.0, 2.0), 1)])
    assert fit.weights.shape == (2, design.rows.shape[1], 1)
    assert float(fit.objective.abs().max()) == 0 and bool(fit.converged.all())


def test_a_short_run_says_that_it_did_not_converge():
    x, y = problem(200, 50, 4)
    design = design_of(x)
    fit = solve(design, [Problem(torch.tensor(y), "softmax", (2e-2, 2e4), 4)], max_steps=3)[0]
    assert fit.converged.tolist() == [False, True]
    assert bool(fit.weights.isfinite().all())


def test_rows_of_enormous_size_end():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 12)).astype(np.float32)
    design = design_of(x)
    huge = Design(design.rows * 1e18, design.eigenvalues, design.mean, design.scale, design.axes)
    (fit,) = solve(huge, [Problem(torch.tensor(rng.integers(3, size=80)), "softmax", (1.0,), 3)])
    assert int(fit.steps[0]) <= 500
    assert bool(fit.weights.isfinite().all())


def test_no_problems_no_fits():
    assert solve(design_of(problem(20, 5, 2)[0]), []) == []


WRONG = {
    "unknown": dict(loss="hinge"),
    "shape": dict(target=torch.zeros(19, dtype=torch.int64)),
    "positive": dict(penalties=(1.0, 0.0)),
    "positive numbers": dict(penalties=()),
    "classes 0 to 3 of 3": dict(classes=3),
    "axes": dict(axes=99),
    "weights of shape": dict(weights=torch.ones(3)),
    "not negative": dict(weights=-torch.ones(20)),
    "weights must be numbers": dict(weights=torch.full((20,), torch.nan)),
    "all weights are zero": dict(weights=torch.zeros(20)),
    "between 0 and 1": dict(loss="sigmoid", target=torch.full((20, 1), 2.0)),
    "has no target": dict(loss="sigmoid", target=torch.full((20, 1), torch.nan)),
    "not finite": dict(loss="squared", target=torch.full((20, 1), torch.nan)),
}


@pytest.mark.parametrize("words", WRONG)
def test_a_problem_without_an_answer_is_refused_by_its_number(words):
    design = design_of(problem(20, 5, 2)[0])
    right = dict(target=torch.arange(20) % 4, loss="softmax", penalties=(1.0,), classes=4)
    with pytest.raises(ProbeError, match=f"problem 1: .*{words}"):
        solve(design, [Problem(**right), Problem(**(right | WRONG[words]))])


def test_rows_that_are_not_finite_are_refused():
    design = design_of(problem(20, 5, 2)[0])
    rows = design.rows.clone()
    rows[3, 1] = torch.nan
    broken = Design(rows, design.eigenvalues, design.mean, design.scale, design.axes)
    with pytest.raises(ProbeError, match="not finite"):
        solve(broken, [Problem(torch.arange(20) % 2, "softmax", (1.0,), 2)])
