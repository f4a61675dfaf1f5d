"""Why there: one panel a task with its curve, what erasing costs, and the other model's layer."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports import style
from reports.figures import curves, hover
from reports.figures.cells import fitted, width_of
from reports.figures.drawing import Drawing, Drawn
from reports.numbers import number
from reports.rules_why import above_chance, counterpart, kept_share, reach
from reports.study import Study
from reports.verdicts import verdict
from reports.why import CONTROLS, EQUAL, MADE, RANDOM, Pair, Reference, Riding
from reports.words import abridged, listed

_ROW = 0.145  # inches of a reference in the dot plot
_TOP, _FEET = 0.34, 0.47  # inches above and below the axes
_LEFT, _CURVE, _NAMES, _KEPT = 0.4, 1.85, 1.15, 1.15
_P = 0.31  # inches of a column of p, right of the dots, one a model
_MARKS = {
    RANDOM: ("|", "random subspace"),
    EQUAL: ("d", "as much variance"),
    MADE: ("x", "made-up reference"),
}
_MOST_MODELS = 4


def explained(study: Study) -> list[str]:
    """Tasks with something to explain and something that was erased, the largest effect first."""
    sizes = {}
    for role in study.models:
        for key, riding in study.why[role].riding.items() if role in study.why else ():
            if above_chance(study, role, key) and key in study.task_keys():
                sizes[key] = max(sizes.get(key, (0, 0.0)), _effect(riding))
    return sorted(sizes, key=lambda key: (-sizes[key][0], -sizes[key][1], key))


def unexplained(study: Study) -> list[str]:
    """One line a model on tasks whose selected layer is not shown to be above chance."""
    out = []
    for role in study.models:
        keys = study.why[role].riding if role in study.why else ()
        none = [key for key in keys if not above_chance(study, role, key)]
        titles = [study.probed(key)[role].title for key in none if role in study.probed(key)]
        if titles:
            out.append(
                f"{study.name_of(role)}: {listed([abridged(t, 40) for t in titles])}: the selected "
                "layer is not shown to be above chance, so there is nothing to explain."
            )
    return out


def _effect(riding: Riding) -> tuple[int, float]:
    """2 where the task rides, 1 where it needs, and how far from the controls in half widths."""
    found = [one.weakest for one in riding.on or riding.references]
    sizes = [c.value / (c.value - c.low) for c in found if c.bounded and c.value > c.low]
    rank = 2 if any(one.rides for one in riding.on) else int(bool(riding.on))
    return rank, max(sizes, default=0.0)


def why(study: Study) -> list[Drawing]:
    """One drawing a task, about three to a page."""
    alt = "Score over depth, what erasing references costs, and what the other model keeps."
    return [Drawing(f"why-{key}", alt, partial(_panel, study, key)) for key in explained(study)]


def _panel(study: Study, key: str) -> Drawn:
    ridings = {
        role: study.why[role].riding[key]
        for role in list(study.models)[:_MOST_MODELS]
        if role in study.why and key in study.why[role].riding and above_chance(study, role, key)
    }
    kept = _kept(study, key, list(ridings))
    names = _order(ridings)
    tall = max(1.3, _ROW * len(names) * max(1.0, 0.6 * len(ridings)))
    height = tall + _TOP + _FEET
    figure = Figure(figsize=(style.WIDTH, height))

    def axes_at(left: float, wide: float) -> Axes:
        return figure.add_axes(
            (left / style.WIDTH, _FEET / height, wide / style.WIDTH, tall / height)
        )

    curve = axes_at(_LEFT, _CURVE)
    curves.panel(curve, study, key, _CURVE)
    left = _LEFT + _CURVE + _NAMES
    wide = style.WIDTH - left - 0.06 - _P * len(ridings) - ((_KEPT + 0.22) if kept else 0.0)
    _dots(axes_at(left, wide), study, ridings, names, wide)
    if kept:
        _shares(axes_at(style.WIDTH - _KEPT - 0.06, _KEPT), kept, study)
    _legend(figure, left, wide, height)
    return figure, f"{verdict(study, key)} {_parts(study, ridings)}"


def reading(study: Study) -> list[str]:
    """How the panels are read; nothing where there are none."""
    if not explained(study):
        return []
    text = (
        "The panels, a task each. Score by layer: bands are 95 % intervals over groups, grey "
        "dashes chance, grey lines references"
    )
    if any(f"{role}0" in study.probes for role in study.models):
        text += ", coloured dashes the untrained twin"
    text += (
        ". Cost of erasing a reference at the layer that is named: whiskers are simultaneous "
        "intervals of the difference from the stronger control, drawn about the cost; p goes with "
        "them, corrected for the references; filled: more than random subspaces and made-up "
        "references cost (p at most 0.05)."
    )
    if study.transfer:
        text += (
            " Kept on the other model: share of the lead over chance that a probe has left on the "
            "other model's most similar layer; filled: above chance there; none is drawn where the "
            "probe's own lead is too small to take a share of."
        )
    return [text]


def _parts(study: Study, ridings: dict[str, Riding]) -> str:
    """Whose probe the costs are of; what stands where is told once, in `reading`."""
    return f"Costs are of {_before(study, ridings)}."


def _before(study: Study, ridings: dict[str, Riding]) -> str:
    """`a least squares probe (at conv03 1.00 with nothing erased)`."""
    heads = list(dict.fromkeys(one.head for one in ridings.values() if one.head))
    whose = len(ridings) > 1
    scores = [
        f"at {abridged(one.selected, 24)}{f' of {study.name_of(role)}' * whose} "
        f"{number(one.before[one.index].value)}"
        for role, one in ridings.items()
        if one.before[one.index].exists
    ]
    text = f"a {' or '.join(heads)} probe" if heads else "its probe"
    return f"{text} ({listed(scores)} with nothing erased)" if scores else text


def _order(ridings: dict[str, Riding]) -> list[str]:
    """References by the largest drop in any model."""
    sizes: dict[str, float] = {}
    for riding in ridings.values():
        for one in riding.references:
            drop = riding.drop(one).value
            sizes[one.name] = max(sizes.get(one.name, -math.inf), drop if drop == drop else -9.0)
    return sorted(sizes, key=lambda name: (-sizes[name], name))


def _dots(
    axes: Axes, study: Study, ridings: dict[str, Riding], names: list[str], wide: float
) -> None:
    """Drops with whiskers, controls in grey; models of a reference one above the other."""
    step = 0.74 / max(len(ridings), 1)
    axes.axvline(0.0, color=style.GREY, lw=0.5, zorder=0)
    for at in range(0, len(names), 2):
        axes.axhspan(at - 0.5, at + 0.5, color="#F4F3EF", lw=0, zorder=-1)
    ends = [0.0]
    for at, (role, riding) in enumerate(ridings.items()):
        lift = (at - (len(ridings) - 1) / 2) * step
        rows = [names.index(r.name) + lift for r in riding.references]
        ends += _model(axes, role, riding, rows, reach(study, role, riding.task))
        for one in riding.references:
            _told_p(axes, role, one.p, names.index(one.name), at)
        axes.annotate(
            "p", (1.0, 1.0), xycoords="axes fraction", xytext=(5 + 72 * _P * at, 2.5),
            textcoords="offset points", fontsize=6.6, color=style.role_colour(role, text=True),
        )  # fmt: skip
        told = [cost_told(study, role, riding, one) for one in riding.references]
        hover.points(axes, [riding.drop(r).value for r in riding.references], rows, told)
    style.span(axes, min(ends), max(ends), "x", 0.05)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), [fitted(n, _NAMES - 0.42, 7.2)[0] for n in names])
    axes.tick_params(axis="y", length=0, pad=3, labelsize=7.2)
    axes.tick_params(axis="x", labelsize=7)
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=5)
    metric = next(iter(ridings.values())).metric
    title, size = fitted(f"cost in {metric}", wide, 7.6)
    axes.set_title(title, loc="left", fontsize=size, pad=11)
    heads = {one.head for one in ridings.values()} - {""}
    if len(heads) == 1:
        axes.set_xlabel(fitted(f"{heads.pop()} probe", wide, 6.6)[0], fontsize=6.6, labelpad=1)
    _placed(axes, study, {role: riding.selected for role, riding in ridings.items()}, wide)


def _told_p(axes: Axes, role: str, p: float, row: float, column: int) -> None:
    """The corrected p, right of its row, in the column of its model."""
    if math.isfinite(p):
        text = "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
        axes.annotate(
            text, (1.0, row), xycoords=("axes fraction", "data"),
            xytext=(5 + 72 * _P * column, 0), textcoords="offset points", fontsize=6.6,
            va="center", clip_on=False,
            color=style.role_colour(role, text=True),
        )  # fmt: skip


def _model(
    axes: Axes, role: str, riding: Riding, rows: list[float], most: float
) -> list[float]:
    """One model's dots on these rows; returns where they end. No whisker goes beyond `most`."""
    colour, ends = style.role_colour(role), []
    for control in CONTROLS:
        costs = [riding.here(r).controls.get(control) for r in riding.references]
        values = [cost.value if cost else math.nan for cost in costs]
        axes.plot(
            values, rows, _MARKS[control][0], color=style.GREY, ms=3.4, mew=0.8, mfc="none",
            zorder=3,
        )  # fmt: skip
        ends += values
    drops = np.array([riding.drop(r).value for r in riding.references])
    least = [r.weakest for r in riding.references]
    low = drops - [c.value - c.low for c in least]
    high = drops + [c.high - c.value for c in least]
    if math.isfinite(most):
        low, high = np.clip(low, -most, most), np.clip(high, -most, most)
    axes.hlines(rows, low, high, color=colour, lw=1.0, zorder=2)
    needed = np.array([r.needed for r in riding.references], dtype=bool)
    for some, face in ((needed, colour), (~needed, "white")):
        axes.plot(
            drops[some], np.array(rows)[some], style.MARKERS.get(role, "o"), ms=4.4, ls="",
            mfc=face, mec=colour, mew=0.9, zorder=4,
        )  # fmt: skip
    return [float(v) for v in (*ends, *drops, *low, *high) if math.isfinite(v)]


