"""Ridge regression: closed forms."""

from __future__ import annotations

import torch

from probes.design import Design
from probes.solvers.problem import Fit, Problem


def squared(design: Design, problem: Problem) -> Fit:
    """Ridge regression for every penalty and output of a problem.

    Without weights the axes do not mix, and every penalty shrinks each of them alone. With weights
    the weighted rows have axes of their own.
    """
    rows, target = design.rows.double(), problem.target.to(design.rows.device).double()
    grid = torch.as_tensor(problem.penalties, dtype=torch.float64, device=rows.device)
    kept = rows.shape[1] if problem.axes is None else problem.axes
    if problem.weights is None:
        weight = rows.new_ones(len(rows))
        middle, mean = rows.new_zeros(kept), target.mean(dim=0)
        moment = rows[:, :kept].T @ (target - mean)
        shrunk = moment / (len(rows) * design.eigenvalues[:kept] + grid[:, None])[..., None]
    else:
        weight = problem.weights.to(rows.device).double()
        used = weight > 0
        rows, target, weight = rows[used], target[used], weight[used]
        middle = weight @ rows[:, :kept] / weight.sum()
        mean = weight @ target / weight.sum()
        root = weight.sqrt()[:, None]
        centred, aimed = (rows[:, :kept] - middle) * root, (target - mean) * root
        left, sizes, axes = torch.linalg.svd(centred, full_matrices=False)
        inner = sizes[:, None] * (left.T @ aimed)
        shrunk = axes.T @ (inner / (sizes.square() + grid[:, None])[..., None])
    intercepts = mean - middle @ shrunk
    off = target - rows[:, :kept] @ shrunk - intercepts[:, None]
    objective = 0.5 * (weight[:, None] * off.square()).sum(dim=(1, 2))
    objective += 0.5 * grid * shrunk.square().sum(dim=(1, 2))
    weights = shrunk.new_zeros(len(grid), rows.shape[1], target.shape[1], dtype=torch.float32)
    weights[:, :kept] = shrunk.float()
    return Fit(
        weights,
        intercepts.float(),
        objective / weight.sum(),
        torch.zeros(len(grid), dtype=torch.int64, device=rows.device),
        torch.ones(len(grid), dtype=torch.bool, device=rows.device),
    )
