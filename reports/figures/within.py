"""How each model is organised inside: similarity of its layers with each other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports import style
from reports.figures import hover
from reports.figures.cells import hatch_measure, hatched, unbounded
from reports.figures.drawing import Drawing, Drawn
from reports.numbers import Estimate, percent
from reports.results import Measure, Similarity
from reports.structure import STABLE, Within
from reports.study import Study
from reports.words import abridged

_HALO = [patheffects.withStroke(linewidth=2.0, foreground="white")]
_FAINT = "#9c9c9c"


def within(study: Study) -> list[Drawing]:
    """Matrices of all models, two to a drawing, each with its tree and its strips."""
    found = [(r, study.between(r, r)) for r in study.models]
    usable = [(r, s, s.main()) for r, s in found if s is not None and s.main() is not None]
    alt = "Heat maps of similarity between layers of one model."
    return [
        Drawing(f"within-{i // 2 + 1}", alt, partial(_pair, study, usable[i : i + 2]))
        for i in range(0, len(usable), 2)
    ]


def _pair(study: Study, parts: list[tuple[str, Similarity, Measure]]) -> Drawn:
    shares = [_first_share(s) for _, s, _ in parts]
    strips = 1 + any(share is not None for share in shares)
    figure = style.canvas((3.7 if len(parts) > 1 else 5.0) + 0.62 * strips)
    trees = [_tree_of(s) is not None for _, s, _ in parts]
    widths = [w for tree in trees for w in (1.0, 0.2 if tree else 0.02)]
    heights = [1.0, *[0.24 if len(parts) > 1 else 0.16] * strips]
    grid = figure.add_gridspec(1 + strips, len(widths), height_ratios=heights, width_ratios=widths)
    tops, sentences = [], []
    novelty_top = max(np.nanmax(np.append(novelty(m), 0.05)) for _, _, m in parts)
    image, without = None, None
    for index, (role, similarity, measure) in enumerate(parts):
        top = figure.add_subplot(grid[0, 2 * index])
        image = _matrix(top, similarity, measure)
        top.set_title(
            abridged(study.name_of(role), 48), color=style.role_colour(role, text=True), loc="left"
        )
        structure = similarity.structure
        if isinstance(structure, Within):
            _boundaries(top, structure)
            sentences.append(_describe(study.name_of(role), similarity.layers_x, structure))
        if trees[index]:
            beside = figure.add_subplot(grid[0, 2 * index + 1], sharey=top)
            _dendrogram(beside, structure, len(similarity.layers_x))
            tops.append(beside)
        tops.append(top)
        below = [figure.add_subplot(grid[1 + k, 2 * index]) for k in range(strips)]
        bare = _without(similarity)
        without = without or bare
        _strip(
            below[0], role, measure, similarity.layers_x, novelty_top, bare, first=index == 0
        )
        if strips > 1:
            _share_strip(below[1], role, shares[index], first=index == 0)
        for axes in below:
            axes.set_xlim(-0.5, len(similarity.layers_x) - 0.5)
            axes.set_xticks([])
        style.label_layers(below[-1], similarity.layers_x, "x", most=16, limit=18)
    _bar(figure, image, tops, parts[0][2])
    measure = parts[0][2]
    caption = (
        f"Similarity of each model's layers with each other ({measure.name}, {measure.bounds_text}"
        "; 1 = same up to rotation and scale). Layers run from the input (left, bottom) to the "
        f"output. {hatched(measure)}{unbounded(measure)}"
    )
    if sentences:
        found = next(s.structure for _, s, _ in parts if s.structure)
        caption += (
            " Lines: boundaries of blocks with their stability in %; solid where at least "
            f"{percent(STABLE)} of {found.resamples} resamples keep them"
            + ("" if found.measure == measure.name else f" (by {found.measure})")
            + f". {' '.join(sentences)}"
        )
    if any(trees):
        caption += (
            " Trees: average linkage; merges kept as often are black, others grey and dashed."
        )
    caption += (
        f" Bars: novelty, 1 - similarity to the layer before, with {percent(measure.interval)} "
        "intervals."
    )
    if without is not None:
        caption += (
            f" Circles: the same by {without.name}; where they leave the bars, a few large "
            "directions make the picture."
        )
    if strips > 1:
        caption += " Lowest strip: share of variance on the first component."
    return figure, caption


def _tree_of(similarity: Similarity) -> Within | None:
    structure = similarity.structure
    return structure if isinstance(structure, Within) and len(structure.tree) else None


def _first_share(similarity: Similarity) -> np.ndarray | None:
    share = similarity.extra("first_share_x")
    return share if share is not None and np.isfinite(share).any() else None


def _without(similarity: Similarity) -> Measure | None:
    """The main measure without the first principal components, where the study has it."""
    return next((m for n, m in similarity.measures.items() if "without=" in n and not m.unit), None)


def _matrix(axes: Axes, similarity: Similarity, measure: Measure):
    # Some measures exceed 1 or fall below 0 by noise; the scale is that of a similarity.
    image = axes.imshow(
        measure.value, cmap=style.SEQUENTIAL, vmin=0, vmax=1, origin="lower", aspect="auto"
    )
    hatch_measure(axes, measure)
    hover.measured(axes, similarity, measure)
    style.label_layers(axes, similarity.layers_x, "y", most=16, limit=18)
    axes.set_xticks([])
    axes.spines[:].set_visible(False)
    return image


def _boundaries(axes: Axes, structure: Within) -> None:
    """Lines between blocks; numbers below the diagonal, left out where they would touch."""
    last = -np.inf
    apart = 0.055 * (axes.get_ylim()[1] - axes.get_ylim()[0])
    for cut in sorted(structure.cuts, key=lambda b: b.start):
        line = "-" if cut.stability >= STABLE else (0, (3, 2))
        for draw in (axes.axhline, axes.axvline):
            draw(cut.start - 0.5, color=style.INK, lw=0.9, ls=line)
        if cut.start - last < apart or not np.isfinite(cut.stability):
            continue
        last = cut.start
        # towards the middle at the far end, so that the number stays on the matrix
        far = cut.start > 0.9 * (axes.get_xlim()[1] + 0.5)
        axes.annotate(
            f"{100 * cut.stability:.0f}",
            (cut.start - 0.5, cut.start - 0.5),
            xytext=(-2.0, 2.0) if far else (2.0, -2.0),
            textcoords="offset points",
            fontsize=6.2,
            ha="right" if far else "left",
            va="bottom" if far else "top",
            path_effects=_HALO,
            zorder=5,
        )


def _dendrogram(axes: Axes, structure: Within, layers: int) -> None:
    """The tree with its leaves beside the rows: it grows to the right with distance."""
    place = {i: (0.0, float(i)) for i in range(layers)}
    for k, (left, right, height, _) in enumerate(structure.tree):
        (x0, y0), (x1, y1) = place[int(left)], place[int(right)]
        sure = structure.tree_stability[k] >= STABLE
        axes.plot(
            [x0, height, height, x1], [y0, y0, y1, y1], color=style.INK if sure else _FAINT,
            lw=0.8 if sure else 0.7, ls="-" if sure else (0, (2, 1.2)), zorder=3 if sure else 2,
            solid_joinstyle="miter",
        )  # fmt: skip
        place[layers + k] = (height, (y0 + y1) / 2.0)
    top = float(structure.tree[:, 2].max())
    # 1 - similarity falls below 0 where an estimate without bias passes 1
    low = min(0.0, float(structure.tree[:, 2].min()))
    axes.set_xlim(low, top * 1.04 if top > 0 else 1.0)
    axes.tick_params(left=False, labelleft=False, labelsize=6.0, length=2, pad=1.5)
    axes.set_xticks([0.0, top] if top > 0 else [0.0], ["0", f"{top:.2g}"] if top > 0 else ["0"])
    axes.spines["left"].set_visible(False)


def novelty(measure: Measure) -> np.ndarray:
    """[layers - 1, 3]: 1 - similarity of each layer to the one before, with low and high."""
    before = np.arange(len(measure.value) - 1), np.arange(1, len(measure.value))
    parts = (measure.value[before], measure.high[before], measure.low[before])
    return np.stack([1.0 - p for p in parts], axis=1) if len(before[0]) else np.empty((0, 3))


def _strip(
    axes: Axes, role: str, measure: Measure, layers: Sequence[str], top: float,
    without: Measure | None, *, first: bool,
) -> None:  # fmt: skip
    table = novelty(measure)
    places = np.arange(1, len(table) + 1)
    axes.bar(places, table[:, 0], width=0.72, color=style.role_colour(role), alpha=0.85, lw=0)
    axes.vlines(places, table[:, 1], table[:, 2], color=style.INK, lw=0.7)
    told = [
        hover.scored(f"{name} against {before}", "novelty", Estimate(*row))
        for before, name, row in zip(layers, layers[1:], table, strict=False)
    ]
    hover.points(axes, places, table[:, 0], told)
    if without is not None:
        size = max(1.2, 3.4 - len(places) / 24)
        axes.plot(places, novelty(without)[:, 0], "o", ms=size, mfc="white", mec=style.INK, mew=0.6)
        top = max(top, float(np.nanmax(np.append(novelty(without)[:, 0], 0.0))))
    axes.set_ylim(0, max(top, 0.05) * 1.05)
    if first:
        axes.set_ylabel("novelty")
    else:
        axes.tick_params(labelleft=False)


def _share_strip(axes: Axes, role: str, share: np.ndarray | None, *, first: bool) -> None:
    if share is not None:
        places = np.arange(len(share))
        axes.bar(places, share, width=0.72, color="#8a8a8a", lw=0)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 1])
    if first:
        axes.set_ylabel("first PC")
    else:
        axes.tick_params(labelleft=False)


def _describe(title: str, layers: tuple[str, ...], structure: Within) -> str:
    if not structure.cuts:
        return f"{title}: no block stands out."
    starts = ", ".join(
        f"{abridged(layers[c.start], 24)} ({percent(c.stability)})" for c in structure.cuts
    )
    return f"{title}: new blocks begin at {starts}."


def _bar(figure: Figure, image, axes: list[Axes], measure: Measure) -> None:
    bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=24, pad=0.02, ticks=[0, 0.5, 1])
    bar.outline.set_linewidth(0.4)
    bar.set_label(measure.title)
