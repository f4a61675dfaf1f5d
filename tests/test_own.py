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
EXAMPLE, SUBCLASS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)


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


def test_the_first_command_of_the_page_works_as_it_stands(folder):
    write(folder, "mynet", EXAMPLE)
    first = re.search(r"^    rsa (.*?)(?:#.*)?$", PAGE.read_text(encoding="utf-8"), re.M)[1]
    result = rsa(*first.split())
    assert result.exit_code == 0, result.output


def test_the_subclass_of_the_page_passes_its_trial_and_loads_weights(folder):
    write(folder, "mynet", SUBCLASS)
    result = rsa("models", "check", "mynet:Spectral", "--untrained", "--json")
    rows = json.loads(result.stdout)["checks"]
    assert result.exit_code == 0 and {row["outcome"] for row in rows} == {"ok"}, rows
    spec = models.spec("mynet:Spectral")
    twin = spec.load(Request(untrained=True))
    assert spec.card.parameters == sum(p.numel() for p in twin.network.parameters())
    torch.save({"model": twin.network.state_dict(), "step": 7}, folder / "my.ckpt")
    model = spec.load(Request(weights=folder / "my.ckpt"))
    assert model.weights.trained and model.weights.sha256 == twin.weights.sha256
    with pytest.raises(WeightsMissing, match="--untrained"):
        spec.load(Request())


@pytest.mark.parametrize("example, name", [(EXAMPLE, "SPEC"), (SUBCLASS, "Spectral")])
def test_the_examples_of_the_page_can_be_extracted(folder, example, name):
    import soundfile

    write(folder, "mynet", example)
    (folder / "audio").mkdir()
    for k in range(2):
        soundfile.write(folder / "audio" / f"{k}.wav", noise(16000, seed=k).numpy(), 16000)
    result = rsa("extract", "--model", f"mynet:{name}", "--untrained", "--data", folder / "audio",
                 "--quiet", "--json")  # fmt: skip
    assert result.exit_code == 0, (result.output, result.exception)
    assert models.spec(f"mynet:{name}").card.name in result.stdout


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
        ({"network": 3}, "got int, no torch module"),
        ({"sample_rate": "16k"}, "sample_rate must be a whole number of Hz, not '16k'"),
        ({"sample_rate": 0}, "sample_rate must be a whole number of Hz"),
        ({"sample_rate": True}, "sample_rate must be a whole number of Hz"),
        ({"sample_rate": 8000.5}, "sample_rate must be a whole number of Hz"),
        ({"taps": ["conv"]}, "taps must be a dict of layer name: module name, not ['conv']"),
        ({"taps": {}}, "taps must be a dict"),
        ({"taps": {"conv": 3}}, "taps must be a dict"),
        ({"window": 0}, "window must be a number of seconds above 0, not 0"),
        ({"window": float("nan")}, "window must be a number of seconds above 0, not nan"),
        ({"window": "10"}, "window must be a number of seconds"),
        ({"centers": {"pool": 0.1}}, "centers: no layer 'pool'; there are conv"),
        ({"centers": {"conv": "0.1"}}, "centers: conv must be a number of seconds"),
        ({"cite": 2025}, "cite must be a text"),
        ({"taps": {"pool": "pool", "conv": "conv"}}, "pool stands where the forward pass comes"),
    ],
)
def test_a_wrap_that_cannot_be_says_why(changed, words):
    with pytest.raises(OptionUnsuitable, match=re.escape(words)):
        build(**changed)


def test_a_rate_with_a_point_is_a_whole_number_all_the_same():
    assert build(sample_rate=1000.0).card.sample_rate == 1000


@pytest.mark.parametrize("order", ["bac", "acb", "cab"])
def test_taps_stand_in_the_order_of_the_first_calls(order):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = (nn.Conv1d(k, 4, 8, 8) for k in (1, 4, 4))

        def forward(self, x):
            frames = self.b(self.a(x[:, None]))
            return self.c(frames) + self.b(frames)  # b once more, after c

    good = build(network=Net, taps={name: name for name in "abc"}, window=8.0)
    assert [(x.name, x.depth) for x in good.card.layers] == [("a", 0), ("b", 1), ("c", 2)]
    first = next(x for x, y in zip(order, "abc", strict=True) if x != y)
    with pytest.raises(OptionUnsuitable, match=f"{first} stands where.*its order is a, b, c"):
        build(network=Net, taps={name: name for name in order}, window=8.0)


def test_a_fault_in_forward_names_its_line(folder):
    text = EXAMPLE.replace("self.middle(self.front(", "self.midle(self.front(")
    write(folder, "mynet", text)
    line = 1 + next(k for k, x in enumerate(text.splitlines()) if "midle" in x)
    with pytest.raises(OptionUnsuitable, match="AttributeError at 160000 samples") as error:
        models.spec("mynet:SPEC")
    assert f"mynet.py, line {line})" in str(error.value) and "\n" not in str(error.value)


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


@pytest.mark.parametrize(
    "name", ["./ownmodel:Mine", "ownmodel.py:Mine", "./ownmodel.py:Mine", "ownmodel:Mine"]
)
def test_files_are_understood(folder, name):
    write(folder, "ownmodel", OWN)
    assert models.spec(name).card.name == "mine"


def test_a_file_in_a_folder_is_understood(folder):
    (folder / "nets").mkdir()
    write(folder, "nets/ownmodel", OWN)
    assert models.spec("nets/ownmodel.py:Mine").card.name == "mine"


@pytest.mark.parametrize("name", ["ownmodel", "ownmodel:", "ownmodel.py", "./ownmodel"])
def test_a_file_without_an_attribute_gets_the_cure(folder, name):
    write(folder, "ownmodel", OWN)
    with pytest.raises(OptionUnsuitable, match="write ownmodel:Mine or ownmodel:.*STRANGE"):
        models.spec(name)
    write(folder, "plain", "x = 1\n")
    with pytest.raises(OptionUnsuitable, match="there is none in it"):
        models.spec("plain")


def test_files_that_cannot_be_imported_from_here_get_the_cure(folder):
    write(folder, "my-net", OWN)
    with pytest.raises(OptionUnsuitable, match="rename my-net.py"):
        models.spec("my-net.py:Mine")
    with pytest.raises(OptionUnsuitable, match="run from the folder .* write ownmodel:Mine"):
        models.spec("../elsewhere/ownmodel.py:Mine")
    with pytest.raises(OptionUnsuitable, match="no module 'nowhere_at_all'"):
        models.spec("nowhere_at_all.py:SPEC")


def test_without_weights_a_check_is_one_line_and_no_table(folder):
    write(folder, "mynet", EXAMPLE)
    for options, code in (((), 3), (("--weights", "absent.pt"), 3)):
        with pytest.raises(WeightsMissing) as error:
            next(trial(models.spec("mynet:SPEC"), Request(*(Path(x) for x in options[1:]))))
        assert error.value.exit_code == code and "\n" not in str(error.value)
    write(folder, "ready", EXAMPLE.replace("    Net,", "    Net(),"))
    with pytest.raises(OptionUnsuitable, match="wrap.. was given a network") as error:
        next(trial(models.spec("ready:SPEC"), Request(untrained=True)))
    assert error.value.exit_code == 2


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
