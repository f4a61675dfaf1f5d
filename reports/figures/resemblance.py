"""What each layer resembles: similarity to references over depth."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes

from reports import style
from reports.figures.drawing import Drawing
from reports.numbers import percent
from reports.results import Measure
from reports.study import Study
from reports.words import abridged


def resemblance(study: Study) -> Drawing | None:
    """One panel a reference, one curve a model, on relative depth."""
    tables = {}
    for role in study.models:
        found = study.between(role, "ref")
        measure = found.main() if found else None
        if measure is not None:
            tables[role] = (found, measure)
    if not tables:
        return None
    references = next(iter(tables.values()))[0].layers_y
    across = min(3, len(references))
    down = math.ceil(len(references) / across)
    figure = style.canvas(1.48 * down + 0.25)
    grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    top = 0.05
    for axes, name in zip(grid.flat, references, strict=False):
        axes.set_title(name[:32], loc="left")
        ends = []
        for role, (found, measure) in tables.items():
            if name not in found.layers_y:
                continue
            column = found.layers_y.index(name)
            ends.append((role, _curve(axes, role, measure, column)))
            # a few groups have values and no intervals
            drawn = np.concatenate([measure.high[:, column], measure.value[:, column], [0.0]])
            top = max(top, float(np.nanmax(drawn)))
        direct_labels(axes, study, ends)
    for axes in list(grid.flat)[len(references) :]:
        axes.set_visible(False)
    grid[0, 0].set_ylim(-0.04 * top, min(top * 1.08, 1.05))
    grid[0, 0].set_xlim(-0.03, 1.03)
    for axes in grid.flat:
        axes.set_xticks([0, 0.5, 1], ["first", "", "last"])
    for axes in list(grid.flat)[len(references) - across : len(references)]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("relative depth")
    _, measure = next(iter(tables.values()))
    for row in grid:
        row[0].set_ylabel(measure.title[:28])
    caption = (
        f"Similarity of each layer to what is not a network ({measure.name}), over depth from the "
        f"first layer to the last. Bands: {percent(measure.interval)} intervals over groups; grey "
        "dashes: what chance exceeds in 5 % of cases. A layer that rides high on chroma carries "
        "its "
        "large directions the way chroma does; it may still know what it does not resemble."
    )
    return Drawing("resemblance", figure, caption, "Similarity to references over depth.")


def _curve(axes: Axes, role: str, measure: Measure, column: int) -> np.ndarray:
    """Draws one curve; returns its points [layers, 2]."""
    depth = np.linspace(0.0, 1.0, len(measure.value))
    colour = style.role_colour(role)
    value = measure.value[:, column]
    axes.fill_between(
        depth, measure.low[:, column], measure.high[:, column], color=colour, alpha=0.22, lw=0
    )
    marker = style.MARKERS.get(role, "o") if len(depth) <= 30 else None
    axes.plot(depth, value, color=colour, marker=marker, ms=2.4, lw=1.2)
    chance = measure.chance_high[:, column]
    if np.isfinite(chance).any():
        axes.plot(depth, chance, color=style.GREY, ls=(0, (4, 3)), lw=0.7)
    return np.stack([depth, value], axis=1)


def direct_labels(axes: Axes, study: Study, curves: list[tuple[str, np.ndarray]]) -> None:
    """Names each curve on the curve: where it is farthest from the others."""
    for role, points in curves:
        usable = points[np.isfinite(points[:, 1])]
        if not len(usable):
            continue
        gaps = []
        for depth, value in usable:
            rest = [np.interp(depth, p[:, 0], p[:, 1]) for r, p in curves if r != role]
            gaps.append(min((value - r for r in rest), key=abs, default=1.0))
        inner = np.where((usable[:, 0] >= 0.1) & (usable[:, 0] <= 0.9), np.abs(gaps), -1.0)
        spot = int(np.argmax(inner))
        above = gaps[spot] >= 0
        name = study.name_of(role)
        depth, value = usable[spot]
        axes.annotate(
            abridged(name, 14),
            (depth, value),
            xytext=(0, 6 if above else -6),
            textcoords="offset points",
            ha="left" if depth < 0.35 else "right" if depth > 0.65 else "center",
            va="bottom" if above else "top",
            fontsize=7,
            color=style.role_colour(role, text=True),
            annotation_clip=False,
        )
