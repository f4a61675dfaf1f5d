"""Linear probes from sums over rows: for training rows that no process can hold, or read, whole.

Each process has a share of the rows. Means, X'X, X'y, losses, gradients and second derivatives are
sums over rows, so they add over processes; what is left is small and done by each of them. The
optimum is that of `probes.solvers.solve` on all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from probes.design import Design, eigh, scale_of, strong
from probes.errors import ProbeError
from probes.solvers.batches import shared
from probes.solvers.descent import descend
from probes.solvers.jobs import job_of
from probes.solvers.problem import Fit, Problem
from probes.solvers.solve import MAX_STEPS, MEMORY, TOLERANCE
from probes.solvers.squared import exact
from probes.team import Team, added

STRETCH = 8192  # rows that are in float64 at a time


@dataclass(frozen=True)
class Share:
    """What one process has of the training rows of a layer.

    Attributes
    ----------
    design : its own rows, in axes and with eigenvalues of all rows.
    count : rows of all processes.
    """

    design: Design
    count: int
    team: Team

    @classmethod
    def of(cls, train: torch.Tensor, team: Team) -> Share:
        """From the process's own training rows [own, width] float32, perhaps none.

        Standardisation and axes are those of `probes.design.Design.of` on all rows. Memory beside
        the rows: as many in the axes, and width x width in float64.

        Raises
        ------
        ProbeError : values that are not finite in any process, or no rows.
        """
        sums = train.new_zeros(1 + train.shape[1], dtype=torch.float64)
        sums[0] = len(train)
        for rows in train.split(STRETCH):
            sums[1:] += rows.double().sum(dim=0)
        (sums,) = added(team, sums)
        count = int(sums[0])
        if not count or not bool(sums.isfinite().all()):
            what = "there are no training rows" if not count else "rows are not finite"
            raise ProbeError(f"probes from sums: {what}: extract this layer again")
        mean = sums[1:] / count
        gram = train.new_zeros(train.shape[1], train.shape[1], dtype=torch.float64)
        for rows in train.split(STRETCH):
            centred = rows.double() - mean
            gram += centred.T @ centred
        (gram,) = added(team, gram)
        spread = (gram.diagonal() / count).clamp_min(0).sqrt()
        scale = scale_of(mean, spread)
        alive = scale > 0
        alive[0] |= not alive.any()
        some = scale[alive]
        values, vectors = strong(*eigh(gram[alive][:, alive] * some[:, None] * some / count))
        axes = torch.zeros(len(alive), vectors.shape[1], dtype=vectors.dtype, device=train.device)
        axes[alive] = vectors
        design = Design(train.new_empty(0, vectors.shape[1]), values, mean, scale, axes.float())
        rows = torch.cat([design.rotate(rows) for rows in train.split(STRETCH)])
        return cls(replace(design, rows=rows), count, team)

    def solve(
        self,
        problems: Sequence[Problem],
        *,
        tolerance: float = TOLERANCE,
        max_steps: int = MAX_STEPS,
        memory: int = MEMORY,
    ) -> list[Fit]:
        """The optimum of every problem, in their order; all processes call it with the same ones.

        Parameters
        ----------
        problems : without weights; `target` is of the process's own rows.
        tolerance, max_steps, memory : see `probes.solvers.solve`.
        """
        fits: dict[int, Fit] = {}
        left = []
        for number, problem in enumerate(problems):
            if problem.loss == "squared":
                fits[number] = self._closed(problem)
            else:
                left.append(number)
        jobs = [job_of(self.design, problems[number], self.team) for number in left]
        for batch in shared(self.design, jobs, memory):
            answers = descend(
                batch.rows, batch.lanes, tolerance=tolerance, max_steps=max_steps,
                block=batch.block, team=self.team,
            )  # fmt: skip
            batch.hand_out(answers)
        rank = self.design.rows.shape[1]
        fits.update((number, job.fit(rank)) for number, job in zip(left, jobs, strict=True))
        return [fits[number] for number in range(len(problems))]

    def _closed(self, problem: Problem) -> Fit:
        """Ridge regression: every axis shrinks alone."""
        rows, team = self.design.rows, self.team
        target = problem.target.to(rows.device).double()
        (mean,) = added(team, target.sum(dim=0))
        mean = mean / self.count
        moment = rows.new_zeros(rows.shape[1], target.shape[1], dtype=torch.float64)
        for some, aims in zip(rows.split(STRETCH), target.split(STRETCH), strict=True):
            moment += some.double().T @ (aims - mean)
        moment, power = added(team, moment, (target - mean).square().sum())
        grid = torch.as_tensor(problem.penalties, dtype=torch.float64, device=rows.device)
        weights = moment / (self.count * self.design.eigenvalues + grid[:, None])[..., None]
        objective = 0.5 * (power - (weights * moment).sum(dim=(1, 2))) / self.count
        return exact(self.design, weights, mean.expand(len(grid), -1), objective)
