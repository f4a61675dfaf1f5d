"""Checkpoints of fairseq: the same networks under other names, beside what the training left."""

from __future__ import annotations

import argparse
import collections
import sys
import types

import golden
import hosted_files as files
import pytest
import torch
from hosted_files import MERT, TINY

from extract import fairseq, models
from extract.errors import WeightsInvalid
from extract.models.base import Request

STRIDES = "[(512,10,5)] + [(512,3,2)] * 4 + [(512,2,2)] * 2"
HEADS = {
    "hubert": ["final_proj.weight", "label_embs_concat", "encoder_cqt_model.fc.weight"],
    "data2vec-audio": ["final_proj.weight", "_ema"],
    "wav2vec2": ["quantizer.vars", "project_q.weight", "final_proj.bias", "target_glu.0.weight"],
}
NAMES = {"hubert": "musichubert", "data2vec-audio": "music2vec", "wav2vec2": "wav2vec2-base"}


def _class(monkeypatch, module, name):
    """A class where a training program has it; only the test has such modules."""
    parts = module.split(".")
    for i in range(len(parts)):
        place = ".".join(parts[: i + 1])
        if place not in sys.modules:
            monkeypatch.setitem(sys.modules, place, types.ModuleType(place))
    made = type(name, (), {"__module__": module})
    monkeypatch.setattr(sys.modules[module], name, made, raising=False)
    return made


def _settings(**model):
    said = {"conv_feature_layers": STRIDES, "layer_norm_first": False, **model}
    return {"model": said, "task": {"sample_rate": 16000, "normalize": False}}


def _write(path, tensors, cfg=None, **beside):
    content = {"args": None, "cfg": cfg, "model": tensors, "criterion": None, **beside}
    torch.save(content, path)
    return path


def _with_heads(kind, tensors):
    return files.in_fairseq(tensors) | {name: torch.zeros(3) for name in HEADS[kind]}


def _load(kind, path):
    if kind == "wav2vec2":
        return models.load("wav2vec2-base", Request(weights=path))
    return models.load(f"{NAMES[kind]}:{path}", Request())


@pytest.fixture(scope="module")
def published():
    """kind -> tensors of a tiny file."""
    return {kind: files.tensors_of(kind, 71, **TINY) for kind in NAMES}


def test_names():
    """As the training program's own modules are called."""
    pairs = {
        "mask_emb": "masked_spec_embed",
        "layer_norm.weight": "feature_projection.layer_norm.weight",
        "post_extract_proj.bias": "feature_projection.projection.bias",
        "feature_extractor.conv_layers.0.0.weight": "feature_extractor.conv_layers.0.conv.weight",
        "feature_extractor.conv_layers.0.2.bias": "feature_extractor.conv_layers.0.layer_norm.bias",
        "feature_extractor.conv_layers.6.2.1.weight": (
            "feature_extractor.conv_layers.6.layer_norm.weight"
        ),
        "encoder.pos_conv.0.weight_g": "encoder.pos_conv_embed.conv.weight_g",
        "encoder.pos_conv.0.bias": "encoder.pos_conv_embed.conv.bias",
        "encoder.pos_conv.0.0.weight": "encoder.pos_conv_embed.layers.0.conv.weight",
        "encoder.pos_conv.4.0.bias": "encoder.pos_conv_embed.layers.4.conv.bias",
        "encoder.layer_norm.weight": "encoder.layer_norm.weight",
        "encoder.layers.11.self_attn.k_proj.bias": "encoder.layers.11.attention.k_proj.bias",
        "encoder.layers.1.self_attn_layer_norm.bias": "encoder.layers.1.layer_norm.bias",
        "encoder.layers.1.final_layer_norm.bias": "encoder.layers.1.final_layer_norm.bias",
        "encoder.layers.1.fc1.bias": "encoder.layers.1.feed_forward.intermediate_dense.bias",
        "encoder.layers.1.fc2.weight": "encoder.layers.1.feed_forward.output_dense.weight",
        "final_proj.weight": "final_proj.weight",
    }
    assert list(fairseq.renamed(dict.fromkeys(pairs))) == list(pairs.values())


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("told", [True, False])
def test_same_network_as_in_the_other_form(kind, told, published, tmp_path):
    """With the run's configuration, and without: then head and norms follow from the sizes."""
    tensors = published[kind]
    cfg = _settings(encoder_attention_heads=2, activation_fn="gelu") if told else None
    path = _write(tmp_path / "checkpoint_best.pt", _with_heads(kind, tensors), cfg)
    model = _load(kind, path)
    folder = files.write(tmp_path / "other", tensors, {**TINY, "model_type": kind})
    other = _load(kind, folder)
    assert model.weights.sha256 == other.weights.sha256
    assert model.weights.source == "file checkpoint_best.pt"
    wave = golden.wave(7000, 16000, 72)[None]
    with torch.inference_mode():
        ours, theirs = model.forward(wave), other.forward(wave)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_folder_with_a_checkpoint(published, tmp_path):
    tensors = files.in_fairseq(published["hubert"])
    _write(tmp_path / "checkpoint_last.pt", tensors)
    model = models.load(f"musichubert:{tmp_path}", Request())
    assert model.weights.source == "file checkpoint_last.pt"


