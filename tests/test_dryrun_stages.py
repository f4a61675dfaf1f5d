"""How costs of stages are drawn out from small runs: exact where costs are what is assumed."""

from __future__ import annotations

import numpy as np
import pytest

from cli import laterstages, madeup
from cli.madeup import Made, by_width
from extract.datasets.base import Clip
from extract.rows import Rows


@pytest.mark.parametrize("roles", [[[10, 20, 40], [10, 80]], [[7]], [[5, 5], [5]]])
def test_a_stage_of_so_much_a_role_and_a_layer(monkeypatch, roles):
    seen: list[list[int]] = []

    def took(work, widths):
        seen.append(list(widths))
        # what is loaded once, what a role takes, and layers by their width
        return (9.0 if len(seen) == 1 else 0.0) + 2.0 + 0.5 * sum(widths)

    monkeypatch.setattr(madeup, "timed", took)
    cost = by_width(lambda widths: None, roles, cores=2)
    assert cost.once == 9.0
    assert cost.of(roles) == pytest.approx(9.0 + sum(2.0 + 0.5 * sum(some) for some in roles))
    assert all(len(widths) in (2, 4) for widths in seen)


@pytest.mark.parametrize(("power", "whole"), [(1.0, 5000), (2.0, 5000), (2.0, 100), (1.5, 9)])
def test_similarity_is_drawn_out_by_a_power_of_the_rows(monkeypatch, power, whole):
    clock = [0.0]

    def work(most: int) -> int:
        clock[0] += 1e-3 * min(most, whole) ** power
        return min(most, whole)

    monkeypatch.setattr(laterstages.time, "perf_counter", lambda: clock[0])
    rows, seconds = laterstages.drawn_out(work, whole)
    assert seconds == pytest.approx(1e-3 * whole**power)
    assert rows == whole or 1e-3 * rows**power > laterstages.ENOUGH


def test_made_up_layers_are_the_same_each_time_and_know_their_labels():
    clips = tuple(
        Clip(f"c{i}", f"t{i // 2}", f"g{i // 2}", "", "train", 0.0, 1.0, {"word": f"w{i % 2}"})
        for i in range(40)
    )
    rows = Rows.of(clips, "clips")
    one, other = (Made("m", [8, 30], rows, ["word"]) for _ in range(2))
    assert one.layers == ("layer000", "layer001") and len(one) == 40
    values = one.read("layer001")
    assert values.shape == (40, 30) and values.dtype == np.float32
    np.testing.assert_array_equal(values, other.read("layer001"))
    np.testing.assert_array_equal(values[5:9], one.read("layer001", 5, 9))
    words = rows.label("word")
    means = [values[words == word].mean(axis=0) for word in ("w0", "w1")]
    assert np.abs(means[0] - means[1]).max() > 0.5
