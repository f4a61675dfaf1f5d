"""`hf:ID_OR_FOLDER`: any audio encoder that the transformers library has the code of.

The network is built from its configuration with the library's own classes, never with code that a
repository brings; its layers are found by their structure (see `structure.py`), their rates by
running it, its input is made by the model's own feature extractor. Weights are read here,
and what the library then misses or cannot place is an error. Its `hidden_states` are not used:
their meaning changes from release to release.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from extract.errors import ExtractError, OptionUnsuitable, WeightsInvalid
from extract.models.base import Layer, Model, ModelCard, ModelSpec, Request, WeightsRecord
from extract.models.hf import files, musicgen
from extract.models.hf.codecs import CODECS, NOTES, codec_layers, draw_codes
from extract.models.hf.features import Features
from extract.models.hf.images import ast, clap
from extract.models.hf.musicgen import Musicgen, musicgen_layers
from extract.models.hf.network import (
    AST,
    CLAP,
    COUSINS,
    MUSICGEN,
    Plan,
    call,
    config_of,
    plan_of,
    timed,
    watched,
)
from extract.models.hf.structure import NoStructure
from extract.models.hosted import HostedModel
from extract.models.sounding import Untellable
from extract.models.taps import Tap
from extract.weights import drawing, sha256_of_tensors
from extract.windows import Window

WINDOW = 15.0
SOUNDED = 2.0  # seconds over which rates are found
MOST_BLOCKS = 1000  # of a network that is built from a configuration


@dataclass(frozen=True)
class Described:
    """What is known of a model before its weights are read."""

    source: files.Source
    card: ModelCard
    plan: Plan
    taps: tuple[Tap, ...]
    features: Features | None = None
    normalise: bool = False
    call: Callable[[nn.Module, torch.Tensor], object] = nn.Module.__call__
    regroup: Callable[[torch.Tensor], torch.Tensor] | None = None


class RegroupedModel(HostedModel):
    """A network whose outputs are brought into [batch, frames, width] by `regroup`."""

    def __init__(self, *args: Any, regroup: Callable | None, **named: Any):
        super().__init__(*args, **named)
        self._regroup = regroup

    def forward(self, values: torch.Tensor, until: str | None = None) -> dict[str, torch.Tensor]:
        outputs = super().forward(values, until)
        if self._regroup is None:
            return outputs
        return {name: self._regroup(output) for name, output in outputs.items()}


class FeatureModel(RegroupedModel):
    """A network over spectrograms: the feature extractor runs in `windows`, on the CPU."""

    def __init__(self, *args: Any, features: Features, **named: Any):
        super().__init__(*args, **named)
        self._features = features

    def windows(self, waveform: torch.Tensor) -> list[Window]:
        return [replace(w, values=self._features(w.values)) for w in Model.windows(self, waveform)]


def spec_of(detail: str) -> ModelSpec:
    """The entry of `hf:detail`.

    Raises
    ------
    OptionUnsuitable : not an audio encoder of the library, or one whose layers are not found.
    WeightsMissing : no such folder or repository, or the hub cannot be reached.
    WeightsInvalid : files that are damaged, or settings that make no network that runs.
    """
    if not detail:
        raise OptionUnsuitable("hf: what? Give hf:org/name or hf:FOLDER")
    source = files.source_of(detail)
    described = _described(source, source.file("config.json").stat().st_mtime_ns)
    return ModelSpec(described.card, partial(_load, described), source.present)


@lru_cache(maxsize=32)
def _described(source: files.Source, written: int) -> Described:
    """Builds the network without values, finds its layers and their rates; kept, as it takes long.

    `written` is when the configuration was written: another time, another description.
    """
    name = f"hf:{source.text}"
    table = source.json("config.json")
    _check_depth(name, table)
    config = config_of(name, table)
    try:
        if config.model_type in (*CODECS, MUSICGEN):
            return _codec(name, source, config)
        return _encoder(name, source, config, table)
    except ExtractError:
        raise
    except (NoStructure, Untellable) as error:
        raise OptionUnsuitable(
            f"{name}: model_type {config.model_type!r}: its layers cannot be found: {error}. "
            "Wrap it by hand: see docs/own-model.md"
        ) from None
    except Exception as error:  # settings that make no network that runs, in as many ways
        first = (str(error).strip() or "no reason given").splitlines()[0]
        raise WeightsInvalid(
            f"{name}: its settings (config.json, preprocessor_config.json) make no network that "
            f"runs over audio ({type(error).__name__}: {first})"
        ) from error


def _check_depth(name: str, table: dict) -> None:
    """Refuses a network that would be built, block by block, until the memory is full."""
    parts = [table, *(part for part in table.values() if isinstance(part, dict))]
    for key, value in (item for part in parts for item in part.items()):
        if re.search(r"(layers|blocks|depths?)$", key) and isinstance(value, (int, float)):
            if value > MOST_BLOCKS:
                raise WeightsInvalid(
                    f"{name}: config.json: {key} is {value:.3g}, at most {MOST_BLOCKS} are built"
                )


def _extractor(source: files.Source, config: Any, table: dict) -> tuple[Any, str]:
    """The feature extractor, with the settings beside the weights, or the usual ones.

    Returns it and what a reader must know of its sample rate, "" where the settings state it.
    """
    import transformers
    from transformers.models.auto.feature_extraction_auto import FEATURE_EXTRACTOR_MAPPING_NAMES

    usual = FEATURE_EXTRACTOR_MAPPING_NAMES.get(config.model_type)
    if config.model_type == "wav2vec2-bert":
        usual = "SeamlessM4TFeatureExtractor"
    settings, file = {}, "preprocessor_config.json"
    if source.maybe(file):
        settings, said = source.json(file), f"{file} does not state it"
    elif source.maybe("processor_config.json"):
        file = "processor_config.json"
        settings, said = source.json(file).get("feature_extractor"), f"{file} does not state it"
        settings = settings if isinstance(settings, dict) else {}
    else:
        said = f"no {file}"
    kind = settings.get("feature_extractor_type") or usual
    made = getattr(transformers, str(kind), None)
    if made is None or not hasattr(made, "from_dict"):
        raise OptionUnsuitable(
            f"hf:{source.text}: the transformers library has no feature extractor {kind!r}"
        )
    kept = {k: v for k, v in settings.items() if k not in ("auto_map", "processor_class")}
    note = ""
    if "sampling_rate" not in kept:
        note = f"Sample rate assumed: {said}."
        # MERT's own code keeps it there
        if table.get("model_type") in COUSINS and table.get("sample_rate"):
            kept["sampling_rate"] = table["sample_rate"]
            note = f"Sample rate from config.json: {said}."
    try:
        extractor = made.from_dict(kept)
    except Exception as error:  # settings of any kind may stand there
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsInvalid(f"hf:{source.text}: {file} is refused ({first})") from None
    rate = getattr(extractor, "sampling_rate", None)
    if isinstance(rate, bool) or not isinstance(rate, int) or rate <= 0:
        raise WeightsInvalid(
            f"hf:{source.text}: the sample rate of its settings, {rate!r}, is no number of hertz; "
            f"mend sampling_rate in {file}"
        )
    return extractor, note


def _encoder(name: str, source: files.Source, config: Any, table: dict) -> Described:
    plan = plan_of(name, config)
    extractor, assumed = _extractor(source, config, table)
    key = extractor.model_input_names[0]
    waveform = key == "input_values" and config.model_type != AST
    rate = int(extractor.sampling_rate)
    fixed = _fixed_seconds(config, extractor)
    samples = round((fixed or SOUNDED) * rate)
    features = None if waveform else Features(extractor, key)
    network, run, taps = watched(plan, features, samples)
    regroup, notes, minimum = None, "", 1
    if config.model_type == AST:
        layers, regroup, notes = ast(config, taps)
    elif config.model_type == CLAP:
        layers, regroup, notes = clap(config.audio_config, taps, extractor)
    else:
        layers, minimum = timed(run, taps, plan, config, features, samples, rate, bool(fixed))
    card = _card(
        name, source, config, network, layers, rate,
        window=fixed or WINDOW, fixed=bool(fixed), minimum=minimum,
        notes=f"{notes} {assumed}".strip(),
    )  # fmt: skip
    normalise = waveform and bool(getattr(extractor, "do_normalize", False))
    return Described(source, card, plan, taps, features, normalise, call, regroup)


def _fixed_seconds(config: Any, extractor: Any) -> float | None:
    """Seconds of a window, for networks that take exactly so much."""
    if config.model_type == AST:
        return config.max_length * 0.01
    if config.model_type == CLAP:
        return float(extractor.max_length_s)
    if chunk := getattr(extractor, "chunk_length", None):
        return float(chunk)
    return None


def _codec(name: str, source: files.Source, config: Any) -> Described:
    """A codec, or MusicGen, which reads one's codes."""
    plan = plan_of(name, config)
    codec = config.audio_encoder if config.model_type == MUSICGEN else config
    network = plan.build().eval()
    if isinstance(network, Musicgen):
        layers, taps, minimum = musicgen_layers(network, config)
        notes, regroup = musicgen.NOTES, musicgen.after_the_start
    else:
        layers, taps, minimum = codec_layers(network, config)
        notes, regroup = NOTES, None
    chunk = getattr(codec, "chunk_length_s", None)
    card = _card(
        name, source, config, network, layers, int(codec.sampling_rate),
        window=min(WINDOW, chunk or WINDOW), fixed=False, minimum=minimum, notes=notes,
    )  # fmt: skip
    return Described(source, card, plan, taps, regroup=regroup)


