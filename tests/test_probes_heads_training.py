"""Networks side by side: the same as each alone, and as torch's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from planted_targets import one_thread, planted  # noqa: F401
from sklearn.metrics import roc_auc_score

from probes.heads.objective import Objective, area_under_curve
from probes.heads.perceptrons import Perceptrons, side_by_side, start
from probes.heads.training import Schedule, minibatches, train
from probes.splits import TRAIN, VALID

CPU = torch.device("cpu")
RATES = (1e-3, 1e-2)


def perceptrons(x, objectives, owner, hidden=8, dropout=0.0, seed=0):
    starts = [start(x.shape[1], hidden, objectives[t].width, seed) for t in owner]
    widest = max(one.width for one in objectives)
    share = torch.full((len(owner),), dropout)
    layer = torch.zeros(len(owner), dtype=torch.int64)
    return Perceptrons(
        x[None], starts, widest, layer, share, share * 0, (dropout > 0, False), 1 << 20
    )


def fit(x, targets, rates=RATES, decay=0.0, batch=32, seed=0, dropout=0.0, **schedule):
    """Every rate for every target."""
    objectives = [Objective(target, CPU) for target in targets]
    owner = [t for _ in rates for t in range(len(targets))]
    nets = perceptrons(x, objectives, owner, dropout=dropout)
    trained = train(
        nets,
        objectives,
        torch.tensor(owner),
        torch.tensor([r for r in rates for _ in targets], dtype=torch.float64),
        torch.full((len(owner),), decay, dtype=torch.float64),
        torch.as_tensor(targets[0].index[TRAIN]),
        [torch.as_tensor(target.index[VALID]) for target in targets],
        schedule=Schedule(**{"patience": 100, "most": 6, **schedule}),
        batch=batch,
        seed=seed,
    )
    return nets, objectives, trained


@pytest.fixture(scope="module")
def data():
    return planted(n=210, width=12)


def reference(x, target, rate, decay, evaluations):
    """Validation losses of torch's modules and optimiser on the same minibatches."""
    objective = Objective(target, CPU)
    weights = start(x.shape[1], 8, objective.width, 0)
    net = torch.nn.Sequential(
        torch.nn.Linear(x.shape[1], 8), torch.nn.ReLU(), torch.nn.Linear(8, objective.width)
    )
    with torch.no_grad():
        net[0].weight.copy_(weights["inner"].T)
        net[0].bias.copy_(weights["inner_bias"][0])
        net[2].weight.copy_(weights["outer"].T)
        net[2].bias.copy_(weights["outer_bias"][0])
    kind = target.task.kind
    criterion = {
        "classification": torch.nn.CrossEntropyLoss(),
        "regression": lambda said, truth: torch.nn.MSELoss()(said[:, 0], truth),
        "tags": torch.nn.BCEWithLogitsLoss(),
    }[kind]
    optimiser = torch.optim.Adam(net.parameters(), lr=rate, weight_decay=decay)
    train_rows, held = (torch.as_tensor(target.index[s]) for s in (TRAIN, VALID))
    batches = minibatches(len(train_rows), 32, torch.Generator().manual_seed(0))
    epoch = -(-len(train_rows) // 32)
    losses = []
    for step in range(evaluations * epoch + 1):
        if step % epoch == 0:
            losses.append(criterion(net(x[held]), objective.truth[VALID]).item())
        index = next(batches)
        optimiser.zero_grad()
        criterion(net(x[train_rows[index]]), objective.truth[TRAIN][index]).backward()
        optimiser.step()
    return losses


def test_losses_are_those_of_torch_modules_on_the_same_minibatches(data):
    x, targets = data
    _, _, trained = fit(x, targets, decay=1e-2)
    for number, rate in enumerate(RATES):
        for place, target in enumerate(targets):
            theirs = reference(x, target, rate, 1e-2, 6)
            ours = trained.trace[:, number * len(targets) + place]
            assert ours.tolist() == pytest.approx(theirs, rel=2e-4), target.task.name
            assert ours[-1] < ours[0]


def test_the_best_state_is_kept_and_its_loss_is_the_least_seen(data):
    x, targets = data
    rng = np.random.default_rng(1)
    noise = torch.tensor(rng.normal(size=x.shape).astype(np.float32))  # so that all overfit
    nets, objectives, trained = fit(noise, targets, (3e-2,), patience=4, most=200)
    assert bool(trained.converged.all())
    for place, one in enumerate(objectives):
        column = trained.trace[:, place]
        seen = column[~column.isnan()]
        best = {k: v[place : place + 1] for k, v in trained.parameters.items()}
        fixed = {k: v[place : place + 1] for k, v in nets.fixed.items()}
        index = torch.as_tensor(targets[place].index[VALID])
        raw = nets.outputs(best, fixed, index)[..., : one.width]
        found = float(one.shortfall(raw, "loss"))
        assert found == pytest.approx(float(seen.min()), rel=1e-6)
        assert found < float(seen[-1])  # it went on, and came back
        # four evaluations without a gain, and no more
        assert len(seen) - 1 - int(seen.argmin()) == 4
        epoch = -(-len(targets[0].index[TRAIN]) // 32)
        assert int(trained.step[place]) == int(seen.argmin()) * epoch


def test_a_network_is_the_same_alone_and_beside_others_that_stop(data):
    x, targets = data
    many = fit(x, targets, (1e-4, 1e-2, 1e-1), dropout=0.3, patience=3, most=60)[2]
    lengths = (~many.trace.isnan()).sum(dim=0)
    assert len(set(lengths.tolist())) > 3  # they stop at different times
    for place, target in enumerate(targets):
        for number, rate in enumerate((1e-4, 1e-2, 1e-1)):
            alone = fit(x, [target], (rate,), dropout=0.3, patience=3, most=60)[2]
            column = many.trace[:, number * len(targets) + place]
            seen = column[~column.isnan()]
            assert torch.allclose(seen, alone.trace[:, 0], rtol=1e-4)


def test_without_patience_spent_a_network_is_not_converged(data):
    trained = fit(*data, patience=50, most=3)[2]
    assert not bool(trained.converged.any())
    assert len(trained.trace) == 4


def test_seeds_decide(data):
    first, again, other = (fit(*data, seed=seed, dropout=0.3)[2].trace for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first[1:], other[1:])


def test_a_network_that_diverges_keeps_its_start_and_spoils_no_other(data):
    x, targets = data
    both = fit(x, targets[1:2], (1e-3, 1e30), most=10, patience=5)[2]
    alone = fit(x, targets[1:2], (1e-3,), most=10, patience=5)[2]
    assert torch.allclose(both.trace[:, 0], alone.trace[:, 0], rtol=1e-5)
    assert int(both.step[1]) == 0
    assert all(bool(v.isfinite().all()) for v in both.parameters.values())


def test_rates_are_halved_as_torch_halves_them(data):
    x, targets = data
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    halved = fit(noise, targets[1:2], (1e-2,), most=30, halve_after=2)[2]
    values = halved.trace[:, 0].tolist()
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=1e-2)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.5, patience=2)
    rates = []
    for value in values:
        scheduler.step(value)
        rates.append(optimiser.param_groups[0]["lr"])
    changes = [i for i in range(1, len(rates)) if rates[i] < rates[i - 1]]
    assert changes
    plain = fit(noise, targets[1:2], (1e-2,), most=30)[2].trace[:, 0].tolist()
    # the same up to and at the first halving, other after it
    assert values[: changes[0] + 1] == pytest.approx(plain[: changes[0] + 1])
    assert values[changes[0] + 1] != pytest.approx(plain[changes[0] + 1], rel=1e-6)


