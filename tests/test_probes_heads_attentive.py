"""Attentive pooling: it looks at the frames that matter and at nothing behind a clip's end."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from planted_targets import one_thread, targets  # noqa: F401

from probes.errors import ProbeError
from probes.heads.attentive import Attentive, attention
from probes.heads.frames import Frames
from probes.heads.linear import linear
from probes.heads.training import Schedule

HEAD = Attentive(rates=(1e-2,), l2=(0.0,), schedule=Schedule(patience=15, most=80))


def clips(seed: int = 0, n: int = 420, longest: int = 12, width: int = 10):
    """One frame of each clip is loud in column 0; there alone columns 1 to 3 tell the colour."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(4, longest + 1, size=n)
    colour = rng.integers(3, size=n)
    rows = rng.normal(size=(lengths.sum(), width))
    first = np.cumsum(lengths) - lengths
    # what the other frames say about colours averages out what the loud one says
    marked = first + rng.integers(lengths)
    rows[:, 1:4] += 2.5 * np.eye(3)[rng.integers(3, size=len(rows))]
    rows[marked, 0] += 8.0
    rows[marked, 1:4] = 2.5 * np.eye(3)[colour] + 0.3 * rng.normal(size=(n, 3))
    splits = np.array(["train"] * 4 + ["valid"] + ["test"] * 2)[np.arange(n) // 3 % 7]
    found = targets({"colour": [f"c{c}" for c in colour], "size": list(1.0 * colour)}, splits)
    clip = np.repeat(np.arange(n), lengths)
    return Frames.of(torch.tensor(rows.astype(np.float32)), clip, n), found


def test_the_frame_that_matters_is_found():
    frames, (colour, size) = clips()
    found = HEAD.fit(frames, [colour, size])
    means = torch.stack([frames.rows[frames.inside(torch.tensor([i]))].mean(0) for i in range(420)])
    pooled = linear(means, [colour, size])
    for ours, mean, target in zip(found, pooled, (colour, size), strict=True):
        least = mean.loss(target, "test").min()
        assert ours.loss(target, "test").min() < 0.6 * least


def test_clips_are_padded_and_padding_has_no_weight():
    rows = torch.arange(12.0)[:, None].repeat(1, 2)
    frames = Frames.of(rows, [0, 0, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3], 4)
    assert frames.lengths.tolist() == [2, 0, 3, 7]
    values, there = frames.padded(torch.tensor([2, 0]))
    assert values[..., 0].tolist() == [[2.0, 3.0, 4.0], [0.0, 1.0, 0.0]]
    assert there.tolist() == [[True, True, True], [True, True, False]]
    assert frames.inside(torch.tensor([2, 0])).tolist() == [2, 3, 4, 0, 1]
    weights = attention(torch.randn(5, 2), values, there)
    assert weights.shape == (5, 2, 3)
    assert torch.allclose(weights.sum(dim=2), torch.ones(5, 2))
    assert bool((weights[:, 1, 2] == 0).all())
    equal = attention(torch.zeros(1, 2), values, there)
    assert torch.allclose(equal[0], torch.tensor([[1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0.0]]))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=6), st.randoms())
def test_padded_clips_hold_their_frames_in_order(lengths, random):
    clip = [number for number, length in enumerate(lengths) for _ in range(length)]
    rows = torch.arange(1.0, len(clip) + 1)[:, None]
    frames = Frames.of(rows, clip, len(lengths))
    asked = [random.randrange(len(lengths)) for _ in range(4)]
    values, there = frames.padded(torch.tensor(asked))
    found = [row[mask, 0].tolist() for row, mask in zip(values, there, strict=True)]
    assert found == [[1.0 + i for i, c in enumerate(clip) if c == number] for number in asked]
    assert sum(found, []) == rows[frames.inside(torch.tensor(asked)), 0].tolist()
    assert float(values[~there].abs().sum()) == 0.0


def test_what_stands_behind_a_clip_and_memory_change_nothing():
    frames, (colour, _) = clips(n=210)
    quick = Attentive(rates=(1e-2,), l2=(0.0,), schedule=Schedule(patience=5, most=10))
    small = Attentive(rates=(1e-2,), l2=(0.0,), schedule=quick.schedule, memory=1)
    first, second = (one.fit(frames, [colour])[0].outputs["test"] for one in (quick, small))
    assert np.allclose(first, second, atol=1e-4)


def test_clips_of_one_frame_are_a_linear_probe():
    frames, (colour, _) = clips(n=210)
    first = frames.rows[frames.first[:-1]]
    ours = HEAD.fit(Frames.of(first, range(210), 210), [colour])[0].loss(colour, "test")[0]
    assert ours == pytest.approx(linear(first, [colour])[0].loss(colour, "test").min(), abs=0.1)


@pytest.mark.parametrize(
    ("clip", "count", "message"),
    [
        ([0, 1, 0], 2, "sort them by clip"),
        ([0, 1, 2], 2, "a frame of clip 2 of 2"),
        ([0, 1], 2, "3 frames and 2 clips"),
        ([-1, 0, 1], 2, "sort them by clip"),
    ],
)
def test_frames_without_a_place_are_refused(clip, count, message):
    with pytest.raises(ProbeError, match=message):
        Frames.of(torch.zeros(3, 2), clip, count)


def test_a_clip_without_frames_is_named():
    frames, (colour, _) = clips(n=210)
    bare = int(colour.index["train"][0])
    mask = torch.ones(len(frames.rows), dtype=torch.bool)
    mask[frames.inside(torch.tensor([bare]))] = False
    number = torch.repeat_interleave(torch.arange(210), frames.lengths)
    with pytest.raises(ProbeError, match=f"task colour: clip {bare} of train has no frames"):
        HEAD.fit(Frames.of(frames.rows[mask], number[mask].tolist(), 210), [colour])
