"""Where two models agree: their layers against each other by the main measure."""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes

from reports import style
from reports.figures import hover
from reports.figures.cells import hatch_measure, hatched, unbounded
from reports.figures.drawing import Drawing, Drawn
from reports.numbers import percent
from reports.results import Measure, Similarity
from reports.structure import STABLE, Across, PathPair
from reports.study import Study
from reports.words import abridged

_HALO = [patheffects.withStroke(linewidth=2.4, foreground="white")]
_THIN_HALO = [patheffects.withStroke(linewidth=1.4, foreground="white")]
_NUMBERED = 0.17  # inches a cell needs for the stability of its pair in figures


def cross(study: Study, x: str, y: str) -> Drawing | None:
    """The main measure, large, with best matches and the monotone path."""
    similarity = study.between(x, y)
    measure = similarity.main() if similarity else None
    if measure is None or not np.isfinite(measure.value).any():
        return None
    draw = partial(_figure, study, x, y, similarity, measure)
    return Drawing("cross", "Heat map of similarity between two models' layers.", draw)


def _figure(study: Study, x: str, y: str, similarity: Similarity, measure: Measure) -> Drawn:
    rows, columns = measure.value.shape
    height = min(max(style.WIDTH * 0.8 * rows / columns + 0.9, 3.7), 4.4)
    figure = style.canvas(height)
    axes = figure.add_subplot()
    image = axes.imshow(
        measure.value, cmap=style.SEQUENTIAL, vmin=0, vmax=1, origin="lower", aspect="auto"
    )
    hatch_measure(axes, measure)
    hover.measured(axes, similarity, measure)
    style.label_layers(axes, similarity.layers_x, "y", most=int(6.5 * (height - 1)), limit=20)
    style.label_layers(axes, similarity.layers_y, "x", most=30, limit=18)
    axes.set_ylabel(
        abridged(study.name_of(x), 48), color=style.role_colour(x, text=True), fontsize=9
    )
    axes.set_xlabel(
        abridged(study.name_of(y), 48), color=style.role_colour(y, text=True), fontsize=9
    )
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, shrink=0.5, aspect=26, pad=0.02, ticks=[0, 0.5, 1])
    bar.outline.set_linewidth(0.4)
    bar.set_label(measure.title)
    caption = (
        f"Similarity of the layers of {study.name_of(x)} (rows) and {study.name_of(y)} "
        f"(columns): {measure.name}, {measure.bounds_text}, {similarity.n_rows} rows in "
        f"{similarity.n_groups} groups. {hatched(measure)}{unbounded(measure)}"
    )
    structure = similarity.structure
    if isinstance(structure, Across):
        cell = min((height - 1.2) / rows, 5.0 / columns)
        _path(axes, structure.path, numbers=cell >= _NUMBERED)
        _matches(axes, structure, max(rows, columns), x, y)
        caption += _told(structure, measure, numbers=cell >= _NUMBERED)
    return figure, caption


def _told(structure: Across, measure: Measure, *, numbers: bool) -> str:
    """What the marks on the matrix mean."""
    best = [m for m in (*structure.best_x, *structure.best_y) if m is not None]
    text = ""
    if best:
        text += (
            " Triangles to the right: best match of each row; upward: of each column; filled "
            f"where at least {percent(STABLE)} of {structure.resamples} resamples agree within one "
            "layer, else hollow."
        )
    if structure.path:
        kept = percent(structure.order_kept.value)
        if structure.order_kept.bounded:
            low, high = structure.order_kept.low, structure.order_kept.high
            kept += f" [{percent(low)}, {percent(high)}]"
        text += (
            " Line: the one-to-one matching of largest total excess over chance that keeps the "
            f"order of depth; it keeps {kept} of what the best free matching reaches. Solid where "
            f"both pairs are in at least {percent(STABLE)} of resamples"
            + (", numbers: that share in %." if numbers else ".")
        )
    if text and structure.measure != measure.name:
        text += f" Matches and line are by {structure.measure}."
    return text or " No pair of layers is above chance: nothing is matched."


def _path(axes: Axes, pairs: tuple[PathPair, ...], *, numbers: bool) -> None:
    for one, two in zip(pairs, pairs[1:], strict=False):
        sure = min(one.stability, two.stability) >= STABLE
        axes.plot(
            [one.y, two.y],
            [one.x, two.x],
            color=style.INK,
            lw=1.3 if sure else 0.9,
            ls="-" if sure else (0, (2.5, 1.6)),
            path_effects=_HALO,
            zorder=3,
        )
    small = max(2.6, 4.4 - len(pairs) / 14)
    for pair in pairs:
        sure = pair.stability >= STABLE
        face = style.INK if sure else "white"
        edge = "white" if sure else style.INK
        axes.plot(pair.y, pair.x, "o", ms=small, color=face, mec=edge, mew=0.35, zorder=4)
        if numbers and np.isfinite(pair.stability):
            axes.annotate(
                f"{100 * pair.stability:.0f}",
                (pair.y, pair.x),
                xytext=(-1.0, 2.0),
                textcoords="offset points",
                fontsize=5.6,
                ha="right",
                va="bottom",
                path_effects=_THIN_HALO,
                zorder=6,
            )


def _matches(axes: Axes, structure: Across, most: int, x: str, y: str) -> None:
    """Triangles shifted off the cell's centre, so that two in one cell stay apart."""
    size = max(8.0, 28.0 - 0.5 * most)
    sides = (
        (">", -0.27, 0.0, [(i, m.layer, m) for i, m in enumerate(structure.best_x) if m], x),
        ("^", 0.0, -0.27, [(m.layer, j, m) for j, m in enumerate(structure.best_y) if m], y),
    )
    for marker, dx, dy, cells, role in sides:
        colour = style.role_colour(role)
        for i, j, match in cells:
            sure = match.stability >= STABLE
            axes.scatter(
                j + dx,
                i + dy,
                marker=marker,
                s=size,
                facecolors=colour if sure else "white",
                edgecolors="white" if sure else colour,
                linewidths=0.3 if sure else 0.8,
                zorder=5,
            )


def main_and_others(similarity: Similarity) -> tuple[Measure | None, list[Measure]]:
    """The main measure, and all others that have values."""
    main = similarity.main()
    others = [m for m in similarity.measures.values() if m is not main]
    return main, [m for m in others if np.isfinite(m.value).any()]
