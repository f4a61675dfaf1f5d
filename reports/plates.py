"""Draws the figures of a study, each once, and writes them as files of every kind asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from reports import style
from reports.document import Drawer
from reports.figures import hover
from reports.figures.drawing import Drawing, Plate
from reports.study import Study

KINDS = ("pdf", "svg", "png", "inline")  # inline: SVG to stand inside of HTML


def draw(
    study: Study, drawers: Mapping[str, Drawer], folder: Path, kinds: Collection[str]
) -> dict[str, list[Plate]]:
    """Name of the drawer -> its figures, written to `folder` as `NAME.KIND`."""
    with style.look():
        return {
            name: [_written(drawing, folder, kinds) for drawing in drawn(study, drawer)]
            for name, drawer in drawers.items()
        }


def drawn(study: Study, drawer: Drawer) -> list[Drawing]:
    """What a drawer draws, none where the study has no data for it; inside of `style.look`."""
    found = drawer(study)
    if found is None:
        return []
    return [found] if isinstance(found, Drawing) else list(found)


def _written(drawing: Drawing, folder: Path, kinds: Collection[str]) -> Plate:
    style.settle(drawing.figure)
    files = {
        kind: style.save(drawing.figure, folder / f"{drawing.name}.{kind}")
        for kind in sorted(kinds)
    }
    told = hover.areas(drawing.figure) if "inline" in kinds else ()
    width, height = drawing.figure.get_size_inches()
    size = float(width), float(height)
    return Plate(drawing.name, drawing.caption, drawing.alt, files, size, told)
