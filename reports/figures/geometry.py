"""What each layer is like by itself: one panel a quantity, over depth."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from reports import style
from reports.figures import keys
from reports.figures.cells import fitted
from reports.figures.drawing import Drawing, Drawn
from reports.numbers import MINUS
from reports.study import Study
from reports.words import named_rows

PER_PAGE = 15


def geometry(study: Study) -> list[Drawing]:
    """Curves of all models and their untrained twins."""
    roles = [r for r in study.models if r in study.geometry]
    if not roles:
        return []
    twins = [f"{r}0" for r in roles if f"{r}0" in study.geometry]
    found: dict[str, None] = {}
    for role in roles:
        for key, one in study.geometry[role].quantities.items():
            if np.isfinite(one.curve[:, 0]).any():
                found[key] = None
    names = list(found)
    pages = [names[i : i + PER_PAGE] for i in range(0, len(names), PER_PAGE)]
    roles = [*twins, *roles]
    return [
        Drawing(
            f"geometry-{n}", "Geometry of layers over depth.",
            partial(_page, study, roles, page, n, len(pages)),
        )
        for n, page in enumerate(pages, 1)
    ]  # fmt: skip


def _page(study: Study, roles: list[str], names: list[str], number: int, pages: int) -> Drawn:
    across = min(3, len(names))
    if len(names) > 3 and len(names) % 3 == 1:
        across = 4  # no row with a single panel
    figure = style.canvas(1.3 * math.ceil(len(names) / across) + 0.45)
    panels = keys.grid(figure, len(names), across)
    for place, (axes, key) in enumerate(zip(panels, names, strict=True)):
        _panel(axes, study, roles, key, across)
        keys.depth_axis(axes, named=place + across >= len(names))
    shown = sorted(roles, key=style.is_twin)
    keys.above(figure, keys.lines(study, shown))
    first = study.geometry[shown[0]]
    part = f" (part {number} of {pages})" if pages > 1 else ""
    kind = named_rows(first.rows)
    rows = f" on {first.n_rows} {kind} in {first.n_groups} groups" * bool(first.n_rows)
    caption = (
        f"Each layer by itself{part}, over relative depth{rows}. Bands: 95 % intervals over groups."
    )
    if any(map(style.is_twin, roles)):
        caption += " Dashed: the same network without training."
    caption += (
        " Each panel has its own scale and unit. These numbers describe a layer's cloud of rows; "
        "they say nothing about what it knows."
    )
    return figure, caption


def _panel(axes: Axes, study: Study, roles: list[str], key: str, across: int) -> None:
    title, unit = key, ""
    lows, highs = [], []
    for role in roles:
        one = study.geometry[role].quantities.get(key)
        if one is None or not np.isfinite(one.curve[:, 0]).any():
            continue
        title, unit = one.title, one.unit
        heads = keys.layers(study, role, study.geometry[role].layers)
        keys.curve(axes, role, one.curve, heads=heads, told=title)
        part = one.curve[:, :1] if style.is_twin(role) else one.curve
        lows.append(float(np.nanmin(part)))
        highs.append(float(np.nanmax(part)))
    text, size = fitted(title, style.WIDTH / across - 0.3, 8.5)
    axes.set_title(text, loc="left", fontsize=size)
    if unit:
        axes.set_ylabel(unit, fontsize=7, labelpad=2)
    if lows and min(lows) >= 0.0:
        # a scale from 0 where that does not hide the curve's shape
        low = 0.0 if min(lows) < 0.5 * max(highs) else min(lows)
        style.span(axes, low, max(highs))
        axes.set_ylim(bottom=low - (0.0 if low == 0.0 else 0.06 * (max(highs) - low)))
    axes.yaxis.set_major_formatter(FuncFormatter(_short))


def _short(value: float, _: int | None = None) -> str:
    """A tick's number in few signs: 120k, 0.002."""
    for least, size, sign in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(value) >= least:
            return f"{value / size:.4g}{sign}".replace("-", MINUS)
    return f"{value:.4g}".replace("-", MINUS)
