"""Networks of the transformers library: made from a configuration, run without values, timed."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from extract.errors import OptionUnsuitable, WeightsInvalid
from extract.models import sounding
from extract.models.base import Layer
from extract.models.hf import files
from extract.models.hf.codecs import CODECS, Codec
from extract.models.hf.features import Features
from extract.models.hf.images import swin_taps
from extract.models.hf.musicgen import Musicgen
from extract.models.hf.structure import NoStructure, find
from extract.models.hosted import Structure
from extract.models.taps import Tap, Tapped
from extract.signals import noise
from extract.weights import drawing

# model types of published repositories that bring code for a structure the library has
COUSINS = {"mert_model": "hubert", "music_hubert": "hubert"}
# where the encoder is in models that are more than one
PARTS = {
    "whisper": "encoder",
    "speech_to_text": "encoder",
    "moonshine": "encoder",
    "seamless_m4t": "speech_encoder",
    "seamless_m4t_v2": "speech_encoder",
    "qwen2_audio": "audio_tower",
    "parakeet_ctc": "encoder",
    "parakeet_tdt": "encoder",
    "clap": "audio_model",
}
AST, CLAP, MUSICGEN = "audio-spectrogram-transformer", "clap", "musicgen"
MOST = 1000  # layers; more are a damaged number, and would take minutes to make
SPEECH = "wav2vec2", "hubert", "data2vec-audio", "wavlm"


@dataclass(frozen=True)
class Plan:
    """How the network is made: the library's class, and the part of it that features need."""

    name: str
    whole: type
    config: Any
    part: str = ""

    def build(self) -> nn.Module:
        """The part alone, with random weights; WeightsInvalid if the configuration makes none."""
        try:
            return self._built()
        except Exception as error:  # sizes that fit nothing make the library raise many kinds
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise WeightsInvalid(f"{self.name}: config.json is refused ({first})") from None

    def _built(self) -> nn.Module:
        if self.config.model_type in CODECS:
            return Codec(self.whole(self.config))
        if self.config.model_type == MUSICGEN:
            return Musicgen(self.whole(self.config))
        if not self.part:
            return self.whole(self.config)
        with torch.device("meta"):
            inner = self.whole(self.config).get_submodule(self.part)
        return type(inner)(inner.config)

    def trained(self, tensors: dict[str, torch.Tensor], source: str) -> nn.Module:
        """The part with these weights."""
        inside: str | tuple[str, ...] = f"{self.part}." if self.part else ""
        if self.config.model_type == MUSICGEN:
            inside = ("audio_encoder.encoder.", "audio_encoder.quantizer.", "decoder.model.")
        elif self.config.model_type in CODECS:
            inside = ("encoder", "quantizer.", "downsample.")
        model = files.fill(self.whole, self.config, tensors, inside, source)
        if self.config.model_type in CODECS:
            return Codec(model)
        if self.config.model_type == MUSICGEN:
            return Musicgen(model)
        return model.get_submodule(self.part) if self.part else model


def config_of(name: str, table: dict) -> Any:
    """The library's configuration object; refuses what is no audio encoder of the library."""
    from transformers import CONFIG_MAPPING
    from transformers.models.auto.feature_extraction_auto import FEATURE_EXTRACTOR_MAPPING_NAMES

    kind = table.get("model_type")
    if not isinstance(kind, str):
        raise OptionUnsuitable(
            f"{name}: config.json names no model_type; hf: takes folders and repositories in the "
            "transformers library's layout, for others see docs/own-model.md"
        )
    kind = COUSINS.get(kind, kind)
    if kind not in CONFIG_MAPPING:
        brings = " and brings code of its own, which is not run" if table.get("auto_map") else ""
        raise OptionUnsuitable(
            f"{name}: model_type {kind!r} is not known to the transformers library{brings}; "
            "wrap it by hand: see docs/own-model.md"
        )
    if kind not in FEATURE_EXTRACTOR_MAPPING_NAMES and kind not in PARTS:
        raise OptionUnsuitable(
            f"{name}: model_type {kind!r} is no encoder of audio. hf: takes those that the "
            "transformers library has, for instance "
            f"{', '.join((*SPEECH, 'whisper', AST, CLAP, *CODECS))} and {MUSICGEN}; wrap any other "
            "network by hand: see docs/own-model.md"
        )
    for field in ("feature_extractor_cqt", "deepnorm"):
        if table.get(field):
            raise OptionUnsuitable(f"{name}: {field} is set, which the library's network has not")
    for field in ("num_hidden_layers", "encoder_layers", "decoder_layers"):
        if isinstance(count := table.get(field), int) and count > MOST:
            raise WeightsInvalid(f"{name}: config.json asks for {count} layers ({field})")
    fields = {key: value for key, value in table.items() if key not in ("auto_map", "model_type")}
    if isinstance(fields.get("vocab_size"), str):  # a path that one published model left there
        del fields["vocab_size"]
    try:
        return CONFIG_MAPPING[kind].from_dict(fields)
    except Exception as error:  # the library's checks raise many kinds
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsInvalid(f"{name}: config.json is refused ({first})") from None


