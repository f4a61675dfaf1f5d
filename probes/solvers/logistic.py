"""Multinomial and one-vs-rest logistic regression by batched L-BFGS."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import torch

from probes.design import Design
from probes.solvers.problem import Fit, Problem

MEMORY = 10  # pairs that L-BFGS keeps
MAX_TRIALS = 12  # of a step length


def logistic(
    design: Design, problems: Sequence[Problem], tolerance: float, max_steps: int
) -> list[Fit]:
    """All problems at once: columns of one weight matrix, so that a step is two matrix products.

    Each has its own step length and leaves when it has converged. L-BFGS starts from the inverse
    of a bound on the Hessian that is diagonal in the eigenbasis (Boehning 1992), rescaled for each
    problem.
    """
    batch = _Batch(design, problems)
    memory: deque[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = deque(maxlen=MEMORY)
    loss, gradient = batch.loss(), batch.gradient()
    stuck = torch.zeros_like(loss, dtype=torch.bool)
    for step in range(max_steps):
        direction = batch.direction(gradient, memory)
        slope = batch.dot(gradient, direction)
        # half of -slope is the gain that the quadratic model expects of a whole step
        done = stuck | (-0.5 * slope <= tolerance * loss)
        if bool(done.any()):
            keep = batch.retire(done, loss, step, True)
            if not len(batch.units):
                break
            loss, slope = loss[~done], slope[~done]
            gradient, direction = gradient[:, keep], direction[:, keep]
            kept = [(s[:, keep], y[:, keep], rate[~done]) for s, y, rate in memory]
            memory = deque(kept, maxlen=MEMORY)
        length, loss, stuck = batch.search(direction, slope, loss)
        before, gradient = gradient, batch.gradient()
        move, change = direction * batch.spread(length), gradient - before
        curvature = batch.dot(move, change)
        # a pair without curvature (rounding, or no step at all) is void for that problem
        rate = torch.where(curvature > 0, 1.0 / curvature, 0.0)
        memory.append((move, change, rate))
    if len(batch.units):
        batch.retire(torch.ones_like(stuck), loss, max_steps, False)
    return batch.fits


class _Batch:
    """The problems that have not converged, side by side as columns.

    A unit is what converges alone: a penalty of a softmax problem (as many columns as classes),
    a penalty and an output of a sigmoid problem (one column).

    Attributes
    ----------
    units : [active] number of each unit; those of one problem stand together.
    theta : [rank + 1, columns] weights, the intercepts in the last row.
    logits : [train, columns].
    fits : one a problem, filled as units retire.
    """

    def __init__(self, design: Design, problems: Sequence[Problem]):
        rows = design.rows
        device, n = rows.device, len(rows)
        self.features = torch.cat([rows, rows.new_ones(n, 1)], dim=1)
        self.eigenvalues = torch.cat([design.eigenvalues, torch.ones(1, device=device)]).float()
        self.problems = problems
        self.width = [p.classes if p.loss == "softmax" else 1 for p in problems]
        sizes, penalty, starts, self.targets, self.weights = [], [], [], [], []
        for p, k in zip(problems, self.width, strict=True):
            weight = rows.new_ones(n) if p.weights is None else p.weights.to(device).float()
            if p.loss == "softmax":
                target = torch.where(weight > 0, p.target.to(device), 0)
                count = torch.zeros(k, device=device).index_add_(0, target, weight)
                start = (count.clamp_min(0.5) / weight.sum()).log()
                total, weight = weight.sum()[None], weight[:, None]
            else:
                target = p.target.to(device).float()
                weight = torch.where(target.isnan(), 0.0, weight[:, None])
                target = torch.where(weight > 0, target, 0.0)
                total = weight.sum(dim=0)
                count = (weight * target).sum(dim=0)
                count = torch.minimum(count.clamp_min(0.5), (total - 0.5).clamp_min(0.25))
                start = (count / (total - count).clamp_min(0.25)).log()
            grid = torch.as_tensor(p.penalties, device=device, dtype=torch.float64)
            self.targets.append(target)
            self.weights.append(weight / total)
            penalty.append((grid[:, None] / total).flatten().float())
            starts.append(start.repeat(len(grid)))
            sizes.append(len(penalty[-1]))
        self.sizes = torch.tensor(sizes, device=device)
        self.first = self.sizes.cumsum(0) - self.sizes
        self.units = torch.arange(sum(sizes), device=device)
        self.owner_of = torch.repeat_interleave(
            torch.arange(len(problems), device=device), self.sizes
        )
        self.penalty = torch.cat(penalty)
        intercepts = torch.cat(starts)
        self.theta = intercepts.new_zeros(len(self.eigenvalues), len(intercepts))
        self.theta[-1] = intercepts
        self.logits = self.theta[-1].expand(n, -1).clone()
        self.fits = []
        for p in problems:
            shape = (len(p.penalties),)
            fit = Fit(
                rows.new_zeros(*shape, rows.shape[1], p.outputs),
                rows.new_zeros(*shape, p.outputs),
                torch.zeros(shape, device=device, dtype=torch.float64),
                torch.zeros(shape, device=device, dtype=torch.int64),
                torch.ones(shape, device=device, dtype=torch.bool),
            )
            self.fits.append(fit)
        self._arrange()

    def _arrange(self) -> None:
        """Where the columns of each problem are, and what belongs to them."""
        device = self.theta.device
        owner = self.owner_of[self.units]
        widths = torch.tensor(self.width, device=device)[owner]
        self.owner = torch.repeat_interleave(torch.arange(len(owner), device=device), widths)
        # (problem, its columns a unit, its active units as a slice, their columns as a slice)
        self.blocks, unit, column = [], 0, 0
        counts = torch.bincount(owner, minlength=len(self.width)).tolist()
        for number, (count, k) in enumerate(zip(counts, self.width, strict=True)):
            if count:
                at, to = slice(unit, unit + count), slice(column, column + count * k)
                self.blocks.append((number, k, at, to))
            unit, column = unit + count, column + count * k
        lam = self.spread(self.penalty).expand(len(self.eigenvalues), -1).clone()
        lam[-1] = 0.0
        self.ridge, fractions = lam, []
        for number, k, _, to in self.blocks:
            bound = 0.25 if self.problems[number].loss == "sigmoid" else max(1 - 1 / k, 1e-6) / k
            fractions.append(self.theta.new_full((to.stop - to.start,), bound))
        self.inverse = 1.0 / (self.eigenvalues[:, None] * torch.cat(fractions) + lam)
        for number, _, _, to in self.blocks:
            if self.problems[number].axes is not None:
                self.inverse[self.problems[number].axes : -1, to] = 0.0

    def _of(self, number: int, k: int, at: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Targets and weights of the active units of a problem: [train, units or 1]."""
        target, weight = self.targets[number], self.weights[number]
        if self.problems[number].loss == "softmax":
            return target[:, None].expand(-1, at.stop - at.start), weight
        output = (self.units[at] - self.first[number]) % target.shape[1]
        return target[:, output], weight[:, output]

    def spread(self, values: torch.Tensor) -> torch.Tensor:
        """[active] -> [columns]."""
        return values.to(self.theta.dtype)[self.owner]

    def dot(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Inner product of each unit: [rank + 1, columns] twice -> [active] float64."""
        out = torch.zeros(len(self.units), device=a.device, dtype=torch.float64)
        return out.index_add_(0, self.owner, (a * b).sum(dim=0).double())

    def direction(self, gradient: torch.Tensor, memory) -> torch.Tensor:
        """Minus the inverse Hessian, as L-BFGS knows it, times the gradient."""
        ahead, weights = gradient.clone(), []
        for s, y, rate in reversed(memory):
            weight = rate * self.dot(s, ahead)
            weights.append(weight)
            ahead -= y * self.spread(weight)
        ahead *= self.inverse
        if memory:
            s, y, rate = memory[-1]
            scaled = self.dot(y, y * self.inverse)
            ahead *= self.spread(torch.where(rate > 0, 1.0 / (rate * scaled), 1.0))
        for (s, y, rate), weight in zip(memory, reversed(weights), strict=True):
            ahead += s * self.spread(weight - rate * self.dot(y, ahead))
        return -ahead

    def loss(self) -> torch.Tensor:
        """[active] objective at the present weights, float64."""
        return self._cross_entropy(self.logits) + 0.5 * self.dot(
            self.theta * self.ridge, self.theta
        )

    def _cross_entropy(self, logits: torch.Tensor) -> torch.Tensor:
        out = torch.empty(len(self.units), device=logits.device, dtype=torch.float64)
        for number, k, at, to in self.blocks:
            target, weight = self._of(number, k, at)
            if self.problems[number].loss == "softmax":
                some = logits[:, to].unflatten(1, (-1, k))
                loss = torch.logsumexp(some, dim=2) - some.gather(2, target[..., None])[..., 0]
            else:
                some = logits[:, to]
                loss = torch.nn.functional.softplus(some) - target * some
            out[at] = (loss * weight).double().sum(dim=0)
        return out

    def gradient(self) -> torch.Tensor:
        """[rank + 1, columns] gradient at the present weights."""
        residual = torch.empty_like(self.logits)
        for number, k, at, to in self.blocks:
            target, weight = self._of(number, k, at)
            if self.problems[number].loss == "softmax":
                some = torch.softmax(self.logits[:, to].unflatten(1, (-1, k)), dim=2)
                label = target[..., None]
                some.scatter_add_(2, label, some.new_full((1, 1, 1), -1.0).expand(label.shape))
                residual[:, to] = (some * weight[..., None]).flatten(1)
            else:
                residual[:, to] = (torch.sigmoid(self.logits[:, to]) - target) * weight
        out = self.features.T @ residual + self.ridge * self.theta
        for number, _, _, to in self.blocks:
            if self.problems[number].axes is not None:
                out[self.problems[number].axes : -1, to] = 0.0
        return out

    def search(
        self, direction: torch.Tensor, slope: torch.Tensor, loss: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Takes, for each unit, a step that lowers its loss enough (Armijo).

        The logits along the direction are linear, so a trial costs no matrix product.

        Returns
        -------
        step lengths, new losses, and which units found no lower loss (they do not move).
        """
        along = self.features @ direction
        bend = self.dot(direction * self.ridge, direction)
        tilt = self.dot(direction * self.ridge, self.theta)
        flat = 0.5 * self.dot(self.theta * self.ridge, self.theta)
        length = torch.ones_like(loss)
        for _ in range(MAX_TRIALS):
            trial = self.logits + along * self.spread(length)
            found = self._cross_entropy(trial) + flat + length * (tilt + 0.5 * length * bend)
            short = ~(found <= loss + 1e-4 * length * slope)
            if not bool(short.any()):
                break
            # minimum of the parabola through both losses and the slope at the start
            dip = -0.5 * slope * length.square() / (found - loss - slope * length)
            shorter = torch.where(torch.isfinite(dip), dip, 0.0)
            shorter = torch.maximum(torch.minimum(shorter, 0.5 * length), 0.1 * length)
            length = torch.where(short, shorter, length)
        stuck = ~(found < loss)
        if bool(stuck.any()):
            length = torch.where(stuck, 0.0, length)
            found = torch.where(stuck, loss, found)
            trial = self.logits + along * self.spread(length)
        self.logits = trial
        self.theta = self.theta + direction * self.spread(length)
        return length, found, stuck

    def retire(self, done: torch.Tensor, loss: torch.Tensor, steps: int, converged: bool):
        """Writes down the units marked and drops them; returns the columns that remain."""
        for number, k, at, to in self.blocks:
            which = torch.nonzero(done[at])[:, 0]
            slots = self.units[at][which] - self.first[number]
            some, fit = self.theta[:, to], self.fits[number]
            if self.problems[number].loss == "softmax":
                some = some.unflatten(1, (-1, k))[:, which]
                fit.weights[slots] = some[:-1].transpose(0, 1)
                fit.intercepts[slots] = some[-1]
                fit.objective[slots] = loss[at][which]
            else:
                many = self.targets[number].shape[1]
                slots, output = slots // many, slots % many
                fit.weights[slots, :, output] = some[:-1, which].T
                fit.intercepts[slots, output] = some[-1, which]
                share = self._share(number)[output]
                fit.objective.index_add_(0, slots, loss[at][which] * share)
            fit.steps[slots] = steps
            if not converged:
                fit.converged[slots] = False
        keep = ~done[self.owner]
        self.units, self.penalty = self.units[~done], self.penalty[~done]
        self.theta, self.logits = self.theta[:, keep], self.logits[:, keep]
        if len(self.units):
            self._arrange()
        return keep

    def _share(self, number: int) -> torch.Tensor:
        """[outputs] sum of the weights of an output's rows over that of all rows."""
        weights, target = self.problems[number].weights, self.problems[number].target
        weights = torch.ones(len(target)) if weights is None else weights
        weights = weights.to(self.theta.device).double()
        known = ~target.to(self.theta.device).isnan()
        return weights @ known.double() / weights.sum()
