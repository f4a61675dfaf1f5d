"""Cutting a clip out of a score: the notes that sound in it, and every label they determine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from extract.datasets.base import Clip, Segment
from extract.datasets.mini import harmony
from extract.datasets.mini.draws import choice, uniform
from extract.datasets.mini.midi import Note
from extract.datasets.mini.programs import FAMILY, name_of
from extract.datasets.mini.scores import Score

SECONDS = 8.0
TEMPO = (50.0, 160.0)  # beats a minute, drawn evenly in their logarithm
VELOCITY = tuple(range(64, 113, 4))
SHORTEST = 0.05  # seconds; what a cut leaves of a note below this is not played
BEATS_NEEDED = SECONDS * TEMPO[1] / 60.0 + 0.5
CANDIDATES = 8  # places tried for one excerpt
METRES = {"4/4": "4/4", "3/4": "3/4", "2/4": "2/4", "2/2": "2/4", "6/8": "6/8"}


@dataclass(frozen=True)
class Sound:
    """What is rendered for one clip."""

    notes: tuple[Note, ...]
    program: int
    velocity: int


def regular_stretch(score: Score) -> tuple[float, float, float]:
    """The longest stretch in which bars follow each other regularly: start, end, one downbeat.

    Measures as written are split at repeats and begin with upbeats: a short first measure and a
    short measure before a full one end with the bar; two short measures that make up a bar are
    one; anything else ends the stretch.
    """
    bars, full = score.bars, score.bar
    phases: list[tuple[float, float, float | None]] = []
    i = 0
    while i < len(bars):
        start, length = bars[i]
        following = bars[i + 1][1] if i + 1 < len(bars) else 0.0
        if abs(length - full) < 1e-3:
            phases.append((start, start + length, start % full))
        elif length > full:
            phases.append((start, start + length, None))
        elif i > 0 and following < full and abs(length + following - full) < 1e-3:
            phases.append((start, start + full, start % full))
            i += 1
        elif i == len(bars) - 1:
            phases.append((start, start + length, start % full))
        else:
            phases.append((start, start + length, (start + length) % full))
        i += 1
    best, current = (0.0, 0.0, 0.0), None
    for start, end, phase in phases:
        if phase is None:
            current = None
            continue
        same = current is not None and abs((phase - current[2] + full / 2) % full - full / 2) < 1e-3
        current = (current[0], end, current[2]) if same else (start, end, phase)
        if current[1] - current[0] > best[1] - best[0]:
            best = current
    return best


def long_enough(score: Score) -> bool:
    """Whether an excerpt at the fastest tempo fits, so that tempo is free of the piece."""
    start, end, _ = regular_stretch(score)
    return end - start >= BEATS_NEEDED * score.beat


def pitch_weights(score: Score, start: float = 0.0, end: float = np.inf) -> np.ndarray:
    """[12] quarter notes that each pitch class sounds between two moments."""
    out = np.zeros(12)
    for part in score.parts:
        for onset, duration, pitch in part:
            out[pitch % 12] += max(0.0, min(onset + duration, end) - max(onset, start))
    return out


def place(score: Score, span: float, slot: int, slots: int, clip: str) -> float:
    """Where an excerpt of `span` quarter notes begins, anywhere in a beat.

    The piece is divided into `slots`; in the slot the first of some drawn places is taken whose
    own notes suggest the key of the piece, or else the one that suggests it most: the key is a
    label of the piece, and a modulating excerpt would make it wrong.
    """
    first, last, _ = regular_stretch(score)
    room = (last - span - first) / slots
    shift = uniform(clip, "place")
    order = sorted(range(CANDIDATES), key=lambda k: uniform(clip, f"place {k}"))
    starts = [first + room * (slot + (k + shift) / CANDIDATES) for k in order]
    if (score.tonic, score.mode) not in harmony.KEYS:
        return starts[0]
    index = harmony.KEYS.index((score.tonic, score.mode))
    fits = []
    for start in starts:
        found = harmony.key_correlations(pitch_weights(score, start, start + span))
        if int(np.argmax(found)) == index:
            return start
        fits.append(found[index])
    return starts[int(np.argmax(fits))]


def cut(
    score: Score,
    *,
    clip: str,
    subset: str,
    split: str,
    group: str,
    program: int,
    tonic: int,
    slot: int = 0,
    slots: int = 1,
    extra: dict[str, str] | None = None,
) -> tuple[Clip, Sound]:
    """One clip of `SECONDS` from a score, transposed so that its tonic is `tonic`.

    Tempo, velocity and place are drawn from the clip's id alone; program and tonic are dealt by
    the caller.
    """
    low, high = np.log(TEMPO[0]), np.log(TEMPO[1])
    tempo = round(float(np.exp(low + (high - low) * uniform(clip, "tempo"))), 2)
    velocity = choice(clip, "velocity", VELOCITY)
    quarter = 60.0 / (tempo * score.beat)  # seconds
    span = SECONDS / quarter
    start = round(place(score, span, slot, slots, clip), 4)
    up = (tonic - score.tonic + 6) % 12 - 6
    notes = _sounding(score, start, quarter, up)
    _, _, phase = regular_stretch(score)
    beats = _grid(phase, score.beat, start, quarter)
    downbeats = _grid(phase, score.bar, start, quarter)
    ends = tuple(round((e - start) * quarter, 4) for e in score.phrase_ends)
    lengths = np.array([n.duration for n in notes])
    pitches = np.array([n.pitch for n in notes])
    labels: dict[str, str | float] = {
        "tonic": harmony.PITCH_CLASSES[tonic],
        "mode": score.mode,
        "tempo": tempo,
        "family": FAMILY[program],
        "program": name_of(program),
        "density": round(len(notes) / SECONDS, 4),
        "polyphony": round(float(lengths.sum() / SECONDS), 4),
        "register": round(float((lengths * pitches).sum() / lengths.sum()), 4),
    }
    if score.mode in harmony.PROFILES:
        labels["key"] = harmony.key_name(tonic, score.mode)
    if score.metre in METRES:
        labels["metre"] = METRES[score.metre]
    labels.update(extra or {})
    segments = {"melody": _melody(notes)}
    if len(score.parts) > 1:
        segments["chord"] = _chords(notes, beats)
    events = {"beats": beats, "downbeats": downbeats}
    if score.phrase_ends:
        events["phrase_ends"] = tuple(e for e in ends if 0.0 < e <= SECONDS)
    row = Clip(
        id=clip,
        track=f"{subset}/{score.name}",
        group=group,
        subset=subset,
        split=split,
        start=round(start * quarter, 4),
        duration=SECONDS,
        labels=labels,
        segments=segments,
        events=events,
    )
    return row, Sound(notes, program, velocity)


def _sounding(score: Score, start: float, quarter: float, up: int) -> tuple[Note, ...]:
    """Notes of the excerpt in seconds; one that is held into it is struck at its beginning."""
    rows = []
    for voice, part in enumerate(score.parts):
        for onset, duration, pitch in part:
            begin = max(0.0, (onset - start) * quarter)
            end = min(SECONDS, (onset + duration - start) * quarter)
            if end - begin >= SHORTEST:
                rows.append(Note(round(begin, 4), round(end - begin, 4), pitch + up, voice))
    return tuple(sorted(rows))


def _grid(phase: float, step: float, start: float, quarter: float) -> tuple[float, ...]:
    """Seconds of the moments phase + k * step that lie in the excerpt."""
    first = int(np.ceil((start - phase) / step - 1e-6))
    out = []
    while (moment := (phase + first * step - start) * quarter) < SECONDS - 1e-6:
        out.append(max(0.0, round(moment, 4)))
        first += 1
    return tuple(out)


def _melody(notes: tuple[Note, ...]) -> tuple[Segment, ...]:
    """The first part as one line: the highest of notes struck together, no overlaps."""
    line = sorted((n for n in notes if n.voice == 0), key=lambda n: (n.onset, -n.pitch))
    line = [n for i, n in enumerate(line) if i == 0 or n.onset > line[i - 1].onset]
    ends = [n.onset for n in line[1:]] + [SECONDS]
    return tuple(
        Segment(n.onset, round(min(n.onset + n.duration, end), 4), float(n.pitch))
        for n, end in zip(line, ends, strict=True)
    )


def _chords(notes: tuple[Note, ...], beats: tuple[float, ...]) -> tuple[Segment, ...]:
    """One chord for each whole beat of the excerpt, from the notes that sound in it."""
    rows = []
    for start, end in zip(beats, beats[1:], strict=False):
        weights, heard = np.zeros(12), []
        for note in notes:
            share = min(note.onset + note.duration, end) - max(note.onset, start)
            if share > 1e-3:
                weights[note.pitch % 12] += share
                heard.append((note.onset > start + 1e-3, note.pitch))
        # the lowest note at the beat, or, when nothing sounds there, the lowest after it
        bass = min(heard)[1] % 12 if heard else None
        rows.append(Segment(start, end, harmony.chord_of(weights, bass)))
    return tuple(rows)
