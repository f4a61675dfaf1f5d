"""Sections of a clip: where they change, and what each of them is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from probes.decoding.peaks import finite, pick
from probes.errors import ProbeError
from probes.framing.grid import Grid, Span

BEFORE, AFTER, APART = 12.0, 6.0, 6.0  # seconds, Ullrich et al. 2014


def changes(
    activation: np.ndarray,
    rate: float,
    threshold: float = 0.1,
    distance: float = APART,
    around: tuple[float, float] | None = (BEFORE, AFTER),
) -> np.ndarray:
    """Times at which sections change, in seconds, rising.

    Peaks that stand out from the mean of their surroundings by `threshold`, at least `distance`
    seconds apart. Source: Ullrich, Schlüter and Grill 2014, "Boundary detection in music
    structure analysis using convolutional neural networks" (ISMIR), which takes the mean over
    the 12 s before and the 6 s after. What falls from the first frame on or rises to the last is
    no change: a clip begins and ends in any case.

    Parameters
    ----------
    activation : [frames] probability of a change.
    around : seconds before and after over which the mean is taken, within the clip; None to take
        the activation as it is.
    """
    curve = finite(activation)
    if around is not None and len(curve):
        curve = curve - surroundings(curve, rate, *around)
    rises, falls = (np.flatnonzero(sign * np.diff(curve) > 0) for sign in (1, -1))
    if not (len(rises) and len(falls) and rises[0] < falls[-1]):
        return np.empty(0)
    inner = curve.copy()
    inner[: rises[0]], inner[falls[-1] + 1 :] = curve[rises[0]], curve[falls[-1] + 1]
    return pick(inner, rate, threshold, distance)


def surroundings(curve: np.ndarray, rate: float, before: float, after: float) -> np.ndarray:
    """[frames] mean of the frames from `before` seconds before each to `after` after it."""
    total = np.concatenate([[0.0], np.cumsum(curve)])
    at = np.arange(len(curve))
    first = np.maximum(at - round(before * rate), 0)
    last = np.minimum(at + round(after * rate), len(curve) - 1) + 1
    return (total[last] - total[first]) / (last - first)


def sections(
    times: np.ndarray, classes: np.ndarray, rate: float, names: Sequence[str]
) -> tuple[Span, ...]:
    """Sections between changes, each with the class of most of its frames.

    Of classes that are as frequent the first in `names` is taken. A section that holds no
    centre of a frame joins the one before it.

    Parameters
    ----------
    times : changes, in seconds, see `changes`.
    classes : [frames] indices into `names`.
    """
    if classes.ndim != 1:
        raise ProbeError(f"sections ask for one class a frame, not the shape {classes.shape}")
    grid = Grid(len(classes), rate)
    inner = [t for t in np.unique(times) if 0 < t < grid.duration]
    edges = [0.0, *(float(t) for t in inner), grid.duration]
    found: list[Span] = []
    for start, end in zip(edges[:-1], edges[1:], strict=True):
        inside = classes[grid.covered(Span(start, end, ""))]
        if len(inside):
            found.append(Span(start, end, names[np.bincount(inside).argmax()]))
        elif found:
            found[-1] = found[-1]._replace(end=end)
    if found:
        found[0] = found[0]._replace(start=0.0)
    return tuple(found)
