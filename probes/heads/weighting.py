"""A learned weighted sum of all layers under a linear map."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Literal

import numpy as np
import torch

from probes.design import Design, standardisation
from probes.errors import ProbeError
from probes.heads.base import Answers, JoiningHead, asked
from probes.heads.memory import limit
from probes.heads.objective import Objective
from probes.heads.perceptrons import side_by_side
from probes.heads.training import Networks, Schedule, Trained, train
from probes.splits import TRAIN, VALID
from probes.targets import Target

WIDEST = 256  # principal components of layers whose widths differ


@dataclass(frozen=True)
class Weighting(JoiningHead):
    """Softmax weights of layers, learned together with a linear map of their sum.

    Weights are no evidence of where something is encoded: a layer that can be replaced by its
    neighbours gets any share of their weight, and large norms attract weight (Fayyaz et al. 2021,
    arXiv:2109.05958). So layers are normalised first, training starts from equal weights and from
    random ones, and the weights are to be read beside the scores of single layers, with their
    entropy and the agreement of the starts, never alone.

    Layers of different widths cannot be summed: then each is reduced to its leading principal
    components, as many as the layer of least rank has and at most 256.

    Facts of a choice: `weights` of `layers`, their `entropy` in nats (of equal weights:
    `entropy_of_equal_weights`), both for every one of `starts` with the same rate, and `agreement`,
    the share of weight that two of these starts have in common, averaged over pairs; `note` where
    layers were reduced.

    Parameters
    ----------
    rates : learning rates of Adam; every one is tried from every start.
    l2 : weight decay of Adam.
    random_starts : beside the equal one; logarithms of weights are standard normal.
    speed : by how much the rate of the weights' logarithms is above that of the map. Adam moves
        every parameter by about its rate a step; at the rate of the map weights would hardly leave
        their start before the map has converged.
    seed : of random starts and minibatches.
    normalise : standardise every column, or divide a layer by its root mean square about its mean.
    memory : bytes that all layers may take; by the machine unless given.
    """

    rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
    l2: float = 0.0
    random_starts: int = 3
    speed: float = 10.0
    normalise: Literal["standard", "rms"] = "standard"
    batch: int = 128
    schedule: Schedule = Schedule(patience=20, most=300)
    seed: int = 0
    memory: int | None = None
    name: str = "weighting"
    title: str = "Learned weights of layers"
    meaning: str = "it is linearly decodable from a weighted sum of the layers"
    source: str = "Peters et al. 2018, arXiv:1802.05365; Yang et al. 2021 (SUPERB)"

    @property
    def starts(self) -> tuple[str, ...]:
        """Names of the starts."""
        return ("equal", *(f"random {i + 1}" for i in range(self.random_starts)))

    @property
    def choices(self):
        return tuple({"learning_rate": r, "start": s} for r, s in product(self.rates, self.starts))

    def fit(self, layers, targets):
        if not targets:
            return []
        names, stack, rows, note = self._stack(layers, targets)
        device = stack.device
        objectives = [Objective(target, device) for target in targets]
        grid = list(product(self.rates, range(len(self.starts))))
        owner = [t for _ in grid for t in range(len(targets))]
        networks = Weighted(
            stack,
            [
                self._start(stack.shape, objectives[t].width, s)
                for _, s in grid
                for t in range(len(targets))
            ],
            max(one.width for one in objectives),
            self.speed,
        )
        trained = train(
            networks,
            objectives,
            torch.tensor(owner, device=device),
            torch.tensor([rate for rate, _ in grid for _ in targets], dtype=torch.float64),
            torch.full((len(owner),), self.l2, dtype=torch.float64),
            rows(targets[0], TRAIN),
            [rows(target, VALID) for target in targets],
            schedule=self.schedule,
            batch=self.batch,
            seed=self.seed,
        )
        found = []
        for place, objective in enumerate(objectives):
            mine = slice(place, None, len(targets))
            facts = self._facts(names, trained, mine, note)
            parameters = {k: v[mine] for k, v in trained.parameters.items()}
            outputs = {}
            for split in asked(objective.target):
                raw = networks.outputs(parameters, {}, rows(objective.target, split))
                outputs[split] = objective.outputs(raw[..., : objective.width])
            found.append(Answers(outputs, trained.converged[mine].cpu().numpy(), facts))
        return found

    def _start(self, shape: torch.Size, outputs: int, number: int) -> dict[str, torch.Tensor]:
        """The map starts at zero: what random ones say would move the weights at random."""
        generator = torch.Generator().manual_seed(self.seed + number)
        drawn = torch.randn(shape[0], generator=generator)
        return {
            "outer": torch.zeros(shape[2], outputs),
            "outer_bias": torch.zeros(1, outputs),
            "layers": drawn if number else torch.zeros(shape[0]),
        }

    def _facts(
        self, names: Sequence[str], trained: Trained, mine: slice, note: str
    ) -> list[dict[str, object]]:
        """For each choice; see above."""
        weights = trained.parameters["layers"][mine].double().softmax(dim=1).cpu()
        facts = []
        for group in weights.split(len(self.starts)):
            shared = [float(torch.minimum(a, b).sum()) for a, b in combinations(group, 2)]
            starts = [
                {"start": name, "weights": one.tolist(), "entropy": _entropy(one)}
                for name, one in zip(self.starts, group, strict=True)
            ]
            more = {"note": note} if note else {}
            facts += [
                {
                    "layers": list(names),
                    "weights": one["weights"],
                    "entropy": one["entropy"],
                    "entropy_of_equal_weights": math.log(len(names)),
                    "agreement": float(np.mean(shared)) if shared else 1.0,
                    "starts": starts,
                    **more,
                }
                for one in starts
            ]
        return facts

    def _stack(self, layers: Iterable[tuple[str, torch.Tensor]], targets: Sequence[Target]):
        """All layers on the rows that are used, [layers, rows, width], and how to find rows."""
        used = np.unique(np.concatenate([i for t in targets for i in t.index.values()]))
        train = np.searchsorted(used, targets[0].index[TRAIN])
        names, found, size = [], [], 0
        for name, layer in layers:
            some = layer[torch.as_tensor(used, device=layer.device)]
            size += 4 * some.numel()
            self._check(size, layer.device)
            index = torch.as_tensor(train, device=layer.device)
            names.append(name)
            found.append(_normalised(some, index, self.normalise))
        if not found:
            raise ProbeError(f"head {self.name}: there are no layers to weigh")
        note = ""
        if len({layer.shape[1] for layer in found}) > 1:
            parts = [_components(layer, index) for layer in found]
            width = min(part.shape[1] for part in parts)
            found = [_normalised(part[:, :width], index, "rms") for part in parts]
            note = f"widths differ: every layer is reduced to {width} principal components"
        stack = torch.stack(found)

        def rows(target: Target, split: str) -> torch.Tensor:
            return torch.as_tensor(np.searchsorted(used, target.index[split]), device=stack.device)

        return names, stack, rows, note

    def _check(self, size: int, device: torch.device) -> None:
        most = limit(device) if self.memory is None else self.memory
        # twice: the layers, and their stack
        if 2 * size > most:
            raise ProbeError(
                f"head {self.name}: the layers take more than the {most / 2**30:.1f} GB that may "
                "be used; leave this head out, or use fewer rows"
            )


class Weighted(Networks):
    """Networks that sum layers.

    Parameters
    ----------
    stack : [layers, rows, width].
    starts : of each network: `outer`, `outer_bias`, and `layers`, the logarithms of weights.
    outputs : width of the widest.
    """

    def __init__(self, stack: torch.Tensor, starts, outputs: int, speed: float):
        self.stack = stack
        self.speed = {"layers": speed}
        self.parameters = side_by_side(starts, outputs, stack.device)
        self.fixed = {}

    def rows(self, index):
        return self.stack[:, index]

    def forward(self, parameters, fixed, inputs, noise):
        weights = parameters["layers"].softmax(dim=1)
        mixed = torch.einsum("pl,lrw->prw", weights, inputs)
        return torch.baddbmm(parameters["outer_bias"], mixed, parameters["outer"])

    def at_once(self, networks):
        return (64 << 20) // (4 * self.stack.shape[2] * (len(self.stack) + networks))


def _entropy(weights: torch.Tensor) -> float:
    """In nats."""
    return float(torch.special.entr(weights).sum())


def _normalised(
    layer: torch.Tensor, train: torch.Tensor, how: Literal["standard", "rms"]
) -> torch.Tensor:
    """A layer [rows, width] whose training rows have mean zero and mean square one."""
    mean, scale = standardisation(layer[train])
    if how == "rms":
        spread = (layer[train].double() - mean).square().mean().sqrt()
        scale = torch.where(spread > 0, 1 / spread, 0.0)
    return ((layer.double() - mean) * scale).float()


def _components(layer: torch.Tensor, train: torch.Tensor) -> torch.Tensor:
    """The leading principal components of a layer, standardised, on all rows."""
    design = Design.of(layer[train])
    return design.rotate(layer)[:, :WIDEST]
