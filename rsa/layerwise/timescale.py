"""How long a layer holds on to what it says: autocorrelation along the frames of a clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rsa.inference.intervals import jackknife

# frames a clip needs
FRAMES = 6
BLOCKS = 32


def half_life(
    read: Callable[[int, int], np.ndarray],
    sequences: Sequence | np.ndarray,
    groups: Sequence | np.ndarray,
    rate: float,
) -> tuple[tuple[float, float, float], list[str]]:
    """Seconds until two frames of a clip are half as alike as a frame is to itself.

    rho(k) = 1 - g(k) / g(far): g is half the mean squared distance of frames k apart in one clip,
    and `far` any lag of half a clip or more. What all frames of a clip share drops out. The
    half-life is where rho first falls to 1/2, on a straight line between the logarithms of two
    lags, as an exponential falls. Time scales that come near half a clip are understated.

    Parameters
    ----------
    read : gives the rows from a first to a last one, [rows, width]; those of a clip are contiguous
        and in order, and read together.
    sequences, groups : [rows] labels of the clip and of the group.
    rate : rows a second.

    Returns
    -------
    (value, low, high) in seconds, and notes; the interval leaves blocks of groups out in turn.
    """
    clips = np.asarray(sequences)
    starts = np.flatnonzero(np.r_[True, clips[1:] != clips[:-1]])
    ends = np.append(starts[1:], len(clips))
    if len(np.unique(clips)) < len(starts):
        return (np.nan,) * 3, ["the rows of a clip are not contiguous"]
    longest = int((ends - starts).max())
    if longest < FRAMES:
        return (np.nan,) * 3, [f"clips of {longest} rows are too short: {FRAMES} are needed"]
    owners = np.asarray(groups)[starts]
    _, owner = np.unique(owners, return_inverse=True)
    sums = np.zeros((owner.max() + 1, 2, longest))
    far = np.zeros((owner.max() + 1, 2))
    for start, end, group in zip(starts, ends, owner, strict=True):
        if end - start < FRAMES:
            continue
        apart, pairs = _variogram(read(start, end))
        sums[group, 0, : end - start] += apart
        sums[group, 1, : end - start] += pairs
        half = (end - start + 1) // 2
        far[group] += apart[half:].sum(), pairs[half:].sum()
    block = np.random.default_rng(0).permutation(len(sums)) % min(BLOCKS, len(sums))
    value = _crossing(sums.sum(axis=0), far.sum(axis=0)) / rate
    replicates = np.array(
        [
            _crossing(sums[block != b].sum(axis=0), far[block != b].sum(axis=0)) / rate
            for b in range(block.max() + 1)
        ]
    )
    low, high = jackknife(np.array(value), replicates)
    notes = []
    if np.isnan(value):
        notes.append("rows of a clip do not vary, or never grow apart")
    elif value * rate < 0.5:
        notes.append("shorter than half the step of the rows: faster than rows can tell")
    elif value * rate > longest / 8:
        notes.append(f"long for clips of {longest / rate:g} s, and so understated")
    return (float(value), float(low), float(high)), notes


def _variogram(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[frames] sums of squared distances at each lag, and the number of pairs behind them."""
    z = x - x.mean(axis=0)
    lengths = np.einsum("ij,ij->i", z, z)
    squared = lengths[:, None] + lengths[None, :] - 2 * z @ z.T
    sums = np.array([np.trace(squared, offset=k) for k in range(len(x))])
    sums[0] = 0.0
    return sums, np.arange(len(x), 0, -1)


def _crossing(sums: np.ndarray, far: np.ndarray) -> float:
    """Rows until the autocorrelation first falls to a half; NaN if it never does."""
    if far[1] == 0 or not far[0] > 0:
        return np.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        rho = 1 - (sums[0] / sums[1]) / (far[0] / far[1])
    below = np.flatnonzero(rho <= 0.5)
    if not len(below):
        return np.nan
    k = int(below[0])
    left, right = rho[k - 1], rho[k]
    if right > 0:
        left, right, level = np.log(left), np.log(right), np.log(0.5)
    else:
        level = 0.5
    return k - 1 + float((left - level) / (left - right))
