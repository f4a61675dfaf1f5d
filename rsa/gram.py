"""HSIC of all pairs of layers from tiles of their Gram matrices.

The cost is rows^2 x (total width + layers^2): linear in the number of layers, and the cheaper
route while rows < width x layers / 2. A Gram matrix is never held whole: tiles of all layers are
made, multiplied for all pairs at once, and dropped. The tiles follow the jackknife's blocks of
rows, so that the value without one block is a subtraction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rsa.grouping import Grouping
from rsa.hsic import KINDS, Counts, Sums, hsic
from rsa.threads import spread

# rows of a tile, where nothing else decides
TILE = 512
# numbers of all tiles in work at once, in one thread
ROOM = 12_000_000


@dataclass(frozen=True)
class Tables:
    """Layers [rows, width], and what their linear kernels add up to along rows.

    Attributes
    ----------
    rows : layers' matrices, in the grouping's order.
    sums : layers' sums over each group [groups, width]; the same arrays when groups are rows.
    to_block : [layers, rows, blocks], sum of K_ij over the rows j of a block.
    diagonal : [layers, rows], K_ii.
    own : [layers, rows], sum of K_ij over the rows j of i's own group.
    """

    rows: list[np.ndarray]
    sums: list[np.ndarray]
    to_block: np.ndarray
    diagonal: np.ndarray
    own: np.ndarray

    @classmethod
    def of(cls, layers: Sequence[np.ndarray], grouping: Grouping) -> Tables:
        sums, to_block, diagonal, own = [], [], [], []
        for x in layers:
            s = x if grouping.single else grouping.sum_by_group(x)
            sums.append(s)
            to_block.append(x @ np.add.reduceat(x, grouping.edges[:-1], axis=0).T)
            diagonal.append(np.einsum("ij,ij->i", x, x))
            expanded = s if grouping.single else s[grouping.group_of_row]
            own.append(np.einsum("ij,ij->i", x, expanded))
        stacked = [np.stack(a).astype(np.float64) for a in (to_block, diagonal, own)]
        return cls(list(layers), sums, *stacked)


def inner(
    left: tuple[Sequence, Sequence],
    right: tuple[Sequence, Sequence],
    left_edges: np.ndarray,
    right_edges: np.ndarray,
    device: str = "cpu",
) -> np.ndarray:
    """Sums of products of two kernels over tiles, for all pairs of layers.

    Parameters
    ----------
    left, right : each (layers of x, layers of y); a kernel's rows come from the left matrix, its
        columns from the right one: K = left right'. The same tuple twice gives a symmetric kernel,
        of which half is computed.
    left_edges, right_edges : first row of each tile, and the end.

    Returns
    -------
    [left tiles, right tiles, x, y] float64.
    """
    symmetric, same = left is right, left[0] is left[1]
    if device != "cpu":
        left, right = _moved(left, device), _moved(right, device)
    out = np.zeros((len(left_edges) - 1, len(right_edges) - 1, len(left[0]), len(left[1])))

    def tile(place: tuple[int, int]) -> None:
        p, q = place
        rows = slice(left_edges[p], left_edges[p + 1])
        columns = slice(right_edges[q], right_edges[q + 1])
        kx = _tiles(left[0], right[0], rows, columns)
        ky = kx if same else _tiles(left[1], right[1], rows, columns)
        product = kx @ ky.T
        out[p, q] = product if device == "cpu" else product.cpu().numpy()
        if symmetric and q > p:
            out[q, p] = out[p, q]

    places = [
        (p, q) for p in range(out.shape[0]) for q in range(p if symmetric else 0, out.shape[1])
    ]
    if len(places) > 1 and device == "cpu":
        spread(tile, places)
    else:
        for place in places:
            tile(place)
    return out


def _moved(side: tuple[Sequence, Sequence], device: str) -> tuple[list, list]:
    import torch

    x = [torch.as_tensor(a, device=device) for a in side[0]]
    return (
        (x, x) if side[0] is side[1] else (x, [torch.as_tensor(a, device=device) for a in side[1]])
    )


def _tiles(left: Sequence, right: Sequence, rows: slice, columns: slice):
    """One tile of each layer's kernel, as rows of a matrix."""
    if isinstance(left[0], np.ndarray):
        shape = (len(left), len(left[0][rows]), len(right[0][columns]))
        out = np.empty(shape, np.result_type(left[0], right[0]))
        for a, b, tile in zip(left, right, out, strict=True):
            np.matmul(a[rows], b[columns].T, out=tile)
        return out.reshape(len(out), -1)
    import torch

    return torch.stack(
        [(a[rows] @ b[columns].T).reshape(-1) for a, b in zip(left, right, strict=True)]
    )


