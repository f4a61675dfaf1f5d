"""Ridge regression from sums over rows: for training rows that no process can hold, or read, whole.

X'X and X'y are sums over rows, so they add over pieces of a layer, and over processes. The answer
is that of `probes.solvers.solve` on the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch

from probes.design import eigh, strong
from probes.errors import ProbeError

Pieces = Callable[[], Iterable[tuple[torch.Tensor, torch.Tensor]]]
Add = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Ridge:
    """Linear maps from rows as they are to targets, one a penalty.

    Attributes
    ----------
    weights : [penalties, width, outputs] float64, for rows as they were read.
    intercepts : [penalties, outputs] float64.
    objective : [penalties] (|y - f|^2 + penalty |w|^2) / 2 over rows, w of standardised columns,
        divided by the number of rows.
    rows : that they were fitted to.
    """

    weights: torch.Tensor
    intercepts: torch.Tensor
    objective: torch.Tensor
    rows: int

    def answers(self, rows: torch.Tensor) -> torch.Tensor:
        """[penalties, rows, outputs] for rows [rows, width]."""
        return rows.double() @ self.weights + self.intercepts[:, None]


def alone(values: torch.Tensor) -> torch.Tensor:
    """The sum over the one process of an ordinary run."""
    return values


def ridge(pieces: Pieces, penalties: Sequence[float], add: Add = alone) -> Ridge:
    """The optimum for every penalty, of standardised columns as in `probes.design.Design`.

    Memory is a piece and width x width, whatever the number of rows.

    Parameters
    ----------
    pieces : gives the rows of this process, [rows, width] with targets [rows, outputs], a piece at
        a time; it is called twice and gives at least one piece, perhaps of no rows.
    penalties : positive, against the loss summed over rows.
    add : the sum over processes of float64 tensors of one shape, the same in each. All processes
        call `ridge` with the same penalties.

    Raises
    ------
    ProbeError : values that are not finite in any process, or no rows.
    """
    first = None
    for rows, targets in pieces():
        if first is None:
            first = torch.zeros(1 + rows.shape[1] + targets.shape[1], dtype=torch.float64)
        sums = [torch.tensor([float(len(rows))]), rows.double().sum(0), targets.double().sum(0)]
        first += torch.cat([one.double().cpu() for one in sums])
        width = rows.shape[1]
    if first is None:
        raise ProbeError("ridge from sums: no piece of rows; give one of no rows to say the width")
    first = add(first)
    count = int(first[0])
    if not count or not bool(first.isfinite().all()):
        what = "there are no rows" if not count else "rows or targets are not finite"
        raise ProbeError(f"ridge from sums: {what}: extract this layer again")
    means, aims = first[1 : 1 + width] / count, first[1 + width :] / count
    # [X, y]'[X, y] about the means: X'X, X'y and y'y in one sum
    cross = torch.zeros(len(first) - 1, len(first) - 1, dtype=torch.float64)
    for rows, targets in pieces():
        both = torch.cat([rows.double().cpu() - means, targets.double().cpu() - aims], dim=1)
        cross += both.T @ both
    cross = add(cross)
    gram, moment, power = cross[:width, :width], cross[:width, width:], cross[width:, width:]
    spread = (gram.diagonal() / count).clamp_min(0).sqrt()
    # as `probes.design.standardisation` has it: no more than float32 rounding of the mean
    alive = spread > 1e-6 * means.abs() + torch.finfo(torch.float32).tiny
    scale = torch.where(alive, 1 / spread.clamp_min(torch.finfo(torch.float64).tiny), 0.0)
    values, axes = strong(*eigh(gram * scale[:, None] * scale / count))
    turned = axes.T @ (moment * scale[:, None])
    grid = torch.as_tensor(penalties, dtype=torch.float64)
    found = turned / (count * values + grid[:, None])[..., None]
    weights = (axes @ found) * scale[:, None]
    objective = 0.5 * (power.diagonal().sum() - (found * turned).sum(dim=(1, 2))) / count
    return Ridge(weights, aims - means @ weights, objective, count)
