"""SF-NFNet-F0: two paths of convolutions without batch norm, one slow and wide, one fast and thin.

McCallum et al. 2022 (arXiv 2210.03799), after Wang et al. 2022, "Towards learning universal audio
representations" (arXiv 2111.12124). Convolution weights are standardised (Brock et al. 2021,
arXiv 2102.06171); every path is a stem and four stages of residual blocks. Before each stage the
slow path takes in what the fast path has found so far.

Maps are [batch, channels, frequency, time]. Padding is that of TensorFlow: as much as makes the
length ceil(n / stride), the odd one at the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

GAIN = 1.7015043497085571  # gives the output of GELU a variance of 1
ALPHA = 0.2


@dataclass(frozen=True)
class Sizes:
    """Widths of a network; as published by default. One entry a stage, or a convolution of a stem.

    Attributes
    ----------
    slow_stem, fast_stem : channels.
    slow, fast : channels of the stages.
    depths : blocks of a stage.
    inner, joined : channels of a fusion: after its first convolution, and what it adds.
    slow_group, fast_group : channels of a group in the middle convolutions of a block.
    """

    slow_stem: tuple[int, ...] = (16, 32, 64, 128)
    fast_stem: tuple[int, ...] = (2, 4, 8, 16)
    slow: tuple[int, ...] = (256, 512, 1536, 1536)
    fast: tuple[int, ...] = (32, 64, 192, 192)
    depths: tuple[int, ...] = (1, 2, 6, 3)
    inner: tuple[int, ...] = (32, 32, 64, 192)
    joined: tuple[int, ...] = (128, 256, 512, 3072)
    slow_group: int = 128
    fast_group: int = 16

    @property
    def embedding(self) -> int:
        return self.slow[-1] + self.fast[-1]


PUBLISHED = Sizes()
# (kernel, stride) of the convolutions of a stem, each (frequency, time)
SLOW_STEM = (((3, 1), (2, 8)), ((3, 1), (1, 1)), ((3, 1), (1, 1)), ((3, 3), (2, 2)))
FAST_STEM = (((3, 3), (2, 2)), ((3, 3), (1, 1)), ((3, 3), (1, 1)), ((3, 3), (2, 2)))


def same(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """What TensorFlow's padding "same" puts before and after an axis."""
    total = max((math.ceil(length / stride) - 1) * stride + kernel - length, 0)
    return total // 2, total - total // 2


def grid(stem: tuple, length: int) -> tuple[float, int, int]:
    """Where the frames of a stem's output lie on its input's time axis.

    Returns
    -------
    centre of frame 0, frames from one to the next, number of frames.
    """
    center, step = 0.0, 1
    for (_, kernel), (_, stride) in stem:
        center += ((kernel - 1) / 2 - same(length, kernel, stride)[0]) * step
        step, length = step * stride, math.ceil(length / stride)
    return center, step, length


