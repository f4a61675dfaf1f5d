"""Stacks of convolution, batch norm and ReLU over a waveform, as CLMR and TUNe are made of.

A norm with fixed statistics is linear, so it is folded into the convolution before it (in float64:
the result differs from the two steps by rounding only). Frames stand before channels in memory:
an image one row high, for which a CPU's convolutions are about twice as fast as for a signal.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

TRIPLE = 3
"""Kernel, pooling and upsampling all span three frames."""


class Norm(nn.Module):
    """The numbers of a batch norm: scale and shift, and the statistics of training."""

    EPS = 1e-5

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))


def block(inputs: int, width: int) -> nn.ModuleList:
    """Convolution and norm, `0` and `1` in published files; drawn for a network of ReLUs."""
    conv = nn.Conv1d(inputs, width, TRIPLE)
    nn.init.kaiming_uniform_(conv.weight, nonlinearity="relu")
    nn.init.zeros_(conv.bias)
    return nn.ModuleList([conv, Norm(width)])


def _folded(published: nn.ModuleList) -> tuple[torch.Tensor, torch.Tensor]:
    """[width, inputs, 3] and [width]: the convolution with the norm in it."""
    conv, norm = published
    scale = norm.weight.double() / (norm.running_var.double() + norm.EPS).sqrt()
    weight = conv.weight.double() * scale[:, None, None]
    bias = (conv.bias.double() - norm.running_mean.double()) * scale + norm.bias.double()
    return weight.float().detach(), bias.float().detach()


class Framed(nn.Module):
    """The first block of a network that reads three samples at a time, no sample twice."""

    def __init__(self, published: nn.ModuleList):
        super().__init__()
        weight, bias = _folded(published)
        self.weight, self.bias = nn.Parameter(weight[:, 0].contiguous()), nn.Parameter(bias)

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        """[batch, samples] -> [batch, samples / 3, width]"""
        frames = waves.unflatten(1, (-1, TRIPLE))
        return F.linear(frames, self.weight, self.bias).relu_()


class Block(nn.Module):
    """Convolution over three frames with silence at both ends, folded norm, ReLU.

    With `pooled`, the maximum of each three frames follows; taken before the ReLU, which is the
    same and leaves it a third of the work.
    """

    def __init__(self, published: nn.ModuleList, *, pooled: bool = False):
        super().__init__()
        weight, bias = _folded(published)
        weight = weight[:, :, None].contiguous(memory_format=torch.channels_last)
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.pooled = pooled

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[batch, frames, inputs] -> [batch, frames (or a third of them), width]"""
        image = x[:, None].permute(0, 3, 1, 2)
        y = F.conv2d(image, self.weight, self.bias, padding=(0, 1))
        # one frame alone has two memory layouts, and the library may answer in the other one
        y = y.permute(0, 2, 3, 1)[:, 0].contiguous()
        return (largest(y) if self.pooled else y).relu_()


class Upsampling(nn.Module):
    """Transposed convolution from each frame to three; the triples do not overlap."""

    def __init__(self, published: nn.ConvTranspose1d):
        super().__init__()
        weight = published.weight.detach().permute(2, 1, 0).flatten(0, 1)
        self.weight = nn.Parameter(weight.contiguous())
        self.bias = nn.Parameter(published.bias.detach().repeat(TRIPLE))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[batch, frames, inputs] -> [batch, 3 frames, width]"""
        return F.linear(x, self.weight, self.bias).unflatten(2, (TRIPLE, -1)).flatten(1, 2)


def transposed(inputs: int, width: int) -> nn.ConvTranspose1d:
    """The published form of an `Upsampling`; drawn so that it keeps the scale."""
    conv = nn.ConvTranspose1d(inputs, width, TRIPLE, stride=TRIPLE)
    if not conv.weight.is_meta:  # torch would load its compiler to draw nothing
        nn.init.normal_(conv.weight, std=inputs**-0.5)
        nn.init.zeros_(conv.bias)
    return conv


def largest(x: torch.Tensor) -> torch.Tensor:
    """Maximum of each three frames: [batch, frames, width] -> [batch, frames / 3, width]."""
    first, second, third = (x[:, k::TRIPLE] for k in range(TRIPLE))
    return torch.maximum(torch.maximum(first, second), third)


def timing(poolings: int, rate: int) -> tuple[float, float]:
    """Frames per second after so many poolings, and seconds to the centre of the first frame."""
    return rate / TRIPLE**poolings, (TRIPLE**poolings - 1) / 2 / rate
