"""What bears out the scores, layer by layer: tasks down, layers across, one map a question."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm, Normalize, to_rgb
from matplotlib.figure import Figure

from reports import style
from reports.figures import hover
from reports.figures.cells import bare, fitted, hatch, ruled, small_ticks
from reports.figures.drawing import Drawing, Drawn
from reports.numbers import Estimate, with_interval
from reports.probing import Task
from reports.study import Study
from reports.words import abridged

_LEFT, _RIGHT, _GAP, _HEAD, _FEET = 1.08, 0.05, 0.09, 0.42, 0.56  # inches
_MOST = 7.4
_UNKNOWN = "#DDDAD4"  # what is not known


@dataclass(frozen=True)
class _Map:
    """One question of all layers.

    Attributes
    ----------
    title : above the map.
    of : task -> [layers] numbers to be coloured.
    doubtful : task -> [layers] bool to be hatched; None where nothing is.
    """

    title: str
    of: Callable[[Task], np.ndarray]
    doubtful: Callable[[Task], np.ndarray] | None = None


def selectivity(task: Task) -> np.ndarray:
    """[layers, 3] score less that of the control task."""
    found = [layer.trust.selectivity for layer in task.layers]
    return np.array([(e.value, e.low, e.high) for e in found])


def saved(task: Task) -> np.ndarray:
    """[layers, 3] share of the best layer's saving of bits; interval in the same unit."""
    found = [layer.trust.code for layer in task.layers]
    rows = [(c.saved.value, c.saved.low, c.saved.high) if c else (math.nan,) * 3 for c in found]
    table = np.array(rows)
    most = np.nanmax(np.append(table[:, 0], 0.0))
    return table / most if most > 0 else table * 0.0


def decodable(task: Task) -> np.ndarray:
    """[layers, 3] share of rows."""
    found = task.trust.emergence
    return found.decodable if found else np.full((len(task.layers), 3), math.nan)


def enough(task: Task) -> np.ndarray:
    """[layers] components that do as well as all."""
    found = [layer.trust.components for layer in task.layers]
    return np.array([c.enough if c else math.nan for c in found], dtype=float)


def standing(task: Task) -> np.ndarray:
    """[layers] 1 where a layer is not shown to be worse than the selected one, else 0."""
    found = task.trust.comparison
    if found is None:
        return np.full(len(task.layers), math.nan)
    return np.array([float(name in found.not_worse) for name in task.names])


_MAPS = (
    _Map(
        "above the control task", lambda t: selectivity(t)[:, 0],
        lambda t: ~(selectivity(t)[:, 1] > 0.0),
    ),
    _Map("bits of code saved", lambda t: saved(t)[:, 0], lambda t: ~(saved(t)[:, 1] > 0.0)),
    _Map(
        "rows decodable", lambda t: decodable(t)[:, 0],
    ),
    _Map("components enough", enough),
    _Map("not worse than chosen", standing),
)  # fmt: skip


_INTERVALS = {
    "above the control task": selectivity, "bits of code saved": saved, "rows decodable": decodable,
}  # fmt: skip


def evidence(study: Study) -> list[Drawing]:
    """Maps of every model, as many models to a drawing as fit on a page."""
    tables = {role: _shared(study, role) for role in study.models}
    tables = {role: tasks for role, tasks in tables.items() if tasks}
    maps = [m for m in _MAPS if any(_known(m, t) for tasks in tables.values() for t in tasks)]
    if not maps:
        return []
    pages: list[list[str]] = [[]]
    for role, tasks in tables.items():
        full = sum(_height(len(tables[r])) for r in pages[-1])
        if pages[-1] and full + _height(len(tasks)) > _MOST:
            pages.append([])
        pages[-1].append(role)
    return [
        Drawing(
            f"evidence-{n}", "Matrices of tasks and layers.",
            partial(_page, study, {r: tables[r] for r in page}, [m.title for m in maps], n),
        )
        for n, page in enumerate(pages, 1)
    ]  # fmt: skip


def _shared(study: Study, role: str) -> list[Task]:
    """Tasks over the layers of the first that say something of this kind."""
    found = list(study.probes[role].tasks.values()) if role in study.probes else []
    found = [task for task in found if any(_known(one, task) for one in _MAPS)]
    return [task for task in found if task.names == found[0].names and len(task.layers) > 1]


def _known(one: _Map, task: Task) -> bool:
    return bool(np.isfinite(one.of(task)).any())


def _row(tasks: int) -> float:
    """Inches of a row: less for many tasks, so that two models share a page."""
    return float(np.clip((_MOST / 2 - _HEAD - _FEET) / max(tasks, 1), 0.1, 0.15))


def _height(tasks: int) -> float:
    return _HEAD + _FEET + tasks * _row(tasks)


def _page(study: Study, tables: dict[str, list[Task]], titles: list[str], page: int) -> Drawn:
    maps = [one for one in _MAPS if one.title in titles]
    height = sum(_height(len(tasks)) for tasks in tables.values())
    figure = Figure(figsize=(style.WIDTH, height))
    wide = (style.WIDTH - _LEFT - _RIGHT - _GAP * (len(maps) - 1)) / len(maps)
    scales = [_scale(m, [t for tasks in tables.values() for t in tasks]) for m in maps]
    top = 0.0
    for role, tasks in tables.items():
        tall = len(tasks) * _row(len(tasks))
        for column, (one, scale) in enumerate(zip(maps, scales, strict=True)):
            left = _LEFT + column * (wide + _GAP)
            axes = figure.add_axes(
                (left / style.WIDTH, 1 - (top + _HEAD + tall) / height, wide / style.WIDTH,
                 tall / height)
            )  # fmt: skip
            image = _draw(axes, role, one, tasks, scale)
            title, size = fitted(one.title, wide, 7.2)
            axes.set_title(title, loc="left", fontsize=size, pad=3)
            if column:
                bare(axes, "y")
            else:
                size = min(7.2, 72 * _row(len(tasks)) * 0.8)
                axes.set_yticks(
                    range(len(tasks)), [abridged(t.title, 22) for t in tasks], fontsize=size
                )
            small_ticks(axes, tasks[0].names, "x", min(wide, 0.5), _FEET - 0.12)
            if image is not None:
                _bar(figure, image, left, top, wide, height)
        figure.text(
            0.0, 1 - (top + 0.05) / height, abridged(study.name_of(role), 60), fontsize=9,
            va="top", color=style.role_colour(role, text=True),
        )  # fmt: skip
        top += _HEAD + tall + _FEET
    caption = _caption(maps) if page == 1 else "What bears out the scores of further models."
    return figure, caption


