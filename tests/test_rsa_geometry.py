"""What a layer is like by itself, against closed forms, simulated truths and its own files."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

import rsa
from rsa.layerwise.cloud import anisotropy, between_tracks, norms
from rsa.layerwise.dimension import NAMES, dimensions
from rsa.layerwise.geometry import QUANTITIES
from rsa.layerwise.novelty import novelty
from rsa.layerwise.spectrum import Spectrum, spread_of_variance
from rsa.layerwise.timescale import half_life
from rsa.rows.grouping import Grouping


def grouped(n, size=1):
    return Grouping.deal(np.repeat(np.arange(n // size), size), 1, 0)


def directions(n, d, rng):
    """[n, d] centred orthonormal columns."""
    x = rng.standard_normal((n, d))
    return np.linalg.qr(x - x.mean(axis=0))[0]


@pytest.mark.parametrize("offset, scale", [(0.0, 1.0), (300.0, 1.0), (0.0, 1e-30), (0.0, 1e30)])
def test_equal_eigenvalues_are_as_many_directions(offset, scale):
    x = (
        directions(60, 7, np.random.default_rng(0))
        @ np.linalg.qr(np.ones((20, 7)) + np.eye(20, 7))[0].T
    )
    found = spread_of_variance(Spectrum.of(x * scale + offset), grouped(60))
    for name, expected in (
        ("effective_rank", 7), ("participation_ratio", 7), ("first_component", 1 / 7)
    ):  # fmt: skip
        value, low, high = found[name]
        assert value == pytest.approx(expected, rel=1e-8) and low <= value <= high


def test_unequal_eigenvalues_against_the_formulas_on_either_side():
    rng = np.random.default_rng(1)
    for n, d in ((40, 12), (12, 40)):
        x = rng.standard_normal((n, d)) * np.geomspace(1, 0.1, d)
        power = np.linalg.eigvalsh(np.cov(x.T, bias=True))
        share = power[power > 1e-12] / power.sum()
        found = spread_of_variance(Spectrum.of(x), grouped(n, 2))
        entropy = -(share * np.log(share)).sum()
        assert found["effective_rank"][0] == pytest.approx(np.exp(entropy), rel=1e-9)
        assert found["participation_ratio"][0] == pytest.approx(1 / (share**2).sum(), rel=1e-9)
        assert found["first_component"][0] == pytest.approx(share.max(), rel=1e-9)


def test_the_participation_ratio_of_a_sample_behaves_as_stated():
    rng = np.random.default_rng(2)
    values = [
        spread_of_variance(Spectrum.of(rng.standard_normal((50, 30))), grouped(50))[
            "participation_ratio"
        ][0]
        for _ in range(20)
    ]
    assert np.mean(values) == pytest.approx(1 / (1 / 30 + 1 / 50), rel=0.05)


def shape(kind, dimension, n, rng):
    if kind == "cube":
        return rng.uniform(size=(n, dimension))
    x = rng.standard_normal((n, dimension + 1))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("kind, dimension", [("cube", 2), ("cube", 5), ("sphere", 3)])
def test_both_dimensions_of_a_cube_and_of_a_sphere(kind, dimension):
    rng = np.random.default_rng(3)
    x = shape(kind, dimension, 900, rng) @ rng.standard_normal((dimension + (kind != "cube"), 30))
    found, notes = dimensions(x, grouped(900), np.random.default_rng(0))
    assert notes == []
    for name in NAMES:
        value, low, high = found[name]
        assert value == pytest.approx(dimension, rel=0.15) and low < value < high


def test_dimension_is_of_tracks_not_of_their_frames():
    rng = np.random.default_rng(4)
    centres = rng.uniform(size=(400, 3))
    # the frames of a track lie on a short line
    x = np.repeat(centres, 5, 0) + 1e-3 * np.tile(np.arange(5), 400)[:, None]
    found, _ = dimensions(x, grouped(2000, 5), np.random.default_rng(0))
    for name in NAMES:
        assert found[name][0] == pytest.approx(3, rel=0.2)


def test_equal_rows_and_few_groups_have_notes_instead_of_dimensions():
    rng = np.random.default_rng(5)
    x = rng.uniform(size=(100, 3))
    found, notes = dimensions(np.r_[x, x[:50]], grouped(150), np.random.default_rng(0))
    assert any("50 rows equal to others" in n for n in notes)
    assert found[NAMES[1]][0] == pytest.approx(3, rel=0.35)
    for few in (x[:20], np.repeat(x[:20], 5, axis=0)):
        found, notes = dimensions(few, grouped(len(few)), np.random.default_rng(0))
        assert np.isnan(found[NAMES[0]][0]) and "too few" in notes[0]


def test_anisotropy_of_shifted_gaussians_and_against_plain_loops():
    rng = np.random.default_rng(6)
    d, shift = 400, 2.0
    x = rng.standard_normal((600, d)) + shift
    (value, low, high), without = anisotropy(x, grouped(600))
    # in many dimensions: |mean|^2 / (|mean|^2 + trace of the covariance)
    assert value == pytest.approx(shift**2 / (shift**2 + 1), abs=0.005) and without == 0
    assert low < value < high
    x = rng.standard_normal((12, 4)) + 1
    x[5] = 0.0
    cosines = [
        x[i] @ x[j] / np.linalg.norm(x[i]) / np.linalg.norm(x[j])
        for i in range(12) for j in range(12)
        if i // 3 != j // 3 and 5 not in (i, j)
    ]  # fmt: skip
    (value, *_), without = anisotropy(x, grouping := grouped(12, 3))
    ordered = np.sort(grouping.order // 3)
    assert list(ordered) == list(np.repeat(np.arange(4), 3))
    assert value == pytest.approx(np.mean(cosines), rel=1e-12) and without == 1


def test_norms_and_shares_between_tracks_have_closed_forms():
    rng = np.random.default_rng(7)
    x = rng.standard_normal((2000, 50)) * 3 + 0.0
    found = norms(x, grouped(2000))
    length = np.linalg.norm(x, axis=1)
    assert found["norm"][0] == pytest.approx(length.mean(), rel=1e-12)
    assert found["norm_spread"][0] == pytest.approx(length.std(ddof=1) / length.mean(), rel=1e-9)
    centres = np.repeat(rng.standard_normal((400, 20)), 5, axis=0) * 2
    value, low, high = between_tracks(centres + rng.standard_normal((2000, 20)), grouped(2000, 5))
    assert low < value < high and value == pytest.approx(4 / 5, abs=0.02)
    assert abs(between_tracks(rng.standard_normal((2000, 20)), grouped(2000, 5))[0]) < 0.02
    assert np.isnan(between_tracks(x, grouped(2000))[0])


def of(x: np.ndarray):
    """How `half_life` reads rows."""
    return lambda start, stop: x[start:stop]


@pytest.mark.parametrize("coefficient", [0.4, 0.8, 0.95])
def test_half_life_of_an_autoregression(coefficient):
    rng = np.random.default_rng(8)
    clips, frames, rate = 60, 200, 25.0
    x = np.empty((clips, frames, 8))
    x[:, 0] = rng.standard_normal((clips, 8))
    step = np.sqrt(1 - coefficient**2)
    for t in range(1, frames):
        x[:, t] = coefficient * x[:, t - 1] + step * rng.standard_normal((clips, 8))
    x += 10 * rng.standard_normal((clips, 1, 8))
    labels = np.repeat(np.arange(clips), frames)
    (value, low, high), notes = half_life(of(x.reshape(-1, 8)), labels, labels // 2, rate)
    expected = np.log(0.5) / np.log(coefficient) / rate
    assert value == pytest.approx(expected, rel=0.1) and low < value < high and notes == []


def test_half_life_of_short_broken_and_still_clips_is_nan():
    rng = np.random.default_rng(9)
    x = rng.standard_normal((40, 3))
    for labels, word in ((np.repeat(range(10), 4), "short"), (np.tile([0, 1], 20), "contiguous")):
        found, notes = half_life(of(x), labels, labels, 1.0)
        assert np.isnan(found).all() and word in notes[0]
    two = np.repeat([0, 1], 20)
    found, notes = half_life(of(np.ones((40, 3))), two, two, 1.0)
    assert np.isnan(found[0]) and "do not vary" in notes[0]


def test_half_life_below_the_step_of_the_rows_is_said_so():
    x = np.random.default_rng(11).standard_normal((4000, 3))
    x[1::2] = -x[::2]
    labels = np.repeat(np.arange(40), 100)
    (value, *_), notes = half_life(of(x), labels, labels, 2.0)
    assert 0 < value < 0.25 and "faster than rows" in notes[0]


def test_novelty_of_a_copy_of_noise_and_of_half_of_each():
    rng = np.random.default_rng(10)
    x, noise = rng.standard_normal((400, 10)), rng.standard_normal((400, 10))
    grouping = grouped(400, 4)
    before = Spectrum.of(x)

    def of(layer):
        return novelty(before, Spectrum.of(layer), grouping, 0)[0]

    assert of(x @ rng.standard_normal((10, 30)))[0] < 1e-6
    value, low, high = of(noise)
    assert 0.95 < value < 1.1 and low < 1.02
    half = of(x + noise)
    assert half[0] == pytest.approx(0.5, abs=0.05) and half[1] < half[0] < half[2]


def source(n=80, group=4, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 12)).astype(np.float32)
    layers = {"first": x, "same": np.full((n, 5), 2.5), "twice": x[:, :3], "one": x[:, :1]}
    return rsa.Matrices("a", layers, np.repeat(np.arange(n // group), group))


def test_a_source_has_every_quantity_and_reads_back(tmp_path):
    clips = np.repeat(np.arange(10), 8)
    found = rsa.geometry(source(), rate=2.0, sequences=clips, rows="frames:2")
    assert [q.quantity for q in found.quantities] == [q.quantity for q in QUANTITIES]
    assert found["norm"].value[1] == pytest.approx(2.5 * np.sqrt(5))
    assert found["anisotropy"].value[1] == pytest.approx(1.0)
    for name in ("effective_rank", "novelty", "between_tracks", "half_life"):
        assert np.isnan(found[name].value[1]), name
        assert any("same" in note for note in found[name].notes), name
    assert found["novelty"].value[3] < 1e-6
    path = found.write(tmp_path / "geometry", "b")
    content = json.loads(path.read_text())
    assert path.name == "b.json" and content["x"] == "b" and content["rows"] == "frames:2"
    keys = "quantity title unit range source value low high notes".split()
    assert all(list(q) == keys and len(q["value"]) == 4 for q in content["quantities"])
    assert rsa.Geometry.read(path).as_json() == content
    with path.with_suffix(".csv").open() as file:
        assert len(list(csv.DictReader(file))) == 4 * len(QUANTITIES)
    assert "half_life" not in [q.quantity for q in rsa.geometry(source()).quantities]
    assert (
        found.as_json()
        == rsa.geometry(source(), rate=2.0, sequences=clips, rows="frames:2").as_json()
    )
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(rsa.RsaError, match="not a geometry file"):
        rsa.Geometry.read(tmp_path / "x.json")
    with pytest.raises(rsa.RsaError, match="no quantity"):
        found["size"]


@pytest.mark.parametrize("n, group", [(4, 1), (4, 4), (6, 2), (12, 6)])
def test_few_rows_and_groups_have_numbers_or_notes(n, group):
    found = rsa.geometry(source(n, group))
    assert np.isnan(found[NAMES[0]].value[0]) and found[NAMES[0]].notes
    assert np.isfinite(found["norm"].value).all()
    json.dumps(found.as_json(), allow_nan=False)


def test_many_rows_are_thinned_from_all_groups_and_said_so():
    found = rsa.geometry(source(6000, 60))
    assert found.n_rows == 6000 and found.n_groups == 100
    assert found["norm"].notes == ("on 5000 of 6000 rows",)


def test_bad_arguments_are_refused():
    for options, words in (
        ({"groups": [1, 2]}, "2 group labels"),
        ({"rate": 0.0}, "above 0"),
        ({"sequences": [1], "rate": 1.0}, "1 sequence labels"),
    ):
        with pytest.raises(rsa.RsaError, match=words):
            rsa.geometry(source(), **options)


def draw(rng, tracks, size):
    """Rows with a decaying spectrum, an offset, and tracks that hold together."""
    width = 12
    u = np.repeat(rng.standard_normal((tracks, width)), size, axis=0)
    return (0.8 * u + 0.6 * rng.standard_normal((tracks * size, width))) * np.arange(
        1.0, width + 1
    ) ** -0.7 + 0.3


def covered(tracks, size, sets, seed):
    rng, grouping = np.random.default_rng(seed), grouped(tracks * size, size)
    found: dict[str, list] = {}
    for _ in range(sets):
        x = draw(rng, tracks, size)
        trios = spread_of_variance(Spectrum.of(x), grouping) | norms(x, grouping)
        trios["anisotropy"] = anisotropy(x, grouping)[0]
        if size > 1:
            trios["between_tracks"] = between_tracks(x, grouping)
        for name, trio in trios.items():
            found.setdefault(name, []).append(trio)
    shares = {}
    for name, trios in found.items():
        value, low, high = np.array(trios).T
        shares[name] = float(np.mean((low <= value.mean()) & (value.mean() <= high)))
    return shares


def test_intervals_cover_in_a_few_sets():
    for name, share in covered(60, 3, 60, 0).items():
        assert 0.85 <= share, name


@pytest.mark.slow
@pytest.mark.parametrize("tracks, size", [(120, 3), (200, 1)])
def test_intervals_cover_nineteen_times_in_twenty(tracks, size):
    for name, share in covered(tracks, size, 500, 1).items():
        assert 0.92 <= share <= 0.98, (name, share)


@pytest.mark.slow
def test_intervals_of_dimensions_and_novelty_cover():
    rng, grouping = np.random.default_rng(2), grouped(160)
    found: dict[str, list] = {}
    for _ in range(400):
        x = rng.uniform(size=(160, 4))
        trios, _ = dimensions(x, grouping, rng)
        layer = Spectrum.of(x + 0.3 * rng.standard_normal(x.shape))
        trios["novelty"] = novelty(Spectrum.of(x), layer, grouping, 0)[0]
        for name, trio in trios.items():
            found.setdefault(name, []).append(trio)
    for name, trios in found.items():
        value, low, high = np.array(trios).T
        share = np.mean((low <= value.mean()) & (value.mean() <= high))
        assert 0.92 <= share <= 0.985, (name, share)
