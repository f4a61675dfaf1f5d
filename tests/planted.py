"""Made-up studies in which it is known what carries what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from probes.source import Matrices, Table
from probes.targets import Target, make_target
from probes.tasks.base import Task

SPLITS = ("train", "train", "train", "valid", "test")


def factors(
    rng: np.random.Generator, groups: int, rows: int, names: Sequence[str], size: int = 3
) -> dict[str, np.ndarray]:
    """Independent factors [rows of all groups, size], half of each the same within a group."""

    def one() -> np.ndarray:
        shared = np.repeat(rng.standard_normal((groups, size)), rows, axis=0)
        return (shared + rng.standard_normal((groups * rows, size))) / np.sqrt(2)

    return {name: one() for name in names}


def mixed(
    rng: np.random.Generator, parts: Sequence[np.ndarray], width: int, noise: float = 0.5
) -> np.ndarray:
    """A representation [rows, width] in which each of the parts has directions of its own."""
    whole = np.concatenate(parts, axis=1)
    axes = np.linalg.qr(rng.standard_normal((width, width)))[0][:, : whole.shape[1]]
    found = whole @ axes.T * np.sqrt(width / whole.shape[1])
    return (found + noise * rng.standard_normal(found.shape)).astype(np.float32)


def table(groups: int, rows: int, labels: Mapping[str, Sequence]) -> Table:
    """Rows in order of their groups; three groups of five train, one validates, one tests."""
    owner = np.repeat(np.arange(groups), rows)
    splits = np.array([SPLITS[g % len(SPLITS)] for g in owner], dtype=object)
    return Table(owner, labels, splits)


def targets(rows: Table) -> list[Target]:
    """A task for each label."""
    return [
        make_target(Task.from_label(name, rows.label(name)), rows, rows.splits)
        for name in rows.labels
    ]


def classes(rng: np.random.Generator, factor: np.ndarray, noise: float = 0.5) -> list[str]:
    """One of three classes a row, by the largest of three noisy columns."""
    noisy = factor[:, :3] + noise * rng.standard_normal((len(factor), 3))
    return [f"class {i}" for i in noisy.argmax(axis=1)]


def source(name: str, layers: Mapping[str, np.ndarray]) -> Matrices:
    return Matrices(name, layers)
