"""What weights a learned sum of layers gives to each layer, task by task."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from reports import style
from reports.figures import hover
from reports.figures.cells import ruled
from reports.figures.drawing import Drawing, Drawn
from reports.numbers import number
from reports.probing import Probes, Task
from reports.study import Study
from reports.words import abridged, clean


@dataclass(frozen=True)
class Weights:
    """Learned weights of layers.

    Attributes
    ----------
    shares : [layers] that sum to one.
    evenness : entropy as a share of that of equal weights; NaN where unknown.
    agreement : share of weight that training from other starts has in common; NaN where unknown.
    """

    task: str
    layers: tuple[str, ...]
    shares: np.ndarray
    evenness: float
    agreement: float


def weights_of(task: Task) -> Weights | None:
    """What a head says of its weights of layers, where it does and they are whole."""
    facts = task.chosen.facts
    names, shares = facts.get("layers"), facts.get("weights")
    if not isinstance(names, list) or not isinstance(shares, list) or len(names) != len(shares):
        return None
    if not all(isinstance(one, int | float) and math.isfinite(one) for one in shares) or not names:
        return None
    entropy, most = _number(facts, "entropy"), _number(facts, "entropy_of_equal_weights")
    return Weights(
        task.title,
        tuple(clean(name, 200) for name in names),
        np.array(shares, dtype=float),
        entropy / most if most > 0 else math.nan,
        _number(facts, "agreement"),
    )


def _told(table: list[Weights], row: int, column: int) -> str:
    """What is told of a cell in the HTML report."""
    one = table[row]
    return f"{one.task}, {one.layers[column]}\nweight: {number(float(one.shares[column]))}"


def _number(facts: Mapping, key: str) -> float:
    value = facts.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value)


def learned(probes: Probes) -> list[Weights]:
    """Of all tasks, over the layers that the first one names."""
    found = [weights_of(head) for heads in probes.heads.values() for head in heads]
    some = [one for one in found if one is not None]
    return [one for one in some if one.layers == some[0].layers]


def weights(study: Study) -> list[Drawing]:
    """Strips of weights, two models to a drawing."""
    tables = {r: learned(study.probes[r]) for r in study.models if r in study.probes}
    roles = [role for role, table in tables.items() if table]
    pages = [roles[i : i + 2] for i in range(0, len(roles), 2)]
    return [
        Drawing(
            f"weights-{n}", "Learned weights of layers, a strip a task.",
            partial(_page, study, {role: tables[role] for role in part}, n),
        )
        for n, part in enumerate(pages, 1)
    ]  # fmt: skip


def _page(study: Study, tables: dict[str, list[Weights]], page: int) -> Drawn:
    rows = [len(table) for table in tables.values()]
    figure = style.canvas(min(0.165 * sum(rows) + 1.0 * len(rows), 7.6))
    grid = figure.subplots(len(rows), 1, squeeze=False, height_ratios=[r + 1.5 for r in rows])
    most = max(float(one.shares.max()) for table in tables.values() for one in table)
    image = None
    for axes, (role, table) in zip(grid[:, 0], tables.items(), strict=True):
        shares = np.array([one.shares for one in table])
        image = axes.imshow(shares, cmap=style.SEQUENTIAL, vmin=0, vmax=most, aspect="auto")
        size = 7.5 if len(table) <= 24 else 6.2
        titles = [abridged(one.task, 24) for one in table]
        axes.set_yticks(range(len(table)), titles, fontsize=size)
        style.label_layers(axes, table[0].layers, "x", most=30, limit=18)
        axes.set_title(
            abridged(study.name_of(role), 60), loc="left", color=style.role_colour(role, text=True)
        )
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        ruled(axes, *shares.shape, width=1.0)
        hover.cells(axes, *shares.shape, partial(_told, table))
        axes.annotate(
            "even, agreed", (1.0, 1.0), xycoords="axes fraction", xytext=(4, 3),
            textcoords="offset points", fontsize=6.0, color=style.GREY, annotation_clip=False,
        )  # fmt: skip
        for row, one in enumerate(table):
            text = f"{number(one.evenness)}  {number(one.agreement)}"
            axes.annotate(
                text, (1.0, row), xycoords=("axes fraction", "data"), xytext=(4, 0),
                textcoords="offset points", va="center", fontsize=min(size, 6.8),
                color=style.GREY, annotation_clip=False,
            )  # fmt: skip
    bar = figure.colorbar(image, ax=grid[:, 0].tolist(), shrink=0.5, aspect=26, pad=0.015)
    bar.outline.set_linewidth(0.4)
    bar.set_label("weight")
    caption = (
        "Weights that a learned sum of all layers gives to each, each layer standardised first. "
        "Right of each row, even: entropy of the weights as a share of that of equal ones (1: no "
        "layer is preferred); agreed: the share of weight that training from other starts has in "
        "common (low: the weights are an accident of the start). Weights are not evidence by "
        "themselves: layers that say the same share weight in any proportion, so a layer with "
        "little weight may know the task well, and one with much may only help others. Read them "
        "beside the scores of single layers."
    )
    return figure, caption if page == 1 else "As the figure before, for further models."
