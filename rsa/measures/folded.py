"""Second moments of layers in folds of whole groups, and what is fitted to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Fit:
    """Principal axes of one layer over the rows of some folds.

    Attributes
    ----------
    mean : [width]; axes : [width, k]; variance : [k], descending, summed over the rows.
    """

    mean: np.ndarray
    axes: np.ndarray
    variance: np.ndarray

    @classmethod
    def of(cls, rows: float, mean: np.ndarray, products: np.ndarray) -> Fit:
        variance, axes = np.linalg.eigh(products - rows * np.outer(mean, mean))
        variance, axes = variance[::-1], axes[:, ::-1]
        rank = int((variance > variance[0] * len(axes) * np.finfo(float).eps).sum())
        return cls(mean, axes[:, :rank], variance[:rank])

    def scores(self, x: np.ndarray) -> np.ndarray:
        """[rows, k] coordinates of rows along the axes."""
        return (x - self.mean) @ self.axes


@dataclass(frozen=True)
class Rotation:
    """Folds in their parts: each is held out once, and the next one chooses what is tuned.

    Attributes
    ----------
    held : [rows] bool of each fold.
    """

    held: list[np.ndarray]

    @property
    def rows(self) -> np.ndarray:
        """[folds] rows of each fold."""
        return np.array([test.sum() for test in self.held])

    def after(self, fold: int) -> np.ndarray:
        """[rows] bool: the fold that chooses when `fold` is held out."""
        return self.held[(fold + 1) % len(self.held)]

    def late(self, fold: int) -> np.ndarray:
        """[folds] bool: the folds that fit once everything is chosen."""
        return np.arange(len(self.held)) != fold

    def early(self, fold: int) -> np.ndarray:
        """[folds] bool: the folds that fit while another chooses."""
        return self.late(fold) & (np.arange(len(self.held)) != (fold + 1) % len(self.held))

    def fits(self, x: np.ndarray, choices: list[np.ndarray]) -> list[Fit]:
        """Fits of a layer [rows, width] to each choice of folds."""
        sums = np.array([x[test].sum(axis=0) for test in self.held])
        own = np.array([x[test].T @ x[test] for test in self.held])
        counts = [self.rows[used].sum() for used in choices]
        return [
            Fit.of(rows, sums[used].sum(axis=0) / rows, own[used].sum(axis=0))
            for rows, used in zip(counts, choices, strict=True)
        ]

    def cross(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """[folds + 1, p, q] products of two layers in each fold, and over all rows."""
        return np.array([*(x[test].T @ y[test] for test in self.held), x.T @ y])

    def products(self, x: Fit, y: Fit, used: np.ndarray, cross: np.ndarray) -> np.ndarray:
        """[k, q] products of x's axes and y over the folds that fit."""
        fitted = cross[-1] - self.rows[used].sum() * np.outer(x.mean, y.mean)
        for fold in np.flatnonzero(~used):
            fitted -= cross[fold]
        return x.axes.T @ fitted
