"""Cutting a clip into windows, and turning frames of windows into rows.

A window owns a stretch of the clip; the stretches of one clip's windows follow each other
without gap or overlap, so that no moment is counted twice. The last window of a long clip is
moved back to end with the clip. Where two windows overlap, each owns the half that is farther from
its own edge: a network knows least at the ends of what it sees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from extract.errors import AudioError


@dataclass(frozen=True)
class Window:
    """What a network takes in one go.

    Attributes
    ----------
    values : waveform [samples], or whatever the model takes for one window.
    start : seconds from the start of the clip to the start of the window.
    owns : (from, to) in seconds of the clip; frames count only inside it.
    """

    values: torch.Tensor
    start: float
    owns: tuple[float, float]


def spans(
    samples: int,
    length: int,
    *,
    hop: int | None = None,
    fixed: bool = False,
    minimum: int = 1,
) -> list[tuple[int, int, int]]:
    """Start, first owned and last owned sample of each window over a clip.

    Windows of `length` start every `hop` samples (`length` if None); what remains at the end is
    covered by a window moved back to end with the clip. A clip shorter than `length` is one window.

    Returns
    -------
    list of (start, owned from, owned to), in samples; owned stretches partition [0, samples).

    Raises
    ------
    AudioError : fewer than `minimum` samples, unless windows are padded to a `fixed` length.
    """
    if samples < minimum and not fixed:
        raise AudioError(f"{samples} samples are too short: the model needs at least {minimum}")
    if samples <= length:
        return [(0, 0, samples)]
    starts = list(range(0, samples - length + 1, hop or length))
    if starts[-1] + length < samples:
        starts.append(samples - length)
    return owned(starts, length, samples)


def owned(starts: list[int], length: int, samples: int) -> list[tuple[int, int, int]]:
    """The same windows with the stretch that each owns: overlaps are shared at their middle."""
    pairs = zip(starts, starts[1:], strict=False)
    edges = [0, *((before + length + after) // 2 for before, after in pairs), samples]
    return list(zip(starts, edges, edges[1:], strict=False))


def cut(
    waveform: torch.Tensor,
    rate: int,
    seconds: float,
    *,
    hop: float | None = None,
    fixed: bool = False,
    minimum: int = 1,
) -> list[Window]:
    """Windows of a mono waveform [samples]; see `spans` for the policy.

    With `fixed`, a clip shorter than the window is padded with silence at its end; the padding is
    owned by nobody.

    Parameters
    ----------
    seconds, hop : length of a window, and from the start of one to the next.
    """
    length = round(seconds * rate)
    step = length if hop is None else max(1, round(hop * rate))
    table = spans(waveform.shape[-1], length, hop=step, fixed=fixed, minimum=minimum)
    windows = []
    for start, first, last in table:
        values = waveform[start : start + length]
        if fixed and values.shape[-1] < length:
            values = torch.nn.functional.pad(values, (0, length - values.shape[-1]))
        windows.append(Window(values, start / rate, (first / rate, last / rate)))
    return windows


def frame_weights(
    frames: int,
    rate: float,
    center: float,
    window_start: float,
    owns: tuple[float, float],
    rows: np.ndarray,
) -> np.ndarray:
    """How many seconds each frame of one window contributes to each row.

    Frame k stands for the stretch of 1/rate seconds around `center + k / rate`; the first and the
    last frame also stand for what lies between them and the window's owned edge.

    Parameters
    ----------
    rows : [rows, 2], start and end of each row, in seconds of the clip.

    Returns
    -------
    [rows, frames] of seconds, float64. Zero where frame and row do not meet.
    """
    middle = window_start + center + np.arange(frames) / rate
    left, right = middle - 0.5 / rate, middle + 0.5 / rate
    left[0], right[-1] = min(left[0], owns[0]), max(right[-1], owns[1])
    left, right = np.maximum(left, owns[0]), np.minimum(right, owns[1])
    overlap = np.minimum(right[None], rows[:, 1:]) - np.maximum(left[None], rows[:, :1])
    return np.clip(overlap, 0.0, None)
