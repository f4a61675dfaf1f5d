"""A user's own model: module:Attribute, entry points, wrapped networks, and faults in them."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file
from torch import nn

from extract import models
from extract.errors import OptionUnsuitable, WeightsInvalid, WeightsMissing
from extract.models.base import Request
from extract.models.own import wrap
from extract.models.sounding import sound
from extract.signals import noise
from extract.trial.checks import trial

PAGE = Path(__file__).parent.parent / "docs" / "own-model.md"
EXAMPLE = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)[1]


@pytest.fixture()
def folder(tmp_path, monkeypatch):
    """An empty folder to work in; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def write(folder, name: str, text: str) -> None:
    (folder / f"{name}.py").write_text(text, encoding="utf-8")


def rsa(*arguments):
    from cli.main import root

    return CliRunner().invoke(root, [str(each) for each in arguments])


def test_the_example_of_the_page_is_short_and_passes_its_trial(folder):
    write(folder, "mynet", EXAMPLE)
    assert len(EXAMPLE.splitlines()) <= 32
    result = rsa("models", "check", "mynet:SPEC", "--untrained", "--json")
    rows = json.loads(result.stdout)["checks"]
    assert result.exit_code == 0, rows
    assert {row["outcome"] for row in rows} == {"ok"} and len(rows) == 17


def test_the_example_of_the_page_can_be_extracted(folder):
    import soundfile

    write(folder, "mynet", EXAMPLE)
    (folder / "audio").mkdir()
    for k in range(2):
        soundfile.write(folder / "audio" / f"{k}.wav", noise(16000, seed=k).numpy(), 16000)
    result = rsa("extract", "--model", "mynet:SPEC", "--untrained", "--data", folder / "audio",
                 "--quiet", "--json")  # fmt: skip
    assert result.exit_code == 0, (result.output, result.exception)
    assert "mynet" in result.stdout


def test_the_example_loads_trained_weights_strictly(folder):
    write(folder, "mynet", EXAMPLE)
    spec = models.spec("mynet:SPEC")
    with pytest.raises(WeightsMissing, match="--weights FILE"):
        spec.load(Request())
    twin = spec.load(Request(untrained=True, seed=3))
    tensors = twin.network.state_dict()
    save_file(tensors, folder / "mine.safetensors")
    model = spec.load(Request(weights=folder / "mine.safetensors"))
    assert model.weights.sha256 == twin.weights.sha256 and model.weights.trained
    tensors.pop("head.bias")
    save_file(tensors, folder / "mine.safetensors")
    with pytest.raises(WeightsInvalid, match="missing tensors?: head.bias"):
        spec.load(Request(weights=folder / "mine.safetensors"))


def test_widths_rates_and_times_are_found(folder):
    write(folder, "mynet", EXAMPLE)
    layers = {layer.name: layer for layer in models.spec("mynet:SPEC").card.layers}
    assert [layer.width for layer in layers.values()] == [32, 48, 48, 10]
    assert [layers[n].rate for n in ("front", "middle", "mixer", "logits")] == [100, 50, 50, 0.1]
    # the receptive field of 400 samples; the next convolution is padded around its middle
    assert layers["front"].center == pytest.approx(199.5 / 16000)
    assert layers["mixer"].center == pytest.approx(199.5 / 16000)
    assert models.spec("mynet:SPEC").card.minimum == 400


class Strided(nn.Module):
    def __init__(self, kernel: int = 48, stride: int = 12):
        super().__init__()
        self.conv = nn.Conv1d(1, 3, kernel, stride)
        self.pool = nn.AvgPool1d(4, 4)

    def forward(self, x):
        return self.pool(self.conv(x[:, None]))


@pytest.mark.parametrize("kernel, stride", [(48, 12), (7, 7), (31, 10), (5, 1)])
def test_sounding_a_convolution_gives_its_sizes(kernel, stride):
    network = Strided(kernel, stride)
    found, minimum = sound(lambda x: {
        "conv": (y := network.conv(x[:, None])).transpose(1, 2),
        "pool": network.pool(y).transpose(1, 2),
    }, 8000, values=lambda x: {"conv": network.conv(x[:, None]).transpose(1, 2)})  # fmt: skip
    assert found["conv"].hop == stride and found["pool"].hop == 4 * stride
    assert found["conv"].center == pytest.approx((kernel - 1) / 2)
    assert found["conv"].width == 3 and minimum == kernel + 3 * stride


def build(**changed):
    options = {"name": "strided", "sample_rate": 1000, "taps": {"conv": "conv"}, "window": 4.0}
    return wrap(changed.pop("network", Strided), **{**options, **changed})


def test_a_ready_network_is_trained_and_has_no_twin():
    spec = build(network=Strided())
    assert spec.present() and spec.load(Request()).weights.trained
    for request in (Request(untrained=True), Request(weights=Path("a"))):
        with pytest.raises(OptionUnsuitable, match="class or a function"):
            spec.load(request)


