"""The online code: what it costs when there is nothing to know, something, everything."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from probes import inference
from probes.heads.linear import LinearLayer
from probes.source import Table
from probes.splits import TRAIN
from probes.targets import make_target
from probes.tasks.base import Task
from probes.trust.checks import Checks, Settings
from probes.trust.codelength import Codelength, class_bits, codelength, normal_bits, tag_bits
from probes.trust.nesting import nestings

ONLY = Settings(shuffles=0, components=False, calibration=False)


def data(rows, label, kind="category", together=4):
    """A task on rows of which the first 70 % are for training."""
    n = len(rows)
    splits = np.repeat(np.array(["train", "valid", "test"], object), [7 * n // 10, n // 10, n // 5])
    groups = np.array([f"{s}{i // together}" for i, s in enumerate(splits)])
    task = Task.of_kind("x", kind)
    target = make_target(task, Table(groups, {"x": list(label)}, splits), splits)
    return LinearLayer(torch.tensor(rows, dtype=torch.float32), [target]), target


def code(ready, target, penalty, settings=ONLY):
    answers = [ready.answers(target, fit) for fit in _solve(ready, target, penalty)]
    return Checks([target], settings).layer(ready, answers, [0], [penalty])[0].codelength


def _solve(ready, target, penalty):
    from probes.solvers import solve

    return solve(ready.design, [ready.problem(target, [penalty])])


def test_labels_that_have_nothing_to_do_with_the_layer_cost_the_uniform_code():
    rng = np.random.default_rng(0)
    rows, label = rng.standard_normal((1000, 20)), rng.permutation(np.arange(1000) % 8)
    ready, target = data(rows, [f"c{i}" for i in label])
    found = code(ready, target, 1e5)
    assert found.uniform == 3.0
    assert found.compression.value == pytest.approx(1.0, abs=0.03)
    assert abs(found.saved.value) < 0.02
    # a weak penalty finds patterns that are not there, and pays for them
    assert code(ready, target, 1.0).saved.high < 0


def test_a_clear_layer_needs_little_and_a_noisy_one_more():
    rng = np.random.default_rng(1)
    label = rng.permutation(np.arange(1000) % 8)
    found = []
    for noise in (0.05, 0.5, 1.0):
        rows = np.eye(8)[label] + noise * rng.standard_normal((1000, 8))
        found.append(code(*data(rows, [f"c{i}" for i in label]), 1.0))
    length = [one.bits.value for one in found]
    assert length[0] < 0.5 < length[1] < length[2] < 3.0
    assert found[0].compression.value > 6 and found[0].compression.low > 5
    assert found[0].blocks[0] == 3.0 and found[0].blocks[-1] < 0.05


def test_rare_classes_cost_their_entropy_without_the_layer():
    rng = np.random.default_rng(2)
    label = rng.random(3000) < 0.1
    ready, target = data(rng.standard_normal((3000, 3)), np.where(label, "a", "b"), together=1)
    found = code(ready, target, 1e6)
    share = label[:2100].mean()
    entropy = -(share * np.log2(share) + (1 - share) * np.log2(1 - share))
    assert found.prior == pytest.approx(entropy, abs=0.02) and found.uniform == 1.0
    assert found.bits.value == pytest.approx(found.prior, abs=0.005)


def test_the_code_is_that_of_probes_trained_by_scikit_learn():
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((500, 12)) * np.exp(rng.standard_normal(12))
    label = rows / rows.std(axis=0) @ rng.standard_normal((12, 4)) + rng.gumbel(size=(500, 4))
    names = np.array([f"c{i}" for i in label.argmax(axis=1)])
    ready, target = data(rows, names)
    found = code(ready, target, 10.0)
    (nesting,) = nestings(target)
    train = rows[:350]
    z, truth = (train - train.mean(axis=0)) / train.std(axis=0), target.of(TRAIN)
    bits = len(nesting.block(0)) * 2.0
    for step in range(len(nesting.sizes) - 1):
        before, block = nesting.rows(step), nesting.block(step + 1)
        fit = LogisticRegression(C=0.1, tol=1e-8, max_iter=5000).fit(z[before], truth[before])
        p = np.zeros((len(block), 4))
        p[:, fit.classes_] = fit.predict_proba(z[block])
        mixed = 2 / (len(before) + 2)
        p = (1 - mixed) * p + mixed / 4
        bits -= np.log2(p[np.arange(len(block)), truth[block]]).sum()
    assert found.bits.value == pytest.approx(bits / 350, abs=0.003)
    assert found.compression.value == pytest.approx(2.0 / found.bits.value)
    assert sum(b * len(nesting.block(i)) for i, b in enumerate(found.blocks)) == pytest.approx(
        found.bits.value * 350
    )


def test_frequencies_as_a_probe_give_the_code_of_frequencies():
    known, truth = np.array([0, 0, 1, 0, 3]), np.array([0, 1, 2, 3])
    with np.errstate(divide="ignore"):
        said = np.log(np.broadcast_to(np.bincount(known, minlength=4) / 5, (4, 4)))
    code_bits, prior = class_bits(said, truth, known)
    assert code_bits == pytest.approx(prior)
    assert prior == pytest.approx(-np.log2((np.array([3, 1, 0, 1]) + 0.5) / 7))
    tags = (known == 0).astype(float)[:, None]
    share = tags.mean()
    both = np.array([[1.0], [0.0], [np.nan]])
    code_bits, prior = tag_bits(np.full((3, 1), np.log(share / (1 - share))), both, tags)
    assert code_bits == pytest.approx(prior)
    assert prior == pytest.approx([-np.log2(3.5 / 6), -np.log2(2.5 / 6), 0.0])


def test_a_tag_that_was_never_known_costs_one_bit():
    bits, prior = tag_bits(np.array([[7.0]]), np.array([[0.0]]), np.full((4, 1), np.nan))
    assert bits == pytest.approx([1.0]) and prior == pytest.approx([1.0])


def test_numbers_save_half_the_log_of_the_variance_explained():
    rng = np.random.default_rng(4)
    rows = rng.standard_normal((4000, 3))
    label = rows[:, 0] + 0.5 * rng.standard_normal(4000)
    found = code(*data(rows, label, "number", together=1), 1.0)
    assert found.saved.value == pytest.approx(0.5 * np.log2(1.25 / 0.25), abs=0.05)
    assert found.saved.low < found.saved.value < found.saved.high
    assert found.uniform == pytest.approx(0.5 * np.log2(2 * np.pi * np.e), abs=1e-6)
    assert found.prior == pytest.approx(found.uniform, abs=0.02)
    assert np.isnan(found.compression.value)
    nothing = code(*data(rows, rng.standard_normal(4000), "number", together=1), 1e5)
    assert abs(nothing.saved.value) < 0.02
    assert normal_bits(np.array([0.3]), 0.4) == pytest.approx(
        -norm.logpdf(0.3, scale=np.sqrt(0.4)) / np.log(2)
    )


def test_numbers_that_are_equal_within_groups_do_not_make_the_code_sure_of_itself():
    rng = np.random.default_rng(5)
    label = np.repeat(rng.standard_normal(50), 20)
    found = code(*data(rng.standard_normal((1000, 4)), label, "number", together=20), 1e4)
    assert found.blocks[1] < 6 and abs(found.saved.value) < 0.5


def test_more_orders_are_averaged():
    rng = np.random.default_rng(6)
    label = rng.permutation(np.arange(400) % 3)
    rows = np.eye(3)[label] + rng.standard_normal((400, 3))
    ready, target = data(rows, [f"c{i}" for i in label])
    alone = [
        codelength(target, [n], [_say(ready, target, n)], *_draws(target)).bits.value
        for n in nestings(target, 3)
    ]
    three = Settings(shuffles=0, components=False, calibration=False, orders=3)
    both = code(ready, target, 1.0, three)
    assert both.orders == 3 and len(set(alone)) == 3
    assert both.bits.value == pytest.approx(np.mean(alone), abs=2e-3)


def _say(ready, target, nesting):
    from probes.solvers import solve

    problems = [
        ready.problem(target, [1.0], weights=torch.as_tensor(nesting.weights(step)))
        for step in range(len(nesting.sizes) - 1)
    ]
    fits = solve(ready.design, problems, tolerance=1e-9)
    return [
        ready.outputs(target, TRAIN, fit)[0][nesting.block(step + 1)]
        for step, fit in enumerate(fits)
    ]


def _draws(target):
    index = target.group_index(TRAIN)
    return index, inference.draw(int(index.max()) + 1, 50, 0)


def test_written_and_read():
    rng = np.random.default_rng(7)
    found = code(*data(rng.standard_normal((100, 2)), rng.standard_normal(100), "number"), 1.0)
    again = Codelength.from_json(json.loads(json.dumps(found.as_json(), allow_nan=False)))
    assert repr(again) == repr(found)
