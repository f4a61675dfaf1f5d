"""Decoding against every path there is, and on clicks whose beats are known."""

from __future__ import annotations

import itertools
import time

import mir_eval
import numpy as np
import pytest

from probes.decoding import beats as tracking
from probes.decoding import boundaries, chords, notes
from probes.decoding.beats import track
from probes.decoding.peaks import pick, refined
from probes.decoding.viterbi import best_path
from probes.errors import ProbeError
from probes.framing.grid import Grid, Span

RATE = 50.0


def bumps(times, frames: int, height=0.8, width: float = 0.025) -> np.ndarray:
    """[frames] an activation that peaks at times, as a trained head does."""
    times, height = np.asarray(times, dtype=float), np.broadcast_to(height, np.shape(times))
    apart = Grid(frames, RATE).times[:, None] - times
    return (height * np.exp(-0.5 * (apart / width) ** 2)).max(axis=1, initial=0.0)


# peaks


def test_a_peak_stands_where_the_parabola_says():
    frames = np.arange(20)
    curve = 1.0 - 0.01 * (frames - 7.3) ** 2
    assert pick(curve, 10.0) == pytest.approx([(7.3 + 0.5) / 10])


def test_peaks_at_the_ends_and_plateaus_count_once():
    assert pick(np.array([1.0, 0, 0, 1]), 1.0) == pytest.approx([0.5, 3.5])
    assert pick(np.array([0.0, 1, 1, 0]), 1.0) == pytest.approx([2.0])
    assert pick(np.array([0.0, 1, 1, 1, 0, 0]), 1.0) == pytest.approx([2.5])


def test_peaks_below_the_threshold_are_none():
    curve = np.array([0, 0.4, 0, 0.5, 0, 0.9, 0])
    assert len(pick(curve, 1.0, threshold=0.5)) == 2
    assert len(pick(np.zeros(5), 1.0)) == 0
    assert len(pick(np.empty(0), 1.0)) == 0
    assert pick(np.array([0.7]), 1.0) == pytest.approx([0.5])


def test_of_peaks_that_are_close_the_highest_stays():
    curve = np.zeros(40)
    curve[[5, 9, 13, 30]] = 0.6, 0.9, 0.8, 0.7
    assert pick(curve, 10.0, distance=0.4) == pytest.approx([0.55, 0.95, 1.35, 3.05])
    assert pick(curve, 10.0, distance=0.5) == pytest.approx([0.95, 3.05])


def test_refinement_stays_within_half_a_frame():
    rng = np.random.default_rng(0)
    curve = rng.random(200)
    frames = np.arange(200)
    assert (np.abs(refined(curve, frames) - frames) <= 0.5).all()


def test_an_activation_that_is_none_is_refused():
    with pytest.raises(ProbeError, match="NaN"):
        pick(np.array([0.1, np.nan]), 1.0)
    with pytest.raises(ProbeError, match="shape"):
        track(np.zeros((3, 2)), rate=RATE)


# paths


@pytest.mark.parametrize("seed", range(5))
def test_the_best_path_is_the_best_of_all(seed):
    rng = np.random.default_rng(seed)
    frames, states = 6, 3
    scores = rng.normal(size=(frames, states))
    moves = np.log(rng.dirichlet(np.ones(states), states))
    start = np.log(rng.dirichlet(np.ones(states)))

    def total(path):
        steps = sum(moves[a, b] for a, b in itertools.pairwise(path))
        return start[path[0]] + sum(scores[t, s] for t, s in enumerate(path)) + steps

    wanted = max(itertools.product(range(states), repeat=frames), key=total)
    path, score = best_path(scores, moves, start)
    assert tuple(path) == wanted
    assert score == pytest.approx(total(wanted))


def test_a_path_without_frames_is_empty():
    assert best_path(np.empty((0, 3)), np.zeros((3, 3)))[0].size == 0


# beats


