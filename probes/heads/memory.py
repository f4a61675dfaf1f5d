"""How much memory a head may take at a time."""

from __future__ import annotations

import torch

CPU = 64 << 20  # more networks side by side leave the cache and gain nothing
SHARE = 0.4  # of what is free on a GPU


def budget(device: torch.device, asked: int | None = None) -> int:
    """Bytes: what is asked for, or what suits the device."""
    if asked is not None:
        return asked
    if device.type == "cuda":
        return int(SHARE * torch.cuda.mem_get_info(device)[0])
    return CPU
