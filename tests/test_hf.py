"""Any audio encoder of transformers: structure, rates, parity with the library, strict loading."""

from __future__ import annotations

import json
import shutil
import threading

import pytest
import torch
import transformers as hf
from hf_folders import SIZES, config_of, save
from safetensors.torch import load_file, save_file

from extract import checkpoint
from extract.errors import ExtractError, OptionUnsuitable, WeightsInvalid, WeightsMissing
from extract.models.base import Request
from extract.models.hf import files
from extract.models.hf.spec import spec_of
from extract.signals import noise
from extract.trial.checks import trial

KINDS = [*SIZES, "clap", "musicgen"]
SPEECH = [kind for kind in KINDS if "conv_dim" in SIZES.get(kind, {})]
BOUND = 1e-5


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """kind -> (folder, the library's own model), made when first asked for."""
    made = {}

    def get(kind: str, head: str = ""):
        if (kind, head) not in made:
            folder = tmp_path_factory.mktemp(kind)
            made[kind, head] = folder, save(kind, folder, head)
        return made[kind, head]

    return get


@pytest.fixture()
def copied(saved, tmp_path):
    """A copy of a folder that a test may spoil."""

    def get(kind: str, head: str = ""):
        return shutil.copytree(saved(kind, head)[0], tmp_path / kind)

    return get


def ours(folder, seconds: float | None = None):
    spec = spec_of(str(folder))
    model = spec.load(Request())
    wave = noise(
        round((seconds or (spec.card.window if spec.card.fixed else 1.0)) * model.sample_rate)
    )
    values = model.windows(wave)[0].values[None]
    with torch.inference_mode():
        return wave, model, model.forward(values)


def theirs(folder, wave, name="input_values"):
    extractor = hf.AutoFeatureExtractor.from_pretrained(folder)
    return extractor(wave.numpy(), sampling_rate=extractor.sampling_rate, return_tensors="pt")[name]


def worst(a, b):
    assert a.shape == b.shape
    return float((a - b).abs().max() / b.abs().max())


def assert_same_states(outputs, result):
    """Front end and blocks against the library's hidden states, the end against its output."""
    states = result.hidden_states
    names = ["frontend", *(name for name in outputs if name.startswith("block"))]
    assert len(states) == len(names)
    for name, state in list(zip(names, states, strict=True))[:-1]:
        assert worst(outputs[name], state) < BOUND, name
    assert worst(outputs[list(outputs)[-1]], result.last_hidden_state) < BOUND


@pytest.mark.parametrize("kind", [k for k in SPEECH if not k.startswith("sew")])
def test_speech_encoders_agree_with_the_library(saved, kind):
    folder, model = saved(kind)
    wave, _, outputs = ours(folder)
    with torch.no_grad():
        result = model(theirs(folder, wave), output_hidden_states=True)
    assert_same_states(outputs, result)


@pytest.mark.parametrize("kind", ["sew", "sew-d"])
def test_squeezed_encoders_have_blocks_at_half_the_rate(saved, kind):
    folder, model = saved(kind)
    wave, mine, outputs = ours(folder)
    rates = {layer.name: layer.rate for layer in mine.card.layers}
    assert rates["conv3"] == 400 and rates["block01"] == 200
    with torch.no_grad():
        states = model(theirs(folder, wave), output_hidden_states=True).hidden_states
    assert worst(outputs["block01"], states[1]) < BOUND


def test_whisper_sees_thirty_seconds_or_what_its_extractor_says(saved):
    folder, model = saved("whisper")
    wave, mine, outputs = ours(folder)
    assert mine.card.fixed and mine.card.window == 4
    with torch.no_grad():
        features = theirs(folder, wave, "input_features")
        result = model.get_encoder()(features, output_hidden_states=True)
    assert_same_states(outputs, result)
    assert {layer.rate for layer in mine.card.layers} == {100.0, 50.0}


def test_w2v_bert_takes_its_own_spectrogram(saved):
    folder, model = saved("wav2vec2-bert")
    wave, mine, outputs = ours(folder)
    with torch.no_grad():
        result = model(theirs(folder, wave, "input_features"), output_hidden_states=True)
    assert_same_states(outputs, result)
    assert {layer.rate for layer in mine.card.layers} == {50.0}


