"""Scores against their usual definitions; intervals by what they promise."""

from __future__ import annotations

import mir_eval
import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    r2_score,
    roc_auc_score,
)

from probes import inference
from probes.errors import ProbeError
from probes.metrics import METRICS, metric
from probes.metrics.classes import key_table
from probes.tasks.tonality import KEYS

CLASSES = ("a", "b", "c", "d")


@pytest.fixture
def answers():
    rng = np.random.default_rng(0)
    truth = rng.integers(4, size=300)
    said = np.where(rng.random((2, 300)) < 0.6, truth, rng.integers(4, size=(2, 300)))
    return truth, said, rng.integers(20, size=300)


@pytest.mark.parametrize(
    "name, theirs",
    [
        ("balanced accuracy", balanced_accuracy_score),
        ("accuracy", accuracy_score),
        ("R2", r2_score),
    ],
)
def test_scores_are_those_of_scikit_learn(answers, name, theirs):
    truth, said, groups = answers
    if name == "R2":
        truth, said = truth.astype(float) + 60, said + 60 + 0.3 * np.sin(np.arange(300))
    one = metric(name, CLASSES)
    wanted = [theirs(truth, s) for s in said]
    assert np.allclose(one.score(truth, said), wanted)
    for answer, value in zip(said, wanted, strict=True):
        outputs = answer if name == "R2" else np.log(np.eye(4)[answer] + 1e-9)
        found = one.scored(truth, outputs, groups)
        assert found.groups == 20 and found.value == pytest.approx(value)


@pytest.mark.parametrize("name", ["balanced accuracy", "accuracy", "R2", "weighted key score"])
def test_a_weighted_sum_of_groups_is_the_score_of_the_resample(answers, name):
    truth, said, groups = answers
    one = metric(name, KEYS if "key" in name else CLASSES)
    truth = truth.astype(float) if name == "R2" else truth
    draws = inference.draw(20, 5, seed=1)
    classes = KEYS if "key" in name else CLASSES
    for answer in said:
        outputs = answer if name == "R2" else np.log(np.eye(len(classes))[answer] + 1e-9)
        scores = one.scored(truth, outputs, groups).resampled(draws)
        for draw, found in zip(draws, scores, strict=True):
            members = [np.flatnonzero(groups == g) for g in range(20)]
            rows = np.concatenate([np.tile(members[g], int(draw[g])) for g in range(20)])
            assert np.allclose(found, one.score(truth[rows], answer[rows]))


@pytest.mark.parametrize(
    "name, theirs",
    [("ROC-AUC", roc_auc_score), ("average precision", average_precision_score)],
)
def test_scores_of_tags_are_those_of_scikit_learn_also_when_resampled(name, theirs):
    rng = np.random.default_rng(3)
    groups = rng.integers(30, size=200)
    truth = (rng.random((200, 4)) < [0.1, 0.3, 0.5, 0.02]).astype(float)
    outputs = np.round(rng.normal(size=(200, 4)) + truth, 1)  # with ties
    truth[rng.random((200, 4)) < 0.2] = np.nan
    truth[:, 3] = 0.0  # a tag that no row has is not scored
    scored = metric(name, "abcd").scored(truth, outputs, groups)

    def by_hand(weights):
        found = []
        for tag in range(4):
            rows = np.flatnonzero(np.isfinite(truth[:, tag]) & (weights > 0))
            if len(set(truth[rows, tag])) == 2:
                some = weights[rows]
                found.append(theirs(truth[rows, tag], outputs[rows, tag], sample_weight=some))
        return np.mean(found)

    assert scored.value == pytest.approx(by_hand(np.ones(200)))
    draws = inference.draw(30, 8, seed=1)
    for draw, found in zip(draws, scored.resampled(draws), strict=True):
        assert found == pytest.approx(by_hand(draw[groups]))


def test_tempi_within_four_percent_and_octaves():
    truth = np.log2([100.0, 100.0, 100.0, 100.0])
    said = np.log2([103.0, 206.0, 150.0, 1e-9])
    groups = np.arange(4)
    assert metric("Acc1").scored(truth, said, groups).value == 0.25
    assert metric("Acc2").scored(truth, said, groups).value == 0.5


def test_every_metric_says_what_it_is():
    for name in METRICS:
        one = metric(name, ("C major", "A minor"))
        assert one.name == name and one.definition and one.source