def _card(
    name: str,
    source: files.Source,
    config: Any,
    network: nn.Module,
    layers: tuple[Layer, ...],
    rate: int,
    *,
    window: float,
    fixed: bool,
    minimum: int,
    notes: str,
) -> ModelCard:
    where = str(source.folder) if source.folder else f"hub {source.repo}@{source.revision}"
    see = f"https://huggingface.co/{source.repo}" if source.repo else ""
    told = "see the model card"
    if source.folder:
        told = f"{told} (README.md)" if source.maybe("README.md") else "not stated in the folder"
    called = source.repo or Path(source.folder).name
    kind = config.model_type
    return ModelCard(
        name=name,
        title=called if called.lower() == kind else f"{called} ({kind})",
        cite=source.repo or source.text,
        paper=told,
        url=see,
        training_data=told,
        licence=source.licence() or "unknown",
        parameters=sum(p.numel() for p in network.parameters()),
        sample_rate=rate,
        layers=layers,
        weights_from=where,
        window=window,
        fixed=fixed,
        minimum=minimum,
        notes=notes,
    )


def _load(described: Described, request: Request) -> Model:
    card, plan = described.card, described.plan
    if request.untrained:
        source = f"untrained, seed {request.seed}"
        with drawing(card.name, request.seed):
            network = plan.build()
            draw_codes(network)
    else:
        tensors, source = files.read(described.source, request.weights, offline=request.offline)
        network = plan.trained(tensors, f"{card.name}: {source}")
    record = WeightsRecord(sha256_of_tensors(network.state_dict()), source, not request.untrained)
    common = (card, network, record, described.taps)
    manner = {"call": described.call, "regroup": described.regroup}
    if described.features is None:
        return RegroupedModel(*common, normalise=described.normalise, **manner)
    return FeatureModel(*common, features=described.features, **manner)
