"""What the clips look like at the first, the best and the last layer."""

from __future__ import annotations

import re
from collections import Counter
from functools import partial

import numpy as np
from matplotlib.axes import Axes

from reports import style
from reports.figures import hover
from reports.figures.drawing import Drawing, Drawn
from reports.maps import ClipMaps, LayerMap
from reports.study import Study
from reports.words import abridged

TRUSTED = 0.8  # trustworthiness below which a map is drawn grey
A_PAGE = 3  # models
MOST_VECTORS = 500  # clips drawn one by one; more become an image
# Okabe and Ito's colours, then the same as rings: a class keeps colour and form in all maps
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")


def clip_maps(study: Study) -> list[Drawing]:
    """A row of maps for each model, three models to a drawing."""
    roles = [role for role in study.models if role in study.maps and study.maps[role].layers]
    pages = [roles[i : i + A_PAGE] for i in range(0, len(roles), A_PAGE)]
    alt = "Maps of the clips at three layers of each model."
    return [
        Drawing(f"clips-{n}", alt, partial(_page, study, part)) for n, part in enumerate(pages, 1)
    ]


def _page(study: Study, roles: list[str]) -> Drawn:
    figure = style.canvas(2.35 * len(roles) + 0.1)
    rows = figure.subfigures(len(roles), 1, squeeze=False)[:, 0]
    for row, role in zip(rows, roles, strict=True):
        found = study.maps[role]
        row.suptitle(
            f"{abridged(study.name_of(role), 40)}: clips by {abridged(found.title, 40)}",
            x=0.01, ha="left", fontsize=9, color=style.role_colour(role, text=True),
        )  # fmt: skip
        grid = row.subplots(1, 4, width_ratios=[1, 1, 1, 0.55])
        order = [name for name, _ in Counter(sorted(found.classes)).most_common()]
        for axes, one in zip(grid[:3], found.layers, strict=False):
            _map(axes, one, found, order)
        for axes in grid[len(found.layers) : 3]:
            axes.set_axis_off()
        grid[3].set_axis_off()
        grid[3].legend(
            *_key(grid[3], order), loc="center left", frameon=False, fontsize=6.5,
            handletextpad=0.2, borderaxespad=0, labelspacing=0.35,
        )  # fmt: skip
    methods = [one.method for role in roles for one in study.maps[role].layers]
    caption = (
        "Clips at the first layer, at the one that validation selects for this label, and at the "
        f"last ({_method(methods)}). The label is the one with at most twelve classes that this "
        "model's layers tell best. Trustworthiness: 1 where all neighbours on the map are "
        "neighbours in the layer, about 0.5 where they are anyone; maps below "
        f"{TRUSTED:g} are drawn grey and say nothing. A map is a picture, no evidence: distances "
        "between groups mean little, and what can be read out stands in the probe curves."
    )
    return figure, caption


def _method(methods: list[str]) -> str:
    """`UMAP, 15 neighbours, 16 to 50 PCs, seed 0`: several that differ in one number as one."""
    parts = [re.split(r"(\d+)", one) for one in dict.fromkeys(methods)]
    if len({tuple(part[::2]) for part in parts}) > 1:
        return "; ".join(dict.fromkeys(methods))
    columns = [list(dict.fromkeys(column)) for column in zip(*parts, strict=True)]
    numbers = [sorted(column, key=int) if at % 2 else column for at, column in enumerate(columns)]
    return "".join(n[0] if not n[1:] else f"{n[0]} to {n[-1]}" for n in numbers)


def _map(axes: Axes, one: LayerMap, found: ClipMaps, order: list[str]) -> None:
    good = one.trustworthiness >= TRUSTED
    classes = np.array(found.classes)
    for number, name in enumerate(order):
        some = one.points[classes == name]
        axes.scatter(
            *some.T, s=9, rasterized=len(classes) > MOST_VECTORS, **_look(number, good)
        )
    axes.set_title(f"{one.place}: {abridged(one.layer, 16)}", fontsize=7.5, pad=3, loc="left")
    axes.set_xlabel(
        f"trustworthiness {one.trustworthiness:.2f}" + ("" if good else ", not to be read"),
        fontsize=6.8, labelpad=2,
    )  # fmt: skip
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(style.PALE)
    axes.set_box_aspect(1)
    axes.margins(0.06)
    told = [f"{kind}\n{clip}" for kind, clip in zip(found.classes, found.clips, strict=True)]
    hover.points(axes, *one.points.T, told)


def _look(number: int, good: bool = True) -> dict:
    colour = COLOURS[number % len(COLOURS)] if good else style.GREY
    ring = number >= len(COLOURS)
    return {
        "facecolors": "none" if ring else colour,
        "edgecolors": colour,
        "linewidths": 0.6 if ring else 0.0,
        "alpha": 0.8,
    }


def _key(axes: Axes, order: list[str]) -> tuple[list, list[str]]:
    """Marks and names; more than twelve classes have colours in common."""
    marks = [axes.scatter([], [], s=14, **_look(number)) for number in range(len(order))]
    return marks, [abridged(name, 16) for name in order]
