"""What a model holds at a moment: weights, other tensors, and plain values such as counters."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from extract.models.base import Model

# attributes that every module has: hooks and lists that torch keeps
BOOKKEEPING = frozenset(vars(nn.Module()))


def snapshot(model: Model) -> dict[str, tuple]:
    """Place -> content, of parameters, buffers, other tensors, arrays and plain values of a model.

    Plain values are numbers, texts, truth values and None, on the model, on its modules, and in
    lists and dictionaries there.

    Caches count as kept: take the first snapshot after a pass over an input of the same shape.
    """
    kept = dict(_found("model", vars(model)))
    for name, module in model.network.named_modules():
        place = f"network.{name}" if name else "network"
        own = {**module._parameters, **module._buffers}
        own |= {k: v for k, v in vars(module).items() if k not in BOOKKEEPING}
        kept.update(_found(place, own))
    return kept


def changes(before: Mapping[str, tuple], after: Mapping[str, tuple]) -> list[str]:
    """Places whose content differs, or that are new or gone; sorted."""
    places = before.keys() | after.keys()
    return sorted(place for place in places if before.get(place) != after.get(place))


def _found(place: str, values: Mapping, depth: int = 2):
    for key, value in values.items():
        here = f"{place}.{key}"
        if isinstance(value, np.ndarray):
            value = torch.from_numpy(value) if value.dtype.kind in "fiu" else None
        if isinstance(value, torch.Tensor):
            yield here, _print(value)
        elif value is None or isinstance(value, (bool, int, float, str)):
            yield here, (type(value).__name__, repr(value))
        elif isinstance(value, Mapping) and depth:
            yield from _found(here, value, depth - 1)
        elif isinstance(value, (list, tuple)) and depth:
            yield from _found(here, dict(enumerate(value)), depth - 1)


def _print(tensor: torch.Tensor) -> tuple:
    """Shape and a sum over the bits: quick on a gigabyte, and blind to no single change."""
    if tensor.is_meta:
        return tuple(tensor.shape), "meta"
    flat = tensor.detach().contiguous().reshape(-1)
    size = flat.element_size()
    kind = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}.get(size)
    bits = flat.view(kind) if kind else torch.view_as_real(flat).view(torch.int64)
    return tuple(tensor.shape), str(tensor.dtype), int(bits.sum(dtype=torch.int64))
