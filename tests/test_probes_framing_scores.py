"""Scores of tracks against mir_eval's own, against cases by hand, and where nothing is there."""

from __future__ import annotations

import math
import warnings

import mir_eval
import numpy as np
import pytest

from probes import inference
from probes.errors import ProbeError
from probes.framing import scores
from probes.framing.grid import Grid, Span
from probes.framing.scores import Ratio, TrackScores, corpus, table
from probes.framing.targets import pitches
from probes.scored import Sums

NAN = pytest.approx(math.nan, nan_ok=True)


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def theirs(evaluate, *given, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return evaluate(*given, **options)


def spans(edges, values) -> list[Span]:
    return [Span(a, b, v) for a, b, v in zip(edges[:-1], edges[1:], values, strict=True)]


def arrays(found) -> tuple[np.ndarray, list[str]]:
    return np.array([s[:2] for s in found]).reshape(-1, 2), [s.value for s in found]


# sums


def test_scores_over_tracks_are_means_or_pooled_as_their_sums_say():
    tracks = [
        TrackScores({"mean": (0.5, 1.0), "pooled": (3.0, 4.0)}),
        TrackScores({"mean": (1.0, 1.0), "pooled": (0.0, 12.0)}),
        TrackScores({"mean": (0.0, 0.0), "pooled": (0.0, 0.0)}),
    ]
    assert corpus(tracks) == pytest.approx({"mean": 0.75, "pooled": 3 / 16})
    assert tracks[0].values == {"mean": 0.5, "pooled": 0.75}
    assert tracks[2].values == {"mean": NAN, "pooled": NAN}
    assert corpus(tracks[2:]) == {"mean": NAN, "pooled": NAN}
    assert corpus([]) == {}


def test_intervals_resample_tracks_or_groups_of_them():
    rng = np.random.default_rng(0)
    tracks = [TrackScores({"a": (float(x), 1.0)}) for x in rng.random(30)]
    groups = np.repeat(np.arange(10), 3)
    sums = table(tracks, "a", groups)
    assert sums.shape == (10, 2)
    draws = inference.draw(10, 50, seed=0)
    found = Sums(sums, Ratio.value).resampled(draws)
    values = np.array([t.values["a"] for t in tracks]).reshape(10, 3)
    wanted = (draws @ values.sum(axis=1)) / (3 * draws.sum(axis=1))
    assert found == pytest.approx(wanted)
    assert table(tracks, "a").shape == (30, 2)


# beats

EVEN = np.arange(0.5, 30, 0.5)


@pytest.mark.parametrize("seed", range(5))
def test_beats_are_scored_as_mir_eval_does(seed):
    rng = np.random.default_rng(seed)
    found = np.sort(np.concatenate([EVEN + rng.normal(0, 0.05, len(EVEN)), rng.uniform(0, 30, 9)]))
    mine = scores.beats(EVEN, found).values
    wanted = theirs(mir_eval.beat.evaluate, EVEN, found)
    assert mine["F"] == wanted["F-measure"]
    assert mine["CMLt"] == wanted["Correct Metric Level Total"]
    assert mine["AMLt"] == wanted["Any Metric Level Total"]
    assert scores.downbeats(EVEN, found).values == {"F": mine["F"]}


def test_beats_by_hand():
    assert scores.beats(EVEN, EVEN + 0.065).values == {"F": 1, "CMLt": 1, "AMLt": 1}
    between = 49 / 50  # moments between beats are one fewer than beats
    assert scores.beats(EVEN, EVEN + 0.25).values == {"F": 0, "CMLt": 0, "AMLt": between}
    double = scores.beats(EVEN, np.arange(0.5, 29.6, 0.25)).values
    assert double["F"] == pytest.approx(2 * 50 / (50 + 99))
    assert double["CMLt"] == pytest.approx(0, abs=0.03) and double["AMLt"] == 1
    assert scores.beats(EVEN, EVEN + 0.075).values["F"] == 0


def test_the_first_five_seconds_are_left_out():
    found = np.where(EVEN < 5, EVEN + 0.2, EVEN)
    assert scores.beats(EVEN, found).values["F"] == 1
    assert scores.beats(EVEN, found, trim=0).values["F"] < 1
    assert scores.downbeats(EVEN, found, trim=0).values["F"] < 1


def test_beats_that_are_missing():
    assert scores.beats(EVEN, []).values == {"F": 0, "CMLt": 0, "AMLt": 0}
    assert scores.beats([], EVEN).values == {"F": NAN, "CMLt": NAN, "AMLt": NAN}
    assert scores.beats([], []).values == {"F": NAN, "CMLt": NAN, "AMLt": NAN}
    short = np.arange(0.5, 4.9, 0.5)
    assert scores.beats(short, short).values == {"F": NAN, "CMLt": NAN, "AMLt": NAN}
    assert scores.beats(short, short, trim=0).values == {"F": 1, "CMLt": 1, "AMLt": 1}
    assert scores.beats([6.0], [6.0]).values == {"F": 1, "CMLt": NAN, "AMLt": NAN}
    assert scores.beats(EVEN, [6.0]).values == {
        "F": pytest.approx(2 / 51), "CMLt": 0, "AMLt": 0,
    }  # fmt: skip
    assert scores.beats([6.0, 6.5], [6.0, 6.5]).values["CMLt"] == 1


def test_the_order_of_moments_does_not_matter():
    assert scores.beats(EVEN[::-1], EVEN).values["F"] == 1


# onsets and tempo


def test_onsets_are_scored_as_mir_eval_does():
    rng = np.random.default_rng(0)
    truth, found = np.sort(rng.uniform(0, 20, 60)), np.sort(rng.uniform(0, 20, 70))
    f, p, r = mir_eval.onset.f_measure(truth, found, 0.05)
    assert scores.onsets(truth, found).values == {"F": f, "P": p, "R": r}
    assert scores.onsets([1.0, 2.0], [1.04, 2.06]).values == {"F": 0.5, "P": 0.5, "R": 0.5}
    assert scores.onsets([], [1.0]).values == {"F": NAN, "P": NAN, "R": NAN}
    assert scores.onsets([1.0], []).values == {"F": 0, "P": 0, "R": 0}


@pytest.mark.parametrize(
    "said, first, second",
    [
        (120, 1, 1), (124.7, 1, 1), (125, 0, 0), (60, 0, 1), (61, 0, 1), (240, 0, 1), (360, 0, 1),
        (40, 0, 1), (80, 0, 0), (0, 0, 0), (math.nan, 0, 0), (30, 0, 0), (115.3, 1, 1),
    ],
)  # fmt: skip
def test_tempo_within_four_per_cent(said, first, second):
    assert scores.tempo(120.0, said).values == {"Acc1": first, "Acc2": second}


@pytest.mark.parametrize("reference", [None, 0.0, math.nan])
def test_a_track_without_a_tempo_takes_no_part(reference):
    assert scores.tempo(reference, 120.0).values == {"Acc1": NAN, "Acc2": NAN}


# chords

CHORDS = ("C:maj", "C:min", "G:7", "A:min7", "F:maj7", "N", "X", "D:dim", "E:sus4", "C:maj/3")


@pytest.mark.parametrize("seed", range(5))
def test_chords_are_scored_as_mir_eval_does(seed):
    rng = np.random.default_rng(seed)
    truth = spans(np.r_[0, np.sort(rng.uniform(1, 59, 29)), 60], rng.choice(CHORDS, 30))
    found = spans(np.r_[0.5, np.sort(rng.uniform(1, 57, 39)), 58], rng.choice(CHORDS[:6], 40))
    track = scores.chords(truth, found)
    wanted = theirs(mir_eval.chord.evaluate, *arrays(truth), *arrays(found))
    for name in ("majmin", "root", "sevenths"):
        assert track.values[name] == pytest.approx(wanted[name])


def test_a_corpus_of_chords_is_one_long_track():
    rng = np.random.default_rng(0)
    tracks, truths, founds, start = [], [], [], 0.0
    for seconds in (10.0, 60.0, 25.0):
        edges = np.r_[0, np.sort(rng.uniform(0, seconds, 7)), seconds]
        truth, found = (spans(edges, rng.choice(CHORDS, 8)) for _ in range(2))
        tracks.append(scores.chords(truth, found))
        for part, whole in ((truth, truths), (found, founds)):
            whole += [Span(s.start + start, s.end + start, s.value) for s in part]
        start += seconds
    whole = scores.chords(truths, founds)
    assert corpus(tracks) == pytest.approx(whole.values)


def test_chords_by_hand():
    truth = spans([0, 4, 6, 7, 10], ["C:maj", "A:min7", "X", "B:dim"])
    found = spans([0, 2, 10], ["C:maj", "A:min"])
    track = scores.chords(truth, found)
    assert track.sums["majmin"] == pytest.approx((4, 6))  # 2 s of C, 2 s of A minor
    assert track.sums["root"] == pytest.approx((4, 9))
    assert track.sums["sevenths"] == pytest.approx((2, 6))


def test_stretches_without_a_chord():
    truth = [Span(1.0, 2.0, "C:maj"), Span(3.0, 4.0, "G:maj")]
    whole = scores.chords(truth, [Span(0.0, 9.0, "C:maj")])
    assert whole.sums["majmin"] == pytest.approx((1, 2))
    assert scores.chords(truth, []).sums["majmin"] == pytest.approx((0, 2))
    silent = scores.chords([Span(0, 2, "N")], [])
    assert silent.values == {"majmin": 1, "root": 1, "sevenths": 1}
    late = scores.chords([Span(0, 4, "N")], [Span(3.0, 4.0, "C:maj")])
    assert late.sums["majmin"] == pytest.approx((3, 4))


def test_overlapping_chords_end_where_the_next_begins():
    truth = [Span(0.0, 3.0, "C:maj"), Span(2.0, 4.0, "G:maj")]
    found = spans([0, 2, 4], ["C:maj", "G:maj"])
    assert scores.chords(truth, found).sums["majmin"] == pytest.approx((4, 4))


def test_tracks_of_chords_that_cannot_be_compared():
    every = {"majmin": NAN, "root": NAN, "sevenths": NAN}
    assert scores.chords(spans([0, 3, 5], ["X", "X"]), spans([0, 5], ["C:maj"])).values == every
    assert scores.chords([], spans([0, 5], ["C:maj"])).values == every
    with pytest.raises(ProbeError, match="Harte"):
        scores.chords(spans([0, 5], ["do"]), [])


# structure


@pytest.mark.parametrize("seed", range(5))
def test_structure_is_scored_as_mir_eval_does(seed):
    rng = np.random.default_rng(seed)
    truth = spans(np.r_[0, np.sort(rng.uniform(5, 170, 8)), 180], rng.choice(list("abc"), 9))
    found = spans(np.r_[0, np.sort(rng.uniform(5, 170, 10)), 175], rng.choice(list("xyz"), 11))
    mine = scores.sections(truth, found).values
    wanted = theirs(mir_eval.segment.evaluate, *arrays(truth), *arrays(found), trim=True)
    for window in ("0.5", "3"):
        for short, long in (("F", "F-measure"), ("P", "Precision"), ("R", "Recall")):
            assert mine[f"{short} {window}"] == wanted[f"{long}@{float(window)}"]
    assert mine["PW F"] == wanted["Pairwise F-measure"]
    assert mine["PW P"] == wanted["Pairwise Precision"]
    assert mine["PW R"] == wanted["Pairwise Recall"]
    alone = scores.boundaries([s.start for s in truth], [s.start for s in found] + [175.0], 180.0)
    assert alone.values == {name: mine[name] for name in alone.sums}


def test_boundaries_by_hand():
    found = scores.boundaries([10, 20, 30], [10.4, 22, 50], 60.0).values
    assert found["F 0.5"] == pytest.approx(1 / 3) and found["F 3"] == pytest.approx(2 / 3)
    more = scores.boundaries([0.0, 10, 60], [10.0, 30.0], 60.0).values
    assert (more["P 0.5"], more["R 0.5"]) == (0.5, 1.0)


def test_pairwise_by_hand():
    """One section for two of equal length: every pair that is alike is found, and as many not."""
    found = scores.sections(spans([0, 10, 20], "ab"), spans([0, 20], "a")).values
    assert found["PW R"] == 1
    assert found["PW P"] == pytest.approx(2 * 99 / 2 / 199, abs=0.01)


def test_structure_that_is_missing():
    none = scores.boundaries([], [10.0], 60.0).values
    assert set(none) == {f"{s} {w}" for s in "FPR" for w in ("0.5", "3")}
    assert all(math.isnan(v) for v in none.values())
    assert set(scores.boundaries([10.0], [], 60.0).values.values()) == {0.0}
    assert all(math.isnan(v) for v in scores.sections([], spans([0, 9], "a")).values.values())
    nothing = scores.sections(spans([0, 10, 20], "ab"), []).values
    assert nothing["F 3"] == 0 and nothing["PW R"] == 1
    single = scores.sections(spans([0, 20], "a"), spans([0, 10, 20], "ab")).values
    assert math.isnan(single["F 3"]) and single["PW P"] == 1
    assert (
        scores.sections([], []).sums.keys() == scores.sections(spans([0, 9], "a"), []).sums.keys()
    )


# melody


@pytest.mark.parametrize("seed", range(5))
def test_melody_is_scored_as_mir_eval_does(seed):
    rng = np.random.default_rng(seed)
    times = np.arange(0, 5, 0.01)
    hz = np.where(rng.random(500) < 0.7, 220 * 2 ** rng.uniform(0, 1, 500), 0)
    when = Grid(250, 50.0).times
    what = 220 * 2 ** rng.uniform(0, 1, 250) * rng.choice([1, -1, 2], 250)
    mine = scores.melody(times, hz, when, what).values
    wanted = theirs(mir_eval.melody.evaluate, times, hz, when, what)
    assert mine == {
        "RPA": wanted["Raw Pitch Accuracy"], "RCA": wanted["Raw Chroma Accuracy"],
        "OA": wanted["Overall Accuracy"], "VR": wanted["Voicing Recall"],
        "VFA": wanted["Voicing False Alarm"],
    }  # fmt: skip


def test_melody_by_hand():
    times = np.arange(8) / 10
    truth = np.array([440.0, 440, 440, 440, 0, 0, 0, 0])
    found = np.array([440.0, 880, 450, -440, 0, 0, 0, 300])
    assert scores.melody(times, truth, times, found).values == pytest.approx(
        {"RPA": 3 / 4, "RCA": 1.0, "OA": (2 + 3) / 8, "VR": 3 / 4, "VFA": 1 / 4}
    )


def test_melody_that_is_missing():
    times, voiced, silent = np.arange(4) / 10, np.full(4, 220.0), np.zeros(4)
    empty = np.empty(0)
    assert scores.melody(times, voiced, empty, empty).values == {
        "RPA": 0, "RCA": 0, "OA": 0, "VR": 0, "VFA": NAN,
    }  # fmt: skip
    assert scores.melody(times, silent, times, silent).values == {
        "RPA": NAN, "RCA": NAN, "OA": 1, "VR": NAN, "VFA": 0,
    }  # fmt: skip
    assert all(math.isnan(v) for v in scores.melody(empty, empty, times, voiced).values.values())


# pitches and notes


def test_pitches_are_scored_as_mir_eval_does():
    rng = np.random.default_rng(0)
    truth, found = (rng.random((200, 88)) < 0.03 for _ in range(2))
    found |= truth & (rng.random((200, 88)) < 0.6)
    mine = scores.multipitch(truth, found)
    hz = 440 * 2 ** ((np.arange(21, 109) - 69) / 12)
    times = np.arange(200) / 50
    for end, rows in (
        ("", range(200)),
        *((f" {n}", np.flatnonzero(truth.sum(1) == n)) for n in (1, 2, 3, 4)),
    ):
        lists = ([hz[roll[i]] for i in rows] for roll in (truth, found))
        when = times[: len(rows)]
        given = next(lists), next(lists)
        wanted = theirs(mir_eval.multipitch.evaluate, when, given[0], when, given[1])
        p, r = wanted["Precision"], wanted["Recall"]
        assert mine.values[f"P{end}"] == pytest.approx(p)
        assert mine.values[f"R{end}"] == pytest.approx(r)
        assert mine.values[f"F{end}"] == pytest.approx(2 * p * r / (p + r))


def test_pitches_by_hand():
    grid = Grid(4, 10.0)
    truth = pitches([Span(0, 0.4, 60.0), Span(0.2, 0.4, 64.0)], grid)
    found = pitches([Span(0, 0.4, 60.0), Span(0.1, 0.2, 70.0)], grid)
    sums = scores.multipitch(truth, found).sums
    assert sums["P"] == (4, 5) and sums["R"] == (4, 6) and sums["F"] == (8, 11)
    assert sums["P 1"] == (2, 3) and sums["R 1"] == (2, 2)
    assert sums["P 2"] == (2, 2) and sums["R 2"] == (2, 4)
    assert sums["F 3"] == (0, 0)


def test_pitches_that_are_missing():
    truth, none = np.ones((3, 88), bool), np.zeros((3, 88), bool)
    assert scores.multipitch(truth, none).values == {
        "P": NAN, "R": 0, "F": 0,
        **{f"{s} {n}": NAN for s in "PRF" for n in (1, 2, 3, 4)},
    }  # fmt: skip
    empty = scores.multipitch(none, truth)
    assert empty.values["P"] == 0 and math.isnan(empty.values["R"]) and empty.values["F"] == 0
    nothing = scores.multipitch(np.zeros((0, 88), bool), np.zeros((0, 88), bool))
    assert all(math.isnan(v) for v in nothing.values.values())
    with pytest.raises(ProbeError, match="one grid"):
        scores.multipitch(truth, none[:2])


@pytest.mark.parametrize("seed", range(5))
def test_notes_are_scored_as_mir_eval_does(seed):
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 20, 80)
    truth = [
        Span(s, s + d, float(p))
        for s, d, p in zip(start, rng.uniform(0.1, 1, 80), rng.integers(50, 70, 80), strict=True)
    ]
    found = [
        Span(max(0, s.start + rng.normal(0, 0.04)), s.end + 1, s.value + rng.choice([0, 0, 1]))
        for s in truth[:60]
    ] + truth[70:]
    track = scores.notes(truth, found)
    rows = [scores._notes(part) for part in (truth, found)]
    p, r, f, _ = mir_eval.transcription.precision_recall_f1_overlap(
        *rows[0], *rows[1], offset_ratio=None
    )
    assert (track.values["P"], track.values["R"]) == pytest.approx((p, r))
    assert track.values["F"] == pytest.approx(f)
    every = scores.notes(truth, found, voices=range(0, 81))
    for name in "PRF":
        parts = [every.sums[f"{name} {n}"] for n in range(0, 81)]
        assert np.sum(parts, axis=0) == pytest.approx(every.sums[name])


def test_notes_by_how_many_sound():
    truth = [Span(0.0, 1.0, 60.0), Span(1.0, 2.0, 62.0), Span(1.03, 2.0, 65.0)]
    found = [Span(0.04, 0.2, 60.0), Span(0.99, 2.0, 62.0), Span(1.5, 2.0, 70.0), Span(5, 6, 60.0)]
    sums = scores.notes(truth, found).sums
    assert sums["R"] == (2, 3) and sums["P"] == (2, 4) and sums["F"] == (4, 7)
    assert sums["R 1"] == (1, 1) and sums["P 1"] == (1, 1)
    assert sums["R 2"] == (1, 2) and sums["P 2"] == (1, 2)
    assert sums["R 3"] == (0, 0)


def test_notes_that_are_missing():
    note = [Span(0.0, 0.02, 60.0)]
    assert scores.notes(note, note).sums["F 1"] == (2, 2)
    assert scores.notes(note, []).values["F"] == 0
    assert scores.notes([], note).values["R"] == NAN
    assert scores.notes([], []).values["F"] == NAN
    late = [Span(0.051, 0.2, 60.0)]
    assert scores.notes(note, late).values["F"] == 0
