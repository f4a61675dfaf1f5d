"""Which problems are solved side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from probes.design import Design
from probes.solvers.costs import Machine, machine
from probes.solvers.descent import PAIRS, Lane, Optimum
from probes.solvers.jobs import Job
from probes.solvers.losses import Loss
from probes.solvers.rows import Rows


@dataclass(frozen=True)
class Batch:
    """Lanes on the same rows.

    Attributes
    ----------
    parts : for each lane, (job, its first and last penalty) in the order of the lane's units.
    block : columns of logits at once.
    """

    rows: Rows
    lanes: list[Lane]
    parts: list[list[tuple[Job, int, int]]]
    block: int

    def hand_out(self, optima: Sequence[Optimum]) -> None:
        """Gives each job its answers."""
        for optimum, parts in zip(optima, self.parts, strict=True):
            theta, start = self.rows.back(optimum.theta), 0
            for job, first, last in parts:
                stop = start + (last - first) * len(job.targets)
                for out, values in (
                    (job.answers, theta),
                    (job.losses, optimum.loss),
                    (job.steps, optimum.steps),
                    (job.converged, optimum.converged),
                ):
                    some = out[first:last]
                    some.copy_(values[start:stop].view(some.shape))
                start = stop


def batches(design: Design, jobs: Sequence[Job], memory: int) -> Iterator[Batch]:
    """Problems with the same axes whose rows are much the same, cut to fit the memory."""
    here = machine(design.rows.device)
    alike: dict[tuple, list[Job]] = defaultdict(list)
    for job in jobs:
        alike[job.axes, int(job.used.sum()), job.used.tobytes()].append(job)
    for group in _merged([alike[key] for key in sorted(alike)], here):
        rows = Rows.of(design, _mean_weights(design, group), group[0].axes)
        count, width = rows.features.shape
        block = max(1, min(here.block, memory // 4) // (4 * count))
        for parts in _cut(group, max(1, 3 * memory // 4 // _room(width))):
            yield _batch(rows, parts, block)


def shared(design: Design, jobs: Sequence[Job], memory: int) -> Iterator[Batch]:
    """As `batches`, where processes hold the rows: the same cuts in each, whatever its share."""
    by_axes: dict[int, list[Job]] = defaultdict(list)
    for job in jobs:
        by_axes[job.axes].append(job)
    for axes, group in by_axes.items():
        rows = Rows.of(design, None, axes)
        count, width = rows.features.shape
        block = max(1, min(machine(design.rows.device).block, memory // 4) // (4 * max(count, 1)))
        for parts in _cut(group, max(1, 3 * memory // 4 // _room(width))):
            yield _batch(rows, parts, block)


def _room(width: int) -> int:
    """Bytes that a column takes, logits aside."""
    return 4 * width * (2 * PAIRS + 9)


def _merged(groups: Sequence[list[Job]], here: Machine) -> Iterator[list[Job]]:
    """Joins neighbours where rows multiplied in vain cost less than a batch of their own."""

    def cost(jobs: list[Job], used: np.ndarray) -> float:
        return here.steps(int(used.sum()), jobs[0].axes, sum(job.columns for job in jobs))

    if not groups:
        return
    ready, mask = groups[0], groups[0][0].used
    for group in groups[1:]:
        used = group[0].used
        alike = ready[0].axes == group[0].axes
        if alike and cost(ready + group, mask | used) <= cost(ready, mask) + cost(group, used):
            ready, mask = ready + group, mask | used
        else:
            yield ready
            ready, mask = group, used
    yield ready


def _mean_weights(design: Design, group: Sequence[Job]) -> torch.Tensor | None:
    if all(job.weights is None for job in group):
        return None
    total = design.rows.new_zeros(len(design.rows))
    for job in group:
        total += 1.0 / len(total) if job.weights is None else job.weights.mean(dim=0)
    return total


def _cut(group: Sequence[Job], most: int) -> Iterator[list[tuple[Job, int, int]]]:
    """Jobs, and the penalties of each, of so many columns at most (one penalty at least)."""
    parts, columns = [], 0
    for job in group:
        first, many = 0, len(job.problem.penalties)
        each = job.columns // many
        while first < many:
            fitting = (most - columns) // each
            if fitting < 1 and parts:
                yield parts
                parts, columns = [], 0
                continue
            last = min(many, first + max(1, fitting))
            parts.append((job, first, last))
            columns, first = columns + (last - first) * each, last
    if parts:
        yield parts


def _batch(rows: Rows, parts: Sequence[tuple[Job, int, int]], block: int) -> Batch:
    together = defaultdict(list)
    for part in parts:
        together[part[0].loss.__name__, part[0].width].append(part)
    lanes = [_lane(rows, some) for some in together.values()]
    return Batch(rows, lanes, list(together.values()), block)


def _lane(rows: Rows, parts: Sequence[tuple[Job, int, int]]) -> Lane:
    jobs, sets, penalties, known = [], [], [], 0
    firsts: dict[int, int] = {}
    for job, first, last in parts:
        if id(job) not in firsts:
            firsts[id(job)] = known
            jobs.append(job)
            known += len(job.targets)
        own = firsts[id(job)] + torch.arange(len(job.targets), device=rows.mean.device)
        sets.append(own.repeat(last - first))
        penalties.append(job.penalties[first:last].flatten())
    sets = torch.cat(sets)
    number = torch.arange(len(sets), device=sets.device)
    return Lane(_loss(rows, jobs), sets, torch.cat(penalties).float(), number)


def _loss(rows: Rows, jobs: Sequence[Job]) -> Loss:
    n = jobs[0].targets.shape[1]
    used = slice(None) if rows.used is None else rows.used
    targets = torch.cat([job.targets[:, used] for job in jobs])
    if len({job.key for job in jobs}) == 1 and (jobs[0].key is None or len(jobs[0].weights) == 1):
        weights = jobs[0].weights
        weights = rows.mean.new_full((1, n), 1.0 / n) if weights is None else weights
    else:
        weights = torch.cat(
            [
                rows.mean.new_full((len(job.targets), n), 1.0 / n) if job.weights is None
                else job.weights.expand(len(job.targets), -1)
                for job in jobs
            ]
        )  # fmt: skip
    count = targets.shape[1] if rows.used is not None else jobs[0].count
    return jobs[0].loss(targets, weights[:, used], jobs[0].width, count)
