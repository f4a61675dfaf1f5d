"""Convolutions over a spectrogram of which only the largest output along frequency is kept.

The first layers of MusiCNN slide tall or long filters over time and frequency, then keep, for each
filter and frame, the maximum over frequency (Pons et al. 2017, arXiv 1711.02520). Written as a
plain convolution this is nearly all of the network's work. Here it is the same sums in another
order: a bilinear algorithm in time (a short DFT of odd length, kept real), matrix products in
frequency, and a maximum block by block. Results agree with the plain form to about 1e-6 relative.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import lru_cache

import torch
from torch import nn
from torch.nn import functional as F

TILE = 17  # frames of one tile; 11 tiles are a patch of 187 frames
BLOCK = 12  # output frequencies worked on at once: what they need stays in a core's cache
# a filter whose weights sum to less cannot move a float32: of those trained on a million songs
# four in five have decayed to 1e-35
DEAD = 1e-15
STRIDE = 4  # frames that one product of a long filter brings at once


@lru_cache(maxsize=8)
def bilinear(outputs: int, taps: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Matrices that turn a short correlation into few products.

    y[i] = sum_j w[j] x[i + j] for i < outputs equals `post @ ((kernel @ w) * (data @ x))`, with
    x of n = outputs + taps - 1 values, n odd. It is the circular correlation theorem with each
    complex product done by three real ones; all points lie on the unit circle, so that it is as
    stable as a DFT, unlike short convolutions over the integers (Winograd, Toom-Cook).

    Returns
    -------
    post [outputs, r], kernel [r, taps], data [r, n], float32; r = 1 + 3 (n - 1) / 2.
    """
    n = outputs + taps - 1
    if n % 2 == 0:
        raise ValueError(f"{outputs} outputs and {taps} taps make an even length {n}")
    k = torch.arange(n, dtype=torch.float64)
    angle = 2 * math.pi * torch.outer(k[: n // 2 + 1], k) / n
    cos, sin = torch.cos(angle), torch.sin(angle)
    real, imag = cos[1:], -sin[1:]  # of the data; the kernel's spectrum is conjugated
    w_real, w_imag = cos[1:, :taps], sin[1:, :taps]
    data = torch.cat([cos[:1], real + imag, real, imag])
    kernel = torch.cat([cos[:1, :taps], w_real, w_imag - w_real, w_real + w_imag])
    back, turn = 2 * cos[1:, :outputs].T / n, 2 * sin[1:, :outputs].T / n
    post = torch.cat([torch.full((outputs, 1), 1 / n).double(), back - turn, -turn, -back], 1)
    return post.float(), kernel.float(), data.float()


class _Branch(nn.Module, ABC):
    """Convolution of one input channel, ReLU, batch norm, maximum over frequency.

    The norm stands after the ReLU and may turn a channel over; the maximum is taken first, over
    the convolution times the sign of the norm's scale, which is the same and much less work.
    """

    def __init__(self, filters: int, taps: int, height: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(filters, 1, taps, height))
        self.bias = nn.Parameter(torch.zeros(filters))
        self.norm = nn.BatchNorm1d(filters, eps=1e-3)
        nn.init.xavier_uniform_(self.weight)

    def forward(self, spectrogram: torch.Tensor) -> torch.Tensor:
        """[batch, frames, bands] -> [batch, frames, filters]."""
        sign = torch.where(self.norm.weight < 0, -1.0, 1.0)
        weight = self.weight[:, 0] * sign[:, None, None]
        alive = weight.abs().sum((1, 2)) > DEAD
        largest = spectrogram.new_zeros(*spectrogram.shape[:2], len(weight))
        if alive.any():
            found = self._largest(spectrogram, weight[alive])
            largest[..., alive] = found.to(largest.dtype)
        values = torch.relu(largest * sign + self.bias)
        return self.norm(values.transpose(1, 2)).transpose(1, 2)

    @abstractmethod
    def _largest(self, spectrogram: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Maxima over frequency of the convolution with kernels [filters, taps, height]."""


class TallBranch(_Branch):
    """Short in time, tall in frequency; padded with zeros in time, not in frequency; odd `taps`."""

    def _largest(self, spectrogram: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        _, taps, height = weight.shape
        frames = spectrogram.shape[1]
        tiles = -(-frames // TILE)
        before = taps // 2
        padded = F.pad(spectrogram, (0, 0, before, before + tiles * TILE - frames))
        post, kernel, data = (m.to(weight.device) for m in bilinear(TILE, taps))
        weight = torch.einsum("rj,cjk->rkc", kernel, weight).contiguous()
        rows = [self._one(row, weight, post, data, height) for row in padded]
        return torch.stack(rows)[:, :frames]

    @staticmethod
    def _one(
        row: torch.Tensor,
        weight: torch.Tensor,
        post: torch.Tensor,
        data: torch.Tensor,
        height: int,
    ) -> torch.Tensor:
        """Maxima over frequency of one padded spectrogram, [frames, filters]."""
        points, _, filters = weight.shape
        tiles = row.unfold(0, data.shape[1], TILE)  # [tiles, bands, n]
        points_first = (tiles @ data.T).permute(2, 0, 1).contiguous()  # [r, tiles, bands]
        positions = row.shape[1] - height + 1
        largest = None
        for first in range(0, positions, BLOCK):
            some = min(BLOCK, positions - first)
            part = points_first[:, :, first : first + some + height - 1]
            columns = part.unfold(2, height, 1).reshape(points, -1, height)
            products = torch.bmm(columns, weight).view(points, -1)
            block = (post @ products).view(TILE * len(tiles), some, filters).amax(1)
            largest = block if largest is None else torch.maximum(largest, block)
        return largest.view(TILE, len(tiles), filters).transpose(0, 1).reshape(-1, filters)


class LongBranch(_Branch):
    """Long in time, one band tall; padded with zeros in time to the same number of frames.

    An even filter has the extra zero after the signal, as TensorFlow does.
    """

    def __init__(self, filters: int, taps: int):
        super().__init__(filters, taps, 1)

    def _largest(self, spectrogram: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        filters, taps, _ = weight.shape
        frames = spectrogram.shape[1]
        steps = -(-frames // STRIDE)
        after = taps // 2 + steps * STRIDE - frames
        padded = F.pad(spectrogram.transpose(1, 2), ((taps - 1) // 2, after))
        shifted = [F.pad(weight[:, :, 0], (s, STRIDE - 1 - s)) for s in range(STRIDE)]
        matrix = torch.cat(shifted).T.contiguous()  # [taps + STRIDE - 1, STRIDE * filters]
        rows = [self._one(row, matrix, filters) for row in padded]
        return torch.stack(rows)[:, :frames]

    @staticmethod
    def _one(row: torch.Tensor, matrix: torch.Tensor, filters: int) -> torch.Tensor:
        """Maxima over frequency of one padded spectrogram [bands, frames], [frames, filters]."""
        largest = None
        for bands in row.split(BLOCK):
            columns = bands.unfold(1, len(matrix), STRIDE).reshape(-1, len(matrix))
            block = (columns @ matrix).view(len(bands), -1, filters).amax(0)
            largest = block if largest is None else torch.maximum(largest, block)
        return largest
