"""From notes to sound: one General MIDI font, one renderer, one level.

Imported by processes that only render: nothing heavy here.
"""

from __future__ import annotations

import io
import os
import tempfile
import time
from functools import cache
from pathlib import Path
from threading import Thread

import numpy as np
import soundfile
import soxr

from extract.datasets.mini import midi, sources
from extract.datasets.mini.excerpts import Sound
from extract.errors import AudioError

RENDERED = 48_000  # the renderer knows no other rate
RATE = 24_000  # of the data set: no model of music takes more
RECIPE = "2"  # of what is done to make audio of a sound; a change renders anew
LEVEL = 0.08  # root mean square of every clip: loudness must not tell one program from another
PEAK = 0.98


@cache
def _font() -> bytes:
    return sources.font_path().read_bytes()


def render(sound: Sound, duration: float, clip: str) -> np.ndarray:
    """Mono 16-bit samples [duration * RATE] of the notes, at the common level.

    The renderer starts afresh for every clip: a synthesiser that is used again carries the state
    of the last clip into the next. Rounded to 16 bits here, so that audio that went through the
    cache is the very same.

    Raises
    ------
    AudioError : the renderer failed, or nothing is heard.
    """
    import midirenderer

    data = midi.write(sound.notes, sound.program, sound.velocity, duration)
    try:
        wave = midirenderer.render_wave_from(_font(), data)
        values, rate = soundfile.read(io.BytesIO(wave), dtype="float32", always_2d=True)
    except (ValueError, RuntimeError) as error:
        raise AudioError(f"{clip}: the renderer failed ({error}); reinstall midirenderer") from None
    if rate != RENDERED:
        raise AudioError(f"{clip}: the renderer gave {rate} Hz, not {RENDERED}; {sources.CURE}")
    middle = (values[:, 0] + values[:, -1]) / 2
    mono = soxr.resample(middle, RENDERED, RATE, quality="HQ")
    samples = round(duration * RATE)
    mono = np.pad(mono[:samples], (0, max(0, samples - len(mono))))
    power = float(np.sqrt(np.mean(mono**2)))
    if not power > 1e-6:
        raise AudioError(f"{clip}: program {sound.program} renders silence; reinstall pretty_midi")
    mono *= min(LEVEL / power, PEAK / float(np.abs(mono).max()))
    return np.round(mono * 32767.0).astype(np.int16)


def end_with(parent: int) -> None:
    """Lets this process end soon after its parent, also one that was killed and told nobody."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(0)

    Thread(target=watch, daemon=True).start()


def rendered(sound: Sound, duration: float, clip: str, path: Path | None) -> np.ndarray:
    """The samples of a clip, kept as FLAC when there is a path."""
    samples = render(sound, duration, clip)
    if path is not None:
        keep(samples, path)
    return samples


def read_cached(path: Path) -> np.ndarray | None:
    """Samples kept earlier; None when the file is absent or damaged."""
    try:
        values, rate = soundfile.read(path, dtype="int16")
    except (OSError, RuntimeError):
        return None
    return values if rate == RATE and values.ndim == 1 and len(values) else None


def keep(samples: np.ndarray, path: Path) -> None:
    """Writes FLAC beside its final name and renames: a killed run leaves no half file."""
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    os.close(handle)
    try:
        soundfile.write(name, samples, RATE, format="FLAC", subtype="PCM_16")
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