def test_twins_are_drawn_from_the_seed():
    load = build().load
    hashes = [load(Request(untrained=True, seed=s)).weights.sha256 for s in (0, 0, 1)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_fixed_windows_centers_and_cards():
    spec = build(fixed=True, window=1.0, centers={"conv": 0.5}, cite="Me 2025")
    assert spec.card.fixed and spec.card.layers[0].center == 0.5 and spec.card.cite == "Me 2025"
    checks = {c.name: c.outcome for c in trial(build(fixed=True), Request(untrained=True))}
    assert checks["widths"] == checks["frame rates"] == checks["time stamps"] == "ok"


def test_images_are_averaged_over_bands_and_vectors_are_one_frame():
    class Image(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 4, (1, 9), (1, 5))
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            y = self.conv(torch.stack([x, -x], 1)[:, None])
            return self.head(y.mean((2, 3)))

    spec = build(network=Image, taps={"conv": "conv", "head": "head"})
    assert [(x.width, x.rate) for x in spec.card.layers] == [(4, 200.0), (2, 0.25)]
    model = spec.load(Request(untrained=True))
    outputs = model.forward(noise(400)[None])
    assert outputs["conv"].shape == (1, 79, 4) and outputs["head"].shape == (1, 1, 2)


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"taps": {"a": "nothing"}}, "a: no module 'nothing'"),
        ({"taps": {"a": "pool.1"}}, "no module 'pool.1'"),
        ({"window": 0.01}, "RuntimeError at 10 samples"),
        ({"colour": "red"}, "takes no 'colour'"),
        ({"network": lambda: 3}, "got int, no torch module"),
    ],
)
def test_a_wrap_that_cannot_be_says_why(changed, words):
    with pytest.raises(OptionUnsuitable, match=re.escape(words)):
        build(**changed)


def test_a_module_that_is_not_run_is_named():
    class Idle(Strided):
        def __init__(self):
            super().__init__()
            self.idle = nn.Linear(1, 1)

    with pytest.raises(OptionUnsuitable, match="'idle' is not run"):
        build(network=Idle, taps={"conv": "conv", "idle": "idle"})


OWN = """
import torch
from extract.models.base import Layer, Model, ModelCard, ModelSpec, Request, WeightsRecord

class Mine(Model):
    card = ModelCard(
        name="mine", title="Mine", cite="me", paper="", url="", training_data="none",
        licence="MIT", parameters=0, sample_rate=1000, weights_from="none", window=2.0, minimum=10,
        layers=(Layer("mean", 2, 100.0, 0, center=0.0045),),
    )
    def __init__(self, request: Request):
        self.network = torch.nn.Identity().eval()
        self.weights = WeightsRecord("0" * 64, "none", not request.untrained)
    def forward(self, values, until=None):
        frames = values.unfold(-1, 10, 10)
        return {"mean": torch.stack([frames.mean(-1), frames.std(-1)], -1)}

class Bare(Model):
    def forward(self, values, until=None):
        return {}

class Failing(Mine):
    def __init__(self, request):
        raise OSError("no such disk")

def strange(request):
    return "a model"

STRANGE = ModelSpec(Mine.card, strange)
NET = torch.nn.Linear(1, 1)
NUMBER = 3
"""


def test_a_subclass_of_model_is_a_model(folder):
    write(folder, "ownmodel", OWN)
    result = rsa("models", "check", "ownmodel:Mine", "--json")
    rows = {row["check"]: row for row in json.loads(result.stdout)["checks"]}
    assert result.exit_code == 0, rows
    assert "mine" in rsa("models", "ownmodel:Mine").stdout


@pytest.mark.parametrize(
    "name, words",
    [
        ("ownmodel:Missing", "has no 'Missing'; there is Mine"),
        ("ownmodel:Bare", "no attribute `card`"),
        ("ownmodel:NET", "torch module: wrap it"),
        ("ownmodel:NUMBER", "is a int; a ModelSpec"),
        ("nowhere_at_all:SPEC", "no module 'nowhere_at_all'"),
    ],
)
def test_what_is_no_model_is_said_in_one_line(folder, name, words):
    write(folder, "ownmodel", OWN)
    with pytest.raises(OptionUnsuitable, match=re.escape(words)) as error:
        models.spec(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text, words",
    [
        ("x = 1\nimport not_installed_here\n", "ModuleNotFoundError.*line 2"),
        ("x = 1\n\ny = 1 / 0\n", "ZeroDivisionError.*line 3"),
        ("def f(:\n", "SyntaxError.*line 1"),
    ],
)
def test_a_fault_in_the_module_names_its_line(folder, text, words):
    write(folder, "faulty", text)
    with pytest.raises(OptionUnsuitable, match=words) as error:
        models.spec("faulty:SPEC")
    assert "faulty.py" in str(error.value) and "\n" not in str(error.value)


def test_a_fault_while_loading_names_its_line(folder):
    write(folder, "ownmodel", OWN)
    with pytest.raises(OptionUnsuitable, match="OSError: no such disk.*ownmodel.py, line"):
        models.spec("ownmodel:Failing").load(Request())
    with pytest.raises(OptionUnsuitable, match="loading gave a str, no Model"):
        models.spec("ownmodel:STRANGE").load(Request())


def test_a_name_of_the_registry_cannot_be_taken(folder):
    write(folder, "ownmodel", OWN.replace('name="mine"', 'name="muq"'))
    with pytest.raises(OptionUnsuitable, match="another's name"):
        models.spec("ownmodel:Mine")


def test_entry_points_stand_in_the_table_and_never_hide_the_registry(folder, monkeypatch):
    write(folder, "ownmodel", OWN)
    monkeypatch.syspath_prepend(str(folder))
    entries = [
        EntryPoint("mine", "ownmodel:Mine", "rsa.models"),
        EntryPoint("muq", "ownmodel:Mine", "rsa.models"),
    ]
    monkeypatch.setattr(models, "entry_points", lambda group: entries)
    assert models.names() == [*models.REGISTRY, "mine"]
    assert models.spec("mine").card.name == "mine" and models.spec("muq").card.name == "muq"
    assert " mine " in rsa("models").stdout


def test_unknown_names_without_a_colon_stay_unknown():
    for name in ("quartz", "no:such-attribute", "7up:SPEC"):
        with pytest.raises(KeyError):
            models.spec(name)


def test_wrapping_leaves_the_network_without_hooks():
    network = Strided()
    build(network=network)
    assert not any(module._forward_hooks for module in network.modules())
    spec = build(network=network)
    assert replace(spec).card == spec.card
