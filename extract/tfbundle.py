"""Reading a TensorFlow checkpoint (a "tensor bundle") without TensorFlow.

A bundle is two files: `.index`, a LevelDB table of small protobuf messages, and
`.data-00000-of-00001`, the tensors' bytes one after the other. Layouts: LevelDB's table format
document; `tensor_bundle.proto` and `tensor_shape.proto` of TensorFlow.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

import numpy as np

from extract.errors import WeightsInvalid

FOOTER = 48
# no published bundle comes near these
MOST_KEY, MOST_AXES, MOST_BYTES_OF_NUMBER = 4096, 16, 10
MAGIC = 0xDB4775248B80FB57
TYPES = {1: np.dtype("<f4"), 2: np.dtype("<f8"), 3: np.dtype("<i4"), 9: np.dtype("<i8")}


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A little-endian base-128 number and the place after it."""
    value = shift = 0
    while True:
        if shift >= 7 * MOST_BYTES_OF_NUMBER:
            raise ValueError("a number without end")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a protobuf message."""
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        kind = tag & 7
        if kind == 0:
            value, at = varint(message, at)
        elif kind == 2:
            size, at = varint(message, at)
            value, at = message[at : at + size], at + size
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value, at = message[at : at + size], at + size
        else:
            raise ValueError(f"field type {kind}")
        yield tag >> 3, value


def _block(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of one block of the table; keys share prefixes with the one before."""
    if size < 4 or offset + size >= len(table):
        raise ValueError(f"a block of {size} bytes at {offset}")
    if table[offset + size] != 0:
        raise ValueError("a compressed block")
    block = table[offset : offset + size]
    (restarts,) = struct.unpack_from("<I", block, size - 4)
    end, at, key = size - 4 * (restarts + 1), 0, b""
    while at < end:
        shared, at = varint(block, at)
        fresh, at = varint(block, at)
        length, at = varint(block, at)
        if shared > len(key) or shared + fresh > MOST_KEY or at + fresh + length > end:
            raise ValueError("a name or a value out of its block")
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, block[at : at + length]
        at += length


def _entries(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    if len(table) < FOOTER or struct.unpack("<Q", table[-8:])[0] != MAGIC:
        raise ValueError("no table footer")
    footer = table[-FOOTER:]
    _, at = varint(footer, 0)
    _, at = varint(footer, at)
    offset, at = varint(footer, at)
    size, at = varint(footer, at)
    left = len(table)
    for _, handle in _block(table, offset, size):
        start, at = varint(handle, 0)
        length, _ = varint(handle, at)
        left -= length
        if left < 0:  # one block under many names would be read as often
            raise ValueError("blocks that share bytes")
        yield from _block(table, start, length)


def _tensor(entry: bytes, data: bytes) -> np.ndarray:
    found: dict[int, int | bytes] = {}
    for number, value in _fields(entry):
        found[number] = value
    if 7 in found or found.get(3, 0) != 0:
        raise ValueError("a tensor in slices or in a second shard")
    shape = []
    for number, dimension in _fields(found.get(2, b"")):
        if number == 2:
            shape.append(dict(_fields(dimension)).get(1, 0))
    if len(shape) > MOST_AXES or any(size > len(data) for size in shape):
        raise ValueError("a shape larger than the file")
    if found.get(1) not in TYPES:
        raise ValueError(f"data type {found.get(1)}")
    kind, offset, size = TYPES[found[1]], found.get(4, 0), found.get(5, 0)
    if size != math.prod(shape) * kind.itemsize or offset + size > len(data):
        raise ValueError(f"{size} bytes at {offset} for shape {tuple(shape)}")
    return np.frombuffer(data, kind, math.prod(shape), offset).reshape(shape)


def read(index: bytes, data: bytes, *, source: str) -> dict[str, np.ndarray]:
    """Every tensor of a bundle, by variable name, in TensorFlow's own axis order.

    Parameters
    ----------
    index, data : content of the `.index` and the only `.data` file.
    source : where they come from, for the message.

    Returns
    -------
    dict of read-only arrays that share memory with `data`.

    Raises
    ------
    WeightsInvalid : not a bundle, cut off, in several shards, or of a type that is not read.
    """
    tensors = {}
    name = ""
    try:
        for key, value in _entries(index):
            name = key.decode()
            if name:  # the empty key holds the bundle's header
                tensors[name] = _tensor(value, data)
    except (ValueError, IndexError, TypeError, OverflowError, struct.error) as error:
        where = f" at tensor {name}" if name else ""
        raise WeightsInvalid(
            f"{source}: not a whole one-shard TensorFlow bundle{where} ({error}); "
            "fetch the file again"
        ) from None
    return tensors
