"""What the report takes from the study's structure, and what it orders itself."""

from __future__ import annotations

import json

import numpy as np
import pytest
from study_fixture import make_study

from reports import Study
from reports.figures import agreement, cells, cross, multiples, overview, within
from reports.figures.cells import fitted, width_of
from reports.figures.specialisation import profile, standardised
from reports.structure import Across, Within
from reports.style import every_few, look


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("structure") / "s"
    return Study.read(make_study(folder, probes=False, measures=28))


def test_structure_is_read(study):
    inside = study.between("a", "a").structure
    assert isinstance(inside, Within)
    assert [(b.start, b.stability) for b in inside.cuts] == [(5, 0.97), (8, 0.42)]
    assert inside.tree.shape == (8, 4)
    found = study.between("a", "b").structure
    assert isinstance(found, Across)
    turned = study.between("b", "a").structure
    assert [(p.y, p.x, p.stability) for p in found.path] == [
        (p.x, p.y, p.stability) for p in turned.path
    ]
    assert turned.best_x == found.best_y
    assert study.between("a", "ref").structure is None
    shares = study.between("a", "b").stability.shares
    assert [s.share for s in shares] == [0.25, 0.5]


def test_hatching_follows_p(study):
    """Hatched are the cells whose p is large, whatever the interval says."""
    measure = study.between("a", "b").main()
    above = measure.above_chance
    assert np.array_equal(above, measure.p <= 0.05)
    with look():
        drawing = cross.cross(study, "a", "b")
    axes = drawing.figure.axes[0]
    hatched = [c for c in axes.collections if c.get_hatch()]
    assert [len(c.get_paths()) for c in hatched] == [int((~above).sum())]
    assert f"p > 0.05, corrected for all {above.size} cells" in drawing.caption
    assert "permutation of groups, 99 draws" in drawing.caption


def test_unknown_chance_is_not_hatched(tmp_path):
    folder = make_study(tmp_path / "s", probes=False, measures=3)
    for file in (folder / "similarity").glob("*.json"):
        table = json.loads(file.read_text())
        for one in table["measures"]:
            empty = [[None] * len(table["layers_y"]) for _ in table["layers_x"]]
            one.update(p=empty, score=empty, chance=empty, chance_high=empty)
        file.write_text(json.dumps(table))
    study = Study.read(folder)
    with look():
        drawing = cross.cross(study, "a", "b")
        small = multiples.multiples(study, "a", "b")
    assert not [c for c in drawing.figure.axes[0].collections if c.get_hatch()]
    assert "chance is not known" in drawing.caption
    words = [t.get_text() for axes in small[0].figure.axes for t in axes.texts]
    assert words.count("not calibrated") == 2


def test_solid_where_stable(study):
    with look():
        axes = cross.cross(study, "a", "b").figure.axes[0]
        front = overview.overview(study).figure.axes[0]
    path = study.between("a", "b").structure.path
    lines = [line for line in axes.lines if len(line.get_xdata()) == 2]
    sure = [min(a.stability, b.stability) >= 0.8 for a, b in zip(path, path[1:], strict=False)]
    assert [line.get_linestyle() == "-" for line in lines] == sure
    joined = [line.get_linestyle() == "-" for line in front.lines]
    assert joined == [pair.stability >= 0.8 for pair in path]
    printed = {t.get_text() for t in axes.texts}
    assert {"99", "64"} <= printed


def test_nothing_is_matched_where_all_is_chance(tmp_path):
    study = Study.read(make_study(tmp_path / "s", probes=False, planted=False))
    with look():
        drawing = cross.cross(study, "a", "b")
    assert "nothing is matched" in drawing.caption
    assert not drawing.figure.axes[0].lines


def test_no_structure_no_lines(tmp_path):
    folder = make_study(tmp_path / "s", probes=False)
    for file in (folder / "similarity").glob("*.json"):
        table = json.loads(file.read_text())
        del table["structure"], table["stability"]
        file.write_text(json.dumps(table))
    study = Study.read(folder)
    with look():
        drawing = within.within(study)[0]
    assert "Trees" not in drawing.caption
    assert "boundaries" not in drawing.caption


