"""The TUNe family: structure against published sizes, outputs against the originals', loading."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import golden
import lightning_files
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from extract.errors import OptionUnsuitable, WeightsInvalid, WeightsMissing
from extract.models import tune
from extract.models.base import Request
from extract.models.waveconv import Upsampling, transposed
from extract.weights import drawing

# parameters of the published networks, each with a classifier of 50 tags
SIZES = {
    "vanilla": 2_366_046,
    "vanilla-xs": 364_908,
    "cont1": 2_284_350,
    "cont2": 2_144_256,
    "cont3": 1_656_394,
    "expa1": 2_344_898,
    "expa2": 2_381_496,
    "expa3": 2_344_426,
    "tail1": 2_321_562,
    "tail2": 2_258_508,
    "tail3": 2_266_836,
    "tail4": 2_315_784,
    "tail5": 2_122_620,
    "plus": 2_246_040,
    "plus-xl": 7_432_782,
    "tail5-xl": 4_387_116,
    "tail5-32": 248_256,
    "tail5-64": 335_392,
    "tail5-128": 588_936,
    "tail5-256": 1_436_296,
    "tail5-1024": 9_820_024,
}
SMALL = tune.Variant("small", 2, (3, 4, 5, 6, 7), linked=True)


def run(model, values, until=None):
    with torch.inference_mode():
        return model.forward(values, until)


def drawn(detail: str, seed: int) -> dict[str, torch.Tensor]:
    """Published tensors by the golden rule, with counters."""
    with torch.device("meta"):
        state = tune.Published(tune.VARIANTS[detail]).state_dict()
    tensors = golden.draw_weights({n: t.shape for n, t in state.items()}, seed)
    counters = [n for n in tensors if n.endswith("running_var")]
    return tensors | {
        n.replace("running_var", "num_batches_tracked"): torch.tensor(7) for n in counters
    }


@pytest.fixture(scope="module")
def tensors():
    return drawn("tail5", 31)


@pytest.fixture(scope="module")
def untrained():
    return tune.TAIL5.load(Request(untrained=True))


# structure


def test_every_member_has_the_published_size():
    named = {detail for detail in tune.VARIANTS if not detail.endswith("-free")}
    assert named == set(SIZES)
    for detail, size in SIZES.items():
        card = tune.spec_of(detail).card
        assert card.parameters + 50 * (card.layers[-1].width + 1) == size, detail


def test_the_free_members_span_the_published_range():
    sizes = [tune.spec_of(d).card.parameters + 25_650 for d in tune.VARIANTS if "free" in d]
    assert (round(min(sizes) / 1e6, 1), round(max(sizes) / 1e6, 1)) == (1.4, 77.6)


def test_number_of_tensors_is_that_of_the_published_files(tensors):
    counts = {d: len(drawn(d, 0)) + 2 for d in ("vanilla", "plus")}
    assert counts == {"vanilla": 101, "plus": 136} and len(tensors) + 2 == 136


def test_layers_of_the_main_model_are_the_appendix_table():
    table = """Contr-1 11 59049|Contr-2 22 19683|Contr-3 44 6561|Contr-4 88 2187|Bot-U 176 729
        |Expa-1 88 2187|Expa-2 44 6561|Expa-3 22 19683|Expa-4 11 59049|Tail-1 22 19683
        |Tail-2 44 6561|Tail-3 88 2187|Tail-4 176 729|Tail-5 352 243|Tail-6 352 81|Tail-7 352 27
        |Tail-8 352 9|Tail-9 512 3"""
    card = tune.TAIL5.card
    rows = [(x.name, x.width, round(x.rate * card.window)) for x in card.layers]
    assert rows == [(n, int(w), int(f)) for n, w, f in (r.split() for r in table.split("|"))]
    assert [x.depth for x in card.layers] == list(range(18))
    assert [(x.name, x.rate) for x in tune.PLUS.card.layers] == [
        (x.name, x.rate) for x in card.layers
    ]


@pytest.mark.parametrize("detail", ["cont1", "cont3", "expa1", "expa2", "tail2", "tail5-32"])
def test_members_put_out_what_their_cards_say(detail):
    model = tune.spec_of(detail).load(Request(untrained=True))
    outputs = run(model, golden.wave(59049, 22050, 1)[None])
    assert list(outputs) == [layer.name for layer in model.layers]
    for layer in model.layers:
        frames = outputs[layer.name].shape[1]
        assert outputs[layer.name].shape[2] == layer.width
        assert frames == pytest.approx(layer.rate * model.window)
        last = layer.center + (frames - 1) / layer.rate
        assert layer.center == pytest.approx(59048 / 22050 - last, abs=1e-9)
        assert torch.isfinite(outputs[layer.name]).all()


def test_other_names_are_refused_in_one_line():
    assert tune.spec_of("tail5") is tune.TAIL5 and tune.spec_of("plus") is tune.PLUS
    assert tune.spec_of("cont2").card.name == "tune:cont2"
    for detail, words in (
        ("tail6", r"tune:tail6 is unknown; did you mean tune:tail\d\? There are vanilla, .*plus"),
        ("PLUS-XL", r"did you mean tune:plus-xl\?"),
        ("quartz", "tune:quartz is unknown; there are vanilla, "),
        ("", r"tune: which variant\? After the colon goes one of vanilla, "),
    ):
        with pytest.raises(OptionUnsuitable, match=words) as error:
            tune.spec_of(detail)
        assert "--weights" not in str(error.value)
    with pytest.raises(OptionUnsuitable, match="hybrid-frozen is not offered: what stands between"):
        tune.spec_of("hybrid-frozen")


# parity


@pytest.mark.parametrize(
    ("detail", "seed", "waves"),
    [("tail5", 31, 3001), ("plus", 32, 3011), ("expa3", 33, 3021), ("vanilla", 34, 3031)],
)
def test_every_layer_is_the_originals(detail, seed, waves, tmp_path):
    saved, info = golden.read("tune")
    tensors = drawn(detail, seed)
    names = [n for n in sorted(tensors) if not n.endswith("num_batches_tracked")]
    assert names == info["tensor_names"][detail]
    sums = torch.stack([tensors[n].double().sum() for n in names])
    allowed = 1e-6 * saved[f"{detail}.check.weight_abs_sum"]
    assert ((sums - saved[f"{detail}.check.weight_sum"]).abs() < allowed).all()
    torch.save(tensors, tmp_path / "x.pt")
    model = tune.spec_of(detail).load(Request(weights=tmp_path / "x.pt"))
    rows = [
        golden.wave(59049, 22050, waves),
        4 * golden.wave(59049, 22050, waves + 1),
        torch.randn(59049, generator=torch.Generator().manual_seed(waves + 2)),
    ]
    outputs = run(model, torch.stack(rows))
    assert list(outputs) == info[detail]["layers"]
    for name, values in outputs.items():
        ours = values.transpose(1, 2)
        parts = {"mean": ours.mean(2), "head": ours[:, :16, :16], "tail": ours[:, :16, -16:]}
        for part, value in parts.items():
            key = f"{detail}.{name}.{part}"
            assert golden.relative_error(value, saved[key]) < 1e-5, key
    embedding = values.mean(1)
    assert golden.relative_error(embedding, saved[f"{detail}.embedding"]) < 1e-5


def test_deeper_scales_are_the_plain_steps():
    """No original output is at hand for these: the network is written out once more."""
    variant = tune.Variant("x", 2, (3, 4, 5, 6), deeper=2)
    published = tune.Published(variant)
    state = {n: t.shape for n, t in published.state_dict().items()}
    published.load_state_dict(golden.draw_weights(state, 5))
    w = published.state_dict()

    def conv(name, x):
        y = F.conv1d(x, w[f"{name}.layers.0.weight"], w[f"{name}.layers.0.bias"], padding=1)
        norm = [w[f"{name}.layers.1.{k}"] for k in ("running_mean", "running_var")]
        norm += [w[f"{name}.layers.1.{k}"] for k in ("weight", "bias")]
        return torch.relu(F.batch_norm(y, *norm))

    def up(name, x):
        return F.conv_transpose1d(x, w[f"{name}.weight"], w[f"{name}.bias"], stride=3)

    x, path = golden.wave(2187, 22050, 1)[None, None], []
    for name in [f"conv{i}" for i in range(1, 6)] + ["deeperDown1", "deeperDown2"]:
        x = conv(name, F.max_pool1d(x, 3) if path else x)
        path.append(x)
    path.pop()
    steps = [("transposedDeeper1", "deeperUp1"), ("transposedDeeper2", "deeperUp2")]
    for rise, name in steps + [(f"transposedConv{i}", f"conv{i}") for i in range(6, 10)]:
        x = conv(name, torch.cat([up(rise, x), path.pop()], 1))
    for name in [f"convDown{i}" for i in range(1, 5)]:
        x = conv(name, F.max_pool1d(x, 3))
    with torch.inference_mode():
        taps = dict(tune.TailedUNet(variant, published)(golden.wave(2187, 22050, 1)[None]))
    assert golden.relative_error(taps["Tail-4"].transpose(1, 2), x) < 1e-5


def test_upsampling_is_the_transposed_convolution():
    published = transposed(6, 4)
    torch.nn.init.normal_(published.bias)
    x = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        plain = published(x.transpose(1, 2)).transpose(1, 2)
        torch.testing.assert_close(Upsampling(published)(x), plain, rtol=1e-5, atol=1e-6)


# loading


def test_every_layout_gives_the_same_weights(tensors, tmp_path):
    state = {f"model.encoder.{n}": t for n, t in tensors.items()}
    state |= {f"encoder.{n}": t for n, t in tensors.items()}
    state |= {"model.projector.0.weight": torch.ones(512, 512), "fc.weight": torch.ones(50, 512)}
    lightning_files.write(tmp_path / tune.FILES["tail5"], state, "1.8.6")
    torch.save({f"net.{n}": t for n, t in tensors.items()}, tmp_path / "net.pt")
    save_file(tensors, tmp_path / "a.safetensors")
    loaded = [tune.TAIL5.load(Request(weights=p)) for p in (*sorted(tmp_path.iterdir()), tmp_path)]
    assert len(loaded) == 4 and len({model.weights.sha256 for model in loaded}) == 1
    assert loaded[-1].weights.source == f"file {tune.FILES['tail5']}"
    assert all(model.weights.trained for model in loaded)


@pytest.mark.parametrize("renamed", [lambda i: i, lambda i: 4 - i, lambda i: i + 5])
def test_deeper_modules_are_known_by_their_shapes(renamed, tmp_path):
    tensors = drawn("cont3", 7)
    torch.save(tensors, tmp_path / "as-here.pt")
    other = {}
    for name, tensor in tensors.items():
        for kind in ("deeperDown", "deeperUp", "transposedDeeper"):
            if name.startswith(kind):
                place, _, rest = name.removeprefix(kind).partition(".")
                name = f"{kind}{renamed(int(place))}.{rest}"
        other[name] = tensor
    torch.save(other, tmp_path / "other.pt")
    hashes = {
        tune.spec_of("cont3").load(Request(weights=path)).weights.sha256
        for path in tmp_path.iterdir()
    }
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"convDown9.layers.1.bias": None}, "1 missing tensor: convDown9.layers.1.bias"),
        (
            {"transposedConv6.weight": torch.ones(176, 88, 5)},
            r"1 misshapen tensor: transposedConv6.weight is \(176, 88, 5\), needed \(176, 88, 3\)",
        ),
        ({"conv10.layers.0.weight": torch.ones(2)}, "1 unexpected .*: conv10.layers.0.weight"),
    ],
    ids=["missing", "misshapen", "unexpected"],
)
def test_wrong_tensors_are_named(tensors, change, message, tmp_path):
    changed = {n: t for n, t in {**tensors, **change}.items() if t is not None}
    torch.save(changed, tmp_path / "x.ckpt")
    with pytest.raises(WeightsInvalid, match=message) as error:
        tune.TAIL5.load(Request(weights=tmp_path / "x.ckpt"))
    assert "x.ckpt" in str(error.value) and "\n" not in str(error.value)


def test_weights_of_another_member_are_refused(tensors, tmp_path):
    torch.save(tensors, tmp_path / "x.ckpt")
    with pytest.raises(WeightsInvalid, match="4 misshapen tensors: convDown1.layers.0.weight"):
        tune.PLUS.load(Request(weights=tmp_path / "x.ckpt"))
    with pytest.raises(WeightsInvalid, match="unexpected|missing|misshapen"):
        tune.spec_of("cont1").load(Request(weights=tmp_path / "x.ckpt"))


def test_a_pickled_stranger_is_refused(tensors, tmp_path):
    content = {"state_dict": tensors, "stage": lightning_files.Stage.FIRST}
    torch.save(content, tmp_path / "x.ckpt")
    with pytest.raises(WeightsInvalid, match="x.ckpt: refused: .*lightning_files.Stage"):
        tune.TAIL5.load(Request(weights=tmp_path / "x.ckpt"))


@pytest.mark.parametrize("detail", ["tail5", "plus", "cont1"])
def test_missing_weights_say_where_they_come_from(detail, tmp_path):
    spec = tune.spec_of(detail)
    with pytest.raises(WeightsMissing) as error:
        spec.load(Request())
    text = str(error.value)
    for part in (spec.card.name, tune.REPOSITORY, "no licence", "--weights", "--untrained"):
        assert part in text
    assert "\n" not in text and not spec.present()
    with pytest.raises(WeightsMissing, match="give the file itself"):
        spec.load(Request(weights=tmp_path))


# behaviour


def test_until_stops(untrained, monkeypatch):
    values = golden.wave(59049, 22050, 1)[None]
    whole = run(untrained, values)

    def never(x):
        raise AssertionError("ran further")

    monkeypatch.setattr(untrained.network.rise[1], "forward", never)
    part = run(untrained, values, "Expa-1")
    assert list(part) == list(whole)[:6]
    assert all(torch.equal(part[name], whole[name]) for name in part)


@pytest.mark.parametrize("spec", [tune.TAIL5, tune.PLUS], ids=["tail5", "plus"])
def test_rows_and_threads_do_not_meet(spec):
    model = spec.load(Request(untrained=True))
    rows = torch.stack([golden.wave(59049, 22050, seed) for seed in (1, 2)])
    together = run(model, rows)
    with ThreadPoolExecutor(2) as pool:
        alone = list(pool.map(lambda row: run(model, row[None]), rows))
    for layer in model.layers:
        for place, outputs in enumerate(alone):
            error = golden.relative_error(outputs[layer.name][0], together[layer.name][place])
            assert error < 1e-5, layer.name


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
        assert abs(time - 31000 / 22050) <= 1.001 / layer.rate, layer.name


@pytest.mark.parametrize(("samples", "count"), [(1, 1), (59048, 1), (59049, 1), (59050, 2)])
def test_windows(untrained, samples, count):
    windows = untrained.windows(torch.ones(samples))
    assert [len(w.values) for w in windows] == [59049] * count
    assert windows[-1].owns[1] == samples / 22050


def test_untrained_twins():
    loads = [tune.TAIL5.load(Request(untrained=True, seed=s)) for s in (0, 0, 1)]
    one, two, other = (model.weights.sha256 for model in loads)
    assert one == two != other and not loads[0].weights.trained
    first = loads[0].network.down[0].weight
    plus = tune.PLUS.load(Request(untrained=True)).network.down[0].weight
    assert first.shape == plus.shape and not torch.equal(first, plus)
    for name, values in run(loads[0], 0.1 * torch.randn(1, 59049)).items():
        assert 0.01 < float(values.std()) < 10, name
        assert float((values > 0).float().mean()) > 0.1, name


def test_links_bring_the_block_of_the_same_scale():
    """Without one link, its block of the tail and what follows are others, and no block before."""
    with drawing("x", 0):
        published = tune.Published(SMALL)
    network = tune.TailedUNet(SMALL, published).eval()
    values = golden.wave(729, 22050, 1)[None]
    with torch.inference_mode():
        before = dict(network(values))
        for place in range(4):
            layer = network.tail[place]
            kept = layer.weight.clone()
            width = SMALL.width(place + 1)
            layer.weight[:, -width:] = 0
            after = dict(network(values))
            changed = [n for n in before if not torch.equal(before[n], after[n])]
            assert changed == list(before)[9 + place :]
            layer.weight.copy_(kept)
