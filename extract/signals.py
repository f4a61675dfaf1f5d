"""Sounds whose time is known, and where a layer puts it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

LOUDNESS, BURST, LENGTH = 0.05, 0.4, 0.02  # RMS of noise and of a burst; seconds of a burst
FOOT = 0.2  # of the largest change, down to which the width of a change is measured
WIDE = 0.4  # of the window: a change so wide has no place in time
FEW = 4  # frames below which no time can be told


def noise(samples: int, seed: int = 0) -> torch.Tensor:
    """Quiet white noise [samples], the same at each call."""
    values = np.random.default_rng(seed).standard_normal(samples)
    return torch.from_numpy(LOUDNESS * values).float()


def burst(samples: int, rate: int, at: float, seed: int = 1) -> torch.Tensor:
    """Silence [samples] with a burst of 20 ms centred on second `at`."""
    length = max(3, round(LENGTH * rate))
    values = BURST * np.random.default_rng(seed).standard_normal(length) * np.hanning(length)
    out = torch.zeros(samples)
    start = max(0, min(round(at * rate) - length // 2, samples - length))
    part = out[start : start + length]
    part += torch.from_numpy(values).float()[: len(part)]
    return out


def misplaced(
    rows: torch.Tensor, rate: float, center: float, times: Sequence[float]
) -> tuple[float, float] | None:
    """How far from its time a burst shows most, and how blurred, in seconds.

    Parameters
    ----------
    rows : [1 + bursts, frames, width], a layer's output for noise, then for the same with bursts.
    rate, center : of the layer, as its card has them.
    times : of the bursts.

    Returns
    -------
    The median of the offsets (above zero: too late) and half the width of the change at a fifth of
    its height; None where there are too few frames, or the burst changes too many.
    """
    frames = rows.shape[1]
    if frames < FEW:
        return None
    change = (rows[1:] - rows[:1]).double().norm(dim=2).numpy()
    offsets, blurs = [], []
    for profile, at in zip(change, times, strict=True):
        peak = int(profile.argmax())
        left = right = peak
        while left > 0 and profile[left - 1] >= FOOT * profile[peak]:
            left -= 1
        while right < frames - 1 and profile[right + 1] >= FOOT * profile[peak]:
            right += 1
        wide = right - left > WIDE * frames or (profile >= profile[peak] / 2).mean() > 0.5
        if profile[peak] == 0 or wide:
            continue
        offsets.append(center + peak / rate - at)
        blurs.append((right - left) / 2 / rate + LENGTH / 2)
    if not offsets:
        return None
    return float(np.median(offsets)), float(np.median(blurs))
