"""Transkun: piano transcription with a transformer over time and frequency.

Yan & Duan 2024, "Scoring intervals using non-hierarchical transformer for automatic piano
transcription" (ISMIR 2024, arXiv 2404.09466). The weights come inside the package transkun.
"""

from __future__ import annotations

import torch

from extract.models.base import (
    Layer,
    Model,
    ModelCard,
    ModelSpec,
    Request,
    WeightsRecord,
    collect,
)
from extract.models.packaged import Packaged
from extract.models.transkun_network import BLOCKS, HOP, PATCH, RATE, WIDTH, WINDOW, Transkun
from extract.wheels import Wheel

WHEEL = Wheel(
    "transkun",
    "2.0.1",
    "7d7f5bf88b0d21f7da0415b089cff3bcbcbdda04e1a3c9719964947942c859fe",
    "MIT",
)
FILE = Packaged(WHEEL, "transkun/pretrained/2.0.pt", 56_408_978, ("best_state_dict", "state_dict"))
HEADS = ("scorer.", "velocityPredictor.", "refinedOFPredictor.")  # of notes: not run


class PianoTranscriber(Model):
    """Transkun behind the common interface."""

    def __init__(self, card: ModelCard, network: Transkun, weights: WeightsRecord):
        self.card, self.weights = card, weights
        self.network = network.eval().requires_grad_(False)
        self.blocks = tuple(network.blocks)
        self.network.convs.to(memory_format=torch.channels_last)
        self.network.prepare()

    def forward(self, values: torch.Tensor, until: str | None = None) -> dict[str, torch.Tensor]:
        return collect(self.network(values), until)


def _names() -> dict[str, str]:
    """Where a published tensor goes: name there -> name here."""
    names = {
        "framewiseFeatureExtractor.freq2mels": "spectrograms.filters",
        "framewiseFeatureExtractor.spectrogramExtractor.win": "spectrograms.hann",
        "framewiseFeatureExtractor.spectrogramExtractor.winGen.sigma": "spectrograms.width",
        "framewiseFeatureExtractor.spectrogramExtractor.winGen.center": "spectrograms.center",
    }
    modules = {"inputConv": "input_conv", "upConv1dSkip": "up"}
    for i, place in enumerate((1, 5, 9, 13)):
        modules |= {f"downConv.{place}": f"convs.{i}", f"downConv.{place + 1}": f"norms.{i}"}
    for there, here in (("", "band"), ("AttnTF", "sound"), ("AttnTE", "event")):
        for part, name in (("proj", "phase"), ("mlp.0", "wide"), ("mlp.3", "narrow")):
            modules[f"posEmbedBuilder{there}.{part}"] = f"{here}_places.{name}"
    for i in range(BLOCKS):
        for axis, half in (("F", "frequency"), ("T", "time")):
            there, here = f"encoderLayers.{i}.{{}}Block{axis}", f"blocks.{i}.{half}"
            attention, layers = there.format("mha"), there.format("fnn")
            for short, name in (("q", "query"), ("k", "key"), ("v", "value")):
                names[f"backbone.{attention}.module.{short}_proj_weight"] = f"{here}.{name}"
            names[f"backbone.{attention}.scale"] = f"{here}.attention_scale"
            names[f"backbone.{layers}.scale"] = f"{here}.layers_scale"
            modules[f"{attention}.module.out_proj"] = f"{here}.out"
            modules[f"{layers}.module.0"] = f"{here}.wide"
            modules[f"{layers}.module.3"] = f"{here}.narrow"
    for there, here in modules.items():
        for kind in ("weight", "bias"):
            names[f"backbone.{there}.{kind}"] = f"{here}.{kind}"
    return names


def from_published(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors of a published file under the names used here; unknown names stay as they are."""
    names = _names()
    return {names.get(name, name): tensor for name, tensor in tensors.items()}


def _load(request: Request) -> PianoTranscriber:
    loaded = FILE.load(Transkun, CARD.name, request, from_published, HEADS)
    return PianoTranscriber(CARD, *loaded)


def _layers() -> tuple[Layer, ...]:
    hertz, center = RATE / HOP, (PATCH - 1) / 2 * HOP / RATE
    layers = [Layer("inputconv", 64, hertz, 0), Layer("frontend", WIDTH, hertz / PATCH, 1, center)]
    for name in (*(f"block{i + 1:02d}" for i in range(BLOCKS)), "events"):
        layers.append(Layer(name, WIDTH, hertz / PATCH, len(layers), center))
    layers.append(Layer("final", WIDTH, hertz, len(layers)))
    return tuple(layers)


CARD = ModelCard(
    name="transkun",
    title="Transkun V2",
    cite="Yan & Duan 2024",
    paper="Yan & Duan 2024, Scoring intervals using non-hierarchical transformer for automatic "
    "piano transcription, ISMIR 2024, arXiv 2404.09466",
    url="https://github.com/Yujia-Yan/Skipping-The-Frame-Level",
    training_data="MAESTRO, recordings of solo piano with MIDI (supervised), augmented; notes end "
    "with the key, not with the pedal",
    licence=WHEEL.licence,
    parameters=12_626_698,
    sample_rate=RATE,
    layers=_layers(),
    weights_from=str(FILE),
    window=WINDOW,
    fixed=True,
    notes="inputconv: first convolution, mean over 229 mel bands; frontend: four more "
    "convolutions, after the last group norm, mean over 58 bands; block01 to block06: mean over 59 "
    "places along frequency, one of which hears nothing; events: after block06, mean over the 90 "
    "places that stand for 88 keys and two pedals, from which alone notes are scored; final: "
    "events brought back to 43 frames a second by a linear map. After block05 only block06's "
    "attention reads the places along frequency. Means over keys keep how much sounds better than "
    "what. A frame stands for 8 spectral frames, and training has moved there what the "
    "convolutions hear: untrained, they are centred 0.17 s earlier. Untrained blocks add a "
    "hundredth of what they compute (layer scale) and so differ little. Level and group norms are "
    "the whole window's. Always 16 s, silence after shorter clips: of windows that are shorter "
    "themselves the network makes little (10 s: a quarter of the synthesised notes that it finds "
    "in 16 s). The original's windows overlap by half, these do not.",
)
SPEC = ModelSpec(CARD, _load, WHEEL.present)
