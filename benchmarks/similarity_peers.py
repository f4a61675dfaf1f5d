"""How other packages are asked for the same matrices as ours, for benchmarks/similarity.py.

Each function takes two lists of layers [rows, width] float32 and returns [layers, layers] values,
NaN where it was not asked: what works pair by pair is timed on `SOME` pairs, the time scaled up.
"""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace

import numpy as np

SOME = 3
DRAWS, BLOCKS = 99, 32
# calls of the loop over draws and blocks that are timed
CALLS = 3


def some_pairs(a: list, b: list, one) -> np.ndarray:
    """The first row's first few pairs."""
    out = np.full((len(a), len(b)), np.nan)
    for j in range(min(SOME, len(b))):
        out[0, j] = one(a[0], b[j])
    return out


def _tensors(a: list, b: list) -> tuple[list, list]:
    import torch

    return [torch.from_numpy(m) for m in a], [torch.from_numpy(m) for m in b]


def pytorch_cka(a: list, b: list) -> np.ndarray:
    from cka import cka_from_features

    return cka_from_features(*_tensors(a, b)).numpy()


def pytorch_cka_looped(a: list, b: list) -> np.ndarray:
    """Chance and interval by calling it again: rows of b permuted, or a block of rows left out."""
    rows = len(a[0])
    rng = np.random.default_rng(0)
    for _ in range(CALLS - 1):
        order = rng.permutation(rows)
        pytorch_cka(a, [x[order] for x in b])
    left = np.delete(np.arange(rows), np.arange(0, rows, BLOCKS))
    return pytorch_cka([x[left] for x in a], [x[left] for x in b])


def ckatorch(a: list, b: list) -> np.ndarray:
    cka_base = importlib.import_module("ckatorch.core").cka_base
    return some_pairs(
        *_tensors(a, b), lambda x, y: float(cka_base(x, y, "linear", method="fro_norm"))
    )


def rsatoolbox(a: list, b: list) -> np.ndarray:
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm, compare

    x, y = (calc_rdm([Dataset(m) for m in side], method="euclidean") for side in (a, b))
    return compare(x, y, method="cosine_cov")


def torch_cka(a: list, b: list) -> np.ndarray:
    """The published arithmetic of `CKA._HSIC`; the class itself takes only models."""
    hsic = importlib.import_module("torch_cka.cka").CKA._HSIC
    here = SimpleNamespace(device="cpu")

    def one(x, y):
        grams = [x @ x.T, y @ y.T]
        for gram in grams:
            gram.fill_diagonal_(0.0)
        k, other = grams
        terms = [float(hsic(here, *two)) for two in ((k, other), (k, k), (other, other))]
        return terms[0] / np.sqrt(terms[1]) / np.sqrt(terms[2])

    return some_pairs(*_tensors(a, b), one)


def _anatome():
    """Its arithmetic of distances, which needs no torchvision although the file imports it."""
    name = "torchvision.models.feature_extraction"
    if "torchvision" not in sys.modules and find_spec("torchvision") is None:
        for part in ("torchvision", "torchvision.models", name):
            sys.modules.setdefault(part, ModuleType(part))
        sys.modules[name].get_graph_node_names = sys.modules[name].create_feature_extractor = None
    return importlib.import_module("anatome.distance")


def anatome_cka(a: list, b: list) -> np.ndarray:
    distance = _anatome().linear_cka_distance
    return some_pairs(*_tensors(a, b), lambda x, y: 1 - float(distance(x, y, reduce_bias=True)))


def anatome_cca(a: list, b: list) -> np.ndarray:
    """SVCCA and PWCCA. Its SVCCA keeps 99 % of the sum of singular values, before centring."""
    anatome = _anatome()

    def one(x, y):
        anatome.pwcca_distance(x, y, "svd")
        return 1 - float(anatome.svcca_distance(x, y, 0.99, "svd"))

    return some_pairs(*_tensors(a, b), one)


def anatome_procrustes(a: list, b: list) -> np.ndarray:
    distance = _anatome().orthogonal_procrustes_distance
    return some_pairs(*_tensors(a, b), lambda x, y: 1 - float(distance(x.clone(), y.clone())))


def netrep_cka(a: list, b: list) -> np.ndarray:
    from netrep.metrics import LinearCKA

    return some_pairs(a, b, lambda x, y: np.cos(LinearCKA().score(x, y)))


def netrep_procrustes(a: list, b: list) -> np.ndarray:
    from netrep.metrics import LinearMetric

    return some_pairs(a, b, lambda x, y: np.cos(LinearMetric(alpha=1.0).fit_score(x, y)))
