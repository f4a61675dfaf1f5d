"""Maps of rows, and what a study and its report make of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from study_fixture import make_study

from reports.errors import ReportError
from reports.figures.clipmaps import clip_maps
from reports.maps import maps
from reports.study import Study
from rsa.errors import RsaError
from rsa.layerwise.rowmap import row_map


def study_with_maps(folder):
    """A planted study with clips of model a as points at three layers."""
    make_study(folder, similarity=False, geometry=False, information=False, trust=False)
    rng, count = np.random.default_rng(0), 40
    (folder / "maps").mkdir()
    layers = [
        {
            "layer": layer, "place": place, "method": "UMAP, 15 neighbours, 50 PCs, seed 0",
            "trustworthiness": trust, "x": rng.standard_normal(count).tolist(),
            "y": rng.standard_normal(count).tolist(),
        }
        for layer, place, trust in (
            ("frontend", "first", 0.61), ("block02", "best", 0.93), ("final", "last", 0.88),
        )
    ]  # fmt: skip
    entry = {
        "format": 1, "role": "a", "task": "family", "title": "Instrument family",
        "clips": [f"clip {i}" for i in range(count)],
        "classes": [f"<kind> {i % 9}" for i in range(count)], "layers": layers,
    }  # fmt: skip
    (folder / "maps" / "a.json").write_text(json.dumps(entry))
    return folder


@pytest.fixture(scope="module")
def clusters():
    rng = np.random.default_rng(0)
    return np.repeat(8 * rng.standard_normal((4, 10)), 15, axis=0) + rng.standard_normal((60, 10))


def test_clusters_stay_together_and_a_map_is_the_same_again(clusters):
    found = row_map(clusters, seed=1)
    assert found.places.shape == (60, 2) and found.trustworthiness > 0.85
    kind = np.repeat(np.arange(4), 15)
    apart = np.linalg.norm(found.places[:, None] - found.places[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (kind[apart.argmin(axis=1)] == kind).mean() > 0.95
    again = row_map(3.0 * clusters + 5.0, seed=1)  # standardised
    assert np.allclose(again.places, found.places, atol=1e-3)


def test_what_cannot_be_mapped_is_said(clusters):
    with pytest.raises(RsaError, match="19 rows: a map needs 20"):
        row_map(clusters[:19])
    with pytest.raises(RsaError, match="do not vary"):
        row_map(np.ones((30, 3)))
    with pytest.raises(RsaError, match="not finite"):
        row_map(np.where(clusters > 20, np.nan, clusters) * np.nan)


def test_the_report_draws_maps_and_greys_those_that_are_not_to_be_trusted(tmp_path):
    study = Study.read(study_with_maps(tmp_path / "s"))
    (drawn,) = clip_maps(study)
    titles = [a.get_title(loc="left") for f in drawn.figure.subfigs for a in f.axes]
    assert "best: block02" in titles and "first: frontend" in titles
    told = [a.get_xlabel() for f in drawn.figure.subfigs for a in f.axes]
    assert "trustworthiness 0.93" in told and "trustworthiness 0.61, not to be read" in told
    assert "UMAP, 15 neighbours" in drawn.caption


@pytest.mark.parametrize("change, said", [
    ({"clips": ["one"]}, "are 1 and their classes 40"),
    ({"classes": None}, "classes is missing"),
    ({"layers": [{"layer": "x"}]}, "layers"),
    ({"layers": [{"layer": "x", "place": "best", "method": "m", "trustworthiness": 3,
                  "x": [0.0] * 40, "y": [0.0] * 40}]}, "not between 0 and 1"),
])  # fmt: skip
def test_a_damaged_map_is_one_line(tmp_path, change, said):
    path = study_with_maps(tmp_path / "s") / "maps" / "a.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ReportError, match=said) as error:
        maps(path)
    assert "\n" not in str(error.value) and "a.json" in str(error.value)
