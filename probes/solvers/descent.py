"""Batched L-BFGS: every unit is some columns of the same matrix products."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from probes.solvers.losses import Loss
from probes.solvers.rows import Rows
from probes.team import ALONE, Team, added, as_first

PAIRS = 4  # that L-BFGS keeps
TRIALS = 10  # of a step length, before a unit is given up
SLACK = 5  # times the tolerance, for a unit that rounding stops to count as converged
LEAVING = 1 / 16  # of the units: once so many are done they leave the batch


@dataclass
class Lane:
    """Units of the same loss.

    Attributes
    ----------
    sets : [units] the set of targets of each.
    penalty : [units] of the squared weights, against the weighted mean loss.
    number : [units] where a unit's answer goes.
    """

    loss: Loss
    sets: torch.Tensor
    penalty: torch.Tensor
    number: torch.Tensor

    def __len__(self) -> int:
        return len(self.sets)

    def only(self, kept: torch.Tensor) -> Lane:
        return Lane(self.loss, self.sets[kept], self.penalty[kept], self.number[kept])


@dataclass
class Optimum:
    """Answers of the units of one lane, in the order of `Lane.number`.

    Attributes
    ----------
    theta : [units, width, rank + 1], the intercept last.
    loss, steps, converged : [units].
    """

    theta: torch.Tensor
    loss: torch.Tensor
    steps: torch.Tensor
    converged: torch.Tensor


def descend(
    rows: Rows,
    lanes: Sequence[Lane],
    *,
    tolerance: float,
    max_steps: int,
    block: int,
    team: Team = ALONE,
) -> list[Optimum]:
    """Minimises weighted mean loss + penalty / 2 * |W|^2 for every unit.

    A step is two matrix products whatever the number of units; each has a step length of its own
    and leaves when it has converged. L-BFGS starts from the inverse Hessian as it would be if the
    rows' second derivatives were all the same: it is diagonal in the eigenbasis of the features
    and in that of the classes' mean second derivative, which is brought up to date now and then.

    Parameters
    ----------
    tolerance : of the gap to the optimum that is expected, relative to the objective.
    block : columns whose logits are held at once.
    team : whose processes hold the rows; each is given its own, and the same units.
    """
    batch = _Batch(rows, lanes, block, team)
    pairs: deque[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = deque(maxlen=PAIRS)
    loss, gradient = batch.first()
    length, trials = torch.ones_like(loss), torch.zeros_like(loss)
    scale, done = torch.ones_like(loss), torch.zeros_like(loss, dtype=torch.bool)
    last = loss
    marks: deque[tuple[int, torch.Tensor]] = deque(maxlen=2)
    for step in range(max_steps + 1):
        direction = batch.direction(gradient, pairs, scale)
        slope = batch.dot(gradient, direction)
        # half of -slope is the gain that the quadratic model expects of a whole step; what is
        # left to gain is the sum over all steps to come, if they shrink as they did so far
        gain = -0.5 * slope
        left = gain
        if marks:
            since, before = marks[0]
            rate = (gain / before).clamp_max(1).pow(1 / (step - since)).clamp_max(0.99)
            left = torch.maximum(gain, rate * last) / (1 - rate)
        enough = tolerance * batch.reach(loss)
        done = as_first(team, done | ~(left > enough) | (trials >= TRIALS))
        leaving = int(done.sum())
        if leaving == len(done) or step == max_steps:
            batch.write(loss, left <= SLACK * enough, step)
            break
        if leaving > LEAVING * len(done):
            batch.write(loss, left <= SLACK * enough, step, done)
            stay, columns = batch.keep(~done)
            gradient, direction = (v.index_select(0, columns) for v in (gradient, direction))
            kept = [
                (s.index_select(0, columns), y.index_select(0, columns), rate[stay])
                for s, y, rate in pairs
            ]
            pairs = deque(kept, maxlen=PAIRS)
            marks = deque([(when, value[stay]) for when, value in marks], maxlen=2)
            loss, slope, gain, length, trials, scale, done = (
                v[stay] for v in (loss, slope, gain, length, trials, scale, done)
            )
        last = gain
        fresh = step & (step - 1) == 0  # 0, 1, 2, 4, 8 ...
        if fresh:
            marks.append((step, gain))
        move = direction.mul_(batch.spread(length)[:, None])
        found, ahead, bends = batch.evaluate(batch.theta + move, fresh)
        end, slope = batch.dot(ahead, move), slope * length
        # so that overshooting lowers the loss of a parabola, and rounding does not matter
        good = (end <= -0.8 * slope) & (found <= loss + 1e-5 * loss.abs() + 1e-7)
        good = as_first(team, good)
        shorter = (slope / (slope - end)).nan_to_num(0.1).clamp(0.1, 0.5)
        length = torch.where(good, 1.0, length * shorter)
        trials = torch.where(good, 0.0, trials + 1)
        mask = batch.spread(good)[:, None]
        move *= mask
        batch.theta += move
        ahead = torch.where(mask, ahead, gradient)
        change, gradient = ahead - gradient, ahead
        loss = torch.where(good, found, loss)
        if fresh:
            batch.bend(bends, good)
        curvature = torch.where(good, end - slope, 0.0)
        held = batch.dot(change, batch.precondition(change))
        # a pair without curvature (rounding, or no step at all) is void for that unit
        able = (curvature > 0) & (held > 0)
        scale = torch.where(able, curvature / held, scale)
        pairs.append((move, change, torch.where(able, 1.0 / curvature, 0.0)))
    return batch.optima


class _Batch:
    """The units that have not converged, lane after lane.

    Attributes
    ----------
    theta : [columns, rank + 1] weights, the intercept last; a unit's columns stand together.
    """

    def __init__(self, rows: Rows, lanes: Sequence[Lane], block: int, team: Team):
        self.rows, self.features, self.block, self.team = rows, rows.features, block, team
        self.lanes, self.optima = list(lanes), []
        for lane in lanes:
            theta = self.features.new_zeros(len(lane), lane.loss.width, self.features.shape[1])
            loss = self.features.new_zeros(len(lane))
            steps = torch.zeros(len(lane), dtype=torch.int64, device=self.features.device)
            self.optima.append(Optimum(theta, loss, steps, steps.bool()))
        self.answers = list(self.optima)
        self.logits = self.features.new_empty(0)
        self.turns: list[torch.Tensor | None] = []
        self.curvatures: list[torch.Tensor] = []
        self._arrange()

    def _arrange(self) -> None:
        """Where the units and columns of each lane are; what is computed at once."""
        self.units, self.columns, owners, unit, column = [], [], [], 0, 0
        for lane in self.lanes:
            width = lane.loss.width
            self.units.append(slice(unit, unit + len(lane)))
            self.columns.append(slice(column, column + len(lane) * width))
            unit, column = unit + len(lane), column + len(lane) * width
            owners.append(torch.arange(*_ends(self.units[-1])).repeat_interleave(width))
        strict, floor = (
            torch.cat([torch.full((len(lane),), getattr(lane.loss, name)) for lane in self.lanes])
            for name in ("strict", "floor")
        )
        self.strict, self.floor = strict.to(self.features.device), floor.to(self.features.device)
        self.owner = torch.cat(owners).to(self.features.device)
        # [units, widest] the columns of each, and one past the last where it has no more
        widest, self.own = max(lane.loss.width for lane in self.lanes), None
        if widest > 1:
            self.own = torch.full((unit, widest), column)
            for lane, units, columns in zip(self.lanes, self.units, self.columns, strict=True):
                place = torch.arange(*_ends(columns)).view(len(lane), -1)
                self.own[units, : lane.loss.width] = place
            self.own = self.own.to(self.features.device)
        self.penalty = self.spread(torch.cat([lane.penalty for lane in self.lanes]))[:, None]
        # (columns, (lane, its units from and to, its columns within the block from and to))
        self.blocks, pieces, first, column = [], [], 0, 0
        for number, lane in enumerate(self.lanes):
            width, start = lane.loss.width, 0
            while start < len(lane):
                room = max((self.block - (column - first)) // width, 0 if pieces else 1)
                if not room:
                    self.blocks.append((slice(first, column), pieces))
                    pieces, first = [], column
                    continue
                stop = min(start + room, len(lane))
                begin, column = column, column + (stop - start) * width
                pieces.append((number, slice(start, stop), slice(begin - first, column - first)))
                start = stop
        self.blocks.append((slice(first, column), pieces))

    def reach(self, loss: torch.Tensor) -> torch.Tensor:
        """[units] the objective that the tolerance is relative to."""
        return torch.maximum(self.strict * loss, self.floor)

    def spread(self, values: torch.Tensor) -> torch.Tensor:
        """[units] -> [columns]."""
        return values.index_select(0, self.owner)

    def dot(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Inner product of each unit: [columns, rank + 1] twice -> [units]."""
        return self._gather(torch.linalg.vecdot(a, b))

    def _gather(self, values: torch.Tensor) -> torch.Tensor:
        """[columns] -> [units], summed (not by `index_add_`, whose order a GPU leaves open)."""
        if self.own is None:
            return values
        return torch.nn.functional.pad(values, (0, 1))[self.own].sum(dim=1)

    def first(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Starts from the intercepts alone: the units of a set are still one."""
        lanes, self.lanes = self.lanes, []
        means = added(self.team, *(lane.loss.means() for lane in lanes))
        starts = [lane.loss.start(mean) for lane, mean in zip(lanes, means, strict=True)]
        for lane, start in zip(lanes, starts, strict=True):
            sets = torch.arange(len(start), device=start.device)
            self.lanes.append(Lane(lane.loss, sets, torch.zeros_like(start[:, 0]), sets))
        self._arrange()
        theta = self.features.new_zeros(len(self.owner), self.features.shape[1])
        theta[:, -1] = torch.cat([start.flatten() for start in starts])
        loss, gradient, bends = self.evaluate(theta, True)
        losses, parts, thetas = [], [], []
        for lane, units, columns in zip(lanes, self.units, self.columns, strict=True):
            losses.append(loss[units][lane.sets])
            for values, out in ((theta, thetas), (gradient, parts)):
                some = values[columns].view(-1, lane.loss.width, values.shape[1])
                out.append(some[lane.sets].flatten(0, 1))
        self.lanes = lanes
        self._arrange()
        self.theta = torch.cat(thetas)
        self.curvatures = [b[lane.sets] for b, lane in zip(bends, lanes, strict=True)]
        self.bend(self.curvatures, None)
        return torch.cat(losses), torch.cat(parts)

    def evaluate(
        self, theta: torch.Tensor, bend: bool
    ) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
        """Objective [units], gradient [columns, rank + 1], curvatures of each lane if asked."""
        rows = len(self.features)
        most = max(columns.stop - columns.start for columns, _ in self.blocks)
        if len(self.logits) < most * rows:
            self.logits = theta.new_empty(most * rows)
        gradient = torch.empty_like(theta)
        losses, bends = [], [[] for _ in self.lanes]
        for columns, pieces in self.blocks:
            count = columns.stop - columns.start
            logits = self.logits[: count * rows].view(count, rows)
            self.rows.logits(theta[columns], logits)
            for number, units, place in pieces:
                lane = self.lanes[number]
                some = logits[place].view(units.stop - units.start, lane.loss.width, rows)
                loss, curvature = lane.loss.residual(some, lane.sets[units], bend)
                losses.append(loss)
                bends[number].append(curvature)
            self.rows.gradient(logits, gradient[columns])
        bends = [torch.cat(some) for some in bends] if bend else []
        loss, gradient, *bends = added(self.team, torch.cat(losses), gradient, *bends)
        flat, steep = theta[:, :-1], gradient[:, :-1]
        steep.addcmul_(flat, self.penalty)
        ridge = self._gather(torch.linalg.vecdot(flat, flat) * self.penalty[:, 0])
        return loss + 0.5 * ridge, gradient, bends

    def bend(self, curvatures: list[torch.Tensor], good: torch.Tensor | None) -> None:
        """Brings the preconditioner up to date, where the step was good."""
        self.turns, sizes = [], []
        for number, units in enumerate(self.units):
            curvature = curvatures[number]
            if good is not None:
                mask = good[units, None, None]
                curvature = torch.where(mask, curvature, self.curvatures[number])
            self.curvatures[number] = curvature
            if curvature.shape[1] == 1:
                self.turns.append(None)
                sizes.append(curvature[:, 0])
            else:
                size, turn = torch.linalg.eigh(curvature)
                # all classes' logits together: the loss does not change, nor need the weights
                size[:, 0] = torch.inf
                self.turns.append(turn)
                sizes.append(size.clamp_min(1e-6 * size[:, -1:]))
        size = torch.cat([some.flatten() for some in sizes])[:, None].clamp_min(1e-12)
        self.inverse = size * self.rows.spectrum
        self.inverse[:, :-1] += self.penalty
        self.inverse.reciprocal_()

    def precondition(self, values: torch.Tensor) -> torch.Tensor:
        """[columns, rank + 1] times an estimate of the inverse Hessian."""
        if all(turn is None for turn in self.turns):
            return values * self.inverse
        out = torch.empty_like(values)
        for turn, columns, lane in zip(self.turns, self.columns, self.lanes, strict=True):
            some, inverse = values[columns], self.inverse[columns]
            if turn is None:
                torch.mul(some, inverse, out=out[columns])
            else:
                shape = (-1, lane.loss.width, values.shape[1])
                turned = torch.bmm(turn.transpose(1, 2), some.view(shape))
                turned *= inverse.view(shape)
                torch.bmm(turn, turned, out=out[columns].view(shape))
        return out

    def direction(self, gradient: torch.Tensor, pairs, scale: torch.Tensor) -> torch.Tensor:
        """Minus the inverse Hessian, as L-BFGS knows it, times the gradient (two loops)."""
        ahead, weights = -gradient, []
        for move, change, rate in reversed(pairs):
            weight = rate * self.dot(move, ahead)
            weights.append(weight)
            ahead.addcmul_(change, -self.spread(weight)[:, None])
        ahead = self.precondition(ahead).mul_(self.spread(scale)[:, None])
        for (move, change, rate), weight in zip(pairs, reversed(weights), strict=True):
            weight = weight - rate * self.dot(change, ahead)
            ahead.addcmul_(move, self.spread(weight)[:, None])
        return ahead

    def write(
        self,
        loss: torch.Tensor,
        converged: torch.Tensor,
        step: int,
        done: torch.Tensor | None = None,
    ) -> None:
        """Writes down the units marked, or all."""
        for lane, optimum, units, columns in zip(
            self.lanes, self.answers, self.units, self.columns, strict=True
        ):
            which = slice(None) if done is None else done[units]
            number = lane.number[which]
            theta = self.theta[columns].view(-1, lane.loss.width, self.theta.shape[1])
            optimum.theta[number] = theta[which]
            optimum.loss[number] = loss[units][which]
            optimum.steps[number] = step
            optimum.converged[number] = converged[units][which]

    def keep(self, stay: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Drops all other units; which units and columns stayed."""
        columns = torch.nonzero(self.spread(stay))[:, 0]
        self.theta = self.theta.index_select(0, columns)
        self.inverse = self.inverse.index_select(0, columns)
        parts = [stay[units] for units in self.units]
        some = [number for number, part in enumerate(parts) if bool(part.any())]
        self.lanes = [self.lanes[n].only(parts[n]) for n in some]
        self.answers = [self.answers[n] for n in some]
        self.curvatures = [self.curvatures[n][parts[n]] for n in some]
        turns = [self.turns[n] for n in some]
        self.turns = [t if t is None else t[parts[n]] for n, t in zip(some, turns, strict=True)]
        self._arrange()
        return torch.nonzero(stay)[:, 0], columns


def _ends(some: slice) -> tuple[int, int]:
    return some.start, some.stop
