"""Draws the figures of a study, each once, and writes them as files of every kind asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path

from reports import style
from reports.document import Drawer
from reports.figures import hover
from reports.figures.drawing import Drawing, Plate
from reports.study import Study

KINDS = ("pdf", "svg", "png", "inline")  # inline: SVG to stand inside of HTML


def draw(
    study: Study,
    drawers: Mapping[str, Drawer],
    folder: Path,
    kinds: Collection[str],
    *,
    prefix: str = "",
) -> dict[str, list[Plate]]:
    """Name of the drawer -> its figures, written to `folder` as `NAME.KIND`.

    Parameters
    ----------
    kinds : of `KINDS`.
    prefix : of the names of files.
    """
    return {
        name: plates(partial(drawn, study, drawer), folder, kinds, prefix=prefix)
        for name, drawer in drawers.items()
    }


def plates(
    draws: Callable[[], Iterable[Drawing]],
    folder: Path,
    kinds: Collection[str],
    *,
    prefix: str = "",
) -> list[Plate]:
    """Draws in the report's look and writes what comes."""
    with style.look():
        return [_written(drawing, folder, kinds, prefix) for drawing in draws()]


def drawn(study: Study, drawer: Drawer) -> list[Drawing]:
    """What a drawer draws, none where the study has no data for it; inside of `style.look`."""
    found = drawer(study)
    if found is None:
        return []
    return [found] if isinstance(found, Drawing) else list(found)


def _written(drawing: Drawing, folder: Path, kinds: Collection[str], prefix: str) -> Plate:
    # A task of the user's own may be called like a path.
    name = prefix + re.sub(r"[^\w.+-]+", "-", drawing.name)
    style.settle(drawing.figure)
    files = {kind: style.save(drawing.figure, folder / f"{name}.{kind}") for kind in sorted(kinds)}
    told = hover.areas(drawing.figure) if "inline" in kinds else ()
    width, height = drawing.figure.get_size_inches()
    size = float(width), float(height)
    return Plate(name, drawing.caption, drawing.alt, files, size, told)
