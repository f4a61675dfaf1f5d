"""Models of the wav2vec 2.0 structure (HuBERT, data2vec, wav2vec 2.0 itself) from their files.

Published are a folder in the transformers library's form (config.json, weights, and the settings of
its feature extractor), or a checkpoint of fairseq, in which all of them were trained. Either is
read here without the library's own loader: it runs code that repositories bring, lets tensors be
missing with a warning, and refuses a configuration over fields that no feature depends on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from extract import checkpoint, fairseq, hub
from extract.errors import OptionUnsuitable, WeightsInvalid, WeightsMissing
from extract.models.base import ModelCard, ModelSpec, Request, WeightsRecord
from extract.models.hosted import HostedModel, Structure, bake
from extract.models.unpadded import unpad
from extract.weights import drawing, load_strict, sha256_of_tensors

BRANCH = "main"
HUB_FILES = ("pytorch_model.bin", "model.safetensors")
FILES = ("model.safetensors", "pytorch_model.bin", "checkpoint_best.pt", "checkpoint_last.pt")
CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
HEAD = 64  # channels of one attention head, at every size of this family
DEEP = 24  # encoders of so many blocks are pre-LN where nothing says
PREFIXES = ("hubert.", "data2vec_audio.", "wav2vec2.")
# the vector that stood for masked frames in training
UNUSED = ("masked_spec_embed",)
STRIDES = Structure().strides
SIZES = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "conv_dim",
    "conv_kernel",
    "conv_stride",
    "do_stable_layer_norm",
)
# names of the weight norm before and after PyTorch's change
RENAMED = {
    ".conv.weight_g": ".conv.parametrizations.weight.original0",
    ".conv.weight_v": ".conv.parametrizations.weight.original1",
}


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


@dataclass(frozen=True)
class Published:
    """One set of published weights.

    Attributes
    ----------
    repo : on the Hugging Face hub; "" for files that only their owner has.
    settings : all that features depend on, see `Kind.settings`.
    normalise : whether windows are normalised where no feature extractor's file says it.
    sha256 : of `HUB_FILES[0]`, where it is known. Commits of the hub are not: the branch is taken
        as it stands, and the commit that it stood for goes into the record.
    unused : first letters of further tensors that the file holds.
    """

    card: ModelCard
    kind: Kind
    settings: dict
    repo: str = ""
    normalise: bool = True
    sha256: str | None = None
    unused: tuple[str, ...] = ()

    def spec(self) -> ModelSpec:
        """Its registry entry."""
        return ModelSpec(self.card, partial(load, self), partial(_present, self))


def load(published: Published, request: Request) -> HostedModel:
    """The model as the user wants it; see `Request`."""
    if request.untrained:
        return untrained(published, request.seed)
    if request.weights is None:
        return _from_hub(published, request.offline)
    path = checkpoint.locate(request.weights, FILES)
    return from_file(published, path, source=f"file {path.name}")


def local(published: Published, detail: str) -> ModelSpec:
    """The entry of a model that stands in the file or folder `detail`, for families.

    Raises
    ------
    WeightsMissing : nothing there.
    """
    family = published.card.name
    if not detail:
        raise WeightsMissing(f"{family}: say which file or folder, as in {family}:/data/k_500")
    path = checkpoint.locate(Path(detail).expanduser(), FILES)
    published = replace(
        published,
        card=replace(published.card, name=f"{family}:{detail}", weights_from=f"the user: {path}"),
    )
    config = path.parent / CONFIG
    if config.is_file():
        settings = _read_config(published, config)
        with torch.device("meta"):
            network = bake(_build(published.kind, settings, config))
        card = _card_of(published, settings, network)
        published = replace(published, card=card, settings=settings)

    def load_it(request: Request) -> HostedModel:
        if request.weights is not None:
            raise OptionUnsuitable(
                f"{published.card.name} says itself where its weights are: leave out --weights"
            )
        return load(published, replace(request, weights=path))

    return ModelSpec(published.card, load_it, path.is_file)


def _present(published: Published) -> bool:
    return any(hub.cached(published.repo, file, BRANCH) for file in HUB_FILES)


def _from_hub(published: Published, offline: bool) -> HostedModel:
    repo, licence = published.repo, published.card.licence
    fetch = partial(hub.fetch, repo, licence=licence, offline=offline)
    file = next((f for f in HUB_FILES if hub.cached(repo, f, BRANCH)), HUB_FILES[0])
    path = fetch(file, BRANCH, published.sha256 if file == HUB_FILES[0] else None)
    commit = path.parent.name  # the hub's cache keeps a folder for each commit
    fetch(CONFIG, commit)
    try:
        fetch(PREPROCESSOR, commit)
    except WeightsMissing:
        pass  # `Published.normalise` says the same
    return from_file(published, path, source=f"hub {repo}@{commit[:8]} {file}")


def from_file(published: Published, path: Path, *, source: str) -> HostedModel:
    """A model from a weights file in the published layout and what stands beside it.

    Raises
    ------
    WeightsInvalid : tensors missing, misshapen or unexplained; a configuration of another network.
    """
    kind, inside = published.kind, fairseq.read(path)
    tensors = _own_names(checkpoint.tensors_in(inside, path, under=("model", "state_dict")))
    unused, trained = (*UNUSED, *published.unused), {}
    if fairseq.is_from_fairseq(tensors):
        tensors, unused = _own_names(fairseq.renamed(tensors)), (*unused, *fairseq.UNUSED)
        trained = fairseq.settings(inside, str(path))
        _check_rate(published, fairseq.sample_rate(inside), path)
    config = path.parent / CONFIG
    if config.is_file() and not trained:
        settings = _read_config(published, config)
    else:
        settings = _sizes_of(published, tensors, trained, str(path))
    with torch.device("meta"):  # no time spent on values that are replaced at once
        network = _build(kind, settings, path)
    network.to_empty(device="cpu")
    load_strict(network, tensors, source=str(path), unused=unused)
    normalise = _read_preprocessor(published, path.parent / PREPROCESSOR)
    return _model(published, settings, network, normalise, source, trained=True)


def untrained(published: Published, seed: int) -> HostedModel:
    """The same architecture with the library's random initial weights, drawn from `seed`."""
    with drawing(published.card.name, seed):
        network = _build(published.kind, published.settings, Path(published.card.name))
    source = f"untrained, seed {seed}"
    return _model(
        published, published.settings, network, published.normalise, source, trained=False
    )


