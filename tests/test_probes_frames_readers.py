"""Labels to targets and answers to scores: heads that are right are scored so, by mir_eval."""

from __future__ import annotations

import mir_eval
import numpy as np
import pytest
from planted_frames import excerpts

from probes.decoding.beats import track
from probes.decoding.chords import decode
from probes.decoding.peaks import pick
from probes.errors import ProbeError
from probes.framing import targets
from probes.framing.grid import Grid, Span
from probes.framing.heads import FrameTarget
from probes.framing.readers import READERS, reader
from probes.framing.readers.base import choose, over
from probes.framing.readers.pitch import BINS, refined
from probes.framing.scores import TrackScores
from probes.framing.table import Excerpt
from probes.tasks.frames import ENTRIES

CLIP = excerpts(splits={"test": 1})[0]
SONG = Excerpt(
    "song", 180.0, "song",
    segments={
        "section": tuple(
            Span(a, b, v) for a, b, v in [(0.0, 21.2, "in"), (21.2, 70.0, "a"), (70.0, 122.7, "b"),
                                          (122.7, 180.0, "a")]
        ),
        "function": (Span(0.0, 21.2, "intro"), Span(21.2, 70.0, "verse"),
                     Span(70.0, 122.7, "chorus"), Span(122.7, 170.0, "verse")),
        "vocals_active": (Span(0.0, 100.0, "no"), Span(100.0, 150.0, "yes")),
        "drums_active": (Span(0.0, 60.0, "yes"), Span(60.0, 180.0, "no")),
    },
)  # fmt: skip
BY_NAME = {task.name: task for task in ENTRIES}
NAMES = list(BY_NAME)


def asked(name: str):
    """The reader of a task, a clip that it takes, and the clip's grid."""
    task = BY_NAME[name]
    clip = CLIP if task.reads().labelled(CLIP) else SONG
    one = task.reads()
    one.learn([clip])
    return one, clip, Grid.of(clip.duration, float(task.rows.partition(":")[2]))


def said(one, target: np.ndarray, sure: float = 0.9) -> np.ndarray:
    """[frames, outputs] probabilities of a head that knows the target."""
    if one.loss == "sigmoid":
        return np.nan_to_num(target) * sure
    out = np.full((len(target), len(one.outputs)), (1 - sure) / len(one.outputs))
    known = target >= 0
    out[known, target[known]] += sure
    return out / out.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_head_that_is_right_scores_as_much_as_the_grid_allows(name):
    one, clip, grid = asked(name)
    target = one.target(clip, grid)
    shape = (grid.frames,) if one.loss == "softmax" else (grid.frames, len(one.outputs))
    assert target.shape == shape
    task, truth = BY_NAME[name], one.truth(clip, grid)
    scores = one.judge(truth, said(one, target), one.settings)
    assert len(scores) == len(one.settings)
    best = scores[choose([scores], one.chooser)].values
    assert best[task.metric] > 0.95
    assert set(best) >= {task.metric, *task.also, one.chooser}


@pytest.mark.parametrize("name", NAMES)
def test_chance_is_below_what_is_known_and_names_every_score(name):
    one, clip, grid = asked(name)
    target = one.target(clip, grid)
    prior = FrameTarget(target, one.loss, len(one.outputs)).prior
    truth, task = one.truth(clip, grid), BY_NAME[name]
    found = one.chance([truth], [truth], prior, task.metric)
    assert set(found) >= {task.metric, *task.also}
    assert 0 <= found[task.metric] < 0.9
    assert len(one.guess) > 10


@pytest.mark.parametrize("name", NAMES)
def test_many_clips_are_judged_as_each_alone(name):
    one, clip, grid = asked(name)
    rng = np.random.default_rng(3)
    heard = [rng.random((grid.frames, len(one.outputs))) for _ in range(3)]
    heard = [h / h.sum(axis=1, keepdims=True) if one.loss == "softmax" else h for h in heard]
    truth = one.truth(clip, grid)
    together = one.judge_all([truth] * 3, heard, one.settings[:2])
    assert together == [one.judge(truth, h, one.settings[:2]) for h in heard]


# by mir_eval, decoded by hand


def noisy(one, clip, grid, seed: int = 0) -> np.ndarray:
    """Probabilities that are right more often than not."""
    rng = np.random.default_rng(seed)
    right = said(one, one.target(clip, grid), 0.7)
    mixed = 0.6 * right + 0.4 * rng.random(right.shape) * right.max()
    return mixed / mixed.sum(axis=1, keepdims=True) if one.loss == "softmax" else mixed


