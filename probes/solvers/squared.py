"""Ridge regression: closed forms, and when they pay."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch

from probes.design import Design
from probes.solvers.costs import machine
from probes.solvers.problem import Fit, Problem

STEPS = 20  # that the iterative solver takes for a ridge regression, about


def by_cost(
    design: Design, problems: Sequence[Problem]
) -> tuple[list[int], list[list[int]], list[int]]:
    """Numbers of the problems to solve in closed form, directly (those that share their weights
    and axes together), and by iteration: few columns of each of many weights."""
    plain, left, alike = [], [], defaultdict(list)
    for number, problem in enumerate(problems):
        if problem.loss != "squared":
            left.append(number)
        elif problem.weights is None:
            plain.append(number)
        else:
            alike[problem.axes, problem.weights.cpu().numpy().tobytes()].append(number)
    here, direct, narrow, spent, most = machine(design.rows.device), [], [], 0.0, (0, 0, 0)
    for (axes, _), numbers in alike.items():
        width = design.rows.shape[1] if axes is None else axes
        rows = int((problems[numbers[0]].weights > 0).sum())
        grid = {p for number in numbers for p in problems[number].penalties}
        columns = sum(len(problems[n].penalties) * problems[n].outputs for n in numbers)
        once = here.factors(rows, width, len(grid))
        if once < STEPS * 4 * rows * width * columns / here.single:
            direct.append(numbers)
        else:
            narrow.append(numbers)
            spent += once
            most = max(most[0], rows), max(most[1], width), most[2] + columns
    if spent < here.steps(*most, STEPS):
        return plain, direct + narrow, left
    return plain, direct, sorted(left + [number for numbers in narrow for number in numbers])


def closed(design: Design, problem: Problem) -> Fit:
    """Without weights: the axes of the design do not mix, and every penalty shrinks each alone."""
    kept = design.rows.shape[1] if problem.axes is None else problem.axes
    target = problem.target.to(design.rows.device).double()
    mean = target.mean(dim=0)
    # float32 products are exact enough for the moment: the centred target is of its own size
    size = (target - mean).abs().amax(dim=0).clamp_min(torch.finfo(torch.float64).tiny)
    centred = ((target - mean) / size).float()
    moment = (design.rows[:, :kept].T @ centred).double() * size
    grid = torch.as_tensor(problem.penalties, dtype=torch.float64, device=target.device)
    sizes = len(target) * design.eigenvalues[:kept]
    weights = moment / (sizes + grid[:, None])[..., None]
    # of |y - Xw|^2 + penalty |w|^2 at the optimum only |y|^2 - moment'w is left
    objective = 0.5 * ((target - mean).square().sum() - (weights * moment).sum(dim=(1, 2)))
    return exact(design, weights, mean.expand(len(grid), -1), objective / len(target))


def dense(design: Design, problems: Sequence[Problem]) -> list[Fit]:
    """With weights that all problems share: a Cholesky factor for every penalty."""
    device = design.rows.device
    kept = design.rows.shape[1] if problems[0].axes is None else problems[0].axes
    weight = problems[0].weights.to(device).double()
    used = weight > 0
    weight = weight[used]
    rows = design.rows[used, :kept].double()
    middle = weight @ rows / weight.sum()
    root = weight.sqrt()[:, None]
    rows = (rows - middle) * root
    targets = [problem.target.to(device)[used].double() for problem in problems]
    means = [weight @ target / weight.sum() for target in targets]
    aims = [(t - mean) * root for t, mean in zip(targets, means, strict=True)]
    aim = torch.cat(aims, dim=1)
    wide = len(rows) < kept
    gram = rows @ rows.T if wide else rows.T @ rows
    moment = rows.T @ aim
    found = {}
    for penalty in {p for problem in problems for p in problem.penalties}:
        ridge = gram.clone()
        ridge.diagonal().add_(penalty)
        factor = torch.linalg.cholesky(ridge)
        found[penalty] = (
            rows.T @ torch.cholesky_solve(aim, factor)
            if wide
            else torch.cholesky_solve(moment, factor)
        )
    fits, start = [], 0
    for problem, one, mean in zip(problems, aims, means, strict=True):
        own = slice(start, start := start + one.shape[1])
        weights = torch.stack([found[p][:, own] for p in problem.penalties])
        objective = 0.5 * (one.square().sum() - (weights * moment[:, own]).sum(dim=(1, 2)))
        fits.append(exact(design, weights, mean - middle @ weights, objective / weight.sum()))
    return fits


def exact(
    design: Design, weights: torch.Tensor, intercepts: torch.Tensor, objective: torch.Tensor
) -> Fit:
    """The answer of a closed form, which took no step."""
    rank, kept = design.rows.shape[1], weights.shape[1]
    steps = torch.zeros(len(weights), dtype=torch.int64, device=weights.device)
    return Fit(
        torch.nn.functional.pad(weights.float(), (0, 0, 0, rank - kept)),
        intercepts.float(),
        objective,
        steps,
        steps == 0,
    )
