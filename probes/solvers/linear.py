"""Exact linear probes: ridge in closed form, multinomial logistic regression by batched L-BFGS.

Both minimise, for every penalty of a grid at once,

    mean loss over training rows + penalty / 2 * |W|^2,      intercept not penalised,

with the loss (y - f)^2 / 2 or the cross-entropy. In scikit-learn's terms `alpha` of Ridge is
penalty * n, and `C` of LogisticRegression is 1 / (penalty * n).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch

MEMORY = 10  # pairs that L-BFGS keeps
TOLERANCE = 1e-6  # of the expected gap to the optimum, relative to the objective
MAX_STEPS = 500
MAX_TRIALS = 12  # of a step length


def ridge(
    rows: torch.Tensor, eigenvalues: torch.Tensor, targets: torch.Tensor, penalties: Sequence[float]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ridge regression for every penalty and target.

    Parameters
    ----------
    rows, eigenvalues : of a `Design`: [train, rank] with mean zero, and [rank].
    targets : [train, targets].

    Returns
    -------
    weights [penalties, rank, targets] and intercepts [targets], float64.
    """
    targets = targets.double()
    mean = targets.mean(dim=0)
    moment = rows.double().T @ (targets - mean) / len(rows)
    shrink = 1.0 / (eigenvalues + torch.as_tensor(penalties, device=rows.device)[:, None])
    return shrink[..., None] * moment, mean


@dataclass(frozen=True)
class LogisticFit:
    """Optimum for one set of labels.

    Attributes
    ----------
    weights : [penalties, rank, classes].
    intercepts : [penalties, classes].
    objective : [penalties], see the head of this file.
    steps : [penalties] steps of the optimiser.
    converged : [penalties].
    """

    weights: torch.Tensor
    intercepts: torch.Tensor
    objective: torch.Tensor
    steps: torch.Tensor
    converged: torch.Tensor


def logistic(
    rows: torch.Tensor,
    eigenvalues: torch.Tensor,
    labels: Sequence[torch.Tensor],
    classes: Sequence[int],
    penalties: Sequence[float],
    *,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
) -> list[LogisticFit]:
    """Multinomial logistic regression for every penalty and every set of labels of the same rows.

    All problems are columns of one weight matrix, so that a step is two matrix products whatever
    their number; each problem has its own step length and leaves when it has converged. L-BFGS
    starts from the inverse of a bound on the Hessian that is diagonal in the eigenbasis
    (Boehning 1992), rescaled for each problem.

    Parameters
    ----------
    rows, eigenvalues : of a `Design`: [train, rank] with mean zero, and [rank].
    labels : for each set, [train] int64 in 0 .. classes - 1.
    """
    batch = _Batch(rows, eigenvalues, labels, classes, penalties)
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
            if not len(batch.problems):
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
    if len(batch.problems):
        batch.retire(torch.ones_like(stuck), loss, max_steps, False)
    return batch.fits


