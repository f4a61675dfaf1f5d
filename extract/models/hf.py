"""`hf:ID_OR_FOLDER`: any audio encoder that the transformers library has the code of.

The network is built from its configuration with the library's own classes, never with code that a
repository brings; its layers are found by their structure (see `extract.models.structure`), their
rates by running it, its input is made by the model's own feature extractor. The library's loader
and its `hidden_states` are not used: the first lets tensors be missing, the meaning of the second
changes from release to release.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from extract.errors import OptionUnsuitable, WeightsInvalid
from extract.models import hf_files, sounding
from extract.models.base import Layer, Model, ModelCard, ModelSpec, Request, WeightsRecord
from extract.models.features import Features
from extract.models.hf_codecs import CODECS, Codec, codec_layers
from extract.models.hosted import HostedModel, Structure
from extract.models.signals import noise
from extract.models.structure import NoStructure, find
from extract.models.taps import Tap, Tapped
from extract.weights import drawing, sha256_of_tensors
from extract.windows import Window

WINDOW = 15.0
SOUNDED = 2.0  # seconds over which rates are found
# model types of published repositories that bring code for a structure the library has
COUSINS = {"mert_model": "hubert", "music_hubert": "hubert"}
# where the encoder is in models that are more than one
PARTS = {
    "whisper": "encoder",
    "speech_to_text": "encoder",
    "moonshine": "encoder",
    "seamless_m4t": "speech_encoder",
    "seamless_m4t_v2": "speech_encoder",
    "speecht5": "encoder",
    "qwen2_audio": "audio_tower",
    "parakeet_ctc": "encoder",
    "parakeet_tdt": "encoder",
    "clap": "audio_model",
}
AST, CLAP = "audio-spectrogram-transformer", "clap"
SPEECH = "wav2vec2", "hubert", "data2vec-audio", "wavlm"


@dataclass(frozen=True)
class Plan:
    """How the network is made: the library's class, and the part of it that features need."""

    whole: type
    config: Any
    part: str = ""

    def build(self) -> nn.Module:
        """The part alone, with random weights."""
        if self.config.model_type in CODECS:
            return Codec(self.whole(self.config))
        if not self.part:
            return self.whole(self.config)
        with torch.device("meta"):
            inner = self.whole(self.config).get_submodule(self.part)
        return type(inner)(inner.config)

    def trained(self, tensors: dict[str, torch.Tensor], source: str) -> nn.Module:
        """The part with these weights."""
        inside = f"{self.part}." if self.part else ""
        model = hf_files.fill(self.whole, self.config, tensors, inside, source)
        if self.config.model_type in CODECS:
            return Codec(model)
        return model.get_submodule(self.part) if self.part else model


@dataclass(frozen=True)
class Described:
    """What is known of a model before its weights are read."""

    source: hf_files.Source
    card: ModelCard
    plan: Plan
    taps: tuple[Tap, ...]
    features: Features | None = None
    normalise: bool = False
    call: Callable[[nn.Module, torch.Tensor], object] = nn.Module.__call__
    regroup: Callable[[torch.Tensor], torch.Tensor] | None = None


class FeatureModel(HostedModel):
    """A network over spectrograms: the feature extractor runs in `windows`, on the CPU.

    `regroup` brings tokens of [time x frequency] into [batch, frames, width].
    """

    def __init__(self, *args: Any, features: Features, regroup: Callable | None, **named: Any):
        super().__init__(*args, **named)
        self._features, self._regroup = features, regroup

    def windows(self, waveform: torch.Tensor) -> list[Window]:
        return [replace(w, values=self._features(w.values)) for w in Model.windows(self, waveform)]

    def forward(self, values: torch.Tensor, until: str | None = None) -> dict[str, torch.Tensor]:
        outputs = super().forward(values, until)
        if self._regroup is None:
            return outputs
        return {name: self._regroup(output) for name, output in outputs.items()}


