"""MULE: musical embeddings learned without labels, and the siblings of its paper.

McCallum, Korzeniowski, Oramas, Gouyon, Ehmann: Supervised and Unsupervised Learning of Audio
Representations for Music Understanding, arXiv 2210.03799 (ISMIR 2022). Six networks of one
architecture (`extract.models.nfnet`); the weights of one, MULE, are published.

The network sees slices of 3 seconds of a log-mel at 100 frames a second, one every 2 seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import torch
from torch.nn import functional as F

from extract import checkpoint, hub, kerasfile
from extract.errors import AudioError, OptionUnsuitable, WeightsInvalid
from extract.models.base import (
    Layer,
    Model,
    ModelCard,
    ModelSpec,
    Request,
    WeightsRecord,
    collect,
)
from extract.models.nfnet import FAST_STEM, PUBLISHED, SLOW_STEM, Sizes, SlowFast, grid
from extract.weights import drawing, load_strict, sha256_of_file, sha256_of_tensors
from extract.windows import Window, owned

RATE, FFT, SPAN, HOP, BANDS = 16000, 2048, 400, 160, 96
HERTZ = RATE / HOP
FRAMES, STEP = 300, 200  # of a slice, and from one slice to the next
SLICE = FRAMES / HERTZ
# the original's reader divides 16-bit samples by 2 ** 16: full scale is 0.5
SCALE = 0.5
FLOOR = 0.01  # of the standard deviation of a slice

REPO, FILE = "matteospanio/mule", "model.safetensors"
# No commit of this conversion is known that could be pinned. The download is held against the hash
# that the hub names, stays as it is once it is in the cache, and every result carries the hash of
# the tensors that were loaded.
REVISION = "main"
KERAS, KERAS_SHA256 = (
    "model.keras",
    "1da111d619bac0d422e41f153cbfb903f7ec3c5d3b2768f5d68f04452ed18180",
)
LICENCE = "CC BY-NC 4.0"
PROJECTOR = "projector."


@lru_cache(maxsize=1)
def _filterbank() -> torch.Tensor:
    """[96, 1025] triangles on the HTK mel scale, 0 to 8000 Hz, each with an L2 norm of 1."""
    from librosa.filters import mel

    filters = mel(
        sr=RATE, n_fft=FFT, n_mels=BANDS, fmin=0.0, fmax=8000.0, htk=True, norm=2.0, dtype="float32"
    )
    return torch.from_numpy(filters)


def logmel(waveform: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
    """log10(1 + 10000 mel power) of a waveform at 16 kHz, times `scale`.

    Parameters
    ----------
    waveform : [samples], more than 1024; what goes beyond its ends is its reflection.

    Returns
    -------
    [96, 1 + samples // 160]; frame k is centred at k / 100 s.
    """
    window = torch.hann_window(SPAN)
    spectrum = torch.stft(waveform, FFT, HOP, SPAN, window, pad_mode="reflect", return_complex=True)
    power = spectrum.real.square() + spectrum.imag.square()
    return torch.log10(10000 * scale**2 * (_filterbank() @ power) + 1)


def starts(frames: int) -> list[int]:
    """First frame of each slice of a log-mel of `frames` frames, of which there are 300 or more.

    Slices have their middle on frames 200, 400, ..., moved where they would go beyond an end.
    """
    half = FRAMES // 2
    return [min(max(c, half), frames - half) - half for c in range(STEP, frames, STEP)]


def standardised(values: torch.Tensor) -> torch.Tensor:
    """A slice with a mean of 0 and a standard deviation of 1, unless it hardly varies at all."""
    return (values - values.mean()) / values.std(correction=0).clamp(min=FLOOR)


def layers(sizes: Sizes = PUBLISHED) -> tuple[Layer, ...]:
    """Every layer in the order of the forward pass; see `SlowFast.forward`."""
    slow, fast = (
        (HERTZ / step, first / HERTZ)
        for first, step, _ in (grid(stem, FRAMES) for stem in (SLOW_STEM, FAST_STEM))
    )
    rows = [("slow_stem", sizes.slow_stem[-1], slow), ("fast_stem", sizes.fast_stem[-1], fast)]
    for i, depth in enumerate(sizes.depths):
        entering = (sizes.slow_stem[-1], *sizes.slow)[i] + sizes.joined[i]
        rows.append((f"fused{i}", entering, slow))
        rows += [(f"slow_stage{i}.block{j}", sizes.slow[i], slow) for j in range(depth)]
        rows += [(f"fast_stage{i}.block{j}", sizes.fast[i], fast) for j in range(depth)]
    whole = (1 / SLICE, SLICE / 2)
    rows += [(name, sizes.embedding, whole) for name in ("pooled", "embedding")]
    return tuple(
        Layer(name, width, rate, depth, center)
        for depth, (name, width, (rate, center)) in enumerate(rows)
    )


class Mule(Model):
    """A slow-fast network behind the common interface; its weights are standardised here."""

    def __init__(self, card: ModelCard, network: SlowFast, weights: WeightsRecord):
        self.card, self.weights = card, weights
        network.bake()
        self.network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def windows(self, waveform: torch.Tensor) -> list[Window]:
        """Slices [96, 300] of the clip's log-mel, each standardised.

        As in the original, the first half second of a clip, and up to half a second at its end,
        are in no slice: they belong to the slice next to them. A clip shorter than a slice is
        followed by silence, which nobody owns.

        Raises AudioError for a clip shorter than the mel's window of 25 ms.
        """
        samples = waveform.shape[-1]
        if samples < self.card.minimum:
            raise AudioError(
                f"{samples} samples are too short: {self.name} needs at least {self.card.minimum}"
            )
        end = samples / RATE
        values = logmel(F.pad(waveform, (0, max(0, (FRAMES - 1) * HOP - samples))), SCALE)
        frames = values.shape[1]
        windows = []
        for start, first, last in owned(starts(frames), FRAMES, frames):
            owns = (first / HERTZ, end if last == frames else last / HERTZ)
            part = standardised(values[:, start : start + FRAMES])
            windows.append(Window(part, start / HERTZ, owns))
        return windows

    def forward(self, values: torch.Tensor, until: str | None = None) -> dict[str, torch.Tensor]:
        return collect(((name, _frames(x)) for name, x in self.network(values)), until)


def _frames(x: torch.Tensor) -> torch.Tensor:
    """[batch, channels, frequency, time] or [batch, width] -> [batch, frames, width]."""
    return x.mean(2).transpose(1, 2) if x.ndim == 4 else x[:, None]


def published_names(sizes: Sizes = PUBLISHED) -> tuple[list[str], list[str], list[str]]:
    """Convolutions, dense layers and gains of the network, in the order in which they were made."""
    convs = [f"{path}_stem.convs.{i}" for path in ("slow", "fast") for i in range(4)]
    dense, gains = [], []
    for path in ("slow", "fast"):
        for i, depth in enumerate(sizes.depths):
            for j in range(depth):
                block = f"{path}_stages.{i}.blocks.{j}"
                convs += [f"{block}.convs.{k}" for k in range(4)]
                convs += [] if j else [f"{block}.skip_conv"]
                dense += [f"{block}.se.fc1", f"{block}.se.fc2"]
                gains.append(f"{block}.skip_gain")
    convs += [f"fusions.{i}.conv{k}" for i in range(len(sizes.depths)) for k in (1, 2)]
    return convs, dense, gains


def from_keras(
    described: list[kerasfile.KerasLayer], sizes: Sizes, path: Path
) -> dict[str, torch.Tensor]:
    """Variables of a Keras file under the names and axis orders of the published conversion.

    What comes behind the last gain, a projector or a classifier, gets names that begin with
    `projector.`. A layer that is not known keeps its name, and is refused when it is loaded.
    """
    last = max((i for i, layer in enumerate(described) if _is_gain(layer)), default=-1)
    # layers stand by their distance from the end: the skipped path of the last block may come after
    # its gain, what makes the gain does not
    body, behind = described[: last + 1], described[last + 1 :]
    convs = [layer for layer in described if "layer/vars/0" in layer.variables]
    dense = [layer for layer in body if set(layer.variables) == {"vars/0", "vars/1"}]
    gains = [layer for layer in body if _is_gain(layer)]
    wanted = published_names(sizes)
    found, needed = [len(kind) for kind in (convs, dense, gains)], [len(w) for w in wanted]
    if found != needed:
        raise WeightsInvalid(
            f"{path}: {found[0]} standardised convolutions, {found[1]} dense layers and {found[2]} "
            f"gains in it, needed {needed[0]}, {needed[1]} and {needed[2]}; "
            "is this the file of this very model?"
        )
    tensors, known = {}, set()
    for kind, names in zip((convs, dense, gains), wanted, strict=True):
        made = kerasfile.creation_order(kind, path)
        known |= {layer.name for layer in made}
        for name, layer in zip(names, made, strict=True):
            tensors |= {f"{name}{end}": value for end, value in _renamed(layer)}
    for prefix, others in (("", body), (PROJECTOR, behind)):
        for layer in others:
            if layer.name not in known:
                tensors |= {f"{prefix}{layer.name}/{k}": v for k, v in layer.variables.items()}
    return tensors


def _is_gain(layer: kerasfile.KerasLayer) -> bool:
    return set(layer.variables) == {"vars/0"} and layer.variables["vars/0"].numel() == 1


def _renamed(layer: kerasfile.KerasLayer) -> Iterable[tuple[str, torch.Tensor]]:
    """(end of the name, values) of a layer's variables, in PyTorch's order of axes."""
    for place, value in layer.variables.items():
        if place == "layer/vars/0":
            yield ".bias", value
        elif _is_gain(layer):
            yield "", value.reshape(1)
        elif place == "vars/0":
            # frequency, time, in, out -> out, in, frequency, time; dense: in, out -> out, in
            axes = (3, 2, 0, 1) if value.ndim == 4 else tuple(reversed(range(value.ndim)))
            yield ".weight", value.permute(axes).contiguous()
        elif place == "vars/1":
            dense = "layer/vars/0" not in layer.variables
            yield (".bias", value) if dense else (".gain", value.reshape(-1))
        else:
            yield f"/{place}", value


def read(path: Path, sizes: Sizes = PUBLISHED) -> dict[str, torch.Tensor]:
    """Tensors of a file in one of the published layouts, by the names of the conversion.

    Raises
    ------
    WeightsMissing, WeightsInvalid : see `extract.kerasfile.read`, `extract.checkpoint.read`.
    """
    if path.suffix == kerasfile.SUFFIX:
        return from_keras(kerasfile.read(path), sizes, path)
    return checkpoint.read(path)


def trained(
    card: ModelCard,
    tensors: Mapping[str, torch.Tensor],
    *,
    path: str | Path,
    source: str,
    sizes: Sizes = PUBLISHED,
) -> Mule:
    """A model with these weights, read strictly; `path` is for messages, `source` for the record.

    Raises WeightsInvalid, see `extract.weights.load_strict`.
    """
    with torch.device("meta"):  # no time spent on values that are replaced at once
        network = SlowFast(sizes)
    network.to_empty(device="cpu")
    load_strict(network, tensors, source=str(path), unused=(PROJECTOR,))
    return Mule(card, network, _record(network, source, trained=True))


def untrained(card: ModelCard, seed: int, sizes: Sizes = PUBLISHED) -> Mule:
    """The same architecture with random weights drawn from `seed`."""
    with drawing(card.name, seed):
        network = SlowFast(sizes)
    return Mule(card, network, _record(network, f"untrained, seed {seed}", trained=False))


def _record(network: SlowFast, source: str, trained: bool) -> WeightsRecord:
    """The identity is that of the weights as they are published, before they are standardised."""
    return WeightsRecord(sha256_of_tensors(network.state_dict()), source, trained)


def _located(given: Path) -> Path:
    if (given / "saved_model.pb").is_file():
        raise WeightsInvalid(
            f"{given}: a SavedModel, the format of before June 2024, which is not read; "
            f"give {KERAS} of today's repository, or {FILE} of the hub's {REPO}"
        )
    return checkpoint.locate(given, (FILE, KERAS))


def load(card: ModelCard, request: Request) -> Mule:
    """MULE as the user wants it; see `Request`."""
    if request.untrained:
        return untrained(card, request.seed)
    if request.weights is None:
        path = hub.fetch(REPO, FILE, REVISION, licence=LICENCE, offline=request.offline)
        return trained(card, read(path), path=path, source=f"hub {REPO} {FILE}")
    path = _located(request.weights)
    tensors = read(path)
    if path.suffix == kerasfile.SUFFIX and (found := sha256_of_file(path)) != KERAS_SHA256:
        raise WeightsInvalid(
            f"{path}: not the released file (sha256 {found[:12]}..., released "
            f"{KERAS_SHA256[:12]}...); to use other weights of this layout ask for mule:{path}"
        )
    return trained(card, tensors, path=path, source=f"file {path.name}")


def load_other(card: ModelCard, path: Path, request: Request) -> Mule:
    """A network of the same layout from a file of the user's."""
    if request.weights is not None:
        raise OptionUnsuitable(f"{card.name} names its weights: leave out --weights")
    if request.untrained:
        return untrained(card, request.seed)
    path = _located(path)
    return trained(card, read(path), path=path, source=f"file {path.name}")


NOTES = (
    "Inputs are slices of 3 s, one every 2 s, standardised one by one; in frames and segments the "
    "first half second of a clip stands with its first slice, whose audio begins after it. "
    "Frame-wise layers are means over frequency of the maps: slow at 6.25 Hz, whose stem looks at "
    "every eighth frame of the mel, and fast at 25 Hz; stems and blocks before the activation that "
    "follows them. fused0 to fused3: what enters the slow stages, the slow path's channels first, "
    "then those that come from the fast path. pooled, embedding: one frame a slice, 1536 slow and "
    "192 fast channels, before and after the last activation. Waveforms are halved, as the "
    "original's reader does. Clips shorter than 3 s are followed by silence. The untrained twin "
    "has its residual branches switched on (gain 1; training starts from 0, where most blocks "
    "copy their input)."
)
_CARD = ModelCard(
    name="mule",
    title="MULE (Musicset ULarge)",
    cite="McCallum et al. 2022",
    paper="McCallum, Korzeniowski, Oramas, Gouyon, Ehmann 2022, Supervised and Unsupervised "
    "Learning of Audio Representations for Music Understanding, arXiv 2210.03799",
    url="https://github.com/PandoraMedia/music-audio-representations",
    training_data="Musicset, the authors' collection of music, without labels (contrastive)",
    licence=LICENCE,
    parameters=62_345_742,
    sample_rate=RATE,
    layers=layers(),
    weights_from=f"Hugging Face {REPO}, {FILE}, branch {REVISION} (a conversion); or with "
    f"--weights the released {KERAS} (Git LFS of the repository above)",
    window=SLICE,
    hop=STEP / HERTZ,
    fixed=True,
    minimum=SPAN,
    notes=NOTES,
)
SPEC = ModelSpec(_CARD, partial(load, _CARD), lambda: hub.cached(REPO, FILE, REVISION) is not None)


def spec_of(detail: str) -> ModelSpec:
    """The entry of `mule:PATH`: a file, or folder with a file, of a network of MULE's layout.

    Five siblings of MULE were trained for its paper, on Musicset or Audioset, with labels or
    without, and are not published.
    """
    if not detail:
        raise OptionUnsuitable("mule: needs a file of MULE's layout after the colon: mule:PATH")
    path = Path(detail).expanduser()
    card = replace(
        _CARD,
        name=f"mule:{detail}",
        title=f"network of MULE's layout ({path.name})",
        training_data="not known from the file",
        licence="not known from the file",
        weights_from=str(path),
    )
    return ModelSpec(card, partial(load_other, card, path), path.exists, given=True)
