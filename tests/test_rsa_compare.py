"""Whole comparisons: borders, files, chance over groups, coverage of intervals."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

import rsa

FAST = ("cka:linear,debiased", "svcca:var=0.99,mean", "pwcca:var=0.99,mean")


def source(name, seed, widths=(6, 4), n=60, group=3, base=None):
    rng = np.random.default_rng(seed)
    layers = {
        f"block{i:02d}": (
            rng.standard_normal((n, w)) + (0 if base is None else base[:, :1])
        ).astype(np.float32)
        for i, w in enumerate(widths, 1)
    }
    return rsa.Matrices(name, layers, np.repeat(np.arange(n // group), group).astype(str))


@pytest.fixture(scope="module")
def comparison():
    base = np.random.default_rng(9).standard_normal((60, 1))
    return rsa.compare(
        source("a", 0, base=base), source("b", 1, (3, 5, 7), base=base), source("ref", 2, (2,)),
        measures=[*FAST, "cka:linear,track-debiased", "cka:linear,biased",
                  "mi:gaussian,pca=2,held-out"],
        draws=19, rows="frames:5",
    )  # fmt: skip


def test_pairs_within_and_between_by_name_and_by_place(comparison):
    across = comparison["a", "b"]
    assert across is comparison.between(0, 1)
    assert across.layers_x == ("block01", "block02") and len(across.layers_y) == 3
    assert len(across.measures) == 6
    for result in across.measures:
        assert result.value.shape == result.chance_high.shape == (2, 3)
        assert np.isfinite(result.value).all()
    within = comparison["a", "a"]["cka:linear,debiased"]
    np.testing.assert_allclose(within.value, within.value.T)
    with pytest.raises(rsa.RsaError, match="'c' was not compared"):
        comparison["a", "c"]


def test_a_pair_does_not_depend_on_what_else_is_compared(comparison):
    base = np.random.default_rng(9).standard_normal((60, 1))
    alone = rsa.compare(
        source("a", 0, base=base), source("b", 1, (3, 5, 7), base=base), measures=FAST, draws=19
    )["a", "b"]
    for name in FAST:
        for field in ("value", "low", "high"):
            np.testing.assert_allclose(
                getattr(alone[name], field), getattr(comparison["a", "b"][name], field), rtol=1e-9
            )


def test_the_same_seed_gives_the_same_numbers():
    first, second = (
        rsa.compare(source("a", 0), measures=FAST, draws=3, seed=5)["a", "a"].as_json()
        for _ in range(2)
    )
    assert first == second


def test_files_hold_what_the_study_promises_and_read_back(comparison, tmp_path):
    path = comparison["a", "b"].write(tmp_path / "similarity", "a", "b")
    assert path.name == "a-b.json"
    content = json.loads(path.read_text())
    plain = {key: item for key, item in content.items() if not isinstance(item, (list, dict))}
    assert plain == {
        "format": 2,
        "x": "a",
        "y": "b",
        "rows": "frames:5",
        "n_rows": 60,
        "n_groups": 20,
        "blocks": 20,
    }
    expected = set(
        "measure title family unit formula source says beware range symmetric "
        "larger_is_more_similar interval chance_by value low high chance chance_high score p extra "
        "notes".split()
    )
    assert all(set(block) == expected for block in content["measures"])
    again = rsa.Similarity.read(path)
    assert again.as_json() == content
    np.testing.assert_array_equal(
        again["cka:linear,debiased"].value, comparison["a", "b"]["cka:linear,debiased"].value
    )
    with path.with_suffix(".csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 6 * 2 * 3
    assert float(lines[0]["value"]) == content["measures"][0]["value"][0][0]


def test_structure_and_stability_are_of_the_main_measure_and_in_the_file(comparison, tmp_path):
    main = "cka:linear,track-debiased"
    within, across = comparison["b", "b"], comparison["a", "b"]
    content = json.loads(within.write(tmp_path, "b", "b").read_text())
    assert content["structure"]["measure"] == content["stability"]["measure"] == main
    assert content["structure"]["resamples"] == 200 and len(content["structure"]["tree"]) == 2
    assert len(content["structure"]["tree_stability"]) == 2
    content = json.loads(across.write(tmp_path, "a", "b").read_text())
    assert set(content["structure"]) == {
        "measure",
        "resamples",
        "path",
        "order_kept",
        "best_x",
        "best_y",
    }
    assert len(content["structure"]["best_x"]) == 2 and len(content["structure"]["best_y"]) == 3
    above = across[main].above_chance
    for pair in across.structure.path:
        assert above[pair[:2]]
    # half of 20 groups; a quarter is too few
    (half,) = content["stability"]["shares"]
    assert half["share"] == 0.5 and half["groups"] == 10
    deviation = half["deviation"]
    assert 0 < deviation["low"] <= deviation["value"] <= deviation["high"] < 1
    ceiling = across[main].extra["ceiling_y"]
    assert np.isnan(ceiling[0]) and np.isfinite(ceiling[1:]).all()
    assert "ceiling_y" not in across["cka:linear,debiased"].extra


def test_structure_and_stability_only_where_they_can_be():
    a, b = source("a", 0), source("b", 1)
    two = rsa.compare(a, b, measures=FAST, draws=0)
    assert two["a", "b"].structure is None and two["a", "a"].structure is not None
    assert two["a", "b"].stability.measure == "cka:linear,debiased"
    without = rsa.compare(a, measures=["svcca:var=0.99,mean"], draws=4)["a", "a"]
    assert without.structure is without.stability is None
    off = rsa.compare(a, measures=FAST, draws=4, structure=False, stability=False)["a", "a"]
    assert off.structure is off.stability is None
    assert "ceiling_x" not in off["cka:linear,debiased"].extra


def test_structure_does_not_depend_on_what_else_is_compared(comparison):
    base = np.random.default_rng(9).standard_normal((60, 1))
    b = source("b", 1, (3, 5, 7), base=base)
    alone = rsa.compare(b, measures=["cka:linear,track-debiased"], draws=19)["b", "b"]
    together = comparison["b", "b"]
    first, second = alone.structure.as_json(), together.structure.as_json()
    np.testing.assert_allclose(first.pop("tree"), second.pop("tree"), rtol=1e-9)
    assert first == second
    name = "cka:linear,track-debiased"
    np.testing.assert_allclose(
        alone[name].extra["ceiling_x"], together[name].extra["ceiling_x"], rtol=1e-9
    )


def test_fewer_groups_deviate_more_and_halves_of_redundant_units_agree():
    rng = np.random.default_rng(3)
    z = rng.standard_normal((200, 3))
    layers = {
        f"l{i}": z @ rng.standard_normal((3, 40)) + i * rng.standard_normal((200, 40))
        for i in range(4)
    }
    found = rsa.compare(rsa.Matrices("a", layers), measures=FAST[:1], draws=0)["a", "a"]
    quarter, half = found.stability.shares
    assert quarter.groups == 50 and half.groups == 100
    assert quarter.deviation[0] > half.deviation[0] and half.correlation > 0.8
    ceiling = found[FAST[0]].extra["ceiling_x"]
    assert ceiling[0] > 0.8 and (np.diff(ceiling) < 0).all()


def test_what_is_not_defined_is_null_in_the_file(comparison, tmp_path):
    path = comparison["a", "a"].write(tmp_path, "a", "a")
    information = json.loads(path.read_text())["measures"][-1]
    assert information["value"][0][0] is None and information["value"][0][1] is not None
    assert any("itself" in note for note in information["notes"])
    (tmp_path / "bad.json").write_text('{"format": 1}')
    with pytest.raises(rsa.RsaError, match="bad.json has format 1"):
        rsa.Similarity.read(tmp_path / "bad.json")


def test_sources_that_do_not_match_are_both_named():
    with pytest.raises(rsa.RsaError, match="alpha has 60 rows and beta has 30"):
        rsa.compare(source("alpha", 0), source("beta", 1, n=30))
    with pytest.raises(rsa.RsaError, match="alpha and beta have different groups"):
        rsa.compare(source("alpha", 0), source("beta", 1, group=2))
    broken = rsa.Matrices("alpha", {"block07": np.full((10, 2), np.nan)})
    with pytest.raises(rsa.RsaError, match="block07 of alpha"):
        rsa.compare(broken)


X = np.random.default_rng(0).standard_normal((60, 4))
MADE = rsa.Matrices("made", {"l": X}, np.repeat(np.arange(20), 3))


@pytest.mark.parametrize("what, call", [
    (r"source 0 is an array of shape \(60, 4\): wrap it in rsa.Matrices",
     lambda: rsa.compare(X, MADE)),
    ("source 1 is None: wrap it", lambda: rsa.compare(MADE, None)),
    ("source 0 is a list: give each source by itself", lambda: rsa.compare([MADE, MADE])),
    ("source 1 is a str: wrap it", lambda: rsa.compare(MADE, "made.npy")),
    (r"the source is an array of shape \(60, 4\): wrap it", lambda: rsa.geometry(X)),
    (r"the source is an array of shape \(60, 4\): wrap it",
     lambda: rsa.label_information(X, {"k": [0] * 60})),
    ("labels are needed by name", lambda: rsa.label_information(MADE, X)),
    ("label k is no column", lambda: rsa.label_information(MADE, {"k": X})),
    ("label k is no column", lambda: rsa.label_information(MADE, {"k": "pop"})),
    ("label k is no column", lambda: rsa.label_information(MADE, {"k": None})),
    ("named 'made': give them different names",
     lambda: rsa.compare(MADE, rsa.Matrices("made", {"l": X}, MADE.groups))),
    (r"'made' is given twice: give it once, pairs=\[\(0, 0\)\]", lambda: rsa.compare(MADE, MADE)),
    ("layers of m are an array", lambda: rsa.Matrices("m", X)),
    ("layer l of m is None", lambda: rsa.Matrices("m", {"l": None})),
    ("m and made have different groups.*: give both",
     lambda: rsa.compare(rsa.Matrices("m", {"l": X}), MADE)),
    ("m has 59 rows and made has 60: give both",
     lambda: rsa.compare(rsa.Matrices("m", {"l": X[1:]}), MADE)),
    ("places of two sources", lambda: rsa.compare(MADE, pairs=(0, 0))),
    ("confound is no place", lambda: rsa.compare(MADE, confound="l")),
    ("confound is no place", lambda: rsa.compare(MADE, confound=(3, "l"))),
    ("confound 'm' is no layer: there are l", lambda: rsa.compare(MADE, confound=(0, "m"))),
    ("draws=-1", lambda: rsa.compare(MADE, draws=-1)),
    ("seed=-1", lambda: rsa.geometry(MADE, seed=-1)),
    ("rate 'a'", lambda: rsa.geometry(MADE, rate="a")),
    ("draws=-1", lambda: rsa.label_information(MADE, {}, draws=-1)),
    ("clusters=1", lambda: rsa.label_information(MADE, {}, clusters=1)),
    ("sequences holds shape", lambda: rsa.geometry(MADE, rate=1.0, sequences=X)),
    ("groups holds shape", lambda: rsa.geometry(MADE, groups=X)),
    ("groups of m holds shape", lambda: rsa.Matrices("m", {"l": X}, X)),
    ("no measure to compare by", lambda: rsa.compare(MADE, measures=[])),
    ("measures=3", lambda: rsa.compare(MADE, measures=3)),
    ("measure 3 is no name", lambda: rsa.compare(MADE, measures=[3])),
    ("3 values that are not finite .*, the first in row 7: leave",
     lambda: rsa.geometry(rsa.Matrices("m", {"l": spoiled(X)}))),
])  # fmt: skip
def test_what_no_function_takes_is_refused_with_the_cure(what, call):
    with pytest.raises(rsa.RsaError, match=what) as error:
        call()
    assert "\n" not in str(error.value) and "extract" not in str(error.value)


def spoiled(x, rows=(7, 30, 31)):
    x = x.copy()
    x[list(rows), 1] = np.nan, np.inf, -np.inf
    return x


def test_values_that_are_not_finite_in_other_sources_ask_for_extraction():
    from rsa.source import read_layer

    class Kept:
        name, layers, groups = "kept", ("l",), np.arange(60)

        def __len__(self):
            return 60

        def read(self, layer, start=0, stop=None):
            return spoiled(X)[start:stop]

    with pytest.raises(rsa.RsaError, match="3 values .* the first in row 7: extract again"):
        read_layer(Kept(), "l")


@pytest.mark.parametrize("given, names", [
    ("cka:linear,debiased", ["cka:linear,debiased"]),
    (["svcca", "cka:linear,debiased", "svcca"], ["svcca:var=0.99,mean", "cka:linear,debiased"]),
    ("default", list(rsa.DEFAULT)),
    ("all", list(rsa.MEASURES)),
    (["cka"], [name for name, m in rsa.MEASURES.items() if m.family == "cka"]),
    (rsa.MEASURES["bures:normalised"], ["bures:normalised"]),
    ("svcca:var=0.5,mean", ["svcca:var=0.5,mean"]),
    (["cca:r2,pca=7"], ["cca:r2,pca=7"]),
])  # fmt: skip
def test_measures_by_word_name_or_themselves(given, names):
    from rsa.comparison import named

    assert [measure.name for measure in named(given)] == names


def test_sources_of_one_name_are_told_apart_by_place():
    other = rsa.Matrices("made", {"l": X[:, :2]}, MADE.groups)
    found = rsa.compare(MADE, other, measures="cka:linear,debiased", pairs=[(0, 1)], draws=0)
    assert found.between(0, 1).measures[0].value.shape == (1, 1)
    with pytest.raises(
        rsa.RsaError, match=r"several sources are named 'made': use between\(i, j\)"
    ):
        found["made", "made"]


def test_one_group_gives_a_value_without_interval_or_chance():
    alone = rsa.compare(source("a", 0, group=60), measures=FAST)["a", "a"]
    for name in FAST:
        assert np.isfinite(alone[name].value).all()
        assert np.isnan(alone[name].low[0, 1]) and np.isnan(alone[name].chance_high[0, 1])


def test_large_numbers_of_rows_take_the_other_route_to_the_same_values(monkeypatch):
    from rsa.hsic import linear

    sources = [source("a", 0, (3, 2), n=90), source("b", 1, (4,), n=90)]
    names = [f"cka:linear,{kind}" for kind in ("biased", "debiased", "track-debiased")]

    def compared():
        return rsa.compare(*sources, measures=names, draws=19, stability=False)["a", "b"]

    gram = compared()
    monkeypatch.setattr(linear, "costs", lambda *_: (2.0, 1.0))
    monkeypatch.setattr(linear, "_by_gram", lambda *_: False)
    features = compared()
    for name in names:
        for field in ("value", "low", "high"):
            np.testing.assert_allclose(
                getattr(features[name], field), getattr(gram[name], field), rtol=1e-9, atol=1e-12
            )
        np.testing.assert_allclose(
            features[name].chance_high, gram[name].chance_high, rtol=1e-3, atol=1e-4
        )


def independent(seed, groups=25, frames=8, d=6):
    """Two representations whose groups have offsets, independent between the two."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(groups), frames)
    x, y = (
        rng.standard_normal((groups, d))[labels] + rng.standard_normal((groups * frames, d))
        for _ in range(2)
    )
    return x, y, labels