def spec_of(detail: str) -> ModelSpec:
    """The entry of `hf:detail`.

    Raises
    ------
    OptionUnsuitable : not an audio encoder of the library, or one whose layers are not found.
    WeightsMissing : no such folder or repository, or the hub cannot be reached.
    """
    if not detail:
        raise OptionUnsuitable("hf: what? Give hf:org/name or hf:FOLDER")
    source = hf_files.source_of(detail)
    described = _described(source, source.file("config.json").stat().st_mtime_ns)
    return ModelSpec(described.card, partial(_load, described), source.present)


@lru_cache(maxsize=32)
def _described(source: hf_files.Source, written: int) -> Described:
    """Builds the network without values, finds its layers and their rates; kept, as it takes long.

    `written` is when the configuration was written: another time, another description.
    """
    name = f"hf:{source.text}"
    table = source.json("config.json")
    config = _config(name, table)
    try:
        if config.model_type in CODECS:
            return _codec(name, source, config)
        return _encoder(name, source, config)
    except (NoStructure, sounding.Untellable) as error:
        raise OptionUnsuitable(
            f"{name}: model_type {config.model_type!r}: its layers cannot be found: {error}. "
            "Wrap it by hand: see docs/own-model.md"
        ) from None


def _config(name: str, table: dict) -> Any:
    """The library's configuration object; refuses what is no audio encoder of the library."""
    from transformers import CONFIG_MAPPING
    from transformers.models.auto.feature_extraction_auto import FEATURE_EXTRACTOR_MAPPING_NAMES

    kind = table.get("model_type")
    kind = COUSINS.get(kind, kind)
    if kind not in CONFIG_MAPPING:
        brings = " and brings code of its own, which is not run" if table.get("auto_map") else ""
        raise OptionUnsuitable(
            f"{name}: model_type {kind!r} is not known to the transformers library{brings}; "
            "wrap it by hand: see docs/own-model.md"
        )
    if kind not in FEATURE_EXTRACTOR_MAPPING_NAMES and kind not in PARTS:
        raise OptionUnsuitable(
            f"{name}: model_type {kind!r} is no audio encoder that the transformers library knows; "
            f"such as {', '.join((*SPEECH, AST, CLAP, *CODECS, 'whisper'))} are"
        )
    for field in ("feature_extractor_cqt", "deepnorm"):
        if table.get(field):
            raise OptionUnsuitable(f"{name}: {field} is set, which the library's network has not")
    fields = {key: value for key, value in table.items() if key not in ("auto_map", "model_type")}
    if isinstance(fields.get("vocab_size"), str):  # a path that one published model left there
        del fields["vocab_size"]
    try:
        return CONFIG_MAPPING[kind].from_dict(fields)
    except Exception as error:  # the library's checks raise many kinds
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsInvalid(f"{name}: config.json is refused ({first})") from None


def _plan(name: str, config: Any) -> Plan:
    from transformers import MODEL_MAPPING

    try:
        whole = MODEL_MAPPING[type(config)]
    except KeyError:
        raise OptionUnsuitable(
            f"{name}: the transformers library has no model of type {config.model_type!r}"
        ) from None
    return Plan(whole, config, PARTS.get(config.model_type, ""))


def _extractor(source: hf_files.Source, config: Any) -> Any:
    """The feature extractor, with the settings beside the weights, or the usual ones."""
    import transformers
    from transformers.models.auto.feature_extraction_auto import FEATURE_EXTRACTOR_MAPPING_NAMES

    usual = FEATURE_EXTRACTOR_MAPPING_NAMES.get(config.model_type)
    if config.model_type == "wav2vec2-bert":
        usual = "SeamlessM4TFeatureExtractor"
    settings = {}
    if source.maybe("preprocessor_config.json"):
        settings = source.json("preprocessor_config.json")
    elif source.maybe("processor_config.json"):
        settings = source.json("processor_config.json").get("feature_extractor", {})
    kind = settings.get("feature_extractor_type") or usual
    made = getattr(transformers, str(kind), None)
    if made is None or not hasattr(made, "from_dict"):
        raise OptionUnsuitable(
            f"hf:{source.text}: the transformers library has no feature extractor {kind!r}"
        )
    kept = {k: v for k, v in settings.items() if k not in ("auto_map", "processor_class")}
    try:
        return made.from_dict(kept)
    except Exception as error:  # settings of any kind may stand there
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsInvalid(
            f"hf:{source.text}: preprocessor_config.json is refused ({first})"
        ) from None


