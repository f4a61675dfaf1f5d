"""Legends of small multiples of curves over depth: one above all panels, so none overlaps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports import style
from reports.figures import hover
from reports.numbers import Estimate
from reports.study import Study
from reports.words import abridged

DASHES = (0, (3.2, 1.6))
CHANCE = {"color": style.GREY, "ls": (0, (4, 3)), "lw": 0.8}
DOTS = (0, (1, 1.4))


def lines(study: Study, roles: Iterable[str]) -> list[Line2D]:
    """One handle a role; untrained twins dashed."""
    out = []
    for role in roles:
        twin = style.is_twin(role)
        out.append(
            Line2D(
                [],
                [],
                color=style.role_colour(role),
                lw=1.0 if twin else 1.5,
                ls=DASHES if twin else "-",
                marker=None if twin else style.MARKERS.get(role, "o"),
                ms=4.0,
                mec="white",
                mew=0.5,
                label=abridged(study.name_of(role), 30),
            )
        )
    return out


def layers(study: Study, role: str, names: Iterable[str]) -> list[str]:
    """Layers with their model, as the HTML report tells them."""
    return [f"{study.name_of(role)}, {name}" for name in names]


def above(figure: Figure, handles: Sequence[Line2D]) -> None:
    """The legend over all panels."""
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=min(len(handles), 4 if max(len(str(h.get_label())) for h in handles) > 18 else 6),
        frameon=False,
        handlelength=2.1,
        columnspacing=1.3,
    )


def curve(
    axes: Axes,
    role: str,
    table: np.ndarray,
    *,
    depth: np.ndarray | None = None,
    heads: Sequence[str] = (),
    told: str = "",
) -> None:
    """Value with its band over relative depth; twins dashed and without band.

    Parameters
    ----------
    table : [layers, 3] value, low, high.
    heads, told : the layers, and what the value is, as the HTML report tells them.
    """
    if depth is None:
        depth = np.linspace(0.0, 1.0, len(table)) if len(table) > 1 else np.array([0.5])
    texts = [
        hover.scored(head, told, Estimate(*row))
        for head, row in zip(heads, table.tolist(), strict=bool(heads))
    ]
    if texts:
        hover.points(axes, depth, table[:, 0], texts)
    colour = style.role_colour(role)
    if style.is_twin(role):
        axes.plot(depth, table[:, 0], color=colour, lw=1.0, ls=DASHES, zorder=2)
        return
    axes.fill_between(depth, table[:, 1], table[:, 2], color=colour, alpha=0.22, lw=0)
    marker = style.MARKERS.get(role, "o") if len(depth) <= 30 else None
    axes.plot(depth, table[:, 0], color=colour, marker=marker, ms=2.4, lw=1.2, zorder=3)


def depth_axis(axes: Axes, *, named: bool) -> None:
    """First and last layer; the name of the axis where `named`."""
    axes.set_xlim(-0.03, 1.03)
    axes.set_xticks([0, 0.5, 1], ["first", "", "last"])
    axes.tick_params(labelbottom=named)
    if named:
        axes.set_xlabel("relative depth")


def grid(figure: Figure, panels: int, across: int, **options: object) -> list[Axes]:
    """Axes for panels, row by row; what is left over in the last row stays empty."""
    down = -(-panels // across)
    table = figure.subplots(down, across, squeeze=False, **options)
    for axes in list(table.flat)[panels:]:
        axes.set_visible(False)
    return list(table.flat)[:panels]
