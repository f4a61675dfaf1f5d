"""Windows own the clip without gap or overlap; frames are shared among rows by time."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from extract.errors import AudioError
from extract.windows import cut, frame_weights, spans


@given(st.integers(1, 5000), st.integers(1, 700))
def test_owned_stretches_partition_the_clip(samples, length):
    table = spans(samples, length)
    assert table[0][1] == 0 and table[-1][2] == samples
    for before, after in zip(table, table[1:], strict=False):
        assert before[2] == after[1]
    for start, first, last in table:
        assert start <= first < last <= start + length
        assert start + length <= samples or len(table) == 1


@given(st.integers(1, 5000), st.integers(2, 700), st.floats(0.05, 1))
def test_overlapping_windows_share_the_clip_at_the_middle_of_each_overlap(samples, length, part):
    hop = max(1, round(part * length))
    table = spans(samples, length, hop=hop)
    assert table[0][1] == 0 and table[-1][2] == samples
    for (start, first, last), (later, begins, _) in zip(table, table[1:], strict=False):
        assert start < later <= start + hop and first < last == begins
        # as far from the end of the one window as from the start of the other
        assert abs((start + length - last) - (last - later)) <= 1


def test_the_last_window_is_moved_back_and_shares_the_overlap():
    windows = cut(torch.arange(25.0), 10, 1.0)
    assert [w.start for w in windows] == [0.0, 1.0, 1.5]
    assert [w.owns for w in windows] == [(0.0, 1.0), (1.0, 1.7), (1.7, 2.5)]
    assert windows[-1].values.tolist() == list(range(15, 25))


def test_a_short_clip_is_padded_only_for_a_fixed_window():
    assert cut(torch.ones(4), 10, 1.0)[0].values.shape == (4,)
    padded = cut(torch.ones(4), 10, 1.0, fixed=True)[0]
    assert padded.values.tolist() == [1.0] * 4 + [0.0] * 6
    assert padded.owns == (0.0, 0.4)


def test_too_short_names_the_minimum():
    with pytest.raises(AudioError, match="at least 5"):
        cut(torch.ones(4), 10, 1.0, minimum=5)


@given(
    frames=st.integers(1, 60),
    rate=st.sampled_from([0.4, 1.0, 25.0, 62.5]),
    edges=st.lists(st.floats(0, 3), min_size=2, max_size=9, unique=True),
)
def test_rows_that_tile_a_window_share_out_exactly_its_seconds(frames, rate, edges):
    edges = np.sort([0.0, 3.0, *edges])
    rows = np.stack([edges[:-1], edges[1:]], 1)
    weights = frame_weights(frames, rate, 0.5 / rate, 0.0, (0.0, 3.0), rows)
    if frames / rate <= 3.0:
        np.testing.assert_allclose(weights.sum(1), rows[:, 1] - rows[:, 0], atol=1e-9)


def test_a_click_lands_in_the_row_of_its_time():
    rows = np.array([[0.0, 0.2], [0.2, 0.4], [0.4, 0.6]])
    weights = frame_weights(15, 25.0, 0.0, 0.0, (0.0, 0.6), rows)
    clicks = np.zeros(15)
    clicks[round(0.3 * 25)] = 1.0
    assert np.argmax(weights @ clicks) == 1
