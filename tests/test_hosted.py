"""Networks of the wav2vec 2.0 structure: the library's numbers, by layers that keep their names."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace

import golden
import hosted_files as files
import pytest
import torch
import transformers
from hosted_files import TINY
from safetensors.torch import save_file

from extract import models
from extract.errors import AudioError
from extract.models import wav2vec2
from extract.models.base import Request
from extract.models.hosted import HostedModel, Structure, bake, standard
from extract.models.taps import Tap
from extract.models.unpadded import Unpadded

RATE = 16000
# model name, library's kind, further sizes
LAYOUTS = {
    "hubert-base": ("hubert", {}),
    "mert-330m": ("hubert", {"do_stable_layer_norm": True}),
    "data2vec-base": ("data2vec-audio", {}),
    "wav2vec2-base": ("wav2vec2", {}),
    "layered": ("wav2vec2", {"feat_extract_norm": "layer", "do_stable_layer_norm": True}),
}


def _config(kind, extra):
    return {**TINY, **extra, "model_type": kind}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """layout -> (model, tensors in its file)."""
    pairs = {}
    for seed, (name, (kind, extra)) in enumerate(LAYOUTS.items()):
        tensors = files.tensors_of(kind, 51 + seed, **TINY, **extra)
        folder = tmp_path_factory.mktemp(name)
        known = name if name in models.names() else "wav2vec2-base"
        rate = models.spec(known).card.sample_rate
        files.write(folder, tensors, _config(kind, extra), rate=rate)
        pairs[name] = (models.load(known, Request(weights=folder)), tensors)
    return pairs


@pytest.fixture
def model(loaded):
    return loaded["hubert-base"][0]


@pytest.fixture(autouse=True)
def _inference():
    with torch.inference_mode():
        yield


# numbers


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("samples", [16000, 12345, 400])
def test_same_numbers_as_the_library(layout, samples, loaded):
    """Blocks and `last_hidden_state`, from the library's own feature extractor on.

    `hidden_states[-1]` of a pre-LN encoder is the last block or its norm, by release: not compared.
    """
    model, tensors = loaded[layout]
    kind, extra = LAYOUTS[layout]
    waves = torch.stack([golden.wave(samples, RATE, 61), 0.3 * golden.wave(samples, RATE, 62)])
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    ready = extractor(list(waves.numpy()), sampling_rate=RATE, return_tensors="pt").input_values
    theirs = files.own_forward(kind, tensors, ready, **TINY, **extra)
    ours = model.forward(waves)
    closing = bool(extra.get("do_stable_layer_norm"))
    pairs = [("frontend", "hidden.00"), ("block01", "hidden.01"), ("block02", "hidden.02")]
    pairs.append(("final" if closing else "block03", "last_hidden_state"))
    for layer, theirs_is in pairs:
        assert golden.relative_error(ours[layer], theirs[theirs_is]) < 1e-5, layer
    assert list(ours) == [layer.name for layer in model.layers]
    assert ("final" in ours) == closing
    if closing:
        norm = model.network.encoder.layer_norm
        assert golden.relative_error(norm(ours["block03"]), ours["final"]) < 1e-6
        assert golden.relative_error(ours["block03"], ours["final"]) > 1e-2


def test_convolutions_are_read_after_their_activation(model):
    wave = golden.wave(4000, RATE, 63)[None]
    layers, x = model.forward(wave), standard(wave)[:, None]
    for i, convolution in enumerate(model.network.feature_extractor.conv_layers):
        x = convolution.conv(x)
        x = torch.nn.functional.gelu(convolution.layer_norm(x) if i == 0 else x)
        assert golden.relative_error(layers[f"conv{i + 1}"], x.transpose(1, 2)) < 1e-5


@pytest.mark.parametrize(
    ("inputs", "taps", "stride"), [(1, 10, 5), (4, 3, 2), (4, 2, 2), (4, 7, 2)]
)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("frames_last", [True, False])
def test_unpadded_convolutions(inputs, taps, stride, bias, frames_last):
    plain = torch.nn.Conv1d(inputs, 6, taps, stride, bias=bias).requires_grad_(False)
    ours = Unpadded(plain, frames_last=frames_last)
    for frames in (taps, taps + 1, 50, 51):
        for lie in (lambda x: x, lambda x: x.mT.contiguous().mT):
            values = lie(torch.randn(3, inputs, frames))
            assert golden.relative_error(ours(values), plain(values)) < 1e-6
    assert torch.equal(ours.weight, plain.weight)
    with pytest.raises(RuntimeError, match="fewer"):
        ours(torch.randn(3, inputs, taps - 1))
    with torch.autocast("cpu", torch.bfloat16):
        reduced = ours(values)
    assert reduced.dtype == torch.bfloat16
    assert golden.relative_error(reduced, plain(values)) < 0.02


@pytest.mark.parametrize("layout", LAYOUTS)
def test_reduced_precision(layout, loaded):
    model, wave = loaded[layout][0], golden.wave(8000, RATE, 60)[None]
    exact = model.forward(wave)
    with torch.autocast("cpu", torch.bfloat16):
        reduced = model.forward(wave)
    for name, values in reduced.items():
        assert 1e-5 < golden.relative_error(values, exact[name]) < 0.1, name


def test_weight_norm_is_worked_out_once(loaded):
    model, tensors = loaded["hubert-base"]
    place = "encoder.pos_conv_embed.conv."
    g, v = tensors[f"{place}weight_g"], tensors[f"{place}weight_v"]
    weight = v * (g / torch.linalg.vector_norm(v, dim=(0, 1), keepdim=True))
    found = model.network.encoder.pos_conv_embed.conv.weight
    assert golden.relative_error(found, weight) < 1e-6
    assert not any("parametrizations" in name for name in model.network.state_dict())
    assert model.card.parameters == sum(p.numel() for p in model.network.parameters())
    plain = torch.nn.Linear(2, 2)
    assert bake(plain) is plain


def test_standard():
    wave = 0.1 * golden.wave(5000, RATE, 64)[None] + 0.3
    ready = standard(torch.cat([wave, torch.zeros(1, 5000), torch.full((1, 5000), 0.25)]))
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    theirs = extractor(wave[0].numpy(), sampling_rate=RATE, return_tensors="pt").input_values
    assert golden.relative_error(ready[:1], theirs) < 1e-5
    assert abs(ready[0].mean()) < 1e-6 and abs(ready[0].var(correction=0) - 1) < 1e-3
    assert not ready[1].any() and ready[2].abs().max() < 1e-2


@pytest.mark.parametrize("normalise", [True, False])
def test_loudness_counts_only_where_windows_go_in_as_they_are(normalise, loaded):
    whole = loaded["data2vec-base"][0]
    taps = Structure.of(whole.network.config).taps()
    network = files.library("data2vec-audio", **TINY)
    network.load_state_dict(whole.network.state_dict(), strict=False)
    model = HostedModel(whole.card, network, whole.weights, taps, normalise=normalise)
    wave = golden.wave(8000, RATE, 65)[None]
    error = golden.relative_error(model.forward(0.2 * wave)["conv1"], model.forward(wave)["conv1"])
    assert (error < 1e-3) == normalise


def test_another_way_to_call_a_network(model):
    """Networks inside networks: taps with a prefix, and a call of the user's own."""
    whole = torch.nn.ModuleDict({"speech": files.library("hubert", **TINY)})
    bake(whole).speech.load_state_dict(model.network.state_dict(), strict=False)
    inside = HostedModel(
        model.card,
        whole,
        model.weights,
        Structure.of(whole.speech.config).taps("speech."),
        normalise=True,
        call=lambda network, values: network["speech"](values),
    )
    wave = golden.wave(4000, RATE, 66)[None]
    for name, values in model.forward(wave).items():
        assert golden.relative_error(inside.forward(wave)[name], values) < 1e-5, name


