"""Probes of one model on another: where what they use is shared, and nowhere else."""

from __future__ import annotations

import json

import numpy as np
import planted
import pytest
import torch
from sklearn.linear_model import Ridge

from probes.errors import ProbeError
from probes.heads.linear import LinearLayer
from probes.solvers import solve
from probes.why.transfer import Transfer, _Batch, _logits, transfer

PENALTIES = (1.0, 1e2, 1e4)


def models(seed: int, groups: int = 150, width: int = 16):
    """A task on factor a: one layer of A has it; layers of B have it, or share other things."""
    rng = np.random.default_rng(seed)
    parts = planted.factors(rng, groups, 4, "abcd")
    rows = planted.table(
        groups,
        4,
        {
            "kind": planted.classes(rng, parts["a"]),
            "size": parts["a"][:, 0] + 0.5 * rng.standard_normal(4 * groups),
            "tags": [tuple(n for n, v in zip("xyz", p, strict=True) if v > 0) for p in parts["a"]],
        },
    )
    one = {
        "lacks": planted.mixed(rng, [parts["b"], parts["c"]], width, 0.7),
        "has": planted.mixed(rng, [parts["a"], parts["b"]], width, 0.7),
    }
    other = {
        "has": planted.mixed(rng, [parts["a"], parts["d"]], width, 0.7),
        "shares": planted.mixed(rng, [parts["b"], parts["d"]], width, 0.7),
        "idle": rng.standard_normal((4 * groups, width)).astype(np.float32),
    }
    return planted.source("A", one), planted.source("B", other), planted.targets(rows)


def test_a_probe_works_where_both_layers_carry_the_task():
    for one in transfer(*models(0), penalties=PENALTIES, resamples=200):
        both = one.pair("has", "has")
        assert both.above.above
        assert both.kept.low > 0.5 and both.kept.high < 1.5
        assert not both.own.above and both.own.value > -0.15
        for pair in (("has", "shares"), ("has", "idle"), ("lacks", "has"), ("lacks", "shares")):
            assert not one.pair(*pair).above.above
        # B reads the task out by itself; what a probe of an empty layer says does not help it
        assert one.pair("lacks", "has").own.below
        assert np.isnan(one.pair("lacks", "has").kept.value)
        assert (
            Transfer.from_json(json.loads(json.dumps(one.as_json(), allow_nan=False))).pair(
                "has", "has"
            )
            == both
        )


def test_a_model_keeps_its_own_probes():
    a, _, targets = models(1)
    for one in transfer(a, a, targets, penalties=PENALTIES, resamples=100, layers_a=["has"]):
        assert one.pair("has", "has").kept.value == pytest.approx(1.0, abs=0.1)


def test_the_mapped_probe_is_the_probe_after_the_ridge_map_between_the_layers():
    """Regression of a probe's outputs on B = the regression of A's layer on B, then the probe."""
    a, b, targets = models(2)
    x, y = (LinearLayer(torch.tensor(s.read("has")), targets) for s in (a, b))
    rng = np.random.default_rng(0)
    probe = rng.standard_normal((x.design.rows.shape[1], 3))
    outputs = x.design.rows.double().numpy() @ probe
    rows, held = y.design.rows.double().numpy(), y.rows(targets[0], "test").double().numpy()
    whole = Ridge(alpha=7.0).fit(rows, x.design.rows.double().numpy()).predict(held) @ probe
    short = Ridge(alpha=7.0).fit(rows, outputs).predict(held)
    assert np.allclose(whole, short, atol=1e-8)


def test_outputs_that_are_mapped_come_from_probes_that_have_not_seen_the_labels():
    """On labels without a cause, outputs of probes trained on these rows would tell them."""
    rng = np.random.default_rng(3)
    rows = planted.table(60, 4, {"kind": [f"class {i}" for i in rng.integers(0, 2, 240)]})
    targets = planted.targets(rows)
    batch = _Batch(targets, (1.0,), 50, 0, "cpu")
    noise = planted.source("A", {"x": rng.standard_normal((240, 100)).astype(np.float32)})
    side = batch.probe((noise, "x", True))
    train, _ = side.taught[0]
    truth = targets[0].of("train")
    ready = side.ready
    (fit,) = solve(ready.design, [ready.problem(targets[0], [1.0])])
    seen = _logits(ready, targets[0], "train", fit, 0)
    assert np.mean(seen.argmax(axis=1) == truth) > 0.9
    assert abs(np.mean(train.argmax(axis=1) == truth) - 0.5) < 0.15


def test_rows_that_do_not_match_are_refused():
    a, _, targets = models(0, groups=20)
    with pytest.raises(ProbeError, match="A has 80 rows and B 3: extract both"):
        transfer(a, planted.source("B", {"x": np.zeros((3, 2), np.float32)}), targets)


@pytest.mark.slow
def test_nothing_is_transferred_to_layers_that_lack_the_task():
    claims = []
    for seed in range(200):
        for one in transfer(*models(seed, groups=50), penalties=PENALTIES, resamples=200):
            pairs = [("has", "shares"), ("has", "idle"), ("lacks", "has"), ("lacks", "shares")]
            claims.append(any(one.pair(*pair).above.above for pair in pairs))
    assert np.mean(claims) <= 0.05
