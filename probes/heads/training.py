"""Adam for many small networks side by side, each with its own rate and its own end.

A network is a slice of every parameter tensor along its first axis, so that a step of all of them
is a few batched products. All see the same minibatches and the same noise: what tells two of them
apart is their setting. Whether a network is trained alone or beside others changes nothing for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch.optim.adam import adam

from probes.heads.objective import Objective
from probes.splits import TRAIN

PLATEAU = 1e-4  # relative gain below which the halving of rates takes it for none


@dataclass(frozen=True)
class Schedule:
    """When networks are looked at, and when they stop.

    Attributes
    ----------
    patience : evaluations on validation without a gain after which a network stops.
    most : evaluations after which all stop; those that had patience left are not converged.
    every : steps between evaluations; 0 for an epoch.
    stop_on : what counts as a gain: see `Objective.shortfall`.
    halve_after : evaluations without a gain after which a network's rate is halved; 0 for never.
    dealt : whether minibatches are dealt from a shuffled training set, epoch by epoch, or each
        drawn anew from all of it.
    """

    patience: int = 20
    most: int = 300
    every: int = 0
    stop_on: Literal["loss", "score"] = "loss"
    halve_after: int = 0
    dealt: bool = True


class Networks(ABC):
    """Networks of one shape.

    Attributes
    ----------
    parameters : name -> [networks, ...] float32, where training starts.
    fixed : name -> [networks, ...] what else tells networks apart (dropout ...).
    speed : name of a parameter -> by how much its rate is above the network's.
    """

    parameters: dict[str, torch.Tensor]
    fixed: dict[str, torch.Tensor]
    speed: Mapping[str, float] = {}

    @abstractmethod
    def rows(self, index: torch.Tensor) -> object:
        """The inputs of some rows, as `forward` takes them."""

    @abstractmethod
    def forward(
        self,
        parameters: Mapping[str, torch.Tensor],
        fixed: Mapping[str, torch.Tensor],
        inputs: object,
        noise: object,
    ) -> torch.Tensor:
        """[networks, rows, outputs]; `noise` is None outside training."""

    def noise(self, generator: torch.Generator, rows: int) -> object:
        """What dropout needs for a minibatch, the same for all networks."""
        return None

    def at_once(self, networks: int) -> int:
        """How many rows so many networks can be asked for at a time."""
        return 1 << 30

    def outputs(
        self,
        parameters: Mapping[str, torch.Tensor],
        fixed: Mapping[str, torch.Tensor],
        index: torch.Tensor,
    ) -> torch.Tensor:
        """[networks, rows, outputs] without noise, so many rows at a time as memory allows."""
        count = len(next(iter(parameters.values())))
        with torch.no_grad():
            parts = [
                self.forward(parameters, fixed, self.rows(some), None)
                for some in index.split(max(1, self.at_once(count)))
            ]
        return torch.cat(parts, dim=1)


@dataclass(frozen=True)
class Trained:
    """What training came to.

    Attributes
    ----------
    parameters : of every network where it was best on validation.
    converged : [networks] whether it stopped by itself.
    step : [networks] after how many steps it was best.
    trace : [evaluations, networks] `Objective.shortfall`; NaN after a network has left.
    """

    parameters: dict[str, torch.Tensor]
    converged: torch.Tensor
    step: torch.Tensor
    trace: torch.Tensor


def train(
    networks: Networks,
    objectives: Sequence[Objective],
    owner: torch.Tensor,
    rates: torch.Tensor,
    decays: torch.Tensor,
    rows: torch.Tensor,
    held: Sequence[torch.Tensor],
    *,
    schedule: Schedule,
    batch: int,
    seed: int,
) -> Trained:
    """Trains networks until validation gains no more.

    Adam as of Kingma and Ba 2015, squared weights added to the loss (`weight_decay` of
    torch.optim.Adam). The start counts as an evaluation, so the best state always exists.

    Parameters
    ----------
    objectives : one a target.
    owner : [networks] number of its objective.
    rates, decays : [networks] learning rate and weight decay, float64.
    rows : [train] numbers of the training rows, as `Networks.rows` takes them.
    held : validation rows of each objective, likewise.
    batch : rows a step.
    seed : of minibatches and noise, on the CPU whatever the device.
    """
    run = _Run(networks, objectives, owner, rates, decays, held)
    device = owner.device
    draw = torch.Generator().manual_seed(seed)
    shake = torch.Generator().manual_seed(seed + 1)
    epoch = -(-len(rows) // batch)
    every = schedule.every or epoch
    batches = minibatches(len(rows), batch, draw, schedule.dealt)
    step = 0
    while True:
        if step % every == 0:
            run.evaluate(step, schedule)
            if not len(run.alive) or len(run.trace) > schedule.most:
                break
        index = next(batches).to(device, non_blocking=True)
        run.step(rows[index], index, networks.noise(shake, len(index)))
        step += 1
    return Trained(run.best, run.converged, run.at, torch.stack(run.trace))


def minibatches(
    rows: int, batch: int, generator: torch.Generator, dealt: bool = True
) -> Iterator[torch.Tensor]:
    """Numbers of rows, minibatch by minibatch, without end; see `Schedule.dealt`."""
    while True:
        order = torch.randperm(rows, generator=generator)
        yield from order.split(batch) if dealt else (order[:batch],)


class _Run:
    """Networks that have not stopped, side by side.

    Attributes
    ----------
    alive : [active] number of each network.
    best : parameters of all networks where they were best.
    """

    def __init__(self, networks, objectives, owner, rates, decays, held):
        self.networks, self.objectives = networks, objectives
        self.owner, self.rates, self.decays = owner, rates.to(owner.device), decays.to(owner.device)
        self.parameters = {k: v.clone() for k, v in networks.parameters.items()}
        self.moments = {
            k: (torch.zeros_like(v), torch.zeros_like(v)) for k, v in self.parameters.items()
        }
        self.fixed = dict(networks.fixed)
        self.best = {k: v.clone() for k, v in self.parameters.items()}
        count, device = len(owner), owner.device
        self.alive = torch.arange(count, device=device)
        self.top = torch.full((count,), torch.inf, dtype=torch.float64, device=device)
        self.level = self.top.clone()
        self.waited = torch.zeros(count, dtype=torch.int64, device=device)
        self.flat = self.waited.clone()
        self.at = self.waited.clone()
        self.converged = torch.zeros(count, dtype=torch.bool, device=device)
        self.trace: list[torch.Tensor] = []
        self.steps = 0
        self.asked = torch.unique(torch.cat(list(held)))
        self.places = [torch.searchsorted(self.asked, some) for some in held]
        self._arrange()

    def _arrange(self) -> None:
        """Which networks each objective has, and which stand together with equal rates."""
        owner = self.owner[self.alive]
        self.members = [torch.nonzero(owner == i)[:, 0] for i in range(len(self.objectives))]
        rates, decays = self.rates[self.alive].tolist(), self.decays[self.alive].tolist()
        pairs = list(zip(rates, decays, strict=True))
        starts = [i for i, pair in enumerate(pairs) if i == 0 or pair != pairs[i - 1]]
        ends = [*starts[1:], len(pairs)] if starts else []
        device = self.owner.device
        self.runs = [
            (slice(a, b), *pairs[a],
             [torch.tensor(float(self.steps), device=device) for _ in self.parameters])
            for a, b in zip(starts, ends, strict=True)
        ]  # fmt: skip

    def step(self, rows: torch.Tensor, index: torch.Tensor, noise: object) -> None:
        """One step of every network on one minibatch; `index` is its place among training rows."""
        leaves = {k: v.requires_grad_() for k, v in self.parameters.items()}
        raw = self.networks.forward(leaves, self.fixed, self.networks.rows(rows), noise)
        total = sum(
            one.loss(raw[some, :, : one.width], one.truth[TRAIN][index]).sum()
            for one, some in zip(self.objectives, self.members, strict=True)
            if len(some)
        )
        gradients = torch.autograd.grad(total, list(leaves.values()))
        self.parameters = {k: v.detach() for k, v in leaves.items()}
        for some, rate, decay, counts in self.runs:
            for (name, value), gradient, count in zip(
                self.parameters.items(), gradients, counts, strict=True
            ):
                first, second = self.moments[name]
                adam(
                    [value[some]], [gradient[some]], [first[some]], [second[some]], [], [count],
                    fused=True, amsgrad=False, beta1=0.9, beta2=0.999, eps=1e-8, maximize=False,
                    lr=rate * self.networks.speed.get(name, 1.0), weight_decay=decay,
                )  # fmt: skip
        self.steps += 1

    def evaluate(self, step: int, schedule: Schedule) -> None:
        """Notes what validation says, keeps the best states, drops what has stopped."""
        raw = self.networks.outputs(self.parameters, self.fixed, self.asked)
        now = self.top.new_full((len(self.alive),), torch.inf)
        for one, some, place in zip(self.objectives, self.members, self.places, strict=True):
            if len(some):
                now[some] = one.shortfall(raw[some][:, place, : one.width], schedule.stop_on)
        trace = self.top.new_full((len(self.top),), torch.nan)
        trace[self.alive] = now
        self.trace.append(trace)
        better = now < self.top[self.alive]
        gained = self.alive[better]
        self.top[gained], self.at[gained] = now[better], step
        for name, value in self.parameters.items():
            self.best[name][gained] = value[better]
        waited = torch.where(better, 0, self.waited[self.alive] + 1)
        self.waited[self.alive] = waited
        if schedule.halve_after:
            self._halve(now, schedule.halve_after)
        stopped = waited >= schedule.patience
        if bool(stopped.any()):
            self.converged[self.alive[stopped]] = True
            self._keep(~stopped)

    def _halve(self, now: torch.Tensor, patience: int) -> None:
        """As torch.optim.lr_scheduler.ReduceLROnPlateau with a factor of one half."""
        level = self.level[self.alive]
        ahead = torch.where(level.isfinite(), level - PLATEAU * level.abs(), level)
        better = now < ahead
        self.level[self.alive] = torch.where(better, now, level)
        flat = torch.where(better, 0, self.flat[self.alive] + 1)
        due = flat > patience
        self.flat[self.alive] = torch.where(due, 0, flat)
        if bool(due.any()):
            self.rates = self.rates.clone()
            self.rates[self.alive[due]] *= 0.5
            self._arrange()

    def _keep(self, which: torch.Tensor) -> None:
        self.alive = self.alive[which]
        self.parameters = {k: v[which] for k, v in self.parameters.items()}
        self.moments = {k: (m[which], v[which]) for k, (m, v) in self.moments.items()}
        self.fixed = {k: v[which] for k, v in self.fixed.items()}
        self._arrange()
