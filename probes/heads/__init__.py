"""Heads: what is trained on frozen layers. One line of `HEADS` makes one known."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from probes.errors import ProbeError

if TYPE_CHECKING:
    from probes.heads.base import Head

# name -> module and class; read when it is asked for, so that names cost nothing
HEADS = {
    "linear": "probes.heads.linear:Linear",
    "mlp": "probes.heads.mlp:MLP",
    "attentive": "probes.heads.attentive:Attentive",
    "weighting": "probes.heads.weighting:Weighting",
    "concatenation": "probes.heads.concatenation:Concatenation",
    "knn": "probes.heads.neighbours:Neighbours",
    "centroid": "probes.heads.centroid:Centroid",
}


def head(name: str, **settings) -> Head:
    """A head by name, with other settings than its own where given.

    Raises
    ------
    ProbeError : the name is unknown.
    """
    if name not in HEADS:
        raise ProbeError(f"head {name!r} is unknown: use one of {', '.join(HEADS)}")
    module, kind = HEADS[name].split(":")
    return getattr(importlib.import_module(module), kind)(**settings)