def test_spectrogram_transformers_are_averaged_over_frequency(saved):
    folder, model = saved("audio-spectrogram-transformer")
    wave, mine, outputs = ours(folder)
    with torch.no_grad():
        result = model(theirs(folder, wave), output_hidden_states=True)
    bands, frames = 5, 19
    assert result.last_hidden_state.shape[1] == 2 + bands * frames
    for name, state in zip(["frontend", "block01", "block02"], result.hidden_states, strict=False):
        tokens = state[:, 2:].reshape(1, bands, frames, -1)
        for band_mean, frame in ((tokens[:, :, k].mean(1), k) for k in (0, 7, 18)):
            assert worst(outputs[name][:, frame], band_mean) < BOUND
    assert "frequency" in mine.card.notes and mine.card.window == pytest.approx(2.04)


def test_clap_puts_its_stretches_of_time_in_a_row(saved):
    folder, model = saved("clap")
    wave, mine, outputs = ours(folder)
    with torch.no_grad():
        result = model.audio_model(theirs(folder, wave, "input_features"))
    # [batch, width, frequency, time], as the library itself regroups the last stage
    assert worst(outputs["final"], result.last_hidden_state.mean(2).transpose(1, 2)) < BOUND
    assert mine.card.fixed and mine.card.window == 10
    rates = [layer.rate for layer in mine.card.layers]
    assert rates[0] == pytest.approx(2 * rates[-1])


@pytest.mark.parametrize("kind", ["encodec", "dac", "mimi"])
def test_codecs_give_latents_and_what_is_left_of_them_by_the_codes(saved, kind):
    folder, model = saved(kind)
    wave, mine, outputs = ours(folder, 48000 / 24000)
    x = wave[None, None]
    with torch.no_grad():
        if kind == "dac":
            latent, quantised = model.encoder(x), model.encode(x).quantized_representation
        elif kind == "encodec":
            latent = model.encoder(x)
            codes = model.encode(x, bandwidth=6.0).audio_codes[0]
            quantised = model.quantizer.decode(codes.transpose(0, 1))
        else:
            codes = model.encode(x).audio_codes
            latent, quantised = None, model.quantizer.decode(codes)
    if latent is not None:
        assert worst(outputs["latent"], latent.transpose(1, 2)) < BOUND
    assert worst(outputs["quantised"], quantised.transpose(1, 2)) < BOUND
    assert not torch.allclose(outputs["quantised"], outputs["latent"], atol=1e-3)
    assert not any("decoder" in name for name, _ in mine.network.named_parameters())


def test_musicgen_reads_the_codes_of_the_audio_in_its_delayed_pattern(saved):
    folder, model = saved("musicgen")
    wave, mine, outputs = ours(folder)
    with torch.no_grad():
        codes = model.audio_encoder.encode(wave[None, None]).audio_codes[0]
        start = torch.full((1, 4, 1), 16)
        tokens = torch.cat([start, codes], -1).flatten(0, 1)
        length = tokens.shape[-1]
        _, pattern = model.decoder.build_delay_pattern_mask(tokens, 16, length + 4)
        result = model.decoder.model.decoder(
            torch.where(pattern == -1, 16, pattern)[:, :length], output_hidden_states=True
        )
    for name, states in zip(["frontend", "block01", "block02"], result.hidden_states, strict=False):
        assert worst(outputs[name], states[:, 1:]) < BOUND, name
    assert worst(outputs["final"], result.last_hidden_state[:, 1:]) < BOUND
    assert outputs["final"].shape[1] == codes.shape[-1]
    # zeros for text, as the library generates without a prompt, change nothing
    with torch.no_grad():
        given = model.decoder.model.decoder(
            torch.where(pattern == -1, 16, pattern)[:, :length],
            encoder_hidden_states=torch.zeros(1, 1, 24),
        )
    assert worst(outputs["final"], given.last_hidden_state[:, 1:]) < BOUND


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_passes_its_trial(saved, kind):
    checks = list(trial(spec_of(str(saved(kind)[0])), Request()))
    assert [check for check in checks if check.outcome == "failed"] == []
    assert {c.name for c in checks if c.outcome == "ok"} >= {"widths", "frame rates", "threads"}


