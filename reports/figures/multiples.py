"""Every other measure between two models, small, on the one scale that calibration gives."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from reports import style
from reports.figures import hover
from reports.figures.cells import bare, fitted, hatch_measure, small_ticks
from reports.figures.cross import main_and_others
from reports.figures.drawing import Drawing, Drawn
from reports.results import Measure, Similarity
from reports.study import Study
from reports.words import abridged

ACROSS = 4
# inches
_LEFT, _GAP = 0.88, 0.11
_SIDE = (style.WIDTH - _LEFT - (ACROSS - 1) * _GAP) / ACROSS
_HEAD, _FAMILY, _FEET, _TOP, _MOST = 0.34, 0.38, 0.58, 0.42, 8.6
_STRIP, _LINE = 5, 0.105  # panels that make a single row; inches of a line of small print

# What equal layers, a score of 1, are equal up to.
FAMILIES = {
    "cka": (
        "Kernel alignment",
        "1: the same up to rotation and one scale; directions of large variance count most",
    ),
    "cca": (
        "Canonical correlations",
        "1: the same up to any invertible linear map of the components that were kept",
    ),
    "shape": (
        "Alignment of shapes",
        "1: one layer maps onto the other by the map that the measure allows; distances and "
        "predictions",
    ),
    "relations": (
        "Relations between clips",
        "1: the same clips are near and far from each other, whatever the axes",
    ),
    "information": (
        "Information",
        "0: level of chance; 1: the most bits of the panel, printed above it, for bits have no "
        "largest value",
    ),
}


@dataclass
class _Row:
    """Up to four panels of one family."""

    family: str
    measures: list[Measure]
    first: bool


def multiples(study: Study, x: str, y: str) -> list[Drawing]:
    """Small matrices of calibrated scores, grouped by family, over as many pages as they need."""
    similarity = study.between(x, y)
    others = main_and_others(similarity)[1] if similarity else []
    if not others:
        return []
    if len(others) <= _STRIP:
        draw = partial(_strip, study, similarity, _rows(others))
        return [Drawing("measures-1", "Small heat maps of the other measures.", draw)]
    side = float(np.clip(_SIDE * len(similarity.layers_x) / len(similarity.layers_y), 0.95, 1.25))
    pages = _pages(_rows(others), side)
    return [
        Drawing(
            f"measures-{number}", "Small heat maps of the other measures.",
            partial(_page, study, similarity, rows, side, number, len(pages)),
        )
        for number, rows in enumerate(pages, 1)
    ]  # fmt: skip


def _rows(measures: list[Measure]) -> list[_Row]:
    """Families in the order of `FAMILIES`, unknown ones last; rows of even length."""
    names = [f for f in FAMILIES if any(m.family == f for m in measures)]
    names += list(dict.fromkeys(m.family for m in measures if m.family not in FAMILIES))
    rows = []
    for family in names:
        mine = [m for m in measures if m.family == family]
        for start in range(0, len(mine), ACROSS):
            rows.append(_Row(family, mine[start : start + ACROSS], start == 0))
    return rows


def _pages(rows: list[_Row], side: float) -> list[list[_Row]]:
    """Rows dealt to as few pages as hold them, about equally full."""
    fewest = len(_deal(rows, side, _MOST))
    limits = np.linspace(_TOP, _MOST, 60)
    full = next(limit for limit in limits if len(_deal(rows, side, float(limit))) <= fewest)
    return _deal(rows, side, float(full))


def _deal(rows: list[_Row], side: float, most: float) -> list[list[_Row]]:
    """A family stays together where a page holds it."""
    pages: list[list[_Row]] = [[]]
    for family in dict.fromkeys(row.family for row in rows):
        mine = [row for row in rows if row.family == family]
        whole = _height([*pages[-1], *mine], side) > most and _height(mine, side) <= most
        if whole and pages[-1]:
            pages.append([])
        for row in mine:
            if pages[-1] and _height([*pages[-1], row], side) > most:
                pages.append([])
            pages[-1].append(row)
    return pages


def _height(rows: list[_Row], side: float) -> float:
    families = len({row.family for row in rows})
    return _TOP + len(rows) * (_HEAD + side) + families * (_FAMILY + _FEET)


def _page(
    study: Study, similarity: Similarity, rows: list[_Row], side: float, number: int, pages: int
) -> Drawn:
    height = _height(rows, side)
    figure = Figure(figsize=(style.WIDTH, height))
    image = None
    top = _TOP
    for place, row in enumerate(rows):
        if not place or rows[place - 1].family != row.family:
            _family(figure, row, top, height)
            top += _FAMILY
        last = place + 1 == len(rows) or rows[place + 1].family != row.family
        below = 0 if last else len(rows[place + 1].measures)
        for column, measure in enumerate(row.measures):
            left = _LEFT + column * (_SIDE + _GAP)
            axes = _axes(figure, left, top + _HEAD, _SIDE, side)
            image = _panel(axes, measure) or image
            hover.measured(axes, similarity, measure)
            if column:
                bare(axes, "y")
            else:
                small_ticks(axes, similarity.layers_x, "y", side, _LEFT - 0.1)
            if column >= below:
                small_ticks(axes, similarity.layers_y, "x", _SIDE, _FEET - 0.1)
            else:
                bare(axes, "x")
        top += _HEAD + side + (_FEET if last else 0.0)
    return _finished(study, similarity, figure, image, rows, number, pages)


def _strip(study: Study, similarity: Similarity, rows: list[_Row]) -> Drawn:
    """All families in one row: what few measures need."""
    count = sum(len(row.measures) for row in rows)
    between = 2 * _GAP
    room = style.WIDTH - _LEFT - (count - len(rows)) * _GAP - (len(rows) - 1) * between
    wide = min(_SIDE, room / count)
    side = float(np.clip(wide * len(similarity.layers_x) / len(similarity.layers_y), 0.95, 1.2))
    widths = [len(row.measures) * (wide + _GAP) - _GAP for row in rows]
    aids = [
        textwrap.wrap(FAMILIES.get(row.family, ("", ""))[1], int(inches * 26))
        for row, inches in zip(rows, widths, strict=True)
    ]
    head = _TOP + 0.24 + _LINE * max(map(len, aids))
    height = head + _HEAD + side + _FEET
    figure = Figure(figsize=(style.WIDTH, height))
    image, left = None, _LEFT
    for row, inches, lines in zip(rows, widths, aids, strict=True):
        title, size = fitted(_title(row), inches, 9.0)
        at = left / style.WIDTH
        figure.text(at, 1.0 - _TOP / height, title, fontsize=size, va="top", weight="bold")
        figure.text(
            at, 1.0 - (_TOP + 0.18) / height, "\n".join(lines), fontsize=6.4, va="top",
            color=style.GREY, linespacing=1.1,
        )  # fmt: skip
        for column, measure in enumerate(row.measures):
            place = left + column * (wide + _GAP)
            axes = _axes(figure, place, head + _HEAD, wide, side)
            image = _panel(axes, measure, wide) or image
            hover.measured(axes, similarity, measure)
            if place > _LEFT:
                bare(axes, "y")
            else:
                small_ticks(axes, similarity.layers_x, "y", side, _LEFT - 0.1)
            small_ticks(axes, similarity.layers_y, "x", wide, _FEET - 0.1)
        left += inches + between
    return _finished(study, similarity, figure, image, rows, 1, 1)


def _finished(
    study: Study, similarity: Similarity, figure: Figure, image: AxesImage | None,
    rows: list[_Row], number: int, pages: int,
) -> Drawn:  # fmt: skip
    """With the scale and the models above, and the caption."""
    _scale(figure, image)
    names = study.name_of(similarity.x), study.name_of(similarity.y)
    _who(figure, similarity, names, figure.get_size_inches()[1])
    return figure, _caption(similarity, [m for r in rows for m in r.measures], number, pages)


def _axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes by inches from the top left corner."""
    full_width, full_height = figure.get_size_inches()
    return figure.add_axes(
        (
            left / full_width,
            1.0 - (top + height) / full_height,
            width / full_width,
            height / full_height,
        )
    )


