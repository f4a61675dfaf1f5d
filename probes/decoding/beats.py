"""Beats and downbeats together, by Viterbi decoding in a bar-pointer state space.

The state space is that of Krebs, Böck and Widmer 2015, "An efficient state-space model for joint
tempo and meter tracking" (ISMIR): a pointer moves through a bar one frame at a time. A beat lasts
a whole number of frames, and there are as many positions in it; the tempo may change at beats
only, from interval m to n with probability proportional to exp(-steadiness * |n / m - 1|).
Observations are those of Böck, Krebs and Widmer 2016, "Joint beat and downbeat tracking with
recurrent neural networks" (ISMIR): in the first 1 / `share` of a beat the activation of a beat
(of a downbeat where it is the first of its bar), elsewhere that of neither, divided by share - 1.
A clip has one number of beats in a bar; each is as probable as any other, and the first state any
of its states. The published constants are for 100 frames a second: slower activations are
interpolated first, without which a fast tempo between two whole intervals is lost.

Inside a beat nothing is decided, so the path is decoded over beats that begin at a frame, last an
interval and earn the sum of their observations: the same maximum over the same paths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from probes.decoding.peaks import finite, refined
from probes.errors import ProbeError
from probes.framing.grid import centres

# changes of tempo less probable than this are left out (madmom: 2e-16); with its steadiness a jump
# of more than a fifth goes by way of a beat in between
LEAST = 1e-9
FLOOR = 1e-3  # probabilities keep away from 0 and 1: a beat may be missing
BPM = (55.0, 215.0)
RESOLUTION = 100.0  # frames a second


@dataclass(frozen=True, eq=False)
class Beats:
    """What was tracked.

    Attributes
    ----------
    beats : [n] seconds, rising.
    positions : [n] of each beat in its bar, from 1; all 0 where no downbeats were asked for.
    per_bar : beats in a bar; 0 where no downbeats were asked for.
    score : log-probability of the best path together with the observations.
    """

    beats: np.ndarray
    positions: np.ndarray
    per_bar: int
    score: float

    @property
    def downbeats(self) -> np.ndarray:
        """Seconds of the first beats of bars."""
        return self.beats[self.positions == 1]


def track(
    beat: np.ndarray,
    downbeat: np.ndarray | None = None,
    *,
    rate: float,
    bpm: tuple[float, float] = BPM,
    tempi: int = 60,
    steadiness: float = 100.0,
    share: float = 16.0,
    per_bar: Sequence[int] = (3, 4),
    threshold: float = 0.05,
    snap: bool = True,
    resolution: float = RESOLUTION,
) -> Beats:
    """Beats of a clip, and downbeats where their activation is given.

    The tempo level is the one that explains the activations best. Between `bpm` all are equal: a
    click train at half or twice the tempo of the music is tracked as such, and one outside the
    range at a multiple or a part inside it. Phase is free: no beat is expected at time 0.

    Parameters
    ----------
    beat : [frames] probability that a beat, downbeats included, is in the frame.
    downbeat : [frames] probability of a downbeat; without it beats have no place in a bar.
    rate : frames a second.
    bpm : slowest and fastest tempo, both included (rounded to whole frames a beat).
    tempi : at most so many intervals, on a logarithmic grid of whole frames; all whole frames in
        the range where there are no more than that.
    steadiness : how much a change of tempo costs (lambda of Krebs et al.).
    share : the part of a beat in which it is observed is 1 / share (lambda of Böck et al.).
    per_bar : how many beats a bar may have.
    threshold : frames before the first and after the last that reach it hold no beats.
    snap : beats move to the highest activation of the part in which they are observed, with the
        precision of a parabola; otherwise they stand at its first frame.
    resolution : frames a second to decode at, at least; a multiple of `rate`.
    """
    beat = finite(beat)
    joint = downbeat is not None
    down = finite(downbeat) if joint else beat  # without downbeats each beat is a bar of one
    if len(down) != len(beat):
        raise ProbeError(f"{len(beat)} frames of beats and {len(down)} of downbeats: give as many")
    sizes = tuple(per_bar) if joint else (1,)
    if not sizes or min(sizes) < 1:
        raise ProbeError(f"bars of {sizes} beats cannot be: give numbers from 1")
    if 60.0 * rate / bpm[1] < 2.0:
        raise ProbeError(
            f"{bpm[1]:g} bpm at {rate:g} frames a second is {60 * rate / bpm[1]:.1f} frames a "
            f"beat: take {bpm[1] / 30:g} Hz or more, or slower tempi"
        )
    finer = max(1, math.ceil(resolution / rate - 1e-6))
    lengths = intervals(rate * finer, bpm, tempi)
    strength = np.maximum(beat, down)
    heard = np.flatnonzero(strength >= threshold)
    if not len(heard):
        return Beats(np.empty(0), np.empty(0, np.int64), 0, 0.0)
    first, last = heard[0], heard[-1] + 1
    seen = observations(*(_finer(part[first:last], finer) for part in (beat, down)), share)
    shown = np.ceil(lengths / share).astype(np.int64)
    starts, tempo, places, size, score = _decode(seen, lengths, shown, steadiness, sizes)
    ends = np.minimum(starts + shown[tempo], seen.shape[1])
    begun = ends > 0  # else the part in which it is observed was over before the first frame
    starts, ends, places = np.maximum(starts[begun], 0), ends[begun], places[begun] + 1
    at = first + (starts + 0.5) / finer - 0.5
    if snap:
        parts = zip(first + starts // finer, first - (-ends // finer), strict=True)
        peaks = [s + strength[s:e].argmax() for s, e in parts]
        at = refined(strength, np.array(peaks, dtype=np.int64))
    return Beats(centres(at, rate), places if joint else 0 * places, size if joint else 0, score)


def _finer(curve: np.ndarray, factor: int) -> np.ndarray:
    """`factor` frames for each, by lines between the centres."""
    if factor == 1:
        return curve
    at = (np.arange(len(curve) * factor) + 0.5) / factor - 0.5
    return np.interp(at, np.arange(len(curve)), curve)


@lru_cache(maxsize=64)
def intervals(rate: float, bpm: tuple[float, float], tempi: int) -> np.ndarray:
    """Frames that a beat may last, rising: whole, on a logarithmic grid where they are many."""
    slow, fast = bpm
    if not 0 < slow <= fast:
        raise ProbeError(f"tempi from {slow} to {fast} bpm are none: give (slowest, fastest)")
    least, most = (round(60.0 * rate / tempo) for tempo in (fast, slow))
    every = np.arange(least, most + 1)
    if len(every) <= tempi:
        return every
    points = tempi
    while len(found := np.unique(np.round(np.geomspace(least, most, points)))) < tempi:
        points += 1
    return found.astype(np.int64)


def observations(beat: np.ndarray, down: np.ndarray, share: float) -> np.ndarray:
    """[3, frames] log-likelihood of a beat that is no downbeat, of a downbeat, of neither."""
    if share <= 1:
        raise ProbeError(f"a beat is observed in a part of itself: share {share:g} must exceed 1")
    down = np.clip(down, 0.0, 1.0)
    either = np.maximum(np.clip(beat, 0.0, 1.0), down)
    parts = np.stack([either - down, down, 1.0 - either])
    scale = np.array([[1.0], [1.0], [share - 1.0]])
    return np.log(np.clip(parts, FLOOR, 1.0 - FLOOR) / scale)


def tempo_changes(lengths: np.ndarray, steadiness: float) -> np.ndarray:
    """[intervals, intervals] log-probability of going from an interval (row) to another."""
    table = -steadiness * np.abs(lengths[None, :] / lengths[:, None] - 1.0)
    table[table < np.log(LEAST)] = -np.inf
    peak = table.max(axis=1, keepdims=True)
    return table - peak - np.log(np.exp(table - peak).sum(axis=1, keepdims=True))


def _decode(
    seen: np.ndarray,
    lengths: np.ndarray,
    shown: np.ndarray,
    steadiness: float,
    per_bar: tuple[int, ...],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, float]:
    """The best path.

    Parameters
    ----------
    seen : [3, frames] see `observations`.
    lengths, shown : [tempi] frames of a beat, and of its part in which it is observed.

    Returns
    -------
    First frame (the first may lie before 0), index of the interval and place in the bar of each
    beat; beats in a bar; the path's log-probability.
    """
    frames, longest, block = seen.shape[1], lengths[-1], lengths[0]
    place = np.concatenate([np.arange(size) for size in per_bar])
    sizes = np.repeat(per_bar, per_bar)
    before = np.arange(len(place)) - 1
    before[place == 0] += per_bar
    tempi = np.arange(len(lengths))

    # what a beat that begins at a frame from 1 - longest on earns above frames with neither beat nor
    # downbeat, [beginnings, places, tempi]; only frames inside the clip count. Less what every path
    # earns, sums stay small enough for float32
    total = np.concatenate([np.zeros((2, 1)), np.cumsum(seen[:2] - seen[2], axis=1)], axis=1)
    begin = np.arange(1 - longest, frames)[:, None]
    one, two = (np.clip(begin + part, 0, frames) for part in (0, shown))
    kinds = (total[:, two] - total[:, one]).astype(np.float32)
    earned = np.ascontiguousarray(kinds[(place == 0).astype(int)].transpose(1, 0, 2))

    # at the end of a beat that begins at a frame, by the best way
    ended = np.full(earned.shape, -np.inf, np.float32)
    for i, length in enumerate(lengths):
        first = slice(longest - length, longest)
        ended[first, :, i] = earned[first, :, i] - np.log(len(per_bar) * sizes * lengths.sum())
    change = tempo_changes(lengths, steadiness).astype(np.float32)
    farthest = np.abs(np.subtract(*np.nonzero(np.isfinite(change)))).max()
    # tempo i to tempo i + apart, for all i at once: few steps, for few changes are possible
    ways = [
        (apart, max(0, -apart), min(len(lengths), len(lengths) - apart), np.diag(change, apart))
        for apart in range(-farthest, farthest + 1)
    ]

    def done(beginning: np.ndarray) -> np.ndarray:
        """By the best way to the end of the beat before, [tempi before, beginnings, places]."""
        row = beginning - lengths[:, None] + longest - 1
        return ended[row, :, tempi[:, None]][..., before]

    for start in range(1, frames, block):  # no beat that begins in a block has another before it
        here = np.arange(start, min(start + block, frames))
        ends = done(here).reshape(len(lengths), -1)
        best = np.full_like(ends, -np.inf)
        way = np.empty_like(best)
        for apart, i, j, cost in ways:
            np.add(ends[i:j], cost[:, None], out=way[i:j])
            np.maximum(best[i + apart : j + apart], way[i:j], out=best[i + apart : j + apart])
        best = best.reshape(len(lengths), len(here), -1)
        rows = slice(start + longest - 1, here[-1] + longest)
        np.add(best.transpose(1, 2, 0), earned[rows], out=ended[rows])

    over = (begin[-longest:] + lengths >= frames)[:, None, :]
    final = np.where(over, ended[-longest:], -np.inf)
    at, row, tempo = np.unravel_index(final.argmax(), final.shape)
    at, found = frames - longest + at, []
    while True:
        found.append((at, tempo, place[row]))
        if at <= 0:
            break
        tempo = (done(np.array([at]))[:, 0, row] + change[:, tempo]).argmax()
        at, row = at - lengths[tempo], before[row]
    starts, chosen, places = np.array(found[::-1], dtype=np.int64).T
    return starts, chosen, places, int(sizes[row]), float(final.max() + seen[2].sum())
