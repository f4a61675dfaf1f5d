"""Learned weights of layers: they find what is planted, and say how far they can be believed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from planted_targets import one_thread, planted  # noqa: F401

from probes.errors import ProbeError
from probes.heads.weighting import Weighting

LAYERS = 5


def noise(x, seed):
    return torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))


def test_the_one_layer_that_carries_the_label_gets_the_weight():
    x, targets = planted(n=630, width=16)
    layers = [(f"l{i}", x if i == 3 else 50 * noise(x, i)) for i in range(LAYERS)]
    for answers, target in zip(Weighting().fit(layers, targets), targets, strict=True):
        facts = answers.facts[answers.loss(target, "valid").argmin()]
        assert facts["layers"][int(np.argmax(facts["weights"]))] == "l3"
        assert facts["weights"][3] > 0.9
        assert facts["entropy"] < 0.5 < facts["entropy_of_equal_weights"]
        assert facts["agreement"] > 0.85
        assert [one["start"] for one in facts["starts"]] == ["equal"] + [
            f"random {i}" for i in (1, 2, 3)
        ]
        assert all(one["entropy"] < 0.8 for one in facts["starts"])
        assert facts["weights"] in [one["weights"] for one in facts["starts"]]
        assert "note" not in facts


def test_layers_that_carry_the_same_get_equal_weights():
    x, (_, size, _) = planted(n=630, width=16, noise=0.0)
    layers = [(f"l{i}", x + 2 * noise(x, i)) for i in range(LAYERS)]
    (answers,) = Weighting().fit(layers, [size])
    best = answers.loss(size, "valid").argmin()
    facts = answers.facts[best]
    assert facts["entropy_of_equal_weights"] == pytest.approx(np.log(LAYERS))
    assert facts["entropy"] > 0.9 * np.log(LAYERS)
    # the mean of five noisy layers is better than any of them
    (single,) = Weighting().fit(layers[:1], [size])
    assert answers.loss(size, "test")[best] < 0.7 * single.loss(size, "test").min()


def test_exact_copies_leave_random_starts_where_they_are():
    """Nothing tells copies apart: their weights are the start, which the agreement shows."""
    x, (_, size, _) = planted(n=210, width=8)
    (answers,) = Weighting(rates=(3e-3,)).fit([(f"l{i}", x) for i in range(LAYERS)], [size])
    facts = answers.facts
    assert facts[0]["entropy"] == pytest.approx(np.log(LAYERS), abs=0.01)
    start = torch.randn(LAYERS, generator=torch.Generator().manual_seed(1)).softmax(0)
    # rounding, which differs between CPUs, adds up over the steps
    assert facts[1]["weights"] == pytest.approx(start.tolist(), abs=0.02)
    assert facts[0]["agreement"] < 0.9
    losses = answers.loss(size, "test")
    assert losses == pytest.approx(losses[0], rel=0.05)


def test_norms_of_layers_make_no_difference():
    x, (colour, _, _) = planted(n=210, width=8)
    layers = [("a", x), ("b", noise(x, 1))]
    scaled = [("a", 1e-3 * x), ("b", 1e3 * noise(x, 1) + 7)]
    for how in ("standard", "rms"):
        head = Weighting(rates=(3e-3,), random_starts=1, normalise=how)
        first, second = (head.fit(some, [colour])[0] for some in (layers, scaled))
        for one, other in zip(first.facts, second.facts, strict=True):
            assert np.allclose(one["weights"], other["weights"], atol=0.02)
            assert sum(one["weights"]) == pytest.approx(1.0)
    assert len(first.facts) == len(head.choices) == 2
    assert head.choices[0]["start"] == "equal" and head.choices[1]["start"] == "random 1"


def test_layers_of_different_widths_are_reduced_and_it_says_so():
    x, (_, size, _) = planted(n=210, width=30)
    wide = torch.cat([x, noise(x, 1)], dim=1)
    narrow = x[:, :9].clone()
    narrow[:, 8] = narrow[:, 0]  # rank 8
    layers = [("wide", wide), ("narrow", narrow), ("noise", noise(x, 2))]
    (answers,) = Weighting(rates=(3e-3,), random_starts=1).fit(layers, [size])
    assert answers.facts[0]["note"] == (
        "widths differ: every layer is reduced to 8 principal components"
    )
    best = answers.loss(size, "valid").argmin()
    assert answers.facts[best]["weights"][2] < 0.2


def test_too_little_memory_is_said():
    x, targets = planted(n=210, width=8)
    with pytest.raises(ProbeError, match="head weighting: the layers take more than .* GB"):
        Weighting(memory=1000).fit([("a", x)], targets)
    with pytest.raises(ProbeError, match="no layers"):
        Weighting().fit([], targets)