def _scale(one: _Map, tasks: list[Task]) -> Normalize:
    values = np.concatenate([one.of(task) for task in tasks])
    values = values[np.isfinite(values)]
    if one.of is enough:
        return LogNorm(1, max(float(values.max(initial=2.0)), 2.0))
    if one.title.startswith(("rows", "bits", "not")):
        return Normalize(0.0, 1.0)
    return Normalize(0.0, max(math.ceil(10 * values.max(initial=0.1)) / 10, 0.1))


def _draw(axes: Axes, role: str, one: _Map, tasks: list[Task], scale: Normalize):
    table = np.array([one.of(task) for task in tasks])
    doubtful = np.array([one.doubtful(task) for task in tasks]) if one.doubtful else None
    if doubtful is not None:
        # what may be nothing has the colour of nothing
        table = np.where(doubtful & np.isfinite(table), 0.0, table)
    choice = one.of is standing
    colours = style.SEQUENTIAL
    if choice:
        light = 1 - 0.42 * (1 - np.array(to_rgb(style.role_colour(role))))
        colours = ListedColormap(["#F6F5F1", light]).with_extremes(bad=_UNKNOWN)
    image = axes.imshow(table, cmap=colours, norm=scale, aspect="auto", interpolation="nearest")
    rows, columns = table.shape
    hover.cells(axes, rows, columns, partial(_told, one, tasks))
    if doubtful is not None:
        hatch(axes, np.isfinite(table), ~doubtful)
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.spines[:].set_visible(False)
    axes.tick_params(axis="y", length=0, pad=2)
    ruled(axes, rows, columns)
    width, height = (axes.bbox.width / columns, axes.bbox.height / rows)
    size = float(np.clip(0.52 * min(width, height) * 72 / axes.figure.dpi, 1.8, 4.2))
    dark = "white" if not choice else style.INK
    for row, task in enumerate(tasks):
        if choice:
            axes.plot(task.index, row, "o", ms=size, color=dark, mew=0, zorder=5)
            first = task.trust.comparison.one_error if task.trust.comparison else ""
            if first in task.names:
                at = task.names.index(first)
                axes.plot(at, row, "o", ms=size + 1.4, mfc="none", mec=style.INK, mew=0.7, zorder=4)
        found = task.trust.emergence if one.title.startswith("rows") else None
        if found and found.expected.exists:
            axes.plot(
                found.expected.value, row, "D", ms=0.85 * size, color="white", mec=style.INK,
                mew=0.5, zorder=5,
            )  # fmt: skip
    return None if choice else image


def _told(one: _Map, tasks: list[Task], row: int, column: int) -> str:
    """What is told of a cell in the HTML report."""
    task = tasks[row]
    value = float(one.of(task)[column])
    if not math.isfinite(value):
        return ""
    full = _INTERVALS.get(one.title)
    told = with_interval(Estimate(*full(task)[column])) if full else f"{value:g}"
    if one.of is standing:
        told = "yes" if value else "no"
    return f"{task.title}, {task.names[column]}\n{one.title}: {told}"


def _bar(figure: Figure, image, left: float, top: float, wide: float, height: float) -> None:
    """A thin scale above the map, its ends named."""
    axes = figure.add_axes(
        ((left + 0.5 * wide) / style.WIDTH, 1 - (top + 0.17) / height, 0.36 * wide / style.WIDTH,
         0.05 / height)
    )  # fmt: skip
    low, high = image.norm.vmin, image.norm.vmax
    bar = figure.colorbar(image, cax=axes, orientation="horizontal", ticks=[])
    bar.ax.minorticks_off()
    bar.outline.set_linewidth(0.3)
    for at, value, side in ((0.0, low, "right"), (1.0, high, "left")):
        axes.annotate(
            f"{value:.3g}", (at, 0.5), xycoords="axes fraction", xytext=(-2 + 4 * at, 0),
            textcoords="offset points", fontsize=5.6, ha=side, va="center", color=style.GREY,
            annotation_clip=False,
        )  # fmt: skip


def _caption(maps: list[_Map]) -> str:
    parts = {
        "above": "Above the control task: selectivity; hatched where the interval reaches 0.",
        "bits": "Bits of code saved: share of the best layer's saving; hatched as before.",
        "rows": "Rows decodable: share of test rows; diamond: mean layer at which information is "
        "found.",
        "components": "Components enough: fewest principal components by which a probe is within "
        "one standard error of one that sees all; few mean a large direction.",
        "not": "Not worse than chosen: coloured layers cannot be told from the one that validation "
        "picked (dot); ring: the first layer within one standard error of the highest score.",
    }
    told = [text for key, text in parts.items() if any(m.title.startswith(key) for m in maps)]
    return (
        "What bears out the scores, layer by layer from the first to the last, on the quoted "
        f"split; “How were the numbers made?” defines it. {' '.join(told)} Grey: not asked, or "
        "without meaning for the task."
    )
