"""How much information is shared: measures in bits."""

from __future__ import annotations

import numpy as np

from reports import style
from reports.figures.cross import hatch
from reports.figures.drawing import Drawing
from reports.numbers import percent
from reports.results import Measure
from reports.study import Study
from reports.words import abridged


def information(study: Study, x: str, y: str) -> Drawing | None:
    """The matrix of the first measure in bits, and the best partner's share over depth."""
    similarity = study.between(x, y)
    measures = similarity.information() if similarity else ()
    measures = tuple(m for m in measures if np.isfinite(m.value).any())
    if not measures:
        return None
    measure = measures[0]
    unit = measure.unit or "bits"
    figure = style.canvas(2.9)
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1.0])
    top = max(float(np.nanmax(measure.value)), 1e-6)
    image = left.imshow(
        measure.value, cmap=style.SEQUENTIAL, vmin=0, vmax=top, origin="lower", aspect="auto"
    )
    hatch(left, measure)
    left.spines[:].set_visible(False)
    style.label_layers(left, similarity.layers_x, "y", most=16, limit=18)
    style.label_layers(left, similarity.layers_y, "x", most=18, limit=18)
    left.set_ylabel(abridged(study.name_of(x), 40), color=style.role_colour(x, text=True))
    left.set_xlabel(abridged(study.name_of(y), 40), color=style.role_colour(y, text=True))
    bar = figure.colorbar(image, ax=left, shrink=0.7, aspect=24, pad=0.02)
    bar.outline.set_linewidth(0.4)
    bar.set_label(unit)
    for role, one in ((x, measure), (y, measure.turned())):
        _partner(right, role, one)
    right.set_xlabel("relative depth")
    right.set_ylabel(f"shared with the best partner ({unit})")
    right.set_ylim(bottom=min(0.0, right.get_ylim()[0]))
    right.set_xlim(-0.03, 1.03)
    right.legend(
        *_keys(right, study, (x, y)),
        loc="upper left",
        bbox_to_anchor=(0, 1.13),
        ncols=2,
        frameon=False,
        handlelength=1.4,
        columnspacing=1.2,
        borderaxespad=0.0,
    )
    caption = (
        f"Information shared by the layers of {study.name_of(x)} and {study.name_of(y)} in "
        f"{unit} "
        f"({measure.name}). Left: every pair; hatched: not above chance. Right: for each layer the "
        f"largest value over the other model's layers, with {percent(measure.interval)} intervals; "
        "the best of many partners is a little flattered by the choice. Grey dashes: what chance "
        "exceeds in 5 % of cases (median over pairs). Gaussian information sees linear relations "
        "only and depends on how many components were kept: compare values of this page with each "
        "other only."
    )
    return Drawing("information", figure, caption, "Information shared by layers, in bits.")


def _partner(axes, role: str, measure: Measure) -> None:
    usable = np.isfinite(measure.value).any(axis=1)
    rows = np.flatnonzero(usable)
    best = np.nanargmax(measure.value[usable], axis=1)
    depth = rows / max(len(measure.value) - 1, 1)
    colour = style.role_colour(role)
    low, high = measure.low[rows, best], measure.high[rows, best]
    axes.fill_between(depth, low, high, color=colour, alpha=0.22, lw=0)
    axes.plot(
        depth,
        measure.value[rows, best],
        color=colour,
        marker=style.MARKERS.get(role, "o"),
        ms=3,
        label=role,
    )
    level = np.nanmedian(measure.chance_high) if np.isfinite(measure.chance_high).any() else np.nan
    if np.isfinite(level) and role == "a":
        # held out, the null may lie below zero bits, where there is nothing to share
        axes.axhline(max(level, 0.0), color=style.GREY, ls=(0, (4, 3)), lw=0.8)


def _keys(axes, study: Study, roles: tuple[str, str]):
    lines = [line for line in axes.lines if line.get_label() in roles]
    return lines, [abridged(study.name_of(line.get_label()), 24) for line in lines]
