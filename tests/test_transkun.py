"""Transkun against the code of transkun 2.0.1, and what it hears.

`data/transkun.safetensors` holds what the package puts out, with its own weights, on
`0.5 * wave(...)` of 16 s (`a`) and of 4 s (`odd`): some frames of the spectrograms; of the layers
means over time and some frames; of each block some places as they are, not averaged. Recorded
with forward hooks. Whole windows of 16 s are left to the slow tests.
"""

from __future__ import annotations

import math

import pytest
import torch
from golden import draw_weights, read, relative_error, wave

from extract.errors import OptionUnsuitable, WeightsInvalid, WeightsMissing
from extract.models import load, spec, transkun
from extract.models.base import Request
from extract.models.transkun_network import EVENTS, POSITIONS, mel_filters


@pytest.fixture(scope="module")
def model():
    try:
        return load("transkun", Request())
    except WeightsMissing as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def twin():
    return load("transkun", Request(untrained=True))


def run(model, waveform, until=None):
    with torch.inference_mode():
        return model.forward(torch.atleast_2d(waveform), until)


def places_of(model, waveform) -> list[torch.Tensor]:
    """What each block puts out for a clip, [frames, places, width]."""
    found = []
    hooks = [
        block.register_forward_hook(lambda *call: found.append(call[2][0]))
        for block in model.network.blocks
    ]
    run(model, waveform)
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("case", ["odd", pytest.param("a", marks=pytest.mark.slow)])
def test_every_layer_is_the_original_s(model, case):
    golden, info = read("transkun")
    rule = info["cases"][case]
    sound = rule["gain"] * wave(rule["samples"], rule["rate"], rule["seed"])
    spectrograms = model.network.spectrograms(sound[None])[0].permute(1, 2, 0)
    steps = spectrograms[:: 48 if case == "a" else 24]
    assert (steps - golden[f"{case}.mel"]).abs().max() < 1e-5
    for name, frames in run(model, sound).items():
        step = 32 if name in ("inputconv", "final") else 8
        wanted = golden[f"{case}.{name}.every{step}"]
        assert relative_error(frames[0, ::step], wanted) < 1e-5, name
        assert relative_error(frames[0].mean(0), golden[f"{case}.{name}.mean"]) < 1e-5, name
        if name == "final":
            assert relative_error(frames[0, -1], golden[f"{case}.final.last"]) < 1e-5
    for i, places in enumerate(places_of(model, sound)):
        corner = golden[f"{case}.block{i + 1:02d}.corner"]
        assert relative_error(places[::22, ::16, :16], corner) < 2e-5, i


def piano(notes: list[tuple[int, float, float]], samples: int) -> torch.Tensor:
    """Notes (key, start, end in seconds) of decaying, stretched partials, in faint noise."""
    time = torch.arange(samples) / 44100
    sound = 1e-3 * torch.randn(samples, generator=torch.Generator().manual_seed(0))
    for key, start, end in notes:
        since = (time - start).clamp_min(0)
        swell = (1 - torch.exp(-300 * since)) * torch.exp(-1.5 * since)
        swell = swell * torch.exp(-25 * (time - end).clamp_min(0))
        hertz = 440 * 2 ** ((key - 69) / 12)
        for k in range(1, 13):
            tone = torch.sin(2 * math.pi * hertz * k * math.sqrt(1 + 4e-4 * k * k) * since)
            sound += 0.2 * swell * tone * torch.exp(-0.4 * k * since) / k**1.2
    return sound


@pytest.mark.slow
def test_notes_are_found_where_they_are(model):
    """Scores of intervals (Yan & Duan 2024) are positive for notes that sound, and only there."""
    notes = [(60, 0.5, 0.85), (64, 0.9, 1.25), (67, 1.3, 1.7), (72, 1.7, 2.4)]
    (window,) = model.windows(piano(notes, 3 * 44100))
    assert len(window.values) == 16 * 44100 and window.owns == (0.0, 3.0)
    events = places_of(model, window.values)[-1][1:17, POSITIONS:]
    with torch.inference_mode():
        context = model.network.up(events.permute(1, 2, 0)).transpose(1, 2)
        tensors, _ = transkun.FILE.read(Request())
        weight, bias = tensors["scorer.map.0.weight"], tensors["scorer.map.0.bias"]
        last, first, _ = (context @ weight.T + bias).split([256, 256, 1], -1)
        frames = torch.arange(context.shape[1])
        length = (frames[:, None] - frames).clamp_min(0)
        scores = (last / 16) @ first.transpose(1, 2) * length  # [events, last, first frame]
    best = scores.flatten(1).max(1)
    found = {}
    for event in (best.values > 1).nonzero()[:, 0].tolist():
        end, start = divmod(int(best.indices[event]), len(frames))
        found[EVENTS[event]] = (start * 1024 / 44100, end * 1024 / 44100)
    right = [key for key, *times in notes if found.get(key) == pytest.approx(times, abs=0.05)]
    assert len(right) >= 3 and set(found) <= {key for key, *_ in notes}, found


