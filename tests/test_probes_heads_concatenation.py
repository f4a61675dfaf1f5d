"""All layers concatenated: scikit-learn's optimum on the concatenated standardised matrix."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from planted_targets import one_thread, planted  # noqa: F401
from sklearn.linear_model import LogisticRegression, Ridge

from probes.errors import ProbeError
from probes.heads.concatenation import Concatenation, JointLayers
from probes.heads.linear import linear
from probes.solvers import solve

PENALTIES = (1.0, 30.0, 1000.0)


def layered(width: int, seed: int = 0, n: int = 210):
    """Three layers of unequal width; a constant column, and scales far apart."""
    x, targets = planted(n=n, width=width, seed=seed, noise=1.0)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(x.shape, generator=generator)
    late = (x + noise)[:, : width // 2] * 1e-3
    early = 100 * noise + 5
    early[:, 0] = 3.0
    return [("early", early), ("middle", x), ("late", late)], targets


def standard(layers, train):
    """[rows, all widths] of all layers, standardised on training rows."""
    parts = []
    for _, layer in layers:
        values = layer.double().numpy()
        spread = values[train].std(axis=0)
        spread = np.where(spread > 1e-6, spread, np.inf)
        parts.append((values - values[train].mean(axis=0)) / spread)
    return np.concatenate(parts, axis=1)


def objective(z, y, weights, intercepts, penalty):
    raw = z @ weights.T + intercepts
    raw -= raw.max(axis=1, keepdims=True)
    loss = np.log(np.exp(raw).sum(axis=1)) - raw[np.arange(len(y)), y]
    return loss.sum() + penalty / 2 * (weights**2).sum()


@pytest.mark.parametrize("width", [12, 90], ids=["narrower than rows", "wider than rows"])
def test_classes_reach_the_optimum_of_scikit_learn(width):
    layers, (colour, _, _) = layered(width)
    train = colour.index["train"]
    z, y = standard(layers, train), colour.of("train")
    joint = JointLayers(layers, [colour])
    (fit,) = solve(joint.design, [joint.problem(colour, PENALTIES)])
    said = Concatenation(PENALTIES).fit(layers, [colour])[0].outputs["test"]
    for place, penalty in enumerate(PENALTIES):
        theirs = LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=5000).fit(z[train], y)
        least = objective(z[train], y, theirs.coef_, theirs.intercept_, penalty)
        assert float(fit.objective[place]) * len(y) == pytest.approx(least, rel=1e-4)
        chances = theirs.predict_log_proba(z[colour.index["test"]])
        assert np.abs(np.exp(said[place]) - np.exp(chances)).max() < 0.02


@pytest.mark.parametrize("width", [12, 90], ids=["narrower than rows", "wider than rows"])
def test_numbers_are_those_of_ridge(width):
    layers, (_, size, _) = layered(width)
    train, test = size.index["train"], size.index["test"]
    z = standard(layers, train)
    said = Concatenation(PENALTIES).fit(layers, [size])[0].outputs["test"]
    for place, penalty in enumerate(PENALTIES):
        theirs = Ridge(alpha=penalty).fit(z[train], size.of("train")).predict(z[test])
        assert np.abs(said[place] - theirs).max() < 1e-3 * size.of("train").std()


def test_tags_are_those_of_logistic_regression():
    layers, (_, _, marks) = layered(12)
    train, test = marks.index["train"], marks.index["test"]
    z = standard(layers, train)
    said = Concatenation((30.0,)).fit(layers, [marks])[0].outputs["test"][0]
    for tag in range(3):
        theirs = LogisticRegression(C=1 / 30, tol=1e-8, max_iter=5000)
        theirs.fit(z[train], marks.of("train")[:, tag])
        assert np.abs(said[:, tag] - theirs.decision_function(z[test])).max() < 0.02


def test_one_layer_is_a_linear_probe_and_order_does_not_matter():
    layers, targets = layered(12)
    head = Concatenation(PENALTIES)
    alone = head.fit(layers[1:2], targets)
    for ours, theirs in zip(alone, linear(layers[1][1], targets, PENALTIES), strict=True):
        assert np.allclose(ours.outputs["test"], theirs.outputs["test"], atol=0.02)
    first, second = head.fit(layers, targets)[1], head.fit(layers[::-1], targets)[1]
    assert np.allclose(first.outputs["test"], second.outputs["test"], atol=1e-3)


def test_layers_are_read_once_one_after_the_other():
    layers, targets = layered(12)
    read = []

    def reader():
        for name, layer in layers:
            read.append(name)
            yield name, layer

    head = Concatenation((1.0,))
    found = head.fit(reader(), targets)
    assert read == ["early", "middle", "late"]
    for one, other in zip(found, head.fit(layers, targets), strict=True):
        assert (one.outputs["test"] == other.outputs["test"]).all()


def test_too_many_rows_are_refused_before_memory_is_taken():
    layers, targets = layered(12)
    with pytest.raises(ProbeError, match="head concatenation: 120 training rows need .* GB"):
        Concatenation(memory=1000).fit(layers, targets)
