"""How much sound the head of an uncompressed audio file promises, against what the file holds.

WAV (RIFF, RF64) and AIFF state the size of their samples at the head. A copy that broke off still
states it, and libsndfile reads what is left without a word.
Layouts: Multimedia Programming Interface (RIFF), EBU Tech 3306 (RF64), AIFF-C 1991.
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

# what programs write that do not know the length yet: 2**31 and 2**32, or a little less
UNSTATED = 0x7FFF0000
MOST_CHUNKS = 1000
FORMS = {
    (b"RIFF", b"WAVE"): ("<", b"data"),
    (b"RIFX", b"WAVE"): (">", b"data"),
    (b"RF64", b"WAVE"): ("<", b"data"),
    (b"FORM", b"AIFF"): (">", b"SSND"),
    (b"FORM", b"AIFC"): (">", b"SSND"),
}


def promised(handle: int) -> float:
    """Samples that the head promises, as a multiple of those that are there; 1 if unknown.

    Parameters
    ----------
    handle : of an open file, which is left at its start.
    """
    with open(handle, "rb", closefd=False) as file:
        try:
            return promised_by(file, os.fstat(handle).st_size)
        finally:
            os.lseek(handle, 0, os.SEEK_SET)


def promised_by(file: BinaryIO, size: int) -> float:
    """As `promised`, of a stream of so many bytes, which is read from its start."""
    try:
        return _promised(file, size)
    except (OSError, struct.error):
        return 1.0  # another container, or the decoder will say what is wrong


def _promised(file, size: int) -> float:
    head = file.read(12)
    order, wanted = FORMS.get((head[:4], head[8:12]), ("<", b""))
    large = None
    for _ in range(MOST_CHUNKS if wanted else 0):
        name, length = struct.unpack(f"{order}4sI", file.read(8))
        at = file.tell()
        if name == b"ds64":  # lengths that need more than 32 bits
            large = struct.unpack("<QQ", file.read(16))[1]
        if name == wanted:
            length = large if large is not None and length == 0xFFFFFFFF else length
            if large is None and length >= UNSTATED:
                return 1.0
            return max(1.0, length / (size - at)) if size > at else 1.0
        file.seek(at + length + length % 2)
    return 1.0