def test_card_tells_the_truth(model):
    assert spec("transkun").present()
    assert model.weights.trained and "transkun 2.0.1" in model.weights.source
    assert sum(p.numel() for p in model.network.parameters()) == model.card.parameters
    torch.testing.assert_close(model.network.spectrograms.filters, mel_filters(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("samples", [1, 1024, 4097, 8191, 8192, 8193, 30000])
def test_frames_of_any_length(twin, samples):
    outputs = run(twin, wave(samples, 44100, 1))
    fine = 1 + math.ceil(samples / 1024)
    for layer in twin.layers:
        frames = fine
        if layer.rate < 40:  # seven frames are added, then half of them dropped three times
            frames = math.ceil(math.ceil(math.ceil((fine + 7) / 2) / 2) / 2)
        assert outputs[layer.name].shape == (1, frames, layer.width), layer.name
        assert torch.isfinite(outputs[layer.name]).all()


def test_windows_are_16_s_whatever_the_clip(twin):
    assert [len(w.values) for w in twin.windows(torch.ones(1))] == [705600]
    windows = twin.windows(torch.ones(20 * 44100))
    assert [(len(w.values), w.start, w.owns) for w in windows] == [
        (705600, 0.0, (0.0, 10.0)),
        (705600, 4.0, (10.0, 20.0)),
    ]
    with pytest.raises(OptionUnsuitable, match="16 s"):
        twin.recut(10.0, None)


def test_a_click_changes_the_frame_that_is_stamped_with_its_time(model):
    noise = 0.02 * torch.randn(100000, generator=torch.Generator().manual_seed(3))
    quiet = run(model, noise, "block01")
    for place in (40000, 45111, 60000):
        clicked = noise.clone()
        clicked[place : place + 64] += 0.5 * noise[:64] / 0.02
        outputs = run(model, clicked, "block01")
        assert "block02" not in outputs
        for name, frames in outputs.items():
            layer = next(x for x in model.layers if x.name == name)
            change = (frames - quiet[name])[0].norm(dim=1).pow(4)  # peaks, not the level
            frame = (change * torch.arange(len(change))).sum() / change.sum()
            time = layer.center + float(frame) / layer.rate
            assert abs(time - place / 44100) < 1 / layer.rate, name


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the published file; what scores notes is shortened to one tensor."""
    shapes: dict[str, tuple[int, ...]] = {}

    def layer(name: str, *shape: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = shape, shape[:1]

    extractor = "framewiseFeatureExtractor."
    shapes[f"{extractor}freq2mels"] = (2049, 229)
    shapes[f"{extractor}spectrogramExtractor.win"] = (4096,)
    shapes[f"{extractor}spectrogramExtractor.winGen.sigma"] = (5,)
    shapes[f"{extractor}spectrogramExtractor.winGen.center"] = (5,)
    layer("scorer.map.0", 513, 256)
    for name, width, axes in (("", 64, 1), ("AttnTF", 256, 2), ("AttnTE", 256, 2)):
        stem = f"backbone.posEmbedBuilder{name}"
        layer(f"{stem}.proj", width, axes)
        layer(f"{stem}.mlp.0", 4 * width, width)
        layer(f"{stem}.mlp.3", width, 4 * width)
    layer("backbone.inputConv", 64, 6, 3, 3)
    layer("backbone.upConv1dSkip", 256, 256, 8)
    widths = (64, 128, 256, 256, 256)
    for place, before, after in zip((1, 5, 9, 13), widths, widths[1:], strict=False):
        layer(f"backbone.downConv.{place}", after, before, 3, 3)
        layer(f"backbone.downConv.{place + 1}", after)
    for i in range(6):
        for axis in "FT":
            stem = f"backbone.encoderLayers.{i}."
            shapes[f"{stem}mhaBlock{axis}.scale"] = (256,)
            shapes[f"{stem}fnnBlock{axis}.scale"] = (256,)
            for part in "qkv":
                shapes[f"{stem}mhaBlock{axis}.module.{part}_proj_weight"] = (256, 256)
            layer(f"{stem}mhaBlock{axis}.module.out_proj", 256, 256)
            layer(f"{stem}fnnBlock{axis}.module.0", 1024, 256)
            layer(f"{stem}fnnBlock{axis}.module.3", 256, 1024)
    return shapes


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    return draw_weights(published_shapes(), 53)


def test_the_published_layout_loads_whole_and_nothing_else_does(published, tmp_path):
    torch.save({"state_dict": published}, tmp_path / "2.0.pt")
    model = load("transkun", Request(weights=tmp_path))
    ours = model.network.blocks[4].time.value
    assert torch.equal(ours, published["backbone.encoderLayers.4.mhaBlockT.module.v_proj_weight"])
    assert model.weights.trained and model.weights.source == "file 2.0.pt"


@pytest.mark.parametrize(
    ("name", "tensor", "said"),
    [
        ("backbone.encoderLayers.2.fnnBlockT.scale", None, "missing.*blocks.2.time.layers_scale"),
        ("backbone.inputConv.weight", torch.ones(64, 1, 3, 3), "misshapen.*input_conv.weight"),
        ("backbone.upConv1d.0.weight", torch.ones(2), "unexpected.*upConv1d.0.weight"),
    ],
)
def test_another_layout_is_named(published, tmp_path, name, tensor, said):
    tensors = {k: v for k, v in published.items() if k != name}
    if tensor is not None:
        tensors[name] = tensor
    torch.save({"state_dict": tensors}, tmp_path / "mine.pt")
    with pytest.raises(WeightsInvalid, match=said) as caught:
        load("transkun", Request(weights=tmp_path / "mine.pt"))
    assert "mine.pt" in str(caught.value) and "\n" not in str(caught.value)
