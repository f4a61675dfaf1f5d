"""Audio files that a reader trips over: written by hand where no library would write them."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import soundfile

RATE = 16000


def signal(seconds: float = 1.0, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Noise that every file here holds, [samples] within +-0.5."""
    return np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * rate))


def wav(
    samples: bytes,
    *,
    rate: int = RATE,
    channels: int = 1,
    bits: int = 16,
    kind: int = 1,
    claim: int | None = None,
) -> bytes:
    """A WAV file whose head says what it is told, `claim` bytes of samples among it."""
    frame = channels * bits // 8
    head = struct.pack("<HHIIHH", kind, channels, rate, rate * frame % 2**32, frame % 2**16, bits)
    size = len(samples) if claim is None else claim
    body = b"WAVEfmt " + struct.pack("<I", 16) + head + b"data" + struct.pack("<I", size) + samples
    return b"RIFF" + struct.pack("<I", len(body)) + body


def pcm16(values: np.ndarray) -> bytes:
    return np.round(values * 32767).astype("<i2").tobytes()


def flac_of(path: Path, frames: int) -> Path:
    """A FLAC file of one second whose head promises so many samples, of 36 bits at most."""
    soundfile.write(path, signal(), RATE)
    content = bytearray(path.read_bytes())
    content[21] = content[21] & 0xF0 | frames >> 32
    content[22:26] = (frames & 0xFFFFFFFF).to_bytes(4, "big")
    path.write_bytes(content)
    return path


def hours_of(path: Path, hours: float, *, rate: int, channels: int, sounding: slice) -> Path:
    """A long WAV file that takes little disk: silence is a hole, noise where it sounds."""
    frame, frames = 4 * channels, round(hours * 3600 * rate)
    head = wav(b"", rate=rate, channels=channels, bits=32, kind=3, claim=frames * frame)
    noise = np.stack(
        [signal((sounding.stop - sounding.start) / rate, rate, seed=c) for c in range(channels)], 1
    )
    with open(path, "wb") as file:
        file.write(head)
        file.seek(len(head) + sounding.start * frame)
        file.write(noise.astype("<f4").tobytes())
        file.truncate(len(head) + frames * frame)
    return path


def refused(folder: Path) -> dict[str, str]:
    """Writes files that cannot be used; name -> what the reason must say."""
    good, half = pcm16(signal()), RATE  # bytes of half a second
    written = {
        "empty.wav": (b"", "empty (0 bytes)"),
        "headless.wav": (b"RIFF", "not audio"),
        "zero-length.wav": (wav(good, claim=0), "holds no samples"),
        "no-channels.wav": (wav(good, channels=0), "not audio"),
        "many-channels.wav": (wav(good, channels=60000), "not audio"),
        "no-rate.wav": (wav(good, rate=0), "not audio"),
        "slow.wav": (wav(good, rate=1), "a sample rate of 1 Hz"),
        "fast.wav": (wav(good, rate=2**31 - 1), "a sample rate of 2147483647 Hz"),
        "cut.wav": (wav(good)[: 44 + half], "truncated: 1.00 s are promised, about 0.50 s"),
        "promise-half-a-gigabyte.wav": (wav(good, claim=2**29), "truncated: 16777.22 s"),
        "text.flac": (b"this is not audio\n" * 400, "not audio"),
        "page.mp3": (b"<!DOCTYPE html><html>404</html>" * 40, "not audio"),
        "9ms.wav": (wav(pcm16(signal(0.009))), "9.0 ms are too short"),
        "unscaled.wav": (
            wav((signal() * 32767).astype("<f4").tobytes(), bits=32, kind=3),
            "where full scale is 1",
        ),
        "huge-doubles.wav": (
            wav((signal() * 1e300).astype("<f8").tobytes(), bits=64, kind=3),
            "not finite",
        ),
    }
    for name, (content, _) in written.items():
        (folder / name).write_bytes(content)
    reasons = {name: reason for name, (_, reason) in written.items()}
    for name, bad in (("nan.wav", np.nan), ("inf.wav", np.inf)):
        values = signal().astype("<f4")
        values[-1] = bad
        (folder / name).write_bytes(wav(values.tobytes(), bits=32, kind=3))
        reasons[name] = "not finite"
    flac_of(folder / "promise-2e31.flac", 2**31)
    flac_of(folder / "promise-2e36.flac", 2**36 - 1)
    reasons["promise-2e31.flac"] = "37.3 h in one stretch"
    reasons["promise-2e36.flac"] = "promises 1.19e+03 h"
    soundfile.write(folder / "whole.aiff", signal(), RATE)
    (folder / "cut.aiff").write_bytes((folder / "whole.aiff").read_bytes()[: 54 + half])
    soundfile.write(folder / "whole.rf64", signal(), RATE, format="RF64")
    (folder / "cut-rf64.wav").write_bytes((folder / "whole.rf64").read_bytes()[: 104 + half])
    for name in ("whole.aiff", "whole.rf64"):
        (folder / name).unlink()
    reasons |= {"cut.aiff": "truncated: 1.00 s", "cut-rf64.wav": "truncated: 1.00 s"}
    soundfile.write(folder / "flipped.flac", signal(), RATE)
    content = bytearray((folder / "flipped.flac").read_bytes())
    content[len(content) // 2] ^= 0x10
    (folder / "flipped.flac").write_bytes(content)
    reasons["flipped.flac"] = "truncated or damaged"
    (folder / "dangling.wav").symlink_to(folder / "gone")
    (folder / "circle.wav").symlink_to(folder / "circle.wav")
    (folder / "device.wav").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.wav")
    reasons |= {
        "dangling.wav": "no such file", "circle.wav": "symbolic links",
        "device.wav": "a pipe or a device", "pipe.wav": "a pipe or a device",
    }  # fmt: skip
    return reasons
