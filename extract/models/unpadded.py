"""The convolutions at the start of wav2vec 2.0-like networks, as products of matrices.

PyTorch's own are slow on a CPU for a single input channel, and slower still on what a LayerNorm
over the channels leaves behind, channels last in memory. Without padding, a convolution of stride s
is a product of its weight with rows of the input that start s frames apart and lie in memory as
they are.
"""

from __future__ import annotations

import torch
from torch import nn


class Unpadded(nn.Module):
    """Does what an unpadded `nn.Conv1d` does, [batch, width, frames] to the same, less frames.

    Parameters
    ----------
    convolution : of which weight and bias are taken.
    frames_last : how a single input channel's output lies in memory: frames last suits a
        normalisation over time, channels last one over channels. Several channels always give
        channels last.
    """

    def __init__(self, convolution: nn.Conv1d, *, frames_last: bool):
        super().__init__()
        # [width, inputs, taps] to look at, [taps, inputs, width] in memory
        weight = convolution.weight.detach().permute(2, 1, 0).contiguous()
        self.weight = nn.Parameter(weight.permute(2, 1, 0))
        self.bias = convolution.bias
        self.stride = convolution.stride[0]
        self.frames_last = frames_last

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        if values.shape[-1] < self.weight.shape[-1]:
            raise RuntimeError(
                f"{values.shape[-1]} frames are fewer than the {self.weight.shape[-1]} of a kernel"
            )
        output = self._single(values) if self.weight.shape[1] == 1 else self._several(values)
        return output if self.bias is None else output + self.bias[:, None].to(output.dtype)

    def _single(self, values: torch.Tensor) -> torch.Tensor:
        kernel = self.weight[:, 0]
        rows = values[:, 0].unfold(-1, kernel.shape[1], self.stride)  # [batch, frames, taps]
        if self.frames_last:
            return torch.matmul(kernel, rows.transpose(1, 2))
        return torch.matmul(rows, kernel.t()).transpose(1, 2)

    def _several(self, values: torch.Tensor) -> torch.Tensor:
        kind, dtype = values.device.type, self.weight.dtype
        if torch.is_autocast_enabled(kind):  # which leaves products into given memory alone
            dtype = torch.get_autocast_dtype(kind)
        # no copy where channels are last already
        values = values.transpose(1, 2).to(dtype).contiguous()
        batch, length, inputs = values.shape
        kernel = self.weight.permute(2, 1, 0).to(dtype)
        taps, _, width = kernel.shape
        frames = (length - taps) // self.stride + 1
        output = values.new_empty(batch, frames, width)
        # rows may not overlap in a product: as many taps at once as there are frames between rows
        for first in range(0, taps, self.stride):
            part = kernel[first : first + self.stride].flatten(0, 1)
            for row, out in zip(values, output, strict=True):
                start = row.storage_offset() + first * inputs
                rows = row.as_strided((frames, len(part)), (self.stride * inputs, 1), start)
                if first == 0:
                    torch.mm(rows, part, out=out)
                else:
                    out.addmm_(rows, part)
        return output.transpose(1, 2)


def unpad(layers: nn.ModuleList) -> None:
    """Puts `Unpadded` in the place of `conv` in each of a network's convolutional layers."""
    over_time = isinstance(getattr(layers[0], "layer_norm", None), nn.GroupNorm)
    for layer in layers:
        layer.conv = Unpadded(layer.conv, frames_last=over_time)
