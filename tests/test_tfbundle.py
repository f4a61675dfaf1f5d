"""The bundle reader on bundles written here, byte by byte, in the documented layout."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from extract import tfbundle
from extract.errors import WeightsInvalid


def number(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def text(field: int, content: bytes) -> bytes:
    return number(field << 3 | 2) + number(len(content)) + content


def block(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """One uncompressed LevelDB block with shared prefixes and its five-byte trailer."""
    out, last = b"", b""
    for key, value in pairs:
        shared = 0
        while shared < min(len(key), len(last)) and key[shared] == last[shared]:
            shared += 1
        out += number(shared) + number(len(key) - shared) + number(len(value)) + key[shared:]
        out += value
        last = key
    return out + struct.pack("<II", 0, 1) + b"\0" + b"crc."


def entry(array: np.ndarray, kind: int, offset: int, shard: int = 0) -> bytes:
    shape = b"".join(text(2, number(1 << 3) + number(n)) for n in array.shape)
    out = number(1 << 3) + number(kind) + text(2, shape)
    if shard:
        out += number(3 << 3) + number(shard)
    if offset:
        out += number(4 << 3) + number(offset)
    return out + number(5 << 3) + number(array.nbytes) + number(6 << 3 | 5) + b"\1\2\3\4"


def bundle(arrays: dict[str, np.ndarray], kinds: dict[str, int] | None = None, per_block: int = 2):
    kinds = kinds or {}
    data, pairs = b"", [(b"", b"\x08\x01")]
    for name in sorted(arrays):
        array = arrays[name]
        pairs.append((name.encode(), entry(array, kinds.get(name, 1), len(data))))
        data += array.tobytes()
    table, handles = b"", []
    for first in range(0, len(pairs), per_block):
        part = pairs[first : first + per_block]
        body = block(part)
        handles.append((part[-1][0], number(len(table)) + number(len(body) - 5)))
        table += body
    index = block(handles)
    footer = number(0) + number(0) + number(len(table)) + number(len(index) - 5)
    table += index + footer.ljust(40, b"\0") + struct.pack("<Q", tfbundle.MAGIC)
    return table, data


ARRAYS = {
    "conv/kernel": np.arange(24, dtype="<f4").reshape(2, 3, 4),
    "conv/bias": np.array([0.5, -1.5], dtype="<f4"),
    "conv_1/bias": np.linspace(0, 1, 300, dtype="<f4"),
    "power": np.array(0.25, dtype="<f4"),
    "step": np.array([7, -8], dtype="<i8"),
}


@pytest.mark.parametrize("per_block", [1, 2, 10])
def test_every_tensor_comes_back(per_block):
    index, data = bundle(ARRAYS, {"step": 9}, per_block)
    read = tfbundle.read(index, data, source="here")
    assert sorted(read) == sorted(ARRAYS)
    for name, array in ARRAYS.items():
        assert read[name].shape == array.shape
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


def test_data_cut_off_names_the_tensor():
    index, data = bundle(ARRAYS, {"step": 9})
    with pytest.raises(WeightsInvalid, match="here: .*tensor step"):
        tfbundle.read(index, data[:-1], source="here")


def test_an_unknown_type_names_the_tensor():
    index, data = bundle(ARRAYS, {"step": 19})
    with pytest.raises(WeightsInvalid, match="tensor step .*data type 19"):
        tfbundle.read(index, data, source="here")


def test_a_second_shard_is_refused():
    array = np.zeros(2, dtype="<f4")
    with pytest.raises(ValueError, match="second shard"):
        tfbundle._tensor(entry(array, 1, 0, shard=1), array.tobytes())


@pytest.mark.parametrize("index", [b"", b"x" * 100])
def test_something_else_is_refused(index):
    with pytest.raises(WeightsInvalid, match="here: not a whole one-shard TensorFlow bundle"):
        tfbundle.read(index, b"", source="here")


def test_a_damaged_table_is_refused():
    index, data = bundle(ARRAYS, {"step": 9})
    for at in range(0, len(index) - tfbundle.FOOTER, 7):
        damaged = index[:at] + bytes([index[at] ^ 0xFF]) + index[at + 1 :]
        try:
            tfbundle.read(damaged, data, source="here")
        except WeightsInvalid:
            continue
