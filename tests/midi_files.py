"""Standard MIDI files of a few notes, written message by message."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

PEDAL = bytes((0xB0, 64, 127))


def on(pitch: int, velocity: int = 64) -> bytes:
    return bytes((0x90, pitch, velocity))


def off(pitch: int) -> bytes:
    """As MAESTRO and most others write it: struck with velocity 0."""
    return on(pitch, 0)


def tempo(quarter: float) -> bytes:
    """A quarter note lasts so many seconds."""
    return b"\xff\x51\x03" + round(quarter * 1e6).to_bytes(3, "big")


def midi(path: Path, *tracks: Iterable[tuple[int, bytes]], division: int = 480) -> Path:
    """A file of format 1; each track is (ticks since the last message, message)."""
    out = b"MThd" + (6).to_bytes(4, "big") + b"\x00\x01"
    out += len(tracks).to_bytes(2, "big") + division.to_bytes(2, "big")
    for track in tracks:
        body = b"".join(_number(wait) + message for wait, message in track) + b"\x00\xff\x2f\x00"
        out += b"MTrk" + len(body).to_bytes(4, "big") + body
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(out)
    return path


def _number(value: int) -> bytes:
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(0x80 | value & 0x7F)
    return bytes(reversed(out))