def test_balanced_accuracy_is_over_the_classes_that_occur():
    one = metric("balanced accuracy", CLASSES)
    truth, said = np.array([0, 0, 1, 1]), np.array([0, 3, 1, 1])
    assert one.score(truth, said) == pytest.approx(0.75)


def test_key_scores_are_those_of_mir_eval_for_every_pair():
    table = key_table(KEYS)
    assert table.shape == (24, 24)
    for i, reference in enumerate(KEYS):
        for j, estimate in enumerate(KEYS):
            assert table[i, j] == mir_eval.key.weighted_score(reference, estimate)
    c, g, f, a = (KEYS.index(k) for k in ("C major", "G major", "F major", "A minor"))
    assert [table[c, c], table[c, g], table[c, f], table[c, a]] == [1.0, 0.5, 0.0, 0.3]


@pytest.mark.parametrize(
    "name, classes", [("balanced accuracy", CLASSES), ("weighted key score", KEYS)]
)
def test_chance_is_the_mean_score_of_guesses(name, classes):
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(len(classes)))
    train = np.concatenate([np.arange(len(classes)), rng.choice(len(classes), 2000, p=shares)])
    test = np.concatenate([np.arange(len(classes)), rng.choice(len(classes), 300, p=shares)])
    one = metric(name, classes)
    guesses = rng.choice(train, size=(2000, len(test)))
    scores = one.score(test, guesses)
    assert one.chance(train, test) == pytest.approx(scores.mean(), abs=5 * scores.std() / 2000**0.5)


def test_accuracy_by_chance_is_the_most_frequent_class():
    assert metric("accuracy").chance(np.array([0, 1, 1]), np.array([1, 1, 0, 0])) == 0.5


def test_r2_of_a_constant_target_does_not_exist():
    assert np.isnan(metric("R2").score(np.full(9, 60.0), np.arange(9.0)))


def test_an_unknown_metric_is_named():
    with pytest.raises(ProbeError, match="'f9' is unknown"):
        metric("f9")


def coverage(groups: int, trials: int, effect: float) -> float:
    """Share of intervals over groups that hold the true accuracy, with groups that differ."""
    rng = np.random.default_rng(7)
    one, held = metric("accuracy"), 0
    for trial in range(trials):
        skill = np.clip(0.7 + effect * rng.normal(size=groups), 0, 1)
        index = np.repeat(np.arange(groups), 8)
        said = (rng.random(len(index)) < skill[index]).astype(int)
        scored = one.scored(np.ones_like(said), np.eye(2)[said], index)
        low, high = inference.interval(scored.resampled(inference.draw(groups, 400, trial)), groups)
        held += low <= 0.7 <= high
    return held / trials


@pytest.mark.parametrize("groups", [4, 8, 30])
def test_intervals_cover_what_they_promise(groups):
    assert 0.91 <= coverage(groups, 400, effect=0.12) <= 0.99


def test_intervals_over_groups_are_wider_when_groups_differ():
    rng = np.random.default_rng(0)
    index = np.repeat(np.arange(15), 20)
    said = (rng.random(300) < rng.beta(1, 1, size=15)[index]).astype(int)
    one, truth = metric("accuracy"), np.ones(300, int)

    def width(groups):
        n = groups.max() + 1
        scores = one.scored(truth, np.eye(2)[said], groups).resampled(inference.draw(n, 800, 0))
        low, high = inference.interval(scores, n)
        return high - low

    assert width(index) > 2 * width(np.arange(300))


def test_two_groups_that_agree_are_no_evidence():
    draws = inference.draw(2, 500, 0)
    low, high = inference.interval(draws @ [0.27, 0.31] / 2, 2, bounds=(0.0, 1.0))
    assert low < 0.25 and 0 <= low < high <= 1


def test_one_group_has_no_interval():
    low, high = inference.interval(np.zeros((3, 50)), 1)
    assert np.isnan(low).all() and np.isnan(high).all()


def test_wins_are_shared_by_layers_that_tie():
    scores = np.array([[1.0, 0.5, 0.2], [1.0, 0.9, np.nan], [0.0, 0.1, 0.1]])
    # a tie, a win of the second, a win of the first (the second has no score)
    assert inference.wins(scores) == pytest.approx([(0.5 + 1) / 3, (0.5 + 1) / 3, 0.0])
