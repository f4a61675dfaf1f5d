"""Lightning checkpoints: their classes become stand-ins, others are refused; names unwrapped."""

from __future__ import annotations

import os

import lightning_files as files
import pytest
import torch
from torch import nn

from extract import checkpoint, lightning
from extract.errors import WeightsInvalid, WeightsMissing

TENSORS = {"model.encoder.a.weight": torch.arange(3.0), "model.encoder.b": torch.ones(2)}
VERSIONS = ["1.0.0", "1.2.10", "1.5.0", "1.8.6", "2.5.0"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_checkpoint_is_read_and_no_class_of_it_is_run(version, tmp_path):
    path = files.write(tmp_path / "x.ckpt", TENSORS, version)
    with files.armed():
        tensors = lightning.read(path)
    assert set(tensors) == set(TENSORS)
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


def test_the_made_up_classes_would_tell(tmp_path):
    """The test above can fail: the ordinary reader does run the code."""
    names = ["pytorch_lightning.callbacks.timer.Timer"]
    with files.made_up(*names) as (kind,):
        torch.save({"state_dict": TENSORS, "x": kind()}, tmp_path / "x.ckpt")
        with files.armed(), pytest.raises(AssertionError, match="was run"):
            torch.load(tmp_path / "x.ckpt", weights_only=False)
        with files.armed():
            assert set(lightning.read(tmp_path / "x.ckpt")) == set(TENSORS)


@pytest.mark.parametrize(
    "name", [n for n in lightning.INERT if n.split(".")[0] in {"pytorch_lightning", "lightning"}]
)
def test_every_class_of_the_trainer_is_a_stand_in(name, tmp_path):
    with files.made_up(name) as (kind,):
        thing = files.stateful(kind, count=1, scores=[torch.ones(1)])
        torch.save({"state_dict": TENSORS, "states": {kind: thing}}, tmp_path / "x.ckpt")
    with files.armed():
        assert set(lightning.read(tmp_path / "x.ckpt")) == set(TENSORS)


def test_a_network_kept_among_the_hyper_parameters(tmp_path):
    kept = nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2), nn.ReLU(), nn.MaxPool1d(3))
    content = {"state_dict": TENSORS, "hyper_parameters": {"encoder": kept, "loss": nn.MSELoss()}}
    torch.save(content, tmp_path / "x.ckpt")
    assert set(lightning.read(tmp_path / "x.ckpt")) == set(TENSORS)


@pytest.mark.parametrize("name", [n for n in lightning.MAPPINGS if "lightning" in n])
def test_dictionaries_with_a_class_of_their_own(name, tmp_path):
    with files.made_up(name, bases=(dict,)) as (kind,):
        hyper = kind()
        hyper.update(lr=1.0, inner={"a": 1})
        torch.save({"state_dict": TENSORS, "hyper_parameters": hyper}, tmp_path / "x.ckpt")
    with files.armed():
        content = checkpoint.content(tmp_path / "x.ckpt", mappings=lightning.MAPPINGS)
        assert content["hyper_parameters"] == {"lr": 1.0, "inner": {"a": 1}}
        with pytest.raises(WeightsInvalid, match=f"refused: .*{name}"):
            checkpoint.content(tmp_path / "x.ckpt")


def test_an_unknown_class_is_refused_by_name(tmp_path):
    torch.save({"state_dict": TENSORS, "stage": files.Stage.FIRST}, tmp_path / "x.ckpt")
    with pytest.raises(WeightsInvalid) as error:
        lightning.read(tmp_path / "x.ckpt")
    text = str(error.value)
    assert "lightning_files.Stage" in text and "x.ckpt" in text and "\n" not in text
    assert set(lightning.read(tmp_path / "x.ckpt", inert=["lightning_files.Stage"])) == set(TENSORS)


class Attack:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def test_code_is_not_run(tmp_path):
    marker = tmp_path / "marker"
    torch.save({"state_dict": TENSORS, "x": Attack(os.mkdir, str(marker))}, tmp_path / "x.ckpt")
    with pytest.raises(WeightsInvalid, match="refused: .*mkdir"):
        lightning.read(tmp_path / "x.ckpt")
    assert not marker.exists()


def test_getattr_is_a_stand_in_too(tmp_path):
    """Members of enumerations are pickled as a call of it; the call itself must not happen."""
    torch.save({"state_dict": TENSORS, "x": Attack(getattr, "text", "upper")}, tmp_path / "x.ckpt")
    content = checkpoint.content(tmp_path / "x.ckpt", inert=lightning.INERT)
    assert isinstance(content["x"], checkpoint.Inert)


def test_stand_ins_do_not_stay(tmp_path):
    files.write(tmp_path / "x.ckpt", TENSORS, "1.8.6")
    lightning.read(tmp_path / "x.ckpt")
    with pytest.raises(WeightsInvalid, match="refused"):
        checkpoint.read(tmp_path / "x.ckpt")


@pytest.mark.parametrize("prefix", ["", "model.", "encoder.", "model.encoder.", "a.b.c."])
def test_any_prefix_comes_off(prefix):
    tensors = {f"{prefix}{n}": torch.ones(2) for n in ("a.weight", "b.bias")}
    tensors["projector.0.weight"] = torch.ones(1)
    bare = lightning.unwrapped(tensors, "a.weight", source="x")
    assert set(bare) == {"a.weight", "b.bias", "projector.0.weight"}


def test_two_copies_must_agree():
    one = {"a.weight": torch.ones(2), "b": torch.ones(3)}
    twice = {f"model.encoder.{n}": t for n, t in one.items()}
    twice |= {f"encoder.{n}": t.clone() for n, t in one.items()}
    assert set(lightning.unwrapped(twice, "a.weight", source="x")) == set(one)
    twice["encoder.b"] = torch.tensor([1.0, 1.0, 2.0])
    with pytest.raises(WeightsInvalid, match="x: .*encoder. and model.encoder.*b differs"):
        lightning.unwrapped(twice, "a.weight", source="x")
    twice["encoder.b"] = torch.ones(2)
    with pytest.raises(WeightsInvalid, match="b differs"):
        lightning.unwrapped(twice, "a.weight", source="x")


def test_a_name_that_only_ends_alike_is_no_copy():
    tensors = {"net.a.weight": torch.ones(2), "net.extra.weight": torch.zeros(2)}
    assert set(lightning.unwrapped(tensors, "a.weight", source="x")) == {"a.weight", "extra.weight"}


def test_the_file_in_a_folder(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(WeightsMissing, match="none of b.ckpt"):
        lightning.weights_file(tmp_path, ("b.ckpt",))
    (tmp_path / "a.ckpt").write_bytes(b"x")
    assert lightning.weights_file(tmp_path, ("b.ckpt",)).name == "a.ckpt"
    (tmp_path / "c.pt").write_bytes(b"x")
    with pytest.raises(WeightsMissing, match="none of b.ckpt"):
        lightning.weights_file(tmp_path, ("b.ckpt",))
    (tmp_path / "b.ckpt").write_bytes(b"x")
    assert lightning.weights_file(tmp_path, ("b.ckpt",)).name == "b.ckpt"
    assert lightning.weights_file(tmp_path / "c.pt", ("b.ckpt",)).name == "c.pt"
    with pytest.raises(WeightsMissing, match="no such file"):
        lightning.weights_file(tmp_path / "nothing", ("b.ckpt",))
