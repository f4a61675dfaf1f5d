"""CLMR against the original's outputs, its published layouts, and its behaviour on any clip."""

from __future__ import annotations

import zipfile
from concurrent.futures import ThreadPoolExecutor

import golden
import lightning_files
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from extract.errors import OptionUnsuitable, WeightsInvalid, WeightsMissing
from extract.models import clmr
from extract.models.base import Request
from extract.models.waveconv import Block, Framed, block
from extract.weights import sha256_of_tensors

LAST = "sequential.10.0.weight"


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    """The network's published tensors, drawn by the golden rule, counters included."""
    state = clmr.Published().state_dict()
    drawn = golden.draw_weights({n: t.shape for n, t in state.items()}, 21)
    counters = {n for n in drawn if n.endswith("running_var")}
    drawn |= {n.replace("running_var", "num_batches_tracked"): torch.tensor(7) for n in counters}
    return drawn


@pytest.fixture(scope="module")
def plain(tensors, tmp_path_factory):
    path = tmp_path_factory.mktemp("clmr") / "plain.pt"
    torch.save({f"encoder.{n}": t for n, t in tensors.items()}, path)
    return path


@pytest.fixture(scope="module")
def model(plain) -> clmr.Clmr:
    return clmr.load(Request(weights=plain))


@pytest.fixture(scope="module")
def untrained() -> clmr.Clmr:
    return clmr.load(Request(untrained=True))


def run(model, values, until=None):
    with torch.inference_mode():
        return model.forward(values, until)


def training(tensors) -> dict[str, torch.Tensor]:
    """State of the whole training module: the encoder twice, and the projector."""
    head = {"projector.0.weight": torch.ones(512, 512), "projector.2.weight": torch.ones(64, 512)}
    inside = {f"encoder.{n}": t for n, t in tensors.items()}
    return inside | {f"model.{n}": t.clone() for n, t in {**inside, **head}.items()}


# parity


def test_the_rule_gives_the_golden_weights(tensors):
    saved, info = golden.read("clmr")
    names = [n for n in sorted(tensors) if not n.endswith("num_batches_tracked")]
    assert [f"encoder.{n}" for n in names] == info["tensor_names"]
    sums = torch.stack([tensors[n].double().sum() for n in names])
    assert ((sums - saved["check.weight_sum"]).abs() < 1e-6 * saved["check.weight_abs_sum"]).all()


def test_every_layer_is_the_originals(model):
    saved, _ = golden.read("clmr")
    noise = torch.randn(59049, generator=torch.Generator().manual_seed(2003))
    waves = [golden.wave(59049, 22050, 2001), 4 * golden.wave(59049, 22050, 2002), noise]
    assert torch.equal(torch.stack(waves)[:, :256], saved["wave_head"])
    outputs = run(model, torch.stack(waves))
    assert list(outputs) == [layer.name for layer in model.layers]
    for place, values in enumerate(outputs.values()):
        ours = values.transpose(1, 2)
        parts = {"mean": ours.mean(2), "head": ours[:, :16, :16], "tail": ours[:, :16, -16:]}
        for part, value in parts.items():
            key = f"block{place:02d}.{part}"
            assert golden.relative_error(value, saved[key]) < 1e-5, key
    assert golden.relative_error(outputs["conv11"][:, 0], saved["embedding"]) < 1e-5


