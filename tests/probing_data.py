"""Rows with strongly unequal columns and targets that depend on them; objectives in float64."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from probes.design import Design
from probes.solvers import Fit, Problem


def problem(n: int, width: int, classes: int, skew: float = 0.0, seed: int = 0):
    """Rows [n, width] float32, and labels [n], every class at least once."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, max(2, width // 4)))
    x = latent @ rng.normal(size=(latent.shape[1], width)) * np.exp(rng.normal(size=width))
    x = x + 0.3 * rng.normal(size=x.shape) + 3 * rng.normal(size=width)
    scores = latent @ rng.normal(size=(latent.shape[1], classes))
    scores = 2 * scores / np.sqrt(latent.shape[1]) + np.linspace(0, skew, classes)
    y = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
    return x.astype(np.float32), np.unique(y, return_inverse=True)[1]


def objective(design: Design, one: Problem, fit: Fit, i: int) -> float:
    """Of the i-th penalty, as the problem defines it, divided by the sum of the weights."""
    weights, intercepts = fit.weights[i].double().numpy(), fit.intercepts[i].double().numpy()
    return _objective(design, one, float(one.penalties[i]), weights, intercepts)


def _objective(design, one, penalty, weights, intercepts) -> float:
    z = design.rows.double().numpy() @ weights + intercepts
    w = np.ones(len(z)) if one.weights is None else one.weights.double().numpy()
    y = one.target.numpy()
    used = w > 0
    z, w, y = z[used], w[used], y[used]
    if one.loss == "softmax":
        top = z.max(axis=1)
        loss = np.log(np.exp(z - top[:, None]).sum(axis=1)) + top - z[np.arange(len(y)), y]
    elif one.loss == "sigmoid":
        known = ~np.isnan(y)
        y = np.where(known, y, 0.0)
        loss = ((np.logaddexp(0, z) - y * z) * known).sum(axis=1)
    else:
        loss = 0.5 * np.square(y - z).sum(axis=1)
    return float((w @ loss + 0.5 * penalty * np.square(weights).sum()) / w.sum())


def best(design: Design, one: Problem, i: int) -> float:
    """The objective that scikit-learn reaches for the i-th penalty, hard targets only."""
    penalty, rank = float(one.penalties[i]), design.rows.shape[1]
    kept = rank if one.axes is None else one.axes
    x, y = design.rows[:, :kept].double().numpy(), one.target.numpy()
    w = np.ones(len(x)) if one.weights is None else one.weights.double().numpy()

    def logistic(y, c):
        use = (w > 0) & ~np.isnan(y)
        model = LogisticRegression(C=c, tol=1e-8, max_iter=20000)
        return model.fit(x[use], y[use].astype(int), sample_weight=w[use])

    if one.loss == "squared":
        fit = Ridge(alpha=penalty, solver="cholesky").fit(
            x[w > 0], y[w > 0], sample_weight=w[w > 0]
        )
        weights, intercepts = np.atleast_2d(fit.coef_).T, np.atleast_1d(fit.intercept_)
    elif one.loss == "sigmoid":
        fits = [logistic(column, 1 / penalty) for column in y.T]
        weights = np.concatenate([fit.coef_ for fit in fits]).T
        intercepts = np.concatenate([fit.intercept_ for fit in fits])
    elif one.classes == 2:
        # scikit-learn has one weight vector for two classes: the difference of ours
        fit = logistic(y.astype(float), 2 / penalty)
        weights = np.concatenate([-fit.coef_, fit.coef_]).T / 2
        intercepts = np.concatenate([-fit.intercept_, fit.intercept_]) / 2
    else:
        fit = logistic(y.astype(float), 1 / penalty)
        weights, intercepts = fit.coef_.T, fit.intercept_
    weights = np.concatenate([weights, np.zeros((rank - kept, weights.shape[1]))])
    return _objective(design, one, penalty, weights, intercepts)


def design_of(x: np.ndarray) -> Design:
    return Design.of(torch.tensor(x))
