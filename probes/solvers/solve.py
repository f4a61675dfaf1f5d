"""All problems on one design, each by the cheapest exact way."""

from __future__ import annotations

from collections.abc import Sequence

from probes.design import Design
from probes.errors import ProbeError
from probes.memory import in_pieces
from probes.solvers.batches import batches
from probes.solvers.descent import descend
from probes.solvers.jobs import Job, job_of
from probes.solvers.problem import Fit, Problem, check
from probes.solvers.squared import by_cost, closed, dense

TOLERANCE = 2e-5  # of the gap to the optimum, relative to the objective
MAX_STEPS = 500
MEMORY = 2**30  # bytes that a batch may take beside the rows
FLOOR = 2**20  # the same where memory runs out, at least


def solve(
    design: Design,
    problems: Sequence[Problem],
    *,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
    memory: int = MEMORY,
) -> list[Fit]:
    """The optimum of every problem, in their order.

    Ridge without weights is a closed form in the axes of the design; with weights it is solved
    directly where many columns share them. All else goes through `descend`.

    Parameters
    ----------
    tolerance : of the gap to the optimum, relative to the objective. The gap is estimated, to
        within a factor of three or so.
    max_steps : of the iterative solver; what it has not finished by then is not `converged`.
    memory : bytes for what is solved at once, beside the rows and the answers.

    Raises
    ------
    ProbeError : for a problem without an answer, by its number; for rows that are not finite.
    """
    if not bool(design.rows.isfinite().all()):
        raise ProbeError("training rows of a design are not finite: extract this layer again")
    for number, problem in enumerate(problems):
        check(design, number, problem)
    fits: dict[int, Fit] = {}
    plain, direct, left = by_cost(design, problems)
    fits.update((number, closed(design, problems[number])) for number in plain)
    for numbers in direct:
        found = dense(design, [problems[number] for number in numbers])
        fits.update(zip(numbers, found, strict=True))
    jobs: list[Job] = [job_of(design, problems[number]) for number in left]

    def descended(size: int) -> None:
        for batch in batches(design, jobs, size):
            answers = descend(
                batch.rows, batch.lanes,
                tolerance=tolerance, max_steps=max_steps, block=batch.block,
            )  # fmt: skip
            batch.hand_out(answers)

    in_pieces("batches of penalties and tasks", descended, memory, floor=FLOOR)
    fits.update(
        (number, job.fit(design.rows.shape[1])) for number, job in zip(left, jobs, strict=True)
    )
    return [fits[number] for number in range(len(problems))]
