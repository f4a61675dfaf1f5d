"""Which frames are trained on: some of every track, for neighbours are nearly equal."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np


def thinned(
    frames: Sequence[int], names: Sequence[str], budget: int, seed: int
) -> list[np.ndarray]:
    """Frames of each clip to keep, rising.

    Each clip keeps the same share of its frames, at least one: it is cut into as many equal
    stretches, and one frame of each is drawn, so that what repeats at a steady pace (beats) is met
    at every phase. All frames when the budget allows; no clip is dropped, so that more clips than
    the budget has frames leave one of each. What is kept of a clip depends on its name, the share
    and the seed.

    Parameters
    ----------
    frames : of each clip.
    names : of the clips.
    budget : frames to keep, over all clips.
    """
    total = int(sum(frames))
    if total <= budget:
        return [np.arange(count) for count in frames]
    kept = []
    for count, name in zip(frames, names, strict=True):
        wanted = min(count, max(1, round(count * budget / total)))
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        edges = np.arange(wanted + 1) * count // max(1, wanted)
        kept.append(edges[:-1] + np.floor(rng.random(wanted) * np.diff(edges)).astype(np.int64))
    return kept
