"""What each layer resembles: similarity to references over depth."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from reports import style
from reports.figures import keys
from reports.figures.cells import hatched
from reports.figures.drawing import Drawing, Drawn
from reports.numbers import number, percent
from reports.results import Measure, Similarity
from reports.study import Study


def resemblance(study: Study) -> Drawing | None:
    """One panel a reference, one curve a model and one its untrained twin, on relative depth."""
    tables: dict[str, tuple[Similarity, Measure]] = {}
    for role in (*(f"{r}0" for r in study.models), *study.models):
        found = study.between(role, "ref")
        measure = found.main() if found else None
        if measure is not None and np.isfinite(measure.value).any():
            tables[role] = (found, measure)
    trained = [role for role in tables if not style.is_twin(role)]
    if not trained:
        return None
    draw = partial(_figure, study, tables, trained)
    return Drawing("resemblance", "Similarity to references over depth.", draw)


def _figure(
    study: Study, tables: dict[str, tuple[Similarity, Measure]], trained: list[str]
) -> Drawn:
    references = tables[trained[0]][0].layers_y
    ceilings = {role: _ceiling(study, role) for role in trained}
    across = min(4 if len(references) > 6 else 3, len(references))
    figure = style.canvas(1.46 * math.ceil(len(references) / across) + 0.45)
    panels = keys.grid(figure, len(references), across, sharex=True, sharey=True)
    top, turned = 0.05, False
    for place, (axes, name) in enumerate(zip(panels, references, strict=True)):
        axes.set_title(name[:32], loc="left")
        for role, (found, measure) in tables.items():
            if name not in found.layers_y:
                continue
            column = found.layers_y.index(name)
            table = np.stack([m[:, column] for m in (measure.value, measure.low, measure.high)], 1)
            heads = keys.layers(study, role, found.layers_x)
            keys.curve(axes, role, table, heads=heads, told=f"{name}, {measure.title}")
            # a few groups have values and no intervals
            part = table[:, 0] if style.is_twin(role) else table.ravel()
            top = max(top, float(np.nanmax(np.append(part, 0.0))))
            level = measure.chance_high[:, column]
            if role in trained and np.isfinite(level).any():
                depth = np.linspace(0.0, 1.0, len(level)) if len(level) > 1 else [0.5]
                axes.plot(depth, level, **keys.CHANCE)
            turned |= _turn(axes, study, role, found.layers_x, name, table[:, 0], measure)
        keys.depth_axis(axes, named=place + across >= len(references))
    drawn = _draw_ceilings(panels, ceilings, top)
    if drawn:
        top = max(top, max(float(np.nanmax(c)) for c in ceilings.values() if c is not None))
    panels[0].set_ylim(-0.04 * top, min(top * 1.08, 1.05))
    measure = tables[trained[0]][1]
    for axes in panels[::across]:
        axes.set_ylabel(measure.title[:28])
    handles = keys.lines(study, sorted(tables, key=style.is_twin))
    handles.append(Line2D([], [], **keys.CHANCE, label="level of chance"))
    if drawn:
        handles.append(
            Line2D([], [], color=style.INK, ls=keys.DOTS, lw=0.9, label="halves of its units")
        )
    keys.above(figure, handles)
    caption = (
        f"Similarity of each layer to what is not a network ({measure.name}), over depth from the "
        f"first layer to the last. Bands: {percent(measure.interval)} intervals over groups; grey "
        "dashes: what chance exceeds in 5 % of cases."
    )
    if len(tables) > len(trained):
        caption += (
            " Dashed: the same network without training; what it resembles as well was not learned."
        )
    if turned:
        caption += (
            " Ring: the layer farthest from the input of those that the last is shown to be nearer "
            "to it than: a return."
        )
    caption += _told(study, ceilings, drawn=drawn)
    caption += (
        " A layer may know what it does not resemble. Of all cells, "
        f"{_share(tables, trained)} are above chance. "
        f"{hatched(measure).replace('Hatched', 'Not above it')}"
    )
    return figure, caption


def _turn(
    axes: Axes,
    study: Study,
    role: str,
    layers: tuple[str, ...],
    name: str,
    values: np.ndarray,
    measure: Measure,
) -> bool:
    """A ring round the layer from which the model returns towards this reference, its input."""
    one = study.why[role].returning if role in study.why else None
    if one is None or one.turn is None or (one.input, one.measure) != (name, measure.name):
        return False
    layer = one.layers[one.turn]
    if layer not in layers:
        return False
    at = layers.index(layer)
    axes.plot(
        at / max(len(layers) - 1, 1), values[at], "o", ms=6.5, mfc="none", mec=style.INK, mew=0.9,
        zorder=5,
    )  # fmt: skip
    return True


def _share(tables: dict[str, tuple[Similarity, Measure]], roles: list[str]) -> str:
    above = np.concatenate([tables[r][1].above_chance.ravel() for r in roles])
    return percent(float(above.mean()))


def _ceiling(study: Study, role: str) -> np.ndarray | None:
    """[layers] the main measure between random halves of a layer's own units."""
    for other in ("ref", role):
        found = study.between(role, other)
        ceiling = found.extra("ceiling_x") if found else None
        if ceiling is not None and np.isfinite(ceiling).any():
            return ceiling
    return None


def _draw_ceilings(panels: list, ceilings: dict[str, np.ndarray | None], top: float) -> bool:
    """Draws them unless they are so high that the curves would be flattened."""
    known = {role: c for role, c in ceilings.items() if c is not None}
    if not known or max(float(np.nanmax(c)) for c in known.values()) > 1.8 * top:
        return False
    for axes in panels:
        for role, ceiling in known.items():
            depth = np.linspace(0.0, 1.0, len(ceiling))
            axes.plot(depth, ceiling, color=style.role_colour(role), ls=keys.DOTS, lw=0.9)
    return True


def _told(study: Study, ceilings: dict[str, np.ndarray | None], *, drawn: bool) -> str:
    parts = [
        f"{study.name_of(role)} {number(float(np.nanmin(c)))} to {number(float(np.nanmax(c)))}"
        for role, c in ceilings.items()
        if c is not None
    ]
    if not parts:
        return ""
    where = "Dotted" if drawn else "Above the scale"
    return (
        f" {where}: the same measure between random halves of a layer's own units "
        f"({'; '.join(parts)}), which two samples of one population of units would reach."
    )
