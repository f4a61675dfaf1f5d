"""Weights that a stranger made: nothing in them runs, and no size in them is believed."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import types
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save

from extract import checkpoint, fairseq, kerasfile, lightning, tfbundle, wheels
from extract.errors import WeightsInvalid
from extract.models import clmr, ownweights

READERS = {
    "plain": checkpoint.read, "lightning": lightning.read, "fairseq": fairseq.read,
    "own": ownweights.read, "clmr": clmr.from_file,
}  # fmt: skip


class Bomb:
    """Unpickled, it writes a file."""

    def __init__(self, place: Path, way: int):
        self.place, self.way = place, way

    def __reduce__(self):
        text = f"open({str(self.place)!r}, 'w').close()"
        return ((os.system, (f"touch {self.place}",)), (eval, (text,)), (exec, (text,)),
                (subprocess.call, (["touch", str(self.place)],)),
                (getattr, (Path(self.place), "touch")))[self.way]  # fmt: skip


def _armed(path: Path, bomb: Bomb, form: str) -> Path:
    content = {"state_dict": {"a": torch.zeros(2)}, "hyper_parameters": bomb, "cfg": bomb}
    if form == "pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    return path


@pytest.mark.parametrize("form", ("zip", "legacy", "pickle"))
@pytest.mark.parametrize("way", range(4))
@pytest.mark.parametrize("suffix", (".pt", ".ckpt", ".bin"))
def test_a_pickle_with_a_bomb_is_refused_and_does_not_run(tmp_path, form, way, suffix):
    canary = tmp_path / "ran"
    path = _armed(tmp_path / f"bomb{suffix}", Bomb(canary, way), form)
    for name, read in READERS.items():
        with pytest.raises(WeightsInvalid) as caught:
            read(path)
        assert "\n" not in str(caught.value) and path.name in str(caught.value), name
        assert not canary.exists(), name
    if form == "pickle":  # the bomb is a real one
        pickle.loads(path.read_bytes())
        assert canary.exists()


def test_names_that_lightning_may_hold_are_stood_in_for_and_not_called(tmp_path):
    canary = tmp_path / "ran"
    path = _armed(tmp_path / "x.ckpt", Bomb(canary, 4), "zip")
    assert set(lightning.read(path)) == {"a"}  # `getattr` itself is on the list, as a stand-in
    assert not canary.exists()


def test_a_bomb_beside_the_tensors_of_an_archive(tmp_path):
    canary = tmp_path / "ran"
    inner = _armed(tmp_path / "clmr_checkpoint_10000.pt", Bomb(canary, 0), "zip")
    with zipfile.ZipFile(tmp_path / "release.zip", "w") as archive:
        archive.write(inner, inner.name)
    with pytest.raises(WeightsInvalid, match="the pickle asks for"):
        clmr.from_file(tmp_path / "release.zip")
    assert not canary.exists()


def test_an_array_with_a_bomb_in_curves(tmp_path):
    from probes.curves import read_curves
    from probes.errors import ProbeError

    canary = tmp_path / "ran"
    np.savez(tmp_path / "a.npz", about=np.array([Bomb(canary, 0)], dtype=object))
    with pytest.raises(ProbeError):
        read_curves(tmp_path / "a.npz")
    np.save(tmp_path / "b.npy", np.array([Bomb(canary, 0)], dtype=object))
    (tmp_path / "b.npy").rename(tmp_path / "b.npz")
    with pytest.raises(ProbeError):
        read_curves(tmp_path / "b.npz")
    assert not canary.exists()


@pytest.mark.parametrize("name", ("../escaped.pt", "/tmp/rsa-escaped.pt", "a/../../escaped.pt",
                                  "..\\escaped.pt"))  # fmt: skip
def test_an_archive_writes_nowhere_but_in_the_cache(tmp_path, monkeypatch, name):
    monkeypatch.setenv("RSA_CACHE", str(tmp_path / "cache"))
    memory = io.BytesIO()
    torch.save({"state_dict": {"a": torch.zeros(2)}}, memory)
    with zipfile.ZipFile(tmp_path / "release.zip", "w") as archive:
        archive.writestr(name, memory.getvalue())
    before = set(tmp_path.rglob("*"))
    with clmr._out_of_archive(tmp_path / "release.zip") as file:
        assert file.is_relative_to(tmp_path / "cache")
        assert file.name == "checkpoint.pt" and not file.is_symlink()
    after = {p for p in tmp_path.rglob("*") if not p.is_relative_to(tmp_path / "cache")}
    assert after == before and not Path("/tmp/rsa-escaped.pt").exists()


def test_a_link_in_an_archive_is_its_text(tmp_path, monkeypatch):
    monkeypatch.setenv("RSA_CACHE", str(tmp_path / "cache"))
    link = zipfile.ZipInfo("clmr_checkpoint_10000.pt")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "release.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with clmr._out_of_archive(tmp_path / "release.zip") as file:
        assert not file.is_symlink() and file.read_bytes() == b"/etc/passwd"


# sizes


def _peak(work) -> int:
    tracemalloc.start()
    try:
        work()
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return most


def test_zip_bombs_are_refused_before_they_grow(tmp_path):
    bomb = tmp_path / "bomb.keras"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b"{}")
        with archive.open("model.weights.h5", "w") as file:
            for _ in range(40):
                file.write(bytes(1 << 20))
    assert bomb.stat().st_size < 1 << 20

    def read() -> None:
        with pytest.raises(WeightsInvalid, match="would grow from .* refused"):
            kerasfile.read(bomb)
        with pytest.raises(WeightsInvalid, match="would grow from .* refused"):
            wheels.member(bomb, "model.weights.h5", 40 << 20)

    assert _peak(read) < 5 << 20


@pytest.mark.parametrize("claim", (100, 2**31, 2**32 - 2))
def test_a_member_that_is_not_as_large_as_it_says(tmp_path, claim):
    with zipfile.ZipFile(tmp_path / "a.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w.bin", os.urandom(5000))
    content = bytearray((tmp_path / "a.whl").read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", claim)
    (tmp_path / "a.whl").write_bytes(content)
    with pytest.raises(WeightsInvalid):
        wheels.member(tmp_path / "a.whl", "w.bin", claim)


def test_a_packed_checkpoint_is_refused(tmp_path):
    """PyTorch packs nothing; its reader makes room for whatever size the archive names."""
    torch.save({"a": torch.zeros(1 << 22)}, tmp_path / "plain.pt")
    with zipfile.ZipFile(tmp_path / "plain.pt") as old:
        with zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as new:
            for name in old.namelist():
                new.writestr(name, old.read(name))
    with pytest.raises(WeightsInvalid, match="refused: its parts are packed"):
        checkpoint.read(tmp_path / "packed.pt")


@pytest.mark.parametrize("zipped", (True, False))
def test_tensors_that_claim_more_than_they_hold(tmp_path, zipped):
    huge = torch.zeros(4).as_strided((2**40,), (0,))
    torch.save({"a": huge}, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsInvalid, match="a claims 4398046511104 bytes, .* holds 16"):
        checkpoint.read(tmp_path / "x.pt")


def test_tensors_that_are_none(tmp_path):
    sparse = torch.sparse_coo_tensor([[0]], [1.0], (2**50,))
    torch.save({"a": sparse}, tmp_path / "x.pt")
    with pytest.raises(WeightsInvalid, match="a is no plain tensor"):
        checkpoint.read(tmp_path / "x.pt")
    torch.save({"a": torch.zeros(2, device="meta")}, tmp_path / "y.pt")
    with pytest.raises(WeightsInvalid, match="a is no plain tensor"):
        checkpoint.read(tmp_path / "y.pt")


def test_safetensors_whose_head_claims_2e60_numbers(tmp_path):
    for shape, ends in (([2**60], [0, 2**62]), ([2**30, 2**30], [0, 24]), ([6], [0, 2**62])):
        head = json.dumps({"a": {"dtype": "F32", "shape": shape, "data_offsets": ends}}).encode()
        (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + bytes(24))
        with pytest.raises(WeightsInvalid, match=r"x\.safetensors"):
            checkpoint.read(tmp_path / "x.safetensors")
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", 2**60) + b"{}")
    with pytest.raises(WeightsInvalid):
        checkpoint.read(tmp_path / "x.safetensors")
    (tmp_path / "x.safetensors").write_bytes(save({"a": torch.zeros(3)}))
    assert checkpoint.read(tmp_path / "x.safetensors")["a"].shape == (3,)


def test_hdf5_that_claims_2e60_numbers(tmp_path):
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file.create_dataset("a", shape=(2**60,), dtype="f4", chunks=(1024,))
    assert _peak(lambda: _refused_array(memory.getvalue(), tmp_path)) < 5 << 20


def _refused_array(content: bytes, place: Path) -> None:
    with pytest.raises(WeightsInvalid, match="larger than what the file holds"):
        kerasfile._arrays(content, place / "x.keras")


def test_a_bundle_whose_blocks_are_read_again_and_again():
    """One block under thousands of names, and names that grow with every entry."""
    from test_tfbundle import ARRAYS, block, bundle, number

    index, data = bundle(ARRAYS, {"step": 9}, 10)
    table = index[: -tfbundle.FOOTER]
    body = block([(b"k" * 3000, b"")] * 500)
    handles = block(
        [(b"%06d" % i, number(len(table)) + number(len(body) - 5)) for i in range(4000)]
    )
    start = len(table) + len(body)
    footer = number(0) + number(0) + number(start) + number(len(handles) - 5)
    whole = table + body + handles + footer.ljust(40, b"\0") + struct.pack("<Q", tfbundle.MAGIC)
    with pytest.raises(WeightsInvalid, match="blocks that share bytes|not a whole"):
        tfbundle.read(whole, data, source="here")
    with pytest.raises(ValueError, match="a number without end"):
        tfbundle.varint(b"\xff" * 100_000, 0)
    with pytest.raises(ValueError, match="out of its block"):
        long = block([(b"n" * 5000, b"v")])
        list(tfbundle._block(long, 0, len(long) - 5))


def test_a_shape_of_2e60_in_a_bundle():
    from test_tfbundle import number, text

    shape = text(2, number(1 << 3) + number(2**60)) + text(2, number(1 << 3) + number(0))
    entry = number(1 << 3) + number(1) + text(2, shape)
    with pytest.raises(ValueError, match="a shape larger than the file"):
        tfbundle._tensor(entry, bytes(16))


@pytest.mark.parametrize("text", ("[(512,10,5)] * 99999999999", "[(1,1,1)]+" * 400 + "[(1,1,1)]",
                                  "[(1,1,1)] * 60 + [(1,1,1)] * 60"))  # fmt: skip
def test_convolutions_without_end(text):
    with pytest.raises(WeightsInvalid, match="convolutions are given"):
        fairseq.settings({"cfg": {"model": {"conv_feature_layers": text}}}, "x.pt")


def test_json_nested_100000_deep(tmp_path):
    deep = "[" * 100_000
    with zipfile.ZipFile(tmp_path / "x.keras", "w") as archive:
        archive.writestr("config.json", deep)
        archive.writestr("model.weights.h5", b"")
    with pytest.raises(WeightsInvalid, match="does not describe a network"):
        kerasfile.read(tmp_path / "x.keras")


def test_no_class_of_a_checkpoint_is_imported(tmp_path):
    """A module that would write a file on import stands on the path, and stays unimported."""
    (tmp_path / "trap_module.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    module = types.ModuleType("trap_module")
    module.Trap = type("Trap", (), {"__module__": "trap_module"})
    sys.modules["trap_module"] = module
    torch.save({"a": torch.zeros(2), "b": module.Trap()}, tmp_path / "x.pt")
    del sys.modules["trap_module"]
    sys.path.insert(0, str(tmp_path))
    try:
        with pytest.raises(WeightsInvalid, match="trap_module"):
            checkpoint.read(tmp_path / "x.pt")
    finally:
        sys.path.remove(str(tmp_path))
    assert not (tmp_path / "ran").exists() and "trap_module" not in sys.modules


def test_a_configuration_of_a_billion_blocks(tmp_path):
    """Built without values it would still be a billion objects."""
    from extract import models

    table = {"model_type": "hubert", "num_hidden_layers": 10**9, "architectures": ["HubertModel"]}
    (tmp_path / "config.json").write_text(json.dumps(table))
    torch.save({"a": torch.zeros(2)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(WeightsInvalid, match="num_hidden_layers is 1e[+]09, at most 1000"):
        models.spec(f"hf:{tmp_path}")
    with pytest.raises(WeightsInvalid, match="num_hidden_layers is 1000000000: no network"):
        models.spec(f"musichubert:{tmp_path}")


def test_code_in_a_repository_is_not_run(tmp_path):
    from extract import models
    from extract.errors import ExtractError

    canary = tmp_path / "ran"
    (tmp_path / "modeling_trap.py").write_text(f"open({str(canary)!r}, 'w').close()\n")
    own = {"AutoConfig": "modeling_trap.C", "AutoModel": "modeling_trap.M"}
    for kind in ("trap", "hubert"):
        table = {"model_type": kind, "auto_map": own, "num_hidden_layers": 0}
        (tmp_path / "config.json").write_text(json.dumps(table))
        with pytest.raises(ExtractError):
            models.spec(f"hf:{tmp_path}").load(models.base.Request())
    assert not canary.exists()