@pytest.mark.parametrize(
    "kind, head",
    [
        ("hubert", "HubertForCTC"),
        ("wav2vec2", "Wav2Vec2ForPreTraining"),
        ("whisper", "WhisperForConditionalGeneration"),
        ("audio-spectrogram-transformer", "ASTForAudioClassification"),
    ],
)
def test_heads_are_dropped_and_change_nothing(saved, kind, head):
    folder, model = saved(kind, head)
    wave, mine, outputs = ours(folder)
    own = dict(model.named_parameters())
    for name, parameter in mine.network.named_parameters():
        same = [own[n] for n in own if n.endswith(name) and own[n].shape == parameter.shape]
        assert (
            any(torch.equal(parameter, each) for each in same)
            or "parametrizations" in name
            or (
                name == "encoder.pos_conv_embed.conv.weight"  # worked out of its norm
            )
        ), name


def test_the_same_weights_as_a_pickle_and_in_several_files(saved, copied):
    folder = copied("hubert")
    before = spec_of(str(folder)).load(Request()).weights.sha256
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    assert spec_of(str(folder)).load(Request()).weights.sha256 == before
    (folder / "pytorch_model.bin").unlink()
    names = sorted(tensors)
    places = {}
    for i, part in enumerate((names[::2], names[1::2])):
        save_file({n: tensors[n] for n in part}, folder / f"part{i}.safetensors")
        places |= dict.fromkeys(part, f"part{i}.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    assert spec_of(str(folder)).load(Request()).weights.sha256 == before
    index.write_text(json.dumps({"weight_map": {"a": "../elsewhere.safetensors"}}))
    with pytest.raises(WeightsInvalid, match="outside the folder"):
        spec_of(str(folder)).load(Request())


def spoiled(folder, change):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    with pytest.raises(WeightsInvalid) as error:
        spec_of(str(folder)).load(Request())
    assert "\n" not in str(error.value)
    return str(error.value)


def test_missing_misshapen_and_unexpected_tensors_are_named(copied):
    name = "encoder.layers.1.attention.q_proj.weight"
    folder = copied("hubert")
    assert f"1 unexpected tensor: {name}2" in spoiled(
        folder, lambda t: t.update({f"{name}2": torch.ones(1)})
    )
    assert "unexpected" in spoiled(folder, lambda t: None)
    assert "1 missing tensor: " in spoiled(folder, lambda t: (t.pop(f"{name}2"), t.pop(name)))
    text = spoiled(folder, lambda t: t.update({name: torch.ones(3, 3)}))
    assert f"{name} is (3, 3), needed (24, 24)" in text


def test_a_pickle_that_would_run_code_is_refused(copied):
    import os

    class Evil:
        def __reduce__(self):
            return os.system, ("true",)

    folder = copied("hubert")
    (folder / "model.safetensors").unlink()
    torch.save({"a": Evil()}, folder / "pytorch_model.bin")
    with pytest.raises(WeightsInvalid, match="could run code"):
        spec_of(str(folder)).load(Request())


def write(folder, **fields):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(fields))
    return str(folder)


def test_what_is_no_audio_encoder_is_refused_in_plain_words(tmp_path):
    for fields, words in (
        ({"model_type": "bert"}, "no encoder of audio.* and musicgen; wrap .*docs/own-model.md"),
        ({"model_type": "home", "auto_map": {"AutoModel": "x.Y"}}, "code of its own, which is not"),
        ({}, "names no model_type"),
        ({"model_type": ["hubert"]}, "names no model_type"),
        ({"model_type": "mert_model", "feature_extractor_cqt": True}, "feature_extractor_cqt"),
    ):
        with pytest.raises(OptionUnsuitable, match=words):
            spec_of(write(tmp_path / "m", **fields))
    with pytest.raises(WeightsInvalid, match="config.json is refused"):
        spec_of(write(tmp_path / "m", model_type="hubert", hidden_size="many"))
    with pytest.raises(WeightsInvalid, match=r"num_hidden_layers is 1e\+05, at most 1000"):
        spec_of(write(tmp_path / "m", model_type="hubert", num_hidden_layers=100_000))
    for text, words in (
        ('{\n "a": 1,\n "b" 2\n}', r"config.json: damaged \(line 3, column 6: .*copy the file"),
        (b"\xff{}", "no text in UTF-8"),
        ("[1]", "no table of settings"),
        ("[" * 100_000, "damaged"),
        ('{"hidden_size": ' + "9" * 5000 + "}", "damaged"),
    ):
        data = text if isinstance(text, bytes) else text.encode()
        (tmp_path / "m" / "config.json").write_bytes(data)
        with pytest.raises(WeightsInvalid, match=words) as error:
            spec_of(str(tmp_path / "m"))
        assert "\n" not in str(error.value)
    with pytest.raises(WeightsMissing, match="no config.json"):
        spec_of(str(tmp_path))
    for gone in ("./not/there/at/all", "/nonexistent/x", "~/not-here/x"):
        with pytest.raises(WeightsMissing, match="no such folder here"):
            spec_of(gone)
    with pytest.raises(OptionUnsuitable, match="a file; give the folder"):
        spec_of(str(tmp_path / "m" / "config.json"))
    with pytest.raises(OptionUnsuitable, match="hf:org/name"):
        spec_of("")


