"""A layer made ready for linear probes: standardised on training rows, in its own axes.

In the eigenbasis of X'X a ridge penalty acts on each axis alone, so one decomposition serves
every penalty and every target on the same training rows; and its eigenvalues are what the
logistic solver needs as a preconditioner. Rotating changes neither the penalty nor the optimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Design:
    """Training rows of one layer.

    Attributes
    ----------
    rows : [train, rank] standardised training rows in the eigenbasis, float32.
    eigenvalues : [rank] of X'X / train, falling, float64.
    mean, scale : [width] of the standardisation; constant columns have a scale of zero.
    axes : [width, rank] orthonormal, float32; zero in the rows of constant columns.
    """

    rows: torch.Tensor
    eigenvalues: torch.Tensor
    mean: torch.Tensor
    scale: torch.Tensor
    axes: torch.Tensor

    @classmethod
    def of(cls, train: torch.Tensor) -> Design:
        """From training rows [train, width] float32; the smaller Gram matrix is decomposed."""
        mean, scale = standardisation(train)
        alive = scale > 0
        # dead columns stay out: trained networks have layers in which nine units of ten are dead
        alive[0] |= not alive.any()
        standard = ((train.double() - mean) * scale)[:, alive]
        values, some = principal(standard / len(standard) ** 0.5)
        rows = standard.float() @ some.float()
        axes = torch.zeros(len(alive), some.shape[1], dtype=some.dtype, device=some.device)
        axes[alive] = some
        return cls(rows, values, mean, scale, axes.float())

    def rotate(self, rows: torch.Tensor) -> torch.Tensor:
        """Any rows of the same layer, [rows, width], as the training rows are: [rows, rank]."""
        standard = (rows.double() - self.mean) * self.scale
        return standard.float() @ self.axes


def standardisation(train: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and scale [width], float64, of the columns of training rows [train, width].

    Rows minus the mean, times the scale, have variance one; constant columns have a scale of zero.
    """
    values = train.double()
    mean = values.mean(dim=0)
    spread = (values - mean).square().mean(dim=0).sqrt()
    return mean, scale_of(mean, spread)


def scale_of(mean: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
    """[width] one over the standard deviation of each column, zero of constant ones."""
    # a column that varies by no more than float32 rounding of its mean is constant
    alive = spread > 1e-6 * mean.abs() + torch.finfo(torch.float32).tiny
    return torch.where(alive, 1.0 / spread.clamp_min(torch.finfo(torch.float64).tiny), 0.0)


def principal(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Eigenvalues of X'X, falling, and its axes [width, rank], from rows X [rows, width] float64.

    The smaller Gram matrix is decomposed; axes below the rounding of float32 data are left out.
    """
    if len(rows) < rows.shape[1]:
        values, vectors = strong(*eigh(rows @ rows.T))
        return values, rows.T @ (vectors / values.sqrt())
    return strong(*eigh(rows.T @ rows))


def eigh(gram: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Eigenvalues, rising, and eigenvectors of a symmetric matrix.

    On a CPU by NumPy's LAPACK: that of torch 2.14 (MKL 2024.2) fails to converge, with two
    threads, on matrices with many rows of zeros.
    """
    if gram.device.type != "cpu":
        return torch.linalg.eigh(gram)
    values, vectors = np.linalg.eigh(gram.numpy())
    return torch.from_numpy(values), torch.from_numpy(vectors)


def strong(values: torch.Tensor, vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Eigenpairs above the rounding of float32 data, strongest first; at least one."""
    values, vectors = values.flip(0), vectors.flip(1)
    rank = max(1, int((values > 1e-9 * values[0]).sum())) if values[0] > 0 else 1
    return values[:rank].clamp_min(torch.finfo(torch.float64).eps), vectors[:, :rank]
