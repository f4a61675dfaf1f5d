"""The protocol's linear probes of a layer that something was erased from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from probes.heads.linear import PENALTIES, LinearLayer
from probes.metrics import metric
from probes.scored import Scored
from probes.solvers import solve
from probes.splits import VALID
from probes.why.erasure import Eraser


class Reprobing:
    """Exact probes, on the headline splits of targets that share their training rows.

    The erased layer has axes of its own; columns are scaled as before the erasure. The penalty is
    chosen anew, by validation loss.

    Parameters
    ----------
    layer : made ready for the same targets.
    """

    def __init__(self, layer: LinearLayer, penalties: Sequence[float] = PENALTIES):
        self.layer, self.penalties = layer, tuple(penalties)

    def probe(self, eraser: Eraser | None) -> list[Scored]:
        """The score of each target on its headline split, all of them in one batch."""
        layer = self.layer if eraser is None else _Erased(self.layer, eraser)
        problems = [layer.problem(target, self.penalties) for target in layer.targets]
        found = []
        for target, fit in zip(layer.targets, solve(layer.design, problems), strict=True):
            answers = layer.answers(target, fit)
            losses = np.nan_to_num(answers.loss(target, VALID), nan=np.inf)
            outputs = answers.outputs[target.headline][int(np.argmin(losses))]
            prior = target.prior if target.task.kind == "classification" else None
            one = metric(target.task.metric, target.classes, prior)
            found.append(
                one.scored(target.of(target.headline), outputs, target.group_index(target.headline))
            )
        return found


class _Erased(LinearLayer):
    """A layer made ready for linear probes, with something erased."""

    def __init__(self, layer: LinearLayer, eraser: Eraser):
        self.targets = layer.targets
        self.design, turn = eraser.design(layer.design)
        self._held = layer._held
        self._rows = (layer._rows.double() @ turn).float()
