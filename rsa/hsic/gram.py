"""Sums of products of pairs of kernels from tiles of Gram matrices: the route for fewer rows.

The cost is rows^2 x (total width + layers^2): linear in the number of layers. A Gram matrix is
never held whole: tiles of all layers are made, multiplied for all pairs at once, and dropped.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rsa.memory import in_pieces
from rsa.team import ALONE, Team, dealt

# rows of a tile, and numbers of all tiles in work at once in one thread
TILE, ROOM = 256, 8_000_000
# rows of a tile where memory runs out, at least
FLOOR = 8
# products that are added up in the tiles' own precision
RUN = 16384


def inner(
    left: tuple[Sequence, Sequence],
    right: tuple[Sequence, Sequence],
    left_edges: np.ndarray,
    right_edges: np.ndarray,
    device: str = "cpu",
    team: Team = ALONE,
) -> np.ndarray:
    """Sums of products of two kernels over blocks of their rows and columns, for all pairs.

    Parameters
    ----------
    left, right : each (layers of x, layers of y); a kernel's rows come from the left matrix, its
        columns from the right one: K = left right'. The same tuple twice gives a symmetric kernel,
        of which half is computed.
    left_edges, right_edges : first row of each block, and the end.
    device : of the products; anything but `cpu` is torch's.
    team : processes that have the same matrices and share the tiles.

    Returns
    -------
    [left blocks, right blocks, x, y] float64.
    """
    symmetric, same = left is right, left[0] is left[1]
    if device != "cpu":
        left, right = _moved(left, device), _moved(right, device)
    layers = len(left[0]) + (0 if same else len(left[1]))
    rows = _tiles(left_edges, layers)
    columns = _tiles(right_edges, layers)
    places = [
        (p, q)
        for p in range(len(rows))
        for q in range(p if symmetric else 0, len(columns))
    ]  # fmt: skip

    def tile(place: tuple[int, int]) -> np.ndarray:
        (_, first, end), to = rows[place[0]], slice(*columns[place[1]][1:])

        def some(side: int) -> np.ndarray:
            total = np.zeros((len(left[0]), len(left[1])))
            for start in range(first, end, side):
                at = slice(start, min(start + side, end))
                kx = _kernels(left[0], right[0], at, to)
                total += _products(kx, kx if same else _kernels(left[1], right[1], at, to))
            return total

        return in_pieces("tiles of Gram matrices", some, end - first, floor=FLOOR)

    found = dealt(team, tile, places, threads=device == "cpu")
    out = np.zeros((len(left_edges) - 1, len(right_edges) - 1, len(left[0]), len(left[1])))
    for (p, q), product in zip(places, found, strict=True):
        a, b = rows[p][0], columns[q][0]
        out[a, b] += product
        if symmetric and q > p:
            out[b, a] += product
    return out


def _tiles(edges: np.ndarray, layers: int) -> list[tuple[int, int, int]]:
    """(block, first row, end) of tiles of about equal size within each block."""
    side = max(16, min(TILE, int(np.sqrt(ROOM / layers))))
    out = []
    for block, (start, stop) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        cuts = np.linspace(start, stop, -(-(stop - start) // side) + 1).astype(int)
        out += [(block, int(a), int(b)) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
    return out


def _moved(side: tuple[Sequence, Sequence], device: str) -> tuple[list, list]:
    import torch

    x = [torch.as_tensor(a, device=device) for a in side[0]]
    return (
        (x, x) if side[0] is side[1] else (x, [torch.as_tensor(a, device=device) for a in side[1]])
    )


def _kernels(left: Sequence, right: Sequence, rows: slice, columns: slice):
    """One tile of each layer's kernel, as rows of a matrix."""
    if isinstance(left[0], np.ndarray):
        shape = (len(left), len(left[0][rows]), len(right[0][columns]))
        out = np.empty(shape, left[0].dtype)
        for a, b, tile in zip(left, right, out, strict=True):
            np.matmul(a[rows], b[columns].T, out=tile)
        return out.reshape(len(out), -1)
    import torch

    return torch.stack(
        [(a[rows] @ b[columns].T).reshape(-1) for a, b in zip(left, right, strict=True)]
    )


def _products(kx, ky) -> np.ndarray:
    """[x, y] float64 inner products of [x, numbers] and [y, numbers]."""
    if not isinstance(kx, np.ndarray):
        return (kx.double() @ ky.double().T).cpu().numpy()
    return long_products(kx, ky)


def long_products(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """[a, b] float64: x y' of [a, numbers] and [b, numbers], added up in float64 after each run."""
    out = np.zeros((len(x), len(y)))
    for start in range(0, x.shape[1], RUN):
        out += x[:, start : start + RUN] @ y[:, start : start + RUN].T
    return out


def without_each(products: np.ndarray) -> np.ndarray:
    """[1 + blocks, ...] sums over all of [blocks, blocks, ...], without each row and column."""
    total = products.sum(axis=(0, 1))
    own = np.einsum("bb...->b...", products)
    return np.concatenate([total[None], total - products.sum(axis=0) - products.sum(axis=1) + own])