def _placed(axes: Axes, study: Study, layers: dict[str, str], wide: float) -> None:
    """`at block05  at conv3`, each in its model's colour, under the title."""
    at, share = 0.0, wide / max(len(layers), 1)
    for role, layer in layers.items():
        text, size = fitted(f"at {layer}", share - 0.08, 6.8, 5.5)
        axes.annotate(
            text, (at / wide, 1.0), xycoords="axes fraction", xytext=(0, 2.5),
            textcoords="offset points", fontsize=size, color=style.role_colour(role, text=True),
        )  # fmt: skip
        at += width_of(text, size) + 0.12


def _legend(figure: Figure, left: float, wide: float, height: float) -> None:
    handles = [
        Line2D([], [], marker=mark, ls="", color=style.GREY, mfc="none", ms=3.6, mew=0.8,
               label=label)
        for mark, label in _MARKS.values()
    ]  # fmt: skip
    figure.legend(
        handles=handles, loc="lower center", ncols=3, frameon=False, fontsize=6.2,
        bbox_to_anchor=((left - 0.3 + wide / 2) / style.WIDTH, -0.01 / height), handlelength=0.8,
        handletextpad=0.25, columnspacing=0.9, borderpad=0.1,
    )  # fmt: skip


def _kept(study: Study, key: str, roles: list[str]) -> list[tuple[str, str, str, Pair]]:
    """(role of the probe, its layer, the other model's layer, how it does there).

    Where the probe's own lead is too small to take a share of, none is kept.
    """
    out = []
    for (x, y), tasks in study.transfer.items():
        task = study.probed(key).get(x)
        if x in roles and key in tasks and task is not None:
            layer, _ = counterpart(study, x, y, task.selected, key)
            pair = tasks[key].pair(task.selected, layer)
            if pair is not None and pair.kept.exists:
                share = kept_share(study, x, tasks[key], task.selected, layer)
                out.append((x, task.selected, layer, replace(pair, kept=share)))
    return out


