"""Curves over depth: twins, ceilings, floors, and bits about labels from both sides."""

from __future__ import annotations

import json

import numpy as np
import pytest
from study_fixture import QUANTITIES, make_study

from reports import Study
from reports.figures import geometry, information, keys, labels, resemblance
from reports.style import look, role_colour


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("layers") / "s", measures=28)


@pytest.fixture(scope="module")
def study(folder):
    return Study.read(folder)


def dashed(axes) -> int:
    style = tuple(keys.DASHES[1])
    return sum(tuple(line._unscaled_dash_pattern[1] or ()) == style for line in axes.lines)


def words(drawing) -> str:
    return drawing.caption


def test_geometry_has_a_panel_a_quantity_and_dashed_twins(study):
    with look():
        (drawing,) = geometry.geometry(study)
    panels = [a for a in drawing.figure.axes if a.get_visible()]
    assert len(panels) == len(QUANTITIES)
    assert [dashed(axes) for axes in panels] == [2] * len(panels)
    units = {axes.get_title(loc="left"): axes.get_ylabel() for axes in panels}
    assert units["Curvature of trajectories"] == "rad"
    assert "without training" in words(drawing)
    assert "700 clips in 320 groups" in words(drawing)


def test_ticks_are_short():
    assert [geometry._short(v) for v in (0.0, 0.002, 1.5, 9000, 120_000, -3e6)] == [
        "0", "0.002", "1.5", "9000", "120k", "\N{MINUS SIGN}3M",
    ]  # fmt: skip


def test_twins_and_ceilings_stand_beside_resemblance(study):
    with look():
        drawing = resemblance.resemblance(study)
    panels = [a for a in drawing.figure.axes if a.get_visible()]
    assert [dashed(axes) for axes in panels] == [2] * 5
    assert role_colour("a0") == role_colour("a")
    assert "halves of a layer's own units" in words(drawing)
    assert "model-a 0.92 to 0.97" in words(drawing)


def test_every_estimator_has_its_panel_and_infonce_its_ceiling(study):
    with look():
        first, second = information.information(study, "a", "b")
    panels = [a for a in second.figure.axes if a.get_visible()]
    assert len(panels) == 7
    assert "mi:gaussian" in words(first)
    assert "InfoNCE bound can take" in words(second)
    bound = panels[[p.get_title(loc="left") for p in panels].index("InfoNCE bound")]
    levels = [line.get_ydata()[0] for line in bound.lines if len(line.get_xdata()) == 2]
    assert any(level == pytest.approx(np.log2(700)) for level in levels)


def test_labels_are_read_twice_and_hatched_by_p(study):
    with look():
        maps, curves = labels.labels(study)
    axes = next(a for a in maps.figure.axes if a.get_title(loc="left") == "model-a")
    table = study.information["a"].labels
    weak = sum(int((~one.above_chance).sum()) for one in table.values())
    hatched = [c for c in axes.collections if c.get_hatch()]
    assert sum(len(c.get_paths()) for c in hatched) == weak > 0
    assert any(t.get_text().endswith("of 3.0 bits") for t in axes.texts)
    assert "V-information" in words(curves)
    panels = {a.get_title(loc="left"): a for a in curves.figure.axes if a.get_visible()}
    assert len(panels) == labels.PER_FIGURE
    # both models by clusters, by probes, their floors and the entropy
    assert len(panels["chord"].lines) >= 6


def test_labels_without_probes_and_probes_without_labels(tmp_path):
    with look():
        bare = Study.read(make_study(tmp_path / "a", similarity=False, probes=False))
        assert "V-information" not in labels.labels(bare)[-1].caption
        alone = Study.read(make_study(tmp_path / "b", similarity=False, information=False))
        (curves,) = labels.labels(alone)
        assert "V-information" in curves.caption
        assert "shuffled" not in curves.caption
        nothing = make_study(tmp_path / "c", similarity=False, probes=False, information=False)
        assert labels.labels(Study.read(nothing)) == []


def test_missing_numbers_leave_gaps(folder, tmp_path):
    import shutil

    copy = tmp_path / "s"
    shutil.copytree(folder, copy)
    for name in ("geometry", "information"):
        path = copy / name / "a.json"
        table = json.loads(path.read_text())
        for one in table.get("quantities", []) + table.get("labels", []):
            for key in ("value", "low", "high"):
                one[key] = [None, *one[key][1:]]
        first = (table.get("quantities") or table["labels"])[0]
        first.update({k: [None] * len(first["value"]) for k in ("value", "low", "high")})
        if "entropy" in first:
            table["labels"][1]["entropy"] = None
        path.write_text(json.dumps(table))
    study = Study.read(copy)
    with look():
        drawings = [*geometry.geometry(study), *labels.labels(study)]
        for drawing in drawings:
            drawing.figure.draw_without_rendering()
