"""A map of the rows of a layer in two dimensions, and how far it can be believed."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from rsa.errors import RsaError

FEWEST, NEAR, COMPONENTS = 20, 15, 50


@dataclass(frozen=True)
class RowMap:
    """Rows of one layer as points.

    Attributes
    ----------
    places : [rows, 2].
    trustworthiness : 1 where all neighbours on the map are neighbours in the layer, about 0.5 where
        they are anyone (Venna and Kaski 2001).
    method : of the map, with its settings.
    """

    places: np.ndarray
    trustworthiness: float
    method: str


def row_map(x: np.ndarray, seed: int = 0) -> RowMap:
    """UMAP (McInnes et al. 2018) of a layer [rows, width].

    Columns are standardised and reduced to 50 principal components at most; distances are
    Euclidean. Trustworthiness is over the same neighbours in these components.

    Raises
    ------
    RsaError : fewer than 20 rows, rows that do not vary, values that are not finite.
    """
    x = np.asarray(x, dtype=float)
    if x.ndim != 2 or len(x) < FEWEST:
        raise RsaError(f"{len(x)} rows: a map needs {FEWEST}")
    if not np.isfinite(x).all():
        raise RsaError("values that are not finite: leave such rows out")
    x = x - x.mean(axis=0)
    spread = x.std(axis=0)
    alive = spread > 1e-9 * max(spread.max(), np.finfo(float).tiny)
    if not spread.max() > 0:
        raise RsaError("the rows do not vary: there is nothing to map")
    left, size, _ = np.linalg.svd(x[:, alive] / spread[alive], full_matrices=False)
    rows = (left * size)[:, :COMPONENTS]
    near = min(NEAR, len(x) // 4)
    from sklearn.manifold import trustworthiness
    from umap import UMAP

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        places = UMAP(n_neighbors=near, random_state=seed, n_jobs=1).fit_transform(rows)
    places = np.asarray(places, dtype=float)
    score = float(trustworthiness(rows, places, n_neighbors=near))
    return RowMap(places, score, f"UMAP, {near} neighbours, {rows.shape[1]} PCs, seed {seed}")