def test_configuration_tells_what_tensors_cannot(published, tmp_path):
    """Norms before the blocks, other heads, other strides: other networks of the same tensors."""
    tensors = files.in_fairseq(published["hubert"])
    cases = {
        "plain": _settings(),
        "pre-LN": _settings(layer_norm_first=True),
        "heads": _settings(encoder_attention_heads=4),
        "strides": _settings(conv_feature_layers="[(32,10,4)] + [(32, 3, 2)] * 4 + [(32,2,2)]*2"),
    }
    found = {}
    for name, cfg in cases.items():
        found[name] = _load("hubert", _write(tmp_path / f"{name}.pt", tensors, cfg))
    assert len({model.weights.sha256 for model in found.values()}) == 4
    assert found["pre-LN"].layers[-1].name == "final"
    assert found["plain"].layers[-1].name == "block03"
    assert "4 heads" in found["heads"].card.notes
    assert found["strides"].layers[-1].rate == 16000 / 256
    assert found["strides"].layers[0].rate == 4000


def test_mert(tmp_path):
    """Published at 24 kHz, with the head that predicted a constant-Q transform."""
    sizes = {**TINY, "do_stable_layer_norm": True}
    tensors = files.tensors_of("hubert", 73, **sizes)
    cfg = _settings(layer_norm_first=True, deepnorm=False, attention_relax=32.0)
    cfg["task"]["sample_rate"] = 24000
    path = _write(tmp_path / "MERT-v1-330M_fairseq.pt", _with_heads("hubert", tensors), cfg)
    model = models.load("mert-330m", Request(weights=path))
    folder = files.write(tmp_path / "m", tensors, {**MERT, **sizes}, rate=24000, normalise=False)
    assert model.weights.sha256 == models.load("mert-330m", Request(weights=folder)).weights.sha256
    with pytest.raises(WeightsInvalid, match="24000 Hz, but mert-v0 takes 16000 Hz"):
        models.load("mert-v0", Request(weights=path))


@pytest.mark.parametrize("zipped", [True, False])
def test_what_training_programs_leave_beside_the_tensors(zipped, published, tmp_path, monkeypatch):
    """Settings and dictionaries as objects of their classes: none of it is brought to life."""
    dictionary = _class(monkeypatch, "fairseq.data.dictionary", "Dictionary")()
    dictionary.symbols = ["<s>", "a"]
    node = _class(monkeypatch, "omegaconf.dictconfig", "DictConfig")()
    node.content = {"layer_norm_first": True}
    counts = collections.defaultdict(list)
    counts["loss"].append(1.0)
    content = {
        "args": argparse.Namespace(layer_norm_first=True),
        "cfg": node,
        "model": files.in_fairseq(published["hubert"]),
        "task_state": {"dictionaries": [dictionary]},
        "extra_state": {"metrics": collections.OrderedDict(), "counts": counts},
        "last_optimizer_state": {"state": {0: {"exp_avg": torch.ones(3)}}},
    }
    path = tmp_path / "checkpoint_best.pt"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    for module in ("fairseq.data.dictionary", "omegaconf.dictconfig"):
        monkeypatch.delitem(sys.modules, module)
    plain = _write(tmp_path / "plain.pt", content["model"])
    assert _load("hubert", path).weights.sha256 == _load("hubert", plain).weights.sha256


def test_classes_nobody_knows_are_refused(published, tmp_path, monkeypatch):
    stranger = _class(monkeypatch, "fairseq.somewhere", "Stranger")()
    tensors = files.in_fairseq(published["hubert"])
    path = _write(tmp_path / "x.pt", tensors, extra_state=stranger)
    with pytest.raises(WeightsInvalid) as error:
        _load("hubert", path)
    assert "fairseq.somewhere.Stranger" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("what", ["missing", "unexpected"])
def test_wrong_tensors_are_named(what, published, tmp_path):
    tensors = files.in_fairseq(published["data2vec-audio"])
    if what == "missing":
        del tensors["encoder.layers.2.fc1.weight"]
        name = "encoder.layers.2.feed_forward.intermediate_dense.weight"
    else:
        name = "encoder.layers.2.adapter.weight"
        tensors[name] = torch.zeros(2)
    with pytest.raises(WeightsInvalid) as error:
        _load("data2vec-audio", _write(tmp_path / "x.pt", tensors))
    assert what in str(error.value) and name in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "change", "says"),
    [
        ("hubert", {"feature_extractor_cqt": True}, "feature_extractor_cqt"),
        ("hubert", {"deepnorm": True}, "deepnorm"),
        ("data2vec-audio", {"layer_norm_first": True}, "pre-LN"),
        ("hubert", {"conv_feature_layers": "layers()"}, "not understood"),
        ("hubert", {"conv_feature_layers": "[(512,10,5)]"}, "strides"),
        ("hubert", {"activation_fn": "surprise"}, "sizes make no network"),
    ],
)
def test_networks_that_are_not_built(kind, change, says, published, tmp_path):
    tensors = files.in_fairseq(published[kind])
    path = _write(tmp_path / "x.pt", tensors, _settings(**change))
    with pytest.raises(WeightsInvalid) as error:
        _load(kind, path)
    assert says in str(error.value) and "\n" not in str(error.value)


def test_strides():
    content = {"cfg": _settings()}
    assert fairseq.settings(content, "x")["conv_stride"] == [5, 2, 2, 2, 2, 2, 2]
    assert fairseq.sample_rate(content) == 16000
    assert fairseq.settings({"cfg": None}, "x") == {} and fairseq.sample_rate({}) is None
