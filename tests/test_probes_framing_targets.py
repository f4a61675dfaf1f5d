"""Labels as targets of frames, on cases that can be counted by hand."""

from __future__ import annotations

import subprocess
import sys

import mir_eval
import numpy as np
import pytest

from extract.datasets.base import Clip, Segment
from extract.rows import stretches
from probes.errors import ProbeError
from probes.framing import targets
from probes.framing.grid import Grid, Span, held, runs
from probes.framing.targets import MAJMIN, Bins

GRID = Grid(10, 10.0)


def test_frames_are_those_of_rows():
    for duration, rate in ((10.0, 50.0), (9.99, 50.0), (0.3, 10.0), (29.1, 16.0), (0.01, 5.0)):
        clip = Clip("a", "a", "a", "", "train", 0.0, duration)
        spans = stretches(clip, f"frames:{rate}")
        grid = Grid.of(duration, rate)
        assert grid.frames == len(spans)
        assert grid.times == pytest.approx(spans.mean(axis=1))
    with pytest.raises(ProbeError, match="rate"):
        Grid(3, 0.0)


def test_a_moment_belongs_to_the_frame_it_lies_in():
    assert list(GRID.index([0.0, 0.099, 0.1, 0.3, 0.999, 1.0, -0.01])) == [0, 0, 1, 3, 9]
    assert list(held(np.arange(10), 10.0, np.array([-1.0, 0.35, 7.0]))) == [0, 3, 9]


def test_runs_are_stretches_of_equal_frames():
    found = runs(np.array([1, 1, 0, 2, 2]), 10.0, ("a", "b", "c"))
    assert found == (Span(0.0, 0.2, "b"), Span(0.2, 0.3, "a"), Span(0.3, 0.5, "c"))
    assert runs(np.empty(0, int), 10.0, ()) == ()


def test_events_are_widened_and_the_nearer_one_counts():
    wide = targets.events([0.31, 0.52], GRID)
    assert wide == pytest.approx([0, 0.25, 0.5, 1, 0.5, 1, 0.5, 0.25, 0, 0])
    exact = targets.events([0.31, 0.52], GRID, targets.EXACT)
    assert list(np.flatnonzero(exact)) == [3, 5]
    marble = targets.events([0.55], GRID, targets.MARBLE_DOWNBEATS)
    assert marble == pytest.approx([0, 0, 0.25, 0.5, 0.95, 1, 0.95, 0.5, 0.25, 0])


def test_events_at_the_ends_and_outside():
    assert targets.events([0.0, 0.95, 1.0, -1], GRID) == pytest.approx(
        [1, 0.5, 0.25, 0, 0, 0, 0, 0.25, 0.5, 1]
    )
    assert not targets.events([], GRID).any()
    assert targets.events([1.0], Grid(0, 10.0)).shape == (0,)


def test_boundaries_fall_in_a_straight_line():
    found = targets.boundaries([0.45], GRID, reach=0.2)
    assert found == pytest.approx([0, 0, 0, 0.5, 1, 0.5, 0, 0, 0, 0], abs=1e-6)
    between = targets.boundaries([0.5], GRID, reach=0.2)
    assert between[5] == 1 and between[4] == pytest.approx(0.75)
    assert not targets.boundaries([], GRID).any()


def test_classes_are_those_of_the_centres():
    spans = [Segment(0.0, 0.34, "a"), Segment(0.34, 0.36, "b"), Segment(0.5, 0.7, "z")]
    assert list(targets.classes(spans, GRID, ("a", "b"))) == [0, 0, 0, 1, -1, -1, -1, -1, -1, -1]


def test_chords_are_triads_or_none_and_x_is_masked():
    spans = [
        Span(0.0, 0.1, "C:maj"), Span(0.1, 0.2, "A:min7"), Span(0.2, 0.3, "N"),
        Span(0.3, 0.4, "X"), Span(0.4, 0.5, "B:dim"), Span(0.5, 0.6, "Gb:7/3"),
        Span(0.6, 0.7, "D:sus4"), Span(0.7, 0.8, "Cb"),
    ]  # fmt: skip
    found = targets.chords(spans, GRID)
    named = [MAJMIN[i] if i >= 0 else None for i in found]
    assert named == ["C:maj", "A:min", "N", None, None, "F#:maj", None, "B:maj", None, None]
    assert len(MAJMIN) == len(set(MAJMIN)) == 25
    with pytest.raises(ProbeError, match="Harte"):
        targets.chords([Span(0, 1, "H:major")], GRID)


