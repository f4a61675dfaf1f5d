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
AT_ONCE = 32  # clips, times places in a bar: more would leave a processor's cache


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


def track(beat: np.ndarray, downbeat: np.ndarray | None = None, **options) -> Beats:
    """Beats of one clip, and downbeats where their activation is given; see `track_all`."""
    return track_all([beat], None if downbeat is None else [downbeat], **options)[0]


def track_all(
    beats: Sequence[np.ndarray],
    downbeats: Sequence[np.ndarray] | None = None,
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
) -> list[Beats]:
    """Beats of each clip, and downbeats where their activations are given.

    The tempo level is the one that explains the activations best. Between `bpm` all are equal: a
    click train at half or twice the tempo of the music is tracked as such, and one outside the
    range at a multiple or a part inside it. Phase is free: no beat is expected at time 0.

    Parameters
    ----------
    beats : [frames] of each clip, probability that a beat, downbeats included, is in the frame.
    downbeats : as many probabilities of downbeats; without them beats have no place in a bar.
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
    joint = downbeats is not None
    # without downbeats each beat is a bar of one
    pairs = [
        (finite(beat), finite(down))
        for beat, down in zip(beats, downbeats if joint else beats, strict=True)
    ]
    for beat, down in pairs:
        if len(down) != len(beat):
            raise ProbeError(
                f"{len(beat)} frames of beats and {len(down)} of downbeats: give as many"
            )
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
    shown = np.ceil(lengths / share).astype(np.int64)
    heard = [np.flatnonzero(np.maximum(*pair) >= threshold) for pair in pairs]
    found = [Beats(np.empty(0), np.empty(0, np.int64), 0, 0.0)] * len(pairs)
    waiting = sorted((i for i, some in enumerate(heard) if len(some)), key=lambda i: len(beats[i]))
    at_once = max(1, AT_ONCE // sum(sizes))
    for start in range(0, len(waiting), at_once):
        numbers = waiting[start : start + at_once]
        seen = []
        for i in numbers:
            parts = (_finer(part[heard[i][0] : heard[i][-1] + 1], finer) for part in pairs[i])
            seen.append(observations(*parts, share))
        decoded = _decode(seen, lengths, shown, steadiness, sizes)
        for i, frames, (starts, tempo, places, size, score) in zip(
            numbers, (part.shape[1] for part in seen), decoded, strict=True
        ):
            first, ends = heard[i][0], np.minimum(starts + shown[tempo], frames)
            begun = ends > 0  # else the part in which it is observed was over before frame 0
            starts, ends, places = np.maximum(starts[begun], 0), ends[begun], places[begun] + 1
            at = first + (starts + 0.5) / finer - 0.5
            if snap:
                strength = np.maximum(*pairs[i])
                spans = zip(first + starts // finer, first - (-ends // finer), strict=True)
                peaks = [s + strength[s:e].argmax() for s, e in spans]
                at = refined(strength, np.array(peaks, dtype=np.int64))
            places, size = (places, size) if joint else (0 * places, 0)
            found[i] = Beats(centres(at, rate), places, size, score)
    return found


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
    seen: Sequence[np.ndarray],
    lengths: np.ndarray,
    shown: np.ndarray,
    steadiness: float,
    per_bar: tuple[int, ...],
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, int, float]]:
    """The best path of each clip.

    Parameters
    ----------
    seen : [3, frames] of each clip, see `observations`.
    lengths, shown : [tempi] frames of a beat, and of its part in which it is observed.

    Returns
    -------
    First frame (the first may lie before 0), index of the interval and place in the bar of each
    beat; beats in a bar; the path's log-probability.
    """
    counts, longest, block = [part.shape[1] for part in seen], lengths[-1], lengths[0]
    frames, tempi = max(counts), np.arange(len(lengths))
    place = np.concatenate([np.arange(size) for size in per_bar])
    sizes = np.repeat(per_bar, per_bar)
    before = np.arange(len(place)) - 1
    before[place == 0] += per_bar
    # columns: the places of the first clip, of the second ...
    before = (np.arange(len(seen))[:, None] * len(place) + before).reshape(-1)

    # what a beat that begins at a frame from 1 - longest on earns above frames with neither beat
    # nor downbeat, [beginnings, columns, tempi]; only frames inside the clip count. Less what every
    # path earns, sums stay small enough for float32
    total = np.zeros((2, len(seen), frames + 1))
    for number, part in enumerate(seen):
        total[:, number, 1 : counts[number] + 1] = np.cumsum(part[:2] - part[2], axis=1)
        total[:, number, counts[number] + 1 :] = total[:, number, counts[number], None]
    begin = np.arange(1 - longest, frames)[:, None]
    one, two = (np.clip(begin + part, 0, frames) for part in (0, shown))
    kinds = (total[..., two] - total[..., one]).astype(np.float32)
    earned = kinds[(place == 0).astype(int)].transpose(2, 1, 0, 3)
    earned = earned.reshape(len(begin), -1, len(lengths))

    # at the end of a beat that begins at a frame, by the best way
    ended = np.full(earned.shape, -np.inf, np.float32)
    start = -np.log(len(per_bar) * np.tile(sizes, len(seen)) * lengths.sum())
    for i, length in enumerate(lengths):
        first = slice(longest - length, longest)
        ended[first, :, i] = earned[first, :, i] + start
    change = tempo_changes(lengths, steadiness).astype(np.float32)
    farthest = np.abs(np.subtract(*np.nonzero(np.isfinite(change)))).max()
    # tempo i to tempo i + apart, for all i at once: few steps, for few changes are possible
    ways = [
        (apart, max(0, -apart), min(len(lengths), len(lengths) - apart), np.diag(change, apart))
        for apart in range(-farthest, farthest + 1)
    ]

    def done(beginning: np.ndarray) -> np.ndarray:
        """By the best way to the end of the beat before, [tempi before, beginnings, columns]."""
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

    paths = []
    for number, count in enumerate(counts):
        columns = slice(number * len(place), (number + 1) * len(place))
        rows = slice(count - 1, count - 1 + longest)  # the last beginnings inside the clip
        over = (begin[rows] + lengths >= count)[:, None, :]
        final = np.where(over, ended[rows, columns], -np.inf)
        at, column, tempo = np.unravel_index(final.argmax(), final.shape)
        size, score = int(sizes[column]), float(final.max() + seen[number][2].sum())
        at, column, found = count - longest + at, column + columns.start, []
        while True:
            found.append((at, tempo, place[column - columns.start]))
            if at <= 0:
                break
            tempo = (done(np.array([at]))[:, 0, column] + change[:, tempo]).argmax()
            at, column = at - lengths[tempo], before[column]
        starts, chosen, places = np.array(found[::-1], dtype=np.int64).T
        paths.append((starts, chosen, places, size, score))
    return paths
