"""Erasure against its theorem and a direct formula; closed forms of probes against the solvers."""

from __future__ import annotations

import numpy as np
import planted
import pytest
import torch
from scipy.linalg import sqrtm
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from probes.design import Design
from probes.errors import ProbeError
from probes.heads.linear import LinearLayer
from probes.solvers import Problem, solve
from probes.splits import TRAIN
from probes.why.erasure import WHITENING, Concept, Eraser, carried
from probes.why.headline import Headline
from probes.why.leastsquares import LeastSquares
from probes.why.reprobing import Reprobing
from probes.why.tally import deal


def layer(rows: int = 300, width: int = 40, rank: int | None = None, seed: int = 0):
    """Rows with strongly unequal columns, and a concept that three of their directions carry."""
    rng = np.random.default_rng(seed)
    rank = rank or width
    latent = rng.standard_normal((rows, rank)) * np.exp(-np.arange(rank) / 8)
    x = latent @ rng.standard_normal((rank, width)) + 5 * rng.standard_normal(width)
    concept = x[:, :3] + rng.standard_normal((rows, 3))
    return torch.tensor(x, dtype=torch.float32), concept


SHAPES = {"tall": (300, 40, None), "rank-deficient": (300, 60, 12), "wide": (80, 200, None)}


@pytest.mark.parametrize("whitening", [0.0, 10.0, 1e4])
@pytest.mark.parametrize("name", SHAPES)
def test_after_erasure_nothing_linear_is_left_on_training_rows(name, whitening):
    x, concept = layer(*SHAPES[name])
    design = Design.of(x)
    eraser = Eraser.of(design, concept, whitening)
    rows = design.rows.double().numpy()
    erased = eraser.apply(rows)
    centred = concept - concept.mean(axis=0)
    before, after = (np.abs(r.T @ centred).max() for r in (rows, erased))
    assert before > 1.0
    assert after < 1e-6 * before
    assert eraser.removed == 3
    assert np.allclose(eraser.apply(erased), erased, atol=1e-6 * np.abs(rows).max())
    assert 1 - erased.var(axis=0).sum() / rows.var(axis=0).sum() == pytest.approx(
        eraser.variance, abs=1e-4
    )


def test_no_logistic_probe_finds_an_erased_class():
    """Theorem 3.1: of no linear predictor is any loss below that of a constant."""
    x, concept = layer()
    label = concept.argmax(axis=1)
    design = Design.of(x)
    erased, _ = Eraser.of(design, np.eye(3)[label]).design(design)
    problem = Problem(torch.tensor(label), "softmax", [1e-2, 10.0], 3)
    share = np.bincount(label) / len(label)
    entropy = -(share * np.log(share)).sum()
    with_it, without = (solve(d, [problem])[0].objective.numpy() for d in (design, erased))
    assert (with_it < 0.8 * entropy).all()
    assert np.allclose(without, entropy, rtol=1e-5)


def test_erasure_is_the_formula_of_the_paper():
    """P = W+ (W S)(W S)+ W, with W the inverse root of the covariance, in the layer's columns."""
    x, concept = layer(400, 15)
    design = Design.of(x)
    standard = ((x.double() - design.mean) * design.scale).numpy()
    white = np.linalg.inv(np.real(sqrtm(standard.T @ standard / len(x))))
    cross = white @ standard.T @ (concept - concept.mean(axis=0))
    theirs = standard - standard @ (np.linalg.inv(white) @ cross @ np.linalg.pinv(cross) @ white).T
    rows = design.rows.double().numpy()
    ours = Eraser.of(design, concept).apply(rows) @ design.axes.double().numpy().T
    assert np.abs(ours - theirs).max() < 1e-4


def test_a_ridge_whitens_less_and_changes_more():
    x, concept = layer(120, 100)
    design = Design.of(x)
    rows = design.rows.double().numpy()
    changes = [
        np.square(Eraser.of(design, concept, ridge).apply(rows) - rows).sum()
        for ridge in (0.0, 10.0, 1e4)
    ]
    assert changes[0] < changes[1] < changes[2]


