"""music2vec as published, and the families of music2vec and MusicHuBERT from a user's own files."""

from __future__ import annotations

import shutil

import golden
import hosted_files as files
import pytest
import torch
from hosted_files import TINY
from huggingface_hub import constants

from extract import hub, models
from extract.errors import OptionUnsuitable, WeightsInvalid, WeightsMissing
from extract.models import music2vec
from extract.models.base import Request

CONFIG = {
    **TINY,
    "model_type": "data2vec-audio",
    "architectures": ["Data2VecAudioModel"],
    # as it stands in the repository: a file where a number belongs
    "vocab_size": "/home/somebody/dict.txt",
    "num_conv_pos_embeddings": 5,
    "conv_pos_kernel_size": 19,
    "mask_time_prob": 0.065,
}


@pytest.fixture(scope="module")
def published():
    return files.tensors_of("data2vec-audio", 61, **TINY)


@pytest.fixture
def folder(published, tmp_path):
    return files.write(tmp_path / "music2vec", published, CONFIG)


def _one_line(error, *parts):
    text = str(error.value)
    assert "\n" not in text
    for part in parts:
        assert part in text, text


def test_published_layout_loads_in_spite_of_its_configuration(folder, published):
    model = models.load("music2vec", Request(weights=folder))
    state = model.network.state_dict()
    assert set(published) - set(state) == {"masked_spec_embed"}
    assert all(torch.equal(tensor, published[name]) for name, tensor in state.items())
    assert model.normalise and model.weights.source == "file pytorch_model.bin"
    assert len([n for n in state if "pos_conv_embed" in n]) == 5 * 2
    wave = golden.wave(7001, 16000, 62)[None]
    ready = (wave - wave.mean()) / torch.sqrt(wave.var(correction=0) + 1e-7)
    theirs = files.own_forward("data2vec-audio", published, ready, **TINY)
    with torch.inference_mode():
        ours = model.forward(wave)
    assert golden.relative_error(ours["frontend"], theirs["hidden.00"]) < 1e-5
    assert golden.relative_error(ours["block03"], theirs["last_hidden_state"]) < 1e-5


def test_file_alone(folder, published, tmp_path):
    alone = shutil.copy(folder / "pytorch_model.bin", tmp_path / "mine.bin")
    models_of = [models.load("music2vec", Request(weights=w)) for w in (folder, alone)]
    assert len({m.weights.sha256 for m in models_of}) == 1


def test_files_of_the_hub_are_checked(folder, tmp_path, monkeypatch):
    """The hash of the published weights is known; these are others."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hub, "_resolves", lambda endpoint: False)
    place = tmp_path / "hub" / "models--m-a-p--music2vec-v1"
    shutil.copytree(folder, place / "snapshots" / ("b" * 40))
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("b" * 40)
    with pytest.raises(WeightsInvalid, match=music2vec.SHA256):
        models.load("music2vec", Request(offline=True))


@pytest.mark.parametrize("what", ["missing", "misshapen", "unexpected"])
def test_wrong_tensors_are_named(what, published, tmp_path):
    tensors, name = dict(published), "encoder.pos_conv_embed.layers.4.conv.bias"
    if what == "missing":
        del tensors[name]
    elif what == "misshapen":
        tensors[name] = torch.zeros(64)
    else:
        name = "final_proj.weight"
        tensors[name] = torch.zeros(2)
    with pytest.raises(WeightsInvalid) as error:
        models.load("music2vec", Request(weights=files.write(tmp_path, tensors, CONFIG)))
    _one_line(error, what, name)


# families


def test_music2vec_of_the_user(folder):
    spec = models.spec(f"music2vec:{folder}")
    assert spec.present()
    model = spec.load(Request())
    assert spec.card.name == model.name == f"music2vec:{folder}"
    assert spec.card == model.card
    assert [x.name for x in spec.card.layers][-1] == "block03"
    public = models.load("music2vec", Request(weights=folder))
    assert model.weights.sha256 == public.weights.sha256


@pytest.mark.parametrize("alone", [True, False])
def test_musichubert_of_the_user(alone, tmp_path):
    tensors = files.tensors_of("hubert", 63, **TINY)
    config = {**TINY, "model_type": "music_hubert", "feature_extractor_cqt": False}
    path = files.write(tmp_path / "k_500", tensors, config, normalise=None)
    if alone:
        (path / "config.json").unlink()
        path = path / "pytorch_model.bin"
    model = models.load(f"musichubert:{path}", Request())
    assert model.name == f"musichubert:{path}" and model.normalise
    assert model.sample_rate == 16000 and model.window == 5
    wave = golden.wave(7000, 16000, 64)[None]
    ready = (wave - wave.mean()) / torch.sqrt(wave.var(correction=0) + 1e-7)
    theirs = files.own_forward("hubert", tensors, ready, **TINY)
    with torch.inference_mode():
        ours = model.forward(wave)
    assert golden.relative_error(ours["block03"], theirs["last_hidden_state"]) < 1e-5


def test_twins_of_a_family(folder, tmp_path):
    """Of the sizes of the folder; another folder's twin has other weights."""
    other = shutil.copytree(folder, tmp_path / "other")
    first, again, apart = (
        models.load(f"music2vec:{place}", Request(untrained=True))
        for place in (folder, folder, other)
    )
    assert [x.name for x in first.layers][-1] == "block03" and not first.weights.trained
    assert first.weights.sha256 == again.weights.sha256 != apart.weights.sha256


def test_family_says_what_it_needs(folder, tmp_path):
    for name, part in (
        ("musichubert:/nowhere/k_500", "no such file"),
        (f"musichubert:{tmp_path}", "checkpoint_best.pt"),
    ):
        with pytest.raises(WeightsMissing) as error:
            models.spec(name)
        _one_line(error, part)
    with pytest.raises(OptionUnsuitable, match="musichubert:PATH"):
        models.spec("musichubert:")
    with pytest.raises(OptionUnsuitable, match="--weights"):
        models.load(f"music2vec:{folder}", Request(weights=folder))


def test_networks_of_the_other_family(folder, tmp_path):
    with pytest.raises(WeightsInvalid) as error:
        models.spec(f"musichubert:{folder}")
    _one_line(error, "data2vec-audio", "hubert")
    (folder / "config.json").unlink()
    with pytest.raises(WeightsInvalid) as error:
        models.load(f"musichubert:{folder}", Request())
    _one_line(error, "missing", "pos_conv_embed")


def test_music_at_another_rate(published, tmp_path):
    folder = files.write(tmp_path, published, CONFIG, rate=24000)
    with pytest.raises(WeightsInvalid, match="24000 Hz, but music2vec:.* takes 16000 Hz"):
        models.load(f"music2vec:{folder}", Request())
