"""HSIC of the linear kernels of all pairs of layers, by whichever route costs less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rsa.hsic.estimators import KINDS, Counts, hsic
from rsa.hsic.gram import inner, without_each
from rsa.hsic.leading import leading
from rsa.hsic.moments import moments, tiles
from rsa.hsic.rowsums import RowSums, row_sums
from rsa.rows.grouping import Grouping
from rsa.rows.joint import Joint
from rsa.team import ALONE, Team, dealt

# floating-point operations up to which products are made in float64
SMALL = 3e9
# bytes of cross-moments held at once
ROOM = 2e9
# share of the variance that the layers of a permutation keep
NULL_SHARE = 0.99
# floating-point operations that all permutations together may take
BUDGET = 6e11
# permutations computed side by side
TOGETHER = 4


def linear_hsic(joint: Joint, without: int = 0) -> dict[str, np.ndarray]:
    """kind -> [1 + blocks, layers, layers]: over all rows, then without each block of groups.

    Parameters
    ----------
    without : leading principal components that are taken out of each layer first.

    Notes
    -----
    Products are in float32 where they would take long, and are added up in float64.
    """
    grouping, pairs = joint.grouping, joint.pairs()
    blocks = grouping.blocks > 1
    gram, features = costs(joint.rows, joint.widths, pairs, grouping)
    by_gram = gram <= features and not joint.huge
    dtype = np.float64 if min(gram, features) <= SMALL else np.float32
    layers = joint.layers(without_leading(joint, without), dtype)
    layers = layers if joint.huge else layers.load()
    if by_gram:
        products = gram_products(layers.kept, grouping, blocks, joint.device, joint.team)
    else:
        products = moments(layers, pairs, grouping, blocks, ROOM, joint.team, joint.own)
    sums = row_sums(layers, None, grouping, blocks, joint.team, joint.own)
    return estimates(sums, *products, grouping)


def visits(joint: Joint) -> int:
    """How often rows are read where layers do not fit in memory: twice, and for each tile."""
    copies = joint.grouping.blocks * (1 if joint.grouping.single else 2)
    return 2 + len(tiles(joint.pairs(), joint.widths, copies, ROOM))


def costs(rows: int, widths: np.ndarray, pairs: Sequence, grouping: Grouping) -> tuple:
    """Floating-point operations by Gram matrices, and by features."""
    widths = np.asarray(widths, dtype=float)
    both = 1 if grouping.single else 1 + grouping.groups / rows
    gram = rows**2 * both**2 * (widths.sum() + len(widths) ** 2)
    at = np.array(pairs)
    area = float((widths[at[:, 0]] * widths[at[:, 1]]).sum())
    return gram, 2 * both * area * (rows + grouping.blocks**2)


def gram_products(
    layers: list[np.ndarray],
    grouping: Grouping,
    blocks: bool,
    device: str,
    team: Team = ALONE,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `rsa.hsic.moments.moments`, from tiles of Gram matrices of all layers."""
    edges = grouping.edges if blocks else grouping.edges[[0, -1]]
    side = (layers, layers)
    full = without_each(inner(side, side, edges, edges, device, team))
    if grouping.single:
        return full, np.zeros_like(full), np.zeros_like(full)
    at = grouping.blocks_at if blocks else grouping.blocks_at[[0, -1]]
    summed = [grouping.sum_by_group(x) for x in layers]
    sums = (summed, summed)
    third = without_each(inner(side, sums, edges, at, device, team))
    return full, third, without_each(inner(sums, sums, at, at, device, team))


def estimates(
    rows: RowSums, full: np.ndarray, third: np.ndarray, between: np.ndarray, grouping: Grouping
) -> dict[str, np.ndarray]:
    """kind -> [1 + blocks, x, y], or [1, x, y] where nothing is left out."""
    places = [None, *(range(grouping.blocks) if len(full) > 2 else [])]
    out = {kind: np.empty((len(places), *full.shape[1:])) for kind in KINDS}
    for place, left_out in enumerate(places):
        counts = Counts.of(grouping.kept_sizes(left_out))
        for kind in KINDS:
            if kind == "track-debiased" and grouping.single:
                out[kind][place] = out["debiased"][place]
                continue
            sums = rows.sums(kind, place, full, third, between)
            out[kind][place] = hsic(kind, sums, counts)
    return out


def without_leading(joint: Joint, count: int) -> list[np.ndarray | None]:
    """[count, width] directions that are taken out of each layer; None where nothing is."""
    if count == 0:
        return [None] * len(joint)
    return [None if found is None else found.directions[:count] for found in leading(joint, count)]


@dataclass(frozen=True)
class Held:
    """Matrices in memory, read as `Layers` are."""

    kept: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.kept)

    def rows(self, index: int, start: int, stop: int) -> np.ndarray:
        return self.kept[index][start:stop]


