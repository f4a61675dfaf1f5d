"""Layers of a transformers network found by watching one pass through it.

The longest list of equal modules that runs in order holds the blocks; what the first of them takes
is the front end; a norm beside the list that runs after the last block closes the encoder; the
convolutions over time that run before the blocks are layers too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from extract.models.taps import Tap

NORMS = ("norm", "ln")  # parts of the names of norms
POSITIONS = ("pos_conv", "embed_pos")  # convolutions that add positions, not features


class NoStructure(ValueError):
    """A network in which no blocks were found; the message says what was looked for."""


@dataclass(frozen=True)
class Call:
    """One module that ran: its name, and the shape of the tensor that it put out."""

    name: str
    shape: tuple[int, ...]


def watch(network: nn.Module, run: Callable[[], object]) -> list[Call]:
    """Modules in the order in which they end while `run` calls the network."""
    calls, hooks = [], []

    def note(name: str):
        def hook(module, args, output):
            while isinstance(output, (tuple, list)) and output:
                output = output[0]
            if hasattr(output, "last_hidden_state"):
                output = output.last_hidden_state
            if isinstance(output, torch.Tensor):
                calls.append(Call(name, tuple(output.shape)))

        return hook

    for name, module in network.named_modules():
        hooks.append(module.register_forward_hook(note(name)))
    try:
        with torch.no_grad():
            run()
    finally:
        for hook in hooks:
            hook.remove()
    return calls


def find(network: nn.Module, run: Callable[[], object]) -> tuple[Tap, ...]:
    """`conv1` ..., `frontend`, `block01` ..., and `final` where a norm closes the encoder.

    Raises NoStructure when no list of equal modules runs.
    """
    calls = watch(network, run)
    order = {call.name: place for place, call in enumerate(calls)}
    shape = {call.name: call.shape for call in calls}
    blocks = _blocks(network, order, shape)
    if not blocks:
        raise NoStructure("no list of equal blocks that put out [batch, frames, width]")
    convolutions = _convolutions(network, order, blocks)
    taps = []
    for i, name in enumerate(convolutions):
        taps.append(Tap(f"conv{i + 1}", name, channels="first"))
    taps.append(Tap("frontend", blocks[0], side="input"))
    taps += [Tap(f"block{i + 1:02d}", name) for i, name in enumerate(blocks)]
    closing = _closing(network, order, blocks)
    if closing and shape[closing] == shape[blocks[-1]]:
        taps.append(Tap("final", closing))
    return tuple(taps)


def _lists(network: nn.Module) -> dict[str, list[str]]:
    """Lists of modules of a network by name, with the names of what is in them."""
    kinds = (nn.ModuleList, nn.Sequential)
    return {
        name: [f"{name}.{key}" for key, _ in module.named_children()]
        for name, module in network.named_modules()
        if isinstance(module, kinds) and len(module)
    }


def _blocks(network: nn.Module, order: dict, shape: dict) -> list[str]:
    best: list[str] = []
    for name, members in _lists(network).items():
        places = [order.get(member, -1) for member in members]
        kinds = {type(network.get_submodule(member)) for member in members}
        runs = min(places) >= 0 and places == sorted(places)
        plain = all(len(shape.get(member, ())) == 3 for member in members)
        linear = any(isinstance(m, nn.Linear) for m in network.get_submodule(members[0]).modules())
        inside = any(name.startswith(f"{block}.") for block in best)
        fits = runs and plain and linear and len(kinds) == 1 and not inside
        if fits and len(members) > len(best):
            best = members
    return best


def _convolutions(network: nn.Module, order: dict, blocks: list[str]) -> list[str]:
    """Names of the convolutions over time that end before the first block does."""
    inside = tuple(f"{name}." for name in blocks)
    found = {
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv1d)
        and order.get(name, len(order)) < order[blocks[0]]
        and not name.startswith(inside)
        and not any(part in name for part in POSITIONS)
    }
    # a convolution in a list of layers counts with the norm and activation beside it
    wrapped = {
        conv: member
        for members in _lists(network).values()
        for member in members
        for conv in found
        if conv == member or conv.startswith(f"{member}.")
    }
    names = dict.fromkeys(wrapped.get(conv, conv) for conv in sorted(found, key=order.get))
    return [name for name in names if name in order]


def _closing(network: nn.Module, order: dict, blocks: list[str]) -> str | None:
    parent = blocks[0].rpartition(".")[0].rpartition(".")[0]
    beside = [name for name, _ in network.get_submodule(parent).named_children()]
    for child in beside:
        name = f"{parent}.{child}" if parent else child
        called = order.get(name, -1) > order[blocks[-1]]
        if called and any(part in child.lower() for part in NORMS):
            return name
    return None
