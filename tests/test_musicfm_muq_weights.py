"""Weights of MusicFM and MuQ: published layouts read strictly, and plain errors for the rest."""

from __future__ import annotations

import json

import conformer_files as files
import golden
import pytest
import torch
from conformer_files import MEAN, STD, TINY
from safetensors.torch import save_file

from extract import checkpoint, models
from extract.errors import WeightsInvalid, WeightsMissing
from extract.models import conformer_weights, muq, musicfm
from extract.models.base import Request

KINDS = ("musicfm", "muq")
KEY = "model.conformer.layers.1.ffn1.output_dense.weight"


@pytest.fixture(scope="module")
def published():
    """kind -> tensors of a tiny file, drawn once; tests copy the dictionary."""
    return {kind: files.tensors_of(kind, TINY, 11) for kind in KINDS}


def _write(kind, folder, tensors):
    if kind == "musicfm":
        return files.write_musicfm(folder, tensors)
    return files.write_muq(folder, tensors, TINY)


def _load(name, path, **options):
    return models.load(name, Request(weights=path, **options))


def _one_line(error, *parts):
    text = str(error.value)
    assert "\n" not in text
    for part in parts:
        assert part in text
    return text


# layouts


@pytest.mark.parametrize("kind", KINDS)
def test_number_of_tensors_is_that_of_the_published_files(kind, published):
    """465 and 525 at full size, with 9 blocks more, of 34 tensors each."""
    assert len(published[kind]) + 9 * 34 == {"musicfm": 465, "muq": 525}[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_published_layout_loads(kind, published, tmp_path):
    model = _load(kind, _write(kind, tmp_path, published[kind]))
    state = model.network.state_dict()
    for name, tensor in published[kind].items():
        ours = musicfm.RENAMED.get(name.removeprefix("model."), name.removeprefix("model."))
        if ours in state:
            assert torch.equal(state[ours].to(tensor.dtype), tensor), name
    assert model.weights.trained and len(model.weights.sha256) == 64
    file = {"musicfm": "pretrained_msd.pt", "muq": "model.safetensors"}[kind]
    assert model.weights.source == f"file {file}"
    assert (model.network.mean, model.network.std) == (MEAN, STD)
    assert not model.network.training
    assert not any(p.is_meta for p in model.network.state_dict().values())


def test_card_says_when_the_network_is_not_of_the_published_size(published, tmp_path):
    model = _load("musicfm", _write("musicfm", tmp_path, published["musicfm"]))
    assert model.card.title.endswith("other size")
    assert "3 blocks of width 64" in model.card.notes
    assert model.card.parameters == sum(p.numel() for p in model.network.parameters())
    names = [layer.name for layer in model.layers]
    assert names == ["frontend", "block01", "block02", "block03", "final"]


def test_muq_formats_and_names_give_the_same_weights(published, tmp_path):
    """safetensors or PyTorch, counters in either type, new names of the weight norm, no prefix."""
    tensors = published["muq"]
    whole = {n: t.long() if n.endswith("num_batches_tracked") else t for n, t in tensors.items()}
    place = "model.conformer.pos_conv_embed.conv."
    for old, new in (("weight_g", "original0"), ("weight_v", "original1")):
        whole[f"{place}parametrizations.weight.{new}"] = whole.pop(place + old)
    bare = {n.removeprefix("model."): t for n, t in tensors.items()}
    hashes = set()
    for name, content, safe in (("s", tensors, True), ("p", whole, False), ("b", bare, True)):
        (tmp_path / name).mkdir()
        folder = files.write_muq(tmp_path / name, content, TINY, safe=safe)
        hashes.add(_load("muq", folder).weights.sha256)
    file = tmp_path / "s" / "model.safetensors"
    hashes.add(_load("muq", file).weights.sha256)
    assert len(hashes) == 1


def test_muq_without_config_is_taken_as_published(published, tmp_path):
    path = tmp_path / "other-name.safetensors"
    save_file(published["muq"], path)
    model = _load("muq", path)
    assert (model.network.mean, model.network.std) == (MEAN, STD)
    assert model.network.sizes == TINY


def test_muq_inside_a_larger_model(published, tmp_path):
    inside = {f"mulan.audio.model.{n}": t for n, t in published["muq"].items()}
    path = tmp_path / "pytorch_model.bin"
    torch.save(inside | {"mulan.text.weight": torch.zeros(3)}, path)
    model = muq.from_file(
        muq.CARD, path, None, source="x", prefix="mulan.audio.model.model.", unused=("mulan.text.",)
    )
    save_file(published["muq"], tmp_path / "model.safetensors")
    alone = _load("muq", tmp_path / "model.safetensors")
    assert model.weights.sha256 == alone.weights.sha256


def test_musicfm_uses_the_window_of_the_file(published, tmp_path):
    """The MSD file is said to hold a symmetric window; features are then those of that window."""
    symmetric = torch.hann_window(2048, periodic=False)
    tensors = published["musicfm"] | {files.MEL + "spectrogram.window": symmetric}
    model = _load("musicfm", files.write_musicfm(tmp_path, tensors))
    assert torch.equal(model.network.mel.window, symmetric)
    waves = golden.wave(48000, 24000, 1001)[None]
    with torch.inference_mode():
        error = golden.relative_error(
            model.forward(waves)["final"], golden.read("musicfm_tiny")[0]["a.hidden.03"]
        )
    assert 1e-4 < error < 1e-2


def test_hash_follows_weights_and_statistics(published, tmp_path):
    hashes = []
    for place, change in enumerate(({}, {KEY: published["musicfm"][KEY] + 1e-6}, {})):
        folder = tmp_path / str(place)
        folder.mkdir()
        if place == 2:
            files.write_stats(folder, "msd_stats.json", MEAN + 1e-6, STD)
        path = files.write_musicfm(folder, published["musicfm"] | change)
        hashes.append(_load("musicfm", path).weights.sha256)
    assert len(set(hashes)) == 3


# strictness


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["missing", "misshapen", "unexpected"])
def test_wrong_tensors_are_named(kind, what, published, tmp_path):
    tensors, name = dict(published[kind]), KEY.removeprefix("model.")
    if what == "missing":
        del tensors[KEY]
    elif what == "misshapen":
        tensors[KEY] = torch.zeros(64, 255)
    else:
        tensors["model.surprise.weight"], name = torch.zeros(2), "surprise.weight"
    with pytest.raises(WeightsInvalid) as error:
        _load(kind, _write(kind, tmp_path, tensors))
    text = _one_line(error, what, name, "1 ")
    assert ("pretrained_msd.pt" if kind == "musicfm" else "model.safetensors") in text