def _model(
    published: Published,
    settings: dict,
    network: torch.nn.Module,
    normalise: bool,
    source: str,
    *,
    trained: bool,
) -> HostedModel:
    # tensors tell neither heads, strides nor the place of the norms: two models may differ in
    # those alone
    text = json.dumps(settings | {"normalise": normalise}, sort_keys=True)
    manner = {"settings": torch.tensor(list(text.encode()), dtype=torch.uint8)}
    record = WeightsRecord(sha256_of_tensors(network.state_dict() | manner), source, trained)
    card = _card_of(published, settings, bake(network))
    unpad(network.feature_extractor.conv_layers)
    taps = _structure(settings).taps()
    return HostedModel(card, network, record, taps, normalise=normalise)


def _structure(settings: dict) -> Structure:
    return Structure(
        channels=tuple(settings["conv_dim"]),
        kernels=tuple(settings["conv_kernel"]),
        strides=tuple(settings["conv_stride"]),
        width=settings["hidden_size"],
        blocks=settings["num_hidden_layers"],
        closing=settings.get("do_stable_layer_norm", False),
    )


def _build(kind: Kind, settings: dict, source: Path) -> torch.nn.Module:
    import transformers

    try:
        config = getattr(transformers, f"{kind.library}Config")(
            **settings,
            # no vector for masked frames, and nothing left to chance
            mask_time_prob=0.0,
            mask_feature_prob=0.0,
            layerdrop=0.0,
            attn_implementation="sdpa",
        )
        return getattr(transformers, f"{kind.library}Model")(config)
    except MemoryError:
        raise
    except Exception as error:  # the library raises many kinds
        error = error.__cause__ or error
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsInvalid(f"{source}: sizes make no network ({first})") from None


