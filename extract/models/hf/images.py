"""Spectrogram transformers of the transformers library: tokens of a picture, as frames in time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from extract.models.base import Layer
from extract.models.taps import Tap

Regroup = Callable[[torch.Tensor], torch.Tensor]


def ast(config: Any, taps: tuple[Tap, ...]) -> tuple[tuple[Layer, ...], Regroup, str]:
    """Tokens of a spectrogram transformer: [2 special, bands x frames] -> [frames]."""
    bands = (config.num_mel_bins - config.patch_size) // config.frequency_stride + 1
    frames = (config.max_length - config.patch_size) // config.time_stride + 1

    def regroup(tokens: torch.Tensor) -> torch.Tensor:
        return tokens[:, -bands * frames :].unflatten(1, (bands, frames)).mean(1)

    # frames of the spectrogram are 10 ms apart, the first centred on 12.5 ms
    hertz, center = 100 / config.time_stride, 0.0125 + 0.01 * (config.patch_size - 1) / 2
    layers = tuple(
        Layer(tap.layer, config.hidden_size, hertz, depth, center) for depth, tap in enumerate(taps)
    )
    notes = f"Frames: means over {bands} patches of frequency, the special tokens left out."
    return layers, regroup, notes


def swin_taps(network: nn.Module) -> tuple[Tap, ...]:
    """Blocks of all stages of CLAP's audio encoder, in order."""
    stages = network.audio_encoder.layers
    names = [
        f"audio_encoder.layers.{i}.blocks.{j}"
        for i, stage in enumerate(stages)
        for j in range(len(stage.blocks))
    ]
    blocks = [Tap(f"block{i + 1:02d}", name) for i, name in enumerate(names)]
    frontend = Tap("frontend", "audio_encoder.layers.0", side="input")
    return (frontend, *blocks, Tap("final", "audio_encoder.norm"))


def clap(
    config: Any, taps: tuple[Tap, ...], extractor: Any
) -> tuple[tuple[Layer, ...], Regroup, str]:
    """Tokens of a square image in which stretches of time stand above each other."""
    ratio = config.spec_size // config.num_mel_bins
    stages = [0, *(k for k, depth in enumerate(config.depths) for _ in range(depth))]
    stages.append(len(config.depths) - 1)

    def regroup(tokens: torch.Tensor) -> torch.Tensor:
        side = math.isqrt(tokens.shape[1])
        image = tokens.unflatten(1, (ratio, side // ratio, side))
        return image.mean(2).flatten(1, 2)

    stride = config.patch_stride
    patch = stride[1] if isinstance(stride, (list, tuple)) else stride
    columns = config.spec_size * ratio
    rate, seen = extractor.sampling_rate, extractor.nb_max_samples // extractor.hop_length + 1
    # the frames are stretched over the image's columns, ends on ends
    column = (seen - 1) / (columns - 1) * extractor.hop_length / rate if seen < columns else (
        extractor.hop_length / rate
    )  # fmt: skip
    layers = []
    for depth, (tap, stage) in enumerate(zip(taps, stages, strict=True)):
        size = patch * 2**stage
        width = config.patch_embeds_hidden_size * 2**stage
        layers.append(Layer(tap.layer, width, 1 / (size * column), depth, (size - 1) / 2 * column))
    return tuple(layers), regroup, "Frames: means over the patches of frequency of each stage."
