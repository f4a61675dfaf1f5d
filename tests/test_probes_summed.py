"""Linear probes from sums over pieces and processes are those of all rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from team_of_threads import together

import probes
from probes.design import Design
from probes.errors import ProbeError
from probes.solvers import Problem, solve
from probes.solvers.summed import Share
from probes.source import Matrices, Table
from probes.tasks import Task
from probes.team import ALONE, stretch

PENALTIES = (1.0, 10.0, 1000.0)
LOSSES = ("squared", "sigmoid", "softmax")


def made(rows: int, width: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Rows with columns of all sizes, one of them without life; targets for each loss."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, width)) * np.logspace(-2, 2, width) + 50
    x[:, 1] = 7.0
    x = np.float32(x)
    scores = (x[:, 2:5] - x[:, 2:5].mean(0)) / x[:, 2:5].std(0) + rng.standard_normal((rows, 3))
    tags = np.float64(scores > 0.5)
    tags[::7, 1] = np.nan  # not known of these rows
    targets = {"squared": scores[:, :2], "sigmoid": tags, "softmax": scores.argmax(1)}
    return torch.from_numpy(x), {name: torch.from_numpy(one) for name, one in targets.items()}


def problem(targets: dict[str, torch.Tensor], loss: str, rows=slice(None)) -> Problem:
    return Problem(targets[loss][rows], loss, PENALTIES, classes=3 if loss == "softmax" else 0)


def answers(x: torch.Tensor, design: Design, fit) -> np.ndarray:
    """[penalties, rows, outputs], of a softmax without what all classes have in common."""
    said = (design.rotate(x) @ fit.weights + fit.intercepts[:, None]).double()
    return said.numpy()


@pytest.mark.parametrize("rows, width", [(300, 20), (40, 60)])
@pytest.mark.parametrize("loss", LOSSES)
def test_one_process_comes_to_what_the_solver_does(rows, width, loss):
    x, targets = made(rows, width)
    asked = problem(targets, loss)
    design, share = Design.of(x), Share.of(x, ALONE)
    (wanted,), (found,) = solve(design, [asked]), share.solve([asked])
    assert bool(found.converged.all())
    torch.testing.assert_close(
        share.design.eigenvalues[:3], design.eigenvalues[:3], rtol=1e-9, atol=0
    )
    torch.testing.assert_close(found.objective, wanted.objective, rtol=2e-4, atol=1e-7)
    theirs, ours = answers(x, design, wanted), answers(x, share.design, found)
    np.testing.assert_allclose(ours, theirs, atol=0.03 * theirs.std())


def test_it_is_what_scikit_learn_finds():
    x, targets = made(400, 12)
    share = Share.of(x, ALONE)
    squared, softmax = share.solve([problem(targets, one) for one in ("squared", "softmax")])
    standard = (x.double() - x.double().mean(0)) / x.double().std(0, correction=0).clamp_min(1e-9)
    for place, penalty in enumerate(PENALTIES):
        model = Ridge(alpha=penalty, solver="svd").fit(standard, targets["squared"])
        ours = answers(x, share.design, squared)[place]
        np.testing.assert_allclose(ours, model.predict(standard), atol=1e-4)
        model = LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=5000)
        model.fit(standard, targets["softmax"])
        ours = torch.from_numpy(answers(x, share.design, softmax)[place]).softmax(1)
        np.testing.assert_allclose(ours, model.predict_proba(standard), atol=5e-3)


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("loss", LOSSES)
def test_processes_with_a_share_of_the_rows_come_to_the_same(size, loss):
    x, targets = made(230, 12)
    # the last process has no rows, and one of the others hears of none of the unknown tags
    owner = torch.arange(230) * (size - 1) // 230
    alone = Share.of(x, ALONE)
    (one,) = alone.solve([problem(targets, loss)], tolerance=1e-7)

    def work(team):
        mine = owner == team.rank
        share = Share.of(x[mine], team)
        assert share.count == 230 and len(share.design.rows) == int(mine.sum())
        (fit,) = share.solve([problem(targets, loss, mine)], tolerance=1e-7)
        return answers(x, share.design, fit), fit.objective, fit.converged

    for said, objective, converged in together(size, work):
        assert bool(converged.all())
        wanted = answers(x, alone.design, one)
        np.testing.assert_allclose(said, wanted, atol=2e-3 * wanted.std())
        torch.testing.assert_close(objective, one.objective, rtol=1e-5, atol=1e-8)


def test_rows_that_are_none_or_not_finite_are_named():
    x, _ = made(20, 6)
    with pytest.raises(ProbeError, match="no training rows"):
        Share.of(x[:0], ALONE)
    x[3, 2] = torch.nan
    with pytest.raises(ProbeError, match="not finite"):
        Share.of(x, ALONE)


def study() -> tuple[Matrices, Table, list[Task]]:
    x, targets = made(400, 16)
    rng = np.random.default_rng(1)
    mix = torch.from_numpy(np.float32(rng.standard_normal((16, 9)) / 50))
    layers = {"first": x, "second": torch.tanh(x @ mix)}
    tracks = np.arange(400) // 2
    groups = np.array([f"t{track}" for track in tracks])
    splits = np.array(["train", "train", "valid", "test"])[tracks % 4]
    labels = {
        "number": targets["squared"][:, 0].tolist(),
        "word": [("low", "middle", "high")[i] for i in targets["softmax"]],
    }
    tasks = [Task.from_label("number", "regression"), Task.from_label("word", "classification")]
    return Matrices("net", layers), Table(groups, labels, splits), tasks


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_run_of_several_processes_has_the_scores_of_one(size):
    source, rows, tasks = study()
    read, whole = [], Matrices.read

    class Watched(Matrices):
        def read(self, layer, start=0, stop=None):
            read.append((start, stop))
            return whole(self, layer, start, stop)

    wanted = probes.run(source, rows, tasks, resamples=50)

    def work(team):
        watched = Watched("net", {name: source.read(name) for name in source.layers})
        return probes.run(watched, rows, tasks, resamples=50, heads=["weighting"], team=team)

    for found in together(size, work):
        assert found.heads == ()
        for task, one in zip(wanted.tasks, found.tasks, strict=True):
            assert any("left out weighting" in note for note in one.notes)
            assert one.selected == task.selected
            for mine, theirs in zip(one.layers, task.layers, strict=True):
                assert mine.setting == theirs.setting
                assert mine.valid.value == pytest.approx(theirs.valid.value, abs=0.02)
                assert mine.splits["test"].value == pytest.approx(
                    theirs.splits["test"].value, abs=0.02
                )
    team = type("T", (), {"size": size})
    shares = {stretch(type("T", (team,), {"rank": r}), 400) for r in range(size)}
    assert set(read) == shares