def _encoder(name: str, source: hf_files.Source, config: Any) -> Described:
    plan = _plan(name, config)
    extractor = _extractor(source, config)
    key = extractor.model_input_names[0]
    waveform = key == "input_values" and config.model_type != AST
    rate = int(extractor.sampling_rate)
    fixed = _fixed_seconds(config, extractor)
    samples = round((fixed or SOUNDED) * rate)
    features = None if waveform else Features(extractor, key)
    network, run, taps = _watched(plan, features, samples)
    regroup, notes, minimum = None, "", 1
    if config.model_type == AST:
        layers, regroup, notes = _ast(config, taps)
    elif config.model_type == CLAP:
        layers, regroup, notes = _clap(config.audio_config, taps, extractor)
    else:
        layers, minimum = _timed(run, taps, plan, config, features, samples, rate, bool(fixed))
    card = _card(
        name, source, config, network, layers, rate,
        window=fixed or WINDOW, fixed=bool(fixed), minimum=minimum, notes=notes,
    )  # fmt: skip
    normalise = waveform and bool(getattr(extractor, "do_normalize", False))
    return Described(source, card, plan, taps, features, normalise, _call, regroup)


def _watched(
    plan: Plan, features: Features | None, samples: int
) -> tuple[nn.Module, sounding.Run, tuple[Tap, ...]]:
    """The network without values, what runs it on a waveform, and its taps.

    It has no memory on the `meta` device; where it does not run there, it has, and is not drawn.
    """
    reason = ""
    for device in ("meta", "cpu"):
        with torch.device(device), _unfilled():
            network = plan.build().eval()

        def ghostly(values: torch.Tensor, network=network, device=device) -> object:
            given = values if features is None else features(values[0])[None]
            if not torch.isfinite(given).all():
                raise ValueError("the features are not finite")
            return _call(network, given.to(device))

        try:
            if plan.config.model_type == CLAP:
                ghostly(torch.zeros(1, samples))
                taps = _swin_taps(network)
            else:
                taps = find(network, lambda run=ghostly: run(noise(samples)[None]))
        except NoStructure:
            raise
        except Exception as error:  # a network may raise anything for what it cannot take
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            continue
        tapped = Tapped(network, taps)
        return network, lambda x, run=ghostly, tapped=tapped: tapped.run(lambda: run(x)), taps
    raise NoStructure(f"it does not run over {samples} samples of audio ({reason})")


def _fixed_seconds(config: Any, extractor: Any) -> float | None:
    """Seconds of a window, for networks that take exactly so much."""
    if config.model_type == AST:
        return config.max_length * 0.01
    if config.model_type == CLAP:
        return float(extractor.max_length_s)
    if chunk := getattr(extractor, "chunk_length", None):
        return float(chunk)
    return None


def _call(network: nn.Module, values: torch.Tensor) -> object:
    inner = getattr(network, "audio_encoder", None)
    if getattr(inner, "enable_fusion", False):  # CLAP; no window is longer than ten seconds
        return network(values, is_longer=torch.zeros(len(values), 1, device=values.device))
    return network(values)


