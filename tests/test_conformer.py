"""The network of MusicFM and MuQ gives the numbers of the original implementations."""

from __future__ import annotations

import math

import golden
import pytest
import torch
from conformer_files import MEAN, SEEDS, STD, TINY, drawn_shapes, write

from extract import models
from extract.errors import AudioError
from extract.logmel import LogMel, htk_filterbank
from extract.models.base import Request
from extract.models.conformer import Network, Sizes

RELATIVE, ABSOLUTE, DECIBEL = 1e-5, 1e-4, 1e-3
KINDS = ("musicfm", "muq")


def _load(kind, folder, sizes, seed):
    return models.load(kind, Request(weights=write(kind, folder, sizes, seed)))


@pytest.fixture(scope="module", params=KINDS)
def tiny(request, tmp_path_factory):
    """(name of the golden file, model with its weights, read from a published file)."""
    name = f"{request.param}_tiny"
    return name, _load(request.param, tmp_path_factory.mktemp(name), TINY, SEEDS[name])


@pytest.fixture(scope="module")
def musicfm(tmp_path_factory):
    return _load("musicfm", tmp_path_factory.mktemp("musicfm"), TINY, 11)


def _waves(case):
    seeds = range(case["wave_seed"], case["wave_seed"] + case["batch"])
    waves = torch.stack([golden.wave(case["samples"], 24000, seed) for seed in seeds])
    if "zero_from" in case:
        waves[:, case["zero_from"] : case["zero_to"]] = 0
    return waves


def _run(model, waves, **options):
    with torch.inference_mode():
        return model.forward(waves, **options)


def _same(ours, wanted, key):
    error = golden.relative_error(ours, wanted)
    assert error < RELATIVE, f"{key}: relative error {error:.2e}"
    assert (ours - wanted).abs().max() < ABSOLUTE, key


def _check_against_golden(model, name):
    tensors, info = golden.read(name)
    for case, setting in info["cases"].items():
        waves = _waves(setting)
        assert golden.relative_error(waves[:, :256], tensors[f"{case}.wave_head"]) < 1e-6
        with torch.inference_mode():
            decibels = model.network.mel(waves)
        assert (decibels - tensors[f"{case}.logmel_db"]).abs().max() < DECIBEL
        layers = _run(model, waves)
        assert list(layers) == [layer.name for layer in model.layers]
        depth = info["config"]["encoder_depth"]
        keys = [f"{case}.hidden.{i:02d}" for i in range(depth)]
        keys += [f"{case}.last_block_raw", f"{case}.hidden.{depth:02d}"]
        for key, ours in zip(keys, layers.values(), strict=True):
            if key in tensors:
                _same(ours, tensors[key], key)
            else:
                _same(ours[:, :, :16], tensors[f"{key}.slice16"], key)
                _same(ours.mean(1), tensors[f"{key}.time_mean"], key)


@pytest.mark.parametrize("name", [f"{kind}_tiny" for kind in KINDS])
def test_drawn_weights_are_those_of_the_golden_files(name):
    tensors, info = golden.read(name)
    drawn = golden.draw_weights(drawn_shapes(TINY), info["config"]["seed"])
    assert sorted(drawn) == info["tensor_names"]
    sums = torch.stack([drawn[n].double().sum() for n in sorted(drawn)])
    totals = torch.stack([drawn[n].double().abs().sum() for n in sorted(drawn)])
    wanted = tensors["check.weight_abs_sum"]
    assert ((totals - wanted).abs() <= 1e-6 * wanted).all()
    assert ((sums - tensors["check.weight_sum"]).abs() <= 1e-6 * wanted).all()


def test_tiny_network_equals_the_original(tiny):
    name, model = tiny
    _check_against_golden(model, name)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_full_size_file_loads_strictly_and_equals_the_original(kind, tmp_path):
    name = f"{kind}_full"
    model = _load(kind, tmp_path, Sizes(), SEEDS[name])
    assert sum(p.numel() for p in model.network.parameters()) == 316_343_296
    assert model.card == models.spec(kind).card
    _check_against_golden(model, name)


def test_full_size_names_are_those_of_the_published_files():
    shapes = drawn_shapes(Sizes())
    assert len(shapes) == 436
    for kind in KINDS:
        assert sorted(shapes) == golden.read(f"{kind}_full")[1]["tensor_names"]
    counted = sum(math.prod(s) for n, s in shapes.items() if "running_" not in n)
    assert counted == models.spec("muq").card.parameters


def test_layers_are_named_by_place():
    layers = Sizes().layers()
    blocks = [f"block{i:02d}" for i in range(1, 13)]
    assert [layer.name for layer in layers] == ["frontend", *blocks, "final"]
    assert [layer.depth for layer in layers] == list(range(14))
    assert {(layer.rate, layer.width, layer.center) for layer in layers} == {(25.0, 1024, 0.0)}


