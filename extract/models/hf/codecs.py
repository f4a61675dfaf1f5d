"""Encoders of neural codecs (EnCodec, DAC, Mimi) with what the quantiser makes of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from extract.models import sounding
from extract.models.base import Layer
from extract.models.taps import Tap, Tapped

CODECS = ("encodec", "dac", "mimi")
NOTES = (
    "conv01 ...: convolutions and residual units of the encoder; latent: what is quantised; "
    "quantised: the sum of its code vectors, at the highest bit rate."
)
HOPS = 12  # frames of the slowest layer over which rates and centres are found


class Codec(nn.Module):
    """[batch, samples] -> latents and their quantised form, [batch, width, frames]; no decoder.

    Parameters
    ----------
    whole : the library's model; its decoder is let go.
    """

    def __init__(self, whole: nn.Module):
        super().__init__()
        config, encoder = whole.config, whole.encoder
        self.transformer = self.downsample = None
        if config.model_type == "mimi":
            # releases of the library keep them side by side, or inside the encoder
            place = encoder if hasattr(encoder, "encoder_transformer") else whole
            self.transformer, self.downsample = place.encoder_transformer, place.downsample
            encoder = getattr(encoder, "encoder_seanet", encoder)
        self.encoder, self.quantizer = encoder, whole.quantizer
        self.kind = config.model_type
        self.channels = getattr(config, "audio_channels", 1)
        self.normalize = bool(getattr(config, "normalize", False))
        rates = getattr(config, "target_bandwidths", None)
        self.bandwidth = max(rates) if rates else None
        # places for hooks, as most of the library's quantisers have no forward of their own
        self.latent, self.quantised = nn.Identity(), nn.Identity()

    def forward(self, values: torch.Tensor, attend: bool = True) -> torch.Tensor:
        """The quantised latents, [batch, width, frames].

        With `attend` False the transformer is left out: what remains has a place in time.
        """
        x = self.encode(values, attend)
        if self.kind == "dac":
            return self.quantised(self.quantizer(x)[0])
        codes = self._codes(x)
        return self.quantised(
            self.quantizer.decode(codes.transpose(0, 1) if self.kind == "mimi" else codes)
        )

    def encode(self, values: torch.Tensor, attend: bool = True) -> torch.Tensor:
        """The latents."""
        x = values[:, None].expand(-1, self.channels, -1)
        if self.normalize:
            mono = x.mean(1, keepdim=True)
            x = x / (mono.square().mean(-1, keepdim=True).sqrt() + 1e-8)
        x = self.encoder(x)
        if self.transformer is not None and attend:
            x = self.transformer(x.transpose(1, 2)).last_hidden_state.transpose(1, 2)
        if self.downsample is not None:
            x = self.downsample(x)
        return self.latent(x)

    def codes(self, values: torch.Tensor) -> torch.Tensor:
        """Codes of EnCodec, [batch, codebooks, frames]."""
        return self._codes(self.encode(values)).transpose(0, 1)

    def _codes(self, latents: torch.Tensor) -> torch.Tensor:
        rate = () if self.kind == "mimi" else (self.bandwidth,)
        return self.quantizer.encode(latents, *rate)


def draw_codes(network: nn.Module) -> None:
    """Random code vectors: an untrained network of the library has none but zeros."""
    for name, buffer in network.named_buffers():
        if name.endswith((".embed", ".embed_sum")):
            buffer.normal_()
        elif name.endswith(".cluster_usage"):
            buffer.fill_(1.0)


def codec_layers(network: Codec, config: Any) -> tuple[tuple[Layer, ...], tuple[Tap, ...], int]:
    """Layers, where they are, and the fewest samples that are taken.

    Codecs pad so that a whole number of hops gives a whole number of frames: rates follow from one
    pass.
    """
    rate = int(config.sampling_rate)
    taps = _taps(network)
    hop = round(rate / _frame_rate(config))
    tapped = Tapped(network, taps)

    def run(values: torch.Tensor) -> dict[str, torch.Tensor]:
        plain = values.requires_grad
        return tapped.run(lambda: network(values, not plain), "latent" if plain else None)

    _draw(network)
    samples = HOPS * hop
    shapes = sounding.shapes(run, "cpu", samples)
    hops = {name: samples / shape[1] for name, shape in shapes.items()}
    centers = sounding.centers(run, hops, (max(24 * hop, 8000),), 0)
    layers = tuple(
        Layer(
            tap.layer,
            shapes[tap.layer][2],
            rate / hops[tap.layer],
            depth,
            centers.get(tap.layer, (hops[tap.layer] - 1) / 2) / rate,
        )
        for depth, tap in enumerate(taps)
    )
    return layers, taps, hop


def _frame_rate(config: Any) -> float:
    if config.model_type == "mimi":
        return float(config.frame_rate)
    return config.sampling_rate / config.hop_length


def _draw(network: nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            scale = max(1, parameter[0].numel()) ** -0.5 if parameter.ndim else 1.0
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
        for buffer in network.buffers():
            if buffer.is_floating_point():
                buffer.copy_(torch.randn(buffer.shape, generator=generator).abs() + 0.1)


def _taps(network: Codec) -> tuple[Tap, ...]:
    taps, count = [], 0
    for name, module in _stages(network.encoder):
        if any(isinstance(m, nn.LSTM) for m in module.modules()):
            taps.append(Tap("lstm", f"encoder.{name}", channels="first"))
        elif any(isinstance(m, nn.Conv1d) for m in module.modules()):
            count += 1
            taps.append(Tap(f"conv{count:02d}", f"encoder.{name}", channels="first"))
    if network.transformer is not None:
        taps += [
            Tap(f"block{i + 1:02d}", f"transformer.layers.{i}")
            for i in range(len(network.transformer.layers))
        ]
    elif taps:
        taps.pop()  # the last convolution puts out the latent itself
    taps.append(Tap("latent", "latent", channels="first"))
    return (*taps, Tap("quantised", "quantised", channels="first"))


def _stages(encoder: nn.Module):
    """(name, module) of the encoder's stages, in order; lists are opened."""
    for name, module in encoder.named_children():
        if isinstance(module, nn.ModuleList):
            for key, member in module.named_children():
                yield f"{name}.{key}", member
        else:
            yield name, module
