"""What a reader of the HTML report is told who points at a cell of a matrix or a layer of a curve.

Figures say what their parts are (`cells`, `measured`, `points`); nothing of it is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.numbers import Estimate, number, with_interval
from reports.results import Measure, Similarity

Box = tuple[float, float, float, float]
_PLACES = 4  # decimals of shares of a figure's size


@dataclass(frozen=True)
class Area:
    """A part of a figure that can be pointed at.

    Attributes
    ----------
    box : left, top, right, bottom in shares of the figure's width and height, from its top left.
    rows, columns : how many cells there are down and across; 0 for single points.
    places : [points, 2] of single points, in the same shares.
    texts : what is told of each cell, row by row from the top left, or of each point; lines are
        parted by line feeds.
    """

    box: Box
    texts: tuple[str, ...]
    rows: int = 0
    columns: int = 0
    places: tuple[tuple[float, float], ...] = ()


_Asked = Callable[[Figure], Area | None]
_told: WeakKeyDictionary[Figure, list[_Asked]] = WeakKeyDictionary()


def cells(
    axes: Axes, rows: int, columns: int, tell: Callable[[int, int], str], *, x: float = 0.0
) -> None:
    """Cells around the whole numbers of both axes, as `imshow` draws them.

    Parameters
    ----------
    tell : row, column -> what to say, "" for nothing.
    x : where the first column lies.
    """

    def area(figure: Figure) -> Area:
        corners = [(x - 0.5, -0.5), (x + columns - 0.5, rows - 0.5)]
        (x0, y0), (x1, y1) = _shares(axes, corners)
        down = range(rows) if y0 < y1 else range(rows - 1, -1, -1)
        across = range(columns) if x0 < x1 else range(columns - 1, -1, -1)
        texts = tuple(tell(i, j) for i in down for j in across)
        box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
        return Area(_rounded(box), texts, rows, columns)

    _ask(axes, area)


def measured(axes: Axes, similarity: Similarity, measure: Measure) -> None:
    """A matrix of layers against layers by a measure."""

    def tell(row: int, column: int) -> str:
        told = with_interval(measure.at(row, column), measure.unit)
        return "\n".join(
            [
                f"{similarity.layers_x[row]} \N{MULTIPLICATION SIGN} {similarity.layers_y[column]}",
                f"{measure.title}: {told}",
                _chance(float(measure.chance[row, column]), float(measure.p[row, column])),
            ]
        )

    cells(axes, *measure.value.shape, tell)


def points(axes: Axes, x: Sequence[float], y: Sequence[float], texts: Sequence[str]) -> None:
    """Single points, such as the layers of a curve; those outside the axes are left out."""

    def area(figure: Figure) -> Area | None:
        x0, x1 = axes.get_xlim()
        y0, y1 = axes.get_ylim()
        box = _shares(axes, [(x0, y1), (x1, y0)])
        at = np.array([x, y], dtype=float).T
        inside = np.isfinite(at).all(axis=1)
        inside &= (at[:, 0] >= min(x0, x1)) & (at[:, 0] <= max(x0, x1))
        inside &= (at[:, 1] >= min(y0, y1)) & (at[:, 1] <= max(y0, y1))
        if not inside.any():
            return None
        places = tuple((float(a), float(b)) for a, b in _shares(axes, at[inside]))
        told = tuple(text for text, kept in zip(texts, inside, strict=True) if kept)
        return Area(_rounded(box.ravel()), told, places=places)

    _ask(axes, area)


def scored(
    head: str, metric: str, score: Estimate, chance: float = np.nan, p: float = np.nan
) -> str:
    """What is told of a layer with a score."""
    lines = [head, f"{metric}: {with_interval(score)}", _chance(chance, p)]
    return "\n".join(line for line in lines if line)


def areas(figure: Figure) -> tuple[Area, ...]:
    """All areas of a figure that has been laid out."""
    found = (asked(figure) for asked in _told.get(figure, ()))
    return tuple(area for area in found if area is not None and any(area.texts))


def _chance(chance: float, p: float = np.nan) -> str:
    parts = [f"chance {number(chance)}"] if np.isfinite(chance) else []
    parts += [f"p {number(p, 3)}"] if np.isfinite(p) else []
    return ", ".join(parts)


def _ask(axes: Axes, asked: _Asked) -> None:
    _told.setdefault(axes.get_figure(root=True), []).append(asked)


def _shares(axes: Axes, places: Sequence[tuple[float, float]] | np.ndarray) -> np.ndarray:
    """[places, 2] from data to shares of the figure, from its top left."""
    figure = axes.get_figure(root=True)
    seen = axes.transData.transform(np.asarray(places, dtype=float))
    shares = figure.transFigure.inverted().transform(seen)
    shares[:, 1] = 1.0 - shares[:, 1]
    return np.round(shares, _PLACES)


def _rounded(box: Sequence[float]) -> Box:
    left, top, right, bottom = (round(float(value), _PLACES) for value in box)
    return left, top, right, bottom