def test_beats_are_those_of_mir_eval():
    one, clip, grid = asked("beat")
    heard, wanted = noisy(one, clip, grid), np.array(clip.events["beats"])
    found = one.judge(one.truth(clip, grid), heard, [{"threshold": 0.3}])[0].values
    tracked, picked = track(heard[:, 0], rate=25.0).beats, pick(heard[:, 0], 25.0, 0.3)
    assert found["F"] == pytest.approx(mir_eval.beat.f_measure(wanted, tracked))
    assert found["F peaks"] == pytest.approx(mir_eval.beat.f_measure(wanted, picked))
    _, cmlt, _, amlt = mir_eval.beat.continuity(wanted, tracked)
    assert (found["CMLt"], found["AMLt"]) == pytest.approx((cmlt, amlt))


def test_the_start_of_long_clips_is_not_scored():
    for seconds, first in ((9.9, 0.0), (10.0, 5.0)):
        beats = tuple(np.arange(0.2, seconds, 0.5))
        clip, grid = Excerpt("x", seconds, events={"beats": beats}), Grid.of(seconds, 25.0)
        one = reader("beats", ["beats"])
        half = tuple(t for t in beats if t >= first + 2.0)
        heard = targets.events(half, grid, (1.0, 0.5))[:, None] * 0.9
        found = one.judge(one.truth(clip, grid), heard, [{"threshold": 0.5}])[0].values
        kept = [t for t in beats if t >= first]
        assert found["F peaks"] == pytest.approx(2 * len(half) / (len(half) + len(kept)))


def test_bars_are_as_long_as_those_of_training():
    one = reader("downbeats", ["downbeats", "beats"])
    assert one.per_bar == (3, 4)

    def clip(size: int, start: float = 0.0):
        beats = np.arange(start, 20, 0.5)
        return Excerpt("x", 20.0, events={"beats": tuple(beats), "downbeats": tuple(beats[::size])})

    one.learn([clip(2), clip(3, 0.25), clip(2)])
    assert one.per_bar == (2, 3)
    one.learn([clip(4)] * 30 + [clip(7)])  # bars of seven are too rare
    assert one.per_bar == (4,)
    one.learn([Excerpt("x", 20.0, events={"beats": (), "downbeats": ()})])
    assert one.per_bar == (3, 4)


def test_chords_are_those_of_mir_eval():
    one, clip, grid = asked("chord_frames")
    heard, truth = noisy(one, clip, grid), clip.segments["chord"]
    found = one.judge(one.truth(clip, grid), heard, [{"stay": 0.8}])[0].values
    spans = decode(heard, grid.rate, targets.MAJMIN, stay=0.8)
    pair = [np.array([[s.start, s.end] for s in some]) for some in (truth, spans)]
    scores = mir_eval.chord.evaluate(
        pair[0], [s.value for s in truth], pair[1], [s.value for s in spans]
    )
    assert found["majmin"] == pytest.approx(scores["majmin"])
    assert found["root"] == pytest.approx(scores["root"])


def test_melody_is_that_of_mir_eval():
    one, clip, grid = asked("melody")
    heard, truth = noisy(one, clip, grid), one.truth(clip, grid)
    found = one.judge(truth, heard, [{"voicing": 0.5, "median": 0.0}])[0].values
    hz = 440 * 2 ** ((refined(heard[:, 1:]) - 69) / 12) * np.where(heard[:, 0] > 0.5, -1, 1)
    scores = mir_eval.melody.evaluate(grid.times, truth.hz, grid.times, hz)
    assert found["OA"] == pytest.approx(scores["Overall Accuracy"])
    assert found["RPA"] == pytest.approx(scores["Raw Pitch Accuracy"])


def test_pitches_are_those_of_mir_eval():
    one, clip, grid = asked("multipitch")
    heard = noisy(one, clip, grid)
    found = one.judge(one.truth(clip, grid), heard, [{"threshold": 0.5}])[0].values
    midi = [440 * 2 ** ((np.arange(21, 109) - 69) / 12)]
    rolls = one.target(clip, grid) > 0, heard >= 0.5
    frames = [[midi[0][row] for row in roll] for roll in rolls]
    scores = mir_eval.multipitch.evaluate(grid.times, frames[0], grid.times, frames[1])
    assert (found["P"], found["R"]) == pytest.approx((scores["Precision"], scores["Recall"]))


