"""All that is known of how far the score of one layer on one task can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from probes.record import Record
from probes.trust.calibration import Calibration, Coverage
from probes.trust.codelength import Codelength
from probes.trust.controls import Control, Shuffled
from probes.trust.dimensions import Dimensions
from probes.trust.learning import Learning


@dataclass(frozen=True)
class LayerTrust(Record):
    """What was asked for; None or empty where it was not, or has no meaning.

    Attributes
    ----------
    calibration : test split -> of probabilities of classes or tags.
    coverage : test split -> of the intervals of a regression.
    """

    control: Control | None = None
    shuffled: Shuffled | None = None
    codelength: Codelength | None = None
    learning: Learning | None = None
    dimensions: Dimensions | None = None
    calibration: Mapping[str, Calibration] = field(default_factory=dict)
    coverage: Mapping[str, Coverage] = field(default_factory=dict)
