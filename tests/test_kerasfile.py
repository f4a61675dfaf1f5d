"""Keras files: groups find their layers, and nothing but plain numbers is read."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from extract import kerasfile
from extract.errors import WeightsInvalid, WeightsMissing

# class, name, variables, by path inside the layer
Described = list[tuple[str, str, dict[str, np.ndarray]]]


def write(
    path: Path,
    layers: Described,
    *,
    empty_groups: bool = True,
    change=lambda file: None,
    compression: int = zipfile.ZIP_STORED,
) -> Path:
    """A file as Keras 2.13 writes it.

    Keras goes through a dictionary that holds a layer with variables under two keys, and counts
    what it meets of each class; a layer met again is counted, not written.

    Parameters
    ----------
    empty_groups : whether layers without variables leave a group, as they do in Keras.
    change : called with the open HDF5 file before it is closed.
    """
    memory, counters = io.BytesIO(), {}
    with h5py.File(memory, "w") as file:
        for kind, _, variables in layers:
            stem = kerasfile.snake_case(kind)
            number = counters.get(stem, 0)
            counters[stem] = number + (2 if variables else 1)
            if not variables and not empty_groups:
                continue
            place = f"_layer_checkpoint_dependencies/{stem}{f'_{number}' if number else ''}"
            file.create_group(f"{place}/vars")
            for name, values in variables.items():
                file[f"{place}/{name}"] = values
        file.create_group("vars")
        change(file)
    described = [
        {"module": "x", "class_name": kind, "config": {"name": name}, "name": name}
        for kind, name, _ in layers
    ]
    config = {"class_name": "Functional", "config": {"name": "model", "layers": described}}
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "2.13.1"}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", memory.getvalue())
    return path


def _value(k: float, *shape: int) -> np.ndarray:
    return np.full(shape, k, dtype=np.float32)


def _some() -> Described:
    """Gains that are learned stand among factors of the same class that are not."""
    return [
        ("InputLayer", "input_1", {}),
        ("WSConv2D", "ws_conv2d_1", {"vars/0": _value(1, 3, 2), "layer/vars/0": _value(2, 2)}),
        ("Scale", "scale", {}),
        ("WSConv2D", "ws_conv2d", {"vars/0": _value(3, 3, 2), "layer/vars/0": _value(4, 2)}),
        ("Scale", "scale_1", {"vars/0": _value(5)}),
        ("Scale", "scale_2", {}),
        ("Scale", "scale_10", {}),
        ("Scale", "scale_9", {"vars/0": _value(6)}),
        ("Dense", "dense", {"vars/0": _value(7, 2, 2), "vars/1": _value(8, 2)}),
        ("Scale", "scale_11", {}),
    ]


def _refused(path: Path, *parts: str) -> None:
    with pytest.raises(WeightsInvalid) as error:
        kerasfile.read(path)
    text = str(error.value)
    assert "\n" not in text and text.startswith(str(path)), text
    for part in parts:
        assert part in text, text


@pytest.mark.parametrize("empty_groups", [True, False])
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_groups_find_their_layers(empty_groups, compression, tmp_path):
    path = tmp_path / "model.keras"
    write(path, _some(), empty_groups=empty_groups, compression=compression)
    found = kerasfile.read(path)
    assert [(x.kind, x.name) for x in found] == [(kind, name) for kind, name, _ in _some()]
    for layer, (_, name, variables) in zip(found, _some(), strict=True):
        assert set(layer.variables) == set(variables), name
        for place, values in variables.items():
            assert torch.equal(layer.variables[place], torch.from_numpy(values)), name


def test_more_than_ten_of_a_class_are_in_the_order_of_numbers(tmp_path):
    layers = [("Dense", f"dense_{i}", {"vars/0": _value(i, 1)}) for i in range(25)]
    found = kerasfile.read(write(tmp_path / "m.keras", layers))
    assert [float(layer.variables["vars/0"]) for layer in found] == list(range(25))


def test_a_class_whose_name_begins_another(tmp_path):
    layers = [
        ("Conv", "conv", {"vars/0": _value(1, 1)}),
        ("ConvNorm", "conv_norm", {"vars/0": _value(2, 1)}),
        ("Conv", "conv_1", {"vars/0": _value(3, 1)}),
    ]
    found = kerasfile.read(write(tmp_path / "m.keras", layers))
    assert [float(layer.variables["vars/0"]) for layer in found] == [1, 2, 3]


def test_layers_of_a_layer_and_other_types_of_numbers(tmp_path):
    inside = "_layer_checkpoint_dependencies/dense/vars/0"
    layers = [("Sequential", "head", {inside: np.arange(3, dtype=">f8")})]
    (layer,) = kerasfile.read(write(tmp_path / "m.keras", layers))
    assert layer.variables[inside].dtype == torch.float64
    assert layer.variables[inside].tolist() == [0, 1, 2]


def test_what_a_compiled_model_holds_besides_is_left_out(tmp_path):
    def change(file):
        file["optimizer/vars/0"] = np.int64(3)
        file["optimizer/vars/1"] = _value(1, 4)
        file["metrics/mean/vars/0"] = _value(1)

    path = write(tmp_path / "m.keras", _some(), change=change)
    assert sum(len(layer.variables) for layer in kerasfile.read(path)) == 8


def test_creation_order_is_that_of_the_counters(tmp_path):
    layers = [kerasfile.KerasLayer("D", f"d{n}", {}) for n in ("_10", "_9", "", "_2")]
    ordered = kerasfile.creation_order(layers, tmp_path)
    assert [layer.name for layer in ordered] == ["d", "d_2", "d_9", "d_10"]
    with pytest.raises(WeightsInvalid, match="first_a and first_b do not tell"):
        twins = [kerasfile.KerasLayer("D", f"first_{n}", {}) for n in "ab"]
        kerasfile.creation_order(twins, tmp_path)


@pytest.mark.parametrize(
    ("kind", "snake"),
    [("WSConv2D", "ws_conv2d"), ("Dense", "dense"), ("ScalarMultiply", "scalar_multiply")],
)
def test_snake_case_is_that_of_keras(kind, snake):
    assert kerasfile.snake_case(kind) == snake


# what is refused

ROOT = kerasfile.ROOT


def _external_link(file):
    file[f"{ROOT}/dense/vars/2"] = h5py.ExternalLink("/etc/other.h5", "/x")


def _soft_link(file):
    file[f"{ROOT}/dense/vars/2"] = h5py.SoftLink("/vars")


def _external_storage(file):
    file.create_dataset(f"{ROOT}/dense/vars/2", (2,), "f4", external=[("/etc/passwd", 0, 8)])


def _virtual(file):
    layout = h5py.VirtualLayout((2,), "f4")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "x", (2,))
    file.create_virtual_dataset(f"{ROOT}/dense/vars/2", layout)


def _reference(file):
    file.create_dataset(f"{ROOT}/dense/vars/2", (1,), h5py.ref_dtype)


def _text(file):
    file[f"{ROOT}/dense/vars/2"] = "text"


def _half(file):
    file[f"{ROOT}/dense/vars/2"] = np.zeros(3, np.float16)


def _huge(file):
    file.create_dataset(f"{ROOT}/dense/vars/2", (1 << 40,), "f4")


def _compressed(file):
    file.create_dataset(f"{ROOT}/dense/vars/2", (1000,), "f4", compression="gzip")


def _type(file):
    file[f"{ROOT}/dense/vars/2"] = np.dtype("f4")


def _cycle(file):
    file[f"{ROOT}/dense/again"] = file[f"{ROOT}/dense"]


def _deep(file):
    file.create_group("/".join("abcdefghijklmnopqrstuvwxyz"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_external_link, "dense/vars/2 is a link"),
        (_soft_link, "dense/vars/2 is a link"),
        (_external_storage, "dense/vars/2 has its values in another file"),
        (_virtual, "dense/vars/2 has its values in another file"),
        (_reference, "dense/vars/2 holds object"),
        (_text, "dense/vars/2 holds object"),
        (_half, "dense/vars/2 holds float16"),
        (_huge, "larger than what the file holds"),
        (_compressed, "compressed"),
        (_type, "neither a group nor an array"),
        (_cycle, "too deeply nested"),
        (_deep, "too deeply nested"),
    ],
)
def test_what_is_not_plain_numbers_is_refused(change, reason, tmp_path):
    _refused(write(tmp_path / "m.keras", _some(), change=change), reason)


def test_a_group_without_a_layer_is_named(tmp_path):
    def change(file):
        file[f"{ROOT}/surprise_3/vars/0"] = _value(1, 2)

    _refused(write(tmp_path / "m.keras", _some(), change=change), "surprise_3", "no layer")

    def another(file):
        file[f"{ROOT}/dense_2/vars/0"] = _value(1, 2)

    _refused(write(tmp_path / "m.keras", _some(), change=another), "dense_2", "no layer")


def test_numbers_of_another_way_of_counting_are_refused(tmp_path):
    """Keras 3 counts a layer once: the learned gains would be found in the wrong layers."""

    def change(file):
        del file[ROOT]
        for number, values in enumerate([None, 5.0, None, None, 6.0, None]):
            group = file.create_group(f"{ROOT}/scale{f'_{number}' if number else ''}/vars")
            if values:
                group["0"] = _value(values)

    scales = [layer for layer in _some() if layer[0] == "Scale"]
    path = write(tmp_path / "m.keras", scales, change=change)
    _refused(path, "class Scale", "cannot be told")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "damaged"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1da1\n", "Git LFS pointer"),
        (b"PK\x03\x04 and nothing else", "damaged"),
    ],
)
def test_files_that_are_none(content, reason, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    _refused(path, reason)


def _zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_members_that_are_missing_or_none(tmp_path):
    path = tmp_path / "m.keras"
    with pytest.raises(WeightsMissing, match=r"m\.keras: there is no such file"):
        kerasfile.read(path)
    _refused(_zip(path, {"other": b""}), "no config.json in it")
    _refused(_zip(path, {"config.json": b"{}"}), "no model.weights.h5 in it")
    good = {"config.json": b'{"config": {"layers": []}}'}
    _refused(_zip(path, good | {"model.weights.h5": b"no HDF5"}), "model.weights.h5 is damaged")
    for text in (b"", b"[]", b'{"config": {"layers": 3}}', b"\xff", b"[" * 100_000):
        _refused(_zip(path, {"config.json": text, "model.weights.h5": b""}), "config.json")
    memory = io.BytesIO()
    h5py.File(memory, "w").close()
    _refused(_zip(path, good | {"model.weights.h5": memory.getvalue()}), "has no layers")


def test_a_damaged_member_is_told_by_its_checksum(tmp_path):
    path = write(tmp_path / "m.keras", _some())
    content = bytearray(path.read_bytes())
    place = bytes(content).index(_value(7, 2, 2).tobytes())
    content[place] ^= 1
    path.write_bytes(content)
    _refused(path, "damaged", "model.weights.h5")


def test_a_cut_file_is_damaged(tmp_path):
    path = write(tmp_path / "m.keras", _some())
    path.write_bytes(path.read_bytes()[:-200])
    _refused(path, "damaged")


def test_a_member_that_would_fill_the_memory_is_not_read(tmp_path, monkeypatch):
    path = write(tmp_path / "m.keras", _some())
    monkeypatch.setitem(kerasfile.MEMBERS, "model.weights.h5", 1000)
    _refused(path, "at most 1000 are read")


def test_nothing_is_written(tmp_path, monkeypatch):
    path = write(tmp_path / "m.keras", _some())
    monkeypatch.chdir(tmp_path)
    kerasfile.read(path)
    assert list(tmp_path.iterdir()) == [path]
