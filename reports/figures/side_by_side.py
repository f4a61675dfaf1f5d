"""Specialisation of the models of several studies, side by side over the same tasks."""

from __future__ import annotations

from functools import partial

import numpy as np

from reports import style
from reports.across import Column, Comparison, titles
from reports.figures import hover
from reports.figures.cells import ruled
from reports.figures.drawing import Drawing, Drawn
from reports.figures.specialisation import LIMIT, standardised, told
from reports.words import abridged

_ACROSS = 4
_MOST = 7.6  # inches


def side_by_side(comparison: Comparison) -> list[Drawing]:
    """Tasks down, the layers of up to four models across; models of one setting at a time."""
    drawings = []
    for setting in comparison.settings:
        columns = [c for c in comparison.of(setting) if _layers(c)]
        for start in range(0, len(columns), _ACROSS):
            part = columns[start : start + _ACROSS]
            draw = partial(_page, setting.title, part, titles(columns))
            name = f"side-by-side-{len(drawings) + 1}"
            drawings.append(Drawing(name, "Matrices of tasks and layers.", draw))
    return drawings


def _layers(column: Column) -> tuple[str, ...]:
    """The layers most of the model's tasks were asked of; none where it has only one."""
    names = [task.names for task in column.tasks.values()]
    common = max(dict.fromkeys(names), key=names.count, default=())
    return common if len(common) > 1 else ()


def _scores(column: Column, keys: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """[tasks, layers] standardised scores, and shares of wins; NaN where there is no task."""
    layers = _layers(column)
    scores = np.full((len(keys), len(layers)), np.nan)
    wins = scores.copy()
    for row, key in enumerate(keys):
        task = column.tasks.get(key)
        if task is not None and task.names == layers:
            curve = task.curve(task.headline)[:, 0]
            if np.isfinite(curve).any():
                scores[row] = standardised(curve[None])[0]
                wins[row] = task.wins()
    return scores, wins


def _page(title: str, columns: list[Column], names: dict[str, str]) -> Drawn:
    keys = list(names)
    tables = [_scores(column, keys) for column in columns]
    order = _order([scores for scores, _ in tables])
    keys = [keys[i] for i in order]
    figure = style.canvas(min(0.19 * len(keys) + 1.5, _MOST))
    widths = [max(len(_layers(c)), 6) for c in columns]
    grid = figure.subplots(1, len(columns), squeeze=False, width_ratios=widths)[0]
    image = None
    for place, (axes, column, (scores, wins)) in enumerate(zip(grid, columns, tables, strict=True)):
        image = axes.imshow(
            scores[order], cmap=style.DIVERGING.with_extremes(bad="#EFEDE8"), vmin=-LIMIT,
            vmax=LIMIT, aspect="auto",
        )  # fmt: skip
        task, layer = np.nonzero(np.nan_to_num(wins[order]) > 0.02)
        share = wins[order][task, layer]
        axes.scatter(
            layer, task, s=34 * share, color="white", edgecolors=style.INK, linewidths=0.6,
            zorder=3,
        )  # fmt: skip
        layers = _layers(column)
        found = [column.tasks.get(key) for key in keys]
        hover.cells(axes, len(keys), len(layers), lambda i, j, f=found: told(f, i, j))
        axes.set_yticks(range(len(keys)), [""] * len(keys))
        if not place:
            axes.set_yticklabels([abridged(names[key], 24) for key in keys])
        style.label_layers(axes, layers, "x", most=30 // len(columns) + 4, limit=16)
        axes.set_title(abridged(column.name, 120 // len(columns)), loc="left", fontsize=8)
        ruled(axes, len(keys), len(layers), across=True)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    bar = figure.colorbar(
        image, ax=list(grid), shrink=0.5, aspect=26, pad=0.015, ticks=[-2, -1, 0, 1, 2]
    )
    bar.outline.set_linewidth(0.4)
    bar.set_label("standardised score")
    caption = (
        f"Where in depth each model holds each task ({title}): scores of the quoted split, "
        "standardised over the layers of the model (0 = its mean layer, 1 = one standard "
        "deviation better); tasks ordered by where they peak on average. Dot area: share of "
        "resamples of groups in which the layer scores best. Grey: not asked. Colours of two "
        "models do not say which of them scores higher: the table does."
    )
    return figure, caption


def _order(tables: list[np.ndarray]) -> list[int]:
    """Tasks by the mean relative depth of their best layer."""
    depths = []
    for row in range(len(tables[0])):
        peaks = [
            float(np.nanargmax(scores[row])) / (scores.shape[1] - 1)
            for scores in tables
            if np.isfinite(scores[row]).any()
        ]
        depths.append(float(np.mean(peaks)) if peaks else 2.0)
    return [int(i) for i in np.argsort(depths, kind="stable")]
