"""Targets of every kind on rows that carry them, for tests of heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch

from probes.source import Table
from probes.targets import Target, make_target
from probes.tasks.base import Task

KINDS = {"colour": "category", "size": "number", "marks": "tags"}
TAGS = ("round", "soft", "loud")


@pytest.fixture(autouse=True)
def one_thread():
    """As probes run: the products are too small to be shared out between cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def targets(
    labels: Mapping[str, Sequence],
    splits: Sequence[str],
    kinds: Mapping[str, str] = KINDS,
    **changes,
) -> list[Target]:
    """A target for every label; every third row begins a group."""
    groups = [f"g{i // 3}" for i in range(len(splits))]
    table = Table(np.array(groups, dtype=object), labels, np.asarray(splits, dtype=object))
    return [
        make_target(Task.of_kind(name, kinds[name], **changes), table, np.asarray(splits, object))
        for name in labels
    ]


def planted(
    n: int = 420, width: int = 24, noise: float = 0.5, seed: int = 0, classes: int = 3
) -> tuple[torch.Tensor, list[Target]]:
    """Rows [n, width] and three targets, all linear in five latent numbers; 4 : 1 : 2 splits."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 5))
    x = z @ rng.normal(size=(5, width)) + noise * rng.normal(size=(n, width)) + 2.0
    parts = np.quantile(z[:, 0], np.linspace(0, 1, classes + 1)[1:-1])
    names = [f"c{np.searchsorted(parts, v)}" for v in z[:, 0]]
    marks = [tuple(t for t, v in zip(TAGS, row[2:], strict=True) if v > 0.4) for row in z]
    order = np.array(["train"] * 4 + ["valid"] + ["test"] * 2)
    splits = order[np.arange(n) // 3 % 7]
    labels = {"colour": names, "size": list(3 * z[:, 1] + 7), "marks": marks}
    return torch.tensor(x.astype(np.float32)), targets(labels, splits)