def test_closed_form_of_chance_is_the_mean_of_permutations():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((80, 30)), rng.standard_normal((80, 20)) * np.arange(1, 21)
    found = rsa.cka(x, y, debiased=False)
    permuted = [
        rsa.cka(x, y[rng.permutation(80)], debiased=False, draws=0, blocks=2).value
        for _ in range(40)
    ]
    assert found.chance == pytest.approx(np.mean(permuted), rel=0.03)
    assert found.chance < found.chance_high < 1.6 * found.chance


def test_offsets_of_tracks_lift_the_row_debiased_value_but_not_the_other():
    rows, tracks, naive, proper = [], [], 0, 0
    for seed in range(12):
        x, y, labels = independent(seed)
        by_rows = rsa.cka(x, y, debiased=True, groups=labels)
        rows.append(by_rows.value)
        proper += by_rows.value > by_rows.chance_high
        naive += by_rows.value > rsa.cka(x, y, draws=10).chance_high
        tracks.append(rsa.cka(x, y, debiased="track", groups=labels, draws=0).value)
    assert np.mean(rows) > 0.04
    assert abs(np.mean(tracks)) < 3.5 * np.std(tracks) / np.sqrt(12) < 0.06
    # permutations of rows reject what is only tracks being tracks; permutations of tracks do not
    assert naive >= 11 and proper <= 3