# structure


def test_structure_at_base_size():
    structure = Structure()
    layers = structure.layers(RATE)
    assert structure == Structure.of(transformers.HubertConfig())
    assert structure.field == 400
    assert [structure.frames(n) for n in (399, 400, 16000, 24000, 80000, 120000, 480000)] == [
        *(0, 1, 49, 74, 249, 374, 1499)
    ]
    assert [layer.name for layer in layers[:9]] == [
        *(f"conv{i}" for i in range(1, 8)),
        "frontend",
        "block01",
    ]
    assert [layer.depth for layer in layers] == list(range(20))
    assert [round(x.rate, 6) for x in layers[:8]] == [3200, 1600, 800, 400, 200, 100, 50, 50]
    assert layers[0].center == pytest.approx(4.5 / RATE)
    assert layers[-1].center == pytest.approx(199.5 / RATE)
    assert Structure(closing=True).layers(24000)[-1].name == "final"
    assert Structure(closing=True).layers(24000)[-1].rate == 75


@pytest.mark.parametrize("samples", [400, 401, 719, 720, 16000, 16001, 30011])
def test_frames(samples, model):
    layers = model.forward(golden.wave(samples, RATE, 67)[None])
    structure = Structure.of(model.network.config)
    assert layers["block03"].shape == (1, structure.frames(samples), 128)
    assert layers["conv1"].shape == (1, (samples - 10) // 5 + 1, 32)


def test_shortest_input(model):
    assert model.card.minimum == 400
    with pytest.raises(RuntimeError):
        model.forward(torch.zeros(1, 399))
    with pytest.raises(AudioError, match="400"):
        model.windows(torch.zeros(399))


@pytest.mark.parametrize("layout", ["hubert-base", "data2vec-base"])
def test_frames_stand_where_they_say(layout, loaded):
    """The frame that changes most where a moment of the noise is another is the one at it.

    A click would change the loudness, and with it every frame of a normalised window.
    """
    model, moment = loaded[layout][0], 160
    noise = 0.1 * torch.randn(2, 16000, generator=torch.Generator().manual_seed(5))
    before = model.forward(noise[:1])
    for at in (4000, 11111):
        other = noise[0].clone()
        other[at : at + moment] = noise[1, at : at + moment]
        after = model.forward(other[None])
        for layer in model.layers:
            change = (after[layer.name] - before[layer.name])[0].norm(dim=-1)
            heard = layer.center + int(change.argmax()) / layer.rate
            middle = (at + moment / 2) / RATE
            assert abs(heard - middle) <= moment / 2 / RATE + 1 / layer.rate, layer.name


# running


@pytest.mark.parametrize("layout", ["hubert-base", "mert-330m", "data2vec-base"])
def test_until(layout, loaded):
    model = loaded[layout][0]
    wave = golden.wave(6000, RATE, 68)[None]
    whole = model.forward(wave)
    ran = []
    watch = model.network.encoder.layers[2].register_forward_hook(lambda *_: ran.append(1))
    for layer in ("conv3", "frontend", "block02"):
        part = model.forward(wave, until=layer)
        assert list(part)[-1] == layer and len(part) < len(whole)
        assert all(torch.equal(part[name], whole[name]) for name in part)
    assert not ran
    model.forward(wave)
    watch.remove()
    assert ran


@pytest.mark.parametrize("layout", ["hubert-base", "mert-330m", "data2vec-base"])
def test_rows_do_not_know_of_each_other(layout, loaded):
    model = loaded[layout][0]
    waves = torch.stack([golden.wave(8000, RATE, 70 + i) * 0.2 * (i + 1) for i in range(3)])
    together = model.forward(waves)
    for i in range(3):
        for name, alone in model.forward(waves[i : i + 1]).items():
            assert golden.relative_error(together[name][i : i + 1], alone) < 1e-5, name


def test_threads(model):
    waves = [golden.wave(8000 + 500 * i, RATE, 80 + i)[None] for i in range(4)]
    alone = [model.forward(wave) for wave in waves]
    found = [[] for _ in waves]

    def work(i):
        with torch.inference_mode():
            for k in range(3):
                found[i].append(model.forward(waves[i], until=None if k else "block02"))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, runs in enumerate(found):
        assert len(runs) == 3 and "block03" not in runs[0]
        for run in runs:
            for name, values in run.items():
                assert golden.relative_error(values, alone[i][name]) < 1e-6


@pytest.mark.parametrize("layout", LAYOUTS)
def test_silence_and_clipping(layout, loaded):
    loud = torch.ones(1, 8000)
    loud[:, ::7] = -1.0
    for wave in (torch.zeros(1, 8000), loud, torch.ones(1, 8000)):
        for name, values in loaded[layout][0].forward(wave).items():
            assert torch.isfinite(values).all(), name


# untrained twins


@pytest.mark.parametrize("name", ["mert-95m", "mert-330m", "music2vec", "wav2vec2-base"])
def test_untrained_twin(name):
    published = models.spec(name).load.args[0]
    published = replace(published, settings=published.settings | TINY)
    before = torch.get_rng_state()
    first, again, other = (wav2vec2.untrained(published, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert first.weights.sha256 == again.weights.sha256 != other.weights.sha256
    assert first.weights.source == "untrained, seed 0" and not first.weights.trained
    for layer, values in first.forward(golden.wave(8000, RATE, 90)[None]).items():
        assert torch.isfinite(values).all()
        assert 0.01 < values.std() < 10, layer


def test_twins_of_two_models_are_independent():
    twins = []
    for name in ("mert-95m", "hubert-base"):
        published = models.spec(name).load.args[0]
        twins.append(wav2vec2.untrained(replace(published, settings=published.settings | TINY), 0))
    place = "encoder.layers.1.feed_forward.output_dense.weight"
    a, b = (twin.network.state_dict()[place].flatten() for twin in twins)
    assert abs(torch.corrcoef(torch.stack([a, b]))[0, 1]) < 0.05


def test_taps_are_named_once():
    taps = Structure(closing=True).taps("hubert.")
    assert len({tap.layer for tap in taps}) == len(taps) == 7 + 1 + 12 + 1
    assert taps[7] == Tap("frontend", "hubert.encoder.layers.0", side="input")
    assert [tap.layer for tap in taps] == [x.name for x in Structure(closing=True).layers(RATE)]


def test_a_network_made_without_values_leaves_other_libraries_theirs(tmp_path):
    """torchaudio, imported by way of the network's class, keeps a constant as a tensor."""
    code = (
        "import pathlib, sys\n"
        "from extract import models\n"
        "from extract.errors import WeightsInvalid\n"
        "from extract.models.base import Request\n"
        "try:\n"
        "    models.load('mert-95m', Request(weights=pathlib.Path(sys.argv[1])))\n"
        "except WeightsInvalid as error:\n"
        "    assert 'missing' in str(error), error\n"
        "from torchaudio.compliance import kaldi\n"
        "assert not kaldi.EPSILON.is_meta\n"
    )
    path = tmp_path / "model.safetensors"
    save_file({"masked_spec_embed": torch.zeros(768)}, path)
    (tmp_path / "config.json").write_text('{"model_type": "mert_model"}')
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
