"""Perceptrons: as good as scikit-learn's, and the same however they are batched."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from planted_targets import one_thread, planted, targets  # noqa: F401
from sklearn.neural_network import MLPClassifier

from probes.heads.linear import linear
from probes.heads.mlp import MLP, Recipe
from probes.heads.training import Schedule

SHORT = Schedule(patience=3, most=20)
GRID = (
    Recipe(1e-2, hidden=16, dropout=0.2),
    Recipe(1e-3, hidden=16, dropout=0.5),
    Recipe(1e-2, hidden=0, input_dropout=0.25, l2=1e-3),
    Recipe(1e-2, hidden=16, input_dropout=0.25, standardise=False, batch=32),
)


def same(one, other, tolerance=1e-4):
    for split, outputs in one.outputs.items():
        assert np.allclose(outputs, other.outputs[split], atol=tolerance, rtol=1e-3)
    assert (one.converged == other.converged).all()


@pytest.fixture(scope="module")
def crossed():
    """Classes that no linear map tells apart: the sign of a product, and of another number."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(2100, 3))
    x = z @ rng.normal(size=(3, 10)) + 0.2 * rng.normal(size=(2100, 10))
    names = [f"{a}{b}" for a, b in zip(z[:, 0] * z[:, 1] > 0, z[:, 2] > 0, strict=True)]
    splits = np.array(["train"] * 3 + ["valid"] + ["test"] * 3)[np.arange(2100) // 3 % 7]
    return torch.tensor(x.astype(np.float32)), targets({"colour": names}, splits)


def accuracy(answers, target):
    choice = answers.loss(target, "valid").argmin()
    return float((answers.outputs["test"][choice].argmax(axis=1) == target.of("test")).mean())


def test_accuracy_is_within_a_standard_error_of_scikit_learn(crossed):
    x, (target,) = crossed
    head = MLP(
        grid=tuple(Recipe(rate, hidden=32) for rate in (3e-3, 1e-2)),
        schedule=Schedule(patience=10, most=60),
    )
    ours = accuracy(head.fit(x, [target])[0], target)
    train, test = target.index["train"], target.index["test"]
    z = ((x - x[train].mean(0)) / x[train].std(0)).numpy()
    theirs = MLPClassifier(
        (32,), learning_rate_init=3e-3, batch_size=64, early_stopping=True, random_state=0,
        max_iter=60,
    ).fit(z[train], target.of("train"))  # fmt: skip
    score = theirs.score(z[test], target.of("test"))
    error = np.sqrt(score * (1 - score) / len(test))
    assert abs(ours - score) < 2 * np.sqrt(2) * error
    # it had to be nonlinear
    assert ours > accuracy(linear(x, [target])[0], target) + 10 * error


def test_memory_changes_nothing():
    x, some = planted(n=210, width=12)
    whole, part = (MLP(GRID, SHORT, memory=size).fit(x, some) for size in (1 << 26, 1))
    for one, other in zip(whole, part, strict=True):
        same(one, other)


def test_targets_together_are_targets_alone():
    x, some = planted(n=210, width=12)
    head = MLP(GRID, SHORT)
    for one, target in zip(head.fit(x, some), some, strict=True):
        same(one, head.fit(x, [target])[0])


def test_targets_with_other_validation_rows_are_told_apart():
    x, (colour, size, _) = planted(n=210, width=12)
    fewer = dataclasses.replace(size, index={**size.index, "valid": size.index["valid"][::2]})
    head = MLP(GRID[:2], SHORT)
    together = head.fit(x, [colour, fewer, size])
    for one, target in zip(together, (colour, fewer, size), strict=True):
        same(one, head.fit(x, [target])[0])
    assert together[1].outputs["valid"].shape[1] == 15


def test_layers_together_are_layers_alone():
    x, some = planted(n=210, width=12)
    other = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    head = MLP(GRID, SHORT)
    both = head.fit_layers([x, other, x[:, :5]], some)
    for layer, found in zip((x, other, x[:, :5]), both, strict=True):
        for one, alone in zip(found, head.fit(layer, some), strict=True):
            same(one, alone)


def test_layers_side_by_side_are_layers_alone(monkeypatch):
    """What a GPU does, on a CPU: layers of one width are one batch."""
    import probes.heads.mlp as module

    x, some = planted(n=210, width=12)
    other = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    head = MLP(GRID, SHORT)
    alone = [head.fit(layer, some) for layer in (x, other)]
    monkeypatch.setattr(module, "_alike", lambda layers, size, rows: [[0, 1]])
    for found, line in zip(head.fit_layers([x, other], some), alone, strict=True):
        for one, single in zip(found, line, strict=True):
            same(one, single)


def test_choices_tell_the_grid_apart():
    assert MLP(GRID).choices[2] == {
        "learning_rate": 1e-2,
        "hidden": 0,
        "dropout": 0.0,
        "input_dropout": 0.25,
        "l2": 1e-3,
        "standardise": True,
        "batch": 64,
    }
    assert MLP((Recipe(1e-2),)).choices == ({"learning_rate": 1e-2},)


def test_without_a_hidden_layer_it_nears_the_linear_optimum():
    x, (_, size, _) = planted(n=420, width=12)
    head = MLP((Recipe(1e-2, hidden=0),), Schedule(patience=20, most=200))
    ours = head.fit(x, [size])[0].loss(size, "test")[0]
    exact = linear(x, [size], [1.0])[0].loss(size, "test")[0]
    assert abs(ours - exact) < 0.01 * np.var(size.of("test"))


def test_training_by_score_stops_at_the_best_score():
    x, (colour, _, marks) = planted(n=210, width=12, noise=2.0)
    head = MLP((Recipe(1e-2, hidden=16),), Schedule(patience=10, most=60, stop_on="score"))
    by_loss = MLP(head.grid, Schedule(patience=10, most=60))
    from probes.metrics import metric

    for target, name in ((colour, "balanced accuracy"), (marks, "ROC-AUC")):
        prior = target.prior if target is colour else None
        judge = metric(name, target.classes, prior)
        scores = [
            judge.scored(
                target.of("valid"), one.fit(x, [target])[0].outputs["valid"][0],
                target.group_index("valid"),
            ).value
            for one in (head, by_loss)
        ]  # fmt: skip
        assert scores[0] >= scores[1]


def test_a_layer_that_never_varies_is_answered_by_frequencies():
    x, (colour, _, _) = planted(n=210, width=12)
    head = MLP((Recipe(1e-2, hidden=8),), Schedule(patience=10, most=60))
    outputs = head.fit(torch.full_like(x, 3.0), [colour])[0].outputs["test"][0]
    assert np.exp(outputs) == pytest.approx(np.tile(colour.prior, (len(outputs), 1)), abs=0.1)
