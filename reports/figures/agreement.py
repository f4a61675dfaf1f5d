"""Which measures tell the same story: rank correlation of their matrices."""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.figure import Figure

from reports import style
from reports.figures.cells import fitted
from reports.figures.drawing import Drawing, Drawn
from reports.figures.multiples import FAMILIES
from reports.numbers import number
from reports.results import Measure, Similarity
from reports.study import Study

FEWEST_CELLS = 6
_LEFT, _TAG = 1.62, 0.2
_TAGS = {"cka": "K", "cca": "C", "shape": "S", "relations": "R", "information": "I"}


def rank_correlations(measures: list[Measure]) -> np.ndarray:
    """[measures, measures] Spearman's correlation over the cells that both have.

    Distances are turned, so that larger is more similar throughout.
    """
    from scipy.stats import rankdata  # slow to import

    tables = np.array([m.likeness.ravel() for m in measures])
    known = np.isfinite(tables)
    out = np.eye(len(measures))
    for i in range(len(measures)):
        for j in range(i):
            both = known[i] & known[j]
            value = np.nan
            if both.sum() >= FEWEST_CELLS:
                one, two = (rankdata(tables[k, both]) for k in (i, j))
                if np.ptp(one) > 0 and np.ptp(two) > 0:
                    value = float(np.corrcoef(one, two)[0, 1])
            out[i, j] = out[j, i] = value
    return out


def agreement(study: Study, x: str, y: str) -> Drawing | None:
    """A matrix of measures; None for fewer than three."""
    similarity = study.between(x, y)
    measures = list(similarity.measures.values()) if similarity else []
    measures = [m for m in measures if np.isfinite(m.value).sum() >= FEWEST_CELLS]
    if len(measures) < 3:
        return None
    draw = partial(_figure, similarity, measures)
    return Drawing("agreement", "Matrix of rank correlations between measures.", draw)


def _figure(similarity: Similarity, measures: list[Measure]) -> Drawn:
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    table = rank_correlations(measures)
    near = squareform(np.clip(1.0 - np.nan_to_num(table), 0.0, 2.0), checks=False)
    tree = optimal_leaf_ordering(linkage(near, "average"), near)
    order = leaves_list(tree)
    table, measures = table[np.ix_(order, order)], [measures[i] for i in order]
    main = similarity.main()

    count = len(measures)
    cell = min(0.3, 4.1 / count)
    side = cell * count
    height = side + 0.34
    figure = Figure(figsize=(style.WIDTH, height))
    left = _LEFT + _TAG
    axes = figure.add_axes((left / style.WIDTH, 0.06 / height, side / style.WIDTH, side / height))
    image = axes.imshow(table, aspect="auto", **_scale(table))
    axes.spines[:].set_visible(False)
    axes.set_xticks([])
    axes.set_yticks([])
    for row, measure in enumerate(measures):
        size = min(7.6, 72 * cell * 0.82)
        text, size = fitted(measure.title, _LEFT - 0.05, size, smallest=5.8)
        axes.annotate(
            text, (-0.5, row), xytext=(-72 * _TAG - 3, 0), textcoords="offset points",
            ha="right", va="center", fontsize=size, annotation_clip=False,
            weight="bold" if measure is main else "normal",
        )  # fmt: skip
        tag = _TAGS.get(measure.family, "")
        axes.annotate(
            tag, (-0.5, row), xytext=(-36 * _TAG, 0), textcoords="offset points", ha="center",
            va="center", fontsize=min(6.5, size), color=style.GREY, annotation_clip=False,
        )  # fmt: skip
        axes.annotate(
            tag, (row, -0.5), xytext=(0, 5), textcoords="offset points", ha="center", va="center",
            fontsize=min(6.5, size), color=style.GREY, annotation_clip=False,
        )  # fmt: skip
    if cell >= 0.24:
        for i, j in np.argwhere(np.isfinite(table)):
            low, high = image.get_clim()
            at = (table[i, j] - low) / (high - low)
            dark = at > 0.6 or (low < 0.0 and at < 0.12)
            axes.text(
                j, i, number(table[i, j], 2), ha="center", va="center", fontsize=5.8,
                color="white" if dark else style.INK,
            )  # fmt: skip
    room = figure.add_axes(
        ((left + side + 0.2) / style.WIDTH, (height - 0.3 - 1.3) / height, 0.09 / style.WIDTH,
         min(1.3, side) / height) if side >= 1.3 else
        ((left + side + 0.2) / style.WIDTH, 0.06 / height, 0.09 / style.WIDTH, side / height)
    )  # fmt: skip
    bar = figure.colorbar(
        image,
        cax=room,
        ticks=sorted({image.get_clim()[0], 0.0 if image.get_clim()[0] < 0 else 1.0, 1.0}),
    )
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(labelsize=6.5, length=2)
    tags = ", ".join(
        f"{_TAGS[f]} {FAMILIES[f][0].lower()}"
        for f in FAMILIES
        if any(m.family == f for m in measures)
    )
    caption = (
        "Which measures tell the same story: rank correlation (Spearman) between the matrices of "
        "any two measures over all pairs of layers, distances turned round. Measures that agree "
        "stand together (average linkage); bold: the main measure. Families: "
        f"{tags}. {_apart(table, measures, main)}"
    )
    return figure, caption


def _scale(table: np.ndarray) -> dict:
    """Colours from -1 to 1 around 0, or from the least to 1 where all go together."""
    least = float(np.nanmin(table))
    if least < 0.0:
        return {"cmap": style.DIVERGING, "vmin": -1.0, "vmax": 1.0}
    return {"cmap": style.SEQUENTIAL, "vmin": min(np.floor(10 * least) / 10, 0.9), "vmax": 1.0}


def _apart(table: np.ndarray, measures: list[Measure], main: Measure | None) -> str:
    """Which measure goes least with the main one."""
    if main is None or main not in measures:
        return ""
    row = table[measures.index(main)]
    if not np.isfinite(row).any():
        return ""
    worst = int(np.nanargmin(row))
    typical = number(float(np.nanmedian(np.delete(row, measures.index(main)))))
    return (
        f"With {main.title} the others have a median correlation of {typical}; the least is "
        f"{measures[worst].title} with {number(float(row[worst]))}."
    )
