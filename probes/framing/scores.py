"""Scores of tracks by mir_eval, as sums that any resample of tracks can be scored from.

A score is a ratio. Over tracks, what stands above and below the line is summed: where each track
has 1 below, that is the mean over tracks; where it has its seconds, notes or frames, long tracks
count for more, and the score is that of all tracks in one. A track that cannot be scored, as its
reference has no beats, has 0 below and takes no part; mir_eval itself says 0 (or 1) there, which
would say something of the data and not of the estimate. An empty estimate is scored: it is wrong.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from probes.errors import ProbeError
from probes.framing.grid import Spanned

TRIM = 5.0  # seconds without beats that are scored, at the start of a track
BEAT_WINDOW, ONSET_WINDOW, TEMPO_TOLERANCE = 0.07, 0.05, 0.04  # s, s, share of the reference
BOUNDARY_WINDOWS = (0.5, 3.0)
OCTAVES = (1.0, 2.0, 3.0, 1 / 2, 1 / 3)  # Gouyon et al. 2006, accuracy 2
VOICES = (1, 2, 3, 4)
LOWER_IS_BETTER = frozenset({"VFA"})


@dataclass(frozen=True)
class TrackScores:
    """One track: by name of the score, what stands above and below the line."""

    sums: Mapping[str, tuple[float, float]]

    @property
    def values(self) -> dict[str, float]:
        """The scores of this track alone; NaN where it has none."""
        return {n: float(Ratio.value(np.array(pair))) for n, pair in self.sums.items()}


def table(tracks: Sequence[TrackScores], name: str, groups: np.ndarray | None = None) -> np.ndarray:
    """Sums of a score as `probes.scored.Sums` takes them, [tracks, 2], or [groups, 2].

    Parameters
    ----------
    groups : [tracks] of 0 .. n_groups - 1; each track is a group of its own when absent.
    """
    sums = np.array([track.sums[name] for track in tracks], dtype=float).reshape(-1, 2)
    if groups is None:
        return sums
    found = np.zeros((int(np.max(groups, initial=-1)) + 1, 2))
    np.add.at(found, groups, sums)
    return found


class Ratio:
    """The score of summed `table`s; for `probes.scored.Sums`."""

    @staticmethod
    def value(sums: np.ndarray) -> np.ndarray:
        """Score from sums [..., 2]: [...]; NaN where it is not defined."""
        above, below = np.moveaxis(np.asarray(sums, dtype=float), -1, 0)
        return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)


def corpus(tracks: Sequence[TrackScores]) -> dict[str, float]:
    """Each score over all tracks."""
    names = tracks[0].sums if tracks else ()
    return {name: float(Ratio.value(table(tracks, name).sum(axis=0))) for name in names}


# rhythm


def beats(reference: Sequence[float], estimate: Sequence[float], trim: float = TRIM) -> TrackScores:
    """`F` within 70 ms, `CMLt` and `AMLt` (continuity within 17.5 %): means over tracks.

    Beats in the first `trim` seconds are left out on both sides. `F` needs a reference beat
    after that, continuity two. Source: Davies, Degara and Plumbley 2009.
    """
    from mir_eval import beat

    truth, found = (beat.trim_beats(_moments(times), trim) for times in (reference, estimate))
    with _quiet():
        _, cmlt, _, amlt = beat.continuity(truth, found)
    several = len(truth) > 1
    continuity = {"CMLt": _mean(cmlt, several), "AMLt": _mean(amlt, several)}
    return TrackScores({**downbeats(reference, estimate, trim).sums, **continuity})


def downbeats(
    reference: Sequence[float], estimate: Sequence[float], trim: float = TRIM
) -> TrackScores:
    """`F` within 70 ms, as for beats: mean over tracks."""
    from mir_eval import beat

    truth, found = (beat.trim_beats(_moments(times), trim) for times in (reference, estimate))
    with _quiet():
        f = beat.f_measure(truth, found, BEAT_WINDOW)
    return TrackScores({"F": _mean(f, len(truth) > 0)})


def onsets(reference: Sequence[float], estimate: Sequence[float]) -> TrackScores:
    """`F`, `P` and `R` within 50 ms: means over tracks that have onsets."""
    from mir_eval import onset

    truth, found = _moments(reference), _moments(estimate)
    with _quiet():
        scores = onset.f_measure(truth, found, ONSET_WINDOW)
    return TrackScores(
        {name: _mean(s, len(truth) > 0) for name, s in zip("FPR", scores, strict=True)}
    )


def tempo(reference: float | None, estimate: float) -> TrackScores:
    """`Acc1`: within 4 %; `Acc2`: of the tempo, its double, triple, half or third.

    Shares of tracks that have a tempo. Source: Gouyon et al. 2006, "An experimental comparison of
    audio tempo induction algorithms".
    """
    from mir_eval.tempo import detection

    known = reference is not None and math.isfinite(reference) and reference > 0
    right = []
    if known and math.isfinite(estimate) and estimate > 0:
        said = np.array([estimate, 0.0])
        right = [
            detection(np.array([reference * part, 0.0]), 1.0, said, TEMPO_TOLERANCE)[1]
            for part in OCTAVES
        ]
    return TrackScores(
        {"Acc1": _mean(float(any(right[:1])), known), "Acc2": _mean(float(any(right)), known)}
    )


# harmony


def chords(reference: Sequence[Spanned], estimate: Sequence[Spanned]) -> TrackScores:
    """`majmin`, `root` and `sevenths`: shares of the seconds in which chords can be compared.

    Over tracks: of all these seconds, so that a track counts by how long it can be compared. A
    stretch without a reference is like X, and counts nowhere; one without an estimate is N.
    """
    from mir_eval import chord, util

    names: tuple[Callable, ...] = (chord.majmin, chord.root, chord.sevenths)
    start = min((s.start for s in reference), default=0.0)
    end = max((s.end for s in reference), default=0.0)
    if end <= start:
        return TrackScores({rule.__name__: (0.0, 0.0) for rule in names})
    intervals, truth, found = util.merge_labeled_intervals(
        *_tiled(reference, start, end, chord.X_CHORD), *_tiled(estimate, start, end, chord.NO_CHORD)
    )
    seconds = util.intervals_to_durations(intervals)
    sums = {}
    for rule in names:
        try:
            right = rule(truth, found)
        except chord.InvalidChordException as error:
            raise ProbeError(f"chords are not in Harte's syntax: {error}") from None
        with _quiet():
            share = chord.weighted_accuracy(right, seconds)
        compared = float(seconds[right >= 0].sum())
        sums[rule.__name__] = (float(share) * compared, compared)
    return TrackScores(sums)


# structure


def boundaries(
    reference: Sequence[float], estimate: Sequence[float], duration: float
) -> TrackScores:
    """Hit rate within 0.5 and 3 s: `F 0.5`, `P 0.5`, `R 0.5`, `F 3` ...: means over tracks.

    The start and the end of a track are no boundaries (mir_eval's `trim=True`); tracks without
    others are left out.
    """
    return TrackScores(_hit_rates(*(_edges(times, duration) for times in (reference, estimate))))


def sections(reference: Sequence[Spanned], estimate: Sequence[Spanned]) -> TrackScores:
    """Hit rates as for `boundaries`, and pairwise agreement `PW F`, `PW P`, `PW R`.

    From 0 to the end of the reference; stretches without a section are sections of one kind.
    Means over tracks. Source of pairwise agreement: Levy and Sandler 2008.
    """
    from mir_eval import segment

    end = max((s.end for s in reference), default=0.0)
    if end <= 0:
        return TrackScores(dict.fromkeys((*_hit_rates([], []), *_PAIRWISE), (0.0, 0.0)))
    truth, found = (_tiled(spans, 0.0, end, "(none)") for spans in (reference, estimate))
    precision, recall, f = segment.pairwise(*truth, *found)
    edges = (np.append(intervals[:, 0], end) for intervals, _ in (truth, found))
    pairs = zip(_PAIRWISE, (f, precision, recall), strict=True)
    return TrackScores(_hit_rates(*edges) | {name: _mean(score, True) for name, score in pairs})


_PAIRWISE = ("PW F", "PW P", "PW R")


def _hit_rates(
    reference: Sequence[float], estimate: Sequence[float]
) -> dict[str, tuple[float, float]]:
    """From edges of sections, the start and the end of the track included."""
    from mir_eval import segment, util

    sums = {}
    known = len(reference) > 2
    for window in BOUNDARY_WINDOWS:
        precision = recall = f = 0.0
        if known:
            edges = (util.boundaries_to_intervals(np.asarray(e)) for e in (reference, estimate))
            with _quiet():
                precision, recall, f = segment.detection(*edges, window=window, trim=True)
        for name, score in (("F", f), ("P", precision), ("R", recall)):
            sums[f"{name} {window:g}"] = _mean(score, known)
    return sums


# pitch


def melody(
    times: np.ndarray, hz: np.ndarray, estimate_times: np.ndarray, estimate_hz: np.ndarray
) -> TrackScores:
    """`RPA`, `RCA`, `OA`, `VR` and `VFA`, within 50 cents: means over tracks.

    Both are curves in Hz, 0 where there is no melody; an estimate may be negative, a pitch for a
    moment that it calls unvoiced. Between its moments the estimate is interpolated as mir_eval
    does. `RPA`, `RCA` and `VR` need voiced moments in the reference, `VFA` unvoiced ones. The
    lower `VFA`, the better. Source: Salamon et al. 2014.
    """
    from mir_eval.melody import evaluate

    names = {
        "RPA": "Raw Pitch Accuracy",
        "RCA": "Raw Chroma Accuracy",
        "OA": "Overall Accuracy",
        "VR": "Voicing Recall",
        "VFA": "Voicing False Alarm",
    }
    times, hz = np.asarray(times, dtype=float), np.asarray(hz, dtype=float)
    if not len(times):
        return TrackScores(dict.fromkeys(names, (0.0, 0.0)))
    when, what = (np.asarray(part, dtype=float) for part in (estimate_times, estimate_hz))
    if not len(when):
        when, what = times, np.zeros_like(hz)
    with _quiet():
        found = evaluate(times, hz, when, what)
    known = {"OA": True, "VFA": bool((hz <= 0).any())}
    voiced = bool((hz > 0).any())
    return TrackScores(
        {name: _mean(found[theirs], known.get(name, voiced)) for name, theirs in names.items()}
    )


def multipitch(
    reference: np.ndarray, estimate: np.ndarray, voices: Sequence[int] = VOICES
) -> TrackScores:
    """`P`, `R` and `F` of pitches in frames, and `P 1`, `R 1`, `F 1` ... by how many sound.

    Frames in which as many pitches sound in the reference are scored on their own: what is found
    of two voices, of three. Over tracks: of the frames of all.

    Parameters
    ----------
    reference, estimate : [frames, pitches] bool, a semitone a column.
    """
    truth, found = (np.asarray(roll, dtype=bool) for roll in (reference, estimate))
    if truth.shape != found.shape:
        raise ProbeError(f"pitches {truth.shape} and {found.shape}: score them on one grid")
    hits = _hits(truth, found)
    asked, said = truth.sum(axis=1), found.sum(axis=1)
    return TrackScores(_by_voices(hits, asked, said, asked, asked, voices))


def notes(
    reference: Sequence[Spanned], estimate: Sequence[Spanned], voices: Sequence[int] = VOICES
) -> TrackScores:
    """`P`, `R` and `F` of notes, and `P 1`, `R 1`, `F 1` ... by how many sound.

    A note is right within 50 ms of its onset and 50 cents of its pitch, whenever it ends. A note
    of the reference belongs to as many voices as sound 50 ms after its onset, itself included (a
    chord is never struck at one moment); a note of the estimate to those of the note it matches,
    or to as many as sound in the reference then. Over tracks: of the notes of all.

    Parameters
    ----------
    reference, estimate : MIDI numbers as values.
    """
    from mir_eval.transcription import match_notes

    truth, found = (_notes(spans) for spans in (reference, estimate))
    asked, said = (_sounding(truth[0], spans[0][:, 0] + ONSET_WINDOW) for spans in (truth, found))
    asked = np.maximum(asked, 1)
    pairs = []
    if len(asked) and len(said):
        pairs = match_notes(*truth, *found, onset_tolerance=ONSET_WINDOW, offset_ratio=None)
    hit = np.zeros(len(asked))
    for mine, theirs in pairs:
        hit[mine], said[theirs] = 1, asked[mine]
    ones = np.ones(len(asked)), np.ones(len(said))
    return TrackScores(_by_voices(hit, *ones, asked, said, voices))


def _hits(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """[frames] matched pitches; by mir_eval, once for each different frame."""
    from mir_eval.multipitch import compute_num_true_positives

    both = np.packbits(np.concatenate([truth, found], axis=1), axis=1)
    _, first, back = np.unique(both, axis=0, return_index=True, return_inverse=True)
    midi = ([np.flatnonzero(row).astype(float) for row in roll[first]] for roll in (truth, found))
    return compute_num_true_positives(*midi)[back.reshape(-1)]


def _by_voices(
    hits: np.ndarray,
    asked: np.ndarray,
    said: np.ndarray,
    voices_asked: np.ndarray,
    voices_said: np.ndarray,
    voices: Sequence[int],
) -> dict[str, tuple[float, float]]:
    """Precision, recall and F of counts, of all and of those with so many voices."""
    sums = {}
    for count in (None, *voices):
        mine = slice(None) if count is None else voices_asked == count
        theirs = slice(None) if count is None else voices_said == count
        right, wanted, given = (float(n.sum()) for n in (hits[mine], asked[mine], said[theirs]))
        end = "" if count is None else f" {count}"
        sums[f"P{end}"] = (right, given)
        sums[f"R{end}"] = (right, wanted)
        sums[f"F{end}"] = (2 * right, wanted + given)
    return sums


def _notes(spans: Sequence[Spanned]) -> tuple[np.ndarray, np.ndarray]:
    """Intervals [n, 2] and frequencies [n] in Hz."""
    rows = np.array([(s.start, s.end, float(s.value)) for s in spans]).reshape(-1, 3)
    return rows[:, :2], 440.0 * 2.0 ** ((rows[:, 2] - 69.0) / 12.0)


def _sounding(intervals: np.ndarray, times: np.ndarray) -> np.ndarray:
    """[times] how many intervals hold each moment."""
    starts, ends = np.sort(intervals[:, 0]), np.sort(intervals[:, 1])
    return np.searchsorted(starts, times, "right") - np.searchsorted(ends, times, "right")


def _edges(times: Sequence[float], duration: float) -> np.ndarray:
    """Boundaries inside a track, and its start and end."""
    moments = np.unique(_moments(times))
    return np.concatenate([[0.0], moments[(moments > 0) & (moments < duration)], [float(duration)]])


def _tiled(
    spans: Iterable[Spanned], start: float, end: float, rest: str
) -> tuple[np.ndarray, list[str]]:
    """Intervals [n, 2] without gaps or overlaps from start to end, and their labels.

    A span ends where the next begins; what no span holds is `rest`.
    """
    edges, labels = [float(start)], []
    ordered = sorted(spans, key=lambda s: s.start)
    for span, after in zip_longest(ordered, ordered[1:]):
        limit = end if after is None else min(after.start, end)
        first, last = max(span.start, start), min(span.end, limit)
        if last <= first:
            continue
        if first > edges[-1]:
            edges.append(float(first))
            labels.append(rest)
        edges.append(float(last))
        labels.append(str(span.value))
    if end > edges[-1]:
        edges.append(float(end))
        labels.append(rest)
    return np.column_stack([edges[:-1], edges[1:]]), labels


def _moments(times: Sequence[float]) -> np.ndarray:
    """Rising, as mir_eval asks for."""
    return np.sort(np.asarray(times, dtype=float).reshape(-1))


def _mean(score: float, known: bool) -> tuple[float, float]:
    """A share of a mean over tracks."""
    return (float(score), 1.0) if known else (0.0, 0.0)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without mir_eval's warnings of what is empty: `TrackScores` says it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield
