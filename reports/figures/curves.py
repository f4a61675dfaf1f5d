"""What can be read out, and where: one panel a task."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from reports import style
from reports.figures import hover, levels
from reports.figures import keys as legends
from reports.figures.cells import width_of
from reports.figures.drawing import Drawing, Drawn
from reports.numbers import Estimate
from reports.probing import Task
from reports.study import Study
from reports.words import abridged

PER_PAGE = 12
_OTHER = (0, (1, 1.6))
_TALL, _NAME = 1.05, 6.8  # inches of a panel; points of a layer's name


def curves(study: Study) -> list[Drawing]:
    """Score over depth, `PER_PAGE` tasks to a drawing."""
    keys = study.task_keys()
    pages = [keys[i : i + PER_PAGE] for i in range(0, len(keys), PER_PAGE)]
    alt = "Probe scores over depth, one panel a task."
    return [
        Drawing(f"probes-{number}", alt, partial(_page, study, keys, number, len(pages)))
        for number, keys in enumerate(pages, 1)
    ]


def _page(study: Study, keys: list[str], number: int, pages: int) -> Drawn:
    across = min(3, len(keys))
    down = math.ceil(len(keys) / across)
    figure = style.canvas(1.66 * down + 0.4)
    panels = legends.grid(figure, len(keys), across)
    for place, (axes, key) in enumerate(zip(panels, keys, strict=True)):
        panel(axes, study, key, style.WIDTH / across - 0.5)
        if place + across >= len(keys):
            axes.set_xlabel("relative depth")
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
        "thin dotted lines: the other test split; both and the metric are named above the panel. "
        "Large mark with its name: the layer with the best validation score (chosen without the "
        "test data); cross: the last layer. Grey dashes: chance."
    )
    if any(f"{role}0" in study.probes for role in roles):
        caption += " Dashed curves: the same network without training."
    if any(levels.references(study, key) for key in keys):
        caption += " Grey lines: the same probe on references that are no network."
    if any(levels.published(study, key) for key in keys):
        caption += (
            " Grey, dash and dot: numbers that others published on this data set by this metric, "
            "by their own protocol and often on their own split (see the table); they were not "
            "measured here."
        )
    return figure, caption


def panel(axes: Axes, study: Study, key: str, wide: float) -> None:
    """One task: curves of all models, twins, chance and references, with its title.

    Parameters
    ----------
    wide : of the panel, inches.
    """
    found = study.probed(key)
    lows, highs = [], []
    for role, task in found.items():
        table = task.curve(task.headline)
        _twin(axes, study, role, key)
        _curve(axes, role, task, table)
        _tell(axes, study.name_of(role), task, table)
        lows.append(np.nanmin(np.append(table[:, 1:].ravel(), np.inf)))
        highs.append(np.nanmax(np.append(table[:, 1:].ravel(), -np.inf)))
        if split := task.other_split:
            highs.append(np.nanmax(np.append(task.curve(split)[:, 0], -np.inf)))
    task = next(iter(found.values()))
    known = levels.references(study, key)
    others = levels.published(study, key)
    lows += [task.chance, *known.values(), *(row.value for row in others)]
    highs += [task.chance, *known.values(), *(row.value for row in others)]
    low = min((v for v in lows if math.isfinite(v)), default=0.0)
    high = max((v for v in highs if math.isfinite(v)), default=1.0)
    # A layer far below chance (R2 of a failed fit) must not flatten all the others.
    if math.isfinite(task.chance):
        low = max(low, task.chance - 0.5 * max(high - task.chance, 0.1))
    style.span(axes, low, high + 0.09 * (high - low), pad=0.08)
    levels.draw_chance(axes, task.chance)
    levels.draw_references(axes, known)
    levels.draw_published(axes, others, list(found.values()), wide)
    _selected(axes, found, wide - 0.15)
    axes.set_title(task.title[:30], loc="left", pad=11, fontsize=9)
    words = f"{task.metric}: {task.headline}"
    words += f", dotted {task.other_split}" if task.other_split else ""
    axes.text(0, 1.025, words[:60], transform=axes.transAxes, fontsize=6.8, color=style.GREY)
    axes.set_xlim(-0.04, 1.04)
    axes.set_xticks([0, 0.5, 1], ["first", "", "last"])


def _curve(axes: Axes, role: str, task: Task, table: np.ndarray) -> None:
    depth = np.linspace(0.0, 1.0, len(table))
    colour = style.role_colour(role)
    axes.fill_between(depth, table[:, 1], table[:, 2], color=colour, alpha=0.22, lw=0)
    axes.plot(depth, table[:, 0], color=colour, lw=1.5, zorder=3)
    if split := task.other_split:
        axes.plot(depth, task.curve(split)[:, 0], color=colour, lw=0.8, ls=_OTHER, zorder=2)
    if math.isfinite(table[-1, 0]):
        axes.plot(depth[-1], table[-1, 0], "x", ms=4.5, mew=1.1, color=colour, zorder=4)


def _tell(axes: Axes, name: str, task: Task, table: np.ndarray) -> None:
    """What is told of each layer in the HTML report."""
    depth = np.linspace(0.0, 1.0, len(table))
    texts = [
        hover.scored(f"{name}, {layer}", task.metric, Estimate(*row), task.chance)
        for layer, row in zip(task.names, table.tolist(), strict=True)
    ]
    hover.points(axes, depth, table[:, 0], texts)


def _twin(axes: Axes, study: Study, role: str, key: str) -> None:
    twin = study.probes.get(f"{role}0")
    task = twin.tasks.get(key) if twin else None
    if task is not None:
        legends.curve(axes, twin.role, task.curve(task.headline))


def _selected(axes: Axes, found: dict[str, Task], wide: float) -> None:
    """Marks the selected layers; their names stand clear of each other and of the marks.

    Parameters
    ----------
    wide : of the panel, inches.
    """
    low, high = axes.get_ylim()
    taken: list[tuple[float, float, float, float]] = []
    places = {}
    for role, task in found.items():
        best = task.best()
        if best.exists:
            depth = task.index / max(len(task.layers) - 1, 1)
            axes.plot(
                depth, best.value, style.MARKERS.get(role, "o"), ms=5.5,
                color=style.role_colour(role), mec="white", mew=0.8, zorder=5,
            )  # fmt: skip
            at = wide * depth, _TALL * (best.value - low) / (high - low)
            places[role] = depth, best.value, at
            taken.append((at[0] - 0.04, at[0] + 0.04, at[1] - 0.04, at[1] + 0.04))
    for role, (depth, value, (x, y)) in places.items():
        name = abridged(found[role].selected, 12)
        across, down = width_of(name, _NAME), 0.1
        boxes = [
            (x + shift * across, x + (shift + 1) * across, y + lift, y + lift + down, shift, lift)
            for lift in (0.06, -0.17, 0.17, -0.28, 0.28)
            for shift in sorted((-0.5, -0.9, -0.1), key=lambda s: _outside(x, s, across, wide))
        ]
        x0, x1, y0, y1, shift, lift = min(
            boxes,
            key=lambda box: (
                sum(_shared(box[:4], other) for other in taken)
                + max(0.0, -0.1 - box[0]) + max(0.0, box[1] - wide - 0.1)
                + max(0.0, box[3] - _TALL - 0.02) + max(0.0, -box[2])
            ),
        )  # fmt: skip
        taken.append((x0, x1, y0, y1))
        axes.annotate(
            name, (depth, value), xytext=(72 * shift * across, 72 * lift),
            textcoords="offset points", fontsize=_NAME, color=style.role_colour(role, text=True),
            ha="left", va="bottom", zorder=6,
            bbox={"boxstyle": "square,pad=0.08", "fc": "white", "ec": "none", "alpha": 0.75},
        )  # fmt: skip


def _outside(x: float, shift: float, across: float, wide: float) -> float:
    """How far a name would pass the panel's sides."""
    return max(-(x + shift * across), x + (shift + 1) * across - wide, 0.0)


def _shared(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """How far two boxes reach into each other."""
    width = min(one[1], other[1]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[2], other[2])
    return min(width, height) if width > 0 and height > 0 else 0.0


def _legend(study: Study, keys: list[str]) -> list[Line2D]:
    roles = [role for role in study.models if role in study.probes]
    twins = [f"{role}0" for role in roles if f"{role}0" in study.probes]
    handles = legends.lines(study, [*roles, *twins])
    handles.append(Line2D([], [], color=style.INK, marker="x", ls="", ms=4, label="last layer"))
    handles.append(Line2D([], [], label="chance", **legends.CHANCE))
    if any(levels.references(study, key) for key in keys):
        handles.append(Line2D([], [], label="reference", **levels.REFERENCE))
    if any(levels.published(study, key) for key in keys):
        handles.append(levels.handle())
    if any(task.other_split for key in keys for task in study.probed(key).values()):
        handles.append(Line2D([], [], color=style.INK, lw=0.8, ls=_OTHER, label="other test split"))
    return handles
