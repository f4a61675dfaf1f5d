"""Linear probes as others train them: every layer and penalty for itself.

Each function takes standardised training rows of every layer [layers][rows, width] float32, labels
[rows], the number of classes and the penalties (1 / C), and returns weights
[layers, penalties, width, classes] and intercepts [layers, penalties, classes].
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

# Of the largest entry of the gradient. scikit-learn's default of 1e-4 ends some 1 % above the
# optimum at the weakest penalty.
TOLERANCE = 1e-5
EPOCHS, BATCH, RATE = 50, 256, 1e-3  # of the Adam loop


def standardise(layers: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Columns with mean zero and variance one; constant ones become zero."""
    out = []
    for x in layers:
        spread = x.std(axis=0)
        out.append((x - x.mean(axis=0)) / np.where(spread > 0, spread, 1))
    return out


def _logistic(
    x: np.ndarray, y: np.ndarray, penalty: float, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.linear_model import LogisticRegression

    fit = LogisticRegression(C=1 / penalty, max_iter=1000, tol=tolerance).fit(x, y)
    return fit.coef_.T, fit.intercept_


def _stacked(found: list, layers: int) -> tuple[np.ndarray, np.ndarray]:
    weights, intercepts = (np.stack(part) for part in zip(*found, strict=True))
    return tuple(v.reshape(layers, -1, *v.shape[1:]) for v in (weights, intercepts))


def sklearn_processes(layers, y, classes, penalties, threads, tolerance=TOLERANCE):
    """As many processes as cores, one thread in each: scikit-learn at its best."""
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky import get_reusable_executor

    jobs = (delayed(_logistic)(x, y, p, tolerance) for x in layers for p in penalties)
    with parallel_config("loky", inner_max_num_threads=1):
        found = Parallel(n_jobs=threads)(jobs)
    get_reusable_executor().shutdown(wait=True)  # so that the system counts their seconds
    return _stacked(found, len(layers))


def sklearn_default(layers, y, classes, penalties, threads):
    """A loop in one process, with the threads that BLAS takes."""
    found = [_logistic(x, y, p, TOLERANCE) for x in layers for p in penalties]
    return _stacked(found, len(layers))


def _torch_loop(layers, y, classes, penalties, threads, train):
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    found, labels = [], torch.as_tensor(y)
    for x in layers:
        rows = torch.as_tensor(x)
        for penalty in penalties:
            head = torch.nn.Linear(rows.shape[1], classes)
            torch.nn.init.zeros_(head.weight)
            torch.nn.init.zeros_(head.bias)

            def loss(rows, labels, head=head, penalty=penalty):
                entropy = torch.nn.functional.cross_entropy(head(rows), labels)
                return entropy + penalty / (2 * len(y)) * head.weight.square().sum()

            train(head, loss, rows, labels)
            found.append((head.weight.detach().numpy().T, head.bias.detach().numpy()))
    return _stacked(found, len(layers))


def torch_lbfgs(layers, y, classes, penalties, threads):
    """torch.optim.LBFGS with its strong-Wolfe search, to the same tolerance."""
    import torch

    def train(head, loss, rows, labels):
        best = torch.optim.LBFGS(
            head.parameters(), max_iter=1000, history_size=10, tolerance_grad=TOLERANCE,
            tolerance_change=0, line_search_fn="strong_wolfe",
        )  # fmt: skip

        def closure():
            best.zero_grad()
            value = loss(rows, labels)
            value.backward()
            return value

        best.step(closure)

    return _torch_loop(layers, y, classes, penalties, threads, train)


def torch_adam(layers, y, classes, penalties, threads):
    """Minibatches and a fixed number of epochs, as probing papers do."""
    import torch

    def train(head, loss, rows, labels):
        optimiser = torch.optim.Adam(head.parameters(), lr=RATE)
        for _ in range(EPOCHS):
            for some in torch.randperm(len(rows)).split(BATCH):
                optimiser.zero_grad(set_to_none=True)
                loss(rows[some], labels[some]).backward()
                optimiser.step()

    return _torch_loop(layers, y, classes, penalties, threads, train)


def timed_fit(x: np.ndarray, target: np.ndarray, kind: str, penalty: float) -> tuple:
    """CPU seconds of one scikit-learn fit, its weights [width, outputs] and intercepts.

    softmax: target [rows]; sigmoid: [rows, outputs], one fit an output; squared: [rows, outputs],
    all outputs in one fit.
    """
    import time

    from sklearn.linear_model import LogisticRegression, Ridge
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        start = time.process_time()
        if kind == "squared":
            fits = [Ridge(alpha=penalty).fit(x, target)]
        else:
            columns = [target] if kind == "softmax" else list(target.T)
            model = LogisticRegression(C=1 / penalty, max_iter=1000)
            two = kind == "softmax" and target.max() == 1
            if two:  # one weight vector, as long as the difference of two
                model.set_params(C=2 / penalty)
            fits = [type(model)(**model.get_params()).fit(x, column) for column in columns]
        seconds = time.process_time() - start
    weights = np.concatenate([np.atleast_2d(fit.coef_) for fit in fits]).T
    intercepts = np.concatenate([np.atleast_1d(fit.intercept_) for fit in fits])
    return seconds, weights, intercepts


def cores() -> int:
    return len(os.sched_getaffinity(0))
