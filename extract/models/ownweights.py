"""Weights of a user's own network, out of the files that training programs leave behind.

A file may be the `state_dict` itself, hold it beside an optimiser and a counter of steps, or name
the tensors by what was around the network (a LightningModule, `DistributedDataParallel`,
`torch.compile`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from extract import checkpoint, lightning
from extract.errors import WeightsInvalid
from extract.weights import load_strict

FILENAMES = ("model.safetensors", "pytorch_model.bin", "model.pt")
UNDER = ("state_dict", "model_state_dict", "model", "network", "net", "weights")
# torch.compile and sharded training put these into the middle of names, too
_MARKS = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")


def load(network: nn.Module, given: Path) -> str:
    """Puts the weights of a file, or of the file in a folder, into a network; strictly.

    Returns
    -------
    where they were: `file NAME`, with what stood before the network's own names.

    Raises
    ------
    WeightsMissing : no such file.
    WeightsInvalid : unreadable, or of another network; says how its names begin.
    """
    path = lightning.weights_file(given, FILENAMES)
    tensors, prefix = fitted(read(path), network.state_dict().keys(), source=str(path))
    inside = f" (names after {prefix!r})" if prefix else ""
    load_strict(network, tensors, source=f"{path}{inside}")
    return f"file {path.name}{inside}"


def read(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a file of weights, or of those under one of the names `UNDER` in a checkpoint.

    Raises WeightsInvalid.
    """
    try:
        content = checkpoint.content(path, inert=lightning.INERT, mappings=lightning.MAPPINGS)
    except WeightsInvalid as error:
        if "the pickle asks for" not in str(error):
            raise
        what = re.search(r"asks for ([\w.]*\w)", str(error))[1]
        raise WeightsInvalid(
            f"{path}: refused: the pickle asks for {what}, which is no weight and could run code; "
            "save network.state_dict() alone, best as safetensors"
        ) from None
    if not isinstance(content, Mapping):
        return checkpoint.tensors_in(content, path)
    under = tuple(key for key in UNDER if _holds_tensors(content.get(key)))
    if not under and not _holds_tensors(content):
        keys = ", ".join(str(key) for key in list(content)[:6]) or "nothing"
        raise WeightsInvalid(
            f"{path}: no tensors at the top or under {', '.join(UNDER)}; it holds {keys}"
        )
    return checkpoint.tensors_in(content, path, under=under)


def _holds_tensors(content: object) -> bool:
    if not isinstance(content, Mapping):
        return False
    return any(isinstance(value, torch.Tensor) for value in content.values())


def fitted(
    tensors: Mapping[str, torch.Tensor], wanted: Mapping | set, *, source: str
) -> tuple[dict[str, torch.Tensor], str]:
    """Tensors by a network's own names, without what stands before these in the file.

    A beginning is taken off where that makes the names fit; tensors beside the network (a loss, a
    counter of the trainer) are left out then. Tensors by the network's own names stay as they are.

    Parameters
    ----------
    wanted : names that the network has.
    source : the file, for the message.

    Returns
    -------
    the tensors, and what stood before their names

    Raises
    ------
    WeightsInvalid : most names are found nowhere, or the network is there twice with other values.
    """
    wanted = set(wanted)
    if wanted <= tensors.keys():
        return dict(tensors), ""
    bare = {_MARKS.sub("", name): tensor for name, tensor in tensors.items()}
    if len(bare) < len(tensors):
        bare = dict(tensors)
    found: Counter[str] = Counter()
    for name in bare:
        parts = name.split(".")
        for k in range(len(parts)):
            if ".".join(parts[k:]) in wanted:
                found["".join(f"{part}." for part in parts[:k])] += 1
    best = max(found, key=lambda prefix: (found[prefix], -len(prefix)), default="")
    if 2 * found[best] < len(wanted):
        raise WeightsInvalid(
            f"{source}: not the names of this network: they begin {_some(tensors)}; "
            f"the network's begin {_some(wanted)}"
        )
    if best == "":
        return bare, ""
    whole = [prefix for prefix in found if found[prefix] == found[best]]
    for other in whole:
        if any(not _same(bare, best + name, other + name) for name in wanted):
            raise WeightsInvalid(
                f"{source}: the network is in it more than once, with other values (after "
                f"{' and '.join(sorted(whole))}); save the one that is meant alone"
            )
    inside = {n.removeprefix(best): x for n, x in bare.items() if n.startswith(best)}
    return inside, best


def _same(tensors: Mapping[str, torch.Tensor], one: str, other: str) -> bool:
    if one not in tensors or other not in tensors:
        return one == other
    return torch.equal(tensors[one], tensors[other])


def _some(names: Mapping | set) -> str:
    """The first few of names, each cut after its second point."""
    starts = list(dict.fromkeys(".".join(name.split(".")[:3]) for name in sorted(names)))
    return ", ".join(starts[:3]) + (" ..." if len(starts) > 3 else "")
