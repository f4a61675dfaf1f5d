"""Settings of networks of the wav2vec 2.0 structure: from config.json, or read off the tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from extract.errors import WeightsInvalid
from extract.jsontext import loads
from extract.models.base import ModelCard
from extract.models.hosted import Structure

HEAD = 64  # channels of one attention head, at every size of this family
DEEP = 24  # encoders of so many blocks are pre-LN where nothing says
STRIDES = Structure().strides


@dataclass(frozen=True)
class Kind:
    """An architecture of the library.

    Attributes
    ----------
    library : the start of the names of its classes.
    types : `model_type` in the configurations that it is right for.
    settings : what of a configuration features depend on, with the values at base size. Anything
        else that stands in a config.json is not read.
    """

    library: str
    types: tuple[str, ...]
    settings: dict


_BASE = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
    "feat_extract_activation": "gelu",
    "conv_dim": [512] * 7,
    "conv_stride": list(STRIDES),
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_bias": False,
    "num_conv_pos_embeddings": 128,
    "num_conv_pos_embedding_groups": 16,
}
_EITHER = {"feat_extract_norm": "group", "do_stable_layer_norm": False}
HUBERT = Kind(
    "Hubert",
    ("hubert", "mert_model", "music_hubert"),
    _BASE | _EITHER | {"feat_proj_layer_norm": True, "conv_pos_batch_norm": False},
)
WAV2VEC2 = Kind("Wav2Vec2", ("wav2vec2",), _BASE | _EITHER)
DATA2VEC = Kind(
    "Data2VecAudio",
    ("data2vec-audio",),
    _BASE | {"num_conv_pos_embeddings": 5, "conv_pos_kernel_size": 19},
)


# beyond any network of the family; built, they would fill the memory
MOST_BLOCKS, MOST_CONVOLUTIONS, LARGEST = 1000, 100, 1 << 20


def structure_of(settings: dict) -> Structure:
    return Structure(
        channels=tuple(settings["conv_dim"]),
        kernels=tuple(settings["conv_kernel"]),
        strides=tuple(settings["conv_stride"]),
        width=settings["hidden_size"],
        blocks=settings["num_hidden_layers"],
        closing=settings.get("do_stable_layer_norm", False),
    )


def _read_json(path: Path) -> dict:
    try:
        table = loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsInvalid(
            f"{path}: cannot be read ({type(error).__name__}); download it again"
        ) from None
    if not isinstance(table, dict):
        raise WeightsInvalid(f"{path}: no table of settings; download it again")
    return table


def read_config(card: ModelCard, kind: Kind, path: Path) -> dict:
    """The settings in a config.json; refuses those of another network."""
    table = _read_json(path)
    check_rate(card, table.get("sample_rate"), path)
    if (found := table.get("model_type")) not in kind.types:
        raise WeightsInvalid(
            f"{path}: model_type is {found!r}, but {card.name} is read from "
            f"{' or '.join(kind.types)}"
        )
    for name, what in (
        ("feature_extractor_cqt", "a constant-Q transform beside its convolutions"),
        ("deepnorm", "DeepNorm blocks"),
    ):
        if table.get(name):
            raise WeightsInvalid(
                f"{path}: {name} is set: this network has {what}, which no published weights of "
                "the family have and this program does not build"
            )
    settings = {}
    for name, default in kind.settings.items():
        value = default if table.get(name) is None else table[name]
        if isinstance(default, float) and isinstance(value, int):
            value = float(value)
        like = [int(x) for x in value] if isinstance(default, list) and _counts(value) else value
        if type(like) is not type(default):
            raise WeightsInvalid(f"{path}: {name} is {value!r}, which is no such setting")
        numbers = like if isinstance(like, list) else [like]
        most = MOST_BLOCKS if name == "num_hidden_layers" else LARGEST
        if len(numbers) > MOST_CONVOLUTIONS or any(
            type(x) is int and not -most <= x <= most for x in numbers
        ):
            raise WeightsInvalid(f"{path}: {name} is {value!r:.60}: no network has such a size")
        settings[name] = like
    return settings


def _counts(value: object) -> bool:
    return isinstance(value, list) and all(type(x) is int and x > 0 for x in value)


def read_preprocessor(card: ModelCard, path: Path, normalise: bool) -> bool:
    """Whether windows are normalised, as the feature extractor's file says if it is there.

    `normalise` is the answer where it says nothing.
    """
    if not path.is_file():
        return normalise
    table = _read_json(path)
    check_rate(card, table.get("sampling_rate"), path)
    return bool(table.get("do_normalize", normalise))


def check_rate(card: ModelCard, rate: object, path: Path) -> None:
    """Raises WeightsInvalid where a file speaks of another sample rate than the card."""
    wanted = card.sample_rate
    if rate is not None and rate != wanted:
        raise WeightsInvalid(
            f"{path}: made for audio at {rate} Hz, but {card.name} takes {wanted} Hz; "
            "is this the folder of that very model?"
        )


def sizes_of(
    kind: Kind, tensors: Mapping[str, torch.Tensor], trained: Mapping, source: str
) -> dict:
    """Settings of the network that these tensors, named as the library does, belong to.

    Parameters
    ----------
    trained : settings that the training program left beside the tensors, as far as it did.
    """

    def shape(name: str) -> tuple[int, ...]:
        if name not in tensors:
            raise WeightsInvalid(
                f"{source}: 1 missing tensor: {name}; is this the file of this very model?"
            )
        return tuple(tensors[name].shape) or (1,)

    convolutions, place = "feature_extractor.conv_layers.", "encoder.pos_conv_embed."
    count = _count(tensors, convolutions)
    kernels = [shape(f"{convolutions}{i}.conv.weight") for i in range(count)]
    width = shape("encoder.layer_norm.weight")[0]
    blocks = _count(tensors, "encoder.layers.")
    layered = f"{convolutions}1.layer_norm.weight" in tensors
    sizes = {
        "hidden_size": width,
        "num_hidden_layers": blocks,
        "num_attention_heads": max(1, width // HEAD),
        "intermediate_size": shape("encoder.layers.0.feed_forward.intermediate_dense.bias")[0],
        "conv_dim": [k[0] for k in kernels],
        "conv_kernel": [k[-1] for k in kernels],
        "conv_bias": f"{convolutions}0.conv.bias" in tensors,
        "feat_extract_norm": "layer" if layered else "group",
        "feat_proj_layer_norm": "feature_projection.layer_norm.weight" in tensors,
        "do_stable_layer_norm": blocks >= DEEP,
    }
    if kind is DATA2VEC:
        position = shape(f"{place}layers.0.conv.weight")
        sizes["num_conv_pos_embeddings"] = _count(tensors, f"{place}layers.")
        sizes["conv_pos_kernel_size"] = position[-1]
    else:
        position = shape(f"{place}conv.parametrizations.weight.original1")
        sizes["num_conv_pos_embeddings"] = position[-1]
    sizes["num_conv_pos_embedding_groups"] = width // max(1, *position[1:2])
    settings = kind.settings | sizes | trained
    if trained.get("do_stable_layer_norm") and kind is DATA2VEC:
        raise WeightsInvalid(f"{source}: a pre-LN data2vec, which the transformers library lacks")
    if len(settings["conv_stride"]) != len(kernels):
        raise WeightsInvalid(
            f"{source}: {len(kernels)} convolutions, not {len(STRIDES)}, and nothing says their "
            "strides; put its config.json beside it"
        )
    return {name: settings[name] for name in kind.settings}


def _count(tensors: Mapping[str, torch.Tensor], start: str) -> int:
    """One more than the highest number that follows `start` in the names."""
    found = (re.match(rf"{re.escape(start)}(\d+)\.", name) for name in tensors)
    return max((int(match[1]) for match in found if match), default=0) + 1
