"""What every head must do, whatever it is."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from planted_targets import one_thread, planted  # noqa: F401

from probes.errors import ProbeError
from probes.heads import HEADS, head
from probes.heads.base import JoiningHead, LayerHead, PoolingHead, asked
from probes.heads.frames import Frames
from probes.heads.mlp import Recipe
from probes.heads.training import Schedule

SHORT = Schedule(patience=3, most=25)
# smaller grids, so that a test takes little
QUICK = {
    "mlp": {"grid": (Recipe(1e-2, hidden=16), Recipe(1e-3, hidden=16)), "schedule": SHORT},
    "attentive": {"rates": (1e-2,), "l2": (0.0,), "schedule": SHORT},
    "weighting": {"rates": (1e-2,), "random_starts": 1, "schedule": SHORT},
}


def answered(one, x, targets):
    """Answers of a head, given what it takes; a layer of noise beside the one that carries."""
    if isinstance(one, JoiningHead):
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
        return one.fit(iter([("noise", noise), ("carries", x)]), targets)
    if isinstance(one, PoolingHead):
        clips = np.repeat(np.arange(len(x)), 2)
        return one.fit(Frames.of(x[torch.as_tensor(clips)], clips, len(x)), targets)
    return one.fit(x, targets)


@pytest.fixture(scope="module")
def data():
    return planted(n=210, width=12)


@pytest.mark.parametrize("name", HEADS)
def test_a_head_says_what_it_is(name):
    one = head(name)
    assert one.name == name
    for word in (one.title, one.meaning, one.source):
        assert word and word == word.strip()
    assert isinstance(one, (LayerHead, JoiningHead, PoolingHead))
    assert one.joins == isinstance(one, JoiningHead)
    assert one.frames == isinstance(one, PoolingHead)
    assert len({json.dumps(choice, sort_keys=True) for choice in one.choices}) == len(one.choices)
    assert dataclasses.is_dataclass(one)


@pytest.mark.parametrize("name", HEADS)
def test_a_head_answers_for_every_split_and_choice(name, data):
    x, targets = data
    one = head(name, **QUICK.get(name, {}))
    taken = [target for target in targets if not one.refuses(target)]
    assert len(taken) >= 2
    found = answered(one, x, taken)
    assert len(found) == len(taken)
    for answers, target in zip(found, taken, strict=True):
        assert set(answers.outputs) == set(asked(target)) == {"valid", "test"}
        assert answers.converged.shape == (len(one.choices),)
        json.dumps(list(answers.facts))
        assert len(answers.facts) in (0, len(one.choices))
        for split, outputs in answers.outputs.items():
            more = () if target.regression else (len(target.classes),)
            assert outputs.shape == (len(one.choices), len(target.index[split]), *more)
            assert np.isfinite(outputs).all()
            if target.task.kind == "classification":
                assert np.exp(outputs).sum(axis=2) == pytest.approx(1.0, abs=1e-5)
        blind = {
            "classification": np.log(3),
            "regression": np.var(target.of("train")) if target.regression else 0.0,
            "tags": np.log(2),
        }[target.task.kind]
        assert answers.loss(target, "test").min() < 0.8 * blind, target.task.name


@pytest.mark.parametrize("name", HEADS)
def test_the_same_head_gives_the_same_answers_and_nothing_for_no_targets(name, data):
    x, targets = data
    one = head(name, **QUICK.get(name, {}))
    taken = [target for target in targets if not one.refuses(target)][:1]
    first, again = (answered(one, x, taken)[0] for _ in range(2))
    for split, outputs in first.outputs.items():
        assert (outputs == again.outputs[split]).all()
    assert answered(one, x, []) == []


@pytest.mark.parametrize("name", HEADS)
def test_held_out_labels_change_no_answer_but_the_choice_of_validation(name, data):
    """Test labels are never looked at."""
    x, targets = data
    one = head(name, **QUICK.get(name, {}))
    target = targets[0]
    values = target.values.copy()
    test = target.index["test"]
    values[test] = values[test][::-1]
    changed = dataclasses.replace(target, values=values)
    first, second = (answered(one, x, [some])[0] for some in (target, changed))
    assert (first.outputs["test"] == second.outputs["test"]).all()


def test_a_head_says_why_it_cannot_answer(data):
    _, (colour, size, marks) = data
    centroid = head("centroid")
    assert centroid.refuses(size) == "task size: head centroid is not for a regression"
    assert not centroid.refuses(colour) and not centroid.refuses(marks)


def test_unknown_heads_are_named():
    with pytest.raises(ProbeError, match="head 'tree' is unknown: use one of linear, mlp"):
        head("tree")