def _timed(
    run: sounding.Run,
    taps: tuple[Tap, ...],
    plan: Plan,
    config: Any,
    features: Features | None,
    samples: int,
    rate: int,
    fixed: bool,
) -> tuple[tuple[Layer, ...], int]:
    """Layers with their rates and centres, and the fewest samples."""
    if fixed:
        shapes, minimum = sounding.shapes(run, "cpu", samples), 1
        hops = {name: samples / shape[1] for name, shape in shapes.items()}
        widths = {name: shape[2] for name, shape in shapes.items()}
    elif features is None and hasattr(config, "conv_stride"):
        return _plain(run, taps, config, samples, rate)
    else:
        found, minimum = sounding.sound(run, samples)
        hops = {name: each.hop or float(samples) for name, each in found.items()}
        widths = {name: each.width for name, each in found.items()}
    axis, step, middle = (0, 1.0, 0.0) if features is None else features.clock(samples)
    inner = {name: hop / step for name, hop in hops.items()}
    shape: tuple[int, ...] = (int(max(24 * max(inner.values()), 8000)),)
    if features is not None:
        shape = tuple(features(noise(samples)).shape)
    first = [tap.layer for tap in taps].index("frontend") + 1
    centers = sounding.centers(_valued(plan, taps[:first]), inner, shape, axis)
    layers = tuple(
        Layer(
            tap.layer,
            widths[tap.layer],
            rate / hops[tap.layer],
            depth,
            (middle + step * centers.get(tap.layer, (inner[tap.layer] - 1) / 2)) / rate,
        )
        for depth, tap in enumerate(taps)
    )
    return layers, minimum


def _plain(
    run: sounding.Run, taps: tuple[Tap, ...], config: Any, samples: int, rate: int
) -> tuple[tuple[Layer, ...], int]:
    """The same for convolutions without padding, whose sizes the configuration has."""
    structure = Structure(
        tuple(config.conv_dim), tuple(config.conv_kernel), tuple(config.conv_stride), blocks=0
    )
    known = structure.layers(rate)  # the convolutions, and a front end as they leave it
    shapes = sounding.shapes(run, "cpu", samples)
    last = shapes[f"conv{len(config.conv_dim)}"][1]
    layers, fewest = [], 1
    for depth, tap in enumerate(taps):
        like = known[min(depth, len(known) - 1)]
        frames, width = shapes[tap.layer][1:]
        # some squeeze the frames of the convolutions into fewer
        squeezed = 1 if tap.layer.startswith("conv") else max(1, round(last / frames))
        fewest = max(fewest, squeezed)
        center = like.center + (squeezed - 1) / 2 / like.rate
        layers.append(Layer(tap.layer, width, like.rate / squeezed, depth, center))
    return tuple(layers), structure.field + round((fewest - 1) * rate / known[-1].rate)


def _valued(plan: Plan, taps: tuple[Tap, ...]) -> sounding.Run:
    """Runs the convolutions of a network with random weights, up to the front end.

    The blocks are never touched: their memory is asked for, and not used.
    """

    def run(values: torch.Tensor) -> dict[str, torch.Tensor]:
        with _unfilled():
            network = plan.build().eval()
        blocks = taps[-1].module.rpartition(".")[0] + "."
        with drawing("sounding", 0), torch.no_grad():
            for name, parameter in network.named_parameters():
                if not name.startswith(blocks):
                    parameter.normal_(0, 1 / math.sqrt(max(1, parameter[0].numel())))
        tapped = Tapped(network, taps)
        return tapped.run(lambda: _call(network, values), taps[-1].layer)

    return run


def _unfilled():
    """Weights made inside are not drawn: they are replaced, or never used."""
    from transformers.initialization import no_init_weights

    return no_init_weights()


def _ast(config: Any, taps: tuple[Tap, ...]) -> tuple:
    """Tokens of a spectrogram transformer: [2 special, bands x frames] -> [frames]."""
    bands = (config.num_mel_bins - config.patch_size) // config.frequency_stride + 1
    frames = (config.max_length - config.patch_size) // config.time_stride + 1

    def regroup(tokens: torch.Tensor) -> torch.Tensor:
        return tokens[:, -bands * frames :].unflatten(1, (bands, frames)).mean(1)

    # frames of the spectrogram are 10 ms apart, the first centred on 12.5 ms
    hertz, center = 100 / config.time_stride, 0.0125 + 0.01 * (config.patch_size - 1) / 2
    layers = tuple(
        Layer(tap.layer, config.hidden_size, hertz, depth, center) for depth, tap in enumerate(taps)
    )
    notes = f"Frames: means over {bands} patches of frequency, the special tokens left out."
    return layers, regroup, notes


