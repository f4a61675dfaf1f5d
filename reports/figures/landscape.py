"""What it looks like: all layers of all models as points on a map."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import warnings
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from reports import style
from reports.figures import hover
from reports.figures.drawing import Drawing, Drawn
from reports.study import Study
from reports.words import abridged

FEWEST_FOR_UMAP = 8
MOST_INTERPRETED = 80  # points; the work of a map grows with them, that of compiling does not
_ALONE = """
import io, sys, warnings
import numpy as np
from reports.figures.landscape import umap_of

warnings.simplefilter("ignore")
matrix = np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
found = io.BytesIO()
np.save(found, umap_of(matrix, int(sys.argv[1]), int(sys.argv[2])), allow_pickle=False)
sys.stdout.buffer.write(found.getvalue())
"""


@dataclass(frozen=True)
class Distances:
    """1 - similarity between all layers of several roles, [points, points]."""

    matrix: np.ndarray
    roles: tuple[str, ...]
    names: tuple[str, ...]
    measure: str


def distances(study: Study) -> Distances | None:
    """The joint matrix over the largest set of roles for which every pair was compared.

    The cross terms of one measure with its own within terms; NaN counts as unrelated.
    """
    roles = [r for r in study.models if _main(study, r, r)]
    kept: list[str] = []
    for role in roles:
        if all(_main(study, other, role) for other in kept):
            kept.append(role)
    if not kept:
        return None
    wanted = _main(study, kept[0], kept[-1])
    rows = []
    for x in kept:
        line = []
        for y in kept:
            found = study.between(x, y)
            if wanted not in found.measures:
                return None
            line.append(found.measures[wanted].value)
        rows.append(line)
    similarity = np.nan_to_num(np.block(rows), nan=0.0)
    matrix = np.clip(1.0 - (similarity + similarity.T) / 2.0, 0.0, None)
    np.fill_diagonal(matrix, 0.0)
    names = [(r, n) for r in kept for n in study.between(r, r).layers_x]
    return Distances(matrix, tuple(r for r, _ in names), tuple(n for _, n in names), wanted)


def _main(study: Study, x: str, y: str) -> str | None:
    found = study.between(x, y)
    measure = found.main() if found else None
    return measure.name if measure else None


def embed(matrix: np.ndarray, *, seed: int = 0) -> tuple[np.ndarray, str, float]:
    """Points in the plane whose distances follow a matrix.

    UMAP (McInnes et al. 2018) on the precomputed distances; metric multidimensional scaling for
    fewer than `FEWEST_FOR_UMAP` points, where a neighbour graph says little.

    Returns
    -------
    positions [points, 2], name of the method with its setting, trustworthiness (Venna and Kaski
    2001) in [0, 1].
    """
    from sklearn.manifold import MDS, trustworthiness

    count = len(matrix)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if count >= FEWEST_FOR_UMAP:
            near = min(10, max(3, count // 3))
            places = _umap(matrix, near, seed)
            method = f"UMAP, {near} neighbours, seed {seed}"
        else:
            model = MDS(
                n_components=2,
                dissimilarity="precomputed",
                random_state=seed,
                n_init=4,
                normalized_stress=False,
            )
            places = np.asarray(model.fit_transform(matrix), dtype=float)
            method = f"MDS, seed {seed}"
        kept = max(1, min(5, count // 2 - 1))
        score = float(trustworthiness(matrix, places, n_neighbors=kept, metric="precomputed"))
    return places, method, score


def _umap(matrix: np.ndarray, near: int, seed: int) -> np.ndarray:
    """[points, 2]; the same whatever this process has done before.

    Compiling UMAP takes a dozen seconds, a map of thirty points in plain Python three, and the two
    round differently. So few points are mapped in plain Python, by a process of its own: in this
    one UMAP may have been compiled already.
    """
    if len(matrix) > MOST_INTERPRETED:
        return umap_of(matrix, near, seed)
    given = io.BytesIO()
    np.save(given, matrix, allow_pickle=False)
    path = os.pathsep.join(one or os.curdir for one in sys.path)
    done = subprocess.run(
        [sys.executable, "-c", _ALONE, str(near), str(seed)], input=given.getvalue(), check=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": path},
    )  # fmt: skip
    return np.load(io.BytesIO(done.stdout), allow_pickle=False)


def umap_of(matrix: np.ndarray, near: int, seed: int) -> np.ndarray:
    """[points, 2] of distances [points, points], in this process."""
    from umap import UMAP

    model = UMAP(
        n_neighbors=near, min_dist=0.3, metric="precomputed", random_state=seed, n_jobs=1,
        init="random",
    )  # fmt: skip
    return np.asarray(model.fit_transform(matrix), dtype=float)


def landscape(study: Study) -> Drawing | None:
    """The map; None for fewer than four layers."""
    joint = distances(study)
    if joint is None or len(joint.names) < 4:
        return None
    return Drawing("landscape", "Map of all layers.", partial(_figure, study, joint))


def _figure(study: Study, joint: Distances) -> Drawn:
    places, method, score = embed(joint.matrix)
    figure = style.canvas(4.1)
    axes = figure.add_subplot()
    labels: list[tuple[bool, Annotation]] = []
    for role in dict.fromkeys(joint.roles):
        mine = np.array([r == role for r in joint.roles])
        points = places[mine]
        colour = style.role_colour(role)
        axes.plot(*points.T, color=colour, lw=0.8, alpha=0.55, zorder=1)
        axes.scatter(
            *points.T,
            s=np.linspace(14, 44, len(points)),
            color=colour,
            zorder=2,
            marker=style.MARKERS.get(role, "o"),
            edgecolors="white",
            linewidths=0.6,
            label=abridged(study.name_of(role), 40),
        )
        names = [n for n, m in zip(joint.names, mine, strict=True) if m]
        hover.points(axes, *points.T, [f"{name}\n{study.name_of(role)}" for name in names])
        for i in style.every_few(len(names), 9):
            label = axes.annotate(
                abridged(names[i], 14),
                points[i],
                xytext=(4, 3),
                textcoords="offset points",
                fontsize=7,
                color=style.role_colour(role, text=True),
            )
            labels.append((i not in (0, len(names) - 1), label))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.margins(0.09)
    axes.set_aspect("equal", adjustable="datalim")
    axes.legend(loc="upper left", frameon=False, bbox_to_anchor=(0, 1.06), ncols=2)
    _thin(figure, [label for _, label in sorted(labels, key=lambda item: item[0])])
    caption = (
        f"Every layer as a point; near points are layers alike (distance 1 - {joint.measure}; "
        f"{method}). Lines follow the forward pass, marks grow with depth. Trustworthiness "
        f"{score:.2f} "
        "(1 = all neighbours on the map are neighbours in the matrix). A map bends distances: read "
        "neighbourhoods, not lengths, and take numbers from the matrices."
    )
    return figure, caption


def _thin(figure: Figure, labels: list[Annotation]) -> None:
    """Takes away labels that would lie on earlier ones; the ends of models come first."""
    figure.draw_without_rendering()
    kept: list[Bbox] = []
    for label in labels:
        box = label.get_window_extent()
        if any(box.overlaps(other) for other in kept):
            label.remove()
        else:
            kept.append(box)
