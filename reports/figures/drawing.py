"""A figure with the words that belong under it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.figure import Figure

from reports.figures.hover import Area


@dataclass(frozen=True)
class Drawing:
    """A figure ready for the page.

    Attributes
    ----------
    name : file name without extension.
    caption : can be read alone: what is plotted, how it was computed, what to see.
    alt : one short sentence for those who do not see the figure.
    """

    name: str
    figure: Figure
    caption: str
    alt: str


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