def test_boundaries_are_those_of_mir_eval():
    one, clip, grid = asked("phrase_end")
    heard, ends = noisy(one, clip, grid), clip.events["phrase_ends"]
    found = one.judge(one.truth(clip, grid), heard, [{"threshold": 0.3}])[0].values
    picked = pick(heard[:, 0], grid.rate, 0.3, 1.0)
    edges = [np.r_[0, [t for t in some if 0 < t < 8], 8] for some in (ends, picked)]
    pair = [mir_eval.util.boundaries_to_intervals(some) for some in edges]
    scores = mir_eval.segment.detection(*pair, window=0.5, trim=True)
    assert (found["P 0.5"], found["R 0.5"], found["F 0.5"]) == pytest.approx(scores)


# pitch between bins, masks


def test_a_pitch_stands_between_bins_by_their_probabilities():
    bins = len(BINS) - 1
    heard = np.zeros((4, bins))
    heard[0, 10] = 1.0
    heard[1, 10:12] = 0.6, 0.4
    heard[2, [0, 1]] = 0.9, 0.1
    heard[3, bins - 1] = 0.5
    assert refined(heard) == pytest.approx(BINS.lowest + np.array([10, 10.4, 0.1, bins - 1]))


def test_a_curve_is_read_at_its_own_moments():
    class Curve:
        times = np.arange(0, 4, 0.01)
        values = np.where(times > 1, 220.0, 0.0)

    clip, grid = Excerpt("x", 4.0, curves={"melody": Curve}), Grid.of(4.0, 25.0)
    one = reader("melody", ["melody"])
    assert one.labelled(clip) and not one.labelled(Excerpt("y", 4.0))
    truth, target = one.truth(clip, grid), one.target(clip, grid)
    assert len(truth.times) == 400 and set(target) == {0, 1 + 57 - 24}
    scores = one.judge(truth, said(one, target), [{"voicing": 0.5, "median": 0.0}])[0].values
    assert scores["RPA"] > 0.98 and scores["OA"] > 0.98


def test_what_no_label_says_is_not_scored():
    one, clip, grid = asked("sources")
    target = one.target(clip, grid)
    assert np.isnan(target[:, 2:]).all()  # no bass, no other
    assert np.isnan(target[grid.times > 150, 0]).all()
    heard = np.where(np.isnan(target), 1.0, target)
    values = one.judge(one.truth(clip, grid), heard, [{"threshold": 0.5}])[0].values
    assert values["F"] == values["F vocals"] == values["F drums"] == 1.0
    assert np.isnan(values["F bass"])
    one, clip, grid = asked("function")
    target = one.target(clip, grid)
    assert (target[grid.times > 170] == -1).all()
    heard = said(one, np.where(target < 0, 4, target))
    assert one.judge(one.truth(clip, grid), heard, one.settings)[0].values["accuracy"] == 1.0
    one, _, grid = asked("chord_frames")
    odd = Excerpt("x", 4.0, segments={"chord": (Span(0, 1, "C:maj"), Span(1, 2, "X"),
                                                Span(2, 4, "C:dim"))})  # fmt: skip
    grid = Grid.of(4.0, 10.0)
    target = one.target(odd, grid)
    assert (target[:10] == 0).all() and (target[10:] == -1).all()
    assert one.judge(one.truth(odd, grid), said(one, np.zeros(40, int)), one.settings)[0].sums[
        "majmin"
    ] == (1.0, 1.0)


def test_of_settings_that_are_equal_the_first_is_taken_and_tracks_without_score_do_not_count():
    def scored(*pairs):
        return [TrackScores({"F": pair}) for pair in pairs]

    assert choose([scored((1, 1), (1, 1), (0, 1))], "F") == 0
    assert choose([scored((0, 1), (1, 1)), scored((0, 0), (0, 0))], "F") == 1
    assert choose([scored((0, 0), (0, 0))], "F") == 0
    assert np.isnan(over(scored((0, 0)), "F"))


def test_readers_have_names():
    assert {task.reader for task in ENTRIES} == set(READERS)
    with pytest.raises(ProbeError, match="cannot be read as 'beets': use one of beats"):
        reader("beets", ["beats"])
