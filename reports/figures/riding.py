"""What rides on what: tasks against references, one matrix a model."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports import style
from reports.figures import hover
from reports.figures.cells import bare, fitted, hatch, ruled, width_of
from reports.figures.drawing import Drawing, Drawn
from reports.figures.why import cost_told, explained
from reports.rules_why import above_chance
from reports.study import Study
from reports.why import Riding
from reports.words import listed

_LEFT, _GAP, _RIGHT = 1.2, 0.18, 0.6  # inches
_HEAD, _ROW = 0.32, 0.165
_ACROSS = 2  # models side by side


def riding(study: Study) -> list[Drawing]:
    """Share of the lead over chance that goes with each reference, at the selected layer."""
    keys = explained(study)
    roles = [
        role
        for role in study.models
        if role in study.why and any(_asked(study, role, key) for key in keys)
    ]
    names = list(
        dict.fromkeys(
            one.name
            for role in roles
            for key in keys
            if (found := _asked(study, role, key))
            for one in found.references
        )
    )
    if not names or unridden(study):
        return []
    pages = [roles[i : i + _ACROSS] for i in range(0, len(roles), _ACROSS)]
    alt = "Matrix of tasks and what was erased."
    return [
        Drawing(f"riding-{n}", alt, partial(_page, study, part, keys, names, n))
        for n, part in enumerate(pages, 1)
    ]


def unridden(study: Study) -> list[str]:
    """One sentence in place of a matrix that would be hatched throughout."""
    asked = {
        role: [found for key in explained(study) if (found := _asked(study, role, key))]
        for role in study.models
        if role in study.why
    }
    some = [one for found in asked.values() for one in found]
    if not some or any(reference.needed for one in some for reference in one.references):
        return []
    models = listed([study.name_of(role) for role, found in asked.items() if found])
    return [
        f"No task is shown to ride on anything that was erased from {models}: no matrix of what "
        "rides on what is drawn."
    ]


def _asked(study: Study, role: str, key: str) -> Riding | None:
    found = study.why[role].riding.get(key)
    return found if found is not None and above_chance(study, role, key) else None


def lead_lost(riding: Riding, name: str) -> float:
    """Share of the score's lead over chance that erasing a reference takes; NaN where unknown."""
    one = next((r for r in riding.references if r.name == name), None)
    lead = riding.before[riding.index].value - riding.chance
    if one is None or not lead > 0:
        return math.nan
    return riding.drop(one).value / lead


def _page(study: Study, roles: list[str], keys: list[str], names: list[str], page: int) -> Drawn:
    feet = min(max(width_of(name, 7.2) for name in names), 0.9) + 0.1
    tall = _ROW * len(keys)
    height = _HEAD + tall + feet
    figure = Figure(figsize=(style.WIDTH, height))
    wide = (style.WIDTH - _LEFT - _RIGHT - _GAP * (len(roles) - 1)) / len(roles)
    wide = min(wide, 0.42 * len(names))
    image = None
    for number, role in enumerate(roles):
        left = _LEFT + number * (wide + _GAP)
        axes = figure.add_axes(
            (left / style.WIDTH, feet / height, wide / style.WIDTH, tall / height)
        )
        image = _matrix(axes, study, role, keys, names)
        title, size = fitted(study.name_of(role), wide, 9.0)
        axes.set_title(
            title, loc="left", fontsize=size, color=style.role_colour(role, text=True), pad=4
        )
        axes.set_xticks(
            range(len(names)), [fitted(n, 0.9, 7.2)[0] for n in names], rotation=90, fontsize=7.2
        )
        if number:
            bare(axes, "y")
        else:
            titles = [next(iter(study.probed(key).values())).title for key in keys]
            axes.set_yticks(
                range(len(keys)), [fitted(t, _LEFT - 0.1, 7.2)[0] for t in titles], fontsize=7.2
            )
    right = _LEFT + len(roles) * (wide + _GAP)
    bar = figure.add_axes(
        (right / style.WIDTH, (feet + tall - min(tall, 1.0)) / height, 0.09 / style.WIDTH,
         min(tall, 1.0) / height)
    )  # fmt: skip
    colours = figure.colorbar(image, cax=bar, ticks=[0, 0.5, 1])
    colours.ax.set_yticklabels(["0", "50 %", "100 %"], fontsize=7)
    colours.outline.set_linewidth(0.4)
    caption = (
        "What each task loses when a reference is erased from its selected layer and the task is "
        "probed again: share of the score's lead over chance. Hatched, on white: not shown to be "
        "more than random subspaces and made-up references cost (p > 0.05, corrected for the "
        "references of the task). Large dot: the task rides on it: it also costs more than random "
        "directions with as much variance, and no other reference is shown to cost more. Small "
        "dot: only the latter. Grey: not above chance, or not asked. Tasks by the size of the "
        "effect."
    )
    return figure, caption if page == 1 else "As the figure before, for further models."


def _matrix(axes: Axes, study: Study, role: str, keys: list[str], names: list[str]):
    table = np.full((len(keys), len(names)), np.nan)
    needed = np.zeros(table.shape, dtype=bool)
    for i, key in enumerate(keys):
        found = _asked(study, role, key)
        if found is None:
            continue
        on = {one.name for one in found.on}
        for one in found.references:
            j = names.index(one.name)
            lost = float(np.clip(lead_lost(found, one.name), 0.0, 1.0))
            # what may be nothing has the colour of nothing
            table[i, j] = lost if one.needed or not math.isfinite(lost) else 0.0
            needed[i, j] = one.needed
            if one.name in on:
                dark = table[i, j] > 0.35
                axes.plot(
                    j, i, "o", ms=5.2 if one.rides else 2.6, zorder=5, mew=0,
                    color="white" if dark else style.INK,
                )  # fmt: skip
    image = axes.imshow(
        table, cmap=style.SEQUENTIAL, vmin=0, vmax=1, aspect="auto", interpolation="nearest"
    )
    hatch(axes, np.isfinite(table), needed)
    ruled(axes, *table.shape, across=True, width=0.8)

    def tell(row: int, column: int) -> str:
        found = _asked(study, role, keys[row])
        known = found.references if found else ()
        one = next((r for r in known if r.name == names[column]), None)
        return cost_told(study, role, found, one) if found and one else ""

    hover.cells(axes, *table.shape, tell)
    axes.set_ylim(len(keys) - 0.5, -0.5)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=2)
    return image
