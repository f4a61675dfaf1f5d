"""All problems on one design, each by the solver of its loss."""

from __future__ import annotations

from collections.abc import Sequence

from probes.design import Design
from probes.errors import ProbeError
from probes.solvers.logistic import logistic
from probes.solvers.problem import Fit, Problem, check
from probes.solvers.squared import squared

TOLERANCE = 1e-6  # of the expected gap to the optimum, relative to the objective
MAX_STEPS = 500


def solve(
    design: Design,
    problems: Sequence[Problem],
    *,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
) -> list[Fit]:
    """The optimum of every problem, in their order.

    Parameters
    ----------
    tolerance : of the gap to the optimum, relative to the objective.
    max_steps : of the iterative solver; what it has not finished by then is not `converged`.

    Raises
    ------
    ProbeError : for a problem without an answer, by its number; for rows that are not finite.
    """
    if not bool(design.rows.isfinite().all()):
        raise ProbeError("training rows of a design are not finite: extract this layer again")
    for number, problem in enumerate(problems):
        check(design, number, problem)
    closed = [i for i, problem in enumerate(problems) if problem.loss == "squared"]
    others = [i for i, problem in enumerate(problems) if problem.loss != "squared"]
    fits = {i: squared(design, problems[i]) for i in closed}
    if others:
        some = logistic(design, [problems[i] for i in others], tolerance, max_steps)
        fits.update(zip(others, some, strict=True))
    return [fits[i] for i in range(len(problems))]
