"""A linear map on a weighted mean of a clip's frames, whose weights are learned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch

from probes.design import standardisation
from probes.errors import ProbeError
from probes.heads.base import Answers, PoolingHead, asked
from probes.heads.frames import Frames
from probes.heads.memory import FLOOR, budget
from probes.heads.objective import Objective
from probes.heads.training import Networks, Schedule, train
from probes.memory import in_pieces
from probes.splits import TRAIN, VALID
from probes.targets import Target


@dataclass(frozen=True)
class Attentive(PoolingHead):
    """Attention pooling: softmax over frames of their products with one learned query.

    Query and map start at zero, so that the first that is learned is the mean over frames; what
    this gains over the mean is what lies in few of them. Frames are standardised on those of the
    training clips.

    Parameters
    ----------
    rates : learning rates of Adam, the grid.
    l2 : weight decays of Adam, the other side of the grid.
    batch : clips a minibatch.
    seed : of minibatches.
    memory : bytes that padded clips may take outside training; by the device unless given.
        Changes no result.
    """

    rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
    l2: tuple[float, ...] = (0.0, 1e-3)
    batch: int = 32
    schedule: Schedule = Schedule(patience=10, most=200)
    seed: int = 0
    memory: int | None = None
    name: str = "attentive"
    title: str = "Attentive pooling"
    meaning: str = "it is linearly decodable from the frames that matter, wherever they are"
    source: str = "Safari, India and Hernando 2020, arXiv:2008.01077"

    @property
    def choices(self):
        return tuple({"learning_rate": r, "l2": d} for r in self.rates for d in self.l2)

    def fit(self, frames: Frames, targets: Sequence[Target]) -> list[Answers]:
        if not targets:
            return []
        size = budget(frames.rows.device, self.memory)
        fit = partial(self._fit, frames, targets)
        return in_pieces("padded clips", fit, size, floor=FLOOR)

    def _fit(self, frames: Frames, targets: Sequence[Target], size: int) -> list[Answers]:
        device = frames.rows.device
        clips = torch.as_tensor(targets[0].index[TRAIN], device=device)
        self._check(frames, targets)
        mean, scale = standardisation(frames.rows[frames.inside(clips)])
        scaled = ((frames.rows - mean.float()) * scale.float()).contiguous()
        frames = Frames(scaled, frames.first)
        objectives = [Objective(target, device) for target in targets]
        grid = [(r, d) for r in self.rates for d in self.l2]
        owner = [t for _ in grid for t in range(len(targets))]
        networks = Pooled(
            frames,
            len(owner),
            max(one.width for one in objectives),
            size,
        )
        trained = train(
            networks,
            objectives,
            torch.tensor(owner, device=device),
            torch.tensor([r for r, _ in grid for _ in targets], dtype=torch.float64),
            torch.tensor([d for _, d in grid for _ in targets], dtype=torch.float64),
            clips,
            [torch.as_tensor(target.index[VALID], device=device) for target in targets],
            schedule=self.schedule,
            batch=self.batch,
            seed=self.seed,
        )
        return [
            self._answers(networks, trained, objective, place, len(targets))
            for place, objective in enumerate(objectives)
        ]

    def _answers(self, networks, trained, objective, place, step) -> Answers:
        device = networks.frames.rows.device
        parameters = {k: v[place::step] for k, v in trained.parameters.items()}
        outputs = {}
        for split in asked(objective.target):
            index = torch.as_tensor(objective.target.index[split], device=device)
            raw = networks.outputs(parameters, {}, index)[..., : objective.width]
            outputs[split] = objective.outputs(raw)
        return Answers(outputs, trained.converged[place::step].cpu().numpy())

    def _check(self, frames: Frames, targets: Sequence[Target]) -> None:
        lengths = frames.lengths.cpu().numpy()
        for target in targets:
            for split, index in target.index.items():
                bare = index[(index >= len(lengths)) | (lengths[index % len(lengths)] == 0)]
                if len(bare):
                    raise ProbeError(
                        f"task {target.task.name}: clip {bare[0]} of {split} has no frames; "
                        "extract its frames, or leave it out"
                    )


class Pooled(Networks):
    """Networks that share the frames of clips.

    Parameters
    ----------
    count, outputs : how many, and the width of the widest.
    size : bytes of padded clips outside training.
    """

    def __init__(self, frames: Frames, count: int, outputs: int, size: int):
        device = frames.rows.device
        self.frames, self.size = frames, size
        self.parameters = {
            "outer": torch.zeros(count, frames.width, outputs, device=device),
            "outer_bias": torch.zeros(count, 1, outputs, device=device),
            "query": torch.zeros(count, frames.width, device=device),
        }
        self.fixed = {}

    def rows(self, index):
        return self.frames.padded(index)

    def forward(self, parameters, fixed, inputs, noise):
        values, there = inputs
        weights = attention(parameters["query"], values, there)
        pooled = torch.einsum("pct,ctw->pcw", weights, values)
        return torch.baddbmm(parameters["outer_bias"], pooled, parameters["outer"])

    def at_once(self, networks):
        longest = int(self.frames.lengths.max())
        return self.size // (4 * longest * (self.frames.width + networks))


def attention(query: torch.Tensor, values: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """Weights of frames [networks, clips, frames], which sum to one over those that are there.

    Parameters
    ----------
    query : [networks, width].
    values : [clips, frames, width].
    there : [clips, frames] bool.
    """
    scores = torch.einsum("pw,ctw->pct", query, values) / math.sqrt(values.shape[2])
    return scores.masked_fill(~there, -torch.inf).softmax(dim=2)
