"""Least-squares probes of a layer that something was erased from, without decomposing it again.

A ridge regression of indicators (classes, tags) or numbers on the rows x - left right' x: its Gram
matrix differs from the diagonal one of the design by a matrix of twice the removed rank, so that an
erasure costs a small system of equations (Woodbury) for all targets. This is what makes hundreds of
controls possible; and least squares is what the erasure itself is about.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from probes.heads.linear import PENALTIES, LinearLayer, standard
from probes.splits import TRAIN, VALID
from probes.targets import Target
from probes.why.erasure import Eraser
from probes.why.headline import Headline, Probed

LEAST = 1e-6  # a share that is predicted below counts as this


class LeastSquares:
    """Probes of one layer for targets that share their training rows, on their headline splits.

    A class is the one whose indicator is predicted highest, against its frequency where the metric
    asks for that. Tags that are not known count as their frequency.

    Parameters
    ----------
    layer : made ready for the same targets.
    """

    def __init__(
        self,
        layer: LinearLayer,
        headlines: Sequence[Headline],
        penalties: Sequence[float] = PENALTIES,
    ):
        self.headlines, self.penalties = tuple(headlines), tuple(penalties)
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
        # what is left of the truth on validation when the training means are taken off
        self._truth = [
            at(target.of(VALID)) - self._mean[place]
            for target, (_, at), place in zip(layer.targets, columns, self._places, strict=True)
        ]
        self._known = [np.isfinite(truth) for truth in self._truth]

    def probe(self, eraser: Eraser | None) -> list[Probed]:
        """Each target; the penalty with the least squared error on validation is taken."""
        moment, columns = self._moment, self._moment.shape[1]
        if eraser is not None:
            moment = moment - eraser.left @ (eraser.right.T @ moment)
        many = len(self.penalties)
        stacked = np.empty((len(moment), many, columns), dtype=np.float32)
        for number, penalty in enumerate(self.penalties):
            stacked[:, number] = self.solve(eraser, moment, penalty)
        found = []
        for number, place in enumerate(self._places):
            some = stacked[:, :, place]
            said = _say(self._valid[number], some.reshape(len(some), -1))
            off = said.reshape(len(said), many, -1) - self._truth[number][:, None]
            known = self._known[number][:, None]
            errors = np.square(off, out=off).sum(axis=(0, 2), where=known) / known.sum()
            best = int(np.argmin(errors))
            answers = _say(self._test[number], some[:, best]) + self._mean[place]
            headline = self.headlines[number]
            outputs = _outputs(headline.target, answers)
            found.append(Probed(headline.scored(outputs), float(errors[best])))
        return found

    def solve(self, eraser: Eraser | None, moment: np.ndarray, penalty: float) -> np.ndarray:
        """[rank, columns] weights, on rows that are not erased, from moments of erased ones."""
        inverse = 1.0 / (self._power + penalty)[:, None]
        first = inverse * moment
        if eraser is None or eraser.removed == 0:
            return first
        left, right, size = eraser.left, eraser.right, eraser.removed
        weighed = self._power[:, None] * right
        low = np.concatenate([left, weighed], axis=1)
        core = low.T @ (inverse * low)
        core[:size, size:] -= np.eye(size)
        core[size:, :size] -= np.eye(size)
        core[size:, size:] -= right.T @ weighed
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


def _outputs(target: Target, said: np.ndarray) -> np.ndarray:
    """What least squares says, [rows, columns], as the outputs of a head."""
    if target.regression:
        mean, spread = standard(target)
        return said[:, 0] * spread + mean
    return np.log(np.maximum(said, LEAST)) if target.task.kind == "classification" else said
