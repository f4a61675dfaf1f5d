"""Ridge from sums over pieces and processes is ridge on all rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from team_of_threads import together

from probes.design import Design
from probes.errors import ProbeError
from probes.solvers.problem import Problem
from probes.solvers.solve import solve
from probes.solvers.summed import ridge

PENALTIES = (0.1, 10.0, 1000.0)


def made(rows: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, width)) * np.logspace(-2, 2, width) + 50
    x[:, 1] = 7.0  # a column without life
    y = x[:, :3] @ rng.standard_normal((3, 2)) + rng.standard_normal((rows, 2))
    return torch.from_numpy(x).float(), torch.from_numpy(y)


@pytest.mark.parametrize("rows, width", [(300, 20), (30, 60)])
def test_it_is_the_optimum_of_the_solver_and_of_scikit_learn(rows, width):
    x, y = made(rows, width)
    found = ridge(lambda: zip(x.split(37), y.split(37), strict=True), PENALTIES)
    design = Design.of(x)
    (fit,) = solve(design, [Problem(y.float(), "squared", PENALTIES)])
    theirs = design.rotate(x) @ fit.weights + fit.intercepts[:, None]
    scale = float(y.std())
    torch.testing.assert_close(found.answers(x).float() / scale, theirs / scale, rtol=0, atol=2e-4)
    torch.testing.assert_close(found.objective, fit.objective, rtol=1e-3, atol=1e-5)
    standard = (x.double() - x.double().mean(0)) / x.double().std(0, correction=0).clamp_min(1e-9)
    for place, penalty in enumerate(PENALTIES):
        model = Ridge(alpha=penalty, solver="svd").fit(standard, y)
        np.testing.assert_allclose(
            found.answers(x)[place] / scale, model.predict(standard) / scale, atol=1e-6
        )


@pytest.mark.parametrize("size", [2, 4])
def test_processes_with_a_share_of_the_rows_come_to_the_same(size):
    x, y = made(200, 12)
    one = ridge(lambda: [(x, y)], PENALTIES)
    owner = torch.arange(200) * (size - 1) // 200  # the last process has no rows

    def work(team):
        mine = owner == team.rank

        def add(values: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(np.asarray(team.sum(values.numpy())))

        return ridge(lambda: [(x[mine], y[mine])], PENALTIES, add)

    for found in together(size, work):
        assert found.rows == 200
        for name in ("weights", "intercepts", "objective"):
            torch.testing.assert_close(
                getattr(found, name), getattr(one, name), rtol=1e-9, atol=1e-9
            )


def test_rows_that_are_none_or_not_finite_are_named():
    x, y = made(20, 4)
    x[3, 2] = torch.nan
    with pytest.raises(ProbeError, match="not finite"):
        ridge(lambda: [(x, y)], PENALTIES)
    with pytest.raises(ProbeError, match="no rows"):
        ridge(lambda: [(x[:0], y[:0])], PENALTIES)
    with pytest.raises(ProbeError, match="no piece"):
        ridge(lambda: [], PENALTIES)
