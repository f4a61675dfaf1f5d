"""What layers are made of, and what each adds to the one before."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from reports import style
from reports.figures import hover
from reports.figures.cells import bare, fitted, hatch, ruled, small_ticks
from reports.figures.drawing import Drawing, Drawn
from reports.rules_why import asked
from reports.study import Study
from reports.why import Added, Partition

_LEFT, _RIGHT, _GAP = 0.95, 0.56, 0.3  # inches
_HEAD, _STRIP, _ROW, _FEET = 0.34, 0.5, 0.15, 0.5
_TASKS = 1.15


def partition(study: Study) -> list[Drawing]:
    """Unique parts of references by layer: all rows and within tracks, two models a drawing."""
    roles = [
        role
        for role in study.models
        if role in study.why and (study.why[role].between or study.why[role].within)
    ]
    pages = [roles[i : i + 2] for i in range(0, len(roles), 2)]
    alt = "Variance of layers by reference."
    return [
        Drawing(f"partition-{n}", alt, partial(_partitions, study, part, n))
        for n, part in enumerate(pages, 1)
    ]


def _partitions(study: Study, roles: list[str], page: int) -> Drawn:
    found = {
        role: [part for part in (study.why[role].between, study.why[role].within) if part]
        for role in roles
    }
    every = [part for parts in found.values() for part in parts]
    columns = max(len(parts) for parts in found.values())
    names = list(dict.fromkeys(name for part in every for name in part.parts))
    top = max(
        (o.unique.value for p in every for some in p.parts.values() for o in some
         if o.unique.above), default=0.1,
    )  # fmt: skip
    top = max(math.ceil(20 * top) / 20, 0.05)
    whole = max((o.high if o.bounded else o.value for p in every for o in p.whole if o.exists),
                default=1.0)  # fmt: skip
    tall = _ROW * len(names)
    each = _HEAD + _STRIP + 0.06 + tall + _FEET
    height = each * len(roles)
    figure = Figure(figsize=(style.WIDTH, height))
    wide = (style.WIDTH - _LEFT - _RIGHT - _GAP * (columns - 1)) / columns
    image = None
    for row, role in enumerate(roles):
        up = row * each
        figure.text(
            0.0, 1 - (up + 0.04) / height, fitted(study.name_of(role), 4.0, 9.0)[0], fontsize=9,
            va="top", color=style.role_colour(role, text=True),
        )  # fmt: skip
        for column, part in enumerate(found[role]):
            left = _LEFT + column * (wide + _GAP)

            def axes_at(above: float, inches: float, left: float = left) -> Axes:
                return figure.add_axes(
                    (left / style.WIDTH, 1 - (above + inches) / height, wide / style.WIDTH,
                     inches / height)
                )  # fmt: skip

            strip = axes_at(up + _HEAD, _STRIP)
            _whole(strip, part, style.role_colour(role), whole, first=not column)
            strip.set_title(
                "within tracks" if part.within else "all rows", loc="left", fontsize=7.6, pad=3
            )
            axes = axes_at(up + _HEAD + _STRIP + 0.06, tall)
            image = _unique(axes, part, names, top)
            small_ticks(axes, part.layers, "x", wide, _FEET - 0.08)
            if column:
                bare(axes, "y")
            else:
                texts = [fitted(n, _LEFT - 0.1, 7.2)[0] for n in names]
                axes.set_yticks(range(len(names)), texts, fontsize=7.2)
    bar = figure.add_axes(
        ((style.WIDTH - _RIGHT + 0.08) / style.WIDTH,
         1 - (_HEAD + _STRIP + 0.06 + tall) / height, 0.09 / style.WIDTH, tall / height)
    )  # fmt: skip
    colours = figure.colorbar(image, cax=bar, ticks=[0, top])
    colours.ax.set_yticklabels(["0", f"{100 * top:.0f} %"], fontsize=7)
    colours.outline.set_linewidth(0.4)
    one = every[0]
    caption = (
        "What layers are made of: share of a layer's variance, on groups that the fit has not "
        "seen. Curves: all references together, with 95 % intervals. Matrices: what one reference "
        f"alone explains and no other does (commonality analysis; {one.groups} groups). Hatched, "
        "on white: not shown to be above 0 (p > 0.05, corrected for all layers and references). "
        "Within tracks: track means are taken off first, so that what tells tracks apart explains "
        "nothing."
    )
    if page > 1:
        caption = "What layers of further models are made of; as in the figure before."
    return figure, caption


def _whole(axes: Axes, part: Partition, colour: str, high: float, *, first: bool) -> None:
    """R2 from all references; cells below are centred on whole numbers, as the curve is."""
    table = np.array([(one.value, one.low, one.high) for one in part.whole])
    at = np.arange(len(table))
    axes.fill_between(at, table[:, 1], table[:, 2], color=colour, alpha=0.22, lw=0)
    axes.plot(at, table[:, 0], color=colour, lw=1.3)
    axes.set_xlim(-0.5, len(table) - 0.5)
    axes.set_ylim(0, max(high, 0.05) * 1.08)
    bare(axes, "x")
    ticks = [0.0, round(high, 1) or 0.1]
    axes.set_yticks(ticks, [f"{100 * t:.0f} %" for t in ticks] if first else ["", ""], fontsize=6.5)
    if first:
        axes.set_ylabel("all", fontsize=7.2, rotation=0, ha="right", va="center", labelpad=2)


def _unique(axes: Axes, part: Partition, names: list[str], top: float):
    shape = len(names), len(part.layers)
    table, shown = np.full(shape, np.nan), np.zeros(shape, dtype=bool)
    for i, name in enumerate(names):
        for j, one in enumerate(part.parts.get(name, ())):
            shown[i, j] = one.unique.above
            # what may be nothing has the colour of nothing
            if one.unique.exists:
                table[i, j] = one.unique.value if shown[i, j] else 0.0
    image = axes.imshow(
        table, cmap=style.SEQUENTIAL, vmin=0, vmax=top, aspect="auto", interpolation="nearest"
    )
    hatch(axes, np.isfinite(table), shown)
    _plain(axes, len(names))

    def tell(row: int, column: int) -> str:
        found = part.parts.get(names[row], ())
        if column >= len(found):
            return ""
        one = found[column].unique
        return hover.scored(f"{names[row]}, {part.layers[column]}", "it alone", one, p=one.p)

    ruled(axes, *table.shape)
    hover.cells(axes, *table.shape, tell)
    return image


def _plain(axes: Axes, rows: int) -> None:
    axes.set_ylim(rows - 0.5, -0.5)
    axes.spines[:].set_visible(False)
    axes.tick_params(axis="y", length=0, pad=2)


def new(study: Study) -> list[Drawing]:
    """Bits that each layer adds to the one before: tasks against layers, a matrix a model."""
    tables = {}
    for role in study.models:
        if role in study.why and study.why[role].added:
            some = list(asked(study, role, study.why[role].added).values())
            some = [one for one in some if one.layers == some[0].layers]
            if some:
                tables[role] = {one.task: one for one in some}
    roles = list(tables)
    pages = [roles[i : i + 2] for i in range(0, len(roles), 2)]
    alt = "Bits that each layer adds, task by task."
    return [
        Drawing(f"new-{n}", alt, partial(_new, study, {role: tables[role] for role in part}, n))
        for n, part in enumerate(pages, 1)
    ]


def _new(study: Study, tables: dict[str, dict[str, Added]], page: int) -> Drawn:
    keys = [key for key in study.task_keys() if any(key in table for table in tables.values())]
    first = {
        key: min((_depth(t[key]) for t in tables.values() if key in t), default=2.0) for key in keys
    }
    keys.sort(key=lambda key: (first[key], key))
    tall = 0.16 * len(keys)
    height = 0.3 + tall + _FEET
    figure = Figure(figsize=(style.WIDTH, height))
    wide = (style.WIDTH - _TASKS - _RIGHT - _GAP / 2 * (len(tables) - 1)) / len(tables)
    top = max(
        (c.value for table in tables.values() for one in table.values() for c in one.adds
         if c.above), default=0.1,
    )  # fmt: skip
    image = None
    for column, (role, table) in enumerate(tables.items()):
        left = _TASKS + column * (wide + _GAP / 2)
        axes = figure.add_axes(
            (left / style.WIDTH, _FEET / height, wide / style.WIDTH, tall / height)
        )
        image = _adds(axes, table, keys, top)
        names = next(iter(table.values())).layers
        small_ticks(axes, names, "x", wide, _FEET - 0.08)
        title, size = fitted(study.name_of(role), wide, 9.0)
        axes.set_title(
            title, loc="left", fontsize=size, color=style.role_colour(role, text=True), pad=4
        )
        if column:
            bare(axes, "y")
        else:
            titles = [next(iter(study.probed(key).values())).title for key in keys]
            texts = [fitted(t, _TASKS - 0.1, 7.2)[0] for t in titles]
            axes.set_yticks(range(len(keys)), texts, fontsize=7.2)
    bar = figure.add_axes(
        ((style.WIDTH - _RIGHT + 0.08) / style.WIDTH,
         (_FEET + tall - min(tall, 1.0)) / height, 0.09 / style.WIDTH, min(tall, 1.0) / height)
    )  # fmt: skip
    ticks = [0.0, top / 4, top]
    colours = figure.colorbar(image, cax=bar, ticks=ticks)
    colours.ax.set_yticklabels([f"{t:.2g}" for t in ticks], fontsize=6.5)
    bar.set_title("bits", fontsize=6.8, pad=3, loc="left")
    colours.ax.minorticks_off()
    colours.outline.set_linewidth(0.4)
    caption = (
        "What is new in a layer: bits a row about a task that a probe of the layer and the one "
        "before finds beyond a probe of the one before (conditional probing; the first layer "
        "against nothing). Hatched, on white: not shown to be above 0 (p > 0.05, corrected for all "
        "layers). Circle: the first layer that is not shown to hold less than the best one; cross: "
        "from here on less is left than the best layer has. Tasks by where that is all there."
    )
    return figure, caption if page == 1 else "As the figure before, for further models."


def _depth(one: Added) -> float:
    """Relative depth at which all of it is there; past the end where it never is."""
    if one.full not in one.layers:
        return 2.0
    return one.layers.index(one.full) / max(len(one.layers) - 1, 1)


def _adds(axes: Axes, table: dict[str, Added], keys: list[str], top: float):
    layers = next(iter(table.values())).layers
    values = np.full((len(keys), len(layers)), np.nan)
    shown = np.zeros(values.shape, dtype=bool)
    for i, key in enumerate(keys):
        one = table.get(key)
        if one is None:
            continue
        for j, gain in enumerate(one.adds):
            shown[i, j] = gain.above
            if gain.exists:
                values[i, j] = gain.value if gain.above else 0.0
        marks = {one.full: ("o", "none", 3.4), one.lost: ("x", style.INK, 3.2)}
        for layer, (mark, face, size) in marks.items():
            if layer in layers:
                j = layers.index(layer)
                dark = values[i, j] > 0.3 * top
                axes.plot(
                    j, i, mark, ms=size, mfc=face, mec="white" if dark else style.INK, mew=0.9,
                    zorder=5,
                )  # fmt: skip
    norm = PowerNorm(0.5, 0.0, top)  # a square root: small gains are seen beside the first layer's
    image = axes.imshow(
        values, cmap=style.SEQUENTIAL, norm=norm, aspect="auto", interpolation="nearest"
    )
    hatch(axes, np.isfinite(values), shown)
    _plain(axes, len(keys))

    def tell(row: int, column: int) -> str:
        one = table.get(keys[row])
        if one is None or not one.adds[column].exists:
            return ""
        gain = one.adds[column]
        return hover.scored(f"{keys[row]}, {layers[column]}", "adds bits", gain, p=gain.p)

    ruled(axes, *values.shape)
    hover.cells(axes, *values.shape, tell)
    return image
