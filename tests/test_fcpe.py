"""FCPE against the code of torchfcpe 0.0.4, and what it hears.

`data/fcpe.safetensors` holds what the package puts out, with its own weights, on
`0.5 * wave(...)` of two lengths: every 8th frame of the mel, and of every layer the mean over
time, every 16th frame and the last. Recorded with forward hooks.
"""

from __future__ import annotations

import math

import pytest
import torch
from golden import draw_weights, read, relative_error, wave

from extract.errors import AudioError, WeightsInvalid, WeightsMissing
from extract.models import fcpe, load, spec
from extract.models.base import Request


@pytest.fixture(scope="module")
def model():
    try:
        return load("fcpe", Request())
    except WeightsMissing as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def twin():
    return load("fcpe", Request(untrained=True))


def run(model, waveform, until=None):
    with torch.inference_mode():
        return model.forward(torch.atleast_2d(waveform), until)


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the published file."""
    shapes = {
        "cent_table": (360,),
        "gaussian_blurred_cent_mask": (),
        "input_stack.0.weight": (512, 128, 3),
        "input_stack.1.weight": (512,),
        "input_stack.3.weight": (512, 512, 3),
        "norm.weight": (512,),
        "output_proj.weight_g": (360, 1),
        "output_proj.weight_v": (360, 512),
        "output_proj.bias": (360,),
    }
    for i in range(6):
        stem = f"net.encoder_layers.{i}."
        shapes[f"{stem}norm.weight"] = (512,)
        shapes[f"{stem}conformer.net.0.weight"] = (512,)
        shapes[f"{stem}conformer.net.2.weight"] = (2048, 512, 1)
        shapes[f"{stem}conformer.net.4.conv.weight"] = (1024, 1, 31)
        shapes[f"{stem}conformer.net.6.weight"] = (512, 1024, 1)
    biases = {n[:-6] + "bias": s[:1] for n, s in shapes.items() if n.endswith(".weight")}
    return shapes | biases


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    return draw_weights(published_shapes(), 51)


def write(tensors, path):
    torch.save({"global_step": 1, "model": tensors, "config_dict": {"mel": {"sr": 16000}}}, path)
    return path


def test_every_layer_is_the_original_s(model):
    golden, info = read("fcpe")
    for case, rule in info["cases"].items():
        sound = rule["gain"] * wave(rule["samples"], rule["rate"], rule["seed"])
        mel = model.network.mel(sound[None])[0]
        assert (mel[::8] - golden[f"{case}.mel"]).abs().max() < 5e-5
        assert torch.equal(mel[-1], mel[-2])
        for name, frames in run(model, sound).items():
            for key, ours in (
                ("mean", frames[0].mean(0)),
                ("every16", frames[0, ::16]),
                ("last", frames[0, -1]),
            ):
                assert relative_error(ours, golden[f"{case}.{name}.{key}"]) < 1e-5, (case, name)


@pytest.mark.parametrize(("hertz", "pure"), [(440.0, True), (110.0, False), (880.0, False)])
def test_a_tone_has_its_pitch(model, hertz, pure):
    time = torch.arange(32000) / 16000
    partials = [torch.sin(2 * math.pi * k * hertz * time) / k for k in range(1, 8)]
    tone = 0.3 * partials[0] if pure else 0.2 * torch.stack(partials).sum(0)
    salience = run(model, tone)["logits"][0, 40:-40].sigmoid()
    place = salience.argmax(1, keepdim=True) + torch.arange(-4, 5)
    near = salience.gather(1, place)
    found = fcpe.frequency((near * place).sum(1) / near.sum(1))
    assert (found / hertz - 1).abs().max() < 0.01


def test_bins_end_where_the_published_table_does(model):
    table = 1200 * torch.log2(fcpe.frequency(torch.arange(360)) / 10)
    assert table[[0, 1, -1]].tolist() == pytest.approx([2051.149, 2070.926, 9151.289], abs=1e-2)


def test_card_tells_the_truth(model):
    assert spec("fcpe").present()
    assert model.weights.trained and "torchfcpe 0.0.4" in model.weights.source
    assert sum(p.numel() for p in model.network.parameters()) == model.card.parameters
    again = load("fcpe", Request(weights=fcpe.WHEEL.fetch(offline=True)))
    assert again.weights.sha256 == model.weights.sha256


@pytest.mark.parametrize("samples", [433, 1023, 1024, 1025, 16000, 16159, 16160])
def test_frames_of_any_length_and_less_is_refused(twin, samples):
    with pytest.raises(AudioError, match="433"):
        twin.windows(torch.zeros(432))
    (window,) = twin.windows(wave(samples, 16000, 1))
    outputs = run(twin, window.values)
    assert list(outputs) == [layer.name for layer in twin.layers]
    for layer in twin.layers:
        assert outputs[layer.name].shape == (1, samples // 160 + 1, layer.width)
        assert torch.isfinite(outputs[layer.name]).all()


def test_windows_overlap_by_what_a_frame_sees(twin):
    windows = twin.windows(torch.zeros(20 * 16000))
    assert [(w.start, w.owns) for w in windows] == [
        (0.0, (0.0, 9.0)),
        (8.0, (9.0, 14.0)),
        (10.0, (14.0, 20.0)),
    ]


def test_a_click_changes_the_frame_that_is_stamped_with_its_time(model):
    noise = 0.01 * torch.randn(32000, generator=torch.Generator().manual_seed(3))
    quiet = run(model, noise, "block02")
    for place in (9000, 15040, 21119):
        clicked = noise.clone()
        clicked[place] += 0.5
        for name, frames in run(model, clicked, "block02").items():
            layer = next(x for x in model.layers if x.name == name)
            change = (frames - quiet[name])[0].norm(dim=1).square()
            time = layer.center + (change * torch.arange(len(change))).sum() / change.sum() / 100
            assert abs(float(time) - place / 16000) < 1 / layer.rate, name


def test_block06_sees_92_frames_but_for_the_group_norm(twin):
    sound = 0.1 * wave(64000, 16000, 4)
    changed = sound.clone()
    changed[32000:32160] = changed[32000:32160].flip(0)
    before, after = run(twin, sound, "block06")["block06"], run(twin, changed, "block06")["block06"]
    change = (before - after)[0].norm(dim=1)
    near = change[200 - 96 : 200 + 98]
    assert near.max() > 100 * torch.cat([change[:100], change[300:]]).max()


def test_the_published_layout_loads_whole_and_nothing_else_does(published, tmp_path):
    path = write(published, tmp_path / "fcpe_c_v001.pt")
    model = load("fcpe", Request(weights=path))
    length, direction = published["output_proj.weight_g"], published["output_proj.weight_v"]
    rows = model.network.logits.weight.norm(dim=1)
    torch.testing.assert_close(rows, length[:, 0].abs())
    assert torch.nn.functional.cosine_similarity(
        model.network.logits.weight, direction * length.sign()
    ).min() == pytest.approx(1, abs=1e-5)
    folder = load("fcpe", Request(weights=tmp_path))
    assert folder.weights.sha256 == model.weights.sha256 and folder.weights.trained


@pytest.mark.parametrize(
    ("name", "tensor", "said"),
    [
        ("net.encoder_layers.3.conformer.net.4.conv.bias", None, "missing.*blocks.3.depthwise"),
        ("output_proj.weight_g", None, "logits.weight"),
        ("input_stack.3.weight", torch.ones(512, 512, 5), "misshapen.*conv2.weight"),
        ("net.encoder_layers.6.norm.weight", torch.ones(512), "unexpected.*encoder_layers.6"),
    ],
)
def test_another_layout_is_named(published, tmp_path, name, tensor, said):
    tensors = {k: v for k, v in published.items() if k != name}
    if tensor is not None:
        tensors[name] = tensor
    with pytest.raises(WeightsInvalid, match=said) as caught:
        load("fcpe", Request(weights=write(tensors, tmp_path / "mine.pt")))
    assert "mine.pt" in str(caught.value) and "\n" not in str(caught.value)
