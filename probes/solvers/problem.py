"""What is asked of the solvers, and what they answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from probes.design import Design
from probes.errors import ProbeError


@dataclass(frozen=True)
class Problem:
    """One set of targets of the training rows of a `Design`, for a grid of penalties.

    For each penalty the objective is

        sum_i weight_i loss_i + penalty / 2 * |W|^2,      intercepts not penalised,

    with the cross-entropy in nats, or (y - f)^2 / 2. So a penalty is the `alpha` of scikit-learn's
    Ridge, the 1 / C of its LogisticRegression (which for two classes has one weight vector: there
    softmax with `penalty` is 1 / C of half of it).

    Attributes
    ----------
    target : softmax: [train] int64, class index. sigmoid: [train, outputs] in 0 .. 1, every output
        a problem of its own; NaN = the row takes no part for that output. squared:
        [train, outputs].
    penalties : positive.
    classes : of softmax.
    weights : [train], not negative; 0 = the row takes no part, whatever its target.
    axes : only the first so many axes of the design, its leading principal components.
    """

    target: torch.Tensor
    loss: Literal["softmax", "sigmoid", "squared"]
    penalties: Sequence[float]
    classes: int = 0
    weights: torch.Tensor | None = None
    axes: int | None = None

    @property
    def outputs(self) -> int:
        """Columns of weights that a penalty has."""
        return self.classes if self.loss == "softmax" else self.target.shape[1]


@dataclass(frozen=True)
class Fit:
    """The optimum of a `Problem`.

    Attributes
    ----------
    weights : [penalties, rank, outputs] float32, in the axes of the design.
    intercepts : [penalties, outputs] float32.
    objective : [penalties] divided by the sum of the rows' weights, summed over outputs, float64.
    steps : [penalties] of the optimiser, most over outputs; 0 for a closed form.
    converged : [penalties], all outputs.
    """

    weights: torch.Tensor
    intercepts: torch.Tensor
    objective: torch.Tensor
    steps: torch.Tensor
    converged: torch.Tensor


def check(design: Design, number: int, problem: Problem) -> None:
    """Raises `ProbeError` for a problem that has no meaning or no answer."""
    n, rank = design.rows.shape
    target, weights = problem.target, problem.weights
    asked = target.shape[:1] if problem.loss == "softmax" else target.shape[:2]
    wrong = None
    if problem.loss not in ("softmax", "sigmoid", "squared"):
        wrong = f"loss {problem.loss!r} is unknown: use softmax, sigmoid or squared"
    elif len(target) != n or target.shape != asked:
        wrong = f"target of shape {tuple(target.shape)} for {n} training rows"
    elif not len(problem.penalties) or not all(0 < p < float("inf") for p in problem.penalties):
        wrong = f"penalties {list(problem.penalties)} must be positive numbers"
    elif problem.axes is not None and not 1 <= problem.axes <= rank:
        wrong = f"{problem.axes} axes of a design that has {rank}"
    elif weights is not None and weights.shape != (n,):
        wrong = f"weights of shape {tuple(weights.shape)} for {n} training rows"
    elif weights is not None and not bool((weights >= 0).all() & (weights < float("inf")).all()):
        wrong = "weights must be numbers that are not negative"
    elif weights is not None and not bool(weights.any()):
        wrong = "all weights are zero"
    else:
        used = target if weights is None else target[(weights > 0).to(target.device)]
        if problem.loss == "softmax":
            if problem.classes < 1 or int(used.min()) < 0 or int(used.max()) >= problem.classes:
                wrong = f"classes {int(used.min())} to {int(used.max())} of {problem.classes}"
        elif problem.loss == "sigmoid":
            known = used[~used.isnan()]
            if bool(((known < 0) | (known > 1)).any()):
                wrong = "targets of a sigmoid must lie between 0 and 1"
            elif bool(used.isnan().all(dim=0).any()):
                wrong = "an output has no target"
        elif not bool(used.isfinite().all()):
            wrong = "targets that are not finite"
    if wrong:
        raise ProbeError(f"problem {number}: {wrong}")
