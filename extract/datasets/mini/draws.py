"""Chance without a generator: every draw is a hash of what it is for.

A draw therefore depends neither on the order of the work nor on the machine, and adding clips
does not change the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


def uniform(item: str, factor: str) -> float:
    """A number in [0, 1) from sha256 of `item` and `factor`."""
    digest = hashlib.sha256(f"{item}|{factor}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2.0**56


def choice(item: str, factor: str, values: Sequence[T]) -> T:
    return values[int(uniform(item, factor) * len(values))]


def shuffled(items: Iterable[str], factor: str) -> list[str]:
    """The items in the order of their draws."""
    return sorted(items, key=lambda item: (uniform(item, factor), item))


def deal(items: Iterable[str], factor: str, values: Sequence[T]) -> dict[str, T]:
    """Gives values to items like cards: shuffled, then one after the other.

    Independent of what the items are, and every value as frequent as every other (give or take
    one), which a draw per item would not ensure for the small splits.
    """
    items = list(items)
    offset = int(uniform("|".join(sorted(items)), factor) * len(values))
    return {
        item: values[(place + offset) % len(values)]
        for place, item in enumerate(shuffled(items, factor))
    }
