"""Where two models agree: their layers against each other."""

from __future__ import annotations

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from reports import style
from reports.figures.drawing import Drawing
from reports.matching import best_matches, excess, monotone_path
from reports.numbers import percent
from reports.results import Measure, Similarity
from reports.study import Study
from reports.words import abridged

_HALO = [patheffects.withStroke(linewidth=3.0, foreground="white")]


def cross(study: Study, x: str, y: str) -> Drawing | None:
    """The main measure, large, with best matches and the monotone path."""
    similarity = study.between(x, y)
    measure = similarity.main() if similarity else None
    if measure is None:
        return None
    rows, columns = measure.value.shape
    height = min(max(style.WIDTH * 0.8 * rows / columns + 0.9, 4.4), 5.9)
    figure = style.canvas(height)
    axes = figure.add_subplot()
    image = axes.imshow(
        measure.value, cmap=style.SEQUENTIAL, vmin=0, vmax=1, origin="lower", aspect="auto"
    )
    hatch(axes, measure)
    style.label_layers(axes, similarity.layers_x, "y", most=int(6.5 * (height - 1)), limit=20)
    style.label_layers(axes, similarity.layers_y, "x", most=30, limit=18)
    axes.set_ylabel(
        abridged(study.name_of(x), 48), color=style.role_colour(x, text=True), fontsize=9
    )
    axes.set_xlabel(
        abridged(study.name_of(y), 48), color=style.role_colour(y, text=True), fontsize=9
    )
    axes.spines[:].set_visible(False)
    path = monotone_path(excess(measure))
    _path(axes, path.pairs)
    _matches(axes, measure, x, y)
    bar = figure.colorbar(image, ax=axes, shrink=0.5, aspect=26, pad=0.02, ticks=[0, 0.5, 1])
    bar.outline.set_linewidth(0.4)
    bar.set_label(measure.title)
    caption = (
        f"Similarity of the layers of {study.name_of(x)} (rows) and {study.name_of(y)} "
        "(columns): "
        f"{measure.name}, {measure.bounds_text}, {similarity.n_rows} rows in {similarity.n_groups} "
        f"groups. Hatched: not above chance (lower end of the {percent(measure.interval)} interval "
        f"at or below what chance exceeds in 5 % of cases; "
        f"{measure.chance_by or 'chance not stated'}). "
        "Right-pointing triangles: best match of each row; upward triangles: best match of each "
        "column."
    )
    if path.pairs:
        caption += (
            " Line: the one-to-one matching of largest total excess over chance that keeps the "
            "order "
            f"of depth; it keeps {percent(path.order_kept)} of what the best free matching reaches."
        )
    return Drawing("cross", figure, caption, "Heat map of similarity between two models' layers.")


def hatch(axes: Axes, measure: Measure) -> None:
    """Hatches what is at chance; says nothing where chance is not known."""
    known = np.isfinite(measure.chance_high) & np.isfinite(measure.low)
    mask = np.where(known & ~measure.above_chance, 1.0, np.nan)
    if np.isfinite(mask).any():
        rows, columns = mask.shape
        corners = np.array([(-0.5, -0.5), (-0.5, 0.5), (0.5, 0.5), (0.5, -0.5)])
        cells = np.argwhere(mask == 1.0)[:, None, ::-1] + corners
        axes.add_collection(
            PolyCollection(
                cells, facecolors="none", edgecolors="#9a9a9a", linewidths=0, hatch="////"
            ),
            autolim=False,
        )
        axes.set_xlim(-0.5, columns - 0.5)
        axes.set_ylim(-0.5, rows - 0.5)


def _path(axes: Axes, pairs: tuple[tuple[int, int], ...]) -> None:
    if not pairs:
        return
    i, j = zip(*pairs, strict=True)
    axes.plot(j, i, color=style.INK, lw=1.3, path_effects=_HALO, zorder=3)
    small = max(1.6, 4.2 - len(pairs) / 12)
    axes.plot(j, i, "o", ms=small, color=style.INK, mec="white", mew=0.5, zorder=4)


def _matches(axes: Axes, measure: Measure, x: str, y: str) -> None:
    """Triangles shifted off the cell's centre, so that two in one cell stay apart."""
    by_row, by_column = best_matches(measure)
    size = max(7.0, 34.0 - 0.9 * max(measure.value.shape)) / 1.3
    marks = (
        (">", -0.27, 0.0, [(i, j) for i, j in enumerate(by_row) if j is not None], x),
        ("^", 0.0, -0.27, [(i, j) for j, i in enumerate(by_column) if i is not None], y),
    )
    for marker, dx, dy, cells, role in marks:
        if cells:
            i, j = np.array(cells).T
            axes.scatter(
                j + dx,
                i + dy,
                marker=marker,
                s=size,
                color=style.role_colour(role),
                edgecolors="white",
                linewidths=0.6,
                zorder=5,
            )


def others(study: Study, x: str, y: str) -> Drawing | None:
    """Small multiples of every other measure of similarity that has values, on the same scale."""
    similarity = study.between(x, y)
    main = similarity.main() if similarity else None
    if main is None:
        return None
    measures = [
        m
        for m in similarity.measures.values()
        if m.family != "information" and m is not main and np.isfinite(m.value).any()
    ][:6]
    if not measures:
        return None
    across = min(len(measures), 4 if len(measures) != 3 else 3)
    down = -(-len(measures) // across)
    figure = style.canvas(1.75 * down + 0.1)
    grid = figure.subplots(down, across, squeeze=False)
    for axes, measure in zip(grid.flat, measures, strict=False):
        axes.imshow(
            measure.value, cmap=style.SEQUENTIAL, vmin=0, vmax=1, origin="lower", aspect="auto"
        )
        hatch(axes, measure)
        axes.spines[:].set_visible(False)
        axes.set_title(measure.title[:32], fontsize=8, loc="left")
        _ends(axes, similarity)
    for axes in list(grid.flat)[len(measures) :]:
        axes.set_visible(False)
    for row in grid:
        row[0].set_ylabel(abridged(study.name_of(x), 24), color=style.role_colour(x, text=True))
    for axes in grid[-1]:
        axes.set_xlabel(abridged(study.name_of(y), 24), color=style.role_colour(y, text=True))
    names = "; ".join(m.name for m in measures)
    caption = (
        f"The same layers by other measures ({names}). Scale as above, 0 to 1; hatched: not above "
        "chance. 1 means: the same up to rotation and scale (CKA), the same up to any "
        "invertible linear map of the kept components (SVCCA, PWCCA). A pattern that only one "
        "measure shows deserves doubt."
    )
    return Drawing("cross-others", figure, caption, "Small heat maps of the other measures.")


def _ends(axes: Axes, similarity: Similarity) -> None:
    last_x, last_y = len(similarity.layers_y) - 1, len(similarity.layers_x) - 1
    axes.set_xticks([0, last_x], ["first", "last"])
    axes.set_yticks([0, last_y], ["first", "last"])
