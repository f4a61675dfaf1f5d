"""Heads that say exactly their targets: decoded and scored, nothing may be lost but the grid."""

from __future__ import annotations

import numpy as np
import pytest

from probes.decoding import beats, boundaries, chords, notes
from probes.framing import scores, targets
from probes.framing.grid import Grid, Span, held
from probes.framing.targets import MAJMIN, Bins

GRID = Grid.of(30.0, 50.0)


@pytest.mark.parametrize("weights", [targets.WIDE, targets.MARBLE_BEATS, targets.EXACT])
@pytest.mark.parametrize("bpm", [63, 97, 141, 205])
def test_beats(weights, bpm):
    times = np.arange(0.17, 30, 60 / bpm)
    pair = (targets.events(t, GRID, weights) for t in (times, times[2::4]))
    found = beats.track(*pair, rate=GRID.rate)
    assert scores.beats(times, found.beats).values == {"F": 1, "CMLt": 1, "AMLt": 1}
    assert scores.downbeats(times[2::4], found.downbeats).values == {"F": 1}
    tempo = 60 / np.median(np.diff(found.beats))
    assert scores.tempo(bpm, tempo).values == {"Acc1": 1, "Acc2": 1}


def test_chords():
    rng = np.random.default_rng(0)
    grid = Grid.of(60.0, 10.0)
    edges = np.r_[0, np.sort(rng.choice(np.arange(1, 60), 14, replace=False)), 60]
    truth = [
        Span(a, b, v) for a, b, v in zip(edges[:-1], edges[1:], rng.choice(MAJMIN, 15), strict=True)
    ]
    said = np.eye(25)[targets.chords(truth, grid)] * 0.9 + 0.1 / 25
    track = scores.chords(truth, chords.decode(said, grid.rate, MAJMIN, stay=0.9))
    assert track.values == pytest.approx({"majmin": 1, "root": 1, "sevenths": 1})
    assert track.sums["majmin"][1] == pytest.approx(60)


def test_sections():
    grid = Grid.of(180.0, 8.0)
    edges, names = [0, 21.3, 60, 99.9, 140, 180], ("intro", "verse", "chorus", "verse", "outro")
    truth = [Span(a, b, v) for a, b, v in zip(edges[:-1], edges[1:], names, strict=True)]
    kinds = tuple(sorted(set(names)))
    times = boundaries.changes(targets.boundaries(edges[1:-1], grid), grid.rate)
    found = boundaries.sections(times, targets.classes(truth, grid, kinds), grid.rate, kinds)
    assert [s.value for s in found] == list(names)
    values = scores.sections(truth, found).values
    assert values["F 0.5"] == values["F 3"] == 1
    assert values["PW F"] > 0.99
    assert scores.boundaries(edges, times, 180.0).values["F 0.5"] == 1


@pytest.mark.parametrize("step", [20.0, 100.0])
def test_melody(step):
    bins = Bins(step)
    times = np.arange(0, 30, 0.01)
    hz = np.where(np.sin(times) > -0.3, 220 * 2 ** np.round(np.sin(times / 3) * 12 / 12, 3), 0)
    found = bins.hz(targets.melody(times, hz, GRID, bins))
    values = scores.melody(times, hz, times, held(found, GRID.rate, times)).values
    assert values["RPA"] > 0.97 and values["OA"] > 0.97 and values["VFA"] < 0.02


def test_pitches_and_notes():
    rng = np.random.default_rng(0)
    truth = []
    for voice in range(4):
        edges = np.sort(rng.uniform(0, 29, 30))
        truth += [
            Span(a, b - 0.06, float(p))
            for a, b, p in zip(
                edges[:-1], edges[1:], rng.integers(40, 50, 29) + 10 * voice, strict=True
            )
            if b - a > 0.12
        ]
    roll = targets.pitches(truth, GRID)
    frames = scores.multipitch(roll, roll)
    found = notes.decode(roll.astype(float), GRID.rate)
    for name in ("F", "F 1", "F 2", "F 3", "F 4"):
        assert frames.values[name] == 1
        assert scores.notes(truth, found).values[name] == 1
    again = [Span(0.0, 0.5, 60.0), Span(0.5, 1.0, 60.0)]  # nothing between the two
    roll, begins = targets.pitches(again, GRID), targets.onsets(again, GRID)
    assert len(notes.decode(roll.astype(float), GRID.rate)) == 1
    assert len(notes.decode(roll.astype(float), GRID.rate, begins=begins)) == 2