def test_nothing_is_removed_for_a_concept_that_never_goes_with_the_layer():
    rng = np.random.default_rng(1)
    x = torch.tensor(rng.standard_normal((200, 10)), dtype=torch.float32)
    design = Design.of(x)
    z = rng.standard_normal((200, 2))
    axes = np.linalg.qr(np.c_[np.ones(200), design.rows.double().numpy()])[0]
    eraser = Eraser.of(design, z - axes @ (axes.T @ z))
    assert eraser.removed == 0
    rows = design.rows.double().numpy()
    assert np.array_equal(eraser.apply(rows), rows)


def test_a_layer_erased_from_itself_is_gone():
    x, _ = layer(100, 8)
    design = Design.of(x)
    rows = design.rows.double().numpy()
    eraser = Eraser.of(design, rows)
    assert np.abs(eraser.apply(rows)).max() < 1e-5
    assert eraser.variance == pytest.approx(1.0)
    turned, turn = eraser.design(design)
    assert turned.rows.shape[1] == turn.shape[1] == 1


def test_the_erased_design_is_the_erased_layer_in_its_own_axes():
    x, concept = layer(200, 30)
    design = Design.of(x)
    eraser = Eraser.of(design, concept, 5.0)
    turned, turn = eraser.design(design)
    rows = eraser.apply(design.rows.double().numpy())
    assert turned.rows.shape[1] == 27
    gram = (turned.rows @ turned.rows.T).double().numpy()
    assert np.allclose(gram, rows @ rows.T, atol=1e-3 * np.abs(gram).max())
    inner = (turned.rows.T @ turned.rows).double() / len(rows)
    assert torch.allclose(inner, torch.diag(turned.eigenvalues), atol=1e-4)
    assert torch.allclose(turned.rotate(x), turned.rows, atol=1e-3)
    assert torch.allclose((design.rows.double() @ turn).float(), turned.rows, atol=1e-4)


@pytest.mark.parametrize("equal", [False, True])
def test_random_subspaces_take_as_many_dimensions_and_as_much_variance(equal):
    x, concept = layer(300, 60)
    design = Design.of(x)
    eraser = Eraser.of(design, concept)
    draws = Eraser.at_random(design, eraser, np.random.default_rng(0), 40, equal)
    assert {one.removed for one in draws} == {3}
    for one in draws[:3]:
        assert np.allclose(one.right.T @ one.left, np.eye(3), atol=1e-8)
    mean = np.mean([one.variance for one in draws])
    if equal:
        assert mean == pytest.approx(eraser.variance, rel=0.3)
    else:
        assert mean == pytest.approx(3 / design.rows.shape[1], rel=0.5)


def test_a_concept_is_the_leading_components_of_the_standardised_reference():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((100, 5)) * [1, 10, 100, 1, 0] + 3
    concept = Concept.of("x", x, directions=2)
    values = concept.values(x)
    assert values.shape == (100, 2)
    assert np.allclose(values.std(axis=0), 1.0)
    assert np.allclose(np.corrcoef(values.T), np.eye(2), atol=1e-8)
    standard = x[:, :4] - x[:, :4].mean(axis=0)
    power = np.linalg.svd(standard / standard.std(axis=0), compute_uv=False) ** 2
    assert concept.share == pytest.approx(power[:2].sum() / power.sum())
    with pytest.raises(ProbeError, match="reference loudness never varies"):
        Concept.of("loudness", np.ones((10, 2)))
    with pytest.raises(ProbeError, match="reference chroma holds values that are not finite"):
        Concept.of("chroma", np.full((10, 2), np.nan))