def test_merges_are_solid_where_stable(study):
    tree = study.between("a", "a").structure
    with look():
        axes = within.within(study)[0].figure.axes
    beside = next(a for a in axes if len(a.lines) == len(tree.tree))
    assert [line.get_linestyle() == "-" for line in beside.lines] == list(
        tree.tree_stability >= 0.8
    )


def test_every_other_measure_has_a_panel_with_room(study):
    """27 panels over pages; none overlaps another, all text stays on the page."""
    with look():
        pages = multiples.multiples(study, "a", "b")
    titles = []
    for page in pages:
        figure = page.figure
        figure.draw_without_rendering()
        width, height = figure.get_size_inches()
        assert height <= 8.61
        boxes = [a.get_position() for a in figure.axes]
        for i, one in enumerate(boxes):
            assert not any(one.overlaps(other) for other in boxes[:i])
        for axes in figure.axes:
            texts = [*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels()]
            for text in texts:
                box = text.get_window_extent()
                assert box.x0 >= -1
                assert box.x1 <= width * figure.dpi + 1
                assert box.y0 >= -1
            titles += [t.get_text() for t in axes.texts]
    main = study.between("a", "b").main()
    for measure in study.between("a", "b").measures.values():
        assert (measure.title in titles) == (measure is not main)


@pytest.mark.parametrize(("a", "b"), [(13, 25), (7, 72), (25, 25), (2, 3), (72, 4)])
def test_pages_hold_any_shape(a, b):
    side = float(np.clip(1.4 * a / b, 0.95, 1.25))
    for count in (1, 4, 5, 29):
        rows = [multiples._Row("cka", [], i == 0) for i in range(-(-count // 4))]
        pages = multiples._pages(rows, side)
        assert sum(map(len, pages)) == len(rows)
        assert all(multiples._height(page, side) <= multiples._MOST + 1e-9 for page in pages)


def test_rank_correlations_turn_distances(study):
    measures = list(study.between("a", "b").measures.values())
    table = agreement.rank_correlations(measures)
    assert np.allclose(np.diag(table), 1.0)
    assert np.allclose(table, table.T)
    names = [m.name for m in measures]
    distance, similar = names.index("bures:distance"), names.index("cka:linear,track-debiased")
    assert table[distance, similar] > 0.9
    from scipy.stats import spearmanr

    one, two = (measures[i].likeness.ravel() for i in (distance, similar))
    assert table[distance, similar] == pytest.approx(spearmanr(one, two).statistic)


def test_text_is_made_to_fit():
    with look():
        text, size = cells.fitted("A title that is far too long for so small a panel", 1.0, 8.0)
        assert cells.width_of(text, size) <= 1.0
        assert cells.fitted("Short", 1.0, 8.0) == ("Short", 8.0)


def test_standardised_rows_and_order_of_tasks(tmp_path):
    study = Study.read(make_study(tmp_path / "s", similarity=False))
    keys, layers, scores, wins = profile(study.probes["a"])
    table = standardised(scores)
    assert np.allclose(table.mean(1), 0.0)
    assert np.allclose(table.std(1), 1.0)
    assert (standardised(np.ones((2, 3))) == 0).all()
    assert keys.index("instrument") < keys.index("chord") < keys.index("metre")
    assert wins.shape == scores.shape == (len(keys), len(layers))


@pytest.mark.parametrize("size", [1, 2, 9, 14, 25, 72, 300])
def test_labels_keep_both_ends(size):
    places = every_few(size, 18)
    assert places[0] == 0
    assert places[-1] == size - 1
    assert len(places) <= 19
    assert places == sorted(set(places))


def test_a_title_is_made_smaller_before_it_is_cut():
    text = "Intrinsic dimension (TwoNN)"
    full = width_of(text, 8.5)
    for share in (0.99, 0.9, 0.75):
        told, size = fitted(text, share * full, 8.5)
        assert told == text and 6.0 <= size < 8.5
    told, size = fitted(text, 0.5 * full, 8.5)
    assert size == 6.0 and "…" in told and width_of(told, size) <= 0.5 * full
