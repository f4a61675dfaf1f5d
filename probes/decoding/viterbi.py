"""The most probable path through states that are scored frame by frame."""

from __future__ import annotations

import numpy as np

from probes.errors import ProbeError


def best_path(
    scores: np.ndarray, moves: np.ndarray, start: np.ndarray | None = None
) -> tuple[np.ndarray, float]:
    """Viterbi's algorithm.

    Parameters
    ----------
    scores : [frames, states] log-likelihood of each frame in each state.
    moves : [states, states] log-probability of going from a state (row) to another (column).
    start : [states] log-probability of the first state; equal when absent.

    Returns
    -------
    [frames] states, and the sum of scores and log-probabilities along them. Of equal paths that
    with the lower last state, then the lower last but one, and so on.
    """
    frames, states = scores.shape
    if moves.shape != (states, states):
        raise ProbeError(f"{states} states need moves [{states}, {states}], not {moves.shape}")
    if not frames:
        return np.empty(0, np.int64), 0.0
    arrive = np.ascontiguousarray(moves.T)  # the maximum is taken over the last axis
    back = np.empty((frames, states), np.int32)
    reached = scores[0] + (-np.log(states) if start is None else start)
    for frame in range(1, frames):
        ways = arrive + reached
        back[frame] = ways.argmax(axis=1)
        reached = ways[np.arange(states), back[frame]] + scores[frame]
    path = np.empty(frames, np.int64)
    path[-1] = reached.argmax()
    for frame in range(frames - 1, 0, -1):
        path[frame - 1] = back[frame, path[frame]]
    return path, float(reached[path[-1]])