@pytest.mark.parametrize("samples", [1025, 1200, 4799, 4800, 24000, 24239, 24240, 30011, 120000])
def test_token_count(musicfm, samples):
    layers = _run(musicfm, torch.zeros(1, samples))
    wanted = math.ceil((samples // 240) / 4)
    assert {tuple(x.shape) for x in layers.values()} == {(1, wanted, 64)}


def test_fifty_tokens_a_second():
    sizes = Sizes(encoder_dim=16, depth=1, conv_dim=2, heads=2, ffn=8, label_rate=50)
    network = Network(sizes, MEAN, STD).eval()
    assert network(torch.randn(1, 24000))["final"].shape == (1, 50, 16)
    assert {layer.rate for layer in sizes.layers()} == {50.0}


@pytest.mark.parametrize("token", [20, 33])
def test_tokens_are_centred_on_multiples_of_960_samples(musicfm, token):
    """What a click changes lies evenly around its token: 3 tokens of reach on either side."""
    quiet = torch.zeros(1, 48000)
    click = quiet.clone()
    click[0, 960 * token] = 1.0
    change = _run(musicfm, click)["frontend"] - _run(musicfm, quiet)["frontend"]
    moved = torch.nonzero(change[0].abs().amax(-1) > 1e-6).flatten().tolist()
    assert moved == list(range(token - 3, token + 4))


def test_shortest_input(musicfm):
    assert musicfm.card.minimum == 1025
    (window,) = musicfm.windows(torch.zeros(1025))
    assert torch.isfinite(_run(musicfm, window.values[None])["final"]).all()
    with pytest.raises(AudioError, match="1025"):
        musicfm.windows(torch.zeros(1024))
    with pytest.raises(RuntimeError, match="[Pp]adding"):  # why the minimum is what it is
        _run(musicfm, torch.zeros(1, 1024))


def test_long_audio_is_cut_into_windows_of_half_a_minute(musicfm):
    windows = musicfm.windows(torch.zeros(24000 * 40))
    assert [w.start for w in windows] == [0.0, 10.0]
    assert [w.owns for w in windows] == [(0.0, 20.0), (20.0, 40.0)]


def test_silence_is_finite(musicfm):
    waves = torch.zeros(1, 24000)
    with torch.inference_mode():
        mel = musicfm.network.mel(waves)
    assert mel.unique().tolist() == [-100.0]
    assert all(torch.isfinite(x).all() for x in _run(musicfm, waves).values())


def test_rows_of_a_batch_do_not_meet(tiny):
    name, model = tiny
    _, info = golden.read(name)
    waves = _waves(info["cases"]["pair"])
    together = _run(model, waves)
    for row in range(len(waves)):
        alone = _run(model, waves[row : row + 1])
        for layer, values in together.items():
            assert golden.relative_error(values[row], alone[layer][0]) < RELATIVE


def test_final_is_the_closing_norm_of_the_last_block(musicfm):
    layers = _run(musicfm, golden.wave(24000, 24000, 3)[None])
    norm = musicfm.network.conformer.layer_norm
    raw = layers["block03"]
    spread = (raw.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    ours = (raw - raw.mean(-1, keepdim=True)) / spread
    assert torch.allclose(ours * norm.weight + norm.bias, layers["final"], atol=1e-5)
    assert golden.relative_error(raw, layers["final"]) > 0.01


def test_stopping_early_changes_nothing_but_the_work(musicfm):
    waves = golden.wave(24000, 24000, 4)[None]
    everything, names = _run(musicfm, waves), [layer.name for layer in musicfm.layers]
    ran = []
    hooks = [
        block.register_forward_hook(lambda *_, i=i: ran.append(i))
        for i, block in enumerate(musicfm.network.conformer.layers)
    ]
    for place, name in enumerate(names):
        ran.clear()
        some = _run(musicfm, waves, until=name)
        assert list(some) == names[: place + 1]
        assert ran == list(range(min(place, 3)))
        assert all(torch.equal(some[n], everything[n]) for n in some)
    for hook in hooks:
        hook.remove()
    with pytest.raises(ValueError, match="block09"):
        _run(musicfm, waves, until="block09")


def test_same_input_gives_the_same_bits(musicfm):
    waves = golden.wave(24000, 24000, 5)[None]
    first, second = _run(musicfm, waves), _run(musicfm, waves)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("wrong", [{"heads": 3}, {"kernel": 30}, {"label_rate": 75}, {"heads": 0}])
def test_sizes_that_make_no_network(wrong):
    with pytest.raises(ValueError):
        Sizes(**wrong)


def test_filters_are_triangles_on_the_mel_scale():
    filters = htk_filterbank(24000, 2048, 128)
    assert filters.shape == (1025, 128)
    assert (filters >= 0).all() and (filters.amax(0) > 0).all()
    top = filters.argmax(0) * 12000 / 1024
    mels = 2595 * math.log10(1 + 12000 / 700) * torch.arange(1, 129) / 129
    assert ((top - 700 * (10 ** (mels / 2595) - 1)).abs() < 12000 / 1024).all()


def test_logmel_of_a_sine_has_its_level():
    """A sine on bin 256: a Hann window of 2048 gives it 512, and half of that on either side."""
    mel = LogMel(24000, 2048, 240, 128)
    tone = torch.sin(2 * math.pi * 3000.0 * torch.arange(24000, dtype=torch.float64) / 24000)
    power = 512.0**2 * torch.tensor([0.25, 1.0, 0.25]) @ mel.filters[255:258]
    level = mel(tone.float()[None])[0, :, 50]
    band = int(power.argmax())
    assert level.argmax() == band
    assert level[band].item() == pytest.approx(10 * math.log10(power[band]), abs=0.01)
    assert mel(torch.zeros(1, 2400)).shape == (1, 128, 10)
