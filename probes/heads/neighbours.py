"""The nearest training rows and what they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch

from probes.design import standardisation
from probes.heads.base import Answers, LayerHead, asked
from probes.heads.memory import budget
from probes.memory import in_pieces
from probes.splits import TRAIN
from probes.targets import Target

SPACES = ("cosine", "euclidean")


@dataclass(frozen=True)
class Neighbours(LayerHead):
    """k nearest neighbours, each with one vote.

    A number is the mean of theirs. The probability of a class or a tag is its share of votes, with
    one more vote cast as training is divided, so that none is zero. Nothing is trained: what this
    finds is what is close by as the layer stands, while a linear probe may turn to a few of its
    directions.

    Parameters
    ----------
    counts : of neighbours, at most all training rows.
    spaces : `cosine` of the rows as they are, `euclidean` after columns are standardised on
        training rows.
    memory : bytes that distances may take at a time; by the device unless given. Changes no result.
    """

    counts: tuple[int, ...] = (1, 5, 10, 20, 50)
    spaces: tuple[str, ...] = SPACES
    memory: int | None = None
    name: str = "knn"
    title: str = "Nearest neighbours"
    meaning: str = "rows that are alike in it are close together, without any training"
    source: str = "Cover and Hart 1967; Zhang et al. 2025 (X-ARES)"

    @property
    def choices(self):
        return tuple({"space": s, "neighbours": k} for s, k in product(self.spaces, self.counts))

    def fit(self, layer, targets):
        if not targets:
            return []
        train = torch.as_tensor(targets[0].index[TRAIN], device=layer.device)
        held = np.unique(np.concatenate([t.index[s] for t in targets for s in asked(t)]))
        rows = layer[torch.as_tensor(held, device=layer.device)]
        found = [
            nearest(*_placed(layer[train], rows, space), max(self.counts), self.memory)
            for space in self.spaces
        ]
        return [self._answers(target, held, found) for target in targets]

    def _answers(self, target: Target, held: np.ndarray, found: Sequence[torch.Tensor]) -> Answers:
        outputs = {}
        for split in asked(target):
            place = torch.as_tensor(np.searchsorted(held, target.index[split]))
            parts = [self._said(target, near.cpu()[place]) for near in found]
            outputs[split] = np.concatenate(parts)
        return Answers(outputs, np.ones(len(self.choices), dtype=bool))

    def _said(self, target: Target, near: torch.Tensor) -> np.ndarray:
        """[counts, rows, ...] as in `Answers.outputs`; `near` is [rows, most], nearest first."""
        truth, near = target.of(TRAIN), near.numpy()
        counts = [min(k, near.shape[1]) for k in self.counts]
        if target.task.kind == "classification":
            prior = target.prior
            votes = _summed(np.eye(len(prior)), truth[near], counts)
            return np.log([(v + prior) / (k + 1) for v, k in zip(votes, counts, strict=True)])
        if target.regression:
            sums = _summed(truth, near, counts)
            return np.stack([s / k for s, k in zip(sums, counts, strict=True)])
        share = np.nanmean(truth, axis=0)
        there = _summed((truth == 1).astype(float), near, counts)
        absent = _summed((truth == 0).astype(float), near, counts)
        return np.log(np.stack(there) + share) - np.log(np.stack(absent) + 1 - share)


def _summed(values: np.ndarray, near: np.ndarray, counts: Sequence[int]) -> list[np.ndarray]:
    """[rows, ...] sums of values[near] over the first so many neighbours, for each count."""
    total, found = np.zeros((len(near), *values.shape[1:])), {}
    for place in range(max(counts)):
        total += values[near[:, place]]
        if place + 1 in counts:
            found[place + 1] = total.copy()
    return [found[k] for k in counts]


def nearest(
    train: torch.Tensor, rows: torch.Tensor, count: int, size: int | None = None
) -> torch.Tensor:
    """Numbers of the nearest training rows of each row, nearest first: [rows, count].

    Exact, by Euclidean distance, as many rows at a time as `size` bytes hold distances of.
    """
    length = train.square().sum(dim=1)
    count = min(count, len(train))

    def found(step: int) -> torch.Tensor:
        parts = [
            torch.topk(length - 2 * some @ train.T, count, dim=1, largest=False).indices
            for some in rows.split(step)
        ]
        return torch.cat(parts)

    most = max(1, budget(rows.device, size) // (8 * len(train)))
    return in_pieces("rows of distances to neighbours", found, most)


def _placed(
    train: torch.Tensor, rows: torch.Tensor, space: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both where Euclidean distance orders neighbours as the space does."""
    if space == "cosine":
        return tuple(torch.nn.functional.normalize(some, dim=1) for some in (train, rows))
    mean, scale = standardisation(train)
    return tuple(((some.double() - mean) * scale).float() for some in (train, rows))
