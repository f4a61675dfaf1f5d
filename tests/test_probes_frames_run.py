"""Runs over frames of planted data: what is there is found, what is not there is at chance."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
from planted_frames import SPLITS, excerpts, planted

import probes
from probes.framing import running
from probes.framing.running import run_frames
from probes.framing.streaming import stream
from probes.framing.table import Excerpt, FrameTable
from probes.results import ProbeResults
from probes.source import Matrices
from probes.tasks import TASKS

FAST = [TASKS[name] for name in ("beat", "downbeat", "melody", "multipitch")]
MIDDLE = [TASKS[name] for name in ("chord_frames", "phrase_end")]
# a layer with little noise loses only what the grid of frames and the decoder lose
REACHED = {
    "beat": 0.97, "downbeat": 0.9, "melody": 0.97, "multipitch": 0.97, "chord_frames": 0.9,
    "phrase_end": 0.95,
}  # fmt: skip


@pytest.fixture(scope="module")
def results():
    fast = run_frames(*planted("frames:25"), FAST, resamples=200)
    middle = run_frames(*planted("frames:10"), MIDDLE, resamples=200)
    return fast.merge(middle)


@pytest.mark.parametrize("task", REACHED)
def test_the_layer_that_carries_the_label_is_found(results, task):
    found = results[task]
    assert found.selected == "middle"
    assert found.best.value > REACHED[task]
    assert found.best.low > found.chance
    assert found.layer("late").splits["test"].value < found.best.value
    assert found.layer("middle").information["test"].low > 0
    assert found.gain_over_last["test"].value > 0
    assert set(found.layers[0].also) == set(TASKS[task].also) == set(found.also_chance)


@pytest.mark.parametrize("task", REACHED)
def test_noise_scores_no_more_than_chance(results, task):
    """The best answer without the layer is the level of chance; noise is decoded no better."""
    found = results[task]
    noise = found.layer("early")
    assert noise.splits["test"].value < found.chance + 0.08
    assert noise.splits["test"].high < found.best.low
    assert noise.information["test"].value < 0.02


def test_pitches_are_scored_by_how_many_there_are(results):
    middle = results["multipitch"].layer("middle").also
    assert all(middle[f"F {n}"]["test"].value > 0.95 for n in (1, 2, 3, 4))


def test_what_is_said_of_a_task(results):
    beat, chord = results["beat"], results["chord_frames"]
    assert (beat.kind, beat.head, beat.rows, beat.metric) == ("frames", "linear", "frames:25", "F")
    assert beat.groups == SPLITS
    assert beat.n == {"train": 2 * 16 * 200, "valid": 2 * 6 * 200, "test": 2 * 8 * 200}
    assert any("without context" in note for note in beat.notes)
    assert any("shorter than 10 s" in note for note in beat.notes)
    assert chord.classes == 8  # of 25, what training has
    assert set(chord.layers[0].setting) == {"penalty", "stay"}


def test_results_are_written_and_read(results, tmp_path):
    results.write(tmp_path, "a")
    again = ProbeResults.read(tmp_path / "a.json")
    assert again["beat"].layer("middle") == results["beat"].layer("middle")


def test_the_same_seed_gives_the_same_numbers_and_another_keeps_other_frames():
    clips = excerpts(splits={"train": 6, "valid": 2, "test": 3})
    source, table = planted("frames:10", clips=clips)
    runs = [
        run_frames(source, table, MIDDLE, max_frames=600, seed=seed, resamples=50)
        for seed in (1, 1, 2)
    ]
    assert runs[0] == runs[1]
    assert runs[0]["chord_frames"].layers != runs[2]["chord_frames"].layers


def test_pieces_give_the_same_as_the_whole(monkeypatch):
    clips = excerpts(splits={"train": 6, "valid": 2, "test": 3})
    source, table = planted("frames:10", clips=clips)
    whole = run_frames(source, table, MIDDLE, resamples=50)
    monkeypatch.setattr(running, "stream", functools.partial(stream, at_once=90))
    assert run_frames(source, table, MIDDLE, resamples=50) == whole


def test_a_budget_keeps_every_track_and_is_told(monkeypatch):
    kept = []
    fit = running.LINEAR.fit

    class Spy:
        name, settings = "spy", {}

        def fit(self, train, targets, valid, held):
            kept.append((len(train), len(valid)))
            return fit(train, targets, valid, held)

    source, table = planted("frames:10")
    found = run_frames(source, table, MIDDLE, head=Spy(), max_frames=400, resamples=50)
    assert set(kept) == {(32 * 12, 12 * 33)}  # of 80 a clip, by rounding a share of each
    chord = found["chord_frames"]
    assert chord.head == "spy" and chord.n["train"] == 384 and chord.n["valid"] == 960
    assert any("trained on 384 of 2,560 frames, some of every clip" in n for n in chord.notes)
    assert chord.best.value > 0.7


def test_tasks_of_another_rate_are_passed_over_and_known_ones_are_kept(results):
    source, table = planted("frames:10")
    found = run_frames(source, table, [*FAST, *MIDDLE], done=results, resamples=50)
    assert [task.task for task in found.tasks] == ["chord_frames", "phrase_end"]
    assert found["phrase_end"] is results["phrase_end"]


class Watch:
    def __init__(self):
        self.layers, self.tasks, self.steps = [], [], []

    def layer(self, task, layer, valid):
        self.layers.append((task, layer, valid))

    def task(self, found, others):
        self.tasks.append(found.task)


def test_a_watcher_is_told_of_every_layer_and_task():
    watch, clips = Watch(), excerpts(splits={"train": 4, "valid": 2, "test": 2})
    source, table = planted("frames:10", clips=clips)
    found = run_frames(
        source, table, MIDDLE, watcher=watch, resamples=50,
        progress=lambda done, of: watch.steps.append((done, of)),
    )  # fmt: skip
    assert watch.tasks == ["chord_frames", "phrase_end"]
    assert ("chord_frames", "middle", found["chord_frames"].layer("middle").valid.value) in (
        watch.layers
    )
    assert watch.steps[-1] == (3, 3) and len(watch.layers) == 6


# what is missing


def test_clips_without_the_label_take_no_part():
    clips = excerpts()
    bare = [dataclasses.replace(c, events={}) if i % 3 == 1 else c for i, c in enumerate(clips)]
    found = run_frames(*planted("frames:25", clips=clips)[:1], FrameTable(bare, "frames:25"),
                       [TASKS["beat"]], resamples=50)["beat"]  # fmt: skip
    assert found.n["test"] == 200 * sum(
        "beats" in clip.events and clip.split == "test" for clip in bare
    )
    assert found.best.value > 0.95


def test_a_clip_shorter_than_a_frame_and_one_without_a_split_are_left_out():
    clips = excerpts()
    odd = [
        Excerpt("blink", 0.03, "blink", "train", events={"beats": ()}),
        dataclasses.replace(clips[0], id="nowhere", split=""),
    ]
    source, table = planted("frames:25", clips=[*clips])
    rows = 200
    longer = Matrices(
        "planted",
        {n: np.r_[np.full((rows, 60), 9.0), source.read(n)].astype(np.float32)
         for n in source.layers},
    )  # fmt: skip
    wanted = run_frames(source, table, [TASKS["beat"]], resamples=50)
    found = run_frames(
        longer, FrameTable([*odd, *clips], "frames:25"), [TASKS["beat"]], resamples=50
    )
    assert found["beat"].layers == wanted["beat"].layers


def test_too_little_is_skipped_with_the_reason():
    clips = excerpts(splits={"train": 2, "valid": 2, "test": 2})
    found = run_frames(*planted(clips=clips), [TASKS["beat"], TASKS["melody"]])
    assert found.skipped["beat"] == "task beat: 2 labelled groups in train; 3 are needed"
    clips = [dataclasses.replace(c, segments={}) for c in excerpts()]
    source, _ = planted()
    table = FrameTable(clips, "frames:25")
    found = run_frames(source, table, [TASKS["melody"]])
    assert found.skipped["melody"] == "task melody: no clip has the label melody"


def test_labels_that_training_never_has_are_skipped():
    clips = [
        dataclasses.replace(c, events={**c.events, "phrase_ends": ()}) if c.split == "train" else c
        for c in excerpts()
    ]
    source, _ = planted("frames:10")
    found = run_frames(source, FrameTable(clips, "frames:10"), MIDDLE, resamples=50)
    assert "nothing of what it asks for is in train" in found.skipped["phrase_end"]
    assert found["chord_frames"].selected == "middle"


def test_splits_are_drawn_by_group_where_there_are_none():
    clips = [dataclasses.replace(c, split="") for c in excerpts()]
    found = run_frames(*planted(clips=clips), [TASKS["beat"]], resamples=50)["beat"]
    assert found.groups == {"train": 18, "valid": 6, "test": 6}
    assert any("splits drawn by group" in note for note in found.notes)


def test_what_cannot_be_probed_is_an_error():
    source, table = planted("frames:10")
    layers = {name: np.array(source.read(name)) for name in source.layers}
    layers["middle"][70] = np.nan
    with pytest.raises(probes.ProbeError, match="layer middle of broken holds values"):
        run_frames(Matrices("broken", layers), table, MIDDLE)
    short = Matrices("short", {"one": np.zeros((5, 2), np.float32)})
    with pytest.raises(probes.ProbeError, match="short has 5 rows and the labels have 4800"):
        run_frames(short, table, MIDDLE)
    with pytest.raises(probes.ProbeError, match="0 frames"):
        run_frames(source, table, MIDDLE, max_frames=0)