def _shares(axes: Axes, kept: list[tuple[str, str, str, Pair]], study: Study) -> None:
    high = max([1.0, *(pair.kept.high for *_, pair in kept if pair.kept.bounded)])
    low = min([0.0, *(pair.kept.low for *_, pair in kept if pair.kept.bounded)])
    low, high = max(low, -0.5), min(high, 1.5)
    for at, (role, layer, other, pair) in enumerate(kept):
        colour = style.role_colour(role)
        if pair.kept.bounded:
            ends = np.clip([pair.kept.low, pair.kept.high], low, high)
            axes.plot(ends, [at, at], color=colour, lw=1.0)
        if not pair.kept.exists:
            axes.annotate(
                "own lead too small", (0.5, at), xycoords=("axes fraction", "data"), ha="center",
                va="center", fontsize=6.6, color=style.GREY,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
            )  # fmt: skip
        axes.plot(
            np.clip(pair.kept.value, low, high), at, style.MARKERS.get(role, "o"), ms=4.6,
            color=colour, mfc=colour if pair.above.above else "white", mew=0.9,
        )  # fmt: skip
        half = (_KEPT - 0.15) / 2
        text = f"{fitted(layer, half, 6.6)[0]} \N{RIGHTWARDS ARROW} {fitted(other, half, 6.6)[0]}"
        axes.annotate(
            text, (0.0, at), xycoords=("axes fraction", "data"), xytext=(0, 7),
            textcoords="offset points", fontsize=6.6, color=style.role_colour(role, text=True),
        )  # fmt: skip
    for edge in (0.0, 1.0):
        axes.axvline(edge, color=style.GREY, lw=0.5, zorder=0)
    style.span(axes, low, high, "x", 0.05)
    axes.set_ylim(len(kept) - 0.55, -0.75)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"], fontsize=7)
    axes.set_title("kept on the other model", loc="left", fontsize=7.6, pad=11)
    axes.annotate(
        "of the lead over chance", (0.0, 1.0), xycoords="axes fraction", xytext=(0, 2.5),
        textcoords="offset points", fontsize=6.8, color=style.GREY,
    )  # fmt: skip


def cost_told(study: Study, role: str, riding: Riding, one: Reference) -> str:
    """What the HTML report tells of a reference that was erased from the selected layer."""
    title = study.probed(riding.task)[role].title
    text = hover.scored(
        f"{title}: {one.name} erased from {riding.selected} of {study.name_of(role)}",
        f"cost in {riding.metric}",
        riding.drop(one),
    )
    least = one.weakest.clipped(reach(study, role, riding.task))
    return text + "\n" + hover.scored("against the stronger control", "difference", least, p=one.p)
