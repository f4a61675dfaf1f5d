"""Nearest neighbours: scikit-learn's, vote by vote."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from planted_targets import one_thread, planted, targets  # noqa: F401
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from probes.heads.neighbours import Neighbours, nearest


@pytest.fixture(scope="module")
def data():
    return planted(n=420, width=8, noise=2.0)


def placed(x, target, space):
    values = x.double().numpy()
    if space == "cosine":
        return values
    train = values[target.index["train"]]
    return (values - train.mean(axis=0)) / train.std(axis=0)


def theirs(kind, x, target, choice):
    z = placed(x, target, choice["space"])
    fitted = kind(choice["neighbours"], metric=choice["space"], algorithm="brute")
    train = target.index["train"]
    return fitted.fit(z[train], target.of("train")), z[target.index["test"]]


def test_votes_are_those_of_scikit_learn(data):
    x, (colour, _, _) = data
    head = Neighbours()
    (answers,) = head.fit(x, [colour])
    said = answers.outputs["test"]
    for place, choice in enumerate(head.choices):
        fitted, rows = theirs(KNeighborsClassifier, x, colour, choice)
        shares = fitted.predict_proba(rows)
        k = choice["neighbours"]
        votes = np.exp(said[place]) * (k + 1) - colour.prior
        assert votes == pytest.approx(shares * k, abs=1e-9)
        top = np.sort(shares, axis=1)
        clear = top[:, -1] > top[:, -2]  # a tie is broken by frequency, there by name
        assert (said[place].argmax(axis=1) == fitted.predict(rows))[clear].all()
        assert clear.any()


def test_numbers_are_those_of_scikit_learn(data):
    x, (_, size, _) = data
    head = Neighbours()
    (answers,) = head.fit(x, [size])
    for place, choice in enumerate(head.choices):
        fitted, rows = theirs(KNeighborsRegressor, x, size, choice)
        assert answers.outputs["test"][place] == pytest.approx(fitted.predict(rows))


def test_tags_are_shares_of_those_that_are_known():
    x, _ = planted(n=210, width=8)
    rng = np.random.default_rng(0)
    marks = [tuple(t for t in ("a", "b") if rng.random() < 0.5) for _ in range(210)]
    splits = np.array(["train"] * 4 + ["valid"] + ["test"] * 2)[np.arange(210) // 3 % 7]
    (target,) = targets({"marks": marks}, splits)
    unknown = rng.random(target.values.shape) < 0.3
    target.values[unknown] = np.nan
    head = Neighbours(counts=(5,), spaces=("euclidean",))
    said = head.fit(x, [target])[0].outputs["test"][0]
    z = placed(x, target, "euclidean")
    train, test = target.index["train"], target.index["test"]
    truth = target.of("train")
    for row, odds in zip(test, said, strict=True):
        near = truth[np.argsort(((z[train] - z[row]) ** 2).sum(axis=1))[:5]]
        share = np.nanmean(truth, axis=0)
        there, absent = (near == 1).sum(axis=0) + share, (near == 0).sum(axis=0) + 1 - share
        assert odds == pytest.approx(np.log(there / absent))


def test_parts_and_more_neighbours_than_rows(data):
    x, some = data
    whole, parts = Neighbours().fit(x, some), Neighbours(memory=1).fit(x, some)
    for one, other in zip(whole, parts, strict=True):
        assert np.allclose(one.outputs["test"], other.outputs["test"])
    many = Neighbours(counts=(1, 10_000), spaces=("cosine",)).fit(x, some)
    prior = some[0].prior
    assert np.exp(many[0].outputs["test"][1]) == pytest.approx(
        np.tile(prior, (len(some[0].index["test"]), 1))
    )
    assert many[1].outputs["test"][1] == pytest.approx(some[1].of("train").mean())


def test_nearest_first():
    rows = torch.tensor([[0.0], [10.0], [4.0], [5.0]])
    assert nearest(rows, torch.tensor([[4.4], [9.0]]), 3).tolist() == [[2, 3, 0], [1, 3, 2]]
