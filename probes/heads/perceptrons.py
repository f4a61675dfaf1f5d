"""Networks with one hidden layer or none, many side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch.nn.functional import pad

from probes.heads.training import Networks


class Perceptrons(Networks):
    """Perceptrons of one shape on rows of several layers.

    Parameters
    ----------
    inputs : [layers, rows, width].
    starts : of each network, its weights by name.
    outputs : width of the widest network; those that need less have zeros that never change.
    layer : [networks] which of the inputs.
    dropout, input_dropout : [networks].
    drops : whether there is any noise on hidden units, and on inputs.
    size : bytes that an evaluation may take.
    """

    def __init__(self, inputs, starts, outputs, layer, dropout, input_dropout, drops, size):
        device = inputs.device
        self.inputs, self.drops, self.size = inputs, drops, size
        self.parameters = side_by_side(starts, outputs, device)
        self.fixed = {
            "layer": layer.to(device),
            "dropout": dropout.to(device),
            "input_dropout": input_dropout.to(device),
        }

    @property
    def hidden(self) -> int:
        return self.parameters["inner"].shape[2] if "inner" in self.parameters else 0

    def rows(self, index):
        return self.inputs[:, index]

    def noise(self, generator, rows):
        widths = (self.hidden, self.inputs.shape[2])
        return [
            torch.rand(rows, width, generator=generator).to(self.inputs.device, non_blocking=True)
            if drops
            else None
            for width, drops in zip(widths, self.drops, strict=True)
        ]

    def forward(self, parameters, fixed, inputs, noise):
        drop_hidden, drop_input = (None, None) if noise is None else noise
        if len(inputs) == 1:
            x = inputs.expand(len(fixed["layer"]), -1, -1)
        else:
            x = inputs[fixed["layer"]]
        x = _dropped(x, drop_input, fixed["input_dropout"])
        if "inner" in parameters:
            x = torch.baddbmm(parameters["inner_bias"], x, parameters["inner"]).relu()
            x = _dropped(x, drop_hidden, fixed["dropout"])
        return torch.baddbmm(parameters["outer_bias"], x, parameters["outer"])

    def at_once(self, networks):
        shown = 1 if len(self.inputs) == 1 else networks
        row = shown * self.inputs.shape[2] + networks * self.hidden
        return self.size // (8 * max(row, 1))


def _dropped(x, noise, share):
    """Inverted dropout, from uniform noise [rows, units] and a share a network."""
    if noise is None:
        return x
    share = share[:, None, None]
    return x * ((noise >= share) / (1 - share))


def start(width: int, hidden: int, outputs: int, seed: int) -> dict[str, torch.Tensor]:
    """Weights as torch.nn.Linear draws them: uniform within one over the root of the inputs."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int, inputs: int) -> torch.Tensor:
        return (2 * torch.rand(*shape, generator=generator) - 1) / math.sqrt(inputs)

    out = {}
    if hidden:
        out["inner"] = drawn(width, hidden, inputs=width)
        out["inner_bias"] = drawn(1, hidden, inputs=width)
        width = hidden
    out["outer"] = drawn(width, outputs, inputs=width)
    out["outer_bias"] = drawn(1, outputs, inputs=width)
    return out


def side_by_side(
    starts: Sequence[Mapping[str, torch.Tensor]], outputs: int, device: torch.device
) -> dict[str, torch.Tensor]:
    """Weights of networks by name, [networks, ...]; `outer` is padded to so many outputs."""
    out = {}
    for name in starts[0]:
        wide = outputs if name.startswith("outer") else starts[0][name].shape[-1]
        out[name] = torch.stack([pad(one[name], (0, wide - one[name].shape[-1])) for one in starts])
    return {name: value.to(device) for name, value in out.items()}
