"""What layers tell about labels, in bits: without training a probe, and with one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from reports import style
from reports.figures import hover, keys
from reports.figures.cells import hatch
from reports.figures.drawing import Drawing, Drawn
from reports.layers import Information, LabelInformation
from reports.numbers import Estimate, number
from reports.probing import Task
from reports.study import Study
from reports.words import abridged

PER_FIGURE = 8


def labels(study: Study) -> list[Drawing]:
    """Heat maps of the share of each label's entropy, then curves of the most told labels."""
    roles = [r for r in study.models if r in study.information and _usable(study.information[r])]
    pages = [roles[i : i + 2] for i in range(0, len(roles), 2)]
    alt = "Matrix of labels and layers, shares of entropy."
    drawings = [
        Drawing(f"labels-{n}", alt, partial(_maps, study, part, n))
        for n, part in enumerate(pages, 1)
    ]
    shown = _most_told(study)
    if shown:
        told = partial(_curves, study, shown)
        drawings.append(Drawing("labels-curves", "Bits about labels over depth.", told))
    return drawings


def _usable(table: Information) -> list[LabelInformation]:
    return [one for one in table.labels.values() if np.isfinite(one.curve[:, 0]).any()]


def _maps(study: Study, roles: list[str], page: int) -> Drawn:
    tables = {role: _ordered(study.information[role]) for role in roles}
    rows = [len(t) for t in tables.values()]
    figure = style.canvas(min(0.14 * sum(rows) + 0.95 * len(roles), 7.4))
    grid = figure.subplots(len(roles), 1, squeeze=False, height_ratios=[r + 1.5 for r in rows])
    top = max(_share(one) for t in tables.values() for one in t)
    top = min(1.0, max(math.ceil(10 * top) / 10, 0.1))
    image = None
    for axes, role in zip(grid[:, 0], roles, strict=True):
        table, layers = tables[role], study.information[role].layers
        share = np.array([one.share for one in table])
        image = axes.imshow(share, cmap=style.SEQUENTIAL, vmin=0, vmax=top, aspect="auto")
        hatch(
            axes,
            np.array([np.isfinite(one.p) for one in table]),
            np.array([one.above_chance for one in table]),
        )
        axes.set_ylim(len(table) - 0.5, -0.5)
        hover.cells(axes, *share.shape, partial(_told, layers, table))
        size = 7.5 if len(table) <= 24 else 6.4
        axes.set_yticks(
            range(len(table)), [abridged(one.label, 22) for one in table], fontsize=size
        )
        style.label_layers(axes, layers, "x", most=30, limit=18)
        axes.set_title(
            abridged(study.name_of(role), 60), loc="left", color=style.role_colour(role, text=True)
        )
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        for row, one in enumerate(table):
            axes.annotate(
                _second_reading(one), (1.0, row), xycoords=("axes fraction", "data"),
                xytext=(4, 0), textcoords="offset points", va="center", fontsize=min(size, 6.8),
                color=style.GREY, annotation_clip=False,
            )  # fmt: skip
    bar = figure.colorbar(
        image, ax=grid[:, 0].tolist(), shrink=0.5, aspect=26, pad=0.015, ticks=[0, top / 2, top]
    )
    bar.outline.set_linewidth(0.4)
    bar.set_label("share of the label's entropy")
    caption = (
        f"What each layer tells about labels ({study.information[roles[0]].measure}), as a share "
        "of the label's entropy; right of each row the bits of its best layer and the bits that "
        "there are. Hatched: p > 0.05 against shuffled labels, corrected for the layers. Rows "
        "run from the label told best to the label told least; a blank row has no entropy."
    )
    return figure, caption if page == 1 else "As the figure before, for further models."


def _told(layers: Sequence[str], table: Sequence[LabelInformation], row: int, column: int) -> str:
    """What is told of a cell in the HTML report."""
    one = table[row]
    text = hover.scored(f"{one.label}, {layers[column]}", "bits", Estimate(*one.curve[column]))
    return text + (f"\np {number(float(one.p[column]), 3)}" if np.isfinite(one.p[column]) else "")


def _ordered(table: Information) -> list[LabelInformation]:
    return sorted(_usable(table), key=_share, reverse=True)


def _share(one: LabelInformation) -> float:
    return float(np.nanmax(np.append(one.share, 0.0)))