def plan_of(name: str, config: Any) -> Plan:
    from transformers import MODEL_MAPPING, MusicgenForConditionalGeneration

    if config.model_type == MUSICGEN:
        return Plan(name, MusicgenForConditionalGeneration, config)
    try:
        whole = MODEL_MAPPING[type(config)]
    except KeyError:
        raise OptionUnsuitable(
            f"{name}: the transformers library has no model of type {config.model_type!r}"
        ) from None
    return Plan(name, whole, config, PARTS.get(config.model_type, ""))


def watched(
    plan: Plan, features: Features | None, samples: int
) -> tuple[nn.Module, Callable, tuple[Tap, ...]]:
    """The network without values, what runs it on a waveform, and its taps.

    It has no memory on the `meta` device; where it does not run there, it has, and is not drawn.
    """
    reason = ""
    for device in ("meta", "cpu"):
        with torch.device(device), unfilled():
            network = plan.build().eval()

        def ghostly(values: torch.Tensor, network=network, device=device) -> object:
            given = values if features is None else features(values[0])[None]
            return call(network, given.to(device))

        try:
            if plan.config.model_type == CLAP:
                ghostly(torch.zeros(1, samples))
                taps = swin_taps(network)
            else:
                taps = find(network, lambda run=ghostly: run(noise(samples)[None]))
        except NoStructure:
            raise
        except Exception as error:  # a network may raise anything for what it cannot take
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            continue
        tapped = Tapped(network, taps)

        def run(values: torch.Tensor, until: str | None = None, pass_=ghostly, tapped=tapped):
            return tapped.run(lambda: pass_(values), until)

        return network, run, taps
    raise NoStructure(f"it does not run over {samples} samples of audio ({reason})")


def call(network: nn.Module, values: torch.Tensor) -> object:
    inner = getattr(network, "audio_encoder", None)
    if getattr(inner, "enable_fusion", False):  # CLAP; no window is longer than ten seconds
        return network(values, is_longer=torch.zeros(len(values), 1, device=values.device))
    return network(values)


def timed(
    run: Callable,
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
        shapes = sounding.shapes(run, "cpu", samples)
        widths = {name: shape[2] for name, shape in shapes.items()}
        # blocks keep the frames of the first: one is enough to run
        first = next(tap.layer for tap in taps if tap.layer.startswith("block"))
        same = [name for name, shape in shapes.items() if shape[1] == shapes[first][1]]
        later = list(shapes)[list(shapes).index(first) :]
        until = first if set(later) <= set(same) else None
        found, minimum = sounding.sound(lambda x: run(x, until), samples)
        hops = {name: (found.get(name) or found[first]).hop or float(samples) for name in shapes}
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
    run: Callable, taps: tuple[Tap, ...], config: Any, samples: int, rate: int
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
        with unfilled():
            network = plan.build().eval()
        blocks = taps[-1].module.rpartition(".")[0] + "."
        with drawing("sounding", 0), torch.no_grad():
            for name, parameter in network.named_parameters():
                if not name.startswith(blocks):
                    parameter.normal_(0, 1 / math.sqrt(max(1, parameter[0].numel())))
        tapped = Tapped(network, taps)
        return tapped.run(lambda: call(network, values), taps[-1].layer)

    return run


def unfilled() -> AbstractContextManager[None]:
    """Weights made inside are not drawn: they are replaced, or never used."""
    from transformers.initialization import no_init_weights

    return no_init_weights()
