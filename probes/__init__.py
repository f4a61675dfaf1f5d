"""What can be read out of a frozen layer."""

from __future__ import annotations

import importlib

_HOMES = {
    "ProbeError": "probes.errors",
    "ProbeResults": "probes.results",
    "TaskResult": "probes.results",
    "Matrices": "probes.source",
    "Table": "probes.source",
    "Task": "probes.tasks",
    "TASKS": "probes.tasks",
    "resolve": "probes.tasks",
    "run": "probes.running",
}
__all__ = list(_HOMES)


def __getattr__(name: str):
    """Loads what is asked for when it is asked for, so that importing the package is cheap."""
    if name not in _HOMES:
        raise AttributeError(f"module 'probes' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
