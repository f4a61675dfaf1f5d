"""What can be read out, and where: one panel a task."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from reports import style
from reports.figures.drawing import Drawing
from reports.results import Task
from reports.study import Study
from reports.words import abridged

PER_PAGE = 12
_BASELINES = ("log-mel", "chroma")


def tasks_of(study: Study) -> list[str]:
    """Keys of all tasks that some model was probed on, in the order of the files."""
    keys: dict[str, None] = {}
    for role in study.models:
        if role in study.probes:
            keys.update(dict.fromkeys(study.probes[role].tasks))
    return list(keys)


def curves(study: Study) -> list[Drawing]:
    """Score over depth, `PER_PAGE` tasks to a drawing."""
    keys = tasks_of(study)
    pages = [keys[i : i + PER_PAGE] for i in range(0, len(keys), PER_PAGE)]
    return [_page(study, keys, number, len(pages)) for number, keys in enumerate(pages, 1)]


def _page(study: Study, keys: list[str], number: int, pages: int) -> Drawing:
    across = min(3, len(keys))
    down = math.ceil(len(keys) / across)
    figure = style.canvas(1.66 * down + 0.4)
    grid = figure.subplots(down, across, squeeze=False)
    for place, key in enumerate(keys):
        axes = grid.flat[place]
        _panel(axes, study, key)
        if place + across >= len(keys):
            axes.set_xlabel("relative depth")
    for axes in list(grid.flat)[len(keys) :]:
        axes.set_visible(False)
    figure.legend(
        handles=_legend(study, keys),
        loc="outside upper center",
        ncols=6,
        frameon=False,
        handlelength=1.9,
        columnspacing=1.3,
    )
    roles = [r for r in study.models if r in study.probes]
    part = f" (part {number} of {pages})" if pages > 1 else ""
    caption = (
        f"What a {study.probes[roles[0]].protocol} probe reads from each layer, over relative "
        f"depth{part}. Thick lines: the split the report quotes, with 95 % intervals over groups; "
        "thin dotted lines: the other test split. Large mark with its name: the layer with the "
        "best "
        "validation score (chosen without the test data); cross: the last layer. Grey dashes: "
        "chance. Grey lines: the same probe on references that are no network. The metric and the "
        "quoted split stand above each panel."
    )
    return Drawing(
        f"probes-{number}", figure, caption, "Probe scores over depth, one panel a task."
    )


def _panel(axes: Axes, study: Study, key: str) -> None:
    lows, highs = [], []
    heads: list[Task] = []
    for role in study.models:
        task = study.probes[role].tasks.get(key) if role in study.probes else None
        if task is None:
            continue
        heads.append(task)
        table = task.curve(task.headline)
        _curve(axes, role, task, table)
        lows.append(np.nanmin(np.append(table[:, 1:].ravel(), np.inf)))
        highs.append(np.nanmax(np.append(table[:, 1:].ravel(), -np.inf)))
        if split := _other_split(task):
            highs.append(np.nanmax(np.append(task.curve(split)[:, 0], -np.inf)))
    task = heads[0]
    levels = _baselines(study, key)
    lows += [task.chance, *levels.values()]
    highs += [task.chance, *levels.values()]
    low = min((v for v in lows if math.isfinite(v)), default=0.0)
    high = max((v for v in highs if math.isfinite(v)), default=1.0)
    # A layer far below chance (R2 of a failed fit) must not flatten all the others.
    if math.isfinite(task.chance):
        low = max(low, task.chance - 0.5 * max(high - task.chance, 0.1))
    style.span(axes, low, high + 0.09 * (high - low), pad=0.08)
    _levels(axes, task.chance, levels)
    found = [
        (role, study.probes[role].tasks[key])
        for role in study.models
        if role in study.probes and key in study.probes[role].tasks
    ]
    depths = {role: _depth(one) for role, one in found}
    for role, one in found:
        _selected(axes, role, one, [d for r, d in depths.items() if r != role])
    axes.set_title(task.title[:30], loc="left", pad=11, fontsize=9)
    split = f"{task.metric}, {task.headline}"
    axes.text(0, 1.025, split[:56], transform=axes.transAxes, fontsize=6.8, color=style.GREY)
    axes.set_xlim(-0.04, 1.04)
    axes.set_xticks([0, 0.5, 1], ["first", "", "last"])


def _curve(axes: Axes, role: str, task: Task, table: np.ndarray) -> None:
    depth = np.linspace(0.0, 1.0, len(table))
    colour = style.role_colour(role)
    axes.fill_between(depth, table[:, 1], table[:, 2], color=colour, alpha=0.22, lw=0)
    axes.plot(depth, table[:, 0], color=colour, lw=1.5, zorder=3)
    if split := _other_split(task):
        axes.plot(depth, task.curve(split)[:, 0], color=colour, lw=0.8, ls=(0, (1, 1.6)), zorder=2)
    if math.isfinite(table[-1, 0]):
        axes.plot(depth[-1], table[-1, 0], "x", ms=4.5, mew=1.1, color=colour, zorder=4)


def _other_split(task: Task) -> str | None:
    """The evaluated split that is not the quoted one."""
    splits = {split for layer in task.layers for split in layer.splits}
    return min(splits - {task.headline, "valid"}, default=None)


def _depth(task: Task) -> float:
    return task.index / max(len(task.layers) - 1, 1)


def _selected(axes: Axes, role: str, task: Task, others: list[float]) -> None:
    """Marks the selected layer; its name leans away from the other models' marks."""
    best = task.best()
    if not best.exists:
        return
    depth = _depth(task)
    near = [d for d in others if abs(d - depth) < 0.35]
    side = "left" if depth < 0.12 else "right" if depth > 0.88 else "center"
    if near and side == "center":
        side = "right" if min(near) > depth or (min(near) == depth and role == "a") else "left"
    axes.plot(
        depth,
        best.value,
        style.MARKERS.get(role, "o"),
        ms=5.5,
        color=style.role_colour(role),
        mec="white",
        mew=0.8,
        zorder=5,
    )
    low, high = axes.get_ylim()
    above = best.value < low + 0.86 * (high - low)
    axes.annotate(
        abridged(task.selected, 12),
        (depth, best.value),
        xytext=(0, 5 if above else -6),
        textcoords="offset points",
        fontsize=6.8,
        color=style.role_colour(role, text=True),
        ha=side,
        va="bottom" if above else "top",
        zorder=6,
        bbox={"boxstyle": "square,pad=0.08", "fc": "white", "ec": "none", "alpha": 0.75},
    )