def _card_of(published: Published, settings: dict, network: torch.nn.Module) -> ModelCard:
    """The card as it stands, or corrected where the network has other sizes than published."""
    card = published.card
    if all(settings.get(name) == published.settings.get(name) for name in SIZES):
        return card
    structure = _structure(settings)
    place = "pre-LN" if structure.closing else "post-LN"
    note = (
        f"Not of the published size: {structure.blocks} {place} blocks of width "
        f"{structure.width}, {settings['num_attention_heads']} heads."
    )
    return replace(
        card,
        title=f"{card.title}, other size",
        layers=structure.layers(card.sample_rate),
        parameters=sum(p.numel() for p in network.parameters()),
        minimum=structure.field,
        notes=f"{card.notes} {note}".strip(),
    )


def _own_names(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Names as the network has them: no prefix of a larger model, new names of the weight norm."""
    prefix = next((p for p in PREFIXES if any(n.startswith(p) for n in tensors)), "")
    own = {}
    for name, tensor in tensors.items():
        name = name.removeprefix(prefix)
        for old, new in RENAMED.items():
            if name.endswith(old):
                name = name.removesuffix(old) + new
        own[name] = tensor
    return own


def _read_json(path: Path) -> dict:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsInvalid(
            f"{path}: cannot be read ({type(error).__name__}); download it again"
        ) from None
    if not isinstance(table, dict):
        raise WeightsInvalid(f"{path}: no table of settings; download it again")
    return table


def _read_config(published: Published, path: Path) -> dict:
    """The settings in a config.json; refuses those of another network."""
    table, kind = _read_json(path), published.kind
    _check_rate(published, table.get("sample_rate"), path)
    if (found := table.get("model_type")) not in kind.types:
        raise WeightsInvalid(
            f"{path}: model_type is {found!r}, but {published.card.name} is read from "
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
        settings[name] = like
    return settings


def _counts(value: object) -> bool:
    return isinstance(value, list) and all(type(x) is int and x > 0 for x in value)


def _read_preprocessor(published: Published, path: Path) -> bool:
    """Whether windows are normalised, as the feature extractor's file says if it is there."""
    if not path.is_file():
        return published.normalise
    table = _read_json(path)
    _check_rate(published, table.get("sampling_rate"), path)
    return bool(table.get("do_normalize", published.normalise))


def _check_rate(published: Published, rate: object, path: Path) -> None:
    wanted = published.card.sample_rate
    if rate is not None and rate != wanted:
        raise WeightsInvalid(
            f"{path}: made for audio at {rate} Hz, but {published.card.name} takes {wanted} Hz; "
            "is this the folder of that very model?"
        )


def _sizes_of(
    published: Published, tensors: Mapping[str, torch.Tensor], trained: Mapping, source: str
) -> dict:
    """Settings of the network that these tensors, named as the library does, belong to.

    Parameters
    ----------
    trained : settings that the training program left beside the tensors, as far as it did.
    """

    def shape(name: str) -> tuple[int, ...]:
        if name not in tensors:
            raise WeightsInvalid(
                f"{source}: 1 missing tensors: {name}; is this the file of this very model?"
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
    if published.kind is DATA2VEC:
        position = shape(f"{place}layers.0.conv.weight")
        sizes["num_conv_pos_embeddings"] = _count(tensors, f"{place}layers.")
        sizes["conv_pos_kernel_size"] = position[-1]
    else:
        position = shape(f"{place}conv.parametrizations.weight.original1")
        sizes["num_conv_pos_embeddings"] = position[-1]
    sizes["num_conv_pos_embedding_groups"] = width // max(1, *position[1:2])
    settings = published.kind.settings | sizes | trained
    if trained.get("do_stable_layer_norm") and published.kind is DATA2VEC:
        raise WeightsInvalid(f"{source}: a pre-LN data2vec, which the transformers library lacks")
    if len(settings["conv_stride"]) != len(kernels):
        raise WeightsInvalid(
            f"{source}: {len(kernels)} convolutions, not {len(STRIDES)}, and nothing says their "
            "strides; put its config.json beside it"
        )
    return {name: settings[name] for name in published.kind.settings}


def _count(tensors: Mapping[str, torch.Tensor], start: str) -> int:
    """One more than the highest number that follows `start` in the names."""
    found = (re.match(rf"{re.escape(start)}(\d+)\.", name) for name in tensors)
    return max((int(match[1]) for match in found if match), default=0) + 1