def _family(figure: Figure, row: _Row, top: float, height: float) -> None:
    title = _title(row) + ("" if row.first else " (continued)")
    aid = FAMILIES.get(row.family, ("", ""))[1]
    at = 1.0 - (top + 0.10) / height
    figure.text(0.0, at, title, fontsize=9.0, va="top", weight="bold")
    figure.text(0.0, at - 0.155 / height, aid, fontsize=7.2, va="top", color=style.GREY)


def _title(row: _Row) -> str:
    return FAMILIES.get(row.family, (row.family.capitalize() or "Other",))[0]


def _panel(axes: Axes, measure: Measure, wide: float = _SIDE) -> AxesImage | None:
    axes.spines[:].set_visible(False)
    title, size = fitted(measure.title, wide, 7.8)
    axes.text(0.0, 1.0, title, fontsize=size, transform=axes.transAxes, va="bottom").set_position(
        (0.0, 1.0 + 0.155 / (axes.bbox.height / axes.figure.dpi))
    )
    above, known = int(measure.above_chance.sum()), int(np.isfinite(measure.p).sum())
    kind = "" if measure.larger_is_more_similar else "distance; "
    told = f"{kind}{above} of {known} above chance" if known else f"{kind}chance not known"
    if measure.unit == "bits" and np.isfinite(measure.value).any():
        told = f"most {np.nanmax(measure.value):.2g} bits; {told}"
    told, size = fitted(told, wide, 5.9, smallest=5.6)
    axes.text(
        0.0, 1.0 + 0.04 / (axes.bbox.height / axes.figure.dpi), told,
        fontsize=size, color=style.GREY, transform=axes.transAxes, va="bottom",
    )  # fmt: skip
    if not np.isfinite(measure.score).any():
        rows, columns = measure.score.shape
        axes.set_xlim(-0.5, columns - 0.5)
        axes.set_ylim(-0.5, rows - 0.5)
        axes.text(
            0.5, 0.5, "not calibrated", fontsize=6.5, color=style.GREY,
            transform=axes.transAxes, ha="center", va="center",
        )  # fmt: skip
        return None
    image = axes.imshow(
        _shades(measure), cmap=style.SEQUENTIAL, vmin=0, vmax=1, origin="lower", aspect="auto"
    )
    hatch_measure(axes, measure)
    return image


