"""Several processes on one comparison: the numbers of one, and each row read by one of them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from team_of_threads import together
from test_rsa_streaming import NAMES, Made

import rsa

FIELDS = ("value", "low", "high", "chance", "chance_high", "score", "p")


class Local(Made):
    """A source of which one process can read its own rows alone."""

    def __init__(self, owners: np.ndarray, rank: int, **made):
        super().__init__(len(owners), **made)
        self.readable, self.seen = owners == rank, Counter()

    def read(self, layer: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        stop = len(self) if stop is None else stop
        found = super().read(layer, start, stop)
        self.seen.update(range(start, stop))
        # what is read along with wanted rows and dropped may be of others
        return np.where(self.readable[start:stop, None], found, np.nan).astype(np.float32)


def compared(source, names, **options):
    return rsa.compare(source, measures=names, blocks=8, **options)[source.name, source.name]


def check(one, other, exact: bool) -> None:
    for mine, yours in zip(one.measures, other.measures, strict=True):
        assert mine.notes == yours.notes and mine.chance_by == yours.chance_by
        for field in FIELDS:
            a, b = getattr(mine, field), getattr(yours, field)
            if exact:
                np.testing.assert_array_equal(a, b, err_msg=f"{mine.measure} {field}")
            else:
                np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9, err_msg=mine.measure)


@pytest.mark.parametrize("group, owned", [(1, False), (6, True)])
def test_layers_in_memory_give_the_numbers_of_one_process(group, owned):
    names = [*NAMES, "svcca:var=0.99,mean", "pwcca:var=0.99,mean", "mi:gaussian,pca=20,held-out"]
    rows = 120
    owners = np.arange(rows) // group * group * 3 // rows
    one = compared(Made(rows, layers=3, width=6, group=group), names, draws=9)

    def work(team):
        if not owned:
            return compared(Made(rows, 3, 6, group), names, draws=9, team=team)
        source = Local(owners, team.rank, layers=3, width=6, group=group)
        return compared(source, names, draws=9, team=team, owners=owners)

    for found in together(3, work):
        check(one, found, exact=False)


@pytest.mark.parametrize("group, size", [(1, 2), (20, 3)])
def test_rows_are_dealt_where_layers_do_not_fit_in_memory(monkeypatch, group, size):
    rows = 400
    monkeypatch.setattr("rsa.rows.joint.MEMORY", 1e4)
    monkeypatch.setattr("rsa.hsic.linear.ROOM", 1e4)
    monkeypatch.setattr("rsa.rows.streaming.BATCH", 300)
    monkeypatch.setattr("rsa.hsic.permutation.CUBES", 128)
    monkeypatch.setattr("rsa.measures.linear_cka.THINNED", 200)
    monkeypatch.setattr("rsa.hsic.leading.THINNED", 200)
    monkeypatch.setattr("rsa.inference.stability.ROWS", 200)
    monkeypatch.setattr("rsa.inference.stability.ROWS_OF_HALVES", 150)
    monkeypatch.setattr("rsa.rows.thinning.GAP", 0)
    options = {"draws": 9, "stability": False, "structure": False}
    one = compared(Made(rows, 3, 8, group), NAMES, **options)
    # a group belongs to one process, wherever an even share of rows would end
    owners = (np.arange(rows) // group * group * size // rows).astype(int)

    def work(team):
        source = Local(owners, team.rank, layers=3, width=8, group=group)
        found = compared(source, NAMES, **options, team=team, owners=owners)
        assert set(source.seen) == set(np.flatnonzero(source.readable))
        return found

    for found in together(size, work):
        check(one, found, exact=False)


def test_an_error_of_one_process_is_an_error_of_its_own():
    owners = np.arange(60) // 30

    def work(team):
        source = Made(60, layers=2, width=3, group=1)
        if team.rank:
            source.read = lambda layer, start=0, stop=None: np.full((stop - start, 3), np.nan)
        return compared(source, NAMES[:1], team=team, owners=owners)

    with pytest.raises(Exception, match=r"not finite|Barrier|^$"):
        together(2, work)
