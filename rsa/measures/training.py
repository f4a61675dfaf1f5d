"""Many small critics of pairs of representations, trained side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

HIDDEN, OUTPUTS = 32, 16
RATE, BATCH, EVERY, PATIENCE = 3e-3, 96, 10, 8
BETAS, SMALLEST = (0.9, 0.999), 1e-8
# correlations above this would start critics at ratios that floats cannot tell apart
STEEPEST = 0.999


@dataclass(frozen=True)
class Setting:
    """How critics are trained: steps of Adam, clip in nats (0: InfoNCE), seed and device."""

    steps: int
    clip: float
    seed: int
    device: str


class Critics:
    """Critics T(x, y) of some pairs of layers; see `start`."""

    def __init__(
        self,
        data: dict[str, tuple[torch.Tensor, torch.Tensor]],
        turn: tuple[np.ndarray, np.ndarray],
        parameters: dict[str, torch.Tensor],
        setting: Setting,
    ):
        self._data, self._turn, self._parameters, self._setting = data, turn, parameters, setting

    @classmethod
    def start(
        cls, x: np.ndarray, y: np.ndarray, train: np.ndarray, stop: np.ndarray, setting: Setting
    ) -> Critics:
        """Critics that are the log ratio of two Gaussians, with random hidden units beside it.

        A canonical correlation enters as far as the stopping rows bear it out.

        Parameters
        ----------
        x, y : [pairs, rows, components], white over the rows `train`.
        train, stop : [rows] bool.
        """
        import torch

        cross = x[:, train].transpose(0, 2, 1) @ y[:, train] / train.sum()
        left, rho, right = np.linalg.svd(cross)
        turn = left, right.transpose(0, 2, 1)
        u, v = x @ turn[0], y @ turn[1]
        # the solver's signs are arbitrary; hidden units must not depend on them
        flip = np.where((u**3).sum(axis=1) < 0, -1.0, 1.0)[:, None]
        u, v = u * flip, v * flip
        turn = turn[0] * flip, turn[1] * flip
        seen = np.einsum("pnk,pnk->pk", u[:, stop], v[:, stop])
        size = np.sqrt((u[:, stop] ** 2).sum(axis=1) * (v[:, stop] ** 2).sum(axis=1))
        seen = np.divide(seen, size, out=np.zeros_like(seen), where=size > 0)
        rho = np.clip(np.minimum(rho, seen), 0.0, STEEPEST)
        rest = 1 - rho**2
        width, pairs = x.shape[2], len(x)
        draw = torch.Generator().manual_seed(setting.seed)

        def weights(rows: int, columns: int, size: float) -> torch.Tensor:
            one = torch.randn(rows, columns, generator=draw) * size
            return one.expand(pairs, -1, -1).clone()

        hidden, last = width**-0.5, 0.1 * HIDDEN**-0.5
        parameters = {
            "product": torch.from_numpy(rho / rest)[:, None],
            "own_x": torch.from_numpy(rho**2 / rest / 2)[:, :, None],
            "own_y": torch.from_numpy(rho**2 / rest / 2)[:, :, None],
            "constant": torch.from_numpy(-np.log(rest).sum(axis=1) / 2)[:, None, None],
            "in_x": weights(width, HIDDEN, hidden),
            "in_y": weights(width, HIDDEN, hidden),
            "bias_x": weights(1, HIDDEN, 0.5),
            "bias_y": weights(1, HIDDEN, 0.5),
            "out_x": weights(HIDDEN, OUTPUTS + 1, last),
            "out_y": weights(HIDDEN, OUTPUTS + 1, last),
        }
        parameters = {
            name: value.float().to(setting.device).requires_grad_()
            for name, value in parameters.items()
        }
        data = {
            name: tuple(torch.from_numpy(a[:, at]).float().to(setting.device) for a in (u, v))
            for name, at in (("train", train), ("stop", stop))
        }
        return cls(data, turn, parameters, setting)

    def table(self, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """[pairs, rows, rows] T of every row of x with every row of y."""
        import torch

        p = self._parameters
        f = torch.baddbmm(p["bias_x"], u, p["in_x"]).tanh() @ p["out_x"]
        g = torch.baddbmm(p["bias_y"], v, p["in_y"]).tanh() @ p["out_y"]
        alone_x = f[..., -1:] - u.square() @ p["own_x"] + p["constant"]
        alone_y = g[..., -1:] - v.square() @ p["own_y"]
        one = torch.ones_like(alone_x)
        both_x = torch.cat([u * p["product"], f[..., :-1], alone_x, one], dim=2)
        both_y = torch.cat([v, g[..., :-1], one, alone_y], dim=2)
        return both_x @ both_y.transpose(1, 2)

    def loss(self, table: torch.Tensor) -> torch.Tensor:
        """[pairs] minus the bound that is maximised, InfoNCE or Jensen-Shannon, from `table`."""
        from torch.nn.functional import softplus

        rows = table.shape[1]
        own = table.diagonal(dim1=1, dim2=2)
        if self._setting.clip == 0:
            others = table.logsumexp(dim=2) + table.logsumexp(dim=1)
            return (others / 2 - own).mean(dim=1)
        apart = softplus(table).sum(dim=(1, 2)) - softplus(own).sum(dim=1)
        return softplus(-own).mean(dim=1) + apart / (rows * (rows - 1))

    def train(self) -> None:
        """Adam on batches of rows; each critic keeps its best parameters on the stopping rows."""
        import torch

        u, v = self._data["train"]
        names = list(self._parameters)
        first, second = ([torch.zeros_like(self._parameters[name]) for name in names]
                         for _ in range(2))  # fmt: skip
        rng = np.random.default_rng([self._setting.seed, 6])
        batch = min(BATCH, u.shape[1])
        best = torch.full((len(u),), torch.inf, device=u.device)
        kept = {name: self._parameters[name].detach().clone() for name in names}
        waited, queue = 0, np.empty(0, dtype=int)
        for step in range(self._setting.steps + 1):
            if step % EVERY == 0:
                with torch.no_grad():
                    now = self.loss(self.table(*self._data["stop"]))
                    better = now < best
                    best = torch.where(better, now, best)
                    for name in names:
                        at = better[:, None, None]
                        kept[name] = torch.where(at, self._parameters[name], kept[name])
                waited = 0 if bool(better.any()) else waited + 1
                if waited >= PATIENCE or step == self._setting.steps:
                    break
            if len(queue) < batch:
                queue = rng.permutation(u.shape[1])
            at, queue = torch.as_tensor(queue[:batch], device=u.device), queue[batch:]
            values = [self._parameters[name] for name in names]
            slopes = torch.autograd.grad(self.loss(self.table(u[:, at], v[:, at])).sum(), values)
            # Adam by hand: torch.optim loads its compiler, which takes longer than the training
            with torch.no_grad():
                for value, slope, mean, square in zip(values, slopes, first, second, strict=True):
                    mean.lerp_(slope, 1 - BETAS[0])
                    square.lerp_(slope.square(), 1 - BETAS[1])
                    size = (square / (1 - BETAS[1] ** (step + 1))).sqrt_().add_(SMALLEST)
                    value.addcdiv_(mean, size, value=-RATE / (1 - BETAS[0] ** (step + 1)))
        self._parameters = kept

    def score(
        self, x: np.ndarray, y: np.ndarray, orders: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The estimate on held-out rows.

        Parameters
        ----------
        x, y : [pairs, rows, components].
        orders : [draws, rows] rearrangements of y.

        Returns
        -------
        [pairs, rows] nats of each row, whose mean is the value and whose spread is that of its
        influence, and [draws, pairs] values under the rearrangements.
        """
        import torch

        u, v = (torch.from_numpy(a @ t).float() for a, t in zip((x, y), self._turn, strict=True))
        with torch.no_grad():
            table = self.table(u.to(self._setting.device), v.to(self._setting.device)).double()
            own = table.diagonal(dim1=1, dim2=2)
            rows = table.shape[1]
            places = torch.as_tensor(orders.T, device=table.device)
            moved = table.gather(2, places.expand(len(table), -1, -1))
            if self._setting.clip == 0:
                over_y, over_x = table.logsumexp(dim=2), table.logsumexp(dim=1)
                level = (over_y + over_x) / 2
                as_other = (table - over_y[:, :, None]).exp().sum(dim=1)
                as_other = (as_other + (table - over_x[:, None, :]).exp().sum(dim=2)) / 2
                terms = own - level + np.log(rows) - (as_other - 1)
                drawn = moved.mean(dim=1) - level.mean(dim=1)[:, None] + np.log(rows)
            else:
                clip = self._setting.clip
                ratio = table.clamp(-clip, clip).exp()
                held = ratio.diagonal(dim1=1, dim2=2)
                whole = ratio.sum(dim=(1, 2))
                mean = (whole - held.sum(dim=1)) / (rows * (rows - 1))
                share = (ratio.sum(dim=1) + ratio.sum(dim=2) - 2 * held) / (rows - 1)
                terms = own - mean.log()[:, None] - (share / mean[:, None] - 2)
                apart = whole[:, None] - moved.clamp(-clip, clip).exp().sum(dim=1)
                drawn = moved.mean(dim=1) - (apart / (rows * (rows - 1))).log()
        return terms.cpu().numpy(), drawn.T.cpu().numpy()
