"""Networks that the transformers library hosts, read by hooks; the wav2vec 2.0 structure of most.

The library's own `hidden_states` are not used: their last entry is the last block before or after
the encoder's closing LayerNorm, depending on the release. A block here is always the block's own
output, and `final` always what the closing LayerNorm makes of the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils import parametrize

from extract.models.base import Layer, Model, ModelCard, WeightsRecord
from extract.models.taps import Tap, Tapped

EPSILON = 1e-7  # added to the variance, as the library's feature extractor does


class HostedModel(Model):
    """A network of the transformers library over windows of the waveform.

    Parameters
    ----------
    network : is put into evaluation mode, its weight norms are worked out once and for all.
    taps : one for each layer of the card, in the order of the forward pass.
    normalise : every window is brought to zero mean and unit variance before it goes in.
    call : how the network is called on values; `network(values)` if None.
    """

    def __init__(
        self,
        card: ModelCard,
        network: nn.Module,
        weights: WeightsRecord,
        taps: Sequence[Tap],
        *,
        normalise: bool = False,
        call: Callable[[nn.Module, torch.Tensor], object] | None = None,
    ):
        self.card = card
        self.weights = weights
        self.network = bake(network).eval().requires_grad_(False)
        self.normalise = normalise
        self._call = call or nn.Module.__call__
        self._tapped = Tapped(network, taps)

    def forward(self, values: torch.Tensor, until: str | None = None) -> dict[str, torch.Tensor]:
        """Layers of windows [batch, samples]; see `Model.forward`."""
        values = standard(values) if self.normalise else values
        return self._tapped.run(lambda: self._call(self.network, values), until)


def standard(values: torch.Tensor) -> torch.Tensor:
    """[batch, samples] with zero mean and unit variance in each row; silence stays silence."""
    variance, mean = torch.var_mean(values, -1, correction=0, keepdim=True)
    return (values - mean) / torch.sqrt(variance + EPSILON)


def bake(network: nn.Module) -> nn.Module:
    """Works out weights that are a function of others (weight norm) once instead of every pass."""
    for module in list(network.modules()):
        if parametrize.is_parametrized(module):
            for name in list(module.parametrizations):
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    return network


@dataclass(frozen=True)
class Structure:
    """Sizes of a wav2vec 2.0-like network that its layers follow from; the base size by default.

    Attributes
    ----------
    channels, kernels, strides : of the convolutions over the waveform, none of them padded.
    width, blocks : of the transformer.
    closing : True where a LayerNorm follows the last block (pre-LN encoders, which the library
        calls stable layer norm); False where every block ends with its own.
    """

    channels: tuple[int, ...] = (512,) * 7
    kernels: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    width: int = 768
    blocks: int = 12
    closing: bool = False

    @classmethod
    def of(cls, config: object, *, closing: bool | None = None) -> Structure:
        """Of a configuration of the library, or anything with the same attributes."""
        if closing is None:
            closing = bool(getattr(config, "do_stable_layer_norm", False))
        return cls(
            channels=tuple(config.conv_dim),
            kernels=tuple(config.conv_kernel),
            strides=tuple(config.conv_stride),
            width=config.hidden_size,
            blocks=config.num_hidden_layers,
            closing=closing,
        )

    @property
    def field(self) -> int:
        """Samples that one frame of the transformer sees, which is also the shortest input."""
        return self._reach()[-1][1]

    def _reach(self) -> list[tuple[int, int]]:
        """(samples from one frame to the next, samples that a frame sees) of each convolution."""
        reach, hop, seen = [], 1, 1
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            seen += (kernel - 1) * hop
            hop *= stride
            reach.append((hop, seen))
        return reach

    def frames(self, samples: int) -> int:
        """Frames that the transformer makes of so many samples."""
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            samples = (samples - kernel) // stride + 1
        return max(samples, 0)

    def layers(self, sample_rate: int) -> tuple[Layer, ...]:
        """`conv1` ..., `frontend`, `block01` ..., and `final` where there is one."""
        reach = self._reach()
        sizes = [(f"conv{i + 1}", width, *reach[i]) for i, width in enumerate(self.channels)]
        names = ["frontend", *(f"block{i + 1:02d}" for i in range(self.blocks))]
        names += ["final"] if self.closing else []
        sizes += [(name, self.width, *reach[-1]) for name in names]
        return tuple(
            Layer(name, width, sample_rate / hop, depth, (seen - 1) / 2 / sample_rate)
            for depth, (name, width, hop, seen) in enumerate(sizes)
        )

    def taps(self, prefix: str = "") -> tuple[Tap, ...]:
        """Where these layers are in the network of the library.

        `frontend` is what the first block takes: the projected convolutions with their positional
        convolution added, and normalised where the blocks are post-LN.

        Parameters
        ----------
        prefix : of the module names, with its point, for a network inside a larger one.
        """
        convolutions = [
            Tap(f"conv{i + 1}", f"{prefix}feature_extractor.conv_layers.{i}", channels="first")
            for i in range(len(self.channels))
        ]
        blocks = [
            Tap(f"block{i + 1:02d}", f"{prefix}encoder.layers.{i}") for i in range(self.blocks)
        ]
        frontend = Tap("frontend", f"{prefix}encoder.layers.0", side="input")
        final = [Tap("final", f"{prefix}encoder.layer_norm")] if self.closing else []
        return (*convolutions, frontend, *blocks, *final)
