"""Work that goes on in smaller pieces where memory runs out."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from threading import Lock
from typing import TypeVar

Result = TypeVar("Result")

_WORDS = ("can't allocate memory", "bad_alloc", "Cannot allocate memory", "out of memory",
          "STATUS_ALLOC_FAILED")  # fmt: skip
_lock = Lock()
_most: dict[str, int] = {}  # pieces that memory held, by what they are: no larger one is tried

# who is told, once for what is made smaller
tell: list[Callable[[str], object]] = [warnings.warn]


def ran_out(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on a CPU or a GPU."""
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (torch and isinstance(error, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)


def in_pieces(what: str, work: Callable[[int], Result], size: int, floor: int = 1) -> Result:
    """`work(size)`, with half the size each time that memory runs out.

    Parameters
    ----------
    what : is done so much at a time, in words; what was found to fit holds for later calls.
    work : begins anew with each size; its result may not depend on it but for rounding.
    floor : below this the error is left to the caller.
    """
    size = min(size, _most.get(what, size))
    while True:
        try:
            return work(size)
        except Exception as error:
            if not ran_out(error) or size <= floor:
                raise
        size = smaller(what, max(floor, size // 2))


def smaller(what: str, size: int) -> int:
    """Notes a size; returns it. On a GPU gives back what failed work had put aside."""
    with _lock:
        new = what not in _most
        _most[what] = min(size, _most.get(what, size))
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if new:
        for one in tell:
            one(f"memory ran out: {what} in smaller pieces from here on")
    return size
