"""Who specialises in what: tasks against layers, standardised within each task."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from reports import style
from reports.figures import hover
from reports.figures.cells import ruled
from reports.figures.drawing import Drawing, Drawn
from reports.numbers import percent
from reports.probing import Probes, Task
from reports.study import Study
from reports.words import abridged

LIMIT = 2.0


def standardised(table: np.ndarray) -> np.ndarray:
    """Each row to mean 0 and standard deviation 1 over the layers; a flat row is 0 throughout."""
    centred = table - np.nanmean(table, axis=1, keepdims=True)
    scale = np.nanstd(table, axis=1, keepdims=True)
    return np.divide(centred, scale, out=np.zeros_like(centred), where=scale > 1e-9)


def profile(probes: Probes) -> tuple[tuple[str, ...], tuple[str, ...], np.ndarray, np.ndarray]:
    """Tasks that share the layers of the first, ordered by where they peak.

    Returns
    -------
    keys, layers, headline scores [tasks, layers], wins [tasks, layers].
    """
    tasks = list(probes.tasks.values())
    layers = tasks[0].names if tasks else ()
    tasks = [t for t in tasks if t.names == layers]
    tasks = [t for t in tasks if np.isfinite(t.curve(t.headline)[:, 0]).any()]
    if not tasks:
        return (), layers, np.empty((0, len(layers))), np.empty((0, len(layers)))
    scores = np.array([t.curve(t.headline)[:, 0] for t in tasks])
    wins = np.array([t.wins() for t in tasks])
    weight = np.nan_to_num(wins)
    middle = (weight * np.arange(len(layers))).sum(1) / np.maximum(weight.sum(1), 1e-12)
    middle = np.where(weight.sum(1) > 0, middle, np.nanargmax(scores, axis=1))
    order = np.argsort(middle, kind="stable")
    return tuple(tasks[i].key for i in order), layers, scores[order], wins[order]


def specialisation(study: Study) -> list[Drawing]:
    """One panel a model, two panels a drawing."""
    roles = [r for r in study.models if r in study.probes and study.probes[r].tasks]
    roles = [
        r for r in roles if profile(study.probes[r])[0] and len(profile(study.probes[r])[1]) > 1
    ]
    pages = [roles[i : i + 2] for i in range(0, len(roles), 2)]
    alt = "Matrix of tasks and layers."
    return [
        Drawing(f"specialisation-{n}", alt, partial(_page, study, part, n))
        for n, part in enumerate(pages, 1)
    ]


def _page(study: Study, roles: list[str], page: int) -> Drawn:
    heights = [len(profile(study.probes[r])[0]) + 2.5 for r in roles]
    figure = style.canvas(min(0.185 * sum(heights) + 0.75 * len(roles), 7.9))
    grid = figure.subplots(len(roles), 1, squeeze=False, height_ratios=heights)
    image = None
    for axes, role in zip(grid[:, 0], roles, strict=True):
        probes = study.probes[role]
        keys, layers, scores, wins = profile(probes)
        image = axes.imshow(
            standardised(scores), cmap=style.DIVERGING, vmin=-LIMIT, vmax=LIMIT, aspect="auto"
        )
        task, layer = np.nonzero(np.nan_to_num(wins) > 0.02)
        share = wins[task, layer]
        axes.scatter(
            layer, task, s=46 * share, color="white", edgecolors=style.INK, linewidths=0.7, zorder=3
        )
        found = [probes.tasks[key] for key in keys]
        hover.cells(axes, len(keys), len(layers), partial(told, found))
        axes.set_yticks(range(len(keys)), [probes.tasks[k].title[:24] for k in keys])
        style.label_layers(axes, layers, "x", most=30, limit=18)
        axes.set_title(
            abridged(study.name_of(role), 60), loc="left", color=style.role_colour(role, text=True)
        )
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        ruled(axes, len(keys), len(layers), across=True, width=0.8)
    bar = figure.colorbar(
        image, ax=grid[:, 0].tolist(), shrink=0.5, aspect=26, pad=0.015, ticks=[-2, -1, 0, 1, 2]
    )
    bar.outline.set_linewidth(0.4)
    bar.set_label("score, standardised within the task")
    caption = (
        "Scores of the quoted split, standardised over the layers of each task (0 = the model's "
        "mean "
        "layer, 1 = one standard deviation better); tasks are ordered by where they peak. Dot "
        "area: share of resamples of groups in which the layer scores best; a row with one large "
        "dot "
        "has one clear winner, a row of small dots has none. Standardising hides how large the "
        "differences are: the curves under “What can be read out, and where?” show it."
    )
    return figure, caption if page == 1 else "As the figure before, for further models."


def told(tasks: Sequence[Task | None], row: int, column: int) -> str:
    """What is told of a cell in the HTML report."""
    task = tasks[row]
    score = task.layers[column].splits.get(task.headline) if task else None
    if score is None or not score.exists:
        return ""
    wins = task.wins()[column]
    text = hover.scored(f"{task.title}, {task.names[column]}", task.metric, score, task.chance)
    return text + (f"\nbest in {percent(wins)} of resamples" if np.isfinite(wins) else "")
