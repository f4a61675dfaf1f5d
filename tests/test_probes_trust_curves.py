"""Learning curves and curves over components: planted truths, and all pieces together."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import balanced_accuracy_score, r2_score

from probes.heads.linear import LinearLayer
from probes.judging import Judge
from probes.solvers import solve
from probes.source import Table
from probes.splits import TRAIN
from probes.targets import make_target
from probes.tasks.base import Task
from probes.trust.checks import Checks, Settings
from probes.trust.dimensions import kept
from probes.trust.layer import LayerTrust
from probes.trust.nesting import nestings


def world(seed, n=1200, width=24, together=4):
    """Rows with strong first directions; labels of each kind that depend on them."""
    rng = np.random.default_rng(seed)
    latent = rng.standard_normal((n, width)) * np.sqrt(0.75 ** np.arange(width))
    turn = np.linalg.qr(rng.standard_normal((width, width)))[0]
    splits = np.repeat(np.array(["train", "valid", "test"], object), [n // 2, n // 4, n // 4])
    groups = np.array([f"{s}{i // together}" for i, s in enumerate(splits)])
    return rng, latent, latent @ turn, splits, groups


def target_of(label, kind, splits, groups):
    return make_target(Task.of_kind("x", kind), Table(groups, {"x": list(label)}, splits), splits)


def found(rows, targets, penalty, settings=None, types=None):
    ready = LinearLayer(torch.tensor(rows, dtype=torch.float32), targets)
    fits = solve(ready.design, [ready.problem(t, [penalty]) for t in targets])
    answers = [ready.answers(t, fit) for t, fit in zip(targets, fits, strict=True)]
    several = len(targets)
    checks = Checks(targets, settings or Settings(controls=0, shuffles=0), types)
    return ready, answers, checks.layer(ready, answers, [0] * several, [penalty] * several)


def test_numbers_of_components():
    assert kept(1) == (1,) and kept(2) == (1, 2) and kept(5) == (1, 2, 4, 5)
    assert kept(8) == (1, 2, 4, 8) and kept(750)[-2:] == (512, 750)


def test_a_task_of_three_dimensions_is_found_at_four():
    rng = np.random.default_rng(0)
    n = 1500
    strong = np.repeat(rng.standard_normal((n, 3)), 8, axis=1) + 0.1 * rng.standard_normal((n, 24))
    rows = np.concatenate([strong, rng.standard_normal((n, 24))], axis=1)
    sides = (strong[:, [0, 8, 16]] > 0) @ (1, 2, 4)
    splits = np.repeat(np.array(["train", "valid", "test"], object), [n // 2, n // 4, n // 4])
    groups = np.array([f"{s}{i // 3}" for i, s in enumerate(splits)])
    target = target_of([f"c{i}" for i in sides], "category", splits, groups)
    curve = found(rows, [target], 1.0)[2][0].dimensions
    assert curve.enough == {"valid": 4, "test": 4}
    at = dict(zip(curve.components, curve.scores["test"], strict=True))
    assert at[1].value < 0.4 and at[2].value < 0.7 and at[4].value > 0.85
    assert curve.components[-1] == 48 and curve.variance[-1] == pytest.approx(1.0)
    assert curve.variance[2] == pytest.approx(0.5, abs=0.05)


def test_a_task_in_the_weakest_direction_needs_all_dimensions():
    rng = np.random.default_rng(1)
    n = 900
    shared = rng.standard_normal((n, 1))
    rows = shared + np.concatenate([0.5 * rng.standard_normal((n, 15)), np.zeros((n, 1))], axis=1)
    weak = rows - rows.mean(axis=1, keepdims=True)
    splits = np.repeat(np.array(["train", "valid", "test"], object), [n // 3] * 3)
    groups = np.array([f"{s}{i // 3}" for i, s in enumerate(splits)])
    one = torch.tensor(rows[splits == "train"], dtype=torch.float32)
    from probes.design import Design

    last = Design.of(one).rotate(torch.tensor(rows, dtype=torch.float32))[:, -1].numpy()
    target = target_of(last / last.std() + 0.1 * weak[:, 0], "number", splits, groups)
    curve = found(rows, [target], 0.01)[2][0].dimensions
    assert curve.components == (1, 2, 4, 8, 16) and curve.enough["test"] == 16
    assert curve.scores["test"][3].value < 0.1 < 0.9 < curve.scores["test"][4].value


def test_the_learning_curve_is_that_of_scikit_learn():
    rng, latent, rows, splits, groups = world(2)
    names = (latent @ rng.standard_normal((24, 4)) + rng.gumbel(size=(1200, 4))).argmax(axis=1)
    height = latent[:, 0] + latent[:, 5] + 0.3 * rng.standard_normal(1200)
    targets = [
        target_of([f"c{i}" for i in names], "category", splits, groups),
        target_of(height, "number", splits, groups),
    ]
    settings = Settings(controls=0, shuffles=0, resamples=50)
    ready, answers, both = found(rows, targets, 10.0, settings)
    train = rows[splits == "train"]
    z = (rows - train.mean(axis=0)) / train.std(axis=0)
    inside, test = z[splits == "train"], z[splits == "test"]
    for target, one in zip(targets, both, strict=True):
        (nesting,) = nestings(target)
        curve, truth = one.learning, target.of(TRAIN)
        assert curve.rows == nesting.sizes and curve.rows[-1] == 600 and curve.orders == 1
        for step in range(2, len(nesting.sizes)):
            some = nesting.rows(step)
            if target.regression:
                fit = Ridge(alpha=10.0).fit(
                    inside[some], (truth[some] - truth.mean()) / truth.std()
                )
                said = fit.predict(test) * truth.std() + truth.mean()
                score, slack = r2_score(target.of("test"), said), 1e-3
            else:
                fit = LogisticRegression(C=0.1, tol=1e-8, max_iter=5000).fit(
                    inside[some], truth[some]
                )
                odds = fit.predict_log_proba(test) - np.log(target.prior)
                said = odds.argmax(axis=1)
                score, slack = balanced_accuracy_score(target.of("test"), said), 0.01
            assert curve.scores["test"][step].value == pytest.approx(score, abs=slack)
        values = [s.value for s in curve.scores["test"]]
        assert values[0] < values[-1]
        rise = curve.rise["test"]
        assert rise.value == pytest.approx(values[-1] - values[-2]) and rise.low < rise.high


def test_the_end_of_every_curve_is_the_probe_itself():
    rng, latent, rows, splits, groups = world(3)
    target = target_of([f"c{int(v > 0)}" for v in latent[:, 0]], "category", splits, groups)
    ready, answers, (one,) = found(rows, [target], 10.0)
    judged = Judge(target).judge(answers[0], 0, {}).scores[target.task.metric]
    for split in ("valid", "test"):
        assert one.learning.scores[split][-1].value == judged[split].value
        assert one.dimensions.scores[split][-1].value == judged[split].value
    assert set(one.calibration) == {"test"} and not one.coverage


def test_more_rows_help_where_there_is_more_to_learn():
    rng = np.random.default_rng(4)
    rows = rng.standard_normal((1200, 150))
    splits = np.repeat(np.array(["train", "valid", "test"], object), [600, 300, 300])
    groups = np.array([f"{s}{i // 2}" for i, s in enumerate(splits)])
    wide = target_of(rows @ rng.standard_normal(150) / 12 + rng.standard_normal(1200), "number",
                     splits, groups)  # fmt: skip
    easy = target_of(rows[:, 0] + 0.01 * rng.standard_normal(1200), "number", splits, groups)
    _, _, (hard, simple) = found(
        rows, [wide, easy], 1.0, Settings(controls=0, shuffles=0, orders=2)
    )
    assert hard.learning.rise["test"].low > 0.02 and hard.learning.orders == 2
    assert simple.learning.rise["test"].value < 0.001


def all_kinds(seed):
    rng, latent, rows, splits, groups = world(seed, n=480)
    tags = [
        tuple(t for t, on in zip("abcd", row, strict=True) if on) for row in latent[:, :4] > 0.7
    ]
    targets = [
        target_of([f"c{int(v)}" for v in np.digitize(latent[:, 0], (-0.5, 0.5))], "category",
                  splits, groups),
        target_of(latent[:, 1], "number", splits, groups),
        target_of(tags, "tags", splits, groups),
    ]  # fmt: skip
    # a tag that few training rows are known to have or lack
    train = targets[2].index[TRAIN]
    targets[2].values[train[6:], 2] = np.nan
    return rows, targets


def test_all_pieces_for_all_kinds_of_task_written_and_read_and_the_same_again():
    rows, targets = all_kinds(5)
    settings = Settings(controls=2, shuffles=2, resamples=40)
    first, second = (found(rows, targets, 10.0, settings, rows)[2] for _ in range(2))
    for target, one, other in zip(targets, first, second, strict=True):
        text = json.dumps(one.as_json(), allow_nan=False)
        again = LayerTrust.from_json(json.loads(text))
        assert repr(again) == repr(one) == repr(other) and json.dumps(again.as_json()) == text
        assert None not in (one.control, one.shuffled, one.codelength, one.learning, one.dimensions)
        assert set(one.coverage or one.calibration) == {"test"}
        assert bool(one.coverage) == target.regression
        assert one.learning.scores["test"][-1].value > 0.6
        assert one.codelength.saved.value > 0


def test_a_training_set_that_cannot_be_cut_has_curves_of_one_point():
    rng = np.random.default_rng(7)
    splits = np.repeat(np.array(["train", "valid", "test"], object), [21, 12, 12])
    groups = np.array([f"{s}{i // 7}" for i, s in enumerate(splits)])
    target = target_of(rng.standard_normal(45), "number", splits, groups)
    one = found(rng.standard_normal((45, 1)), [target], 1.0)[2][0]
    assert one.learning.rows == (21.0,) and np.isnan(one.learning.rise["test"].value)
    assert one.codelength.bits.value == one.codelength.uniform and one.dimensions.components == (1,)


def test_pieces_can_be_left_out():
    rows, targets = all_kinds(6)
    nothing = Settings(controls=0, shuffles=0, orders=0, components=False, calibration=False)
    assert found(rows, targets, 10.0, nothing, rows)[2] == [LayerTrust()] * 3
    some = found(rows, targets, 10.0, Settings(controls=1, shuffles=0, orders=0,
                 components=False, calibration=False, resamples=20), rows)[2]  # fmt: skip
    assert all(one.control and not one.shuffled and not one.learning for one in some)
