"""MULE against the original program, and on clips of any length."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import golden
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from extract.errors import AudioError, OptionUnsuitable
from extract.models import mule, nfnet
from extract.windows import frame_weights

BOUND = 2e-5
SMALL = nfnet.Sizes(
    slow_stem=(2, 2, 4, 8),
    fast_stem=(2, 2, 2, 4),
    slow=(16, 16, 32, 32),
    fast=(8, 8, 16, 16),
    depths=(1, 2, 2, 1),
    inner=(4, 4, 4, 4),
    joined=(8, 8, 16, 16),
    slow_group=8,
    fast_group=4,
)
CARD = mule.SPEC.card


def drawn(sizes: nfnet.Sizes, seed: int = 41) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        network = nfnet.SlowFast(sizes)
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    return golden.draw_weights(shapes, seed)


def model_of(tensors: dict[str, torch.Tensor], sizes: nfnet.Sizes) -> mule.Mule:
    card = replace(CARD, layers=mule.layers(sizes))
    return mule.trained(card, tensors, path="here", source="drawn", sizes=sizes)


@pytest.fixture(scope="module")
def original() -> dict[str, torch.Tensor]:
    return golden.read("mule")[0]


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return drawn(nfnet.PUBLISHED)


@pytest.fixture(scope="module")
def full(weights) -> mule.Mule:
    return model_of(weights, nfnet.PUBLISHED)


@pytest.fixture(scope="module")
def small() -> mule.Mule:
    return model_of(drawn(SMALL), SMALL)


@pytest.fixture(scope="module")
def waveform() -> torch.Tensor:
    return golden.wave(112000, 16000, 5002)


def slices_of(waveform: torch.Tensor) -> torch.Tensor:
    values = mule.logmel(waveform)
    parts = [values[:, s : s + mule.FRAMES] for s in mule.starts(values.shape[1])]
    return torch.stack([mule.standardised(part) for part in parts])


def some_slices(rows: int, seed: int = 1) -> torch.Tensor:
    return torch.randn((rows, 96, 300), generator=torch.Generator().manual_seed(seed))


# the original


def test_weights_are_those_of_the_rule(weights, original):
    names = golden.read("mule")[1]["tensor_names"]
    assert sorted(weights) == names and len(names) == 480
    assert sum(t.numel() for t in weights.values()) == CARD.parameters == 62_345_742
    sums = torch.stack([weights[n].double().abs().sum() for n in names])
    torch.testing.assert_close(sums, original["check.weight_abs_sum"], rtol=1e-6, atol=0)


def test_logmel_and_slices_are_the_originals(waveform, original):
    torch.testing.assert_close(waveform[:256], original["wave_head"], rtol=1e-6, atol=0)
    ours = mule.logmel(waveform)
    assert ours.shape == original["wave.logmel"].shape
    assert (ours - original["wave.logmel"]).abs().max() < 1e-4
    slices = slices_of(waveform)
    assert (slices[:, :, ::10] - original["wave.slices_every10"]).abs().max() < 1e-4
    spread = torch.stack([slices.mean((1, 2)), slices.std((1, 2), correction=0)], 1)
    torch.testing.assert_close(spread, original["wave.slice_mean_std"], rtol=0, atol=1e-5)


def test_every_tap_of_a_patch_is_the_originals(full, original):
    patch = some_slices(2, 5001)
    torch.testing.assert_close(patch[:, :4, :8], original["patch_head"])
    with torch.inference_mode():
        for name, ours in full.network(patch):
            key = f"patch.{name}"
            if ours.ndim == 2:
                assert golden.relative_error(ours, original[key]) < BOUND, key
                continue
            ours = ours.permute(0, 2, 3, 1)
            pairs = {
                "mean": ours.mean((1, 2)),
                "corner": ours[:, :3, :6, :16],
                "corner_end": ours[:, -3:, -6:, :16],
            }
            for part, values in pairs.items():
                error = golden.relative_error(values, original[f"{key}.{part}"])
                assert error < BOUND, f"{key}.{part}"


def test_every_layer_of_a_sound_is_the_originals(full, waveform, original):
    with torch.inference_mode():
        layers = full.forward(slices_of(waveform))
    for layer in full.layers:
        ours = layers[layer.name].mean(1)
        key = f"wave.{layer.name}"
        key = key if key in original else f"{key}.mean"
        assert golden.relative_error(ours, original[key]) < BOUND, key
    ours = layers["embedding"].mean((0, 1))
    assert golden.relative_error(ours, original["wave.file_embedding"]) < BOUND


def test_windows_are_the_originals_slices_at_half_the_volume(small, waveform):
    windows = small.windows(2 * waveform)
    assert [w.start for w in windows] == [0.5, 2.5, 4.01]
    torch.testing.assert_close(
        torch.stack([w.values for w in windows]), slices_of(waveform), rtol=1e-4, atol=1e-4
    )


# the network


@pytest.mark.parametrize("length", [1, 2, 3, 7, 19, 38, 75, 96, 150, 300])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 8), (3, 1), (3, 2), (7, 4), (1, 2), (7, 1)])
def test_padding_makes_the_length_that_tensorflow_makes(length, kernel, stride):
    before, after = nfnet.same(length, kernel, stride)
    assert 0 <= after - before <= 1
    out = (length + before + after - kernel) // stride + 1
    assert out == -(-length // stride)


def test_baked_kernels_are_the_same_network():
    torch.manual_seed(0)
    plain = nfnet.SlowFast(SMALL)
    plain.load_state_dict(drawn(SMALL))
    baked = copy.deepcopy(plain)
    baked.bake()
    assert not any(name.endswith("gain") and "skip" not in name for name in baked.state_dict())
    values = some_slices(2)
    with torch.inference_mode():
        for (name, one), (_, two) in zip(plain(values), baked(values), strict=True):
            assert golden.relative_error(one, two) < 1e-5, name


def test_a_kernel_without_variation_stays_finite():
    conv = nfnet.StandardConv(3, 4, (3, 3))
    with torch.no_grad():
        conv.weight.fill_(0.5)
    assert (conv.standardised() == 0).all()


@pytest.mark.parametrize("first", [True, False])
def test_a_block_is_the_plain_block(first):
    """Rows left out before the stride, factors inside kernels: against the block as described."""
    torch.manual_seed(1)
    stride = 2 if first else 1
    block = nfnet.Block(16, 16, 4, 0.9, first, stride)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))

    def conv(layer, x, **options):
        variance, mean = torch.var_mean(layer.weight, (1, 2, 3), correction=0, keepdim=True)
        kernel = (layer.weight - mean) / (variance * layer.weight[0].numel()).sqrt()
        kernel = kernel * layer.gain[:, None, None, None]
        return F.conv2d(x, kernel, layer.bias, **options)

    def active(x):
        return nfnet.GAIN * F.gelu(x)

    x = torch.randn(2, 16, 6, 19)
    start = 0.9 * active(x)
    y = active(conv(block.convs[0], start))
    y = active(conv(block.convs[1], y, stride=(stride, 1), padding=(0, 1), groups=2))
    y = active(conv(block.convs[2], y, padding=(1, 0), groups=2))
    y = conv(block.convs[3], y)
    gate = torch.sigmoid(block.se.fc2(torch.relu(block.se.fc1(y.mean((2, 3))))))
    y = 2 * gate[..., None, None] * y
    skipped = conv(block.skip_conv, F.avg_pool2d(start, (2, 1))) if first else x
    plain = skipped + 0.2 * block.skip_gain * y
    with torch.inference_mode():
        ours = block(x.contiguous(memory_format=torch.channels_last))
    assert golden.relative_error(ours, plain.detach()) < 1e-5


# the model


def test_card_tells_the_truth(full):
    with torch.inference_mode():
        outputs = full.forward(some_slices(1))
    assert list(outputs) == [layer.name for layer in full.layers]
    assert [layer.depth for layer in full.layers] == list(range(32))
    for layer in full.layers:
        values = outputs[layer.name]
        assert values.shape[::2] == (1, layer.width), layer.name
        assert torch.isfinite(values).all()
        last = layer.center + (values.shape[1] - 1) / layer.rate
        assert layer.center < 1 / layer.rate and last <= mule.SLICE
    rates = {x.rate for x in full.layers if x.name.startswith("slow")}
    assert rates == {6.25}
    assert {x.rate for x in full.layers if x.name.startswith("fast")} == {25.0}


def test_a_disturbance_changes_most_the_frame_that_stands_for_it(small):
    values = some_slices(1)
    centers = {x.name: x for x in small.layers if x.name not in ("pooled", "embedding")}
    for frame in (0, 40, 152, 200, 296):  # the slow path looks at every eighth
        other = values.clone()
        other[:, :, frame] += 3
        with torch.inference_mode():
            before = dict(small.network(values))
            after = dict(small.network(other))
        for name, layer in centers.items():
            change = (after[name] - before[name]).square().sum((0, 1, 2))
            at = layer.center + int(change.argmax()) / layer.rate
            # one frame, and half a frame more where the moment lies between two
            assert abs(at - frame / 100) <= 1.5 / layer.rate, (name, frame)


def test_a_click_is_where_it_is(small):
    at = 4.02  # frame 152 of the slice that begins at 2.5 s: the slow path looks at every eighth
    quiet = 0.1 * golden.wave(8 * 16000, 16000, 3)
    loud = quiet.clone()
    loud[round(at * 16000)] += 0.5
    changed = []
    with torch.inference_mode():
        for one, two in zip(small.windows(quiet), small.windows(loud), strict=True):
            if torch.equal(one.values, two.values):
                continue
            changed.append(two.start)
            stems = small.forward(torch.stack([one.values, two.values]), until="fast_stem")
            for layer in small.layers[:2]:
                first, second = stems[layer.name]
                frame = int((second - first).norm(dim=1).argmax())
                assert abs(two.start + layer.center + frame / layer.rate - at) <= 1 / layer.rate
    assert changed == [2.5]


def test_a_batch_is_its_rows(small):
    values = some_slices(3)
    with torch.inference_mode():
        together, alone = small.forward(values), small.forward(values[1:2])
    for name, frames in alone.items():
        assert golden.relative_error(together[name][1:2], frames) < 1e-5, name


def test_until_stops_the_pass(small):
    values, ran = some_slices(1), []
    last = small.network.slow_stages[1]["blocks"][0]
    beyond = small.network.slow_stages[1]["blocks"][1]
    hooks = [m.register_forward_hook(lambda m, *_: ran.append(m)) for m in (last, beyond)]
    with torch.inference_mode():
        part = small.forward(values, until="slow_stage1.block0")
        assert ran == [last]
        whole = small.forward(values)
    for hook in hooks:
        hook.remove()
    assert list(part) == list(whole)[:7]
    for name, frames in part.items():
        assert torch.equal(frames, whole[name])


def test_threads_do_not_disturb_each_other(small):
    batches = [some_slices(1, seed) for seed in range(6)]

    def run(values):
        with torch.inference_mode():
            return small.forward(values)

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(run, batches))
    for values, outputs in zip(batches, together, strict=True):
        for name, frames in run(values).items():
            assert torch.equal(frames, outputs[name]), name


@pytest.mark.parametrize("sound", ["silence", "clipping", "constant"])
def test_extreme_sounds_stay_finite(sound, small):
    square = golden.wave(64000, 16000, 3).sign()
    audio = {"silence": torch.zeros(64000), "clipping": square, "constant": torch.ones(64000)}
    values = torch.stack([w.values for w in small.windows(audio[sound])])
    with torch.inference_mode():
        outputs = small.forward(values)
    assert all(torch.isfinite(frames).all() for frames in outputs.values())


# slices


def test_starts_are_the_originals():
    assert mule.starts(701) == [50, 250, 401]
    assert mule.starts(300) == [0]
    assert mule.starts(349) == [49]
    assert mule.starts(350) == mule.starts(400) == [50]
    assert mule.starts(401) == [50, 101]
    assert len(mule.starts(3001)) == 15


@pytest.mark.parametrize(
    "samples", [400, 16000, 47839, 47840, 48000, 55999, 64000, 64001, 111999, 112000, 480000]
)
def test_windows_own_the_clip_once(samples, small):
    windows = small.windows(golden.wave(samples, 16000, 3))
    edges = [w.owns for w in windows]
    assert edges[0][0] == 0.0
    assert edges[-1][1] == samples / 16000
    assert all(first < last for first, last in edges)
    assert [first for first, _ in edges[1:]] == [last for _, last in edges[:-1]]
    assert all(w.values.shape == (96, 300) and w.values.dtype == torch.float32 for w in windows)
    assert windows[-1].start + mule.SLICE <= max(samples / 16000, mule.SLICE) + 0.01
    rows = np.array([[0.0, samples / 16000]])
    for layer, frames in zip((*small.layers[:2], small.layers[-1]), (19, 75, 1), strict=True):
        total = sum(
            frame_weights(frames, layer.rate, layer.center, w.start, w.owns, rows).sum()
            for w in windows
        )
        assert total == pytest.approx(samples / 16000)


def test_a_short_clip_is_followed_by_silence(small):
    (window,) = small.windows(golden.wave(16000, 16000, 3))
    assert window.start == 0 and window.owns == (0.0, 1.0)
    tail = window.values[:, 103:]
    assert (tail == tail[0, 0]).all() and (window.values[:, :98] > tail[0, 0]).any(0).all()


@pytest.mark.parametrize("samples", [0, 399])
def test_shorter_than_the_mel_is_refused(samples, small):
    with pytest.raises(AudioError, match=f"{samples} samples .* mule needs at least 400"):
        small.windows(torch.zeros(samples))


def test_windows_are_the_models_own(small):
    with pytest.raises(OptionUnsuitable, match="leave out --window"):
        small.recut(5.0, None)


def test_untrained_twin():
    def twin(name, seed=0):
        card = mule.spec_of(name).card
        return mule.untrained(card, seed, SMALL)

    state = torch.random.get_rng_state()
    one, two = twin("a"), twin("a")
    assert torch.equal(state, torch.random.get_rng_state())
    hashes = {x.weights.sha256 for x in (one, twin("a", 1), twin("b"))}
    assert one.weights.sha256 == two.weights.sha256 and len(hashes) == 3
    assert not one.weights.trained and one.weights.source == "untrained, seed 0"
    with torch.inference_mode():
        outputs = one.forward(some_slices(2))
    for name, frames in outputs.items():
        assert torch.isfinite(frames).all() and 0.01 < frames.std() < 10, name
    # blocks do something: no layer is a copy of the one before
    assert not torch.equal(outputs["slow_stage2.block0"], outputs["slow_stage2.block1"])
