"""A layer made ready for linear probes."""

from __future__ import annotations

import numpy as np
import torch
from probing_data import design_of, problem

from probes.design import Design


def standard(x: np.ndarray) -> np.ndarray:
    spread = x.std(axis=0, dtype=float)
    return (x - x.mean(axis=0, dtype=float)) / np.where(spread > 0, spread, 1.0)


def test_a_design_is_an_orthonormal_view_of_the_standardised_rows():
    for shape in ((80, 200), (300, 50)):
        x, _ = problem(*shape, 2)
        design = design_of(x)
        gram = standard(x) @ standard(x).T
        most = np.abs(gram).max()
        assert np.allclose((design.rows @ design.rows.T).numpy(), gram, atol=1e-4 * most)
        assert torch.allclose(design.rotate(torch.tensor(x)), design.rows, atol=1e-3)
        assert torch.allclose(
            design.axes.T @ design.axes, torch.eye(design.axes.shape[1]), atol=1e-4
        )
        squares = design.rows.double().square().mean(dim=0)
        assert torch.allclose(squares, design.eigenvalues, rtol=1e-3, atol=1e-6)


def test_layers_with_nine_units_of_ten_dead_are_decomposed():
    """MKL's eigh, with two threads, fails on about one such matrix in fifteen."""
    torch.manual_seed(0)
    for _ in range(30):
        layer = torch.randn(600, 408)
        alive = torch.randperm(408)[:40]
        dead = torch.ones(408, dtype=torch.bool).index_fill(0, alive, False)
        layer[:, dead] = 2.5
        design = Design.of(layer)
        assert design.rows.shape == (600, 40)
        assert (design.axes[dead] == 0).all()
        assert torch.allclose(design.axes.T @ design.axes, torch.eye(40), atol=1e-5)
