"""Whether a network hears polyphony: pitches read from frames with one, two, three, four notes."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from reports import style
from reports.figures import keys
from reports.figures.drawing import Drawing, Drawn
from reports.numbers import with_interval
from reports.probing import Task
from reports.study import Study
from reports.words import abridged

_NAMES = {1: "one note", 2: "two notes", 3: "three", 4: "four"}


def polyphonic(study: Study) -> dict[str, Task]:
    """Role -> the first task that is scored by number of notes."""
    for key in study.task_keys():
        found = {role: task for role, task in study.probed(key).items() if task.by_voices}
        if found:
            return found
    return {}


def voices(study: Study) -> Drawing | None:
    """A panel a model, a line for each number of notes."""
    found = polyphonic(study)
    if not found:
        return None
    draw = partial(_figure, study, found)
    return Drawing("voices", "Multi-pitch scores by number of notes.", draw)


def _figure(study: Study, found: dict[str, Task]) -> Drawn:
    figure = style.canvas(2.35 if len(found) < 3 else 3.9)
    panels = keys.grid(figure, len(found), min(2, len(found)), sharey=True)
    top = max(np.nanmax(np.append(_tables(task)[..., 2], 0.1)) for task in found.values())
    for axes, (role, task) in zip(panels, found.items(), strict=True):
        axes.set_ylim(0.0, 1.05 * top)
        _panel(axes, study, role, task)
    task = next(iter(found.values()))
    for axes in panels[:: min(2, len(found))]:
        axes.set_ylabel(f"{task.metric}, {task.headline}")
    caption = (
        f"{task.title} by how many notes sound at once: {task.metric} over frames with that many, "
        f"on {task.headline}, layer by layer, with 95 % intervals over groups; the darker the "
        "more notes. Marks: the layer chosen on validation by all frames together; grey: "
        "chance, from the least to the most that it is for any of them. A layer that hears "
        "polyphony keeps its score as notes are added; one that follows the loudest note falls. "
    )
    caption += " ".join(_told(study, role, one) for role, one in found.items())
    return figure, caption


def _tables(task: Task) -> np.ndarray:
    """[numbers of notes, layers, 3] scores on the headline split."""
    return np.array([task.further_curve(m, task.headline) for m in task.by_voices.values()])


def _panel(axes: Axes, study: Study, role: str, task: Task) -> None:
    metrics = task.by_voices
    depth = np.arange(len(task.layers))
    last = -math.inf
    ends = []
    for at, (count, metric) in enumerate(metrics.items()):
        table = task.further_curve(metric, task.headline)
        shade = _shade(role, at / (len(metrics) - 1))
        axes.fill_between(depth, table[:, 1], table[:, 2], color=shade, alpha=0.2, lw=0)
        axes.plot(depth, table[:, 0], color=shade, lw=1.3, zorder=3)
        best = task.best(metric)
        if best.exists:
            axes.plot(
                task.index, best.value, style.MARKERS.get(role, "o"), ms=5, color=shade,
                mec="white", mew=0.7, zorder=5,
            )  # fmt: skip
        known = table[np.isfinite(table[:, 0]), 0]
        if len(known):
            ends.append((known[-1], _NAMES.get(count, str(count)), shade))
    chances = [c for c in map(task.chance_of, metrics.values()) if math.isfinite(c)]
    if chances:
        axes.axhspan(min(chances), max(chances), color=style.PALE, lw=0, zorder=0)
        axes.annotate(
            "chance", (0.0, max(chances)), xycoords=("axes fraction", "data"), xytext=(2, 1),
            textcoords="offset points", fontsize=6.3, color=style.GREY,
        )  # fmt: skip
    low, high = axes.get_ylim()
    for level, name, shade in sorted(ends, key=lambda end: end[0]):
        last = max(level, last + 0.085 * (high - low))
        axes.annotate(
            name, (1.0, last), xycoords=("axes fraction", "data"), xytext=(3, 0),
            textcoords="offset points", fontsize=6.8, color=shade, va="center",
            annotation_clip=False,
        )  # fmt: skip
    axes.set_xlim(-0.4, len(depth) - 0.1)
    style.label_layers(axes, task.names, "x", most=16, limit=14)
    axes.set_title(
        abridged(study.name_of(role), 48), color=style.role_colour(role, text=True), loc="left"
    )


def _shade(role: str, share: float) -> tuple[float, ...]:
    """The model's colour, from light for one note to dark for the most."""
    colour = np.array(to_rgb(style.role_colour(role)))
    if share < 0.5:
        return tuple(colour + (1 - colour) * (0.36 - 0.72 * share))
    return tuple(colour * (1.0 - 1.1 * (share - 0.5)))


def _told(study: Study, role: str, task: Task) -> str:
    metrics = list(task.by_voices.items())
    (few, first), (many, last) = metrics[0], metrics[-1]
    one, most = task.best(first), task.best(last)
    if not (one.exists and most.exists):
        return ""
    return (
        f"{study.name_of(role)}, {abridged(task.selected, 24)}: {with_interval(one)} with {few}, "
        f"{with_interval(most)} with {many}."
    )
