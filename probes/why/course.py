"""Where in depth something becomes linearly decodable, where it is all there, where it is lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from probes.curves import Curve
from probes.errors import ProbeError
from probes.record import Record
from probes.why.contrast import Contrast, contrasts


@dataclass(frozen=True)
class Course(Record):
    """A curve over layers read from the input on; layers by name, None where there is none.

    Attributes
    ----------
    best : the layer that validation chooses.
    first : the first layer shown to be above chance; a family are all layers.
    full : the first layer not shown to be below the best one.
    lost : the layer after the best from which on all are shown to be below it.
    above : each layer minus chance.
    behind : each layer minus the best; a family are all layers.
    """

    layers: tuple[str, ...]
    best: str
    first: str | None
    full: str | None
    lost: str | None
    above: tuple[Contrast, ...]
    behind: tuple[Contrast, ...]

    @property
    def end(self) -> Contrast:
        """The last layer minus the best."""
        return self.behind[-1]


def course(curve: Curve) -> Course:
    """Of a curve; with fewer than two layers there is no course."""
    count, best = len(curve.layers), curve.best
    if count < 2:
        raise ProbeError(f"a course needs two layers at least, not {count}")
    above = contrasts(curve.values - curve.chance, curve.resampled - curve.chance, curve.groups)
    behind = contrasts(
        curve.values - curve.values[best], curve.resampled - curve.resampled[best], curve.groups
    )
    found = [i for i in range(count) if above[i].above]
    first = found[0] if found else None
    full = lost = None
    if first is not None:
        full = next((i for i in range(first, count) if not behind[i].below), None)
        tail = int(np.argmin([one.below for one in behind[::-1]]))  # of layers below the best
        lost = max(count - tail, best + 1) if tail else None

    def name(place: int | None) -> str | None:
        return None if place is None else curve.layers[place]

    return Course(
        curve.layers,
        curve.layers[best],
        name(first),
        name(full),
        name(lost),
        tuple(above),
        tuple(behind),
    )