def test_minibatches_are_dealt_or_drawn():
    dealt = minibatches(10, 4, torch.Generator().manual_seed(0))
    for _ in range(3):
        epoch = [next(dealt) for _ in range(3)]
        assert [len(one) for one in epoch] == [4, 4, 2]
        assert sorted(torch.cat(epoch).tolist()) == list(range(10))
    drawn = minibatches(10, 4, torch.Generator().manual_seed(0), dealt=False)
    some = [next(drawn) for _ in range(300)]
    assert all(len(set(one.tolist())) == 4 for one in some)
    counts = torch.bincount(torch.cat(some), minlength=10)
    assert counts.min() > 80 and counts.max() < 160


def test_dropout_leaves_the_mean_as_it_is_and_the_share_as_asked():
    x = torch.ones(1, 1, 2000)
    starts = [{"outer": torch.ones(2000, 1), "outer_bias": torch.zeros(1, 1)}] * 2
    zeros = torch.zeros(2)
    shares = torch.tensor([0.25, 0.5])
    nets = Perceptrons(x, starts, 1, zeros.long(), zeros, shares, (False, True), 1 << 20)
    generator = torch.Generator().manual_seed(0)
    said = torch.stack([
        nets.forward(nets.parameters, nets.fixed, x, nets.noise(generator, 1))[:, 0, 0]
        for _ in range(50)
    ])  # fmt: skip
    kept = said / 2000 * (1 - shares)
    assert torch.allclose(kept.mean(dim=0), 1 - shares, atol=0.01)
    assert torch.allclose(said.mean(dim=0), torch.full((2,), 2000.0), rtol=0.01)


def test_padding_of_narrower_outputs_never_changes(data):
    x, targets = data
    nets, objectives, trained = fit(x, targets, decay=1e-2)
    for place, one in enumerate([*objectives, *objectives]):
        assert bool((trained.parameters["outer"][place, :, one.width :] == 0).all())
    padded = side_by_side([start(4, 0, 2, 0), start(4, 0, 3, 0)], 3, CPU)
    assert padded["outer"].shape == (2, 4, 3)


@pytest.mark.parametrize("ties", [False, True])
def test_areas_under_curves_are_those_of_scikit_learn(ties):
    rng = np.random.default_rng(0)
    said = rng.normal(size=(3, 60, 4))
    said = np.round(said) if ties else said
    truth = (rng.random((60, 4)) < 0.4).astype(float)
    truth[rng.random((60, 4)) < 0.2] = np.nan
    truth[:, 3] = np.where(np.isnan(truth[:, 3]), np.nan, 1.0)  # never absent: no score
    found = area_under_curve(torch.tensor(said), torch.tensor(truth))
    for one, area in zip(said, found, strict=True):
        known = np.isfinite(truth)
        each = [roc_auc_score(truth[known[:, t], t], one[known[:, t], t]) for t in range(3)]
        assert float(area) == pytest.approx(np.mean(each), abs=1e-12)


def test_unknown_tags_take_no_part_in_the_loss(data):
    x, targets = data
    objective = Objective(targets[2], CPU)
    raw = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    truth = torch.tensor([[1.0, 0, torch.nan]] * 5)
    known = torch.nn.functional.binary_cross_entropy_with_logits(raw[0, :, :2], truth[:, :2])
    assert float(objective.loss(raw, truth)[0]) == pytest.approx(float(known), rel=1e-6)