def _shades(measure: Measure) -> np.ndarray:
    """Calibrated scores; bits as a share of the most bits, or all above 2 would look the same."""
    if measure.unit != "bits":
        return measure.score
    above = np.maximum(measure.value - measure.chance_high, 0.0)
    most = np.nanmax(above)
    return above / most if most > 0 else above


def _scale(figure: Figure, image) -> None:
    if image is None:
        return
    axes = _axes(figure, style.WIDTH - 2.0, 0.05, 2.0, 0.085)
    bar = figure.colorbar(image, cax=axes, orientation="horizontal", ticks=[0, 0.5, 1])
    bar.outline.set_linewidth(0.4)
    bar.ax.set_xticklabels(["0 = level of chance", "", "1 = equal"], fontsize=6.5)
    for label, side in zip(bar.ax.get_xticklabels(), ("left", "center", "right"), strict=True):
        label.set_horizontalalignment(side)
    bar.ax.tick_params(length=2, pad=1.5)


def _who(figure: Figure, similarity: Similarity, names: tuple[str, str], height: float) -> None:
    at = 1.0 - 0.04 / height
    for (word, role), name, down in zip(
        (("Rows", similarity.x), ("Columns", similarity.y)), names, (0.0, 0.15), strict=True
    ):
        figure.text(
            0.0, at - down / height, f"{word}: {abridged(name, 60)}", fontsize=7.8,
            color=style.role_colour(role, text=True), va="top",
        )  # fmt: skip


def _caption(similarity: Similarity, measures: list[Measure], number: int, pages: int) -> str:
    part = f" (part {number} of {pages})" if pages > 1 else ""
    if number > 1:
        return f"The same layers by other measures{part}; scale, hatching and grey as in part 1."
    level = 1.0 - measures[0].interval
    text = (
        f"The same layers by all other measures{part}, each as its calibrated score, so that "
        "similarities and distances are on one scale: 0 is what chance passes in 5 % of "
        "cases or less than that, 1 is what equal layers have (bits: see there). Hatched: p > "
        f"{level:.2g}, corrected for all cells of a panel; grey: no value. A pattern that only one "
        "measure shows deserves doubt. Raw values with intervals are in "
        f"similarity/{similarity.x}-{similarity.y}.csv; what each measure computes is told under "
        "“How were the numbers made?”."
    )
    empty = [m.title for m in similarity.measures.values() if not np.isfinite(m.value).any()]
    if empty:
        more = f" and {len(empty) - 6} more" if len(empty) > 6 else ""
        text += f" Without any value, for the reasons in the notes: {', '.join(empty[:6])}{more}."
    return text
