"""How each model is organised inside: similarity of its layers with each other."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports import style
from reports.figures.drawing import Drawing
from reports.matching import block_stability
from reports.numbers import percent
from reports.results import Measure, Similarity
from reports.study import Study
from reports.words import abridged


def within(study: Study) -> list[Drawing]:
    """Matrices of all models, two to a drawing, each with its novelty strip."""
    found = [(r, study.between(r, r)) for r in study.models]
    usable = [(r, s, s.main()) for r, s in found if s is not None and s.main() is not None]
    return [
        _pair(study, usable[i : i + 2], f"within-{i // 2 + 1}") for i in range(0, len(usable), 2)
    ]


def _pair(study: Study, parts: list[tuple[str, Similarity, Measure]], name: str) -> Drawing:
    figure = style.canvas(4.35 if len(parts) > 1 else 5.6)
    widths = [1.0] * len(parts)
    grid = figure.add_gridspec(2, len(parts), height_ratios=[1.0, 0.27], width_ratios=widths)
    tops, sentences = [], []
    novelty_top = max(np.nanmax(np.append(novelty(m), 0.05)) for _, _, m in parts)
    image = None
    for column, (role, similarity, measure) in enumerate(parts):
        top = figure.add_subplot(grid[0, column])
        image = _matrix(top, similarity, measure)
        top.set_title(
            abridged(study.name_of(role), 48), color=style.role_colour(role, text=True), loc="left"
        )
        cuts = block_stability(measure)
        for cut, kept in cuts.items():
            line = "-" if kept >= 0.8 else (0, (3, 2))
            for draw in (top.axhline, top.axvline):
                draw(cut - 0.5, color=style.INK, lw=0.9, ls=line)
        sentences.append(_describe(study.name_of(role), similarity.layers_x, cuts))
        tops.append(top)
        below = figure.add_subplot(grid[1, column])
        _strip(below, role, similarity.layers_x, measure, novelty_top, first=column == 0)
    _bar(figure, image, tops, parts[0][2])
    measure = parts[0][2]
    caption = (
        f"Similarity of each model's layers with each other ({measure.name}, {measure.bounds_text}"
        "; 1 = same up to rotation and scale). Layers run from the input (left, bottom) to the "
        "output. Lines: boundaries of blocks; solid where at least 80 % of noisy copies of the "
        f"matrix keep them. {' '.join(sentences)} Strips: novelty, 1 - similarity to the layer "
        f"before, with {percent(measure.interval)} intervals."
    )
    return Drawing(name, figure, caption, "Heat maps of similarity between layers of one model.")


def _matrix(axes: Axes, similarity: Similarity, measure: Measure):
    # Some measures exceed 1 or fall below 0 by noise; the scale is that of a similarity.
    image = axes.imshow(
        measure.value, cmap=style.SEQUENTIAL, vmin=0, vmax=1, origin="lower", aspect="auto"
    )
    style.label_layers(axes, similarity.layers_x, "y", most=16, limit=18)
    axes.set_xticks([])
    axes.spines[:].set_visible(False)
    return image


def novelty(measure: Measure) -> np.ndarray:
    """[layers - 1, 3]: 1 - similarity of each layer to the one before, with low and high."""
    before = np.arange(len(measure.value) - 1), np.arange(1, len(measure.value))
    parts = (measure.value[before], measure.high[before], measure.low[before])
    return np.stack([1.0 - p for p in parts], axis=1) if len(before[0]) else np.empty((0, 3))


def _strip(axes: Axes, role: str, layers: tuple, measure: Measure, top: float, *, first: bool):
    table = novelty(measure)
    places = np.arange(1, len(layers))
    axes.bar(places, table[:, 0], width=0.72, color=style.role_colour(role), alpha=0.85, lw=0)
    axes.vlines(places, table[:, 1], table[:, 2], color=style.INK, lw=0.7)
    axes.set_xlim(-0.5, len(layers) - 0.5)
    axes.set_ylim(0, max(top, 0.05) * 1.05)
    style.label_layers(axes, layers, "x", most=16, limit=18)
    if first:
        axes.set_ylabel("novelty")
    else:
        axes.tick_params(labelleft=False)


def _describe(title: str, layers: tuple[str, ...], cuts: dict[int, float]) -> str:
    if not cuts:
        return f"{title}: no block stands out."
    starts = ", ".join(f"{abridged(layers[c], 24)} ({percent(kept)})" for c, kept in cuts.items())
    return f"{title}: new blocks begin at {starts}."


def _bar(figure: Figure, image, axes: list[Axes], measure: Measure) -> None:
    bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=24, pad=0.02, ticks=[0, 0.5, 1])
    bar.outline.set_linewidth(0.4)
    bar.set_label(measure.title)
