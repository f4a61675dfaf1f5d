"""MuQ: the network of MusicFM, trained to predict codes of a residual quantiser of the log-mel.

Zhu et al.: MuQ: Self-Supervised Music Representation Learning with Mel Residual Vector
Quantization, arXiv 2501.01108. Published weights: config.json with safetensors or a PyTorch file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from extract import checkpoint, hub
from extract.errors import WeightsInvalid
from extract.jsontext import loads
from extract.models import conformer_weights as weights
from extract.models.base import ModelCard, ModelSpec, Request
from extract.models.conformer import (
    BANDS,
    HOP,
    MINIMUM,
    SAMPLE_RATE,
    WINDOW,
    ConformerModel,
    Sizes,
)

REPO = "OpenMuQ/MuQ-large-msd-iter"
REVISION = "0562a57814f6f8bbd9fdea0a25921a2fce1a841a"
LICENCE = "CC-BY-NC-4.0 (weights; not for commercial use)"
FILES = ("model.safetensors", "pytorch_model.bin")
CONFIG = "config.json"
PREFIX = "model."
UNUSED = ("rvq.", "recon_proj.")

CARD = ModelCard(
    name="muq",
    title="MuQ (MSD, iterated)",
    cite="Zhu et al. 2025",
    paper="Zhu et al. 2025, MuQ: Self-Supervised Music Representation Learning with Mel Residual "
    "Vector Quantization, arXiv 2501.01108",
    url="https://github.com/tencent-ailab/MuQ",
    training_data="Million Song Dataset, audio previews",
    licence=LICENCE,
    parameters=weights.PARAMETERS,
    sample_rate=SAMPLE_RATE,
    layers=Sizes().layers(),
    weights_from=f"Hugging Face {REPO}, {FILES[0]}, revision {REVISION}",
    window=WINDOW,
    minimum=MINIMUM,
    notes=(
        "The open weights; the paper's best numbers are of weights trained on 160,000 hours that "
        "are not public. block12 is the output of the last block, final is the same after the "
        "encoder's closing LayerNorm."
    ),
)

# the audio tower of MuQ-MuLan: a MuQ trained on, with music and text side by side
MULAN_REPO = "OpenMuQ/MuQ-MuLan-large"
MULAN_REVISION = "2e01c796b71dca71b45251384c04cd7b237c9020"
MULAN_FILE = "pytorch_model.bin"
MULAN_PREFIX = "mulan.audio.model.model."
MULAN_CARD = replace(
    CARD,
    name="muq-mulan",
    title="MuQ-MuLan (audio encoder)",
    training_data="Million Song Dataset previews, then music with text (contrastive, not public)",
    weights_from=f"Hugging Face {MULAN_REPO}, {MULAN_FILE}, revision {MULAN_REVISION}",
    window=10.0,
    notes=(
        "The MuQ inside MuQ-MuLan after contrastive training with text: the same layers as `muq`, "
        "so that the two show what that training changed. Projection and text tower are not run. "
        "Windows of 10 s, as in that training."
    ),
)


@dataclass(frozen=True)
class Config:
    """What config.json settles; None where it says nothing.

    Attributes
    ----------
    sizes : name in `Sizes` -> value, to be held against the tensors.
    """

    mean: float = weights.MSD_MEAN
    std: float = weights.MSD_STD
    label_rate: int = 25
    heads: int | None = None
    sizes: tuple[tuple[str, int], ...] = ()


def load(request: Request) -> ConformerModel:
    """MuQ as the user wants it; see `Request`."""
    if request.untrained:
        return weights.untrained(CARD, request.seed)
    if request.weights is None:
        where = {"licence": LICENCE, "offline": request.offline}
        path = hub.fetch(REPO, FILES[0], REVISION, **where)
        config = hub.fetch(REPO, CONFIG, REVISION, **where)
        source = f"hub {REPO}@{REVISION[:8]} {FILES[0]}"
    else:
        path = checkpoint.locate(request.weights, FILES)
        config = path.parent / CONFIG
        source = f"file {path.name}"
    return from_file(CARD, path, config if config.is_file() else None, source=source)


def load_mulan(request: Request) -> ConformerModel:
    """The audio encoder of MuQ-MuLan as the user wants it; see `Request`."""
    if request.untrained:
        return weights.untrained(MULAN_CARD, request.seed)
    if request.weights is None:
        where = {"licence": LICENCE, "offline": request.offline}
        path = hub.fetch(MULAN_REPO, MULAN_FILE, MULAN_REVISION, **where)
        source = f"hub {MULAN_REPO}@{MULAN_REVISION[:8]} {MULAN_FILE}"
    else:
        path = checkpoint.locate(request.weights, (MULAN_FILE, FILES[0]))
        source = f"file {path.name}"
    # the config.json beside it is that of the two towers, and settles nothing about the encoder
    return from_file(MULAN_CARD, path, None, source=source, prefix=MULAN_PREFIX, unused=("mulan.",))


def from_file(
    card: ModelCard,
    path: Path,
    config: Path | None,
    *,
    source: str,
    prefix: str = PREFIX,
    unused: tuple[str, ...] = (),
) -> ConformerModel:
    """A model from a file in the published layout.

    Parameters
    ----------
    config : the config.json of the file; None for the published configuration.
    prefix : what stands before the network's names. A larger model that holds a MuQ has it under
        a longer one, and other tensors, whose first letters go into `unused`.
    """
    tensors = weights.unprefixed(checkpoint.read(path), prefix)
    settings = Config() if config is None else read_config(config)
    sizes = weights.sizes_of(
        tensors, str(path), label_rate=settings.label_rate, heads=settings.heads
    )
    for name, value in settings.sizes:
        if getattr(sizes, name) != value:
            raise WeightsInvalid(
                f"{path}: {name} is {getattr(sizes, name)} in the tensors but {value} in {config}; "
                "file and configuration belong to different models, or tensors are missing"
            )
    return weights.trained(
        card,
        tensors,
        sizes,
        mean=settings.mean,
        std=settings.std,
        source=source,
        unused=(*UNUSED, *unused),
    )


LARGEST = dict.fromkeys(("encoder_dim", "conv_dim", "ffn", "kernel"), 1 << 16) | {"depth": 1000}


def read_config(path: Path) -> Config:
    """The part of config.json that matters for features; refuses what the network is not.

    The number of blocks is `encoder_depth`; the one inside `w2v2_config` belongs to the speech
    model whose settings were borrowed.
    """
    try:
        table = loads(path.read_text(encoding="utf-8"))
        speech, stat = table.get("w2v2_config") or {}, table.get("stat") or {}
        fixed = {
            "hop_length": (table.get("hop_length", HOP), HOP),
            "n_mels": (table.get("n_mels", BANDS), BANDS),
            "features": (table.get("features", ["melspec_2048"]), ["melspec_2048"]),
            "w2v2_config.position_embeddings_type": (
                speech.get("position_embeddings_type", "rotary"),
                "rotary",
            ),
        }
        named = {
            "encoder_dim": table.get("encoder_dim"),
            "depth": table.get("encoder_depth"),
            "conv_dim": table.get("conv_dim"),
            "ffn": speech.get("intermediate_size"),
            "kernel": speech.get("conv_depthwise_kernel_size"),
        }
        config = Config(
            mean=float(stat.get("melspec_2048_mean", weights.MSD_MEAN)),
            std=float(stat.get("melspec_2048_std", weights.MSD_STD)),
            label_rate=int(table.get("label_rate", 25)),
            heads=speech.get("num_attention_heads"),
            sizes=tuple((name, int(value)) for name, value in named.items() if value is not None),
        )
    except (OSError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise WeightsInvalid(f"{path}: not a MuQ configuration ({error})") from None
    if large := [f"{name} {size}" for name, size in config.sizes if not 0 < size <= LARGEST[name]]:
        raise WeightsInvalid(f"{path}: {', '.join(large)}: no MuQ has such a size")
    for name, (found, needed) in fixed.items():
        if found != needed:
            raise WeightsInvalid(
                f"{path}: {name} is {found!r}, but only {needed!r} is supported; "
                "is this the config.json of a MuQ?"
            )
    return config


def _present() -> bool:
    return all(hub.cached(REPO, name, REVISION) for name in (FILES[0], CONFIG))


def _mulan_present() -> bool:
    return hub.cached(MULAN_REPO, MULAN_FILE, MULAN_REVISION) is not None


SPEC = ModelSpec(CARD, load, _present)
MULAN = ModelSpec(MULAN_CARD, load_mulan, _mulan_present)
