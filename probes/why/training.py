"""What training added: a trained network against its untrained twin and against references."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from probes import inference
from probes.curves import Curve
from probes.errors import ProbeError
from probes.record import Record
from probes.why.contrast import Contrast, contrasts


@dataclass(frozen=True)
class Gain(Record):
    """One layer of the trained network.

    Attributes
    ----------
    twin : its score minus that of the same layer of the twin; a family are all layers.
    reference : its score minus that of the best reference; None where there are none.
    most : share of resamples of groups in which it gains most over the twin.
    """

    layer: str
    twin: Contrast
    reference: Contrast | None
    most: float

    @property
    def learned(self) -> bool:
        """Above the untrained layer, and above what is near the surface of the sound."""
        return self.twin.above and (self.reference is None or self.reference.above)


@dataclass(frozen=True)
class Training(Record):
    """One task on one split.

    Attributes
    ----------
    selected, twin, reference : what validation chooses of the trained layers, of the twin's, and of
        the references.
    gains : in order of depth.
    most : the layer with the largest gain over the twin on validation.
    best : the selected layer minus the twin's own best layer, and minus the best reference; these
        are one family. The question is what to use, not where something was learned.
    """

    task: str
    groups: int
    selected: str
    twin: str
    reference: str | None
    most: str
    gains: tuple[Gain, ...]
    best: tuple[Contrast, ...]

    @property
    def learned(self) -> tuple[str, ...]:
        """Layers in which training has added to the task."""
        return tuple(one.layer for one in self.gains if one.learned)


def training(task: str, trained: Curve, twin: Curve, references: Curve | None = None) -> Training:
    """From curves on the same resamples of the same groups.

    Raises
    ------
    ProbeError : a twin with other layers than the network, or curves that are not paired.
    """
    if twin.layers != trained.layers:
        raise ProbeError(f"task {task}: the twin has other layers than the network: probe again")
    for other in (twin, references):
        if other is not None and (
            other.groups != trained.groups or other.resampled.shape[1] != trained.resampled.shape[1]
        ):
            raise ProbeError(
                f"task {task}: scores are on other groups or resamples: probe all with one seed"
            )
    gained = trained.resampled - twin.resampled
    over = contrasts(trained.values - twin.values, gained, trained.groups)
    wins = inference.wins(gained)
    above, place = None, None
    if references is not None:
        place = references.best
        above = contrasts(
            trained.values - references.values[place],
            trained.resampled - references.resampled[place],
            trained.groups,
        )
    here, there = trained.best, twin.best
    rivals = [(twin, there), *([] if references is None else [(references, place)])]
    best = contrasts(
        np.array([trained.values[here] - one.values[i] for one, i in rivals]),
        np.stack([trained.resampled[here] - one.resampled[i] for one, i in rivals]),
        trained.groups,
    )
    ahead = trained.valid - twin.valid
    return Training(
        task,
        trained.groups,
        trained.layers[here],
        twin.layers[there],
        None if references is None else references.layers[place],
        trained.layers[int(np.argmax(np.where(np.isfinite(ahead), ahead, -np.inf)))],
        tuple(
            Gain(layer, over[i], None if above is None else above[i], float(wins[i]))
            for i, layer in enumerate(trained.layers)
        ),
        tuple(best),
    )
