"""Metrics by name: scikit-learn's and mir_eval's definitions, made so that groups can be resampled.

Those of frame tasks, which score decoded tracks, are in `probes.framing.scores`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from probes.errors import ProbeError
from probes.metrics.base import Metric
from probes.metrics.classes import Accuracy, BalancedAccuracy, KeyScore
from probes.metrics.numbers import ExplainedVariance, TempoAccuracy
from probes.metrics.ranking import AreaUnderCurve, AveragePrecision

__all__ = ["METRICS", "Metric", "metric"]

# name -> metric, from the names of the classes and their frequencies in training
METRICS: dict[str, Callable[[Sequence[str], np.ndarray], Metric]] = {
    "accuracy": lambda names, prior: Accuracy(),
    "balanced accuracy": lambda names, prior: BalancedAccuracy(prior),
    "weighted key score": lambda names, prior: KeyScore(names),
    "R2": lambda names, prior: ExplainedVariance(),
    "Acc1": lambda names, prior: TempoAccuracy("Acc1"),
    "Acc2": lambda names, prior: TempoAccuracy("Acc2"),
    "ROC-AUC": lambda names, prior: AreaUnderCurve(),
    "average precision": lambda names, prior: AveragePrecision(),
}


def metric(name: str, classes: Sequence[str] = (), prior: np.ndarray | None = None) -> Metric:
    """A metric by name.

    Parameters
    ----------
    classes : names of the classes that targets are indices of.
    prior : [classes] frequencies in training; equal ones unless given.

    Raises
    ------
    ProbeError : the name is unknown.
    """
    if name not in METRICS:
        raise ProbeError(f"metric {name!r} is unknown: use one of {', '.join(METRICS)}")
    if prior is None:
        prior = np.full(len(classes), 1.0 / max(1, len(classes)))
    return METRICS[name](classes, prior)
