"""Models of the wav2vec 2.0 structure (HuBERT, data2vec, wav2vec 2.0 itself) from their files.

Published are a folder in the transformers library's form (config.json, weights, and the settings of
its feature extractor), or a checkpoint of fairseq, in which all of them were trained. Either is
read here without the library's own loader: it runs code that repositories bring, lets tensors be
missing with a warning, and refuses a configuration over fields that no feature depends on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from extract import checkpoint, fairseq, hub
from extract.errors import OptionUnsuitable, WeightsInvalid, WeightsMissing
from extract.models.base import ModelCard, ModelSpec, Request, WeightsRecord, of_another_size
from extract.models.hosted import HostedModel, bake
from extract.models.unpadded import unpad
from extract.models.wav2vec2_settings import (
    Kind,
    check_rate,
    read_config,
    read_preprocessor,
    sizes_of,
    structure_of,
)
from extract.weights import drawing, load_strict, sha256_of_tensors

BRANCH = "main"
HUB_FILES = ("pytorch_model.bin", "model.safetensors")
FILES = ("model.safetensors", "pytorch_model.bin", "checkpoint_best.pt", "checkpoint_last.pt")
CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
PREFIXES = ("hubert.", "data2vec_audio.", "wav2vec2.")
# the vector that stood for masked frames in training
UNUSED = ("masked_spec_embed",)
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
    OptionUnsuitable : no place named.
    """
    family = published.card.name
    if not detail:
        raise OptionUnsuitable(f"{family}: needs a file or folder after the colon: {family}:PATH")
    path = checkpoint.locate(Path(detail).expanduser(), FILES)
    published = replace(
        published,
        card=replace(published.card, name=f"{family}:{detail}", weights_from=f"the user: {path}"),
    )
    config = path.parent / CONFIG
    if config.is_file():
        settings = read_config(published.card, published.kind, config)
        network = bake(_build(published.kind, settings, config, device="meta"))
        card = _card_of(published, settings, network)
        published = replace(published, card=card, settings=settings)

    def load_it(request: Request) -> HostedModel:
        if request.weights is not None:
            raise OptionUnsuitable(
                f"{published.card.name} says itself where its weights are: leave out --weights"
            )
        return load(published, replace(request, weights=path))

    return ModelSpec(published.card, load_it, path.is_file, given=True)


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
        check_rate(published.card, fairseq.sample_rate(inside), path)
    config = path.parent / CONFIG
    if config.is_file() and not trained:
        settings = read_config(published.card, kind, config)
    else:
        settings = sizes_of(kind, tensors, trained, str(path))
    # no time spent on values that are replaced at once
    network = _build(kind, settings, path, device="meta")
    network.to_empty(device="cpu")
    load_strict(network, tensors, source=str(path), unused=unused)
    normalise = read_preprocessor(published.card, path.parent / PREPROCESSOR, published.normalise)
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
    taps = structure_of(settings).taps()
    return HostedModel(card, network, record, taps, normalise=normalise)


def _build(kind: Kind, settings: dict, source: Path, device: str = "cpu") -> torch.nn.Module:
    import transformers

    # looked up out here: what the library imports for it makes tensors of its own
    settings_of, network_of = (
        getattr(transformers, f"{kind.library}{part}") for part in ("Config", "Model")
    )
    try:
        config = settings_of(
            **settings,
            # no vector for masked frames, and nothing left to chance
            mask_time_prob=0.0,
            mask_feature_prob=0.0,
            layerdrop=0.0,
            attn_implementation="sdpa",
        )
        with torch.device(device):
            return network_of(config)
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
    structure = structure_of(settings)
    place = "pre-LN" if structure.closing else "post-LN"
    note = (
        f"{structure.blocks} {place} blocks of width {structure.width}, "
        f"{settings['num_attention_heads']} heads"
    )
    layers = structure.layers(card.sample_rate)
    parameters = sum(p.numel() for p in network.parameters())
    other = of_another_size(card, layers, parameters, note)
    return replace(other, minimum=structure.field)


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