@pytest.mark.parametrize(
    "name",
    [
        "conformer.layer_norm.weight",
        "conv.conv.0.bn1.weight",
        "conformer.layers.0.conv_module.depthwise_conv.weight",
        "conformer.layers.0.ffn1.intermediate_dense.bias",
        "conformer.embed_positions.inv_freq",
    ],
)
def test_tensors_that_tell_the_sizes_are_named_too(name, published, tmp_path):
    tensors = dict(published["musicfm"])
    del tensors[f"model.{name}"]
    with pytest.raises(WeightsInvalid) as error:
        _load("musicfm", files.write_musicfm(tmp_path, tensors))
    _one_line(error, "missing", name)


def test_a_block_in_the_middle_is_missed(published, tmp_path):
    tensors = {n: t for n, t in published["muq"].items() if ".layers.1." not in n}
    with pytest.raises(WeightsInvalid, match="34 missing tensors"):
        _load("muq", files.write_muq(tmp_path, tensors, TINY))


def test_muq_config_must_fit_the_tensors(published, tmp_path):
    """The last block cut off: the tensors alone would make a shorter network."""
    tensors = {n: t for n, t in published["muq"].items() if ".layers.2." not in n}
    with pytest.raises(WeightsInvalid) as error:
        _load("muq", files.write_muq(tmp_path, tensors, TINY))
    _one_line(error, "depth is 2", "but 3", "config.json")


@pytest.mark.parametrize(
    "change",
    [
        {"hop_length": 320},
        {"n_mels": 64},
        {"features": ["melspec_1024"]},
        {"w2v2_config": {"position_embeddings_type": "relative"}},
        {"label_rate": 75},
        {"stat": {"melspec_2048_mean": 1.0, "melspec_2048_std": 0.0}},
        {"w2v2_config": {"num_attention_heads": 2}},
    ],
)
def test_muq_config_of_another_network(change, published, tmp_path):
    folder = files.write_muq(tmp_path, published["muq"], TINY)
    (folder / "config.json").write_text(json.dumps(files.muq_config(TINY, **change)))
    with pytest.raises(WeightsInvalid) as error:
        _load("muq", folder)
    _one_line(error)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"stat": 3}', '{"stat": {"melspec_2048_mean": "x"}}']
)
def test_muq_config_that_is_none(text, published, tmp_path):
    folder = files.write_muq(tmp_path, published["muq"], TINY)
    (folder / "config.json").write_text(text)
    with pytest.raises(WeightsInvalid) as error:
        _load("muq", folder)
    _one_line(error, "config.json")


# statistics of MusicFM


def test_fma_reads_its_statistics(published, tmp_path):
    files.write_musicfm(tmp_path, published["musicfm"], "pretrained_fma.pt")
    files.write_stats(tmp_path, "fma_stats.json", 3.5, 19.25)
    model = _load("musicfm-fma", tmp_path)
    assert (model.network.mean, model.network.std) == (3.5, 19.25)
    assert model.name == "musicfm-fma"


