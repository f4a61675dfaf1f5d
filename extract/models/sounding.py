"""Finds out width, frame rate and centre of a network's layers by running it.

Shapes are taken on torch's `meta` device where the network allows it: there a pass computes
nothing, so that a large network is sounded in about a second.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from extract.signals import noise

Run = Callable[[torch.Tensor], Mapping[str, torch.Tensor]]
FAINT = 1e-4  # of the largest gradient


@dataclass(frozen=True)
class Sounded:
    """Of one layer: width, samples from one frame to the next (None for one frame a window),
    and samples from the start of the window to the centre of frame 0."""

    width: int
    hop: float | None
    center: float


class Untellable(ValueError):
    """A network that does not run, or whose outputs are no frames; the message says which."""


def ghost(network: nn.Module) -> nn.Module:
    """A copy on the `meta` device: shapes without values, and without the memory."""
    kept = [*network.parameters(), *network.buffers()]
    memo = {
        id(tensor): (
            nn.Parameter(tensor.detach().to("meta"), requires_grad=False)
            if isinstance(tensor, nn.Parameter)
            else tensor.detach().to("meta")
        )
        for tensor in kept
    }
    return copy.deepcopy(network, memo)


def shapes(run: Run, device: str, samples: int) -> dict[str, tuple[int, ...]]:
    """Layer -> shape of what it puts out for so many samples, [1, frames, width].

    Raises Untellable with the network's own words if it does not run.
    """
    try:
        with torch.no_grad():
            # noise, as extractors that normalise make no numbers of silence
            outputs = run(noise(samples)[None].to(device))
    except Exception as error:  # a network may raise anything for what it cannot take
        text = (str(error).strip() or "no message").splitlines()[0]
        raise Untellable(f"{type(error).__name__} at {samples} samples: {text}") from error
    return {name: tuple(output.shape) for name, output in outputs.items()}


def sound(
    run: Run,
    longest: int,
    *,
    device: str = "cpu",
    least: int = 1,
    values: Run | None = None,
) -> tuple[dict[str, Sounded], int]:
    """Layer -> what is found of it, and the fewest samples that the network takes.

    Parameters
    ----------
    run : [1, samples] -> layer name -> [1, frames, width], in the order of the forward pass.
    longest : samples of the longest window; lengths up to it are tried.
    device : where `run` wants its input.
    least : samples below which the network is not asked.
    values : the same as `run` with true values on the CPU, for the centres; without it a frame is
        taken to be centred on its own first samples, half a hop in.

    Raises
    ------
    Untellable : does not run at `longest`, or an output is not [1, frames, width].
    """
    known: dict[int, dict[str, tuple[int, ...]]] = {}

    def at(samples: int) -> dict[str, tuple[int, ...]]:
        if samples not in known:
            known[samples] = shapes(run, device, samples)
        return known[samples]

    for name, shape in at(longest).items():
        if len(shape) != 3 or shape[0] != 1:
            raise Untellable(f"{name} puts out {list(shape)}, not [batch, frames, width]")
    minimum = _shortest(at, longest, least)
    hops: dict[str, float | None] = {}
    for name in at(longest):
        hops[name] = _hop(at, name, minimum, longest)
    known_centers: dict[str, float] = {}
    if values:
        slowest = max((hop for hop in hops.values() if hop), default=1.0)
        known_centers = centers(values, hops, (int(min(longest, max(24 * slowest, 8000))),))
    found = {
        name: Sounded(
            shape[2],
            hops[name],
            known_centers.get(name, (hops[name] or longest) / 2),
        )
        for name, shape in at(longest).items()
    }
    return found, minimum


def _shortest(at: Callable[[int], object], longest: int, least: int) -> int:
    """The fewest samples that work, where all more work too."""

    def works(samples: int) -> bool:
        try:
            return all(shape[1] > 0 for shape in at(samples).values())
        except Untellable:
            return False

    low, high = least - 1, longest
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if works(middle) else (middle, high)
    return high


def _hop(at: Callable, name: str, minimum: int, longest: int) -> float | None:
    """Samples from one frame to the next, from the first lengths that give two counts."""

    def frames(samples: int) -> int:
        return at(samples)[name][1]

    def first(count: int) -> int:
        low, high = minimum - 1, longest
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if frames(middle) >= count else (middle, high)
        return high

    few, many = frames(minimum), frames(longest)
    if many <= few:
        return None
    # the count steps up once a hop; the first step may come early, where there is padding
    few = few + 1 if many - few > 1 else few
    many = min(many, few + 16) if many > few else few + 1
    if many == few:
        return float(longest)
    return (first(many) - first(few)) / (many - few)


def centers(
    values: Run, hops: Mapping[str, float | None], shape: tuple[int, ...], axis: int = 0
) -> dict[str, float]:
    """Centre of frame 0 of each layer, in samples, from the input that moves a middle frame.

    Attention reaches everywhere, so only the first layer of each rate is asked: those that follow
    at that rate keep its frames. Layers that cannot be told are left out.

    Parameters
    ----------
    values : the network's input [1, *shape], which asks for a gradient, -> layers.
    hops : layer -> steps of the input's axis of time from one frame to the next.
    shape, axis : of the input without its batch, and which of its axes is time.
    """
    reach = {name: hop for name, hop in hops.items() if hop}
    ask: dict[float, str] = {}
    for name, hop in reach.items():
        ask.setdefault(hop, name)
    signal = noise(math.prod(shape)).reshape(1, *shape).requires_grad_(True)
    try:
        with torch.enable_grad():
            outputs = values(signal)
            found = {
                hop: _center(signal, outputs[name], hop, axis)
                for hop, name in ask.items()
                if name in outputs
            }
    except (RuntimeError, NotImplementedError):  # a network that lets no gradient through
        return {}
    return {name: found[hop] for name, hop in reach.items() if found.get(hop) is not None}


def _center(signal: torch.Tensor, output: torch.Tensor, hop: float, axis: int) -> float | None:
    frame = output.shape[1] // 2
    weights = torch.linspace(1, 2, output.shape[2])  # a norm makes the plain sum constant
    (grad,) = torch.autograd.grad(
        (output[0, frame] * weights).sum(), signal, retain_graph=True, allow_unused=True
    )
    if grad is None or not torch.isfinite(grad).all() or not grad.any():
        return None
    others = [k for k in range(grad.ndim - 1) if k != axis]
    # what lies far below the largest, or near the median, came through norms over the whole window
    size = grad[0].abs().sum(dim=others) if others else grad[0].abs()
    seen = torch.nonzero(size > max(FAINT * size.max(), 10 * size.median()))[:, 0]
    first, last = int(seen[0]), int(seen[-1])
    if last - first > 0.6 * len(size):  # it sees all: where most comes from
        power = size.double().square()
        middle = float((power * torch.arange(len(power))).sum() / power.sum())
    else:
        middle = (first + last) / 2
    return middle - frame * hop