class _Batch:
    """The problems that have not converged, side by side as columns.

    Attributes
    ----------
    problems : [active] number of each problem; those of one label set stand together.
    theta : [rank + 1, columns] weights, the intercepts in the last row.
    logits : [train, columns].
    fits : one `LogisticFit` a label set, filled as problems retire.
    """

    def __init__(self, rows, eigenvalues, labels, classes, penalties):
        device, n = rows.device, len(rows)
        self.features = torch.cat([rows, torch.ones(n, 1, device=device, dtype=rows.dtype)], dim=1)
        self.labels = [one.to(device) for one in labels]
        self.classes, self.penalties = list(classes), len(penalties)
        self.eigenvalues = torch.cat([eigenvalues, torch.ones(1, device=device)]).to(rows.dtype)
        self.problems = torch.arange(len(self.labels) * self.penalties, device=device)
        grid = torch.as_tensor(penalties, device=device, dtype=rows.dtype)
        self.penalty = grid.repeat(len(self.labels))
        starts = []
        for one, k in zip(self.labels, self.classes, strict=True):
            share = torch.bincount(one, minlength=k).clamp_min(0.5) / n
            starts.append(share.log().to(rows.dtype).repeat(self.penalties))
        intercepts = torch.cat(starts)
        self.theta = intercepts.new_zeros(len(self.eigenvalues), len(intercepts))
        self.theta[-1] = intercepts
        self.logits = self.theta[-1].expand(n, -1).clone()
        self.fits = [self._empty(k) for k in self.classes]
        self._arrange()

    def _empty(self, k: int) -> LogisticFit:
        shape, device = (self.penalties,), self.theta.device
        weights = torch.zeros(*shape, len(self.eigenvalues) - 1, k, device=device)
        return LogisticFit(
            weights.to(self.theta.dtype),
            torch.zeros(*shape, k, device=device, dtype=self.theta.dtype),
            torch.zeros(shape, device=device, dtype=torch.float64),
            torch.zeros(shape, device=device, dtype=torch.int64),
            torch.zeros(shape, device=device, dtype=torch.bool),
        )

    def _arrange(self) -> None:
        """Where the columns of each label set and problem are, and what belongs to them."""
        owner = self.problems // self.penalties
        widths = torch.tensor(self.classes, device=owner.device)[owner]
        self.owner = torch.repeat_interleave(torch.arange(len(owner), device=owner.device), widths)
        # (label set, classes, its active problems as a slice, their columns as a slice)
        self.blocks, problem, column = [], 0, 0
        counts = torch.bincount(owner, minlength=len(self.labels)).tolist()
        for number, (count, k) in enumerate(zip(counts, self.classes, strict=True)):
            if count:
                at, to = slice(problem, problem + count), slice(column, column + count * k)
                self.blocks.append((number, k, at, to))
            problem, column = problem + count, column + count * k
        fraction = torch.cat(
            [self.theta.new_full((to.stop - to.start,), (1 - 1 / k) / k)
             for _, k, _, to in self.blocks]
        )  # fmt: skip
        lam = self.spread(self.penalty).expand(len(self.eigenvalues), -1).clone()
        lam[-1] = 0.0
        self.ridge = lam
        self.inverse = 1.0 / (self.eigenvalues[:, None] * fraction + lam)

    def spread(self, values: torch.Tensor) -> torch.Tensor:
        """[active] -> [columns]."""
        return values.to(self.theta.dtype)[self.owner]

    def dot(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Inner product of each problem: [rank + 1, columns] twice -> [active] float64."""
        out = torch.zeros(len(self.problems), device=a.device, dtype=torch.float64)
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
        out = torch.empty(len(self.problems), device=logits.device, dtype=torch.float64)
        for number, k, at, to in self.blocks:
            some = logits[:, to].unflatten(1, (-1, k))
            label = self.labels[number][:, None, None].expand(-1, some.shape[1], 1)
            loss = torch.logsumexp(some, dim=2) - some.gather(2, label)[..., 0]
            out[at] = loss.double().mean(dim=0)
        return out

    def gradient(self) -> torch.Tensor:
        """[rank + 1, columns] gradient at the present weights."""
        residual = torch.empty_like(self.logits)
        for number, k, _, to in self.blocks:
            some = torch.softmax(self.logits[:, to].unflatten(1, (-1, k)), dim=2)
            label = self.labels[number][:, None, None].expand(-1, some.shape[1], 1)
            some.scatter_add_(2, label, some.new_full((1, 1, 1), -1.0).expand(label.shape))
            residual[:, to] = some.flatten(1)
        return self.features.T @ residual / len(residual) + self.ridge * self.theta

    def search(
        self, direction: torch.Tensor, slope: torch.Tensor, loss: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Takes, for each problem, a step that lowers its loss enough (Armijo).

        The logits along the direction are linear, so a trial costs no matrix product.

        Returns
        -------
        step lengths, new losses, and which problems found no lower loss (they do not move).
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

    def retire(
        self, done: torch.Tensor, loss: torch.Tensor, steps: int, converged: bool
    ) -> torch.Tensor:
        """Writes down the problems marked and drops them; returns the columns that remain."""
        for number, k, at, to in self.blocks:
            which = torch.nonzero(done[at])[:, 0]
            slots = self.problems[at][which] % self.penalties
            some = self.theta[:, to].unflatten(1, (-1, k))[:, which]
            fit = self.fits[number]
            fit.weights[slots] = some[:-1].transpose(0, 1)
            fit.intercepts[slots] = some[-1]
            fit.objective[slots] = loss[at][which]
            fit.steps[slots] = steps
            fit.converged[slots] = converged
        keep = ~done[self.owner]
        self.problems, self.penalty = self.problems[~done], self.penalty[~done]
        self.theta, self.logits = self.theta[:, keep], self.logits[:, keep]
        if len(self.problems):
            self._arrange()
        return keep
