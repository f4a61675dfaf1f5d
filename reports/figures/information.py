"""How much information two models share: measures in bits."""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from reports import style
from reports.figures import keys
from reports.figures.cells import fitted, hatch_measure, hatched
from reports.figures.drawing import Drawing, Drawn
from reports.numbers import percent
from reports.results import Measure, Similarity
from reports.study import Study
from reports.words import abridged

PER_PAGE = 12


def information(study: Study, x: str, y: str) -> list[Drawing]:
    """The matrix of the main measure in bits, then best partners by every other estimator."""
    similarity = study.between(x, y)
    measures = similarity.information() if similarity else ()
    measures = tuple(m for m in measures if np.isfinite(m.value).any())
    if not measures:
        return []
    rest = measures[1:]
    pages = [rest[i : i + PER_PAGE] for i in range(0, len(rest), PER_PAGE)]
    first = partial(_matrix, study, similarity, measures[0])
    alt = "Shared bits over depth by other estimators."
    return [
        Drawing("information", "Information shared by layers, in bits.", first),
        *(
            Drawing(f"information-{n}", alt, partial(_estimators, study, similarity, page))
            for n, page in enumerate(pages, 2)
        ),
    ]


def _matrix(study: Study, similarity: Similarity, measure: Measure) -> Drawn:
    x, y = similarity.x, similarity.y
    unit = measure.unit or "bits"
    figure = style.canvas(3.1)
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1.0])
    top = max(float(np.nanmax(measure.value)), 1e-6)
    image = left.imshow(
        measure.value, cmap=style.SEQUENTIAL, vmin=0, vmax=top, origin="lower", aspect="auto"
    )
    hatch_measure(left, measure)
    left.spines[:].set_visible(False)
    style.label_layers(left, similarity.layers_x, "y", most=16, limit=18)
    style.label_layers(left, similarity.layers_y, "x", most=18, limit=18)
    left.set_ylabel(abridged(study.name_of(x), 40), color=style.role_colour(x, text=True))
    left.set_xlabel(abridged(study.name_of(y), 40), color=style.role_colour(y, text=True))
    bar = figure.colorbar(image, ax=left, shrink=0.7, aspect=24, pad=0.02)
    bar.outline.set_linewidth(0.4)
    bar.set_label(unit)
    _partners(right, similarity, measure)
    keys.depth_axis(right, named=True)
    right.set_ylabel(f"shared with the best partner ({unit})")
    handles = [*keys.lines(study, (x, y)), Line2D([], [], **keys.CHANCE, label="level of chance")]
    keys.above(figure, handles)
    caption = (
        f"Information shared by the layers of {study.name_of(x)} and {study.name_of(y)} in "
        f"{unit} ({measure.name}). Left: every pair. {hatched(measure)} Right: for each layer the "
        f"largest value over the other model's layers, with {percent(measure.interval)} intervals; "
        "the best of many partners is a little flattered by the choice. Grey dashes: what chance "
        "exceeds in 5 % of cases (median over pairs), not drawn below 0. " + measure.beware
    )
    values = measure.value[np.isfinite(measure.value)]
    if (values <= 0).all():
        caption += (
            f" No value is above 0: {similarity.n_groups} groups are too few to fit and "
            "to test on others. This says nothing about the models."
        )
    elif (values < 0).any():
        caption += " Values below 0: nothing is shared there that can be found."
    return figure, caption


def _estimators(study: Study, similarity: Similarity, measures: tuple[Measure, ...]) -> Drawn:
    """One panel an estimator: each layer's best partner over depth."""
    across = min(4, len(measures))
    down = -(-len(measures) // across)
    figure = style.canvas(1.5 * down + 0.5)
    panels = keys.grid(figure, len(measures), across)
    for place, (axes, measure) in enumerate(zip(panels, measures, strict=True)):
        ceiling = _ceiling(measure)
        _partners(axes, similarity, measure, ceiling)
        title, size = fitted(measure.title, (style.WIDTH - 0.3 * across) / across - 0.15, 8.0)
        axes.set_title(title, loc="left", fontsize=size)
        keys.depth_axis(axes, named=place + across >= len(measures))
        axes.tick_params(labelsize=6.8)
        if place % across == 0:
            axes.set_ylabel(measure.unit or "bits")
    handles = keys.lines(study, (similarity.x, similarity.y))
    handles.append(Line2D([], [], **keys.CHANCE, label="level of chance"))
    capped = [m for m in measures if np.isfinite(_ceiling(m))]
    if capped:
        handles.append(Line2D([], [], color=style.INK, ls=keys.DOTS, lw=0.9, label="ceiling"))
    keys.above(figure, handles)
    caption = (
        "The same question by other estimators: bits that each layer shares with its best partner "
        "in the other model, each panel on its own scale. "
        f"Bands: {percent(measures[0].interval)} intervals; grey dashes: what chance exceeds in "
        "5 % of cases (median over pairs)."
    )
    if capped:
        caption += (
            f" Dotted: the largest value that {', '.join(m.title for m in capped)} can take with "
            "these rows; near it, more may be shared than can be told."
        )
    caption += (
        " Estimators differ in what they can see and in how many components enter: compare "
        "shapes between panels, and values within one. Canonical names: "
        + "; ".join(f"{m.title} is {m.name}" for m in measures)
        + "."
    )
    return figure, caption


def _ceiling(measure: Measure) -> float:
    """The largest value that an estimator can give, where it has one."""
    found = measure.extra.get("ceiling")
    return float(np.nanmedian(found)) if found is not None and np.isfinite(found).any() else np.nan


def _partners(
    axes: Axes, similarity: Similarity, measure: Measure, ceiling: float = float("nan")
) -> None:
    """The largest value of each layer of either side, over relative depth."""
    tops = [0.0]
    for role, one in ((similarity.x, measure), (similarity.y, measure.turned())):
        rows = np.flatnonzero(np.isfinite(one.value).any(axis=1))
        best = np.nanargmax(one.value[rows], axis=1)
        table = np.stack([m[rows, best] for m in (one.value, one.low, one.high)], axis=1)
        keys.curve(axes, role, table, depth=rows / max(len(one.value) - 1, 1))
        tops.append(float(np.nanmax(table)))
    level = measure.chance_high[np.isfinite(measure.chance_high)]
    if len(level):
        # held out, the null may lie below zero bits, where there is nothing to share
        axes.axhline(max(float(np.median(level)), 0.0), **keys.CHANCE)
    # a ceiling far above all values would flatten them
    if ceiling < 2.5 * max(tops):
        axes.axhline(ceiling, color=style.INK, ls=keys.DOTS, lw=0.9)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
