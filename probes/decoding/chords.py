"""Chords of a clip from the probabilities of each frame, by Viterbi decoding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from probes.decoding.viterbi import best_path
from probes.errors import ProbeError
from probes.framing.grid import Span, runs

FLOOR = 1e-10


def decode(
    probabilities: np.ndarray,
    rate: float,
    names: Sequence[str],
    stay: float | None = None,
    moves: np.ndarray | None = None,
    prior: np.ndarray | None = None,
) -> tuple[Span, ...]:
    """Segments that cover the frames, with the names of chords.

    Parameters
    ----------
    probabilities : [frames, classes] of each class given the frame.
    rate : frames a second.
    stay : probability that the next frame has the same chord; any other is as probable as
        any other. 1 / classes leaves each frame to itself.
    moves : [classes, classes] probabilities of going from a class (row) to another, see `learned`;
        in place of `stay`.
    prior : [classes] shares of the classes in training. Probabilities are divided by them, as a
        model of how chords follow each other brings its own.
    """
    table = np.asarray(probabilities, dtype=float)
    if table.ndim != 2 or table.shape[1] != len(names):
        raise ProbeError(f"{len(names)} chords need [frames, {len(names)}], not {table.shape}")
    if not np.isfinite(table).all():
        raise ProbeError("probabilities of chords hold NaN or infinity: look at their head")
    if (stay is None) == (moves is None):
        raise ProbeError("chords follow each other by `stay` or by `moves`: give one of them")
    scores = np.log(np.maximum(table, FLOOR))
    if prior is not None:
        scores -= np.log(np.maximum(prior, FLOOR))
    ways = staying(len(names), stay) if moves is None else np.asarray(moves, dtype=float)
    path, _ = best_path(scores, np.log(np.maximum(ways, np.finfo(float).tiny)))
    return runs(path, rate, names)


def staying(classes: int, stay: float) -> np.ndarray:
    """[classes, classes] probabilities: `stay` to stay, the rest shared by the others."""
    if not 0 < stay < 1:
        raise ProbeError(f"the probability to stay is {stay}: give one between 0 and 1")
    table = np.full((classes, classes), (1.0 - stay) / max(1, classes - 1))
    np.fill_diagonal(table, stay)
    return table


def learned(sequences: Iterable[np.ndarray], classes: int, extra: float = 1.0) -> np.ndarray:
    """[classes, classes] probabilities of going from a class to the next frame's.

    Parameters
    ----------
    sequences : [frames] of classes, one array a clip; a frame of -1 has no class, and what goes
        to it or comes from it is not counted.
    extra : added to each count, so that what training lacks stays possible.
    """
    counts = np.full((classes, classes), float(extra))
    for sequence in sequences:
        here, then = (np.asarray(part) for part in (sequence[:-1], sequence[1:]))
        known = (here >= 0) & (then >= 0)
        np.add.at(counts, (here[known], then[known]), 1.0)
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.full_like(counts, 1.0 / classes), where=total > 0)
