"""MusicGen of the transformers library, read over audio: what its decoder makes of the codes.

Copet et al. 2023, "Simple and Controllable Music Generation" (arXiv 2306.05284): the audio is
encoded, and the decoder runs over its codes in the delayed pattern, each codebook one step after
the one before. No text is given: attention to text is left out, which is the same as the
unconditional input of zeros, as that attention has no biases.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from extract.models.base import Layer
from extract.models.hf.codecs import Codec, codec_layers
from extract.models.taps import Tap

NOTES = (
    "The decoder, run over the codes of the audio without text. At frame k it has just read "
    "codebook 1 of frame k, codebook 2 of frame k - 1 and so on, and nothing of what comes after."
)


class Musicgen(nn.Module):
    """[batch, samples] -> states of the decoder, [batch, 1 + frames, width].

    Parameters
    ----------
    whole : the library's model; its text encoder and the codec's decoder are let go.
    """

    def __init__(self, whole: nn.Module):
        super().__init__()
        self.codec = Codec(whole.audio_encoder)
        self.decoder = whole.decoder.model.decoder
        self.pad = whole.config.decoder.pad_token_id
        self.books = whole.config.decoder.num_codebooks

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        tokens = delayed(self.codec.codes(values), self.books, self.pad)
        return self.decoder(tokens.flatten(0, 1), use_cache=False)[0]


def delayed(codes: torch.Tensor, books: int, pad: int) -> torch.Tensor:
    """[batch, codebooks, frames] -> [batch, books, 1 + frames]: codebook k is k steps late.

    Where the decoder has twice as many books, each is one ear's, and both hear the same.
    """
    ears = books // codes.shape[1]
    codes = codes.repeat_interleave(ears, 1)
    batch, _, frames = codes.shape
    tokens = codes.new_full((batch, books, 1 + frames), pad)
    for book in range(books):
        late = book // ears
        tokens[:, book, 1 + late :] = codes[:, book, : frames - late]
    return tokens


def musicgen_layers(
    network: Musicgen, config: Any
) -> tuple[tuple[Layer, ...], tuple[Tap, ...], int]:
    """Layers, where they are, and the fewest samples that are taken."""
    known, _, minimum = codec_layers(network.codec, config.audio_encoder)
    latent = next(layer for layer in known if layer.name == "latent")
    taps = [Tap("frontend", "decoder.layers.0", side="input")]
    count = len(network.decoder.layers)
    taps += [Tap(f"block{i + 1:02d}", f"decoder.layers.{i}") for i in range(count)]
    taps.append(Tap("final", "decoder.layer_norm"))
    width = config.decoder.hidden_size
    layers = tuple(
        Layer(tap.layer, width, latent.rate, depth, latent.center) for depth, tap in enumerate(taps)
    )
    return layers, tuple(taps), minimum


def after_the_start(states: torch.Tensor) -> torch.Tensor:
    """Without the position of the start token, which has read no audio."""
    return states[:, 1:]
