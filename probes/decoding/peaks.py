"""Moments at which an activation peaks."""

from __future__ import annotations

import numpy as np
from scipy.signal import find_peaks

from probes.errors import ProbeError
from probes.framing.grid import centres


def pick(
    activation: np.ndarray, rate: float, threshold: float = 0.5, distance: float = 0.0
) -> np.ndarray:
    """Times of peaks, in seconds, rising.

    A peak is higher than both its neighbours (a plateau counts once, at its middle); the first
    and the last frame have neighbours that are lower than anything. Of peaks that are closer
    than `distance` the higher stays, the highest of all first. Its time is that of the vertex of
    the parabola through it and its neighbours, at most half a frame from its centre.

    Parameters
    ----------
    activation : [frames].
    rate : frames a second.
    threshold : lowest height of a peak.
    distance : seconds between peaks, at least.
    """
    curve = finite(activation)
    walled = np.pad(curve, 1, constant_values=-np.inf)
    apart = max(1.0, distance * rate - 1e-6)
    found, shape = find_peaks(walled, height=threshold, distance=apart, plateau_size=1)
    left, right = shape["left_edges"] - 1, shape["right_edges"] - 1
    return centres(np.where(left == right, refined(curve, found - 1), (left + right) / 2), rate)


def refined(curve: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Fractional frames of the maxima near `frames`, by parabola.

    A frame that is lower than a neighbour, or at an end of the curve, stays where it is.
    """
    frames = np.asarray(frames, dtype=np.int64)
    inner = (frames > 0) & (frames < len(curve) - 1)
    at = np.where(inner, frames, 1)
    if len(curve) < 3:
        return frames.astype(float)
    before, here, after = curve[at - 1], curve[at], curve[at + 1]
    bend = before - 2 * here + after
    peaked = inner & (here >= before) & (here >= after) & (bend < 0)
    shift = 0.5 * (before - after) / np.where(peaked, bend, 1.0)
    return frames + np.where(peaked, shift, 0.0)


def finite(activation: np.ndarray) -> np.ndarray:
    """An activation [frames] as float64; `ProbeError` for another shape or numbers like NaN."""
    curve = np.asarray(activation, dtype=float)
    if curve.ndim != 1:
        raise ProbeError(f"an activation has one number a frame, not the shape {curve.shape}")
    if not np.isfinite(curve).all():
        raise ProbeError("an activation holds NaN or infinity: look at the head that made it")
    return curve
