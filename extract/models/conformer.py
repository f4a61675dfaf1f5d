"""The network that MusicFM and MuQ share: log-mel, two convolution blocks, a Conformer.

Won, Hung, Le: A Foundation Model for Music Informatics (arXiv 2311.03318); Zhu et al.: MuQ
(arXiv 2501.01108). The Conformer (Gulati et al., arXiv 2005.08100) is of the Wav2Vec2 kind with
rotary positions, and one peculiarity: the rotation is applied to the states that queries and keys
are made from, not to the queries and keys.

Modules carry the names of the published checkpoints, so that a file needs no renaming.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from extract.logmel import LogMel
from extract.models.base import Layer, Model, ModelCard, WeightsRecord

SAMPLE_RATE = 24000
N_FFT = 2048
HOP = 240
BANDS = 128
WINDOW = 30.0  # seconds; what both models were trained on
MINIMUM = N_FFT // 2 + 1  # the log-mel reflects half a frame at each end
ROTARY_BASE = 10000.0


@dataclass(frozen=True)
class Sizes:
    """Sizes of the network; those of the published models unless said otherwise.

    Attributes
    ----------
    heads : attention heads; `encoder_dim` must be an even multiple of it.
    kernel : odd length of the depthwise convolution, in tokens.
    label_rate : tokens per second, 25 or 50.
    """

    encoder_dim: int = 1024
    depth: int = 12
    conv_dim: int = 512
    heads: int = 16
    ffn: int = 4096
    kernel: int = 31
    label_rate: int = 25

    def __post_init__(self) -> None:
        if self.label_rate not in (25, 50):
            raise ValueError(f"label_rate {self.label_rate}: the network runs at 25 or 50 tokens/s")
        if self.heads < 1 or self.encoder_dim % (2 * self.heads):
            raise ValueError(f"{self.heads} heads do not divide a width of {self.encoder_dim}")
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} must be odd")

    @property
    def head_dim(self) -> int:
        return self.encoder_dim // self.heads

    def layers(self) -> tuple[Layer, ...]:
        """`frontend`, `block01` ... (raw outputs of the blocks), `final` (after the closing norm).

        Token k is centred on sample `k * 24000 / label_rate`.
        """
        names = ("frontend", *(f"block{i + 1:02d}" for i in range(self.depth)), "final")
        rate = float(self.label_rate)
        return tuple(Layer(name, self.encoder_dim, rate, i) for i, name in enumerate(names))


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a third that halves the size as they do."""

    def __init__(self, channels_in: int, channels: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels_in, channels, 3, stride, padding=1)
        self.bn3 = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        main = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(main + self.bn3(self.conv3(x)))


class FrontEnd(nn.Module):
    """Log-mel [batch, bands, frames] to tokens [batch, ceil(frames / 4), encoder_dim]."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        fold = 100 // sizes.label_rate
        self.conv = nn.Sequential(
            ResidualBlock(1, sizes.conv_dim, (2, 2)),
            ResidualBlock(sizes.conv_dim, sizes.conv_dim, (2, fold // 2)),
        )
        self.linear = nn.Linear(sizes.conv_dim * BANDS // 4, sizes.encoder_dim)

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        x = self.conv(mel[:, None])
        return self.linear(x.permute(0, 3, 1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.intermediate_dense = nn.Linear(sizes.encoder_dim, sizes.ffn)
        self.output_dense = nn.Linear(sizes.ffn, sizes.encoder_dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output_dense(F.silu(self.intermediate_dense(x)))


class Attention(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.heads = sizes.heads
        for name in ("linear_q", "linear_k", "linear_v", "linear_out"):
            setattr(self, name, nn.Linear(sizes.encoder_dim, sizes.encoder_dim))

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        """x [batch, tokens, width]; cos, sin [tokens, 1, head width]."""
        states = x.unflatten(-1, (self.heads, -1))
        first, second = states.chunk(2, dim=-1)
        turned = (states * cos + torch.cat((-second, first), dim=-1) * sin).flatten(-2)
        q, k, v = (
            linear(u).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for linear, u in ((self.linear_q, turned), (self.linear_k, turned), (self.linear_v, x))
        )
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.linear_out(mixed.transpose(1, 2).flatten(-2))


class ConvModule(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.encoder_dim
        self.layer_norm = nn.LayerNorm(width)
        self.pointwise_conv1 = nn.Conv1d(width, 2 * width, 1, bias=False)
        self.depthwise_conv = nn.Conv1d(
            width, width, sizes.kernel, padding=sizes.kernel // 2, groups=width, bias=False
        )
        self.batch_norm = nn.BatchNorm1d(width)
        self.pointwise_conv2 = nn.Conv1d(width, width, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.glu(self.pointwise_conv1(self.layer_norm(x).transpose(1, 2)), dim=1)
        x = F.silu(self.batch_norm(self.depthwise_conv(x)))
        return self.pointwise_conv2(x).transpose(1, 2)


class Block(nn.Module):
    """Half a feed-forward step, attention, convolution, half a feed-forward step, norm."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.ffn1_layer_norm = nn.LayerNorm(sizes.encoder_dim)
        self.ffn1 = FeedForward(sizes)
        self.self_attn_layer_norm = nn.LayerNorm(sizes.encoder_dim)
        self.self_attn = Attention(sizes)
        self.conv_module = ConvModule(sizes)
        self.ffn2_layer_norm = nn.LayerNorm(sizes.encoder_dim)
        self.ffn2 = FeedForward(sizes)
        self.final_layer_norm = nn.LayerNorm(sizes.encoder_dim)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        x = x + 0.5 * self.ffn1(self.ffn1_layer_norm(x))
        x = x + self.self_attn(self.self_attn_layer_norm(x), cos, sin)
        x = x + self.conv_module(x)
        x = x + 0.5 * self.ffn2(self.ffn2_layer_norm(x))
        return self.final_layer_norm(x)