def test_what_a_layer_carries_is_told_on_other_rows():
    x, concept = layer(600, 20)
    design = Design.of(x[:400])
    what = Concept.of("x", concept[:400])
    train, held = what.values(concept[:400]), what.values(concept[400:])
    rows = design.rotate(x[400:]).double().numpy()
    found = carried(design, what, train, rows, held)
    z, standard = train * np.sqrt(what.power), StandardScaler().fit(x[:400].numpy())
    fits = [
        Ridge(alpha=max(a, 1e-9)).fit(standard.transform(x[:400].numpy()), z) for a in WHITENING
    ]
    truth = held * np.sqrt(what.power)
    errors = [np.square(f.predict(standard.transform(x[400:].numpy())) - truth).sum() for f in fits]
    assert found.whitening == WHITENING[int(np.argmin(errors))]
    assert found.r2 == pytest.approx(1 - min(errors) / np.square(truth).sum(), abs=1e-3)
    assert found.r2 > 0.5
    noise = np.random.default_rng(3).standard_normal((600, 3))
    other = Concept.of("n", noise[:400])
    none = carried(design, other, other.values(noise[:400]), rows, other.values(noise[400:]))
    assert none.r2 < 0.05
    assert none.whitening >= 1e4


def study(seed: int = 0):
    rng = np.random.default_rng(seed)
    parts = planted.factors(rng, 60, 4, "ab")
    rows = planted.table(
        60,
        4,
        {
            "kind": planted.classes(rng, parts["a"]),
            "size": parts["a"][:, 0] + 0.3 * rng.standard_normal(240),
            "tags": [tuple(n for n, v in zip("xyz", p, strict=True) if v > 0) for p in parts["a"]],
        },
    )
    x = planted.mixed(rng, [parts["a"], parts["b"]], 30)
    return torch.tensor(x), planted.targets(rows), parts


def test_least_squares_of_an_erased_layer_is_that_of_the_solver():
    x, targets, parts = study()
    ready = LinearLayer(x, targets)
    train = targets[0].index[TRAIN]
    eraser = Eraser.of(ready.design, parts["b"][train], 3.0)
    probes = LeastSquares(ready, [Headline(t) for t in targets])
    moment = probes._moment - eraser.left @ (eraser.right.T @ probes._moment)
    erased, turn = eraser.design(ready.design)
    truth = np.concatenate(
        [
            np.eye(3)[targets[0].of(TRAIN)],
            ((y := targets[1].of(TRAIN)) - y.mean())[:, None] / y.std(),
            targets[2].of(TRAIN),
        ],
        axis=1,
    )
    for penalty in (1e-2, 7.0, 1e4):
        (fit,) = solve(erased, [Problem(torch.tensor(truth), "squared", [penalty])])
        theirs = turn.numpy() @ fit.weights[0].double().numpy()
        ours = probes.solve(eraser, moment, penalty)
        rows = ready.rows(targets[0], "test").double().numpy()
        assert np.abs(rows @ (ours - theirs)).max() < 1e-4 * np.abs(rows @ theirs).max()


@pytest.mark.parametrize("kind", [LeastSquares, Reprobing])
def test_what_carries_the_task_is_missed_by_both_kinds_of_probes(kind):
    x, targets, parts = study()
    ready = LinearLayer(x, targets)
    train = targets[0].index[TRAIN]
    probes = kind(ready, [Headline(t) for t in targets])
    whole = probes.probe(None)
    without = {n: probes.probe(Eraser.of(ready.design, parts[n][train])) for n in "ab"}
    for number in range(3):
        before = whole[number].scored.value
        assert before > 0.6
        assert without["b"][number].scored.value > before - 0.08
        assert without["a"][number].scored.value < before - 0.2
        assert without["a"][number].loss > whole[number].loss


def test_groups_change_places_whole():
    rng = np.random.default_rng(0)
    groups = np.repeat(["a", "b", "c", "d"], [3, 5, 3, 1]).astype(object)[rng.permutation(12)]
    seen = set()
    for _ in range(50):
        order = deal(groups, rng)
        for name in set(groups):
            (source,) = set(groups[order[groups == name]])
            seen.add((name, source))
    assert len(seen) == 16
    alike = np.repeat(np.arange(5), 4)
    order = deal(alike, rng)
    assert sorted(order) == list(range(20))
    assert any(order % 4 != np.arange(20) % 4)
