"""Single files out of zip archives, into memory: nothing is unpacked, no size is taken on trust.

No name in an archive becomes a path here, so nothing can be written outside of a folder.
"""

from __future__ import annotations

import struct
import zipfile
import zlib

from extract.errors import WeightsInvalid

# what zipfile raises for archives that are damaged
FAULTS = (
    OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, KeyError,
    ValueError, IndexError, OverflowError, struct.error,
)  # fmt: skip
PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
GROWTH = 100  # weights are hardly smaller when packed; what grows more is made to fill memory
SMALL = 16 << 20  # bytes that may grow as they like
BLOCK = 1 << 20


def member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """The content of one file of an archive; its checksum is held against it.

    Parameters
    ----------
    most : bytes that it may be.

    Raises
    ------
    WeightsInvalid : too large, or of a size that its packed form cannot have.
    KeyError : no such file; other `FAULTS` : damaged.
    """
    info = archive.getinfo(name)
    size, packed = info.file_size, info.compress_size
    if size > most:
        raise WeightsInvalid(
            f"{archive.filename}: {name} would be {size} bytes; at most {most} are read"
        )
    if info.compress_type not in PLAIN:
        raise WeightsInvalid(f"{archive.filename}: {name} is packed in a way that is not read")
    if size > max(SMALL, GROWTH * packed):
        raise WeightsInvalid(
            f"{archive.filename}: {name} would grow from {packed} to {size} bytes; refused"
        )
    content = bytearray()
    with archive.open(info) as file:
        while block := file.read(BLOCK):
            content += block
            if len(content) > size:
                raise WeightsInvalid(f"{archive.filename}: {name} is larger than it says; refused")
    if len(content) != size:
        raise EOFError(f"{name} ends after {len(content)} of {size} bytes")
    return bytes(content)