class Rotary(nn.Module):
    """Angles of the rotary positions: token index times a falling series of frequencies."""

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.register_buffer("inv_freq", self.constant())

    def constant(self) -> torch.Tensor:
        """[head width / 2]"""
        steps = torch.arange(0, self.head_dim, 2, dtype=torch.float32, device="cpu")
        return 1.0 / ROTARY_BASE ** (steps / self.head_dim)

    def forward(self, tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines, each [tokens, 1, head width]."""
        places = torch.arange(tokens, device=self.inv_freq.device, dtype=self.inv_freq.dtype)
        angles = torch.outer(places, self.inv_freq)
        angles = torch.cat((angles, angles), dim=-1)[:, None]
        return angles.cos(), angles.sin()


class Encoder(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.embed_positions = Rotary(sizes.head_dim)
        self.layers = nn.ModuleList(Block(sizes) for _ in range(sizes.depth))
        self.layer_norm = nn.LayerNorm(sizes.encoder_dim)


class Network(nn.Module):
    """Waveform in, every layer out.

    Parameters
    ----------
    mean, std : of the log-mel in dB over the training data, one number each.
    """

    def __init__(self, sizes: Sizes, mean: float, std: float) -> None:
        super().__init__()
        self.sizes, self.mean, self.std = sizes, mean, std
        self.names = [layer.name for layer in sizes.layers()]
        self.mel = LogMel(SAMPLE_RATE, N_FFT, HOP, BANDS)
        self.conv = FrontEnd(sizes)
        self.conformer = Encoder(sizes)

    def constants(self) -> dict[str, torch.Tensor]:
        """Buffers that follow from the sizes, by their names in the state dict."""
        fixed = {f"mel.{name}": values for name, values in self.mel.constants().items()}
        rotary = self.conformer.embed_positions.constant()
        return fixed | {"conformer.embed_positions.inv_freq": rotary}

    def forward(self, waveform: torch.Tensor, until: str | None = None) -> dict[str, torch.Tensor]:
        """Layers up to and including `until` (all of them if None).

        Parameters
        ----------
        waveform : [batch, samples] at 24 kHz, at least `MINIMUM` samples.

        Returns
        -------
        name -> [batch, ceil(floor(samples / 240) / 4), encoder_dim]
        """
        last = len(self.names) - 1 if until is None else self.names.index(until)
        mel = (self.mel(waveform) - self.mean) / self.std
        x = self.conv(mel)
        out = {"frontend": x}
        cos, sin = self.conformer.embed_positions(x.shape[1])
        blocks = self.conformer.layers[:last]
        for name, block in zip(self.names[1:-1][:last], blocks, strict=True):
            out[name] = x = block(x, cos, sin)
        if last == len(self.names) - 1:
            out["final"] = self.conformer.layer_norm(x)
        return out


class ConformerModel(Model):
    """MusicFM, MuQ, and whatever else is this network with other weights."""

    def __init__(self, card: ModelCard, network: Network, weights: WeightsRecord) -> None:
        self.card, self.network, self.weights = card, network.eval(), weights
        self.blocks = tuple(network.conformer.layers)

    def forward(self, values: torch.Tensor, until: str | None = None) -> Mapping[str, torch.Tensor]:
        """Layers of waveforms [batch, samples]; see `Network.forward`."""
        return self.network(values, until)
