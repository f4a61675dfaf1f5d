"""The protocol's linear probes of a layer that something was erased from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from probes.heads.base import least
from probes.heads.linear import PENALTIES, LinearLayer
from probes.solvers import solve
from probes.splits import VALID
from probes.why.erasure import Eraser
from probes.why.headline import Headline, Probed


class Reprobing:
    """Exact probes, on the headline splits of targets that share their training rows.

    The erased layer has axes of its own; columns are scaled as before the erasure. The penalty is
    chosen anew, by validation loss.

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
        self.layer, self.headlines = layer, tuple(headlines)
        self.penalties = tuple(penalties)

    def probe(self, eraser: Eraser | None) -> list[Probed]:
        """Each target, all of them in one batch."""
        layer = self.layer if eraser is None else _Erased(self.layer, eraser)
        problems = [layer.problem(target, self.penalties) for target in layer.targets]
        found = []
        fits = solve(layer.design, problems)
        for headline, fit in zip(self.headlines, fits, strict=True):
            target = headline.target
            answers = layer.answers(target, fit)
            losses = answers.loss(target, VALID)
            best = least(losses)
            outputs = answers.outputs[target.headline][best]
            loss = float(np.nan_to_num(losses[best], nan=np.inf))
            found.append(Probed(headline.scored(outputs), loss))
        return found


class _Erased(LinearLayer):
    """A layer made ready for linear probes, with something erased."""

    def __init__(self, layer: LinearLayer, eraser: Eraser):
        self.targets = layer.targets
        self.design, turn = eraser.design(layer.design)
        self._held = {
            split: (numbers, (rows.double() @ turn).float())
            for split, (numbers, rows) in layer._held.items()
        }
