"""A figure with the words that belong under it."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.figure import Figure


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
