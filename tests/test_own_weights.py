"""Weights of a user's own network, in the files that training programs leave behind."""

from __future__ import annotations

import re
from argparse import Namespace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from extract.errors import WeightsInvalid, WeightsMissing
from extract.models import ownweights
from extract.models.base import Request
from extract.models.own import wrap
from extract.weights import drawing, sha256_of_tensors


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.front = nn.Sequential(nn.Conv1d(1, 3, 8, 8), nn.ReLU())
        self.top = nn.Conv1d(3, 2, 1)

    def forward(self, x):
        return self.top(self.front(x[:, None]))


def named(prefix: str = "", seed: int = 0) -> dict[str, torch.Tensor]:
    with drawing("little", seed):
        return {f"{prefix}{name}": tensor for name, tensor in Net().state_dict().items()}


WANTED = sha256_of_tensors(named())


def compiled() -> dict[str, torch.Tensor]:
    return {name.replace("front.", "front._orig_mod."): x for name, x in named("model.").items()}


LAYOUTS = {
    "the state_dict": named(),
    "beside an optimiser": {
        "model": named(), "optimizer": {"state": {0: {"step": torch.ones(1)}}}, "step": 7,
    },
    "model_state_dict": {"epoch": 3, "model_state_dict": named(), "loss": 0.25},
    "net": {"net": named(), "model": "the small one"},
    "lightning": {
        "state_dict": {**named("model."), "loss.weight": torch.ones(2)},
        "pytorch-lightning_version": "2.4.0", "epoch": 1, "callbacks": {},
        "hyper_parameters": Namespace(width=3),
    },
    "data parallel": named("module."),
    "compiled": named("_orig_mod."),
    "compiled, inside": compiled(),
    "both": {"model": named("module._orig_mod.")},
    "averaged": {**named("module."), "n_averaged": torch.tensor(5)},
    "inside another": {"weights": named("net.encoder.")},
    "twice, the same": {**named("model."), **named("copy.")},
}  # fmt: skip


@pytest.fixture(scope="module")
def spec():
    return wrap(Net, name="little", sample_rate=1000, taps={"top": "top"}, window=1.0)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_checkpoints_of_training_programs_are_read(spec, tmp_path, layout):
    torch.save(LAYOUTS[layout], tmp_path / "my.ckpt")
    model = spec.load(Request(weights=tmp_path / "my.ckpt"))
    assert model.weights.sha256 == WANTED and model.weights.trained
    assert "my.ckpt" in model.weights.source


def test_a_folder_with_one_file_and_safetensors_are_read(spec, tmp_path):
    save_file(named("module."), tmp_path / "epoch7.safetensors")
    model = spec.load(Request(weights=tmp_path))
    assert model.weights.sha256 == WANTED
    assert model.weights.source == "file epoch7.safetensors (names after 'module.')"
    with pytest.raises(WeightsMissing, match="no such file"):
        spec.load(Request(weights=tmp_path / "other.pt"))


def without(name: str, tensors: dict) -> dict:
    return {key: value for key, value in tensors.items() if key != name}


@pytest.mark.parametrize(
    "content, words",
    [
        (
            {"encoder.conv.weight": torch.ones(1), "head.bias": torch.ones(1)},
            "they begin encoder.conv.weight, head.bias; the network's begin front.0.bias",
        ),
        (without("model.top.bias", named("model.")), "names after 'model.'.*missing.*top.bias"),
        ({**named("model."), "model.x": torch.ones(1)}, "unexpected.* x;"),
        ({**named(), "x": torch.ones(1)}, "unexpected.* x;"),
        ({**named("model."), **named("ema.", seed=1)}, "more than once.*after ema. and model."),
        ({**named(), "top.bias": torch.ones(9)}, r"top.bias is \(9,\), needed \(2,\)"),
        ({"optimizer": {}, "step": 3}, "no tensors at the top.*it holds optimizer, step"),
        (3, "holds a int"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(spec, tmp_path, content, words):
    torch.save(content, tmp_path / "my.pt")
    with pytest.raises(WeightsInvalid, match=words) as error:
        spec.load(Request(weights=tmp_path / "my.pt"))
    assert "my.pt" in str(error.value) and "\n" not in str(error.value)


def test_a_pickled_network_is_refused_with_the_cure(spec, tmp_path):
    torch.save(Net(), tmp_path / "whole.pt")
    with pytest.raises(WeightsInvalid, match=r"save network.state_dict\(\) alone") as error:
        spec.load(Request(weights=tmp_path / "whole.pt"))
    assert re.search(r"asks for [\w.]+\.Net,", str(error.value))


def test_names_of_the_network_itself_are_never_shortened():
    inside = {"net.a": torch.zeros(1), "a": torch.ones(1)}
    tensors, prefix = ownweights.fitted(inside, {"a", "net.a"}, source="x")
    assert prefix == "" and tensors == inside
    tensors, prefix = ownweights.fitted({"m.net.a": inside["a"]}, {"net.a"}, source="x")
    assert prefix == "m." and list(tensors) == ["net.a"]
