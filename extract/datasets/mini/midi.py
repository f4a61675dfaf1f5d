"""Writing a standard MIDI file (format 0): all that the renderer needs to hear."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

TICKS_PER_SECOND = 9600  # 4800 ticks a quarter note at 120 quarters a minute
CHANNELS = 9  # channels 0-8; channel 9 is the drum kit


class Note(NamedTuple):
    """One note as it is rendered: seconds from the clip's start, MIDI number, voice (0-8)."""

    onset: float
    duration: float
    pitch: int
    voice: int


def variable_length(value: int) -> bytes:
    """A number as MIDI writes it: 7 bits a byte, high bit set on all but the last."""
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(0x80 | (value & 0x7F))
    return bytes(reversed(out))


def write(notes: Iterable[Note], program: int, velocity: int, end: float) -> bytes:
    """A MIDI file in which every voice has its own channel and all play one program.

    Each voice needs its own channel because a note-off ends every note of that pitch in its
    channel, also the one that another voice still holds.

    Parameters
    ----------
    program : General MIDI program, 0-127.
    velocity : 1-127, of every note.
    end : seconds at which the file ends; later notes are the caller's error.
    """
    events: list[tuple[int, int, bytes]] = []
    voices = set()
    for note in notes:
        channel = note.voice % CHANNELS
        voices.add(channel)
        on = round(note.onset * TICKS_PER_SECOND)
        off = max(on + 1, round((note.onset + note.duration) * TICKS_PER_SECOND))
        # at one tick, endings come before beginnings: a repeated pitch must not silence itself
        events.append((on, 1, bytes((0x90 | channel, note.pitch, velocity))))
        events.append((off, 0, bytes((0x80 | channel, note.pitch, 0))))
    track = bytearray(b"\x00\xff\x51\x03" + (500_000).to_bytes(3, "big"))
    for channel in sorted(voices):
        # full channel volume: the renderer answers in 16 bits, so quiet sound is coarse sound
        track += bytes((0, 0xC0 | channel, program, 0, 0xB0 | channel, 7, 127))
    now = 0
    for tick, _, message in sorted(events):
        track += variable_length(tick - now) + message
        now = tick
    track += variable_length(max(0, round(end * TICKS_PER_SECOND) - now)) + b"\xff\x2f\x00"
    header = b"MThd" + (6).to_bytes(4, "big") + b"\x00\x00\x00\x01"
    header += (TICKS_PER_SECOND // 2).to_bytes(2, "big")
    return header + b"MTrk" + len(track).to_bytes(4, "big") + bytes(track)
