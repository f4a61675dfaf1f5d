"""Layers read out of a network by forward hooks on its named modules.

For networks that come from a library: what their `forward` returns as hidden states changes from
release to release, what a named module takes and puts out does not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Tap:
    """One place in a network.

    Attributes
    ----------
    layer : name of the layer that this is.
    module : dotted name of a module of the network.
    side : `output`, or `input` for the first tensor that the module is called with.
    channels : the axis that holds the channels, `last` for [batch, frames, width] (tokens of a
        transformer) or `first` for [batch, width, frames] (convolutions; further axes after
        `width` but the last are averaged over).
    """

    layer: str
    module: str
    side: str = "output"
    channels: str = "last"


class _Enough(Exception):  # noqa: N818  no error: the pass has come as far as it is wanted
    pass


class Tapped:
    """A network with hooks at its taps, safe to be run from several threads at once.

    Parameters
    ----------
    network : hooks are put on it once and stay.
    taps : in the order in which the forward pass meets them.
    """

    def __init__(self, network: nn.Module, taps: Sequence[Tap]):
        self.taps = tuple(taps)
        self._here = threading.local()
        for tap in self.taps:
            module = network.get_submodule(tap.module)
            if tap.side == "input":
                module.register_forward_pre_hook(self._before(tap), with_kwargs=True)
            else:
                module.register_forward_hook(self._after(tap))

    def run(
        self, forward: Callable[[], object], until: str | None = None
    ) -> dict[str, torch.Tensor]:
        """Calls `forward` and returns what passed the taps, [batch, frames, width] each.

        With `until`, the pass ends at that layer, which costs nothing beyond it.
        """
        self._here.outputs, self._here.until = {}, until
        try:
            forward()
        except _Enough:
            pass
        finally:
            outputs = self._here.__dict__.pop("outputs")
        return outputs

    def _before(self, tap: Tap):
        def hook(module, args, kwargs):
            self._take(tap, args[0] if args else next(iter(kwargs.values())))

        return hook

    def _after(self, tap: Tap):
        def hook(module, args, output):
            self._take(tap, output)

        return hook

    def _take(self, tap: Tap, value: object) -> None:
        outputs = getattr(self._here, "outputs", None)
        if outputs is None:  # the network is run by somebody else
            return
        while not isinstance(value, torch.Tensor):  # blocks of some models return tuples
            value = value[0]
        outputs[tap.layer] = frames_last(value) if tap.channels == "first" else value
        if tap.layer == self._here.until:
            raise _Enough


def frames_last(values: torch.Tensor) -> torch.Tensor:
    """[batch, width, ..., frames] -> [batch, frames, width]; axes between are averaged over."""
    if values.ndim > 3:
        values = values.flatten(2, -2).mean(2)
    return values.transpose(1, 2)
