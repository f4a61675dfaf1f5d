"""Splits for data sets whose field has none: by a hash of the group, the same on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

SHARES = {"train": 70, "valid": 15, "test": 15}  # percent of the groups, on average


def hashed(group: str, shares: Mapping[str, int] = SHARES) -> str:
    """The split of a group; every group of one name falls into the same one."""
    place = int(hashlib.sha256(group.encode()).hexdigest(), 16) % sum(shares.values())
    for split, share in shares.items():
        if place < share:
            return split
        place -= share
    raise ValueError("shares are empty")