@pytest.mark.parametrize("pooled", [False, True])
def test_folded_blocks_are_the_plain_steps(pooled):
    published = block(7, 5)
    state = {n: t.shape for n, t in published.state_dict().items()}
    published.load_state_dict(golden.draw_weights(state, 3))
    conv, norm = published
    norm.weight.data[:2] *= -1  # the maximum must not come before a sign
    x = torch.randn(2, 9, 7, generator=torch.Generator().manual_seed(1))
    y = F.conv1d(x.transpose(1, 2), conv.weight, conv.bias, padding=1)
    y = F.batch_norm(y, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    y = torch.relu(y)
    y = F.max_pool1d(y, 3) if pooled else y
    with torch.inference_mode():
        ours = Block(published, pooled=pooled)(x)
    torch.testing.assert_close(ours, y.transpose(1, 2), rtol=1e-5, atol=1e-6)


def test_the_first_block_reads_no_sample_twice():
    published = block(1, 4)
    x = torch.randn(2, 12, generator=torch.Generator().manual_seed(1))
    conv = published[0]
    plain = torch.relu(F.conv1d(x[:, None], conv.weight, conv.bias, stride=3) / (1 + 1e-5) ** 0.5)
    with torch.inference_mode():
        ours = Framed(published)(x)
    torch.testing.assert_close(ours, plain.transpose(1, 2), rtol=1e-5, atol=1e-6)


# layouts


def test_every_published_layout_gives_the_same_weights(tensors, model, tmp_path):
    torch.save(tensors, tmp_path / "bare.pt")
    torch.save(tensors, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    torch.save({**tensors, "fc.weight": torch.ones(50, 512), "fc.bias": torch.ones(50)},
               tmp_path / "fc.pt")  # fmt: skip
    save_file({f"encoder.{n}": t for n, t in tensors.items()}, tmp_path / "a.safetensors")
    without = {n: t for n, t in tensors.items() if not n.endswith("num_batches_tracked")}
    torch.save(without, tmp_path / "no-counters.pt")
    lightning_files.write(tmp_path / "clmr_epoch=10000.ckpt", training(tensors), "1.0.0")
    with zipfile.ZipFile(tmp_path / clmr.ARCHIVE, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("clmr_magnatagatune_mlp")
        archive.write(tmp_path / "clmr_epoch=10000.ckpt", clmr.CHECKPOINT)
        archive.writestr("clmr_magnatagatune_mlp/finetuner.ckpt", b"x")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.write(tmp_path / "bare.pt", "clmr_checkpoint_10000.pt")
        archive.writestr("__MACOSX/._clmr_checkpoint_10000.pt", b"x")
        archive.writestr("README", b"x")
    for path in sorted(tmp_path.iterdir()):
        again = clmr.load(Request(weights=path))
        assert again.weights.sha256 == model.weights.sha256, path.name
        assert again.weights.source == f"file {path.name}" and again.weights.trained
    assert clmr.load(Request(weights=tmp_path)).weights.source == f"file {clmr.ARCHIVE}"


def test_the_archive_in_its_place_is_found(plain, model, tmp_path, monkeypatch):
    monkeypatch.setenv("RSA_CACHE", str(tmp_path))
    assert not clmr.SPEC.present()
    with pytest.raises(WeightsMissing) as error:
        clmr.load(Request())
    text = str(error.value)
    for part in (clmr.URL, "Apache-2.0", "--weights", "--untrained", str(tmp_path)):
        assert part in text
    assert "\n" not in text
    with zipfile.ZipFile(tmp_path / "clmr" / clmr.ARCHIVE, "w") as archive:
        archive.write(plain, clmr.CHECKPOINT)
    assert clmr.SPEC.present()
    assert clmr.load(Request(offline=True)).weights.sha256 == model.weights.sha256
    left = {path.name for path in tmp_path.rglob("*")}
    assert left == {"clmr", clmr.ARCHIVE}, "nothing unpacked stays"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({LAST: None}, f"1 missing tensor: {LAST}"),
        ({LAST: torch.ones(512, 512, 5)}, r"1 misshapen tensor: sequential.10.0.weight is \(512"),
        ({"sequential.11.0.weight": torch.ones(2)}, "1 unexpected tensor: sequential.11.0.weight"),
        ({"other.weight": torch.ones(2)}, "1 unexpected tensor: other.weight"),
    ],
    ids=["missing", "misshapen", "one more", "a stranger"],
)
def test_wrong_tensors_are_named(tensors, change, message, tmp_path):
    changed = {n: t for n, t in {**tensors, **change}.items() if t is not None}
    torch.save(changed, tmp_path / "x.pt")
    with pytest.raises(WeightsInvalid, match=message) as error:
        clmr.load(Request(weights=tmp_path / "x.pt"))
    assert "x.pt" in str(error.value) and "\n" not in str(error.value)


def test_two_encoders_that_differ_are_refused(tensors, tmp_path):
    state = training(tensors)
    state[f"encoder.{LAST}"] = state[f"encoder.{LAST}"] + 1e-3
    lightning_files.write(tmp_path / "x.ckpt", state, "1.8.6")
    with pytest.raises(WeightsInvalid, match=f"x.ckpt: .*{LAST} differs"):
        clmr.load(Request(weights=tmp_path / "x.ckpt"))


def test_a_pickled_stranger_is_refused(tensors, tmp_path):
    file = tmp_path / "x.ckpt"
    torch.save({"state_dict": tensors, "stage": lightning_files.Stage.FIRST}, file)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(file, clmr.CHECKPOINT)
    for path in (file, tmp_path / "x.zip"):
        with pytest.raises(WeightsInvalid, match="lightning_files.Stage") as error:
            clmr.load(Request(weights=path))
        assert str(error.value).startswith(f"{path}: refused")


def test_archives_that_are_not_the_release(tensors, tmp_path, monkeypatch):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("README", b"x")
    with pytest.raises(WeightsInvalid, match="x.zip: one checkpoint was expected in it, .*none"):
        clmr.load(Request(weights=path))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.pt", b"x")
        archive.writestr("b.pt", b"x")
    with pytest.raises(WeightsInvalid, match="a.pt, b.pt"):
        clmr.load(Request(weights=path))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(clmr.CHECKPOINT, b"x" * 100)
    with pytest.raises(WeightsInvalid, match="x.zip: .*damaged"):
        clmr.load(Request(weights=path))
    monkeypatch.setattr(clmr, "LARGEST", 99)
    with pytest.raises(WeightsInvalid, match="would be 100 bytes; at most 99"):
        clmr.load(Request(weights=path))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_with_broken_bytes(method, tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(clmr.CHECKPOINT, bytes(range(256)) * 20)
    content = bytearray(path.read_bytes())
    content[150:170] = b"!" * 20
    path.write_bytes(content)
    with pytest.raises(WeightsInvalid, match="x.zip: clmr_magnatagatune_mlp.* cannot be read"):
        clmr.load(Request(weights=path))


# behaviour


def test_card_tells_the_truth(untrained):
    card = clmr.CARD
    assert sum(p.numel() for p in clmr.Published().parameters()) == card.parameters
    assert [layer.depth for layer in card.layers] == list(range(11))
    assert round(card.window * card.sample_rate) == 59049
    outputs = run(untrained, golden.wave(59049, 22050, 1)[None])
    for layer in card.layers:
        frames = outputs[layer.name].shape[1]
        assert outputs[layer.name].shape[2] == layer.width
        # frames tile the window: the first and the last are as far from its ends
        last = layer.center + (frames - 1) / layer.rate
        assert layer.center == pytest.approx((59049 - 1) / 22050 - last, abs=1e-9)
        assert frames == pytest.approx(layer.rate * card.window) or layer.name == "conv11"


def test_until_stops(untrained, monkeypatch):
    values = golden.wave(59049, 22050, 1)[None]
    whole = run(untrained, values)

    def never(x):
        raise AssertionError("ran further")

    monkeypatch.setattr(untrained.network.blocks[4], "forward", never)
    part = run(untrained, values, "conv04")
    assert list(part) == ["conv01", "conv02", "conv03", "conv04"]
    assert all(torch.equal(part[name], whole[name]) for name in part)


def test_rows_and_threads_do_not_meet(untrained):
    rows = torch.stack([golden.wave(59049, 22050, seed) for seed in (1, 2)])
    together = run(untrained, rows)
    with ThreadPoolExecutor(2) as pool:
        alone = list(pool.map(lambda row: run(untrained, row[None]), rows))
    for layer in untrained.layers:
        for place in range(2):
            error = golden.relative_error(alone[place][layer.name][0], together[layer.name][place])
            assert error < 1e-5


def test_silence_and_clipping_are_finite(untrained):
    square = torch.sign(golden.wave(59049, 22050, 1))
    for values in run(untrained, torch.stack([torch.zeros(59049), square])).values():
        assert torch.isfinite(values).all()


def test_a_click_is_where_the_frames_say(untrained):
    noise = 0.05 * torch.randn(59049, generator=torch.Generator().manual_seed(1))
    click = noise.clone()
    click[31000] += 1.0
    quiet, loud = (run(untrained, x[None]) for x in (noise, click))
    for layer in untrained.layers:
        change = (loud[layer.name] - quiet[layer.name])[0].norm(dim=1)
        time = layer.center + int(change.argmax()) / layer.rate
        if len(change) > 1:
            assert abs(time - 31000 / 22050) <= 1 / layer.rate, layer.name


@pytest.mark.parametrize(
    ("samples", "count"), [(1, 1), (59048, 1), (59049, 1), (59050, 2), (118098, 2), (661500, 12)]
)
def test_windows(untrained, samples, count):
    waveform = torch.arange(samples) + 1.0
    windows = untrained.windows(waveform)
    assert len(windows) == count
    assert all(len(w.values) == 59049 for w in windows)
    edges = [w.owns for w in windows]
    assert edges[0][0] == 0 and edges[-1][1] == samples / 22050
    assert [a for a, _ in edges[1:]] == [b for _, b in edges[:-1]]
    if samples > 59049:
        assert windows[-1].values[-1] == samples
    else:
        assert (windows[0].values[samples:] == 0).all()
    with pytest.raises(OptionUnsuitable, match="windows itself"):
        untrained.recut(5.0, None)


def test_untrained_twins():
    one, two, other = (clmr.load(Request(untrained=True, seed=s)) for s in (0, 0, 1))
    assert one.weights.sha256 == two.weights.sha256 != other.weights.sha256
    assert one.weights.source == "untrained, seed 0" and not one.weights.trained
    for name, values in run(one, 0.1 * torch.randn(1, 59049)).items():
        assert 0.01 < float(values.std()) < 10, name
        assert float((values > 0).float().mean()) > 0.1, name


def test_the_hash_is_of_the_published_numbers(tensors, model):
    kept = {n: t for n, t in tensors.items() if not n.endswith("num_batches_tracked")}
    assert model.weights.sha256 == sha256_of_tensors(kept)