def _second_reading(one: LabelInformation) -> str:
    """`0.83 of 2.9`"""
    best = number(float(np.nanmax(one.curve[:, 0])), 2)
    return f"{best} of {number(one.entropy, 1)} bits" if one.entropy > 0 else f"{best} bits"


def _probed(study: Study, role: str, label: str) -> Task | None:
    """The classification of a label by a probe, where the study has its bits."""
    tasks = study.probes[role].tasks.values() if role in study.probes else ()
    found = (t for t in tasks if label in (t.label, t.key))
    return next((t for t in found if np.isfinite(t.information()[:, 0]).any()), None)


def _most_told(study: Study) -> list[str]:
    """Labels by the largest number of bits that any layer of any model tells."""
    most: dict[str, float] = {}
    for role in study.models:
        for one in _usable(study.information[role]) if role in study.information else ():
            most[one.label] = max(most.get(one.label, 0.0), float(np.nanmax(one.curve[:, 0])))
        for task in study.probes[role].tasks.values() if role in study.probes else ():
            bits = task.information()[:, 0]
            if np.isfinite(bits).any():
                label = task.label
                most[label] = max(most.get(label, 0.0), float(np.nanmax(bits)))
    return sorted(most, key=lambda label: (-most[label], label))[:PER_FIGURE]


def _curves(study: Study, shown: list[str]) -> Drawn:
    across = min(4, len(shown))
    down = math.ceil(len(shown) / across)
    figure = style.canvas(1.38 * down + 0.5)
    panels = keys.grid(figure, len(shown), across)
    probed = False
    for place, (axes, label) in enumerate(zip(panels, shown, strict=True)):
        probed |= _panel(axes, study, label)
        keys.depth_axis(axes, named=place + across >= len(shown))
        axes.set_title(abridged(label, 24), loc="left", fontsize=8.5)
        if place % across == 0:
            axes.set_ylabel("bits")
    told = any(r in study.information for r in study.models)
    roles = [r for r in study.models if r in study.information or r in study.probes]
    handles = keys.lines(study, roles)
    if probed:
        handles.append(Line2D([], [], color=style.INK, lw=1.0, ls=keys.DOTS, label="linear probe"))
    if told:
        handles.append(Line2D([], [], **keys.CHANCE, label="shuffled labels"))
    handles.append(Line2D([], [], color="#b5b5b5", lw=0.8, label="entropy of the label"))
    keys.above(figure, handles)
    caption = f"The {len(shown)} labels that layers tell most about, over relative depth. "
    if told:
        measure = next(t.measure for t in study.information.values())
        caption += (
            f"Lines with bands: {measure} with 95 % intervals; grey dashes: what shuffled labels "
            "exceed in 5 % of cases (median over layers). "
        )
    if probed:
        caption += (
            "Dotted: information that the linear probe extracts on the quoted test split "
            "(V-information); the gap between the two is what a layer tells and a line through "
            "it does not read, or the clusters do not see. "
        )
    caption += "Grey line: all bits there are, where it fits into the panel."
    return figure, caption


def _panel(axes: Axes, study: Study, label: str) -> bool:
    """Draws one label; True when a probe's bits are among the curves."""
    probed, entropy = False, math.nan
    for role in study.models:
        table = study.information.get(role)
        one = table.labels.get(label) if table else None
        if one is not None and np.isfinite(one.curve[:, 0]).any():
            heads = keys.layers(study, role, table.layers)
            keys.curve(axes, role, one.curve, heads=heads, told=f"{label}, bits")
            entropy = one.entropy
            floor = one.floor_high[np.isfinite(one.floor_high)]
            if len(floor):
                axes.axhline(float(np.median(floor)), **keys.CHANCE)
        task = _probed(study, role, label)
        if task is not None:
            bits = task.information()
            depth = np.linspace(0.0, 1.0, len(bits))
            axes.plot(
                depth, bits[:, 0], color=style.role_colour(role), ls=keys.DOTS, lw=1.2, zorder=3
            )
            probed = True
    low, high = axes.get_ylim()
    # a probe that is sure and wrong loses bits without end
    axes.set_ylim(max(min(0.0, low), -0.25 * high) if high > 0 else low, high)
    if entropy < 1.35 * high:
        axes.axhline(entropy, color="#b5b5b5", lw=0.8, zorder=1)
        axes.set_ylim(top=max(high, 1.05 * entropy))
    return probed