class StandardConv(nn.Module):
    """Convolution whose kernel is standardised for each output channel, then scaled by a gain.

    `bake` does so once and for all; until then it is done at every call.

    Parameters
    ----------
    factor : what the input would be multiplied by before the convolution; a part of the kernel
        here. Activations thus need not be scaled.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: tuple[int, int] = (1, 1),
        stride: tuple[int, int] = (1, 1),
        groups: int = 1,
        factor: float = 1.0,
    ):
        super().__init__()
        self.stride, self.groups, self.factor = stride, groups, factor
        fan_in = inputs // groups * math.prod(kernel)
        self.weight = nn.Parameter(
            torch.randn(outputs, inputs // groups, *kernel) / math.sqrt(fan_in)
        )
        self.gain: nn.Parameter | None = nn.Parameter(torch.ones(outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def standardised(self) -> torch.Tensor:
        if self.gain is None:
            return self.weight
        fan_in = math.prod(self.weight.shape[1:])
        variance, mean = torch.var_mean(self.weight, (1, 2, 3), correction=0, keepdim=True)
        scale = torch.rsqrt((variance * fan_in).clamp(min=1e-4)) * self.factor
        return (self.weight - mean) * (scale * self.gain[:, None, None, None])

    @torch.no_grad()
    def bake(self) -> None:
        """Keeps the standardised kernel in the place of the raw one."""
        self.weight, self.gain = nn.Parameter(self.standardised()), None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight, kernel, stride = self.standardised(), self.weight.shape[2:], self.stride
        if kernel == (1, 1) and stride == (1, 1) and self.groups == 1:
            # channels last, this is a matrix product; as a convolution it takes three times as long
            product = F.linear(x.permute(0, 2, 3, 1), weight[:, :, 0, 0], self.bias)
            return product.permute(0, 3, 1, 2)
        (top, bottom), (left, right) = map(same, x.shape[2:], kernel, stride)
        padding = (top, left)
        if top != bottom or left != right:
            x, padding = F.pad(x, (left, right, top, bottom)), (0, 0)
        return F.conv2d(x, weight, self.bias, stride, padding, groups=self.groups)


class Stem(nn.Module):
    """Four convolutions with GELU between them."""

    def __init__(self, channels: tuple[int, ...], layout: tuple):
        super().__init__()
        pairs = enumerate(zip(pairwise((1, *channels)), layout, strict=True))
        self.convs = nn.ModuleList(
            StandardConv(*ends, *shape, factor=GAIN if i else 1.0) for i, (ends, shape) in pairs
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.convs[0](x)
        for conv in self.convs[1:]:
            x = conv(F.gelu(x))
        return x


class Excite(nn.Module):
    """Squeeze and excite: a factor for each channel, from the means of all."""

    def __init__(self, channels: int):
        super().__init__()
        self.fc1 = nn.Linear(channels, channels // 2)
        self.fc2 = nn.Linear(channels // 2, channels)
        for layer in (self.fc1, self.fc2):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        squeezed = torch.relu(self.fc1(x.mean((2, 3))))
        return 2 * torch.sigmoid(self.fc2(squeezed))[..., None, None]


class Block(nn.Module):
    """Residual block: 1x1, 1x3, 3x1, 1x1 (frequency x time) at half the width, then excitation.

    Parameters
    ----------
    beta : what the activation is multiplied by, the inverse of its expected spread.
    first : of its stage: the skipped path is a convolution of the activation.
    stride : of the frequency axis, 1 or 2.
    """

    def __init__(self, inputs: int, outputs: int, group: int, beta: float, first: bool, stride=1):
        super().__init__()
        half, groups = outputs // 2, outputs // 2 // group
        self.stride = stride
        self.convs = nn.ModuleList(
            [
                StandardConv(inputs, half, factor=GAIN * beta),
                StandardConv(half, half, (1, 3), groups=groups, factor=GAIN),
                StandardConv(half, half, (3, 1), groups=groups, factor=GAIN),
                StandardConv(half, outputs, factor=GAIN),
            ]
        )
        self.skip_conv = StandardConv(inputs, outputs, factor=GAIN * beta) if first else None
        self.se = Excite(outputs)
        # training starts from 0, where a block is nothing but its skipped path; 1 is what beta
        # reckons with
        self.skip_gain = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        active = F.gelu(x)
        skipped = x
        if self.skip_conv is not None:
            halved = F.avg_pool2d(active, (self.stride, 1)) if self.stride > 1 else active
            skipped = self.skip_conv(halved)
        # the second convolution has the stride, and one row of frequency: the first, a row at a
        # time as well, may leave out what the second would
        y = self.convs[0](active[:, :, :: self.stride])
        for conv in self.convs[1:]:
            y = conv(F.gelu(y))
        return torch.addcmul(skipped, y, self.se(y) * (ALPHA * self.skip_gain))


class Fusion(nn.Module):
    """The fast path at the slow path's rate, wider; two convolutions and nothing between them."""

    def __init__(self, inputs: int, inner: int, outputs: int):
        super().__init__()
        self.conv1 = StandardConv(inputs, inner, (1, 7), (1, 4))
        self.conv2 = StandardConv(inner, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv2(self.conv1(x))


def _stages(widths: tuple[int, ...], inputs: list[int], sizes: Sizes, group: int) -> nn.ModuleList:
    stages = []
    for i, (width, depth) in enumerate(zip(widths, sizes.depths, strict=True)):
        variance, blocks = 1.0 if i == 0 else 1 + ALPHA**2, []
        for j in range(depth):
            before = width if j else inputs[i]
            stride = 2 if i and not j else 1
            blocks.append(Block(before, width, group, variance**-0.5, not j, stride))
            variance += ALPHA**2
        stages.append(nn.ModuleDict({"blocks": nn.ModuleList(blocks)}))
    return nn.ModuleList(stages)


class SlowFast(nn.Module):
    """[batch, 96, 300] slices of a log-mel -> every layer, in the order of the forward pass."""

    def __init__(self, sizes: Sizes = PUBLISHED):
        super().__init__()
        self.sizes = sizes
        fast = [sizes.fast_stem[-1], *sizes.fast[:-1]]
        slow = [sizes.slow_stem[-1], *sizes.slow[:-1]]
        entering = [width + more for width, more in zip(slow, sizes.joined, strict=True)]
        self.slow_stem = Stem(sizes.slow_stem, SLOW_STEM)
        self.fast_stem = Stem(sizes.fast_stem, FAST_STEM)
        self.slow_stages = _stages(sizes.slow, entering, sizes, sizes.slow_group)
        self.fast_stages = _stages(sizes.fast, fast, sizes, sizes.fast_group)
        self.fusions = nn.ModuleList(map(Fusion, fast, sizes.inner, sizes.joined))

    def bake(self) -> None:
        """Standardises all kernels for good."""
        for module in self.modules():
            if isinstance(module, StandardConv):
                module.bake()

    def forward(self, slices: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        """Both stems; then a stage at a time: what the slow path takes in, its blocks, and the
        blocks of the fast path; at the end what both paths come to.

        Yields
        ------
        (layer, [batch, channels, frequency, time]); `pooled` and `embedding` are [batch, width].
        """
        x = slices[:, None].contiguous(memory_format=torch.channels_last)
        slow = self.slow_stem(x)
        yield "slow_stem", slow
        fast = self.fast_stem(x)
        yield "fast_stem", fast
        for i, fusion in enumerate(self.fusions):
            slow = torch.cat([slow, fusion(fast)], 1)
            yield f"fused{i}", slow
            for j, block in enumerate(self.slow_stages[i]["blocks"]):
                slow = block(slow)
                yield f"slow_stage{i}.block{j}", slow
            for j, block in enumerate(self.fast_stages[i]["blocks"]):
                fast = block(fast)
                yield f"fast_stage{i}.block{j}", fast
        pooled = torch.cat([slow.mean((2, 3)), fast.mean((2, 3))], 1)
        yield "pooled", pooled
        yield "embedding", GAIN * F.gelu(pooled)