def test_code_in_the_folder_is_never_run(copied):
    folder = copied("hubert")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "evil.Model", "AutoConfig": "evil.Config"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text("raise SystemExit('this was run')")
    assert spec_of(str(folder)).load(Request()).card.layers


def test_cousins_of_hubert_load_as_hubert(copied):
    folder = copied("hubert")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mert_model", "vocab_size": "/a/path", "deepnorm": False}
    (folder / "config.json").write_text(json.dumps(config))
    assert "block03" in [layer.name for layer in spec_of(str(folder)).card.layers]


def test_untrained_twins_are_drawn_from_seed_and_name(saved, copied):
    folder = saved("hubert")[0]
    load = spec_of(str(folder)).load
    first, same, other = (load(Request(untrained=True, seed=s)) for s in (0, 0, 1))
    assert first.weights.sha256 == same.weights.sha256 != other.weights.sha256
    assert not first.weights.trained and load(Request()).weights.trained
    elsewhere = spec_of(str(copied("hubert"))).load(Request(untrained=True))
    assert elsewhere.weights.sha256 != first.weights.sha256


def test_the_card_has_the_licence_of_the_readme_and_the_name_as_given(copied):
    folder = copied("hubert")
    assert spec_of(str(folder)).card.licence == "unknown"
    (folder / "README.md").write_text("---\ntags: [x]\nlicense: cc-by-nc-4.0\n---\nlicense: mit\n")
    (folder / "config.json").touch()
    card = spec_of(str(folder)).card
    assert card.licence == "cc-by-nc-4.0" and card.name == f"hf:{folder}"
    assert card.parameters == sum(
        p.numel() for p in hf.HubertModel(config_of("hubert")).parameters()
    )
    assert card.minimum == 105 and card.training_data == "see the model card (README.md)"


def test_a_card_states_no_more_than_the_folder_does(saved, copied):
    card = spec_of(str(saved("wavlm")[0])).card
    assert card.paper == card.training_data == "not stated in the folder"
    assert card.title.endswith(" (wavlm)") and card.title != "wavlm (wavlm)"
    assert spec_of(str(copied("wavlm"))).card.title == "wavlm"


def edited(folder, name, **fields):
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    return str(folder)


@pytest.mark.parametrize(
    "kind, name, field, value",
    [
        ("hubert", "config.json", "conv_stride", [0, 4, 2]),
        ("audio-spectrogram-transformer", "config.json", "frequency_stride", 0),
        ("whisper", "preprocessor_config.json", "chunk_length", "x"),
        ("clap", "preprocessor_config.json", "max_length_s", [1]),
        ("encodec", "config.json", "sampling_rate", -1),
    ],
)
def test_settings_that_make_no_network_are_one_line(copied, kind, name, field, value):
    folder = copied(kind)
    with pytest.raises(ExtractError) as error:
        spec_of(edited(folder, name, **{field: value}))
    assert "\n" not in str(error.value) and str(folder) in str(error.value)


def test_the_sample_rate_is_read_where_it_stands_or_called_assumed(copied, tmp_path):
    folder, settings = copied("hubert"), "preprocessor_config.json"
    assert "ample rate" not in spec_of(str(folder)).card.notes
    (folder / settings).rename(tmp_path / settings)
    edited(folder, "config.json", sample_rate=24000)
    card = spec_of(str(folder)).card  # of a HuBERT the field says nothing
    assert card.sample_rate == 16000
    assert "Sample rate assumed: no preprocessor_config.json" in card.notes
    edited(folder, "config.json", model_type="mert_model")
    card = spec_of(str(folder)).card
    assert card.sample_rate == 24000 and card.layers[-1].rate == 600
    assert "Sample rate from config.json" in card.notes and "assumed" not in card.notes
    with pytest.raises(WeightsInvalid, match="'fast', is no number of hertz"):
        spec_of(edited(folder, "config.json", sample_rate="fast"))
    (tmp_path / settings).rename(folder / settings)  # what the extractor says comes first
    edited(folder, "config.json", sample_rate=24000, nothing="new")
    card = spec_of(str(folder)).card
    assert card.sample_rate == 16000 and "ample rate" not in card.notes


