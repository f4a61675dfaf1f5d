"""Weights of MULE: the published layouts read strictly, and plain errors for the rest."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from test_kerasfile import Described, write
from test_mule import CARD, SMALL, drawn, model_of, some_slices

from extract import hub
from extract.errors import OptionUnsuitable, WeightsInvalid, WeightsMissing
from extract.models import mule, nfnet
from extract.models.base import Request


@pytest.fixture(scope="module")
def small() -> mule.Mule:
    return model_of(drawn(SMALL), SMALL)


# published layouts


def described(tensors: dict[str, torch.Tensor], sizes: nfnet.Sizes) -> Described:
    """What a Keras file of these weights describes.

    Layers are named as they were made, a path after the other, and stand as they are run, both
    paths side by side. Gains that are learned stand among factors of the same class. The reader was
    also held against a file that Keras 2.13 itself had written of a network of these sizes.
    """
    convs, dense, gains = mule.published_names(sizes)

    def conv(name):
        kernel = tensors[f"{name}.weight"].permute(2, 3, 1, 0)
        gain, bias = tensors[f"{name}.gain"], tensors[f"{name}.bias"]
        variables = {"vars/0": kernel, "vars/1": gain, "layer/vars/0": bias}
        return ("WSConv2D", _name("ws_conv2d", convs.index(name)), variables)

    def full_layer(name):
        variables = {"vars/0": tensors[f"{name}.weight"].T, "vars/1": tensors[f"{name}.bias"]}
        return ("Dense", _name("dense", dense.index(name)), variables)

    def block(path, i, j):
        name = f"{path}_stages.{i}.blocks.{j}"
        at = gains.index(f"{name}.skip_gain")
        # beta, gain and alpha, made in this order for each block
        beta, gain, alpha = (_name("scalar_multiply", 3 * at + k) for k in range(3))
        yield ("ScalarMultiply", beta, {})
        yield from (conv(f"{name}.convs.{k}") for k in range(4))
        late = i == len(sizes.depths) - 1  # layers stand by their distance from the end
        if not j and not late:
            yield conv(f"{name}.skip_conv")
        yield from (full_layer(f"{name}.se.fc{k}") for k in (1, 2))
        # the two factors of a path are not in one order, so that only counting can tell them
        own = ("ScalarMultiply", gain, {"vars/0": tensors[f"{name}.skip_gain"].squeeze()})
        other = ("ScalarMultiply", alpha, {})
        yield from (own, other) if path == "slow" else (other, own)
        if not j and late:
            yield conv(f"{name}.skip_conv")

    layers = [("InputLayer", "input_1", {})]
    for k in range(4):
        layers += [conv(f"fast_stem.convs.{k}"), conv(f"slow_stem.convs.{k}")]
        layers += [("Activation", _name("activation", k), {})]
    for i, depth in enumerate(sizes.depths):
        layers += [conv(f"fusions.{i}.conv{k}") for k in (1, 2)]
        for j in range(depth):
            pairs = zip(block("fast", i, j), block("slow", i, j), strict=True)
            layers += [layer for pair in pairs for layer in pair]
    layers.append(("Concatenate", "concatenate_4", {}))
    arrays = [(kind, n, {k: v.numpy() for k, v in held.items()}) for kind, n, held in layers]
    return arrays


def _name(stem: str, number: int) -> str:
    return f"{stem}_{number}" if number else stem


def projector(width: int) -> Described:
    """Three dense layers behind the embedding, named on."""
    shapes = [(width, 12), (12, 12), (12, 5)]
    return [
        ("Dense", f"dense_{900 + k}", {"vars/0": np.ones(s, "f4"), "vars/1": np.ones(s[1], "f4")})
        for k, s in enumerate(shapes)
    ]


def test_layers_were_made_in_this_order():
    convs, dense, gains = mule.published_names()
    assert (len(convs), len(dense), len(gains)) == (120, 48, 24)
    stems = [f"{path}_stem.convs.{i}" for path in ("slow", "fast") for i in range(4)]
    assert convs[:8] == stems
    first, second = "slow_stages.0.blocks.0", "slow_stages.1.blocks"
    ends = ["convs.0", "convs.1", "convs.2", "convs.3", "skip_conv"]
    assert convs[8:18] == [f"{first}.{x}" for x in ends] + [f"{second}.0.{x}" for x in ends]
    assert convs[18:22] == [f"{second}.1.{x}" for x in ends[:4]]
    assert convs[60] == "fast_stages.0.blocks.0.convs.0"
    assert convs[112:] == [f"fusions.{i}.conv{k}" for i in range(4) for k in (1, 2)]
    assert dense[:3] == [f"{first}.se.fc1", f"{first}.se.fc2", f"{second}.0.se.fc1"]
    assert dense[24] == "fast_stages.0.blocks.0.se.fc1"
    assert gains[:3] == [f"{x}.skip_gain" for x in (first, f"{second}.0", f"{second}.1")]
    assert gains[12] == "fast_stages.0.blocks.0.skip_gain"


@pytest.mark.parametrize("empty_groups", [True, False])
def test_a_keras_file_is_the_conversion(empty_groups, small, tmp_path):
    tensors = drawn(SMALL)
    path = write(tmp_path / "model.keras", described(tensors, SMALL), empty_groups=empty_groups)
    found = mule.read(path, SMALL)
    assert set(found) == set(tensors)
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    model = mule.trained(CARD, found, path=path, source="x", sizes=SMALL)
    assert model.weights.sha256 == small.weights.sha256


def test_a_safetensors_file_is_read_as_it_is(small, tmp_path):
    path = tmp_path / "model.safetensors"
    save_file(drawn(SMALL), path)
    model = mule.trained(CARD, mule.read(path, SMALL), path=path, source="x", sizes=SMALL)
    assert model.weights.sha256 == small.weights.sha256 and model.weights.trained
    values = some_slices(1)
    with torch.inference_mode():
        assert torch.equal(model.forward(values)["embedding"], small.forward(values)["embedding"])


def test_a_projector_behind_the_embedding_is_left_out(small, tmp_path):
    tensors = drawn(SMALL)
    nested = {"_layer_checkpoint_dependencies/dense/vars/0": np.ones((3, 2), "f4")}
    for k, behind in enumerate((projector(48), [("Sequential", "projector", nested)])):
        path = write(tmp_path / f"{k}.keras", [*described(tensors, SMALL), *behind])
        found = mule.read(path, SMALL)
        extra = sorted(set(found) - set(tensors))
        assert extra and all(name.startswith("projector.") for name in extra)
        model = mule.trained(CARD, found, path=path, source="x", sizes=SMALL)
        assert model.weights.sha256 == small.weights.sha256


KEY = "slow_stages.2.blocks.1.convs.2.gain"


@pytest.mark.parametrize("what", ["missing", "misshapen", "unexpected"])
def test_wrong_tensors_are_named(what):
    tensors, name = drawn(SMALL), KEY
    if what == "missing":
        del tensors[KEY]
    elif what == "misshapen":
        tensors[KEY] = torch.ones(17)
    else:
        tensors["surprise.weight"], name = torch.zeros(2), "surprise.weight"
    with pytest.raises(WeightsInvalid) as error:
        model_of(tensors, SMALL)
    assert f"here: 1 {what} tensor: {name}" in str(error.value)


def test_wrong_keras_files_are_named(tmp_path):
    tensors, path = drawn(SMALL), tmp_path / "model.keras"
    layers = described(tensors, SMALL)

    def refused(changed, *parts):
        write(path, changed)
        with pytest.raises(WeightsInvalid) as error:
            mule.trained(CARD, mule.read(path, SMALL), path=path, source="x", sizes=SMALL)
        text = str(error.value)
        assert "\n" not in text and text.startswith(str(path))
        for part in parts:
            assert part in text, text

    convs = [i for i, layer in enumerate(layers) if layer[0] == "WSConv2D"]
    refused([x for i, x in enumerate(layers) if i != convs[7]], "71 standardised", "needed 72")
    kind, name, held = layers[convs[0]]
    shorter = held | {"vars/1": np.ones(3, "f4")}
    other = [(kind, name, shorter) if i == convs[0] else x for i, x in enumerate(layers)]
    refused(other, "1 misshapen tensor: fast_stem.convs.0.gain is (3,), needed (2,)")
    more = [("BatchNormalization", "norm_1", {f"vars/{k}": np.ones(3, "f4") for k in range(4)})]
    refused(more + layers, "4 unexpected tensors: norm_1/vars/0")
    longer = held | {"vars/2": np.ones(3, "f4")}
    other = [(kind, name, longer) if i == convs[0] else x for i, x in enumerate(layers)]
    refused(other, "1 unexpected tensor: fast_stem.convs.0/vars/2")


def test_a_network_of_other_sizes_is_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file(drawn(SMALL), path)
    with pytest.raises(WeightsInvalid, match=r"other\.safetensors: .* missing tensors"):
        mule.SPEC.load(Request(weights=path))
    keras = write(tmp_path / "other.keras", described(drawn(SMALL), SMALL))
    with pytest.raises(WeightsInvalid, match=r"other\.keras: 72 standardised .* needed 120, 48"):
        mule.spec_of(str(keras)).load(Request())


# what the user asks for


def test_missing_weights_say_where_they_come_from(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "cached", lambda *_: None)
    assert not mule.SPEC.present()
    with pytest.raises(WeightsMissing) as error:
        mule.SPEC.load(Request(offline=True))
    for part in ("matteospanio/mule", "CC BY-NC 4.0", "--weights", "--untrained"):
        assert part in str(error.value)
    with pytest.raises(WeightsMissing, match=r"none of model\.safetensors, model\.keras in it"):
        mule.SPEC.load(Request(weights=tmp_path))
    with pytest.raises(WeightsMissing, match="nowhere"):
        mule.SPEC.load(Request(weights=tmp_path / "nowhere"))


def test_the_pointer_of_the_repository_is_no_file_of_weights(tmp_path):
    (tmp_path / "model.keras").write_text("version https://git-lfs.github.com/spec/v1\noid x\n")
    with pytest.raises(WeightsInvalid, match=r"model\.keras: a Git LFS pointer"):
        mule.SPEC.load(Request(weights=tmp_path))


def test_the_old_format_is_named(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"x")
    with pytest.raises(WeightsInvalid, match=r"a SavedModel, .* give model\.keras"):
        mule.SPEC.load(Request(weights=tmp_path))


def test_siblings_are_files_of_the_users(tmp_path):
    spec = mule.spec_of(str(tmp_path / "audioset.keras"))
    assert spec.card.name == f"mule:{tmp_path / 'audioset.keras'}"
    assert "audioset.keras" in spec.card.title and "Musicset" not in spec.card.training_data
    assert not spec.present()
    with pytest.raises(WeightsMissing, match=r"audioset\.keras"):
        spec.load(Request())
    with pytest.raises(OptionUnsuitable, match="leave out --weights"):
        spec.load(Request(weights=tmp_path))
    with pytest.raises(OptionUnsuitable, match="mule:PATH"):
        mule.spec_of("")


@pytest.mark.slow
def test_layouts_at_full_size(tmp_path):
    """The released file's layout and the conversion, 250 MB each; and an untrained twin."""
    weights = drawn(nfnet.PUBLISHED)
    full = model_of(weights, nfnet.PUBLISHED)
    path = write(tmp_path / "model.keras", described(weights, nfnet.PUBLISHED))
    model = mule.spec_of(str(tmp_path)).load(Request())
    assert model.weights.sha256 == full.weights.sha256
    assert model.weights.source == "file model.keras"
    with pytest.raises(WeightsInvalid, match="not the released file .* ask for mule:"):
        mule.SPEC.load(Request(weights=path))
    save_file(weights, tmp_path / "model.safetensors")
    model = mule.SPEC.load(Request(weights=tmp_path))
    assert model.weights.sha256 == full.weights.sha256
    assert model.weights.source == "file model.safetensors"
    twin = mule.SPEC.load(Request(untrained=True))
    assert twin.weights.sha256 != model.weights.sha256 and not twin.weights.trained
