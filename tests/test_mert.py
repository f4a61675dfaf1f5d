"""MERT and the speech baselines from files in the published layouts, and plain errors."""

from __future__ import annotations

import json
import shutil

import golden
import hosted_files as files
import pytest
import torch
from hosted_files import MERT, TINY
from huggingface_hub import constants

from extract import hub, models
from extract.errors import WeightsInvalid, WeightsMissing
from extract.models import mert
from extract.models.base import Request

NAMES = {
    "mert-v0": ("m-a-p/MERT-v0", 16000, "CC BY-NC 4.0"),
    "mert-v0-public": ("m-a-p/MERT-v0-public", 16000, "CC BY-NC 4.0"),
    "mert-95m": ("m-a-p/MERT-v1-95M", 24000, "CC BY-NC 4.0"),
    "mert-330m": ("m-a-p/MERT-v1-330M", 24000, "CC BY-NC 4.0"),
    "hubert-base": ("facebook/hubert-base-ls960", 16000, "Apache-2.0"),
    "wav2vec2-base": ("facebook/wav2vec2-base", 16000, "Apache-2.0"),
    "data2vec-base": ("facebook/data2vec-audio-base", 16000, "Apache-2.0"),
    "music2vec": ("m-a-p/music2vec-v1", 16000, "CC BY-NC 4.0"),
}
KEY = "encoder.layers.1.feed_forward.output_dense.weight"
CONFIG = {**TINY, **MERT}


@pytest.fixture(scope="module")
def published():
    """Tensors of a tiny MERT; tests copy the dictionary."""
    return files.tensors_of("hubert", 41, **TINY)