def dense(beat, down, lengths, per_bar, steadiness, share):
    """The same model with one state a position: log-probabilities of starts, moves, frames."""
    states = [
        (size, place, int(length), at)
        for size in per_bar
        for place in range(size)
        for length in lengths
        for at in range(length)
    ]
    number = {state: i for i, state in enumerate(states)}
    change = tracking.tempo_changes(np.asarray(lengths), steadiness)
    moves = np.full((len(states), len(states)), -np.inf)
    for (size, place, length, at), i in number.items():
        if at + 1 < length:
            moves[i, number[size, place, length, at + 1]] = 0.0
            continue
        here = list(lengths).index(length)
        for there, other in enumerate(lengths):
            then = number[size, (place + 1) % size, int(other), 0]
            moves[i, then] = change[here, there]
    in_bar = {size: size * sum(lengths) for size in per_bar}
    start = np.array([-np.log(len(per_bar) * in_bar[size]) for size, *_ in states])
    seen = tracking.observations(beat, down, share)
    kind = [
        (1 if place == 0 else 0) if at < np.ceil(length / share) else 2
        for _, place, length, at in states
    ]
    return states, seen[kind].T, moves, start


@pytest.mark.parametrize("seed", range(20))
def test_beats_are_those_of_the_best_of_all_paths(seed):
    """Brute force: each path through the states, frame by frame."""
    rng = np.random.default_rng(seed)
    beat, down = rng.random(8), rng.random(8) * 0.7
    states, scores, moves, start = dense(beat, down, [2, 3], (1, 2), 3.0, 4.0)

    def extend(paths):
        for path, score in paths:
            for then in np.flatnonzero(np.isfinite(moves[path[-1]])):
                yield (*path, then), score + moves[path[-1], then] + scores[len(path), then]

    paths = [((s,), start[s] + scores[0, s]) for s in range(len(states))]
    for _ in range(7):
        paths = list(extend(paths))
    path, wanted = max(paths, key=lambda p: p[1])
    found = track(
        beat, down, rate=1.0, bpm=(20, 30), steadiness=3.0, share=4.0, per_bar=(1, 2),
        threshold=0.0, snap=False, resolution=1.0,
    )  # fmt: skip
    assert found.score == pytest.approx(wanted, rel=1e-5)
    assert found.per_bar == states[path[0]][0]
    first = [t for t, s in enumerate(path) if states[s][3] == 0]
    assert found.beats == pytest.approx(np.array(first) + 0.5)
    assert list(found.positions) == [states[path[t]][1] + 1 for t in first]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("joint", [True, False])
def test_beats_are_those_of_viterbi_over_positions(seed, joint):
    """The same model with one state a position, on longer clips and more tempi."""
    rng = np.random.default_rng(seed)
    beat, down = rng.random(80) ** 3, rng.random(80) ** 4
    lengths, sizes = [5, 6, 7, 8, 9], (3, 4) if joint else (1,)
    states, scores, moves, start = dense(beat, down if joint else beat, lengths, sizes, 10.0, 4.0)
    path, wanted = best_path(scores, moves, start)
    found = track(
        beat, down if joint else None, rate=10.0, bpm=(600 / 9, 120), steadiness=10.0, share=4.0,
        threshold=0.0, snap=False, resolution=10.0,
    )  # fmt: skip
    assert found.score == pytest.approx(wanted, rel=1e-5)
    begun = [t for t, s in enumerate(path) if states[s][3] == 0]
    shown = states[path[0]][3] < np.ceil(states[path[0]][2] / 4.0)
    begun = sorted({*begun, *([0] if shown else [])})  # the first is under way, and still observed
    assert found.beats == pytest.approx((np.array(begun) + 0.5) / 10)
    assert found.per_bar == (states[path[0]][0] if joint else 0)


@pytest.mark.parametrize("joint", [True, False])
def test_clips_of_any_length_are_tracked_together_as_each_alone(joint):
    rng = np.random.default_rng(5)
    clips = [rng.random(n) ** 3 for n in (60, 0, 200, 33, 200, 121)] + [np.zeros(80)]
    downs = [0.9 * clip * rng.random(len(clip)) for clip in clips] if joint else None
    together = tracking.track_all(clips, downs, rate=25.0)
    for i, found in enumerate(together):
        alone = track(clips[i], downs[i] if joint else None, rate=25.0)
        assert np.array_equal(found.beats, alone.beats)
        assert np.array_equal(found.positions, alone.positions)
        assert (found.per_bar, found.score) == (alone.per_bar, pytest.approx(alone.score))
    assert tracking.track_all([], rate=25.0) == []


def test_intervals_are_whole_frames_on_a_logarithmic_grid():
    assert list(tracking.intervals(50, (55, 215), 60)) == list(range(14, 56))
    some = tracking.intervals(100, (55, 215), 60)
    assert len(some) == 60 and some[0] == 28 and some[-1] == 109
    assert (np.diff(some) >= 1).all() and np.diff(some)[-1] > np.diff(some)[0]


