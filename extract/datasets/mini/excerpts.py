"""Cutting a clip out of a score: the notes that sound in it, and every label they determine."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from extract.datasets.base import Clip
from extract.datasets.mini import harmony, timed
from extract.datasets.mini.draws import choice, uniform
from extract.datasets.mini.midi import Note
from extract.datasets.mini.programs import FAMILY, name_of
from extract.datasets.mini.scores import Score

SECONDS = 8.0
TEMPO = (50.0, 160.0)  # beats a minute, drawn evenly in their logarithm
VELOCITY = tuple(range(64, 113, 4))
SHORTEST = 0.05  # seconds; what a cut leaves of a note below this is not played
BEATS_NEEDED = SECONDS * TEMPO[1] / 60.0 + 0.5
LONGEST_PHRASE = 16  # beats; beyond, an encoder has left out fermatas
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


@dataclass(frozen=True)
class Excerpt:
    """`SECONDS` of a score at a place, a tempo and a pitch: what all clips made of it share.

    Attributes
    ----------
    start : quarter notes from the beginning of the score.
    tempo : beats a minute.
    tonic : pitch class that the tonic of the score is moved to, by at most six semitones.
    velocity : of every note.
    """

    score: Score
    start: float
    tempo: float
    tonic: int
    velocity: int

    @classmethod
    def drawn(cls, score: Score, name: str, tonic: int, slot: int = 0, slots: int = 1) -> Excerpt:
        """Tempo, velocity and place are drawn from the name alone; the tonic is dealt."""
        low, high = np.log(TEMPO[0]), np.log(TEMPO[1])
        tempo = round(float(np.exp(low + (high - low) * uniform(name, "tempo"))), 2)
        span = SECONDS / (60.0 / (tempo * score.beat))
        start = round(place(score, span, slot, slots, name), 4)
        return cls(score, start, tempo, tonic, choice(name, "velocity", VELOCITY))

    @property
    def quarter(self) -> float:
        """Seconds of a quarter note."""
        return 60.0 / (self.tempo * self.score.beat)

    def notes(self, voices: Collection[int] | None = None) -> tuple[Note, ...]:
        """Notes of some voices (0 is the highest), or of all, in seconds.

        One that is held into the excerpt is struck at its beginning.
        """
        up = (self.tonic - self.score.tonic + 6) % 12 - 6
        rows = []
        for voice, part in enumerate(self.score.parts):
            if voices is not None and voice not in voices:
                continue
            for onset, duration, pitch in part:
                begin = max(0.0, (onset - self.start) * self.quarter)
                end = min(SECONDS, (onset + duration - self.start) * self.quarter)
                if end - begin >= SHORTEST:
                    rows.append(Note(round(begin, 4), round(end - begin, 4), pitch + up, voice))
        return tuple(sorted(rows))

    def grid(self) -> dict[str, tuple[float, ...]]:
        """The events `beats` and `downbeats`; one at the very beginning is included."""
        _, _, phase = regular_stretch(self.score)
        steps = {"beats": self.score.beat, "downbeats": self.score.bar}
        return {name: _grid(phase, step, self.start, self.quarter) for name, step in steps.items()}

    def phrase_ends(self) -> tuple[float, ...] | None:
        """Ends of phrases whose last note sounds; None where the score does not mark them."""
        if not phrases_marked(self.score):
            return None
        ends = (round((e - self.start) * self.quarter, 4) for e in self.score.phrase_ends)
        return tuple(e for e in ends if SHORTEST <= e < SECONDS)

    @property
    def first(self) -> float:
        """Seconds from the beginning of the score, at this tempo."""
        return round(self.start * self.quarter, 4)


def phrases_marked(score: Score) -> bool:
    """Whether fermatas mark every phrase: none would last longer than `LONGEST_PHRASE` beats."""
    edges = np.array([0.0, *score.phrase_ends])
    return len(edges) > 1 and bool(np.diff(edges).max() <= LONGEST_PHRASE * score.beat + 1e-6)


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
    excerpt = Excerpt.drawn(score, clip, tonic, slot, slots)
    notes, events = excerpt.notes(), excerpt.grid()
    lengths = np.array([n.duration for n in notes])
    pitches = np.array([n.pitch for n in notes])
    labels: dict[str, str | float] = {
        "tonic": harmony.PITCH_CLASSES[tonic],
        "mode": score.mode,
        "tempo": excerpt.tempo,
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
    segments = {"melody": timed.melody(notes, SECONDS)}
    if len(score.parts) > 1:
        segments["chord"] = timed.chords(notes, events["beats"])
    segments["notes"] = timed.heard(notes, SECONDS)
    ends = excerpt.phrase_ends()
    if ends is not None:
        events["phrase_ends"] = ends
    row = Clip(
        id=clip,
        track=f"{subset}/{score.name}",
        group=group,
        subset=subset,
        split=split,
        start=excerpt.first,
        duration=SECONDS,
        labels=labels,
        segments=segments,
        events=events,
    )
    return row, Sound(notes, program, excerpt.velocity)


def _grid(phase: float, step: float, start: float, quarter: float) -> tuple[float, ...]:
    """Seconds of the moments phase + k * step that lie in the excerpt."""
    first = int(np.ceil((start - phase) / step - 1e-6))
    out = []
    while (moment := (phase + first * step - start) * quarter) < SECONDS - 1e-6:
        out.append(max(0.0, round(moment, 4)))
        first += 1
    return tuple(out)