@pytest.fixture
def folder(published, tmp_path):
    return files.write(tmp_path / "mert", published, CONFIG, rate=24000)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty hub cache, and no way out."""
    place = tmp_path / "hub"
    place.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(place))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "_resolves", lambda endpoint: False)
    return place


def _load(path, name="mert-95m", **options):
    return models.load(name, Request(weights=path, **options))


def _one_line(error, *parts):
    text = str(error.value)
    assert "\n" not in text
    for part in parts:
        assert part in text, text
    return text


# cards


@pytest.mark.parametrize("name", NAMES)
def test_card(name):
    repo, rate, licence = NAMES[name]
    card = models.spec(name).card
    assert card.name == name and card.sample_rate == rate and card.licence == licence
    assert repo in card.weights_from
    assert card.minimum == 400 and not card.fixed
    assert card.window == (15 if licence == "Apache-2.0" else 5)
    last = card.layers[-1]
    if name == "mert-330m":
        assert (last.name, last.width, len(card.layers)) == ("final", 1024, 7 + 1 + 24 + 1)
    else:
        assert (last.name, last.width, len(card.layers)) == ("block12", 768, 7 + 1 + 12)
    assert last.rate == rate / 320


# layouts


def test_published_layout_loads(folder, published):
    model = _load(folder)
    state = model.network.state_dict()
    used = {n: t for n, t in published.items() if n in state}
    assert set(published) - set(used) == {
        *("masked_spec_embed", f"{PLACE}weight_g", f"{PLACE}weight_v")
    }
    assert all(torch.equal(state[n], t) for n, t in used.items())
    assert model.weights.trained and model.weights.source == "file pytorch_model.bin"
    assert model.normalise and not model.network.training
    assert "3 post-LN blocks of width 128, 2 heads" in model.card.notes
    assert model.card.title.endswith("other size")
    assert [x.name for x in model.layers][7:] == ["frontend", "block01", "block02", "block03"]


PLACE = "encoder.pos_conv_embed.conv."


@pytest.mark.parametrize("change", ["modern", "safetensors", "both", "file", "no mask", "prefix"])
def test_other_forms_of_the_same_weights(change, folder, published, tmp_path):
    """New names of the weight norm, safetensors, the file alone: one hash, one network."""
    tensors, filename = dict(published), "pytorch_model.bin"
    if change in ("modern", "both"):
        tensors = files.modern(tensors)
    if change in ("safetensors", "both"):
        filename = "model.safetensors"
    if change == "no mask":
        del tensors["masked_spec_embed"]
    if change == "prefix":
        tensors = {f"hubert.{name}": tensor for name, tensor in tensors.items()}
    other = files.write(tmp_path / "other", tensors, CONFIG, rate=24000, filename=filename)
    if change == "file":
        (other / "config.json").unlink()  # sizes from the tensors then
        (other / "preprocessor_config.json").unlink()
        other = (other / filename).rename(other / "mine.bin")
    assert _load(other).weights.sha256 == _load(folder).weights.sha256


@pytest.mark.parametrize(
    ("name", "kind"), [("mert-v0", "hubert"), ("mert-v0-public", "music_hubert")]
)
def test_names_of_the_network_in_older_configurations(name, kind, published, tmp_path):
    folder = files.write(tmp_path, published, {**TINY, "model_type": kind})
    model = _load(folder, name)
    assert model.name == name and model.card.sample_rate == 16000


def test_pre_ln(tmp_path):
    sizes = {**TINY, "do_stable_layer_norm": True}
    tensors = files.tensors_of("hubert", 43, **sizes)
    config = {**CONFIG, **sizes, "attention_relax": 32.0}
    model = _load(files.write(tmp_path, tensors, config, rate=24000, normalise=None), "mert-330m")
    assert not model.normalise
    assert model.layers[-1].name == "final" and "3 pre-LN blocks" in model.card.notes
    wave = golden.wave(9000, 24000, 44)[None]
    theirs = files.own_forward("hubert", tensors, wave, **sizes)
    with torch.inference_mode():
        ours = model.forward(wave)
    assert golden.relative_error(ours["final"], theirs["last_hidden_state"]) < 1e-5


@pytest.mark.parametrize("said", [True, False, None])
@pytest.mark.parametrize("name", ["mert-95m", "mert-330m"])
def test_feature_extractor_settles_normalisation(said, name, published, tmp_path):
    folder = files.write(tmp_path, published, CONFIG, rate=24000, normalise=said)
    assert _load(folder, name).normalise == (said if said is not None else name == "mert-95m")


def test_hash_follows_weights_and_manner(folder, published, tmp_path):
    hashes = [_load(folder).weights.sha256]
    for place, (tensors, config, normalise) in enumerate(
        [
            (published | {KEY: published[KEY] + 1e-4}, CONFIG, True),
            (published, {**CONFIG, "num_attention_heads": 4}, True),
            (published, CONFIG, False),
        ]
    ):
        other = tmp_path / str(place)
        files.write(other, tensors, config, rate=24000, normalise=normalise)
        hashes.append(_load(other).weights.sha256)
    assert len(set(hashes)) == 4


def test_wav2vec2_with_the_heads_of_its_training(tmp_path):
    tensors = files.tensors_of("wav2vec2", 45, **TINY)
    whole = {f"wav2vec2.{name}": tensor for name, tensor in tensors.items()}
    for name in ("quantizer.codevectors", "project_hid.weight", "project_q.bias"):
        whole[name] = torch.zeros(2)
    config = {**TINY, "model_type": "wav2vec2"}
    alone = _load(files.write(tmp_path / "a", tensors, config), "wav2vec2-base")
    inside = _load(files.write(tmp_path / "b", whole, config), "wav2vec2-base")
    assert alone.weights.sha256 == inside.weights.sha256
    whole["lm_head.weight"] = torch.zeros(2)
    with pytest.raises(WeightsInvalid) as error:
        _load(files.write(tmp_path / "c", whole, config), "wav2vec2-base")
    _one_line(error, "unexpected", "lm_head.weight")


# strictness


@pytest.mark.parametrize("what", ["missing", "misshapen", "unexpected"])
def test_wrong_tensors_are_named(what, published, tmp_path):
    tensors, name = dict(published), KEY
    if what == "missing":
        del tensors[KEY]
    elif what == "misshapen":
        tensors[KEY] = torch.zeros(128, 191)
    else:
        tensors["surprise.weight"], name = torch.zeros(2), "surprise.weight"
    with pytest.raises(WeightsInvalid) as error:
        _load(files.write(tmp_path, tensors, CONFIG, rate=24000))
    _one_line(error, f"1 {what} tensor", name, "pytorch_model.bin")


def test_configuration_must_fit_the_tensors(published, tmp_path):
    """The last block cut off: the tensors alone would make a shorter network."""
    tensors = {n: t for n, t in published.items() if ".layers.2." not in n}
    with pytest.raises(WeightsInvalid, match="16 missing tensors"):
        _load(files.write(tmp_path, tensors, CONFIG, rate=24000))


@pytest.mark.parametrize("name", [KEY, "encoder.layer_norm.weight", f"{PLACE}weight_v"])
def test_missing_tensors_are_named_without_a_configuration_too(name, published, tmp_path):
    tensors = {n: t for n, t in published.items() if n != name}
    torch.save(tensors, tmp_path / "x.bin")
    with pytest.raises(WeightsInvalid) as error:
        _load(tmp_path / "x.bin")
    _one_line(error, "1 missing tensor", files_name(name))


def files_name(name):
    return next(iter(files.modern({name: None})))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"feature_extractor_cqt": True}, "feature_extractor_cqt"),
        ({"deepnorm": True}, "deepnorm"),
        ({"model_type": "data2vec-audio"}, "data2vec-audio"),
        ({"sample_rate": 16000}, "16000 Hz"),
        ({"hidden_size": "128"}, "hidden_size"),
        ({"conv_kernel": 10}, "conv_kernel"),
        ({"num_attention_heads": 3}, "sizes make no network"),
        ({"conv_stride": [5, 2]}, "sizes make no network"),
    ],
)
def test_configuration_of_another_network(change, says, published, tmp_path):
    folder = files.write(tmp_path, published, {**CONFIG, **change}, rate=24000)
    with pytest.raises(WeightsInvalid) as error:
        _load(folder)
    _one_line(error, "config.json" if "no network" not in says else "", says)


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json"])
@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_settings_that_are_none(file, text, folder):
    (folder / file).write_text(text)
    with pytest.raises(WeightsInvalid) as error:
        _load(folder)
    _one_line(error, file)


def test_feature_extractor_of_another_rate(published, tmp_path):
    folder = files.write(tmp_path, published, CONFIG, rate=16000)
    with pytest.raises(WeightsInvalid, match="preprocessor_config.json: .*16000 Hz"):
        _load(folder)


class _Payload:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


@pytest.mark.parametrize("zipped", [True, False])
def test_pickle_that_would_run_code_is_refused(zipped, published, tmp_path):
    path = tmp_path / "pytorch_model.bin"
    content = {**published, "extra": _Payload(tmp_path / "ran")}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsInvalid) as error:
        _load(path)
    _one_line(error, "refused", "open")
    assert not (tmp_path / "ran").exists()


# the hub


def _put(cache, repo, commit, folder, branch=True):
    place = cache / f"models--{repo.replace('/', '--')}"
    (place / "snapshots").mkdir(parents=True, exist_ok=True)
    shutil.copytree(folder, place / "snapshots" / commit)
    (place / "refs").mkdir(exist_ok=True)
    (place / "refs" / "main").write_text(commit)


@pytest.mark.parametrize("filename", ["pytorch_model.bin", "model.safetensors"])
def test_hub_cache(filename, cache, published, tmp_path):
    """The branch is looked up, the commit that it stood for recorded."""
    spec = models.spec("mert-95m")
    assert not spec.present()
    folder = files.write(tmp_path / "m", published, CONFIG, rate=24000, filename=filename)
    _put(cache, "m-a-p/MERT-v1-95M", "0123456789abcdef" + "0" * 24, folder)
    assert spec.present()
    model = spec.load(Request(offline=True))
    assert model.weights.source == f"hub m-a-p/MERT-v1-95M@01234567 {filename}"
    assert model.weights.sha256 == _load(folder).weights.sha256


def test_hub_cache_without_configuration(cache, published, tmp_path):
    folder = files.write(tmp_path / "m", published, CONFIG, rate=24000)
    (folder / "config.json").unlink()
    _put(cache, "m-a-p/MERT-v1-95M", "a" * 40, folder)
    with pytest.raises(WeightsMissing) as error:
        models.load("mert-95m", Request())
    _one_line(error, "config.json", "m-a-p/MERT-v1-95M", "a" * 40)


@pytest.mark.parametrize("name", NAMES)
def test_nowhere_to_be_had(name, cache):
    repo, _, licence = NAMES[name]
    assert not models.spec(name).present()
    for offline in (True, False):
        with pytest.raises(WeightsMissing) as error:
            models.load(name, Request(offline=offline))
        _one_line(error, repo, licence, "--weights", "--untrained")


def test_nothing_where_the_user_points(tmp_path):
    with pytest.raises(WeightsMissing, match="pytorch_model.bin"):
        _load(tmp_path)
    with pytest.raises(WeightsMissing, match="no such file"):
        _load(tmp_path / "nowhere")


# full size


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind", "sizes", "entries", "numbers", "unused"),
    [
        ("mert-95m", "hubert", {}, 211, 94_371_712, 768 + 128),
        ("mert-330m", "hubert", files.LARGE, 403, 315_428_992, 1024 + 128),
        ("music2vec", "data2vec-audio", {}, 230, 93_164_288, 768),
        ("wav2vec2-base", "wav2vec2", {}, 211, 94_371_712, 768 + 128),
    ],
)
def test_full_size(name, kind, sizes, entries, numbers, unused, tmp_path, monkeypatch):
    """The published counts; the vector for masked frames and the weight norm's g are not kept."""
    tensors = files.tensors_of(kind, 47, **sizes)
    assert len(tensors) == entries
    assert sum(tensor.numel() for tensor in tensors.values()) == numbers
    rate = models.spec(name).card.sample_rate
    config = {**sizes, "model_type": kind}
    model = _load(files.write(tmp_path, tensors, config, rate=rate), name)
    assert model.card == models.spec(name).card
    assert model.card.parameters == numbers - unused
    assert model.card.parameters == sum(p.numel() for p in model.network.parameters())
    wave = golden.wave(rate, rate, 48)[None]
    with torch.inference_mode():
        last = list(model.forward(wave).values())[-1]
    ready = (wave - wave.mean()) / torch.sqrt(wave.var(correction=0) + 1e-7)
    theirs = files.own_forward(kind, tensors, ready, **sizes)["last_hidden_state"]
    assert golden.relative_error(last, theirs) < 1e-5


def test_parameters_of_the_cards_are_those_of_the_papers():
    assert mert.BASE_PARAMETERS == 94_371_712 - 768 - 128
    assert mert.LARGE_PARAMETERS == 315_428_992 - 1024 - 128
    assert json.loads(json.dumps(models.spec("mert-330m").card.as_json()))["window"] == 5.0