def test_changes_of_tempo_are_probabilities_that_fall_with_the_ratio():
    table = np.exp(tracking.tempo_changes(np.array([20, 21, 25, 40]), 50.0))
    assert table.sum(axis=1) == pytest.approx(np.ones(4))
    assert table[0, 1] / table[0, 0] == pytest.approx(np.exp(-50 / 20))
    assert table[3, 2] / table[3, 3] == pytest.approx(np.exp(-50 * 15 / 40))
    assert table[0, 3] == 0  # less probable than 1e-9


def score(wanted, found) -> float:
    return mir_eval.beat.f_measure(np.asarray(wanted), np.asarray(found))


@pytest.mark.parametrize("bpm", [58, 75, 98.3, 123, 150, 187, 210])
@pytest.mark.parametrize("size", [3, 4])
def test_constant_tempo(bpm, size):
    times = np.arange(0.31, 30, 60 / bpm)
    down = times[1::size]
    found = track(bumps(times, 1500), bumps(down, 1500), rate=RATE)
    assert found.per_bar == size
    assert found.beats == pytest.approx(times, abs=0.025)
    assert found.downbeats == pytest.approx(down, abs=0.025)
    alone = track(bumps(times, 1500), rate=RATE)
    assert alone.beats == pytest.approx(times, abs=0.025)
    assert alone.per_bar == 0 and not len(alone.downbeats)


@pytest.mark.parametrize("size", [3, 4])
@pytest.mark.parametrize("course", ["faster", "slower", "jump"])
def test_tempo_that_drifts_or_jumps(course, size):
    bpm = {
        "faster": lambda t: 80 + 2 * t,
        "slower": lambda t: 160 - 2.5 * t,
        "jump": lambda t: 90 if t < 15 else 120,
    }[course]
    times = [0.4]
    while (then := times[-1] + 60 / bpm(times[-1])) < 30:
        times.append(then)
    found = track(bumps(times, 1500), bumps(times[::size], 1500), rate=RATE)
    assert score(times, found.beats) > 0.97
    assert score(times[::size], found.downbeats) > 0.94
    assert found.per_bar == size


