"""Notes from the probabilities that pitches sound in frames."""

from __future__ import annotations

import numpy as np

from probes.errors import ProbeError
from probes.framing.grid import Span


def decode(
    sounding: np.ndarray,
    rate: float,
    lowest: int = 21,
    threshold: float = 0.5,
    shortest: float = 0.0,
    begins: np.ndarray | None = None,
) -> tuple[Span, ...]:
    """Notes with MIDI numbers as values, by start, then pitch.

    A note lasts as long as its pitch is at the threshold or above it without a break. Where it is
    said which notes begin, a peak of that at the threshold or above splits a note that sounds
    already; a note needs no such peak.

    Parameters
    ----------
    sounding : [frames, pitches] probabilities.
    lowest : MIDI number of the first pitch.
    shortest : notes that last fewer seconds are left out.
    begins : [frames, pitches] probabilities that a note begins.
    """
    sounding = np.asarray(sounding, dtype=float)
    if not np.isfinite(sounding).all():
        raise ProbeError("probabilities of pitches hold NaN or infinity: look at their head")
    on = np.pad(sounding >= threshold, ((1, 1), (0, 0)))
    rises, falls = on[1:] & ~on[:-1], ~on[1:] & on[:-1]
    split = np.zeros_like(rises)
    if begins is not None:
        walled = np.pad(np.asarray(begins, dtype=float), ((1, 1), (0, 0)), constant_values=-1.0)
        here = walled[1:-1]
        peak = (here > walled[:-2]) & (here >= walled[2:]) & (here >= threshold)
        split[:-1] = peak & on[1:-1] & ~rises[:-1]
    found = []
    for pitch in range(sounding.shape[1]):
        starts = np.flatnonzero(rises[:, pitch] | split[:, pitch])
        ends = np.flatnonzero(falls[:, pitch] | split[:, pitch])
        for start, end in zip(starts, ends, strict=True):
            if end - start >= shortest * rate - 1e-6:
                found.append(Span(start / rate, end / rate, float(lowest + pitch)))
    return tuple(sorted(found))
