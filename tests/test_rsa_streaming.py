"""Layers that do not fit in memory: the same numbers, read by stretches, in a few megabytes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rsa
import rsa.hsic.linear
import rsa.rows.joint
from rsa.rows.grouping import Grouping
from rsa.rows.joint import Joint
from rsa.rows.streaming import Standard, stretches
from rsa.rows.thinning import read_rows

NAMES = [
    "cka:linear,debiased",
    "cka:linear,track-debiased",
    "cka:linear,biased",
    "cka:linear,track-debiased,without=1",
]


class Made:
    """A source that makes its rows when they are read."""

    def __init__(self, rows: int, layers: int = 4, width: int = 24, group: int = 20):
        self.name, self.layers = "made", tuple(f"l{i}" for i in range(layers))
        self.groups = np.arange(rows) // group
        self._rows, self._width = rows, width

    def __len__(self) -> int:
        return self._rows

    def read(self, layer: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        stop = self._rows if stop is None else stop
        row, column = np.arange(start, stop)[:, None], np.arange(self._width)
        shared = np.sin(row * (column + 1) * 0.7391 + 3 * np.cos(row // 20 * 1.3 + column))
        own = np.cos(row * (column + 2.5) * 1.7 + int(layer[1:]))
        return (shared + 0.4 * int(layer[1:]) * own + 5).astype(np.float32)


def compared(source, **options):
    return rsa.compare(source, measures=NAMES, blocks=8, **options)[source.name, source.name]


@pytest.mark.parametrize("group", [1, 20])
def test_streamed_values_are_those_from_memory(monkeypatch, group):
    here = compared(Made(1000, group=group), draws=19)
    source = Made(1000, group=group)
    monkeypatch.setattr("rsa.rows.joint.MEMORY", 1e5)
    monkeypatch.setattr("rsa.hsic.linear.ROOM", 6e4)  # a few tiles of pairs
    monkeypatch.setattr("rsa.rows.streaming.BATCH", 300)
    there = compared(source, draws=19)
    for name in NAMES:
        for field in ("value", "low", "high"):
            left, right = getattr(there[name], field), getattr(here[name], field)
            np.testing.assert_allclose(left, right, atol=2e-5)
    assert any("in stretches, " in note for note in there[NAMES[0]].notes)
    if group == 1:
        closed = there["cka:linear,debiased"]
        np.testing.assert_allclose(closed.p, here["cka:linear,debiased"].p, rtol=1e-2, atol=1e-9)


def test_a_joint_looks_at_layers_only_when_asked(monkeypatch):
    class Counting(Made):
        reads = 0

        def read(self, *where):
            self.reads += 1
            return super().read(*where)

    source = Counting(1000)
    joint = Joint([source])
    assert source.reads == 0
    fewer = joint.thinned(100)
    assert fewer.rows <= 100 and len(fewer.layer(0)) == fewer.rows
    assert not joint.constant.any() and list(joint.widths) == [24] * 4


@pytest.mark.slow
def test_memory_does_not_grow_with_rows():
    code = (
        "import resource, sys; sys.path.insert(0, {tests!r})\n"
        "import numpy as np, rsa, rsa.rows.joint, rsa.hsic.linear, rsa.comparison\n"
        "from test_rsa_streaming import Made, NAMES\n"
        "rsa.rows.joint.MEMORY, rsa.hsic.linear.ROOM = 1e6, 1e6\n"
        "rsa.compare(Made(2000), measures=NAMES[:3], draws=0)\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "first = peak()\n"
        "rsa.compare(Made({rows}), measures=NAMES[:3], draws=0)\n"
        "print(peak() - first)\n"
    )
    grown = []
    for rows in (10_000, 40_000):
        text = code.format(tests=str(Path(__file__).parent), rows=rows)
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        grown.append(float(done.stdout))
    # a layer of 40 000 rows is 4 MB, 8 MB as float64; the four of them 31 MB
    assert grown[1] < grown[0] + 10 and grown[1] < 60


def test_rows_are_read_in_any_order():
    source = Made(500)
    rows = np.random.default_rng(0).permutation(500)[:200]
    np.testing.assert_array_equal(read_rows(source, "l1", rows), source.read("l1")[rows])


def test_stretches_are_whole_groups_of_one_block():
    grouping = Grouping.deal(np.repeat(np.arange(9), [1, 5, 3, 40, 2, 2, 8, 1, 4]), 3, 0)
    covered = []
    for block, group, until in stretches(grouping, True, limit=10):
        assert group < until and set(grouping.block_of_group[group:until]) == {block}
        assert until == group + 1 or grouping.sizes[group:until].sum() <= 10
        covered += range(group, until)
    assert covered == list(range(9))


@pytest.mark.parametrize("offset, scale", [(0, 1), (300, 1), (0, 1e-30), (-7e5, 1e6)])
def test_standard_of_a_stream_is_that_of_the_whole(offset, scale):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1000, 5)) * scale + offset
    x[:, 2] = offset
    standard = Standard.of(x[at : at + 130] for at in range(0, 1000, 130))
    y = standard.apply(x)
    assert np.abs(y.mean(axis=0)).max() < 1e-9 and (y**2).mean() == pytest.approx(1, rel=1e-9)
    assert (y[:, 2] == 0).all()
    flat = Standard.of([np.full((10, 3), 0.1)])
    assert flat.scale == 0.0 and not flat.apply(np.full((4, 3), 0.1)).any()
