"""Clips whose layers carry beats, a melody, chords and pitches in a way that is known."""

from __future__ import annotations

import numpy as np

from probes.framing import targets
from probes.framing.grid import Grid, Span
from probes.framing.table import Excerpt, FrameTable, rate_of
from probes.source import Matrices
from probes.tasks.tonality import PITCH_CLASSES

SPLITS = {"train": 16, "valid": 6, "test": 8}
SECONDS = 8.0


def excerpts(seed: int = 0, seconds: float = SECONDS, splits=SPLITS) -> list[Excerpt]:
    """Two clips of a track, each with a tempo, a metre of three or four, tunes and chords."""
    rng = np.random.default_rng(seed)
    out = []
    for split, tracks in splits.items():
        for track in range(tracks):
            for part in range(2):
                out.append(_excerpt(f"{split}{track}/{part}", split, seconds, rng))
    return out


def _excerpt(name: str, split: str, seconds: float, rng: np.random.Generator) -> Excerpt:
    interval = 60.0 / rng.uniform(70, 160)
    beats = np.arange(rng.uniform(0, interval), seconds, interval)
    edges = np.r_[0.0, beats, seconds]
    downbeats = beats[rng.integers(3) :: rng.choice([3, 4])]
    melody, chord, notes = [], [], []
    for start, end in zip(edges[:-1], edges[1:], strict=True):
        pitch = float(rng.integers(60, 66))
        if rng.random() < 0.8:
            melody.append(Span(start, end, pitch))
        root, mode = PITCH_CLASSES[rng.integers(4)], rng.choice(["maj", "min"])
        chord.append(Span(start, end, f"{root}:{mode}"))
        for key in rng.choice(np.arange(48, 54), rng.integers(1, 5), replace=False):
            notes.append(Span(start, end, float(key)))
    segments = {"melody": tuple(melody), "chord": tuple(chord), "notes": tuple(notes)}
    events = {
        "beats": tuple(beats),
        "downbeats": tuple(downbeats),
        "phrase_ends": tuple(beats[2::5]),
    }
    return Excerpt(name, seconds, name.partition("/")[0], split, segments=segments, events=events)


def signals(clip: Excerpt, rate: float) -> np.ndarray:
    """[frames, signals] what a layer that knows everything says of each frame."""
    grid = Grid.of(clip.duration, rate)
    columns = [
        targets.events(clip.events["beats"], grid, (1.0, 0.5)),
        targets.events(clip.events["downbeats"], grid, (1.0, 0.5)),
        targets.boundaries(clip.events["phrase_ends"], grid),
        *np.eye(25)[targets.chords(clip.segments["chord"], grid)].T[:, :],
        *np.eye(len(targets.Bins()))[
            targets.melody_of_notes(clip.segments["melody"], grid, targets.Bins())
        ].T,
        *targets.pitches(clip.segments["notes"], grid).T.astype(float),
    ]
    alive = np.array(columns, dtype=float)
    return alive.T


def planted(
    kind: str = "frames:25", seed: int = 0, clips: list[Excerpt] | None = None
) -> tuple[Matrices, FrameTable]:
    """Layers `early` (noise), `middle` (all signals, mixed), `late` (the same, faintly)."""
    clips = excerpts(seed) if clips is None else clips
    rng = np.random.default_rng(seed + 1)
    known = np.concatenate([signals(clip, rate_of(kind)) for clip in clips])
    known = known[:, known.any(axis=0)]
    mix = rng.normal(size=(known.shape[1], 60)) / np.sqrt(known.shape[1])
    noise = rng.normal(size=(3, len(known), 60))
    layers = {
        "early": noise[0],
        "middle": 4 * known @ mix + 0.02 * noise[1],
        "late": 4 * known @ mix + 2.0 * noise[2],
    }
    source = Matrices("planted", {k: v.astype(np.float32) for k, v in layers.items()})
    return source, FrameTable(clips, kind)
