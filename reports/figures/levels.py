"""Horizontal lines to hold a curve against: chance, references, published numbers."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from reports import style
from reports.figures.cells import width_of
from reports.figures.keys import CHANCE
from reports.probing import Published, Task
from reports.study import Study
from reports.words import abridged

REFERENCE = {"color": "#9c9c9c", "lw": 0.6}
PUBLISHED = {"color": style.GREY, "lw": 0.9, "ls": (0, (5, 1.4, 1, 1.4))}
_BASELINES = ("log-mel", "chroma")
_MOST_PUBLISHED = 2
_SIZE = 5.8


def references(study: Study, key: str) -> dict[str, float]:
    """Headline score of log-mel and chroma, and of the best reference when it is another."""
    task = study.probes["ref"].tasks.get(key) if "ref" in study.probes else None
    if task is None:
        return {}
    scores = dict(zip(task.names, task.curve(task.headline)[:, 0], strict=True))
    wanted = [n for n in (*_BASELINES, task.selected) if math.isfinite(scores.get(n, math.nan))]
    return {n: scores[n] for n in dict.fromkeys(wanted)}


def published(study: Study, key: str) -> tuple[Published, ...]:
    """What a panel shows of published numbers: by the panel's metric, of the models of the study.

    Of each model the largest; without any, the largest of all.
    """
    found = [study.probes[r].tasks.get(key) for r in study.models if r in study.probes]
    tasks = [task for task in found if task is not None]
    rows = [row for task in tasks[:1] for row in task.published if row.metric == task.metric]
    rows.sort(key=lambda row: -row.value)
    names = {card.name for card in study.models.values()}
    own: dict[str, Published] = {}
    for row in rows:
        if row.model in names:
            own.setdefault(row.model, row)
    return tuple(own.values())[:_MOST_PUBLISHED] or tuple(rows[:1])


def _label(row: Published, inches: float) -> str:
    """`published: mert-95m, MARBLE constrained`; the protocol gives way where there is no room."""
    start = f"published: {abridged(row.model, 20)}, "
    protocol = (row.protocol.partition(":")[0] or row.source.partition(",")[0])[:60]
    while len(protocol) > 6 and width_of(start + protocol, _SIZE) > inches:
        protocol = protocol[:-2].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
    return start + protocol


def draw_chance(axes: Axes, chance: float) -> None:
    if math.isfinite(chance):
        axes.axhline(chance, zorder=1, **CHANCE)


def draw_references(axes: Axes, levels: dict[str, float]) -> None:
    """Lines with their names right of the panel; names that would overlap move up."""
    low, high = axes.get_ylim()
    room, last = 0.075 * (high - low), -math.inf
    for name, level in sorted(levels.items(), key=lambda item: item[1]):
        if level < low:
            continue
        axes.axhline(level, zorder=1, **REFERENCE)
        last = max(level, last + room)
        axes.annotate(
            name[:14], (1.0, last), xycoords=("axes fraction", "data"), xytext=(2, 0),
            textcoords="offset points", fontsize=6.3, color=style.GREY, va="center",
            annotation_clip=False,
        )  # fmt: skip


def draw_published(axes: Axes, rows: tuple[Published, ...], tasks: list[Task], wide: float) -> None:
    """Grey lines with spread and name; the name stands where the curves are farther away.

    Parameters
    ----------
    wide : inches that a name may take.
    """
    low, high = axes.get_ylim()
    room = 0.1 * (high - low)
    taken: list[float] = []
    for row in rows:
        axes.axhline(row.value, zorder=1.5, **PUBLISHED)
        if math.isfinite(row.spread) and row.spread > 0:
            ends = row.value - row.spread, row.value + row.spread
            axes.axhspan(*ends, color=style.GREY, alpha=0.13, lw=0, zorder=0.5)
        below = row.value + room > high or any(0 <= at - row.value < room for at in taken)
        if any(abs(at - row.value) < room for at in taken) and not below:
            continue
        taken.append(row.value)
        middle = row.value + (-0.5 if below else 0.5) * room
        left = _clear(tasks, middle, first=True) >= _clear(tasks, middle, first=False)
        axes.annotate(
            _label(row, wide), (0.01 if left else 0.99, row.value),
            xycoords=("axes fraction", "data"),
            xytext=(0, -1.5 if below else 1.2), textcoords="offset points", fontsize=_SIZE,
            color=style.GREY, ha="left" if left else "right", va="top" if below else "bottom",
            zorder=4, bbox={"boxstyle": "square,pad=0.05", "fc": "white", "ec": "none",
                            "alpha": 0.7},
        )  # fmt: skip


def _clear(tasks: list[Task], level: float, *, first: bool) -> float:
    """How far the curves stay from a level in the first, or the second, half of the depth."""
    gaps = []
    for task in tasks:
        curve = task.curve(task.headline)[:, 0]
        half = (len(curve) + 1) // 2
        part = curve[:half] if first else curve[len(curve) - half :]
        gaps.append(np.nanmin(np.append(np.abs(part - level), np.inf)))
    return min(gaps, default=math.inf)


def handle() -> Line2D:
    """The legend's word for published numbers."""
    return Line2D([], [], label="published", **PUBLISHED)
