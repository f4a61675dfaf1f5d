"""Made-up layers over the rows of a run, and how long a stage takes from running it on a few."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from extract.rows import Rows

FACTORS = 24  # directions in which made-up layers vary most, as those of networks do
NOISE = 0.2  # of the rest


class Made:
    """Layers of given widths over some rows: what `rsa` and `probes` read.

    Rows of a group, and rows with the same labels, are more alike than others, and few directions
    hold most of the variance: solvers take about as many steps as on layers of a network.

    Attributes
    ----------
    name, layers, groups, rows : as of `extract.store.Activations`.
    """

    def __init__(
        self, name: str, widths: Sequence[int], rows: Rows, labels: Sequence[str] = (),
        seed: int = 0,
    ) -> None:  # fmt: skip
        self.name, self.rows, self.groups = name, rows, rows.groups
        self.widths = {f"layer{i:03}": width for i, width in enumerate(widths)}
        self.layers = tuple(self.widths)
        rng = np.random.default_rng([seed, 5])
        about = [self.groups, *(rows.label(label) for label in labels)]
        latent = rng.standard_normal((len(rows), FACTORS))
        for values in about:
            place = np.unique([repr(value) for value in values], return_inverse=True)[1]
            latent += rng.standard_normal((place.max(initial=0) + 1, FACTORS))[place]
        self._latent = (latent / np.sqrt(np.arange(1, FACTORS + 1))).astype(np.float32)
        self._seed, self._known = seed, {}

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, layer: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """[stop - start, width] float32."""
        if layer not in self._known:
            width = self.widths[layer]
            rng = np.random.default_rng([self._seed, 6, self.layers.index(layer)])
            mixed = self._latent @ rng.standard_normal((FACTORS, width), dtype=np.float32)
            noise = rng.standard_normal((len(self), width), dtype=np.float32)
            self._known[layer] = mixed + NOISE * noise
        return self._known[layer][start:stop]


@dataclass(frozen=True)
class Cost:
    """Seconds of a stage that does each layer by itself.

    Attributes
    ----------
    once : of the first run in a process: what is loaded and compiled.
    role : of each role.
    widths, layer : and of a layer of these widths, rising; those between are read off a line.
    """

    once: float
    role: float
    widths: tuple[int, ...]
    layer: tuple[float, ...]

    def of(self, roles: Sequence[Sequence[int]]) -> float:
        """Seconds, from the widths of the layers of each role."""
        each = [float(np.interp(some, self.widths, self.layer).sum()) for some in map(list, roles)]
        return self.once + sum(self.role + one for one in each)


def by_width(
    work: Callable[[Sequence[int]], object], roles: Sequence[Sequence[int]], cores: int
) -> Cost:
    """The cost of a stage, from running it on layers of three of the widths.

    Parameters
    ----------
    work : does the stage for one role whose layers have these widths.
    roles : widths of the layers of each role of the run.
    cores : layers that are done side by side.
    """
    known = sorted(width for some in roles for width in some)
    low, middle, high = known[0], known[len(known) // 2], known[-1]
    first = timed(work, [low] * cores)
    few, many = timed(work, [middle] * cores), timed(work, [middle] * 2 * cores)
    slope = max(many - few, 0.0) / cores
    role = max(few - slope * cores, 0.0)
    found = {middle: slope}
    again = timed(work, [low] * cores) if low != middle else few
    for width, took in ((low, again), (high, None)):
        if width not in found:
            took = timed(work, [width] * cores) if took is None else took
            found[width] = max(took - role, 0.0) / cores
    widths = sorted(found)
    return Cost(max(first - again, 0.0), role, tuple(widths), tuple(found[w] for w in widths))


def timed(work: Callable[..., object], *arguments: object) -> float:
    """Seconds that a piece of work takes."""
    start = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - start