def _baselines(study: Study, key: str) -> dict[str, float]:
    """Headline score of log-mel and chroma, and of the best reference when it is another."""
    task = study.probes["ref"].tasks.get(key) if "ref" in study.probes else None
    if task is None:
        return {}
    scores = dict(zip(task.names, task.curve(task.headline)[:, 0], strict=True))
    wanted = [n for n in (*_BASELINES, task.selected) if math.isfinite(scores.get(n, math.nan))]
    return {n: scores[n] for n in dict.fromkeys(wanted)}


def _levels(axes: Axes, chance: float, levels: dict[str, float]) -> None:
    low, high = axes.get_ylim()
    if math.isfinite(chance):
        axes.axhline(chance, color=style.GREY, ls=(0, (4, 3)), lw=0.8, zorder=1)
    room, last = 0.075 * (high - low), -math.inf
    for name, level in sorted(levels.items(), key=lambda item: item[1]):
        if level < low:
            continue
        axes.axhline(level, color="#9c9c9c", lw=0.6, zorder=1)
        # Labels that would overlap move up, in the order of their lines.
        last = max(level, last + room)
        axes.annotate(
            name[:14],
            (1.0, last),
            xycoords=("axes fraction", "data"),
            xytext=(2, 0),
            textcoords="offset points",
            fontsize=6.3,
            color=style.GREY,
            va="center",
            annotation_clip=False,
        )


def _legend(study: Study, keys: list[str]) -> list[Line2D]:
    handles = []
    for role in study.models:
        if role in study.probes:
            handles.append(
                Line2D(
                    [],
                    [],
                    color=style.role_colour(role),
                    lw=1.5,
                    label=abridged(study.name_of(role), 28),
                    marker=style.MARKERS.get(role, "o"),
                    ms=4.5,
                    mec="white",
                )
            )
    handles.append(Line2D([], [], color=style.INK, marker="x", ls="", ms=4, label="last layer"))
    handles.append(Line2D([], [], color=style.GREY, ls=(0, (4, 3)), lw=0.8, label="chance"))
    if "ref" in study.probes:
        handles.append(Line2D([], [], color="#9c9c9c", lw=0.6, label="reference"))
    handles.append(
        Line2D([], [], color=style.INK, lw=0.8, ls=(0, (1, 1.6)), label="other test split")
    )
    return handles
