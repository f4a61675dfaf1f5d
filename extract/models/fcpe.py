"""FCPE: pitch of one singing voice, six equal convolution blocks over a log-mel, 100 Hz.

Luo, Zhang, Liu, Li & Liu 2025, "FCPE: A Fast Context-based Pitch Estimation Model" (arXiv
2509.15140). The weights come inside the package torchfcpe: the conformer's convolution module
alone, repeated, without attention.

The only thing that sees more than 0.92 s to either side of a frame is a group norm in the input
stack, whose mean and variance run over the whole window.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional as F

from extract.models.base import (
    Layer,
    Model,
    ModelCard,
    ModelSpec,
    Request,
    WeightsRecord,
    collect,
)
from extract.models.packaged import Packaged
from extract.wheels import Wheel

RATE, FFT, HOP, BANDS = 16000, 1024, 160, 128
WIDTH, BLOCKS, KERNEL, BINS = 512, 6, 31, 360
BEFORE = (FFT - HOP) // 2  # samples mirrored before the waveform, and after it
LOWEST, HIGHEST = 32.70, 1975.5  # Hz of the first and the last bin of `logits`
WINDOW, HOP_OF_WINDOWS = 10.0, 8.0  # seconds; every frame counts where it sees 0.92 s around it

WHEEL = Wheel(
    "torchfcpe",
    "0.0.4",
    "f042c463d850d76c6f4899a0b84f0b694bb560adf05f4de951097a756d17472d",
    "MIT",
)
FILE = Packaged(WHEEL, "torchfcpe/assets/fcpe_c_v001.pt", 43_363_260, ("model",))
UNUSED = ("cent_table", "gaussian_blurred_cent_mask")


class LogMel(nn.Module):
    """Natural logarithm of the mel magnitude, [batch, samples] -> [batch, frames, 128].

    Frame k is centred on sample 160 k + 80. There are floor(samples / 160) + 1 frames: the last
    one is there twice, as in the original. Always in float32.
    """

    def __init__(self) -> None:
        super().__init__()
        from librosa.filters import mel

        filters = torch.from_numpy(mel(sr=RATE, n_fft=FFT, n_mels=BANDS, fmin=0, fmax=RATE / 2))
        self.register_buffer("filters", filters.float().T.contiguous(), persistent=False)
        self.register_buffer("window", torch.hann_window(FFT), persistent=False)

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        with torch.autocast(waveform.device.type, enabled=False):
            return self._logarithm(waveform)

    def _logarithm(self, waveform: torch.Tensor) -> torch.Tensor:
        padded = F.pad(waveform[:, None], (BEFORE, BEFORE), mode="reflect")[:, 0]
        if padded.shape[1] < FFT:
            padded = F.pad(padded, (0, FFT - padded.shape[1]))
        spectrum = torch.stft(
            padded, FFT, HOP, window=self.window, center=False, return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()
        magnitude = (power + 1e-9).sqrt_().transpose(1, 2)
        mel = (magnitude @ self.filters).clamp_(min=1e-5).log_()
        missing = waveform.shape[1] // HOP + 1 - mel.shape[1]
        return torch.cat([mel, mel[:, -1:].expand(-1, missing, -1)], 1)


class Block(nn.Module):
    """Layer norm, gated expansion, depthwise convolution over 31 frames, contraction; residual."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.expand = nn.Conv1d(WIDTH, 4 * WIDTH, 1)
        self.depthwise = nn.Conv1d(
            2 * WIDTH, 2 * WIDTH, KERNEL, padding=KERNEL // 2, groups=2 * WIDTH
        )
        self.contract = nn.Conv1d(2 * WIDTH, WIDTH, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # on a frame at a time the convolutions of width 1 are products: frames stay in rows
        y = F.linear(self.norm(x), self.expand.weight[..., 0], self.expand.bias)
        y = F.silu(self.depthwise(F.glu(y, -1).transpose(1, 2)), inplace=True).transpose(1, 2)
        return x + F.linear(y, self.contract.weight[..., 0], self.contract.bias)


class FCPE(nn.Module):
    """[batch, samples] at 16 kHz -> every tap, as [batch, frames, width]."""

    def __init__(self) -> None:
        super().__init__()
        self.mel = LogMel()
        self.conv1 = nn.Conv1d(BANDS, WIDTH, 3, padding=1)
        self.group_norm = nn.GroupNorm(4, WIDTH)
        self.conv2 = nn.Conv1d(WIDTH, WIDTH, 3, padding=1)
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.norm = nn.LayerNorm(WIDTH)
        self.logits = nn.Linear(WIDTH, BINS)

    def forward(self, waveform: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        x = self.conv1(self.mel(waveform).transpose(1, 2))
        x = self.conv2(F.leaky_relu(self.group_norm(x), inplace=True)).transpose(1, 2).contiguous()
        yield "frontend", x
        for i, block in enumerate(self.blocks):
            x = block(x)
            yield f"block{i + 1:02d}", x
        x = self.norm(x)
        yield "final", x
        yield "logits", self.logits(x)


class PitchOfVoice(Model):
    """FCPE behind the common interface."""

    def __init__(self, card: ModelCard, network: FCPE, weights: WeightsRecord):
        self.card, self.weights = card, weights
        self.network = network.eval().requires_grad_(False)
        self.blocks = tuple(network.blocks)

    def forward(self, values: torch.Tensor, until: str | None = None) -> dict[str, torch.Tensor]:
        return collect(self.network(values), until)


def frequency(bins: torch.Tensor) -> torch.Tensor:
    """Hz of (fractional) places in `logits`: equal steps of pitch from 32.70 to 1975.5 Hz."""
    return LOWEST * torch.exp(bins / (BINS - 1) * math.log(HIGHEST / LOWEST))


def from_published(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors of a published file under the names used here; unknown names stay as they are.

    The weight norm of the last layer is worked out: direction times length.
    """
    names = {"input_stack.0": "conv1", "input_stack.1": "group_norm", "input_stack.3": "conv2"}
    parts = {"0": "norm", "2": "expand", "4.conv": "depthwise", "6": "contract"}
    for i in range(BLOCKS):
        for there, here in parts.items():
            names[f"net.encoder_layers.{i}.conformer.net.{there}"] = f"blocks.{i}.{here}"
    names["output_proj"] = "logits"
    out = {}
    for name, tensor in tensors.items():
        stem, _, kind = name.rpartition(".")
        out[f"{names[stem]}.{kind}" if stem in names else name] = tensor
    length, direction = out.get("logits.weight_g"), out.get("logits.weight_v")
    if length is not None and direction is not None and length.shape == (len(direction), 1):
        out["logits.weight"] = direction * (length / direction.norm(dim=1, keepdim=True))
        del out["logits.weight_g"], out["logits.weight_v"]
    return out


def _load(request: Request) -> PitchOfVoice:
    # norms before an attention that this variant was built without
    norms = tuple(f"net.encoder_layers.{i}.norm." for i in range(BLOCKS))
    return PitchOfVoice(CARD, *FILE.load(FCPE, CARD.name, request, from_published, UNUSED + norms))


def _layers() -> tuple[Layer, ...]:
    names = ["frontend", *(f"block{i + 1:02d}" for i in range(BLOCKS)), "final"]
    widths = [(name, WIDTH) for name in names] + [("logits", BINS)]
    hertz, center = RATE / HOP, HOP / 2 / RATE
    return tuple(Layer(name, width, hertz, i, center) for i, (name, width) in enumerate(widths))


CARD = ModelCard(
    name="fcpe",
    title="FCPE",
    cite="Luo et al. 2025",
    paper="Luo, Zhang, Liu, Li & Liu 2025, FCPE: A Fast Context-based Pitch Estimation Model, "
    "arXiv 2509.15140",
    url="https://github.com/CNChTu/FCPE",
    training_data="singing voice with pitch labels, not published (supervised), mixed with music "
    "and noise, in excerpts of 0.35 s",
    licence=WHEEL.licence,
    parameters=10_826_088,
    sample_rate=RATE,
    layers=_layers(),
    weights_from=str(FILE),
    window=WINDOW,
    hop=HOP_OF_WINDOWS,
    minimum=BEFORE + 1,
    notes="frontend: after both convolutions of the input stack; final: after the closing layer "
    "norm; logits: 360 steps of pitch from 32.70 to 1975.5 Hz, before the sigmoid. A block sees "
    "0.15 s to either side of its input, block06 0.92 s. A group norm in the input stack averages "
    "over the window: every layer changes a little with sound however far away (10 s of singing-"
    "like tones instead of 40 s: by 1 %, block06 by 2.5 %; 3 s: by 2 %, block06 by 8 %). Training "
    "saw 0.35 s at once. Windows overlap by 2 s, so that frames far from a clip's ends count where "
    "they see all they can.",
)
SPEC = ModelSpec(CARD, _load, WHEEL.present)
