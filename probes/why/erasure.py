"""Least-squares concept erasure: a layer in which no linear probe finds a reference any more.

LEACE of Belrose et al. 2023 (arXiv:2306.03819), theorem 4.3: of all linear maps after which the
cross-covariance with the concept is zero, so that no linear predictor of it beats a constant
(theorem 3.1), the one that changes the layer least in the mean square. All is done in the axes of a
`probes.design.Design`, in which the covariance of the training rows is diagonal, in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from probes.design import Design
from probes.errors import ProbeError

# of the ridge that whitens a layer, times training rows; 0 is LEACE as published
WHITENING = (0.0, 1.0, 1e1, 1e2, 1e3, 1e4, 1e5)
DIRECTIONS = 12
ROUNDING = 1e-6  # canonical correlations below are those of float32 rows


@dataclass(frozen=True)
class Concept:
    """A reference as its leading principal components, standardised, on training rows.

    Attributes
    ----------
    mean, scale : [width] of the standardisation; constant columns have a scale of zero.
    axes : [width, directions].
    power : [directions] variance along each, falling.
    share : of the variance of the standardised columns that the directions hold.
    """

    mean: np.ndarray
    scale: np.ndarray
    axes: np.ndarray
    power: np.ndarray
    share: float

    @classmethod
    def of(cls, name: str, train: np.ndarray, directions: int = DIRECTIONS) -> Concept:
        """From training rows [train, width] of a reference; all of it when it has few columns.

        Raises
        ------
        ProbeError : a reference that never varies, or that is not finite.
        """
        values = np.asarray(train, dtype=float)
        if not np.isfinite(values).all():
            raise ProbeError(f"reference {name} holds values that are not finite: extract again")
        mean, spread = values.mean(axis=0), values.std(axis=0)
        alive = spread > 1e-6 * np.abs(mean) + np.finfo(np.float32).tiny
        if not alive.any():
            raise ProbeError(f"reference {name} never varies on training rows: leave it out")
        scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=alive)
        standard = (values - mean) * scale
        power, axes = np.linalg.eigh(standard.T @ standard / len(standard))
        power, axes = power[::-1], axes[:, ::-1]
        kept = min(directions, int((power > 1e-9 * power[0]).sum()))
        return cls(
            mean, scale, axes[:, :kept], power[:kept], float(power[:kept].sum() / alive.sum())
        )

    def values(self, rows: np.ndarray) -> np.ndarray:
        """[rows, directions] of any rows of the reference; variance one on training rows."""
        return (
            ((np.asarray(rows, float) - self.mean) * self.scale) @ self.axes / np.sqrt(self.power)
        )


@dataclass(frozen=True)
class Eraser:
    """The map x -> x - left right' x of rows in the axes of a design.

    Attributes
    ----------
    left, right : [rank of the design, directions removed], right' left = identity.
    whitening : the ridge that it was made with.
    variance : share of the layer's variance, on training rows, that is gone.
    """

    left: np.ndarray
    right: np.ndarray
    whitening: float
    variance: float

    @classmethod
    def of(cls, design: Design, values: np.ndarray, whitening: float = 0.0) -> Eraser:
        """Erases what is linear in `values` [train, k], centred or not.

        Parameters
        ----------
        whitening : the layer is whitened with its covariance plus this over the number of training
            rows. Whatever it is, the cross-covariance with the concept is zero on training rows,
            as is shown by inserting it. It keeps weak axes, whose variance on new rows is larger
            than on those of training, from being blown up: what is taken away is a linear map of
            the ridge prediction of the concept.
        """
        white = _white(design, whitening)
        centred = np.asarray(values, float) - np.mean(values, axis=0)
        spread = centred.std(axis=0)
        centred = centred[:, spread > 0] / spread[spread > 0]
        rows = design.rows.double().cpu().numpy()
        cross = rows.T @ centred / len(rows)
        left, sizes, _ = np.linalg.svd(white[:, None] * cross, full_matrices=False)
        exact = 1.0 / np.sqrt(design.eigenvalues.double().cpu().numpy()[:, None])
        found = np.linalg.norm(exact * cross) > ROUNDING
        kept = sizes > ROUNDING * sizes[0] if found else np.zeros(len(sizes), dtype=bool)
        return cls._along(design, left[:, kept], white, whitening)

    @classmethod
    def at_random(
        cls,
        design: Design,
        like: Eraser,
        rng: np.random.Generator,
        draws: int,
        equal_variance: bool = False,
    ) -> list[Eraser]:
        """Draws of random subspaces of as many dimensions as another eraser removes.

        Uniform in the whitened layer, as is what a concept that has nothing to do with the layer
        would remove. With `equal_variance` they lean to strong axes, or to weak ones, so that on
        average they take as much variance away, as far as so many dimensions can.
        """
        white, size = _white(design, like.whitening), like.removed
        strength = np.log(design.eigenvalues.double().cpu().numpy().clip(1e-300))
        strength -= strength.max()
        noises = rng.standard_normal((draws, len(white), size))

        def leaning(noise: np.ndarray, power: float) -> Eraser:
            tilt = power * strength
            axes, _ = np.linalg.qr(np.exp(tilt - tilt.max()).clip(1e-100)[:, None] * noise)
            return cls._along(design, axes, white, like.whitening)

        power = 0.0
        if equal_variance and 0 < size < len(white):
            low, high = -1.0, 3.0
            for _ in range(12):
                power = (low + high) / 2
                found = np.mean([leaning(noise, power).variance for noise in noises[:3]])
                low, high = (power, high) if found < like.variance else (low, power)
        return [leaning(noise, power) for noise in noises]

    @classmethod
    def _along(cls, design: Design, axes: np.ndarray, white: np.ndarray, ridge: float) -> Eraser:
        """Removes these orthonormal axes [rank, directions] of the whitened layer."""
        left, right = axes / white[:, None], axes * white[:, None]
        power = design.eigenvalues.double().cpu().numpy()
        inner = right.T @ (power[:, None] * right)
        gone = 2 * np.einsum("ik,ik,i->", left, right, power) - np.sum(inner * (left.T @ left))
        return cls(left, right, ridge, float(gone / power.sum()))

    @property
    def removed(self) -> int:
        """Dimensions that the layer has lost."""
        return self.left.shape[1]

    def apply(self, rows: np.ndarray) -> np.ndarray:
        """Rows in the axes of the design [rows, rank], erased."""
        return rows - (rows @ self.right) @ self.left.T

    def design(self, design: Design) -> tuple[Design, torch.Tensor]:
        """The erased layer as a design of its own, in its own axes, columns scaled as before.

        Its `rotate` takes rows of the layer as it was; rows in the axes of the old design become
        those of the new one by a product with the second, [rank, new rank] float64.
        """
        power = design.eigenvalues.double().cpu().numpy()
        whole = np.diag(power)
        whole -= self.left @ (self.right * power[:, None]).T
        whole -= (self.right @ self.left.T) * power[:, None]
        inner = self.right.T @ (power[:, None] * self.right)
        whole += self.left @ inner @ self.left.T
        values, axes = np.linalg.eigh((whole + whole.T) / 2)
        values, axes = values[::-1], axes[:, ::-1]
        rank = max(1, int((values > 1e-9 * power[0]).sum()))
        values, axes = values[:rank].clip(np.finfo(float).eps), axes[:, :rank]
        turn = axes - self.right @ (self.left.T @ axes)
        turn = torch.as_tensor(turn, device=design.rows.device)
        erased = Design(
            (design.rows.double() @ turn).float(),
            torch.as_tensor(values.copy(), device=design.rows.device),
            design.mean,
            design.scale,
            (design.axes.double() @ turn).float(),
        )
        return erased, turn


@dataclass(frozen=True)
class Carried:
    """How well a layer tells a concept on rows that it was not fitted to.

    Attributes
    ----------
    whitening : the ridge that tells it best.
    r2 : 1 - squared error / deviation from the training mean, over all directions, each weighted
        with its variance.
    """

    whitening: float
    r2: float


def carried(
    design: Design,
    concept: Concept,
    train: np.ndarray,
    rows: np.ndarray,
    truth: np.ndarray,
    grid: Sequence[float] = WHITENING,
) -> Carried:
    """Ridge regression of a concept on a layer, the ridge chosen on validation rows.

    Parameters
    ----------
    train : [train, directions] values of the concept.
    rows : [valid, rank] validation rows in the axes of the design; truth : [valid, directions].
    """
    own = design.rows.double().cpu().numpy()
    power = design.eigenvalues.double().cpu().numpy()
    mean = train.mean(axis=0)
    cross = own.T @ (train - mean) / len(own)
    off = truth - mean
    whole = (off**2).sum(axis=0) @ concept.power
    errors = []
    for ridge in grid:
        guess = rows @ (cross / (power + ridge / len(own))[:, None])
        errors.append(((off - guess) ** 2).sum(axis=0) @ concept.power)
    best = int(np.argmin(errors))
    return Carried(float(grid[best]), float(1 - errors[best] / whole) if whole > 0 else np.nan)


def _white(design: Design, ridge: float) -> np.ndarray:
    """[rank] what each axis is multiplied with to be white."""
    power = design.eigenvalues.double().cpu().numpy()
    return 1.0 / np.sqrt(power + ridge / len(design.rows))
