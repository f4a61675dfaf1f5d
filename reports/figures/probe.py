"""The probe of the selected layer: more rows, fewer components, what it says of itself."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports import style
from reports.figures import keys
from reports.figures.cells import fitted
from reports.figures.drawing import Drawing, Drawn
from reports.numbers import count, number
from reports.probing import Task
from reports.study import Study
from reports.trust import Calibration, Ladder

_ACROSS, _DOWN = 2, 9  # tasks on a page
# inches
_TOP, _ROW, _TITLE, _TALL = 0.56, 0.9, 0.19, 0.52
_LEFT, _GAP = 0.34, 0.1
_WIDE = (style.WIDTH - 0.14) / _ACROSS
_SIDE = (_WIDE - _LEFT - 2 * _GAP - 0.27) / 3
_SMALL = 5.8


def probe(study: Study) -> list[Drawing]:
    """Three panels a task: learning curve, components, calibration."""
    found = [key for key in study.task_keys() if any(map(_told, study.probed(key).values()))]
    many = _ACROSS * _DOWN
    pages = [found[i : i + many] for i in range(0, len(found), many)]
    return [
        Drawing(
            f"probe-{n}", "Small panels about the selected probe.",
            partial(_page, study, part, n, len(pages)),
        )
        for n, part in enumerate(pages, 1)
    ]  # fmt: skip


def _told(task: Task) -> bool:
    trust = task.chosen.trust
    return any((trust.learning, trust.components, trust.calibration))


def _page(study: Study, shown: list[str], page: int, pages: int) -> Drawn:
    down = math.ceil(len(shown) / _ACROSS)
    height = _TOP + down * _ROW + 0.12
    figure = Figure(figsize=(style.WIDTH, height))
    roles = [r for r in study.models if any(r in study.probed(key) for key in shown)]
    figure.legend(
        handles=keys.lines(study, roles), loc="upper center", bbox_to_anchor=(0.5, 1.0),
        ncols=min(len(roles), 4), frameon=False, handlelength=2.1, borderaxespad=0.1,
    )  # fmt: skip
    for place, key in enumerate(shown):
        row, column = divmod(place, _ACROSS)
        left, top = column * (_WIDE + 0.14), _TOP + row * _ROW
        panels = [
            _axes(figure, left + _LEFT + at * (_SIDE + _GAP) + 0.22 * (at == 2), top + _TITLE)
            for at in range(3)
        ]
        if not row:
            _heads(panels)
        _task(study, key, panels)
    return figure, _caption(page, pages)


def _axes(figure: Figure, left: float, top: float) -> Axes:
    wide, tall = figure.get_size_inches()
    return figure.add_axes((left / wide, 1 - (top + _TALL) / tall, _SIDE / wide, _TALL / tall))


def _heads(panels: list[Axes]) -> None:
    """What the columns are, over the first row."""
    words = ("score by training rows", "by components kept", "right by stated")
    for axes, text in zip(panels, words, strict=True):
        axes.annotate(
            fitted(text, _SIDE + 0.06, 6.6)[0], (0.0, 1.0), xycoords="axes fraction",
            xytext=(0, 72 * (_TITLE + 0.05)), textcoords="offset points", fontsize=6.6,
            color=style.GREY, annotation_clip=False,
        )  # fmt: skip


def _task(study: Study, key: str, panels: list[Axes]) -> None:
    found = study.probed(key)
    learning = {r: t.chosen.trust.learning for r, t in found.items() if t.chosen.trust.learning}
    kept = {r: t.chosen.trust.components for r, t in found.items() if t.chosen.trust.components}
    stated = {r: t.chosen.trust.calibration for r, t in found.items() if t.chosen.trust.calibration}
    one = next(iter(found.values()))
    limits = _limits([*learning.values(), *kept.values()], one.chance)
    for axes, ladders in zip(panels[:2], (learning, kept), strict=True):
        _ladders(axes, ladders, one, limits, first=axes is panels[0])
    _calibration(panels[2], stated)
    panels[0].set_title(
        f"{one.title[:30]} ({one.metric}, {one.headline})"[:58], loc="left", fontsize=7.4, pad=3
    )


def _limits(ladders: list[Ladder], chance: float) -> tuple[float, float]:
    """Of scores: failed fits on few rows do not flatten the rest."""
    values = [ladder.scores for ladder in ladders]
    known = np.concatenate(values).ravel() if values else np.array([0.0, 1.0])
    known = known[np.isfinite(known)]
    high = max(float(known.max(initial=0.0)), chance if math.isfinite(chance) else 0.0)
    low = float(known.min(initial=high))
    if math.isfinite(chance):
        low = min(max(low, chance - 0.35 * max(high - chance, 0.1)), chance)
    room = 0.08 * max(high - low, 0.05)
    return low - room, high + room


def _ladders(
    axes: Axes, ladders: dict[str, Ladder], task: Task, limits: tuple[float, float], *, first: bool
) -> None:
    axes.set_ylim(*limits)
    if not ladders:
        _nothing(axes)
        return
    if math.isfinite(task.chance):
        axes.axhline(task.chance, zorder=1, **keys.CHANCE)
    ends = []
    for at, (role, ladder) in enumerate(ladders.items()):
        steps = np.log2(np.maximum(ladder.steps, 1))
        colour = style.role_colour(role)
        scores = ladder.scores
        axes.fill_between(steps, scores[:, 1], scores[:, 2], color=colour, alpha=0.22, lw=0)
        axes.plot(
            steps, scores[:, 0], color=colour, lw=1.0, marker=style.MARKERS.get(role, "o"), ms=1.8,
            mew=0, zorder=3,
        )  # fmt: skip
        if math.isfinite(ladder.enough):
            axes.plot(
                np.log2(ladder.enough), limits[0], "|", ms=max(10 - 4 * at, 3), mew=1.4,
                color=colour, clip_on=False, zorder=4 + at,
            )  # fmt: skip
        ends.append((ladder.steps[0], ladder.steps[-1]))
    low, high = min(e[0] for e in ends), max(e[1] for e in ends)
    axes.set_xticks([np.log2(max(low, 1)), np.log2(max(high, 1))], [count(low), count(high)])
    for label, side in zip(axes.get_xticklabels(), ("left", "right"), strict=True):
        label.set_horizontalalignment(side)
    top = limits[1] - 0.07 * (limits[1] - limits[0])
    ticks = [t for t in (task.chance, top) if math.isfinite(t)]
    axes.set_yticks(ticks, [number(t) for t in ticks] if first else [""] * len(ticks))
    axes.tick_params(labelsize=_SMALL, length=1.8, pad=1.2)


def _calibration(axes: Axes, stated: dict[str, Calibration]) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    if not stated:
        _nothing(axes)
        return
    axes.plot([0, 1], [0, 1], color=style.PALE, lw=0.8, zorder=1)
    for role, one in stated.items():
        colour = style.role_colour(role)
        axes.vlines(one.stated, one.observed[:, 1], one.observed[:, 2], color=colour, lw=0.5)
        axes.plot(
            one.stated, one.observed[:, 0], color=colour, lw=0.8, ls="-" if not one.intervals else
            keys.DOTS, marker=style.MARKERS.get(role, "o"), ms=1.7, mew=0, zorder=3,
        )  # fmt: skip
    told = {role: one for role, one in stated.items() if math.isfinite(one.error)}
    below = _room(told, 1.0, -1.0) >= _room(told, -1.0, 1.0)
    for line, (role, one) in enumerate(told.items()):
        at = 0.03 + 0.15 * (len(told) - 1 - line) if below else 0.85 - 0.15 * line
        axes.text(
            0.98 if below else 0.03, at, f"{number(one.error)} ({number(one.chance)})",
            fontsize=5.2, ha="right" if below else "left", va="bottom", zorder=5,
            color=style.role_colour(role, text=True), weight="bold" if one.p <= 0.05 else "normal",
            bbox={"boxstyle": "square,pad=0.03", "fc": "white", "ec": "none", "alpha": 0.7},
        )  # fmt: skip
    axes.set_xticks([0, 1], ["0", "1"])
    axes.set_yticks([0, 1], ["0", "1"])
    axes.tick_params(labelsize=_SMALL, length=1.8, pad=1.2)


def _room(stated: dict[str, Calibration], right: float, up: float) -> float:
    """How far the points, with their intervals, stay from a corner."""
    reach = [
        right * (0.5 - np.array(one.stated)) + up * (0.5 - one.observed[:, end])
        for one in stated.values()
        for end in (0, 1, 2)
    ]
    found = np.concatenate(reach) if reach else np.zeros(1)
    return float(np.nanmin(np.append(found, 1.0)))


def _nothing(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _caption(page: int, pages: int) -> str:
    part = f" (part {page} of {pages})" if pages > 1 else ""
    if page > 1:
        return f"The probes of the selected layers{part}; panels as in part 1."
    return (
        f"The probes of the selected layers{part}, three panels a task, with 95 % intervals over "
        "groups. Left: score after training on fewer groups (rows, on a scale of doublings); a "
        "curve that still rises asks for more data, not for another layer. Middle: score with only "
        "the first principal components of the layer; the tick on the axis is where one standard "
        "error of the full score is reached. Dashes: chance. Right: share that is right against "
        "the probability stated (dotted: of numbers inside the intervals stated); on the diagonal "
        "the probe is as often right as it says. Numbers there: expected calibration error and, in "
        "brackets, that of a calibrated probe on as few rows; bold where larger than chance "
        "(p at most 0.05, not corrected for the tasks)."
    )
