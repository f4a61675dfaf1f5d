"""The rows that take part in some problems, ready for the iterative solver."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from probes.design import Design, principal

NARROW = 150  # columns below which BLAS is faster, up to twofold, on the other layout


@dataclass
class Rows:
    """Rows of a design that have weight, as features.

    Attributes
    ----------
    used : [rows] which rows of the design; None for all of them.
    features : [rows, kept + 1] float32, centred, the last column ones.
    spectrum : [kept + 1] mean squares of the features, which are nearly uncorrelated.
    mean : [axes] what was taken off, in the axes of the design.
    axes : [axes, kept] of these rows themselves; None where they are those of the design.
    """

    used: torch.Tensor | None
    features: torch.Tensor
    spectrum: torch.Tensor
    mean: torch.Tensor
    axes: torch.Tensor | None
    _turned: torch.Tensor | None = field(default=None, init=False)

    @classmethod
    def of(cls, design: Design, weights: torch.Tensor | None, axes: int) -> Rows:
        """The rows with weight [train], all where it is None; the leading axes alone."""
        rows = design.rows[:, :axes]
        if weights is None:
            used, mean, turn = None, rows.new_zeros(axes), None
            spectrum = design.eigenvalues[:axes].float()
        else:
            used = torch.nonzero(weights)[:, 0]
            rows, share = rows[used], weights[used] / weights[used].sum()
            mean = share @ rows
            rows = rows - mean
            turn = None
            if 2 * len(rows) < axes:
                # the optimum lies in the span of the rows
                spectrum, turn = principal((rows * share.sqrt()[:, None]).double())
                spectrum, turn = spectrum.float(), turn.float()
                rows = rows @ turn
            else:
                spectrum = share @ rows.square()
        features = torch.cat([rows, rows.new_ones(len(rows), 1)], dim=1)
        return cls(used, features, torch.cat([spectrum, spectrum.new_ones(1)]), mean, turn)

    def logits(self, theta: torch.Tensor, out: torch.Tensor) -> None:
        """theta [columns, kept + 1] -> out [columns, rows]."""
        if self._narrow(theta):
            out.copy_(torch.mm(self.features, theta.T.contiguous()).T)
        else:
            torch.mm(theta, self.features.T, out=out)

    def gradient(self, residual: torch.Tensor, out: torch.Tensor) -> None:
        """residual [columns, rows] -> out [columns, kept + 1]."""
        if self._narrow(residual):
            if self._turned is None:
                self._turned = self.features.T.contiguous()
            out.copy_(torch.mm(self._turned, residual.T.contiguous()).T)
        else:
            torch.mm(residual, self.features, out=out)

    def back(self, theta: torch.Tensor) -> torch.Tensor:
        """Of the design, [..., axes + 1], from theta [..., kept + 1]; intercepts last."""
        weights = theta[..., :-1]
        if self.axes is not None:
            weights = weights @ self.axes.T
        elif self.used is None:
            return theta
        return torch.cat([weights, theta[..., -1:] - (weights @ self.mean)[..., None]], dim=-1)

    @staticmethod
    def _narrow(columns: torch.Tensor) -> bool:
        return columns.device.type == "cpu" and len(columns) < NARROW