@pytest.mark.slow
@pytest.mark.parametrize("measure", ["cka:linear,debiased", "cka:linear,track-debiased", *FAST[1:]])
def test_chance_is_exceeded_in_about_five_per_cent(measure):
    over = 0
    for seed in range(200):
        x, y, labels = independent(seed)
        found = rsa.pair(x, y, measure, groups=labels, seed=seed)
        over += found.value > found.chance_high
    assert 1 <= over <= 22


@pytest.mark.slow
def test_intervals_cover_the_mean_of_many_samples():
    names = [*FAST, "cka:linear,track-debiased", "cka:linear,biased"]
    found = {name: [] for name in names}
    loadings = np.random.default_rng(0).standard_normal((2, 4, 8))
    for seed in range(150):
        rng = np.random.default_rng(seed)
        labels = np.repeat(np.arange(60), 3)
        shared = rng.standard_normal((60, 4))[labels] + rng.standard_normal((180, 4))
        x, y = (shared @ w + 2 * rng.standard_normal((180, 8)) for w in loadings)
        sources = [rsa.Matrices(n, {"l": m}, labels) for n, m in (("x", x), ("y", y))]
        two = rsa.compare(
            *sources, measures=names, pairs=[(0, 1)], draws=0, stability=False
        ).between(0, 1)
        for name in names:
            cell = two[name]
            found[name].append((cell.value[0, 0], cell.low[0, 0], cell.high[0, 0]))
    for name, table in found.items():
        value, low, high = np.array(table).T
        covered = np.mean((low <= value.mean()) & (value.mean() <= high))
        # SVCCA's linear interval is wide on purpose: small correlations are not linear
        assert 0.90 <= covered <= (1.0 if name.startswith("svcca") else 0.985), name


def test_products_made_by_torch_give_the_same_values():
    sources = [source("a", 0), source("b", 1)]
    names = ("cka:linear,debiased", "cka:linear,track-debiased")
    here, there = (
        rsa.compare(*sources, measures=names, draws=4, device=device, stability=False)["a", "b"]
        for device in ("cpu", "cpu:0")  # anything but plain cpu is torch's
    )
    for name in names:
        for field in ("value", "low", "chance_high"):
            np.testing.assert_allclose(
                getattr(here[name], field), getattr(there[name], field), rtol=1e-4, atol=1e-7
            )