def test_fma_needs_its_statistics(published, tmp_path):
    files.write_musicfm(tmp_path, published["musicfm"], "pretrained_fma.pt")
    with pytest.raises(WeightsMissing) as error:
        _load("musicfm-fma", tmp_path)
    _one_line(error, "fma_stats.json", "minzwon/MusicFM")
    (tmp_path / "fma_stats.json").write_text('{"melspec_2048_mean": 3.5}')
    with pytest.raises(WeightsInvalid) as error:
        _load("musicfm-fma", tmp_path)
    _one_line(error, "fma_stats.json", "melspec_2048_std")


def test_msd_statistics_beside_the_file_count(published, tmp_path):
    path = files.write_musicfm(tmp_path, published["musicfm"])
    files.write_stats(tmp_path, "msd_stats.json", 1.5, 2.5)
    assert _load("musicfm", path).network.mean == 1.5


def test_files_of_the_other_variant_are_refused(published, tmp_path):
    path = files.write_musicfm(tmp_path, published["musicfm"], "pretrained_fma.pt")
    with pytest.raises(WeightsInvalid) as error:
        _load("musicfm", path)
    _one_line(error, "musicfm-fma")


# files that are not weights


class _Payload:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


@pytest.mark.parametrize("zipped", [True, False])
def test_pickle_that_would_run_code_is_refused(zipped, published, tmp_path):
    content = {"state_dict": dict(published["musicfm"]), "extra": _Payload(tmp_path / "ran")}
    path = tmp_path / "pretrained_msd.pt"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsInvalid) as error:
        _load("musicfm", path)
    _one_line(error, "pretrained_msd.pt", "refused", "open")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (bytes(range(256)) * 8, "damaged"),
    ],
)
@pytest.mark.parametrize("name", ["pretrained_msd.pt", "model.safetensors"])
def test_files_that_are_not_weights(content, reason, name, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(WeightsInvalid) as error:
        _load("musicfm" if name.endswith("pt") else "muq", path)
    _one_line(error, str(path), reason, "; get the file itself" if reason != "damaged" else "again")


def test_truncated_files(published, tmp_path):
    for kind in KINDS:
        path = _write(kind, tmp_path, published[kind])
        path = path / "model.safetensors" if path.is_dir() else path
        path.write_bytes(path.read_bytes()[:-2000])
        with pytest.raises(WeightsInvalid) as error:
            _load(kind, path)
        _one_line(error, path.name, "damaged")


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"state_dict": {"epoch": 3}}])
def test_files_without_tensors(content, tmp_path):
    path = tmp_path / "x.pt"
    torch.save(content, path)
    with pytest.raises(WeightsInvalid) as error:
        checkpoint.read(path)
    _one_line(error, "x.pt", "tensors")


def test_old_pytorch_files_are_read(tmp_path):
    path = tmp_path / "old.pt"
    torch.save({"a": torch.arange(3)}, path, _use_new_zipfile_serialization=False)
    assert checkpoint.read(path)["a"].tolist() == [0, 1, 2]


def test_nothing_where_the_user_points(tmp_path):
    for kind, wanted in (("musicfm", "pretrained_msd.pt"), ("muq", "model.safetensors")):
        with pytest.raises(WeightsMissing) as error:
            _load(kind, tmp_path)
        _one_line(error, str(tmp_path), wanted)
        with pytest.raises(WeightsMissing) as error:
            _load(kind, tmp_path / "nowhere")
        _one_line(error, "nowhere", "no such file")


# untrained


@pytest.mark.parametrize("kind", KINDS)
def test_untrained_twin(kind):
    card = models.spec(kind).card
    before = torch.get_rng_state()
    first, again, other = (conformer_weights.untrained(card, s, TINY) for s in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert first.weights.sha256 == again.weights.sha256 != other.weights.sha256
    assert first.weights.source == "untrained, seed 0" and not first.weights.trained
    with torch.inference_mode():
        layers = first.forward(golden.wave(48000, 24000, 7)[None])
    for name, values in layers.items():
        assert torch.isfinite(values).all()
        assert 0.01 < values.std() < 10, name


def test_untrained_twins_of_two_models_are_independent():
    twins = [conformer_weights.untrained(models.spec(kind).card, 0, TINY) for kind in KINDS]
    name = "conformer.layers.0.ffn1.output_dense.weight"
    a, b = (twin.network.state_dict()[name].flatten() for twin in twins)
    assert abs(torch.corrcoef(torch.stack([a, b]))[0, 1]) < 0.05


def test_loading_leaves_the_random_state_alone(published, tmp_path):
    path = _write("muq", tmp_path, published["muq"])
    before = torch.get_rng_state()
    _load("muq", path)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
def test_untrained_at_full_size():
    model = models.load("musicfm", Request(untrained=True, seed=3))
    assert model.card == models.spec("musicfm").card
    with torch.inference_mode():
        layers = model.forward(golden.wave(48000, 24000, 7)[None])
    assert {tuple(v.shape) for v in layers.values()} == {(1, 50, 1024)}
    assert all(torch.isfinite(v).all() and 0.01 < v.std() < 10 for v in layers.values())
