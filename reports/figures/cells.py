"""Matrices of layers on axes: hatching by p, ticks of small panels, and the words for both."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.font_manager import findfont, get_font

from reports import style
from reports.numbers import count
from reports.results import Measure
from reports.words import abridged


def hatch(axes: Axes, known: np.ndarray, above: np.ndarray) -> None:
    """Hatches what is not above chance; says nothing where that is not known.

    Parameters
    ----------
    known, above : [rows, columns] bool.
    """
    rows, columns = known.shape
    cells = np.argwhere(known & ~above)
    if len(cells):
        corners = np.array([(-0.5, -0.5), (-0.5, 0.5), (0.5, 0.5), (0.5, -0.5)])
        axes.add_collection(
            PolyCollection(
                cells[:, None, ::-1] + corners,
                facecolors="none",
                edgecolors="#9a9a9a",
                linewidths=0,
                hatch="////",
            ),
            autolim=False,
        )
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(-0.5, rows - 0.5)


def ruled(axes: Axes, rows: int, columns: int, *, across: bool = False, width: float = 0.7) -> None:
    """White lines between rows of cells, with `across` between columns too; quicker than a grid."""
    lines = [[(-0.5, y - 0.5), (columns - 0.5, y - 0.5)] for y in range(1, rows)]
    if across:
        lines += [[(x - 0.5, -0.5), (x - 0.5, rows - 0.5)] for x in range(1, columns)]
    drawn = LineCollection(lines, colors="white", linewidths=width, zorder=1.5)
    axes.add_collection(drawn, autolim=False)


def hatch_measure(axes: Axes, measure: Measure) -> None:
    hatch(axes, np.isfinite(measure.p), measure.above_chance)


def hatched(measure: Measure) -> str:
    """`Hatched: p > 0.05, corrected for all 325 cells (permutation of groups, 99 draws).`"""
    cells = int(np.isfinite(measure.p).sum())
    if not cells:
        return "No cell is hatched: chance is not known."
    # the rest stands under "How small a p can be"
    by = measure.chance_by.rpartition("; ")[2] or "how chance was found is not stated"
    return (
        f"Hatched: p > {1.0 - measure.interval:.2g}, corrected for all {count(cells)} cells ({by})."
    )


def unbounded(measure: Measure) -> str:
    """A word on values outside 0 to 1, where a measure can have them."""
    low, high = measure.bounds
    if measure.unit or (low >= 0.0 and high <= 1.0):
        return ""
    return (
        " Values may pass 0 or 1 by noise; the colours end there."
    )


def width_of(text: str, size: float) -> float:
    """Inches that a text takes in the report's face."""
    face = get_font(findfont(style.FACES[0]))
    face.set_size(100.0, 72)
    face.set_text(text, 0.0)
    return face.get_width_height()[0] / 64.0 * size / 100.0 / 72.0


def fitted(text: str, inches: float, size: float, smallest: float = 6.0) -> tuple[str, float]:
    """A text and a size at which it fits: smaller first, then shorter."""
    wide = width_of(text, size)
    if wide <= inches:
        return text, size
    size = max(smallest, size * inches / wide)
    if width_of(text, size) <= 1.01 * inches:  # the size is found by rule of three
        return text, size
    fits = bisect_right(range(4, len(text) + 1), inches, key=lambda most: _cut(text, most, size))
    return abridged(text, 3 + max(fits, 1)), size


def _cut(text: str, most: int, size: float) -> float:
    return width_of(abridged(text, most), size)


def small_ticks(axes: Axes, names: Sequence[str], axis: str, inches: float, room: float) -> None:
    """First, last and a few layers between, in 6 points, their names cut to `room` inches."""
    most = min(max(2, int(inches / 0.13)), 8)
    places = style.every_few(len(names), most)
    short = {i: fitted(names[i], room, 6.0)[0] for i in places}
    labels = [short.get(i, "") for i in range(len(names))]
    style.label_layers(axes, labels, axis, most=most, limit=200)
    axes.tick_params(axis=axis, labelsize=6.0, pad=1.5, length=2)


def bare(axes: Axes, axis: str) -> None:
    (axes.set_xticks if axis == "x" else axes.set_yticks)([])
