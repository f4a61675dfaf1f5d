"""Draws the figures of a study, each once, and writes them as files of every kind asked for."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from reports import style
from reports.document import Drawer
from reports.figures import hover
from reports.figures.drawing import Drawing, Plate
from reports.painters import spread
from reports.study import Study

KINDS = ("pdf", "svg", "png", "inline")  # inline: SVG to stand inside of HTML


def draw(
    study: Study, drawers: Mapping[str, Drawer], folder: Path, kinds: Collection[str]
) -> dict[str, list[Plate]]:
    """Name of the drawer -> its figures, written to `folder` as `NAME.KIND`.

    Parameters
    ----------
    kinds : of `KINDS`.
    """
    return plates([planned(study, drawers)], folder, kinds)[0]


def planned(study: Study, drawers: Mapping[str, Drawer]) -> dict[str, list[Drawing]]:
    """Name of the drawer -> its figures, not drawn yet."""
    return {name: drawings(study, drawer) for name, drawer in drawers.items()}


def drawings(study: Study, drawer: Drawer) -> list[Drawing]:
    """The figures of a drawer, not drawn yet; none where the study has no data for it."""
    found = drawer(study)
    if found is None:
        return []
    return [found] if isinstance(found, Drawing) else list(found)


def plates(
    plans: Sequence[Mapping[str, Sequence[Drawing]]],
    folder: Path,
    kinds: Collection[str],
    prefixes: Sequence[str] = ("",),
) -> list[dict[str, list[Plate]]]:
    """Draws all figures of several plans, in as many processes as there are cores and use for.

    Parameters
    ----------
    plans : name of the drawer -> its figures.
    kinds : of `KINDS`.
    prefixes : of the names of files, one a plan.
    """
    some = [
        (prefix, drawing)
        for prefix, plan in zip(prefixes, plans, strict=True)
        for found in plan.values()
        for drawing in found
    ]
    written = iter(spread(_written, some, folder, sorted(kinds)))
    return [{name: [next(written) for _ in found] for name, found in p.items()} for p in plans]


def _written(job: tuple[str, Drawing], folder: Path, kinds: Sequence[str]) -> Plate:
    prefix, drawing = job
    # A task of the user's own may be called like a path.
    name = prefix + re.sub(r"[^\w.+-]+", "-", drawing.name)
    with style.look():
        figure, caption = drawing.draw()
        style.settle(figure)
        files = {kind: style.save(figure, folder / f"{name}.{kind}") for kind in kinds}
        told = hover.areas(figure) if "inline" in kinds else ()
    width, height = figure.get_size_inches()
    return Plate(name, caption, drawing.alt, files, (float(width), float(height)), told)
