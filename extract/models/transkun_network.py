"""The network of Transkun: six mel spectrograms, convolutions, attention over frequency and time.

Yan & Duan 2024, "Scoring intervals using non-hierarchical transformer for automatic piano
transcription" (ISMIR 2024, arXiv 2404.09466). What follows the transformer, the scoring of every
possible note and the search for the best set of them, is not here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional as F

RATE, FRAME, HOP = 44100, 4096, 1024
BANDS, WINDOWS = 229, 6  # mel bands; one Hann window and five learned ones
WIDTH, HEADS, BLOCKS = 256, 8, 6
PATCH = 8  # spectral frames in a frame of the transformer
EVENTS = (-64, -67, *range(21, 109))  # two pedals, 88 keys: each is asked for in every frame
POSITIONS = 1 + (BANDS + 3) // 4  # places along frequency, after a first one that hears nothing
WINDOW = 16.0  # seconds
FRAMES = 1 + 88  # of the transformer in a window, after a first one that hears nothing
FLOOR = 1e-5
ROWS = 2000  # tokens that go through a half block together: what they need stays in the cache


class Spectrograms(nn.Module):
    """[batch, samples] -> [batch, 6, 1 + ceil(samples / 1024), 229], about 0 to 1.

    Frame k is centred on sample 1024 k; silence stands around the waveform. The whole window is
    first brought to mean 0 and deviation 1. Always in float32.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filters", mel_filters())
        self.register_buffer("hann", torch.hann_window(FRAME))
        places = torch.arange(1, WINDOWS) / WINDOWS
        self.width = nn.Parameter(-torch.ones(WINDOWS - 1))  # before the sigmoid, in half frames
        self.center = nn.Parameter(torch.logit(places))  # before the sigmoid, in frames

    def windows(self) -> torch.Tensor:
        """[6, 4096]: a Hann window and five bells inside the frame."""
        time = torch.arange(FRAME, device=self.hann.device)
        width, center = self.width.sigmoid()[:, None], self.center.sigmoid()[:, None]
        bells = torch.exp(-0.5 * ((time - FRAME * center) / (width * FRAME / 2)) ** 2)
        return torch.cat([self.hann[None], bells])

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        with torch.autocast(waveform.device.type, enabled=False):
            return self._logarithms(waveform)

    def _logarithms(self, waveform: torch.Tensor) -> torch.Tensor:
        samples = waveform.shape[1]
        after = -(-samples // HOP) * HOP + FRAME // 2 - samples
        frames = F.pad(waveform, (FRAME // 2, after)).unfold(1, FRAME, HOP)
        deviation, mean = torch.std_mean(frames, (1, 2), keepdim=True)
        frames = (frames - mean) / (deviation + 1e-8)
        spectrograms = []
        for window in self.windows():
            spectrum = torch.fft.rfft(frames * window, norm="ortho")
            power = spectrum.real.square() + spectrum.imag.square()
            mel = (power @ self.filters).add_(FLOOR).log_()
            spectrograms.append((mel - math.log(FLOOR)) / -math.log(FLOOR))
        return torch.stack(spectrograms, 1)


def mel_filters() -> torch.Tensor:
    """[2049, 229]: triangles with a peak of 1, equally spaced in mel (HTK) from 30 to 8000 Hz."""
    low, high = (2595 * math.log10(1 + hertz / 700) for hertz in (30, 8000))
    mels = torch.linspace(low, high, BANDS + 2, dtype=torch.float64)
    edges = 700 * (10 ** (mels / 2595) - 1)
    hertz = torch.linspace(0, RATE / 2, FRAME // 2 + 1, dtype=torch.float64)[:, None]
    rising = (hertz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hertz) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp_min(0).float()


class Places(nn.Module):
    """What a place in time and frequency looks like: cosines of its coordinates, then two layers.

    [..., coordinates] -> [..., width].
    """

    def __init__(self, width: int, coordinates: int):
        super().__init__()
        self.phase = nn.Linear(coordinates, width)
        self.wide = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)
        nn.init.normal_(self.phase.weight)
        nn.init.uniform_(self.phase.bias, -math.pi, math.pi)

    def forward(self, places: torch.Tensor) -> torch.Tensor:
        waves = torch.cos(self.phase(places)) / math.sqrt(self.phase.out_features / 2)
        return self.narrow(F.gelu(self.wide(waves)))


class HalfBlock(nn.Module):
    """Attention along the middle axis of [rows, tokens, 256], then two layers; residual.

    Norms, without weights, stand before the queries and before the layers, none before keys and
    values; what is added is scaled channel by channel.
    """

    def __init__(self) -> None:
        super().__init__()
        for name in ("query", "key", "value"):
            setattr(self, name, nn.Parameter(torch.empty(WIDTH, WIDTH)))
            nn.init.xavier_uniform_(getattr(self, name))
        self.out = nn.Linear(WIDTH, WIDTH)
        self.wide = nn.Linear(WIDTH, 4 * WIDTH)
        self.narrow = nn.Linear(4 * WIDTH, WIDTH)
        self.attention_scale = nn.Parameter(torch.full((WIDTH,), 1e-2))
        self.layers_scale = nn.Parameter(torch.full((WIDTH,), 1e-2))

    def forward(self, x: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
        """`memory`: what keys and values are made of, [rows, tokens, 256]."""
        y = F.rms_norm(x, (WIDTH,), eps=1e-6)
        heads = [
            product.unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for product in (y @ self.query, memory @ self.key, memory @ self.value)
        ]
        y = self.out(F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))
        x = torch.addcmul(x, y, self.attention_scale)
        y = F.gelu(self.wide(F.rms_norm(x, (WIDTH,), eps=1e-6)))
        return torch.addcmul(x, self.narrow(y), self.layers_scale)


class Block(nn.Module):
    """Attention over frequency within a frame, then over time within a frequency.

    [batch, frames, places, 256] -> the same. Both take keys and values of the block's input.
    """

    def __init__(self) -> None:
        super().__init__()
        self.frequency = HalfBlock()
        self.time = HalfBlock()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        memory = x
        for half in (self.frequency, self.time):
            rows = max(1, ROWS // x.shape[2])
            pairs = zip(x.flatten(0, 1).split(rows), memory.flatten(0, 1).split(rows), strict=True)
            y = torch.cat([half(*pair) for pair in pairs])
            x, memory = y.unflatten(0, x.shape[:2]).transpose(1, 2), memory.transpose(1, 2)
        return x


class Transkun(nn.Module):
    """[batch, samples] at 44.1 kHz, 16 s at most -> every tap, as [batch, frames, width]."""

    def __init__(self) -> None:
        super().__init__()
        self.spectrograms = Spectrograms()
        self.band_places = Places(64, 1)
        self.input_conv = nn.Conv2d(WINDOWS, 64, 3, padding=1)
        widths, strides = (64, 128, 256, 256, 256), ((2, 1), (2, 2), (2, 2), (1, 1))
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride, padding=1)
            for before, after, stride in zip(widths, widths[1:], strides, strict=False)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(4, width) for width in widths[1:])
        self.sound_places = Places(WIDTH, 2)
        self.event_places = Places(WIDTH, 2)
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.up = nn.ConvTranspose1d(WIDTH, WIDTH, PATCH, stride=PATCH)
        # [64, 229] and [frames, 149, 256]: what stands for each band, and for each place of sound
        # and then of events
        self.register_buffer("bands", None, persistent=False)
        self.register_buffer("places", None, persistent=False)

    def prepare(self) -> None:
        """Works out, once, what does not depend on the sound."""
        device = self.up.weight.device
        self.bands = self.band_places(torch.arange(BANDS, device=device)[:, None].float()).T
        parts = []
        for net, across in ((self.sound_places, range(POSITIONS)), (self.event_places, EVENTS)):
            time = torch.arange(FRAMES, device=device).float()
            grid = torch.meshgrid(time, torch.tensor(across, device=device).float(), indexing="ij")
            parts.append(net(torch.stack(grid, -1)))
        self.places = torch.cat(parts, 1)

    def forward(self, waveform: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        x = self.spectrograms(waveform).contiguous(memory_format=torch.channels_last)
        frames = x.shape[2]
        x = self.input_conv(x) + self.bands[:, None]
        yield "inputconv", x.mean(3).transpose(1, 2)
        x = F.pad(x, (2, 1, PATCH // 2, PATCH // 2 - 1))
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = norm(conv(F.gelu(x) if i else x))
        yield "frontend", x.mean(3).transpose(1, 2)
        # a first place in time and in frequency hears nothing: the others may gather there
        x = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 0, 1, 0))
        places = self.places[: x.shape[1]].expand(len(x), -1, -1, -1)
        x = torch.cat([x + places[:, :, :POSITIONS], places[:, :, POSITIONS:]], 2)
        for i, block in enumerate(self.blocks):
            x = block(x)
            yield f"block{i + 1:02d}", x[:, 1:, :POSITIONS].mean(2)
        events = x[:, 1:, POSITIONS:].mean(2)
        yield "events", events
        # linear, so the mean over events may come first
        yield "final", self.up(events.transpose(1, 2))[..., :frames].transpose(1, 2)
