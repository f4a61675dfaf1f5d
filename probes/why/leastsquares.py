"""Least-squares probes of a layer that something was erased from, without decomposing it again.

A ridge regression of indicators (classes, tags) or numbers on the rows x - left right' x: its Gram
matrix differs from the diagonal one of the design by a matrix of twice the removed rank, so that an
erasure costs a small system of equations (Woodbury) for all targets and penalties. This is what
makes hundreds of controls possible; and least squares is what the erasure itself is about.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from probes.heads.linear import PENALTIES, LinearLayer, standard
from probes.metrics import metric
from probes.scored import Scored
from probes.splits import TRAIN, VALID
from probes.targets import Target
from probes.why.erasure import Eraser

LEAST = 1e-6  # a share that is predicted below counts as this


class LeastSquares:
    """Probes of one layer for targets that share their training rows, on their headline splits.

    A class is the one whose indicator is predicted highest, against its frequency where the metric
    asks for that. Tags that are not known count as their frequency.

    Parameters
    ----------
    layer : made ready for the same targets.
    """

    def __init__(self, layer: LinearLayer, penalties: Sequence[float] = PENALTIES):
        self.layer, self.penalties = layer, tuple(penalties)
        design = layer.design
        columns = [_columns(target) for target in layer.targets]
        edges = np.cumsum([0, *(truth.shape[1] for truth, _ in columns)])
        self._places = [slice(*pair) for pair in zip(edges[:-1], edges[1:], strict=True)]
        whole = np.concatenate([truth for truth, _ in columns], axis=1)
        self._mean = whole.mean(axis=0)
        rows = design.rows.double().cpu().numpy()
        self._power = len(rows) * design.eigenvalues.double().cpu().numpy()
        self._moment = rows.T @ (whole - self._mean)
        self._valid = [layer.rows(target, VALID) for target in layer.targets]
        self._test = [layer.rows(target, target.headline) for target in layer.targets]
        self._truth = [
            at(target.of(VALID)) for target, (_, at) in zip(layer.targets, columns, strict=True)
        ]

    def probe(self, eraser: Eraser | None) -> list[Scored]:
        """The score of each target on its headline split; the penalty is chosen on validation."""
        weights = [self._solve(eraser, penalty) for penalty in self.penalties]
        stacked = np.concatenate(weights, axis=1).astype(np.float32)
        many, columns = len(weights), self._moment.shape[1]
        found = []
        for number, target in enumerate(self.layer.targets):
            at = self._places[number]
            some = stacked.reshape(len(stacked), many, columns)[:, :, at]
            said = _say(self._valid[number], some.reshape(len(some), -1))
            said = said.reshape(len(said), many, -1) + self._mean[at]
            off = said - self._truth[number][:, None]
            best = int(np.argmin(np.nanmean(np.square(off), axis=(0, 2))))
            answers = _say(self._test[number], some[:, best]) + self._mean[at]
            found.append(_scored(target, answers))
        return found

    def _solve(self, eraser: Eraser | None, penalty: float) -> np.ndarray:
        """[rank, columns] weights on rows that are not erased yet."""
        inverse = 1.0 / (self._power + penalty)[:, None]
        if eraser is None or eraser.removed == 0:
            return inverse * self._moment
        left, right = eraser.left, eraser.right
        moment = self._moment - left @ (right.T @ self._moment)
        weighed = self._power[:, None] * right
        low = np.concatenate([left, weighed], axis=1)
        size = eraser.removed
        core = low.T @ (inverse * low)
        core[:size, size:] -= np.eye(size)
        core[size:, :size] -= np.eye(size)
        core[size:, size:] -= right.T @ weighed
        first = inverse * moment
        found = first - inverse * (low @ np.linalg.solve(core, low.T @ first))
        return found - right @ (left.T @ found)


def _say(rows: torch.Tensor, weights: np.ndarray) -> np.ndarray:
    weights = torch.as_tensor(np.ascontiguousarray(weights), device=rows.device)
    return (rows @ weights).double().cpu().numpy()


def _columns(target: Target):
    """[train, columns] what is regressed, and how truth of another split becomes the same."""
    truth = target.of(TRAIN)
    if target.regression:
        mean, spread = standard(target)
        return ((truth - mean) / spread)[:, None], lambda other: ((other - mean) / spread)[:, None]
    if target.task.kind == "tags":
        share = np.nanmean(truth, axis=0)
        return np.where(np.isnan(truth), share, truth), lambda other: other
    classes = np.eye(len(target.classes))
    return classes[truth], lambda other: classes[other]


def _scored(target: Target, said: np.ndarray) -> Scored:
    """Of what least squares says on the headline split, [rows, columns]."""
    task = target.task
    if target.regression:
        mean, spread = standard(target)
        said = said[:, 0] * spread + mean
    elif task.kind == "classification":
        said = np.log(np.maximum(said, LEAST))
    prior = target.prior if task.kind == "classification" else None
    one = metric(task.metric, target.classes, prior)
    return one.scored(target.of(target.headline), said, target.group_index(target.headline))
