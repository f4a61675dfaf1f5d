"""Numbers about pairs of representations, and about single ones."""

from __future__ import annotations

from importlib import import_module

_HOMES = {
    "compare": "rsa.comparison",
    "Comparison": "rsa.comparison",
    "Estimate": "rsa.functions",
    "pair": "rsa.functions",
    "cka": "rsa.functions",
    "cca_r2": "rsa.functions",
    "cca_mean": "rsa.functions",
    "svcca": "rsa.functions",
    "pwcca": "rsa.functions",
    "ridge_pwcca": "rsa.functions",
    "procrustes": "rsa.functions",
    "bures": "rsa.functions",
    "shape_angle": "rsa.functions",
    "predictivity": "rsa.functions",
    "rdm_correlation": "rsa.functions",
    "mutual_neighbours": "rsa.functions",
    "cknna": "rsa.functions",
    "distance_correlation": "rsa.functions",
    "gaussian_mi": "rsa.functions",
    "ksg_mi": "rsa.functions",
    "critic_mi": "rsa.functions",
    "sliced_mi": "rsa.functions",
    "max_sliced_mi": "rsa.functions",
    "renyi_mi": "rsa.functions",
    "Matrices": "rsa.source",
    "Source": "rsa.source",
    "Similarity": "rsa.similarity",
    "MeasureResult": "rsa.similarity",
    "geometry": "rsa.layerwise.geometry",
    "Geometry": "rsa.layerwise.geometry",
    "label_information": "rsa.layerwise.labels",
    "LabelInformation": "rsa.layerwise.labels",
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
