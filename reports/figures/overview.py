"""The small picture of the first page: models as columns of layers, matching layers joined."""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from reports import style
from reports.figures.drawing import Drawing, Drawn
from reports.figures.specialisation import profile, standardised
from reports.structure import STABLE, Across
from reports.study import Study
from reports.words import abridged

_BOX, _NARROW = 0.17, 0.05


def specialities(study: Study, role: str) -> dict[str, str]:
    """Layer -> the task on which it stands out most, where it does.

    The task with the largest standardised score in the layer, among tasks whose headline interval
    of the layer lies above chance; a layer below its model's mean on all tasks has none.
    """
    if role not in study.probes:
        return {}
    keys, layers, scores, _ = profile(study.probes[role])
    table = standardised(scores)
    tasks = study.probes[role].tasks
    lows = np.array([tasks[k].curve(tasks[k].headline)[:, 1] for k in keys])
    chance = np.array([tasks[k].chance for k in keys])
    if not len(keys):
        return {}
    choice = study.why[role].choice if role in study.why else {}
    # not even the layer that validation chooses is shown to be above chance
    lows[[key in choice and not choice[key].above.above for key in keys]] = -np.inf
    usable = np.where((lows > chance[:, None]) & np.isfinite(table), table, -np.inf)
    best = usable.argmax(axis=0)
    return {layer: keys[best[i]] for i, layer in enumerate(layers) if usable[best[i], i] > 0.0}


def overview(study: Study) -> Drawing:
    """Up to four models side by side; lines along the monotone path between the first two."""
    return Drawing("overview", "The models as columns of layers.", partial(_figure, study))


def _figure(study: Study) -> Drawn:
    roles = list(study.models)[:4]
    deepest = max(len(study.models[role].layer_names) for role in roles)
    figure = style.canvas(2.7 if deepest <= 16 else 3.3)
    axes = figure.add_subplot()
    axes.set_axis_off()
    places = (
        np.linspace(0.28, 0.72, len(roles)) if len(roles) < 3 else np.linspace(0.1, 0.8, len(roles))
    )
    coloured = False
    for role, place in zip(roles, places, strict=True):
        left = role == roles[0] and len(roles) == 2
        coloured |= _column(axes, study, role, float(place), label_left=left)
    joined = _lines(axes, study, roles, places) if len(roles) == 2 else 0
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.06, 1.1)
    caption = "Layers from the input (bottom) to the output (top)."
    if coloured:
        caption += (
            " Colour and word: the task on which the layer stands out most from its model's other "
            "layers (standardised score, above chance); blank: none."
        )
    if joined:
        caption += (
            " Lines: the matching of layers that keeps the order of depth; darker: more alike; "
            "dashed: in fewer than 80 % of resamples."
        )
    return figure, caption


def _height(index: int, count: int) -> float:
    return (index + 0.5) / count


def _column(axes: Axes, study: Study, role: str, place: float, *, label_left: bool) -> bool:
    card = study.models[role]
    names = card.layer_names
    if role in study.probes and study.probes[role].tasks:
        names = profile(study.probes[role])[1] or names
    found = specialities(study, role)
    tasks = study.probes[role].tasks if role in study.probes else {}
    few = len(study.models) < 3
    box = _BOX if few else _NARROW
    limit = 22 if few else 20 if len(study.models) == 3 else 13
    step = 1.0 / len(names)
    gap = min(0.12 * step, 0.012)
    for i, name in enumerate(names):
        task = found.get(name)
        colour = style.family_colour(task) if task else "#f1efea"
        axes.add_patch(
            FancyBboxPatch(
                (place - box / 2, i * step + gap),
                box,
                step - 2 * gap,
                fc=colour,
                ec="#8a8a8a" if len(names) <= 30 else "none",
                lw=0.4,
                boxstyle="round,pad=0,rounding_size=0.006",
            )
        )
    size = 7.5 if len(names) <= 16 and few else 6.3
    for i in style.every_few(len(names), 24):
        task = found.get(names[i])
        label = abridged(names[i], 18 if few else 10)
        side = -1 if label_left else 1
        title = abridged(tasks[task].title, limit) if task else ""
        word = "   ".join(filter(None, [title, label] if label_left else [label, title]))
        axes.text(
            place + side * (box / 2 + 0.012),
            _height(i, len(names)),
            word,
            fontsize=size,
            ha="right" if label_left else "left",
            va="center",
        )
    axes.text(
        place,
        1.035,
        abridged(study.name_of(role), 36),
        ha="center",
        va="bottom",
        fontsize=9.5,
        color=style.role_colour(role, text=True),
    )
    return bool(found)


def _lines(axes: Axes, study: Study, roles: list[str], places: np.ndarray) -> int:
    similarity = study.between(*roles)
    measure = similarity.main() if similarity else None
    if measure is None:
        return 0
    structure = similarity.structure
    pairs = structure.path if isinstance(structure, Across) else ()
    for pair in pairs:
        i, j = pair.x, pair.y
        strength = float(np.clip(measure.value[i, j], 0.0, 1.0))
        axes.plot(
            [places[0] + _BOX / 2, places[1] - _BOX / 2],
            [_height(i, len(similarity.layers_x)), _height(j, len(similarity.layers_y))],
            color=style.SEQUENTIAL(0.25 + 0.75 * strength),
            lw=0.5 + 1.3 * strength,
            ls="-" if pair.stability >= STABLE else (0, (3, 2)),
            solid_capstyle="butt",
            zorder=0,
        )
    return len(pairs)
