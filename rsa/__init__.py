"""Numbers about pairs of representations, and about single ones."""

from __future__ import annotations

from importlib import import_module

_HOMES = {
    "compare": "rsa.comparison",
    "Comparison": "rsa.comparison",
    "Estimate": "rsa.comparison",
    "pair": "rsa.comparison",
    "cka": "rsa.comparison",
    "svcca": "rsa.comparison",
    "pwcca": "rsa.comparison",
    "gaussian_mi": "rsa.comparison",
    "Matrices": "rsa.source",
    "Source": "rsa.source",
    "Similarity": "rsa.similarity",
    "MeasureResult": "rsa.similarity",
    "geometry": "rsa.layers",
    "Geometry": "rsa.layers",
    "label_information": "rsa.labels",
    "LabelInformation": "rsa.labels",
    "MEASURES": "rsa.measures",
    "DEFAULT": "rsa.measures",
    "RsaError": "rsa.errors",
}

__all__ = list(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'rsa' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
