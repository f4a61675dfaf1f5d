"""Parts of a run over frames: which frames are kept, pieces of a layer, heads, names of tasks."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from planted_frames import excerpts
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from probes.errors import ProbeError
from probes.framing.budget import thinned
from probes.framing.heads import NEVER, FrameTarget, Linear
from probes.framing.streaming import gather, runs, stream
from probes.framing.table import Excerpt, FrameTable, edges_of, rate_of
from probes.source import Matrices
from probes.tasks import ALIASES, TASKS, FrameTask, resolve

counts = some.lists(some.integers(0, 300), min_size=1, max_size=20)


# which frames are kept


@given(counts, some.integers(1, 2000), some.integers(0, 5))
def test_a_share_of_every_clip_is_kept(frames, budget, seed):
    names = [f"clip{i}" for i in range(len(frames))]
    kept = thinned(frames, names, budget, seed)
    for count, at in zip(frames, kept, strict=True):
        assert len(at) >= min(1, count)
        assert (np.diff(at) > 0).all() and (at >= 0).all() and (at < count).all()
    total = sum(frames)
    if total <= budget:
        assert [len(at) for at in kept] == frames
    else:
        share = budget / total
        for count, at in zip(frames, kept, strict=True):
            assert abs(len(at) - max(share * count, min(1, count))) <= 1
            if len(at) > 1:  # no stretch of a clip is left out
                assert np.diff(np.r_[-1, at, count]).max() <= 2 * -(-count // len(at)) + 1


def test_what_is_kept_depends_on_the_clip_and_the_seed_alone():
    one = thinned([100, 50], ["a", "b"], 60, 0)
    other = thinned([50, 100], ["c", "a"], 60, 0)
    assert np.array_equal(one[0], other[1])
    assert not np.array_equal(one[0], thinned([100, 50], ["a", "b"], 60, 1)[0])
    # what repeats at a steady pace is met at every phase
    at = thinned([1000], ["steady"], 100, 0)[0]
    assert len(set(at % 10)) == 10


# pieces of a layer


@settings(max_examples=60)
@given(some.data(), counts, some.integers(1, 700))
def test_pieces_hold_what_the_layer_holds(data, frames, at_once):
    edges = np.cumsum([0, *frames])
    places = sorted(data.draw(some.sets(some.integers(0, len(frames) - 1), min_size=1)))
    values = np.arange(2 * edges[-1], dtype=np.float32).reshape(-1, 2)
    source = Matrices("numbers", {"layer": values})
    expected = np.concatenate([values[edges[p] : edges[p + 1]] for p in places])
    pieces = list(stream(source, "layer", places, edges, "cpu", at_once))
    assert [place for run, _ in pieces for place in run] == places
    assert np.array_equal(torch.cat([rows for _, rows in pieces]).numpy(), expected)
    for run in runs(places, edges, at_once):
        assert len(run) == 1 or edges[run[-1] + 1] - edges[run[0]] <= at_once
    kept = [np.arange(frames[p])[:: data.draw(some.integers(1, 3))] for p in places]
    found = gather(source, "layer", places, kept, edges, "cpu", at_once)
    wanted = np.concatenate([edges[p] + at for p, at in zip(places, kept, strict=True)])
    assert np.array_equal(found.numpy(), values[wanted])


def test_rows_of_clips_follow_each_other():
    clips = [Excerpt("a", 2.0), Excerpt("blink", 0.02), Excerpt("b", 1.0)]
    table = FrameTable(clips, "frames:25@beats")
    assert list(edges_of(table)) == [0, 50, 50, 75] and len(table) == 75
    mixed = SimpleNamespace(clips=clips, clip=np.array([0, 2, 0]))
    with pytest.raises(ProbeError, match="not clip after clip"):
        edges_of(mixed)
    for kind in ("clips", "frames:", "frames:0", "frames:x", "segments:chord"):
        with pytest.raises(ProbeError, match="are no frames"):
            rate_of(kind)


# heads


def test_the_linear_head_is_that_of_scikit_learn_on_known_frames():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(600, 8)).astype(np.float32)
    classes = (rows @ rng.normal(size=(8, 3)) + rng.normal(size=(600, 3))).argmax(axis=1)
    classes = np.array([1, 4, 5])[classes]  # of six, half of which training lacks
    classes[::7] = -1
    target = FrameTarget(classes, "softmax", 6)
    train = torch.as_tensor(rows)
    fitted = Linear((10.0,)).fit(train, [target], train, [target])
    logits = fitted.logits(fitted.ready(train), 0, 0).double().numpy()
    assert (logits[:, [0, 2, 3]] == NEVER).all()
    standard = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    known = classes >= 0
    twin = LogisticRegression(C=0.1, tol=1e-8, max_iter=1000).fit(standard[known], classes[known])
    assert softmax(logits, axis=1)[:, [1, 4, 5]] == pytest.approx(
        twin.predict_proba(standard), abs=0.005
    )
    assert fitted.settings == ({"penalty": 10.0},) and fitted.converged[0].all()


def test_columns_without_positives_cost_nothing_and_are_not_heard():
    rng = np.random.default_rng(0)
    rows = torch.as_tensor(rng.normal(size=(400, 5)).astype(np.float32))
    heard = (rows[:, :2].numpy() > 0).astype(np.float32)
    values = np.concatenate([heard, np.zeros((400, 80), np.float32)], axis=1)
    values[:50, 1] = np.nan
    target = FrameTarget(values, "sigmoid", 82)
    assert list(target.learnable) == [0, 1]
    fitted = Linear((1.0, 100.0)).fit(rows, [target], rows, [target])
    assert fitted.weights[0][0].shape == (2, 5, 82)
    logits = fitted.logits(fitted.ready(rows), 0, 0).numpy()
    assert ((logits[:, :2] > 0) == (heard > 0)).mean() > 0.97
    assert (logits[:, 2:] == NEVER).all()


def test_targets_know_what_is_known():
    classes = FrameTarget(np.array([0, 2, 2, -1]), "softmax", 4)
    assert list(classes.learnable) == [0, 2]
    assert classes.prior == pytest.approx([1 / 3, 0, 2 / 3, 0])
    assert list(classes.only(np.array([2])).values) == [-1, 2, 2, -1]
    nats = classes.surprise(np.log(np.full((4, 4), 0.25)))
    assert nats[:3] == pytest.approx(np.log(4)) and np.isnan(nats[3])
    table = FrameTarget(np.array([[1, np.nan], [0, np.nan], [0.5, 1]], np.float32), "sigmoid", 2)
    assert table.prior == pytest.approx([0.5, 1.0])
    assert table.surprise(np.zeros((3, 2))) == pytest.approx(np.log(2) * np.array([1, 1, 2]))
    assert np.isnan(table.only(np.array([1])).surprise(np.zeros((3, 2)))[:2]).all()


# names


def card(name: str, kind: str, tier: str = "gold"):
    return SimpleNamespace(name=name, kind=kind, tier=tier, unit="")


CARDS = [
    card("beats", "events"), card("downbeats", "events"), card("melody", "curve", "silver"),
    card("chord", "segments", "silver"), card("phrase_ends", "events"), card("key", "category"),
]  # fmt: skip


def test_frame_tasks_resolve_like_any_task():
    names = [task.name for task in resolve("all", CARDS)]
    assert names == ["key", "chord", "beat", "downbeat", "melody", "chord_frames", "phrase_end"]
    beat, melody, chord = resolve(["beats", "melody", "chord_frames"], CARDS)
    assert (beat.name, melody.tier, chord.tier) == ("beat", "silver", "silver")
    # one kind of rows a rate, whichever tasks are asked for
    assert beat.rows == melody.rows == "frames:25@beats,downbeats,melody"
    assert chord.rows == "frames:10@chord,phrase_ends"
    assert resolve(["beat"], CARDS[:1])[0].rows == "frames:25@beats"
    inside = resolve(["beat", "melody"], CARDS, {"chorale", "voices"})  # beats are asked of it
    assert {task.rows for task in inside} == {
        "frames:25@beats+chorale,downbeats+chorale,melody"
    }
    assert resolve(["beat"], CARDS, {"live"})[0].rows == beat.rows  # data with parts of its own


def test_labels_that_do_not_fit_are_told():
    with pytest.raises(ProbeError, match="task downbeat needs the label downbeats, beats; the"):
        resolve(["downbeat"], CARDS[1:])
    with pytest.raises(ProbeError, match="task melody"):
        resolve(["melody"], [card("melody", "events")])
    drums = resolve(["sources"], [card("drums_active", "segments", "silver")])[0]
    assert (drums.tier, drums.rows) == ("silver", "frames:10@drums_active")
    with pytest.raises(ProbeError, match="run it on rows frames:25"):
        TASKS["beat"].target(1.0)


def test_a_task_takes_clips_with_its_labels():
    clip = excerpts(splits={"test": 1})[0]
    frames = [task for task in TASKS.values() if isinstance(task, FrameTask)]
    took = {task.name for task in frames if task.takes(clip)}
    assert took == {"beat", "downbeat", "melody", "multipitch", "chord_frames", "phrase_end"}
    assert not any(task.takes(Excerpt("x", 8.0)) for task in frames)
    assert {task.kind for task in frames} == {"frames"}
    assert all(name in TASKS for name in ALIASES.values())