@pytest.mark.parametrize("size", [3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_noise_and_missing_beats(seed, size):
    rng = np.random.default_rng(seed)
    times = np.arange(0.2, 30, 60 / 112) + rng.normal(0, 0.008, 56)
    down = times[::size]
    heard = rng.random(len(times)) < 0.8
    beat = np.clip(bumps(times[heard], 1500) + 0.15 * rng.random(1500), 0, 1)
    beat = np.maximum(beat, bumps(rng.uniform(0, 30, 12), 1500, 0.5))  # beats that are none
    strong = np.clip(bumps(down[rng.random(len(down)) < 0.8], 1500) + 0.1 * rng.random(1500), 0, 1)
    found = track(beat, strong, rate=RATE)
    picked = pick(beat, RATE, 0.3, 0.2)
    assert score(times, found.beats) > 0.97 > score(times, picked)
    assert score(down, found.downbeats) > 0.95
    assert found.per_bar == size


def test_tempi_outside_the_range_are_tracked_an_octave_off():
    fast, slow = np.arange(0.2, 30, 60 / 280), np.arange(0.2, 30, 60 / 40)
    for times, bpm in ((fast, 140), (slow, 80)):
        found = track(bumps(times, 1500), rate=RATE)
        assert 60 / np.median(np.diff(found.beats)) == pytest.approx(bpm, rel=0.02)
        hits = np.abs(found.beats[:, None] - times).min(axis=1) < 0.03
        assert hits.mean() > (0.9 if bpm == 140 else 0.45)


def test_the_level_is_that_of_the_activation_and_of_no_prior():
    """Clicks at half and at twice a tempo inside the range are tracked as they are."""
    for bpm in (60, 120):
        times = np.arange(0.3, 30, 60 / bpm)
        found = track(bumps(times, 1500), rate=RATE)
        assert len(found.beats) == len(times)


def test_the_phase_is_free():
    for shift in (0.02, 0.17, 0.33, 0.48):
        times = np.arange(shift, 30, 0.5)
        found = track(bumps(times, 1500), bumps(times[2::4], 1500), rate=RATE)
        assert found.beats == pytest.approx(times, abs=0.025)
        assert list(found.positions[:3]) == [3, 4, 1]


def test_off_beats_that_are_weaker_do_not_move_the_beat():
    times = np.arange(0.3, 30, 0.6)
    beat = np.maximum(bumps(times, 1500, 0.9), bumps(times + 0.3, 1500, 0.3))
    assert track(beat, rate=RATE).beats == pytest.approx(times, abs=0.02)


def test_bars_of_two_only_by_choice():
    times = np.arange(0.3, 30, 0.5)
    pair = bumps(times, 1500), bumps(times[::2], 1500)
    assert track(*pair, rate=RATE).per_bar in (3, 4)
    found = track(*pair, rate=RATE, per_bar=(2, 3, 4))
    assert found.per_bar == 2
    assert found.downbeats == pytest.approx(times[::2], abs=0.02)


def test_stretches_without_activation_at_the_ends_hold_no_beats():
    times = np.arange(10.0, 20, 0.5)
    found = track(bumps(times, 1500), rate=RATE).beats
    assert found == pytest.approx(times, abs=0.02)


def test_edge_cases():
    assert len(track(np.zeros(500), rate=RATE).beats) == 0
    assert len(track(np.empty(0), rate=RATE).beats) == 0
    assert len(track(np.full(500, 0.04), np.full(500, 0.01), rate=RATE).beats) == 0
    one = np.zeros(40)
    one[20] = 0.9
    assert track(one, rate=RATE).beats == pytest.approx([0.41])
    assert track(np.array([0.9]), rate=RATE).beats == pytest.approx([0.01])
    full = track(np.ones(500), np.ones(500), rate=RATE)
    assert np.isfinite(full.score)


def test_what_cannot_be_tracked_is_said():
    with pytest.raises(ProbeError, match="Hz or more"):
        track(np.ones(10), rate=2.0)
    with pytest.raises(ProbeError, match="as many"):
        track(np.ones(10), np.ones(9), rate=RATE)
    with pytest.raises(ProbeError, match="bars"):
        track(np.ones(10), np.ones(10), rate=RATE, per_bar=())
    with pytest.raises(ProbeError, match="slowest"):
        track(np.ones(10), rate=RATE, bpm=(200, 100))


def test_half_a_minute_takes_well_below_a_second():
    rng = np.random.default_rng(0)
    beat = rng.random(1500)
    started = time.process_time()
    track(beat, beat * rng.random(1500), rate=RATE)
    assert time.process_time() - started < 0.8


# chords

NAMES = ("C:maj", "A:min", "N")


def test_chords_are_segments_that_cover_the_frames():
    table = np.array([[0.9, 0.05, 0.05]] * 3 + [[0.1, 0.8, 0.1]] * 2)
    assert chords.decode(table, 2.0, NAMES, stay=0.5) == (
        Span(0.0, 1.5, "C:maj"), Span(1.5, 2.5, "A:min"),
    )  # fmt: skip
    assert chords.decode(np.empty((0, 3)), 2.0, NAMES, stay=0.5) == ()


def test_staying_smooths_and_no_preference_leaves_frames_alone():
    table = np.array([[0.8, 0.2, 0.0]] * 5 + [[0.4, 0.6, 0.0]] + [[0.8, 0.2, 0.0]] * 5)
    assert len(chords.decode(table, 1.0, NAMES, stay=1 / 3)) == 3
    assert [s.value for s in chords.decode(table, 1.0, NAMES, stay=0.9)] == ["C:maj"]


def test_chords_by_learned_moves_are_the_best_of_all_paths():
    rng = np.random.default_rng(0)
    truth = [np.repeat(rng.integers(3, size=6), 4) for _ in range(5)]
    moves = chords.learned(truth, 3, extra=0.5)
    assert moves.sum(axis=1) == pytest.approx(np.ones(3))
    table = rng.dirichlet(np.ones(3), 6)
    prior = np.array([0.5, 0.3, 0.2])

    def total(path):
        steps = sum(np.log(moves[a, b]) for a, b in itertools.pairwise(path))
        return steps + sum(np.log(table[t, s] / prior[s]) for t, s in enumerate(path))

    wanted = max(itertools.product(range(3), repeat=6), key=total)
    found = chords.decode(table, 1.0, NAMES, moves=moves, prior=prior)
    frames = [s.value for s in found for _ in range(round(s.end - s.start))]
    assert frames == [NAMES[s] for s in wanted]


def test_moves_are_counted_and_frames_without_a_chord_are_not():
    moves = chords.learned([np.array([0, 0, 1, -1, 1, 1]), np.array([2])], 3, extra=0.0)
    assert moves[0] == pytest.approx([0.5, 0.5, 0])
    assert moves[1] == pytest.approx([0, 1, 0])
    assert moves[2] == pytest.approx([1 / 3] * 3)


def test_chords_that_cannot_be_decoded():
    with pytest.raises(ProbeError, match="one of them"):
        chords.decode(np.ones((2, 3)), 1.0, NAMES)
    with pytest.raises(ProbeError, match="need"):
        chords.decode(np.ones((2, 4)), 1.0, NAMES, stay=0.9)
    with pytest.raises(ProbeError, match="between"):
        chords.decode(np.ones((2, 3)), 1.0, NAMES, stay=1.0)


# sections


def test_changes_stand_out_from_their_surroundings():
    grid = Grid(480, 8.0)
    slope = 0.4 * grid.times / 60
    peaks = np.array([12.0, 31.0, 47.0])
    curve = slope + (0.4 * np.exp(-((grid.times[:, None] - peaks) ** 2))).max(axis=1)
    assert boundaries.changes(curve, 8.0, 0.15) == pytest.approx(peaks, abs=0.1)
    assert len(boundaries.changes(slope, 8.0, 0.15)) == 0
    assert len(boundaries.changes(curve, 8.0, 0.15, distance=17.0)) == 2
    assert len(boundaries.changes(np.empty(0), 8.0)) == 0


def test_surroundings_are_means_within_the_clip():
    curve = np.arange(10.0)
    found = boundaries.surroundings(curve, 1.0, 2, 1)
    assert found == pytest.approx([curve[max(0, i - 2) : i + 2].mean() for i in range(10)])


def test_the_ends_of_a_clip_are_no_changes():
    curve = np.zeros(80)
    curve[[0, 1, 40, 78, 79]] = 1.0, 0.5, 0.8, 0.9, 0.9
    assert boundaries.changes(curve, 8.0, around=None) == pytest.approx([40.5 / 8])
    for still in (np.ones(80), np.linspace(0, 1, 80), np.array([1.0, 0, 1])):
        assert len(boundaries.changes(still, 8.0, around=None)) == 0


def test_a_section_is_what_most_of_its_frames_are():
    classes = np.array([0, 0, 1, 0, 2, 2, 1, 2])
    found = boundaries.sections(np.array([2.0]), classes, 2.0, ("a", "b", "c"))
    assert found == (Span(0.0, 2.0, "a"), Span(2.0, 4.0, "c"))
    whole = boundaries.sections(np.empty(0), np.array([1, 0]), 2.0, ("a", "b"))
    assert whole == (Span(0.0, 1.0, "a"),)
    thin = boundaries.sections(np.array([2.0, 2.1]), classes, 2.0, ("a", "b", "c"))
    assert [s.end for s in thin] == [2.1, 4.0]
    assert boundaries.sections(np.array([1.0]), np.empty(0, int), 2.0, ("a",)) == ()


# notes


def test_notes_are_runs_above_the_threshold():
    table = np.zeros((10, 88))
    table[2:5, 39] = 0.9
    table[0:10, 43] = 0.6
    table[7, 39] = 0.7
    assert notes.decode(table, 10.0) == (
        Span(0.0, 1.0, 64.0), Span(0.2, 0.5, 60.0), Span(0.7, 0.8, 60.0),
    )  # fmt: skip
    assert len(notes.decode(table, 10.0, shortest=0.2)) == 2
    assert notes.decode(np.zeros((0, 88)), 10.0) == ()


def test_a_note_that_begins_again_is_two_notes():
    table, begins = np.zeros((10, 88)), np.zeros((10, 88))
    table[1:9, 0] = 0.9
    begins[[1, 5], 0] = 0.8
    begins[[4, 6], 0] = 0.6
    begins[9, 0] = 0.9
    assert notes.decode(table, 10.0, begins=begins) == (
        Span(0.1, 0.5, 21.0), Span(0.5, 0.9, 21.0),
    )  # fmt: skip