def _swin_taps(network: nn.Module) -> tuple[Tap, ...]:
    """Blocks of all stages of CLAP's audio encoder, in order."""
    stages = network.audio_encoder.layers
    names = [
        f"audio_encoder.layers.{i}.blocks.{j}"
        for i, stage in enumerate(stages)
        for j in range(len(stage.blocks))
    ]
    blocks = [Tap(f"block{i + 1:02d}", name) for i, name in enumerate(names)]
    frontend = Tap("frontend", "audio_encoder.layers.0", side="input")
    return (frontend, *blocks, Tap("final", "audio_encoder.norm"))


def _clap(config: Any, taps: tuple[Tap, ...], extractor: Any) -> tuple:
    """Tokens of a square image in which stretches of time stand above each other."""
    ratio = config.spec_size // config.num_mel_bins
    stages = [0, *(k for k, depth in enumerate(config.depths) for _ in range(depth))]
    stages.append(len(config.depths) - 1)

    def regroup(tokens: torch.Tensor) -> torch.Tensor:
        side = math.isqrt(tokens.shape[1])
        image = tokens.unflatten(1, (ratio, side // ratio, side))
        return image.mean(2).flatten(1, 2)

    stride = config.patch_stride
    patch = stride[1] if isinstance(stride, (list, tuple)) else stride
    columns = config.spec_size * ratio
    rate, seen = extractor.sampling_rate, extractor.nb_max_samples // extractor.hop_length + 1
    # the frames are stretched over the image's columns, ends on ends
    column = (seen - 1) / (columns - 1) * extractor.hop_length / rate if seen < columns else (
        extractor.hop_length / rate
    )  # fmt: skip
    layers = []
    for depth, (tap, stage) in enumerate(zip(taps, stages, strict=True)):
        size = patch * 2**stage
        width = config.patch_embeds_hidden_size * 2**stage
        layers.append(Layer(tap.layer, width, 1 / (size * column), depth, (size - 1) / 2 * column))
    return tuple(layers), regroup, "Frames: means over the patches of frequency of each stage."


def _codec(name: str, source: hf_files.Source, config: Any) -> Described:
    plan = _plan(name, config)
    rate = int(config.sampling_rate)
    network = plan.build().eval()
    layers, taps, minimum = codec_layers(network, config)
    chunk = getattr(config, "chunk_length_s", None)
    notes = (
        "conv01 ...: convolutions and residual units of the encoder; latent: what is quantised; "
        "quantised: the sum of its code vectors, at the highest bit rate."
    )
    card = _card(
        name, source, config, network, layers, rate,
        window=min(WINDOW, chunk or WINDOW), fixed=False, minimum=minimum, notes=notes,
    )  # fmt: skip
    return Described(source, card, plan, taps)


def _card(
    name: str,
    source: hf_files.Source,
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
    return ModelCard(
        name=name,
        title=f"{source.repo or Path(source.text).name} ({config.model_type})",
        cite=source.repo or source.text,
        paper="see the model card",
        url=see,
        training_data="see the model card",
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
    else:
        tensors, source = hf_files.read(described.source, request.weights, offline=request.offline)
        network = plan.trained(tensors, f"{card.name}: {source}")
    record = WeightsRecord(sha256_of_tensors(network.state_dict()), source, not request.untrained)
    common = (card, network, record, described.taps)
    if described.features is None:
        return HostedModel(*common, normalise=described.normalise, call=described.call)
    return FeatureModel(
        *common, call=described.call, features=described.features, regroup=described.regroup
    )
