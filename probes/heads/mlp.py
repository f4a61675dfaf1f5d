"""Perceptrons with one hidden layer, or none, trained by Adam with early stopping.

All settings of the grid, targets and layers that fit into memory are trained side by side.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from probes.design import standardisation
from probes.heads.base import Answers, LayerHead, asked
from probes.heads.memory import FLOOR, budget
from probes.heads.objective import Objective
from probes.heads.perceptrons import Perceptrons, start
from probes.heads.training import Schedule, Trained, train
from probes.memory import in_pieces
from probes.splits import TRAIN, VALID
from probes.targets import Target


@dataclass(frozen=True)
class Recipe:
    """One entry of a grid.

    Attributes
    ----------
    learning_rate : of Adam.
    hidden : rectified units; 0 for a linear map.
    dropout : share of hidden units that a minibatch leaves out.
    input_dropout : share of input units likewise.
    l2 : weight decay, added to the gradient as `weight_decay` of torch.optim.Adam is.
    standardise : whether columns are standardised on training rows.
    batch : rows a minibatch.
    """

    learning_rate: float = 1e-3
    hidden: int = 512
    dropout: float = 0.0
    input_dropout: float = 0.0
    l2: float = 0.0
    standardise: bool = True
    batch: int = 64


GRID = tuple(
    Recipe(learning_rate=rate, dropout=dropout, batch=128)
    for rate in (3e-4, 1e-3, 3e-3)
    for dropout in (0.2, 0.5)
)


@dataclass(frozen=True)
class MLP(LayerHead):
    """Multilayer perceptrons, one for each entry of the grid.

    Weights start as those of torch.nn.Linear do, the same for every entry of a shape.

    Parameters
    ----------
    grid : of settings; those with the same shape, scaling and minibatch are one batch of problems.
    seed : of starting weights, minibatches and dropout.
    memory : bytes that a batch of problems may take; by the device unless given. Changes no result.
    """

    grid: tuple[Recipe, ...] = GRID
    schedule: Schedule = Schedule(patience=10, most=200)
    seed: int = 0
    memory: int | None = None
    name: str = "mlp"
    title: str = "One hidden layer"
    meaning: str = "it can be read out by one layer of nonlinear units"
    source: str = "Yuan et al. 2023 (MARBLE); Castellon et al. 2021 (jukemir)"

    @property
    def choices(self):
        entries = [dataclasses.asdict(one) for one in self.grid]
        told = {k for k in entries[0] if len({one[k] for one in entries}) > 1} | {"learning_rate"}
        return tuple({k: v for k, v in one.items() if k in told} for one in entries)

    def fit(self, layer, targets):
        return self.fit_layers([layer], targets)[0]

    def fit_layers(self, layers, targets):
        size = budget(layers[0].device, self.memory)
        return in_pieces(
            "networks trained side by side", partial(self._fit_layers, layers, targets), size,
            floor=FLOOR,
        )  # fmt: skip

    def _fit_layers(self, layers, targets, size):
        out = [[_Room(target, len(self.grid)) for target in targets] for _ in layers]
        if not targets:
            return out
        device = layers[0].device
        rows = _Numbers(targets)
        objectives = [Objective(target, device) for target in targets]
        for some in _alike(layers, size, len(rows.used)):
            used = torch.as_tensor(rows.used, device=device)
            stack = torch.stack([layers[i][used] for i in some])
            rooms = [out[i] for i in some]
            for group in _batches(self.grid):
                first = self.grid[group[0]]
                inputs = _scaled(stack, rows.train) if first.standardise else stack
                jobs = [
                    _Job(i, t, c)
                    for c in group
                    for i in range(len(some))
                    for t in range(len(targets))
                ]
                for part in _parts(jobs, inputs, objectives, first, size):
                    nets = self._networks(part, group, inputs, objectives, size)
                    trained = self._train(part, nets, objectives, rows)
                    _answer(part, nets, trained, objectives, rows, rooms)
        return [[room.answers() for room in line] for line in out]

    def _networks(self, jobs, group, inputs, objectives, size) -> Perceptrons:
        recipes = [self.grid[job.choice] for job in jobs]
        width, hidden = inputs.shape[2], recipes[0].hidden
        starts = [start(width, hidden, one.width, self.seed) for one in objectives]
        return Perceptrons(
            inputs,
            [starts[job.target] for job in jobs],
            max(one.width for one in objectives),
            torch.tensor([job.layer for job in jobs]),
            torch.tensor([one.dropout for one in recipes]),
            torch.tensor([one.input_dropout for one in recipes]),
            # of all that share the noise, whichever of them are trained here
            (
                any(self.grid[c].dropout for c in group),
                any(self.grid[c].input_dropout for c in group),
            ),
            size,
        )

    def _train(self, jobs, nets, objectives, rows) -> Trained:
        device = nets.inputs.device
        recipes = [self.grid[job.choice] for job in jobs]
        present = sorted({job.target for job in jobs})
        owner = [present.index(job.target) for job in jobs]
        return train(
            nets,
            [objectives[t] for t in present],
            torch.tensor(owner, device=device),
            torch.tensor([one.learning_rate for one in recipes], dtype=torch.float64),
            torch.tensor([one.l2 for one in recipes], dtype=torch.float64),
            torch.as_tensor(rows.train, device=device),
            [torch.as_tensor(rows.of(t, VALID), device=device) for t in present],
            schedule=self.schedule,
            batch=recipes[0].batch,
            seed=self.seed,
        )


@dataclass(frozen=True)
class _Job:
    """One network: which of the layers, targets and grid entries."""

    layer: int
    target: int
    choice: int


class _Numbers:
    """Rows that any target uses, renumbered."""

    def __init__(self, targets: Sequence[Target]):
        self.targets = targets
        self.used = np.unique(np.concatenate([i for t in targets for i in t.index.values()]))
        self.train = self._place(targets[0].index[TRAIN])

    def _place(self, index: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.used, index)

    def of(self, target: int, split: str) -> np.ndarray:
        return self._place(self.targets[target].index[split])


class _Room:
    """The answers for one layer and target, as they come in."""

    def __init__(self, target: Target, choices: int):
        self.target, self.choices = target, choices
        self.outputs: dict[str, np.ndarray] = {}
        self.converged = np.zeros(choices, dtype=bool)

    def put(self, choice: int, split: str, outputs: np.ndarray) -> None:
        if split not in self.outputs:
            self.outputs[split] = np.empty((self.choices, *outputs.shape), outputs.dtype)
        self.outputs[split][choice] = outputs

    def answers(self) -> Answers:
        return Answers(self.outputs, self.converged)


def _answer(jobs, nets, trained, objectives, rows, rooms) -> None:
    """Puts down what the best states say about every split of their targets."""
    device = nets.inputs.device
    for number, objective in enumerate(objectives):
        mine = [place for place, job in enumerate(jobs) if job.target == number]
        if not mine:
            continue
        which = torch.tensor(mine, device=device)
        parameters = {k: v[which] for k, v in trained.parameters.items()}
        fixed = {k: v[which] for k, v in nets.fixed.items()}
        into = [(rooms[jobs[place].layer][number], jobs[place].choice) for place in mine]
        for split in asked(objective.target):
            index = torch.as_tensor(rows.of(number, split), device=device)
            raw = nets.outputs(parameters, fixed, index)[..., : objective.width]
            for (room, choice), said in zip(into, objective.outputs(raw), strict=True):
                room.put(choice, split, said)
        for (room, choice), one in zip(into, trained.converged[which].tolist(), strict=True):
            room.converged[choice] = one


def _alike(layers: Sequence[torch.Tensor], size: int, rows: int) -> Iterator[list[int]]:
    """Layers of one width, as many at a time as a quarter of the memory holds; at least one."""
    if layers[0].device.type == "cpu":
        # on a CPU networks of several layers thrash the cache
        yield from ([i] for i in range(len(layers)))
        return
    for width in sorted({layer.shape[1] for layer in layers}):
        some = [i for i, layer in enumerate(layers) if layer.shape[1] == width]
        most = max(1, size // (4 * 4 * rows * width))
        yield from (some[at : at + most] for at in range(0, len(some), most))


def _batches(grid: Sequence[Recipe]) -> list[list[int]]:
    """Places of grid entries that can be trained side by side, equal rates together."""
    groups: dict[tuple, list[int]] = {}
    for place, one in enumerate(grid):
        groups.setdefault((one.standardise, one.hidden, one.batch), []).append(place)
    return [
        sorted(group, key=lambda i: (grid[i].learning_rate, grid[i].l2))
        for group in groups.values()
    ]


def _parts(jobs, inputs, objectives, recipe, size) -> Iterator[list[_Job]]:
    """Jobs, so many at a time that their weights, moments and gradients fit into memory."""
    width, outputs = inputs.shape[2], max(one.width for one in objectives)
    hidden = recipe.hidden
    weights = (width + 1) * hidden + (hidden + 1) * outputs if hidden else (width + 1) * outputs
    activations = recipe.batch * (2 * width + 4 * hidden + 4 * outputs)
    most = max(1, size // (4 * (5 * weights + activations)))
    yield from (jobs[at : at + most] for at in range(0, len(jobs), most))


def _scaled(stack: torch.Tensor, train: np.ndarray) -> torch.Tensor:
    """Every layer standardised on its training rows: [layers, rows, width]."""
    index = torch.as_tensor(train, device=stack.device)
    out = torch.empty_like(stack)
    for layer, place in zip(stack, out, strict=True):
        mean, scale = standardisation(layer[index])
        place.copy_(((layer.double() - mean) * scale).float())
    return out
