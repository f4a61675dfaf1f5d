"""One layer or all of them: what a user should take for a task, by rules that are written down.

1. Where the layer that validation chooses is not shown to be above chance: nothing.
2. A head of all layers together (learned weights, concatenation) where it is shown to be better
   than that layer; of several the one with the best score on validation.
3. The last layer, the usual default, where it is that layer, or where its score is surely no more
   than a tenth of that layer's lead over chance below it.
4. Else that layer.

All differences of a task are one family of tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from probes.curves import Curve
from probes.errors import ProbeError
from probes.record import Record
from probes.scored import Score
from probes.why.contrast import Contrast, contrasts

TENTH = 0.1
LAST, SINGLE = "last layer", "best layer"
# why something is recommended: the number of the rule
CHANCE, JOINED, DEFAULT, ONE = 1, 2, 3, 4


@dataclass(frozen=True)
class Option(Record):
    """Something to take.

    Attributes
    ----------
    name : `last layer`, `best layer` (by validation), or a head of all layers.
    layer : its name; `all` for heads of all layers.
    best, last : its score minus that of the best layer, and minus that of the last.
    """

    name: str
    layer: str
    score: Score
    best: Contrast
    last: Contrast


@dataclass(frozen=True)
class Choice(Record):
    """What to take for one task.

    Attributes
    ----------
    above : the best layer's score minus chance.
    recommended : name of an option; None where nothing is above chance.
    rule : which of the four led to it.
    """

    task: str
    groups: int
    above: Contrast
    options: tuple[Option, ...]
    recommended: str | None
    rule: int

    def option(self, name: str) -> Option:
        for one in self.options:
            if one.name == name:
                return one
        raise ProbeError(f"task {self.task}: {name} is no option")


def choice(task: str, layers: Curve, joined: Mapping[str, Curve] | None = None) -> Choice:
    """From curves on the same resamples of the same groups.

    Parameters
    ----------
    layers : of the protocol's head, in order of depth.
    joined : head -> curve with one pseudo-layer, of heads that see all layers.
    """
    joined = dict(joined or {})
    for name, one in joined.items():
        if one.groups != layers.groups or one.resampled.shape[1] != layers.resampled.shape[1]:
            raise ProbeError(
                f"task {task}: {name} is on other groups or resamples: probe all with one seed"
            )
    best, last = layers.best, len(layers.layers) - 1
    some = [(LAST, layers, last), (SINGLE, layers, best)]
    some += [(name, one, 0) for name, one in joined.items()]
    value = np.array([one.values[at] for _, one, at in some])
    drawn = np.stack([one.resampled[at] for _, one, at in some])
    both = np.concatenate([value - layers.values[best], value - layers.values[last]])
    spread = np.concatenate([drawn - layers.resampled[best], drawn - layers.resampled[last]])
    found = contrasts(both, spread, layers.groups)
    (above,) = contrasts(
        layers.values[[best]] - layers.chance,
        layers.resampled[[best]] - layers.chance,
        layers.groups,
    )
    options = tuple(
        Option(name, one.layers[at], one.score(at), found[i], found[len(some) + i])
        for i, (name, one, at) in enumerate(some)
    )
    better = [one.name for one in options[2:] if one.best.above]
    if not above.above:
        return Choice(task, layers.groups, above, options, None, CHANCE)
    if better:
        wins = max(better, key=lambda name: joined[name].valid[0])
        return Choice(task, layers.groups, above, options, wins, JOINED)
    if best == last or options[0].best.low >= -TENTH * above.value:
        return Choice(task, layers.groups, above, options, LAST, DEFAULT)
    return Choice(task, layers.groups, above, options, SINGLE, ONE)
