"""Labels of a clip as targets of frames.

Classes are indices; -1 is a frame that has none, which neither trains nor is scored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from probes.errors import ProbeError
from probes.framing.grid import Grid, Span, Spanned
from probes.tasks.tonality import PITCH_CLASSES, major_or_minor

NO_CLASS = -1
MAJMIN = (*(f"{root}:{mode}" for mode in ("maj", "min") for root in PITCH_CLASSES), "N")
LOWEST, PITCHES = 21, 88  # MIDI number of the lowest key of a piano, and how many there are

# weights of a frame with an event and of its neighbours: 1, 2 ... frames away
WIDE = (1.0, 0.5, 0.25)  # Böck and Davies 2020 (ISMIR), at 100 frames a second
MARBLE_BEATS = (1.0, 0.95, 0.5)  # Yuan et al. 2023 (MARBLE), version 1, for training only
MARBLE_DOWNBEATS = (1.0, 0.95, 0.5, 0.25)
EXACT = (1.0,)


def events(times: Sequence[float], grid: Grid, weights: Sequence[float] = WIDE) -> np.ndarray:
    """[frames] float32: the weight of the nearest event, 0 where none is near.

    Parameters
    ----------
    times : seconds, in any order; those outside the grid have no frame, nor have their neighbours.
    weights : of the frame of the event and of those 1, 2 ... frames from it; see `WIDE`.
    """
    target = np.zeros(grid.frames, np.float32)
    at = grid.index(times)
    for away, weight in enumerate(weights):
        for there in (at - away, at + away):
            inside = there[(there >= 0) & (there < grid.frames)]
            target[inside] = np.maximum(target[inside], np.float32(weight))
    return target


def boundaries(times: Sequence[float], grid: Grid, reach: float = 0.5) -> np.ndarray:
    """[frames] float32: 1 at a change of section, falling to 0 in a straight line over `reach` s.

    The frame of the change has 1, so that a change between two centres is as strong as any.
    """
    target = events(times, grid, EXACT)
    moments = np.asarray(times, dtype=float)
    if len(moments) and reach > 0:
        away = np.abs(grid.times[:, None] - moments).min(axis=1)
        target = np.maximum(target, np.clip(1.0 - away / reach, 0.0, 1.0).astype(np.float32))
    return target


def classes(spans: Iterable[Spanned], grid: Grid, names: Sequence[str]) -> np.ndarray:
    """[frames] int64 index into `names` of the span that covers the centre of each frame.

    -1 where no span does, or one whose value is not among the names. Of spans that overlap the
    one that begins last counts.
    """
    number = {name: i for i, name in enumerate(names)}
    target = np.full(grid.frames, NO_CLASS, np.int64)
    for span in sorted(spans, key=lambda s: s.start):
        target[grid.covered(span)] = number.get(span.value, NO_CLASS)
    return target


def chords(spans: Iterable[Spanned], grid: Grid) -> np.ndarray:
    """[frames] int64 index into `MAJMIN`: 24 triads and no chord.

    Chords are reduced by the rule of mir_eval's `majmin`; X, and what is neither major nor minor
    nor N, is -1.
    """
    return classes((Span(s.start, s.end, majmin(str(s.value)) or "") for s in spans), grid, MAJMIN)


@lru_cache(maxsize=4096)
def majmin(chord: str) -> str | None:
    """One of `MAJMIN`; None for a chord that is none of them.

    Raises
    ------
    ProbeError : the chord is not in Harte's syntax.
    """
    from mir_eval.chord import InvalidChordException

    try:
        return "N" if chord == "N" else major_or_minor(chord)
    except InvalidChordException as error:
        raise ProbeError(f"chord {chord!r} is not in Harte's syntax: {error}") from None


@dataclass(frozen=True)
class Bins:
    """Classes of melody: 0 where there is none, then bins of pitch from `lowest` up.

    Attributes
    ----------
    step : cents a bin; 100 for semitones, 20 as CREPE has them.
    lowest, highest : MIDI numbers in the middle of the first and at most in that of the last bin.
    """

    step: float = 100.0
    lowest: float = 24.0
    highest: float = 96.0

    def __len__(self) -> int:
        """Number of classes, the unvoiced one included."""
        return 2 + int((self.highest - self.lowest) * 100.0 / self.step + 1e-9)

    def classes(self, hz: np.ndarray) -> np.ndarray:
        """int64 class of each frequency: 0 where it is not above 0, -1 outside the bins."""
        hz = np.asarray(hz, dtype=float)
        voiced = hz > 0
        midi = 69.0 + 12.0 * np.log2(np.where(voiced, hz, 440.0) / 440.0)
        found = 1 + np.floor((midi - self.lowest) * 100.0 / self.step + 0.5).astype(np.int64)
        found[(found < 1) | (found >= len(self))] = NO_CLASS
        return np.where(voiced, found, 0)

    def hz(self, classes: np.ndarray) -> np.ndarray:
        """The frequency in the middle of each bin; 0 for class 0."""
        classes = np.asarray(classes)
        midi = self.lowest + (classes - 1) * self.step / 100.0
        return np.where(classes > 0, 440.0 * 2.0 ** ((midi - 69.0) / 12.0), 0.0)


def melody(times: np.ndarray, hz: np.ndarray, grid: Grid, bins: Bins) -> np.ndarray:
    """[frames] int64 classes of `bins`, from a curve that is 0 where there is no melody.

    A frame takes the value that is nearest to its centre, -1 where that is farther away than
    half a frame and half a step of the curve, as outside the curve.
    """
    times, hz = np.asarray(times, dtype=float), np.asarray(hz, dtype=float)
    target = np.full(grid.frames, NO_CLASS, np.int64)
    if not len(times):
        return target
    after = np.clip(np.searchsorted(times, grid.times), 1, max(1, len(times) - 1))
    before = after - 1
    after = np.minimum(after, len(times) - 1)
    near = np.where(grid.times - times[before] <= times[after] - grid.times, before, after)
    step = np.median(np.diff(times)) if len(times) > 1 else 0.0
    known = np.abs(times[near] - grid.times) <= max(1.0 / grid.rate, step) / 2 + 1e-6
    target[known] = bins.classes(hz[near[known]])
    return target


def melody_of_notes(spans: Iterable[Spanned], grid: Grid, bins: Bins) -> np.ndarray:
    """[frames] int64 classes of `bins`, from notes with MIDI numbers; 0 where none sounds."""
    hz = np.zeros(grid.frames)
    for span in sorted(spans, key=lambda s: s.start):
        hz[grid.covered(span)] = 440.0 * 2.0 ** ((float(span.value) - 69.0) / 12.0)
    return bins.classes(hz)


def pitches(spans: Iterable[Spanned], grid: Grid) -> np.ndarray:
    """[frames, 88] bool: which piano keys sound at the centre of each frame.

    A note that covers no centre sounds in the frame that it begins in. Other pitches are left
    out; fractions of a MIDI number are rounded.
    """
    target = np.zeros((grid.frames, PITCHES), bool)
    for span in spans:
        key = round(float(span.value)) - LOWEST
        if not 0 <= key < PITCHES:
            continue
        covered = grid.covered(span)
        target[covered if covered.stop > covered.start else grid.index([span.start]), key] = True
    return target


def onsets(spans: Iterable[Spanned], grid: Grid, weights: Sequence[float] = EXACT) -> np.ndarray:
    """[frames, 88] float32: which piano keys begin to sound, widened as `events` are."""
    starts: dict[int, list[float]] = {}
    for span in spans:
        starts.setdefault(round(float(span.value)) - LOWEST, []).append(span.start)
    target = np.zeros((grid.frames, PITCHES), np.float32)
    for key, times in starts.items():
        if 0 <= key < PITCHES:
            target[:, key] = events(times, grid, weights)
    return target


def activity(spans: Iterable[Spanned], grid: Grid, sources: Sequence[str]) -> np.ndarray:
    """[frames, sources] bool: which sources sound at the centre of each frame."""
    number = {name: i for i, name in enumerate(sources)}
    target = np.zeros((grid.frames, len(sources)), bool)
    for span in spans:
        if span.value not in number:
            raise ProbeError(
                f"source {span.value!r} is not among {', '.join(sources)}: add it or leave it out"
            )
        target[grid.covered(span), number[span.value]] = True
    return target