def test_files_of_the_hub_are_taken_from_one_commit(saved, tmp_path, monkeypatch):
    folder = saved("hubert")[0]
    commit = "0123456789abcdef" * 2 + "01234567"
    repo = tmp_path / "models--someone--small"
    shutil.copytree(folder, repo / "snapshots" / commit)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    from huggingface_hub import constants, file_download

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(file_download.constants, "HF_HUB_CACHE", str(tmp_path))
    spec = spec_of("someone/small")
    assert commit in spec.card.weights_from and spec.present()
    model = spec.load(Request(offline=True))
    assert model.weights.source == f"hub someone/small@{commit[:8]} model.safetensors"
    assert model.weights.sha256 == spec_of(str(folder)).load(Request()).weights.sha256
    with pytest.raises(WeightsMissing, match="no such folder here .*repository someone/else"):
        spec_of("someone/else")


def test_half_precision_and_former_names_of_the_weight_norm_load(saved, copied):
    folder = copied("hubert")
    path = folder / "model.safetensors"
    tensors = load_file(path)
    place = "encoder.pos_conv_embed.conv."
    for old, new in (("weight_g", "original0"), ("weight_v", "original1")):
        name = f"{place}parametrizations.weight.{new}"
        if name in tensors:
            tensors[f"{place}{old}"] = tensors.pop(name)
    assert f"{place}weight_g" in tensors
    save_file(tensors, path)
    whole = spec_of(str(folder)).load(Request()).weights.sha256
    assert whole == spec_of(str(saved("hubert")[0])).load(Request()).weights.sha256
    save_file({name: tensor.half() for name, tensor in tensors.items()}, path)
    model = spec_of(str(folder)).load(Request())
    assert {p.dtype for p in model.network.parameters()} == {torch.float32}
    assert torch.isfinite(model.forward(noise(16000)[None])["block03"]).all()


def test_weights_elsewhere_are_taken_when_asked(saved, copied):
    folder = copied("hubert")
    (folder / "model.safetensors").unlink()
    spec = spec_of(str(folder))
    assert not spec.present()
    with pytest.raises(WeightsMissing, match="model.safetensors"):
        spec.load(Request())
    given = saved("hubert")[0] / "model.safetensors"
    assert spec.load(Request(weights=given)).weights.source == "file model.safetensors"


def test_a_folder_without_an_extractor_gets_the_usual_one(copied):
    folder = copied("whisper")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(OptionUnsuitable, match="layers cannot be found"):
        spec_of(str(folder))  # the usual one makes thirty seconds, this network takes four
    folder = copied("hubert")
    (folder / "preprocessor_config.json").unlink()
    assert spec_of(str(folder)).card.sample_rate == 16000


@pytest.mark.parametrize("kind", ["encodec", "mimi", "dac", "musicgen"])
def test_untrained_codecs_have_code_vectors(saved, kind):
    model = spec_of(str(saved(kind)[0])).load(Request(untrained=True))
    outputs = model.forward(noise(24000)[None])
    for name, output in outputs.items():
        assert torch.isfinite(output).all() and float(output.std()) > 1e-6, name


def test_two_threads_at_once(saved):
    wave, model, outputs = ours(saved("wavlm")[0])
    values = model.windows(wave)[0].values[None]
    found = []

    def work():
        with torch.inference_mode():
            found.append(worst(model.forward(values)["block03"], outputs["block03"]))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and max(found) < BOUND


def test_the_safetensors_file_comes_before_the_pickle(copied):
    folder = copied("hubert")
    (folder / "pytorch_model.bin").write_bytes(b"not weights")
    source = files.source_of(str(folder))
    tensors, where = files.read(source, None, offline=True)
    assert where == "file model.safetensors"
    assert tensors.keys() == checkpoint.read(folder / "model.safetensors").keys()
    (folder / "model.safetensors").unlink()
    with pytest.raises(ExtractError):
        files.read(source, None, offline=True)
