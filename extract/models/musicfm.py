"""MusicFM: masked prediction of random-projection tokens of the log-mel, 25 tokens a second.

Won, Hung, Le: A Foundation Model for Music Informatics, arXiv 2311.03318. Published weights: two
PyTorch files, and beside each a JSON of statistics of the spectrogram over its training data.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from extract import checkpoint, hub
from extract.errors import WeightsInvalid, WeightsMissing
from extract.jsontext import loads
from extract.models import conformer_weights as weights
from extract.models.base import ModelCard, ModelSpec, Request
from extract.models.conformer import MINIMUM, SAMPLE_RATE, WINDOW, ConformerModel, Sizes

REPO = "minzwon/MusicFM"
REVISION = "4513b38bc25ad1d227b1980819b9691ba97f4d87"
LICENCE = "MIT"
PREFIX = "model."
MEL = "preprocessor_melspec_2048.mel_stft."
RENAMED = {
    MEL + "spectrogram.window": "mel.window",
    MEL + "mel_scale.fb": "mel.filters",
}


@dataclass(frozen=True)
class Variant:
    """One set of published weights.

    Attributes
    ----------
    mean, std : of the log-mel, where they are known without the statistics file; else None.
    """

    name: str
    title: str
    file: str
    sha256: str
    stats: str
    data: str
    notes: str
    mean: float | None = None
    std: float | None = None

    @property
    def card(self) -> ModelCard:
        return ModelCard(
            name=self.name,
            title=self.title,
            cite="Won et al. 2023",
            paper="Won, Hung, Le 2023, A Foundation Model for Music Informatics, arXiv 2311.03318",
            url="https://github.com/minzwon/musicfm",
            training_data=self.data,
            licence=LICENCE,
            parameters=weights.PARAMETERS,
            sample_rate=SAMPLE_RATE,
            layers=Sizes().layers(),
            weights_from=f"Hugging Face {REPO}, {self.file}, revision {REVISION}",
            window=WINDOW,
            minimum=MINIMUM,
            notes=self.notes,
        )


TAPS = (
    "block12 is the output of the last block, final is the same after the encoder's closing "
    "LayerNorm."
)
_MSD = Variant(
    name="musicfm",
    title="MusicFM (MSD)",
    file="pretrained_msd.pt",
    sha256="218b483a0256ddef736267425fabb166fd97008983696bb9270def464b47bded",
    stats="msd_stats.json",
    data="Million Song Dataset, audio previews",
    notes=f"The released model; the paper's tables are of other weights. {TAPS}",
    mean=weights.MSD_MEAN,
    std=weights.MSD_STD,
)
_FMA = Variant(
    name="musicfm-fma",
    title="MusicFM (FMA)",
    file="pretrained_fma.pt",
    sha256="68392eee13d34c2941b3761934abb6b1e67b2e9df498695bda2ea5c1087d4b96",
    stats="fma_stats.json",
    data="Free Music Archive, about 8,000 hours",
    notes=f"FM9 in the paper. Files downloaded before 13 February 2024 are wrong. {TAPS}",
)


def load(variant: Variant, request: Request) -> ConformerModel:
    """MusicFM as the user wants it; see `Request`."""
    if request.untrained:
        return weights.untrained(variant.card, request.seed)
    fetch = partial(hub.fetch, REPO, revision=REVISION, licence=LICENCE, offline=request.offline)
    if request.weights is None:
        path = fetch(variant.file, sha256=variant.sha256)
        stats = None if variant.mean is not None else fetch(variant.stats)
        source = f"hub {REPO}@{REVISION[:8]} {variant.file}"
    else:
        path = checkpoint.locate(request.weights, (variant.file,))
        _check_variant(path, variant)
        stats = path.parent / variant.stats
        source = f"file {path.name}"
    mean, std = _statistics(variant, stats)
    return from_file(variant.card, path, mean=mean, std=std, source=source)


def from_file(
    card: ModelCard, path: Path, *, mean: float, std: float, source: str
) -> ConformerModel:
    """A model from a file in the published layout."""
    named = weights.unprefixed(checkpoint.read(path), PREFIX)
    tensors = {RENAMED.get(name, name): tensor for name, tensor in named.items()}
    return weights.trained(
        card,
        tensors,
        weights.sizes_of(tensors, str(path)),
        mean=mean,
        std=std,
        source=source,
        unused=("quantizer_",),
    )


def _check_variant(path: Path, variant: Variant) -> None:
    for other in (_MSD, _FMA):
        if other is not variant and path.name == other.file:
            raise WeightsInvalid(f"{path}: these weights are {other.name}: ask for that model")


def _statistics(variant: Variant, path: Path | None) -> tuple[float, float]:
    """Mean and standard deviation of the log-mel, from the file or, for MSD, as published."""
    if path is None or not path.is_file():
        if variant.mean is None or variant.std is None:
            raise WeightsMissing(
                f"{path}: not there; {variant.name} needs its statistics beside the weights. "
                f"They come from the Hugging Face hub: {REPO}, {variant.stats}"
            )
        return variant.mean, variant.std
    try:
        table = loads(path.read_text(encoding="utf-8"))
        return float(table["melspec_2048_mean"]), float(table["melspec_2048_std"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsInvalid(
            f"{path}: no melspec_2048_mean and melspec_2048_std in it ({type(error).__name__}); "
            "download it again"
        ) from None


def _spec(variant: Variant) -> ModelSpec:
    files = [variant.file] + ([variant.stats] if variant.mean is None else [])

    def present() -> bool:
        return all(hub.cached(REPO, file, REVISION) for file in files)

    return ModelSpec(variant.card, partial(load, variant), present)


MSD = _spec(_MSD)
FMA = _spec(_FMA)