def test_a_class_of_chord_is_right_where_mir_eval_says_so():
    given = [
        f"{root}:{kind}"
        for root in ("C", "F#", "Bb")
        for kind in ("maj", "min", "7", "maj7", "min7", "dim", "aug", "sus2", "hdim7", "9", "maj/5")
    ]
    for chord in [*given, "N", "X"]:
        right = mir_eval.chord.majmin([chord] * 25, list(MAJMIN))
        mine = targets.majmin(chord)
        if mine is None:
            assert (right == -1).all()
        else:
            assert [name for name, hit in zip(MAJMIN, right, strict=True) if hit == 1] == [mine]


@pytest.mark.parametrize("bins", [Bins(), Bins(20.0), Bins(20.0, 23.6, 95.2)])
def test_bins_of_pitch_there_and_back(bins):
    every = np.arange(len(bins))
    assert (bins.classes(bins.hz(every)) == every).all()
    hz = np.geomspace(bins.hz(np.array(1)) * 1.001, bins.hz(np.array(len(bins) - 1)) / 1.001, 500)
    away = 1200 * np.abs(np.log2(bins.hz(bins.classes(hz)) / hz))
    assert away.max() <= bins.step / 2 + 1e-6


def test_bins_hold_what_they_say():
    assert len(Bins()) == 74 and len(Bins(20.0)) == 362
    assert list(Bins().classes(np.array([0.0, -3, 440, 8.0, 9000]))) == [0, 0, 46, -1, -1]


def test_melody_is_the_nearest_value_of_the_curve():
    times = np.arange(0, 0.6, 0.01)
    hz = np.where(times < 0.295, 440.0, 0.0)
    assert list(targets.melody(times, hz, GRID, Bins())) == [46] * 3 + [0] * 3 + [-1] * 4
    coarse = targets.melody(np.array([0.0, 0.5, 1.0]), np.array([440.0, 0, 220]), GRID, Bins())
    assert list(coarse) == [46, 46, 46, 0, 0, 0, 0, 0, 34, 34]
    assert list(targets.melody(np.empty(0), np.empty(0), GRID, Bins())) == [-1] * 10
    assert targets.melody(np.array([0.45]), np.array([440.0]), GRID, Bins())[4] == 46


def test_melody_of_notes():
    found = targets.melody_of_notes([Span(0.1, 0.3, 69.0), Span(0.3, 0.5, 200.0)], GRID, Bins())
    assert list(found) == [0, 46, 46, -1, -1, 0, 0, 0, 0, 0]


def test_pitches_sound_at_centres_and_short_ones_once():
    spans = [
        Span(0.0, 0.34, 60.0), Span(0.52, 0.54, 64.2), Span(0.0, 0.9, 109.0), Span(0.0, 0.9, 20.0),
        Span(0.61, 0.89, 21.0), Span(0.2, 0.4, 108.0), Span(5.0, 5.01, 60.0),
    ]  # fmt: skip
    roll = targets.pitches(spans, GRID)
    assert roll.shape == (10, 88)
    assert list(np.flatnonzero(roll[:, 39])) == [0, 1, 2]
    assert list(np.flatnonzero(roll[:, 43])) == [5]
    assert list(np.flatnonzero(roll[:, 0])) == [6, 7, 8]
    assert list(np.flatnonzero(roll[:, 87])) == [2, 3]
    assert roll.sum() == 9
    begin = targets.onsets(spans, GRID, (1.0, 0.5))
    assert list(begin[:, 39]) == [1, 0.5] + [0] * 8
    assert begin[5, 43] == 1 and begin.shape == (10, 88)


def test_activity_of_sources():
    spans = [Span(0.0, 0.5, "vocals"), Span(0.4, 1.0, "drums")]
    found = targets.activity(spans, GRID, ("drums", "vocals"))
    assert found.sum(axis=0) == pytest.approx([6, 5])
    assert list(found[4]) == [True, True]
    with pytest.raises(ProbeError, match="bass"):
        targets.activity([Span(0, 1, "bass")], GRID, ("drums",))


def test_frames_are_prepared_and_scored_without_torch():
    names = "framing.grid framing.targets framing.scores decoding.beats decoding.boundaries "
    names += "decoding.chords decoding.notes decoding.peaks decoding.viterbi"
    code = "".join(f"import probes.{name}\n" for name in names.split())
    code += "import sys\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
