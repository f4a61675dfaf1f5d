"""All layers side by side under one linear probe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from probes.design import Design, eigh, standardisation, strong
from probes.errors import ProbeError
from probes.heads.base import JoiningHead
from probes.heads.linear import PENALTIES, LinearLayer, held
from probes.heads.memory import limit
from probes.solvers import solve
from probes.splits import TRAIN
from probes.targets import Target


@dataclass(frozen=True)
class Concatenation(JoiningHead):
    """The exact linear probe of all layers, each standardised, concatenated.

    A penalty on the weights makes the optimum lie in the span of the training rows, so all that
    is needed of the layers are the products of rows, which are sums over layers. Each layer is
    read once; memory is that of one layer, of [train, train] and of [held-out, train].

    Parameters
    ----------
    penalties : of the squared weights, against the loss summed over training rows.
    memory : bytes that the products may take; by the machine unless given.
    """

    penalties: tuple[float, ...] = PENALTIES
    memory: int | None = None
    name: str = "concatenation"
    title: str = "All layers concatenated"
    meaning: str = "it is linearly decodable from all layers together"
    source: str = "EVAR (Niizumi et al. 2023); MARBLE, version 2"

    @property
    def choices(self):
        return tuple({"penalty": penalty} for penalty in self.penalties)

    def fit(self, layers, targets):
        if not targets:
            return []
        joint = JointLayers(layers, targets, self.memory)
        problems = [joint.problem(target, self.penalties) for target in targets]
        fits = solve(joint.design, problems)
        return [joint.answers(t, fit) for t, fit in zip(targets, fits, strict=True)]


class JointLayers(LinearLayer):
    """All layers as one `LinearLayer`, in the axes of their concatenation."""

    def __init__(
        self,
        layers: Iterable[tuple[str, torch.Tensor]],
        targets: Sequence[Target],
        size: int | None = None,
    ):
        self.targets = tuple(targets)
        train = targets[0].index[TRAIN]
        by_split = held(targets)
        every = np.concatenate(list(by_split.values()))
        products = None
        for _, layer in layers:
            device = layer.device
            if products is None:
                _check(len(train), len(every), size, device)
                products = [
                    torch.zeros(count, len(train), dtype=torch.float64, device=device)
                    for count in (len(train), len(every))
                ]
            some = layer[torch.as_tensor(train, device=device)]
            mean, scale = standardisation(some)
            some = (some.double() - mean) * scale
            products[0].addmm_(some, some.T)
            rest = layer[torch.as_tensor(every, device=device)]
            products[1].addmm_((rest.double() - mean) * scale, some.T)
        gram, cross = products
        n = len(gram)
        values, vectors = strong(*eigh(gram / n))
        # of float64 as long as products of rows stand for rows: small axes are differences of them
        axes = vectors / (values * n).sqrt()
        self.design = Design(
            (gram @ axes).float(),
            values,
            torch.zeros_like(gram[0]),
            torch.ones_like(gram[0]),
            axes.float(),
        )
        ends = np.cumsum([len(rows) for rows in by_split.values()])[:-1]
        parts = (cross @ axes).float().tensor_split(ends.tolist())
        self._held = {
            split: (rows, part) for (split, rows), part in zip(by_split.items(), parts, strict=True)
        }


def _check(train: int, held: int, size: int | None, device: torch.device) -> None:
    """Raises `ProbeError` where the products, and their decomposition, do not fit."""
    size = limit(device) if size is None else size
    needed = 8 * train * (4 * train + held)
    if needed > size:
        raise ProbeError(
            f"head concatenation: {train} training rows need {needed / 2**30:.1f} GB for their "
            f"products, {size / 2**30:.1f} GB may be used; leave this head out, or use fewer rows"
        )
