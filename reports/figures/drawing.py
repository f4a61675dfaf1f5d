"""A figure with the words that belong under it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from matplotlib.figure import Figure

from reports import style
from reports.figures.hover import Area

Drawn = tuple[Figure, str]


@dataclass(frozen=True)
class Drawing:
    """A figure for the page, drawn when it or its caption is first asked for.

    So a list of figures costs nothing, and each can be drawn in a process of its own.

    Attributes
    ----------
    name : file name without extension.
    alt : one short sentence for those who do not see the figure.
    draw : makes figure and caption; can be pickled.
    """

    name: str
    alt: str
    draw: Callable[[], Drawn]

    @cached_property
    def _drawn(self) -> Drawn:
        with style.look():
            return self.draw()

    @property
    def figure(self) -> Figure:
        return self._drawn[0]

    @property
    def caption(self) -> str:
        """Can be read alone: what is plotted, how it was computed, what to see."""
        return self._drawn[1]


@dataclass(frozen=True)
class Plate:
    """A drawing as it was written.

    Attributes
    ----------
    files : "pdf", "svg" ... -> file.
    size : width and height in inches.
    hover : what a reader is told who points at a part of it.
    """

    name: str
    caption: str
    alt: str
    files: dict[str, Path]
    size: tuple[float, float]
    hover: Sequence[Area] = field(default_factory=tuple)
