"""Nearest centroids: scikit-learn's, and probabilities that mean something."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from planted_targets import one_thread, planted, targets  # noqa: F401
from sklearn.neighbors import NearestCentroid

from probes.heads.centroid import Centroid, Space, centroids


def standard(x, target):
    values = x.double().numpy()
    train = values[target.index["train"]]
    return (values - train.mean(axis=0)) / train.std(axis=0)


@pytest.fixture(scope="module")
def data():
    return planted(n=420, width=20, noise=2.0, classes=4)


@pytest.mark.parametrize("shrink", [0.0, 0.5, 2.0])
def test_the_nearest_centroid_is_that_of_scikit_learn(data, shrink):
    x, (colour, _, _) = data
    z, train = standard(x, colour), colour.index["train"]
    theirs = NearestCentroid(shrink_threshold=shrink or None).fit(z[train], colour.of("train"))
    member = np.eye(4)[colour.of("train")]
    ours = centroids(torch.tensor(z[train]), torch.tensor(member), shrink)
    assert np.allclose(ours.numpy(), theirs.centroids_)
    said = Centroid((Space(shrink=shrink),)).fit(x, [colour])[0].outputs["test"][0]
    nearest = (said - np.log(colour.prior)).argmax(axis=1)
    assert (nearest == theirs.predict(z[colour.index["test"]])).all()


def test_cosine_is_the_largest_product_of_directions(data):
    x, (colour, _, _) = data
    unit = x.double().numpy()
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    train = colour.index["train"]
    theirs = NearestCentroid().fit(unit[train], colour.of("train"))
    said = Centroid((Space("cosine"),)).fit(x, [colour])[0].outputs["test"][0]
    nearest = (said - np.log(colour.prior)).argmax(axis=1)
    assert (nearest == theirs.predict(unit[colour.index["test"]])).mean() > 0.995


def test_tags_are_questions_of_two_classes(data):
    x, (_, _, marks) = data
    head = Centroid((Space(),))
    said = head.fit(x, [marks])[0].outputs["test"][0]
    z, train, test = standard(x, marks), marks.index["train"], marks.index["test"]
    for tag in range(3):
        truth = marks.of("train")[:, tag]
        theirs = NearestCentroid().fit(z[train], truth)
        share = truth.mean()
        ours = said[:, tag] - np.log(share / (1 - share)) > 0
        assert (ours == theirs.predict(z[test])).all()


def test_unknown_tags_move_no_centroid(data):
    x, (_, _, marks) = data
    rows = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    pair = torch.tensor([[1, 0], [1, 0], [0, 1], [0, 1], [0, 0], [0, 0]])
    for shrink in (0.0, 0.5):
        known = centroids(rows[:4], pair[:4], shrink)
        assert torch.allclose(centroids(rows, pair, shrink), known)


def test_probabilities_are_as_sure_as_validation_allows(data):
    x, (colour, _, _) = data
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    for layer, lowest, highest in ((x, 0.0, 0.95), (noise, 0.95, 1.1)):
        for loss in Centroid().fit(layer, [colour])[0].loss(colour, "test"):
            assert lowest < loss / np.log(4) < highest


def test_few_labels_are_enough():
    """Five rows of each class in a hundred dimensions."""
    rng = np.random.default_rng(0)
    colour = np.arange(300) % 4
    x = rng.normal(size=(4, 100))[colour] * 0.5 + rng.normal(size=(300, 100))
    splits = np.array(["train"] * 20 + ["valid"] * 40 + ["test"] * 240)
    (target,) = targets({"colour": [f"c{c}" for c in colour]}, splits)
    said = Centroid((Space(),)).fit(torch.tensor(x.astype(np.float32)), [target])[0]
    right = said.outputs["test"][0].argmax(axis=1) == target.of("test")
    assert right.mean() > 0.8


def test_a_layer_that_never_varies_is_answered_by_frequencies(data):
    x, (colour, _, marks) = data
    for answers, target in zip(
        Centroid().fit(torch.full_like(x, 2.0), [colour, marks]), (colour, marks), strict=True
    ):
        said = answers.outputs["test"]
        assert said == pytest.approx(np.broadcast_to(said[:1, :1], said.shape), abs=1e-6)
        if target is colour:
            assert np.exp(said[0, 0]) == pytest.approx(target.prior)
