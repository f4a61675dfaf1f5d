"""Where clips become decodable: by hand, as a partition, and from planted layers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from probes import inference
from probes.trust.emergence import Emergence, emergence, expected_layer, paths


def test_paths_by_hand():
    decodable = np.array(
        # always, from 1, from 2 with a gap, lost after 1, only at 0, never, only at the last
        [
            [1, 0, 1, 1, 1, 0, 0],
            [1, 1, 0, 1, 0, 0, 0],
            [1, 1, 1, 0, 0, 0, 0],
            [1, 1, 1, 0, 0, 0, 1],
        ]
    )
    found = paths(np.where(decodable, 0.4, -0.2))
    assert found.stays.tolist() == [0, 1, 2, -1, -1, -1, 3]
    assert found.lost.tolist() == [-1, -1, -1, 2, 1, -1, -1]
    assert found.first.tolist() == [0, 1, 0, 0, 0, -1, 3]


@given(arrays.arrays(float, st.tuples(st.integers(1, 6), st.integers(1, 8)),
                     elements=st.sampled_from([-0.5, 0.0, 0.5])))  # fmt: skip
def test_every_clip_stays_is_lost_or_never_was(bits):
    found = paths(bits)
    kinds = (found.stays >= 0).astype(int) + (found.lost >= 0) + (found.first < 0)
    assert (kinds == 1).all()
    for clip, column in enumerate(bits.T > 0):
        if found.stays[clip] >= 0:
            assert column[found.stays[clip] :].all()
            assert found.stays[clip] == 0 or not column[found.stays[clip] - 1]
        if found.lost[clip] >= 0:
            assert column[found.lost[clip] - 1] and not column[found.lost[clip] :].any()


def test_expected_layer():
    assert expected_layer(np.array([1.0, 1.0, 1.0])) == 0.0
    assert expected_layer(np.array([0.0, 0.0, 2.0])) == 2.0
    assert expected_layer(np.array([1.0, 0.2, 3.0])) == pytest.approx(2 * 2 / 3)
    # what is lost on the way does not count against the layer that had it
    assert expected_layer(np.array([-1.0, 2.0, 0.5])) == 1.0
    assert np.isnan(expected_layer(np.array([-1.0, 0.0])))
    assert expected_layer(np.array([0.5, 0.75]), start=0.5) == 1.0
    both = expected_layer(np.array([[1.0, 0.0], [1.0, 4.0]]))
    assert both.tolist() == [0.0, 1.0]


def planted(seed, clips=600, together=3):
    """A third of the clips has bits from layer 1, a third from layer 3, a third never has."""
    rng = np.random.default_rng(seed)
    begins = np.repeat(rng.permutation(np.arange(clips // together) % 3), together)
    layer = np.arange(5)[:, None]
    there = ((begins == 0) & (layer >= 1)) | ((begins == 1) & (layer >= 3))
    bits = np.where(there, 1.0, -0.3) + 0.05 * rng.standard_normal(there.shape)
    return bits, np.arange(clips) // together


def test_planted_layers_are_found():
    bits, index = planted(0)
    counts = inference.draw(200, 500, 0)
    names = tuple(f"block{i}" for i in range(5))
    found = emergence(names, bits, index, counts, right=bits > 0)
    assert [one.value for one in found.stays] == pytest.approx([0, 1 / 3, 0, 1 / 3, 0], abs=0.01)
    assert [one.value for one in found.lost] == [0.0] * 5
    assert found.never.value == pytest.approx(1 / 3, abs=0.01)
    assert found.never.low < 1 / 3 < found.never.high
    assert [one.value for one in found.decodable] == [one.value for one in found.right]
    # bits a clip: -.3, .133 at layer 1, .567 at layer 3
    assert found.expected.value == pytest.approx((0.133 * 1 + 0.433 * 3) / 0.567, abs=0.03)
    assert found.expected.low < found.expected.value < found.expected.high
    assert found.one_error == "block3"
    total = found.never.value + sum(one.value for one in (*found.stays, *found.lost))
    assert total == pytest.approx(1.0)


def test_what_is_lost_again_is_found():
    bits, index = planted(1)
    bits[4] = -0.5
    found = emergence(tuple("abcde"), bits, index, inference.draw(200, 100, 0))
    assert found.lost[4].value == pytest.approx(2 / 3, abs=0.01) and found.right == ()
    assert sum(one.value for one in found.stays) == 0


def test_the_interval_of_the_expected_layer_covers():
    rng = np.random.default_rng(2)
    truth = expected_layer(np.array([0.2, 0.9, 1.0, 1.4]))
    covered = 0
    for _ in range(120):
        hard = 0.6 * rng.standard_normal(60)
        bits = np.array([[0.2], [0.9], [1.0], [1.4]]) + hard + 0.4 * rng.standard_normal((4, 60))
        counts = inference.draw(60, 300, int(rng.integers(1 << 30)))
        one = emergence(tuple("abcd"), bits, np.arange(60), counts).expected
        covered += one.low <= truth <= one.high
    assert covered / 120 >= 0.9


def test_written_and_read():
    bits, index = planted(3, clips=6, together=6)
    found = emergence(tuple("abcde"), bits, index, inference.draw(1, 20, 0), bits > 0)
    again = Emergence.from_json(json.loads(json.dumps(found.as_json(), allow_nan=False)))
    assert repr(again) == repr(found) and np.isnan(again.never.low)