def _even(edges: tuple[int, int], layers: int) -> np.ndarray:
    """Edges of tiles of at most TILE rows, fewer where there are many layers."""
    side = min(TILE, int(np.sqrt(ROOM / layers)))
    count = -(-(edges[1] - edges[0]) // side)
    return np.linspace(edges[0], edges[1], count + 1).astype(int)


def _within(x: Tables, y: Tables, grouping: Grouping) -> np.ndarray:
    """[blocks, x, y], sums of K_ij L_ij over the pairs of rows of one group."""
    out = np.zeros((grouping.blocks, len(x.rows), len(y.rows)))
    if grouping.single:
        for b, (start, stop) in enumerate(
            zip(grouping.edges[:-1], grouping.edges[1:], strict=True)
        ):
            out[b] = x.diagonal[:, start:stop] @ y.diagonal[:, start:stop].T
        return out
    many = len(x.rows) + len(y.rows)
    side = (x.rows, x.rows if y is x else y.rows)
    for group, block in enumerate(grouping.block_of_group):
        edges = _even((grouping.starts[group], grouping.starts[group + 1]), many)
        out[block] += inner(side, side, edges, edges).sum(axis=(0, 1))
    return out


def _without(tiles: np.ndarray) -> np.ndarray:
    """[blocks + 1, x, y] sums over all tiles, then without each block's rows and columns."""
    total = tiles.sum(axis=(0, 1))
    own = np.einsum("bbxy->bxy", tiles)
    return np.concatenate([total[None], total - tiles.sum(axis=0) - tiles.sum(axis=1) + own])


def cross(
    x: Tables, y: Tables, grouping: Grouping, *, jackknife: bool = True, device: str = "cpu"
) -> dict[str, np.ndarray]:
    """HSIC by every estimator, for all pairs of layers, whole and without each block.

    Returns
    -------
    kind -> [1 + blocks, x, y] (the whole first), or [1, x, y] without `jackknife`.
    """
    many = len(x.rows) + len(y.rows)
    edges = grouping.edges if jackknife else _even((0, grouping.rows), many)
    side = (x.rows, x.rows if y is x else y.rows)
    full = inner(side, side, edges, edges, device)
    keep = _without if jackknife else (lambda tiles: tiles.sum(axis=(0, 1))[None])
    full, third, between = keep(full), None, None
    if not grouping.single:
        at = grouping.blocks_at if jackknife else _even((0, grouping.groups), many)
        sums = (x.sums, x.sums if y is x else y.sums)
        third = keep(inner(side, sums, edges, at, device))
        between = keep(inner(sums, sums, at, at, device))
    within = _within(x, y, grouping)
    out = {kind: np.empty_like(full) for kind in KINDS}
    for place, left_out in enumerate([None, *range(grouping.blocks)] if jackknife else [None]):
        counts = Counts.of(grouping.kept_sizes(left_out))
        all_sums = _row_sums(x, y, grouping, left_out)
        lost = 0.0 if left_out is None else within[left_out]
        product = {
            "biased": full[place],
            "debiased": full[place] - all_sums["diagonal"],
            "track-debiased": full[place] - (within.sum(axis=0) - lost),
        }
        for kind in KINDS:
            if kind == "track-debiased" and grouping.single:
                out[kind][place] = out["debiased"][place]
                continue
            row = all_sums[kind]
            extra = {}
            if kind == "track-debiased":
                row["third"] = row["third"] - (third[place] - all_sums["own"])
                extra = {
                    "paired": all_sums["paired"],
                    "between": between[place] - all_sums["squares"],
                }
            out[kind][place] = hsic(kind, Sums(product=product[kind], **row, **extra), counts)
    return out


def _row_sums(x: Tables, y: Tables, grouping: Grouping, left_out: int | None) -> dict:
    """What the estimators need of row sums of the kernels, without one block of rows."""
    keep = np.ones(grouping.rows)
    if left_out is not None:
        keep[grouping.edges[left_out] : grouping.edges[left_out + 1]] = 0.0

    def row_sums(table: Tables) -> dict[str, np.ndarray]:
        k = table.to_block.sum(axis=2)
        if left_out is not None:
            k = k - table.to_block[:, :, left_out]
        own = table.own * keep
        return {
            "biased": k * keep,
            "debiased": (k - table.diagonal) * keep,
            "track-debiased": (k - table.own) * keep,
            "own": own,
            "diagonal": table.diagonal * keep,
        }

    of_x = row_sums(x)
    of_y = of_x if y is x else row_sums(y)
    out: dict = {
        "own": of_x["own"] @ of_y["own"].T,
        "diagonal": of_x["diagonal"] @ of_y["diagonal"].T,
    }
    for kind in KINDS:
        kx, ky = of_x[kind], of_y[kind]
        out[kind] = {
            "third": kx @ ky.T,
            "total_x": kx.sum(axis=1)[:, None],
            "total_y": ky.sum(axis=1)[None, :],
        }
    if not grouping.single:
        for name, source in (("paired", "track-debiased"), ("squares", "own")):
            gx = grouping.sum_by_group(of_x[source], axis=1)
            gy = grouping.sum_by_group(of_y[source], axis=1)
            out[name] = gx @ gy.T
    return out