def drawn_hsic(joint: Joint, without: int = 0) -> dict[str, np.ndarray]:
    """kind -> [draws, layers, layers]: values with the second layer's groups rearranged.

    Layers are cut to the components with 99 % of the variance, or fewer where all draws together
    would cost more than `BUDGET` (the leading ones are kept). To `biased` is added what the
    components left out contribute to its mean under permutations of rows.
    """
    grouping, orders = joint.grouping, joint.permutations
    layers = [_reduced(joint, i, without) for i in range(len(joint))]
    for cap in (512, 256, 128, 64, 32, 16):
        widths = np.array([z.shape[1] for z in layers], dtype=float)
        if _cost(joint.rows, widths) * len(orders) <= BUDGET:
            break
        layers = [np.ascontiguousarray(z[:, :cap]) for z in layers]
    out = {k: np.empty((len(orders), len(joint), len(joint))) for k in KINDS}

    def lot(start: int) -> dict[str, np.ndarray]:
        some = orders[start : start + TOGETHER]
        moved = [z[order] for order in some for z in layers]
        rows = row_sums(Held(layers), Held(moved), grouping, blocks=False)
        products = _drawn_products(layers, moved, grouping, joint.device)
        found = estimates(rows, *products, grouping)
        shape = (len(joint), len(some), len(joint))
        return {kind: v[0].reshape(shape).transpose(1, 0, 2) for kind, v in found.items()}

    starts = range(0, len(orders), TOGETHER)
    for start, found in zip(starts, dealt(joint.team, lot, starts, threads=False), strict=True):
        for kind, values in found.items():
            out[kind][start : start + len(values)] = values
    left_in = np.array([np.vdot(z, z) for z in layers], dtype=np.float64)
    traces = layer_traces(joint, without)
    lost = np.outer(traces, traces) - np.outer(left_in, left_in)
    out["biased"] += lost / (joint.rows - 1) ** 3
    return out


def layer_traces(joint: Joint, without: int) -> np.ndarray:
    """[layers] sum of squares of each standardised layer without its leading components."""
    gone = np.where(joint.constant, 1.0, 0.0)
    if without:
        for i in np.flatnonzero(~joint.constant):
            share = leading(joint, without)[i].share
            gone[i] = share[min(without, len(share)) - 1]
    return joint.rows * joint.widths * (1 - gone)


def _reduced(joint: Joint, index: int, without: int) -> np.ndarray:
    basis = joint.basis(index)
    if basis is None:
        return np.zeros((joint.rows, 1), dtype=np.float32)
    count = max(basis.count(NULL_SHARE), without + 1)
    scale = np.sqrt((basis.loadings[without:count] ** 2).sum(axis=1))
    reduced = (basis.scores[:, without:count] * scale).astype(np.float32)
    return reduced if reduced.shape[1] else np.zeros((joint.rows, 1), dtype=np.float32)


def _by_gram(rows: int, widths: np.ndarray) -> bool:
    return rows * (1.25 * widths.sum() + 2 * len(widths) ** 2) <= 2 * widths.sum() ** 2


def _cost(rows: int, widths: np.ndarray) -> float:
    """Operations of one permutation."""
    if _by_gram(rows, widths):
        return float(rows) ** 2 * (1.25 * widths.sum() + 2 * len(widths) ** 2)
    return 2.0 * rows * widths.sum() ** 2


def _drawn_products(layers: list, moved: list, grouping: Grouping, device: str) -> tuple:
    """As `gram_products` between layers and rearranged layers, over all rows at once."""
    widths = np.array([z.shape[1] for z in layers], dtype=float)
    by_gram = _by_gram(grouping.rows, widths)

    def products(x: tuple, y: tuple) -> np.ndarray:
        if by_gram:
            rows, columns = (np.array([0, len(side[0][0])]) for side in (x, y))
            return inner(x, y, rows, columns, device)
        return _by_features(x, y)[None, None]

    side = (layers, moved)
    full = without_each(products(side, side))
    if grouping.single:
        return full, np.zeros_like(full), np.zeros_like(full)
    sums = tuple([grouping.sum_by_group(z) for z in part] for part in side)
    third = without_each(products(side, sums))
    return full, third, without_each(products(sums, sums))


def _by_features(left: tuple, right: tuple) -> np.ndarray:
    """[x, y] sums over all i, j of K_ij L_ij = <left_x' left_y, right_x' right_y>."""
    x = [np.hstack(side[0]) for side in (left, right)]
    edges = np.cumsum([0, *(z.shape[1] for z in left[0][:-1])])
    parts = []
    for at in range(0, len(left[1]), len(left[0])):
        y = [np.hstack(side[1][at : at + len(left[0])]) for side in (left, right)]
        product = x[0].T @ y[0]
        product = product**2 if left is right else product * (x[1].T @ y[1])
        columns = np.add.reduceat(product, edges, axis=1, dtype=np.float64)
        parts.append(np.add.reduceat(columns, edges, axis=0))
    return np.concatenate(parts, axis=1)
