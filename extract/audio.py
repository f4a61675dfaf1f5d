"""Reading recordings: a stretch of a file as mono float32 at a wanted rate, or one plain reason.

Files are decoded by libsndfile (through soundfile) and resampled by soxr, the resampler that
librosa uses too. In its `HQ` setting the pass band ends at 0.91 of the lower Nyquist frequency
and what lies above that frequency is suppressed by 140 dB.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr
import torch

from extract.containers import promised, promised_by
from extract.errors import AudioError

SHORTEST = 0.01  # seconds
LONGEST = 6 * 3600  # seconds of one stretch, which is held in memory
MOST = 100 * 3600  # seconds of a recording; a head that promises more is damaged
RATES = (1_000, 1_000_000)  # Hz; what lies outside is a damaged head
LOUDEST = 100.0  # full scale is 1; beyond +40 dB a float file holds integers, or is damaged
BLOCK = 1 << 20  # samples of all channels that are decoded at a time
SILENCE = 10 ** (-90 / 20)  # half of the distance from the lowest to the highest sample
# How much of a stretch may lie past the end of the file, in seconds: manifests are rounded, and
# encoders trim or pad by a frame. It becomes silence.
TOLERANCE = 0.05
CONTEXT = 0.02  # seconds decoded on both sides, so that a cut does not ring in the resampler
UNKNOWN = 1 << 62  # libsndfile's length of a stream that does not state it is near 2**63

_READABLE = "wav, flac, ogg, opus, mp3, aiff"


@dataclass(frozen=True)
class AudioInfo:
    """What the head of an audio file says.

    Attributes
    ----------
    sample_rate : in Hz, as the file has it.
    channels : number of channels.
    seconds : duration; for a damaged file it may promise more than can be decoded.
    format : libsndfile's name, such as `WAV`, `FLAC`, `MP3`.
    """

    sample_rate: int
    channels: int
    seconds: float
    format: str


def probe(path: str | os.PathLike) -> AudioInfo:
    """Reads the head of an audio file (of an mp3 that does not state its length, all frame heads).

    Raises
    ------
    AudioError : the file is missing, a folder, a pipe, a device, empty, of unknown length, or not
        audio that libsndfile reads.
    """
    with _open(Path(path)) as (file, frames):
        return _info(file, frames)


def probe_stream(stream: BinaryIO, size: int, name: str) -> AudioInfo:
    """As `probe`, of a stream of so many bytes that can be read and sought in.

    Parameters
    ----------
    name : for messages.
    """
    share = promised_by(stream, size)
    stream.seek(0)
    with _decoder(stream, share, name) as (file, frames):
        return _info(file, frames)


def _info(file: soundfile.SoundFile, frames: int) -> AudioInfo:
    return AudioInfo(file.samplerate, file.channels, frames / file.samplerate, file.format)


def read(
    path: str | os.PathLike, sample_rate: int, start: float = 0.0, duration: float | None = None
) -> torch.Tensor:
    """A stretch of a file as mono float32 (the mean of the channels).

    Sample k of the result is the signal at `start + k / sample_rate` seconds. Only the stretch
    and a little context is decoded, so neighbouring stretches join without a seam. Safe to call
    from several threads.

    Parameters
    ----------
    sample_rate : of the result, in Hz.
    start : seconds from the start of the file, rounded to a sample of the file.
    duration : seconds; to the end of the file where None. A stretch may end up to 50 ms past the
        end of the file; what is missing is silence.

    Returns
    -------
    [samples], `round(duration * sample_rate)` of them. Floating point files are not clipped.

    Raises
    ------
    AudioError : names the file, what is wrong and the cure. The file is missing, unreadable,
        damaged, empty or shorter than the stretch; the stretch is shorter than 10 ms, longer than
        6 h, silent (the samples span less than twice -90 dBFS, a constant offset included), not
        finite or 40 dB above full scale.
    """
    path = Path(path)
    if not (0 <= start < math.inf and (duration is None or 0 <= duration < math.inf)):
        raise AudioError(f"{path}: no stretch starts at {start} s and lasts {duration} s")
    with _open(path) as (file, total):
        rate = file.samplerate
        first = round(start * rate)
        wanted = total - first if duration is None else round(duration * rate)
        _check_stretch(path, first / rate, wanted / rate, total / rate)
        last = min(first + wanted, total)
        before, after = _context(rate, sample_rate, first, total - last)
        mono, widest = _decode(file, path, first - before, last + after)
    missing = last - (first - before) - len(mono)
    if missing > TOLERANCE * rate or missing >= last - first:
        raise AudioError(
            f"{path}: truncated: {total / rate:.2f} s are promised, about "
            f"{(last - missing) / rate:.2f} s can be decoded; copy or encode the file again"
        )
    _check_sound(path, mono[before : before + last - first], widest)
    length = round((wanted / rate if duration is None else duration) * sample_rate)
    if rate != sample_rate:
        mono = soxr.resample(mono, rate, sample_rate, quality="HQ")
    skip = before * sample_rate // rate
    out = np.zeros(length, dtype=np.float32)
    kept = mono[skip : skip + length]
    out[: len(kept)] = kept
    return torch.from_numpy(out)


@contextmanager
def _open(path: Path) -> Iterator[tuple[soundfile.SoundFile, int]]:
    """A file that is open for decoding, and how many samples its head promises."""
    try:
        # a pipe that nobody writes to would be waited for
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise AudioError(f"{path}: {_refusal(error)}") from None
    try:
        found = os.fstat(handle)
        if stat.S_ISDIR(found.st_mode):
            raise AudioError(f"{path}: a folder, not an audio file; give a file in it")
        if not stat.S_ISREG(found.st_mode):
            raise AudioError(f"{path}: a pipe or a device, not a file; copy the audio into a file")
        if found.st_size == 0:
            raise AudioError(f"{path}: empty (0 bytes); copy or encode the file again")
        with _decoder(handle, promised(handle), path) as opened:
            yield opened
    finally:
        os.close(handle)


@contextmanager
def _decoder(
    source: int | BinaryIO, share: float, path: Path | str
) -> Iterator[tuple[soundfile.SoundFile, int]]:
    """What stands at the start of a file's handle, or of a stream, and is not closed."""
    try:
        file = soundfile.SoundFile(source, closefd=False)
    except (soundfile.SoundFileError, TypeError, OSError):
        # libsndfile's own words for this are misleading ("not a regular file")
        raise AudioError(
            f"{path}: not audio that libsndfile reads ({_READABLE}), or damaged; "
            "convert it, for instance with ffmpeg, to flac"
        ) from None
    with file:
        if not RATES[0] <= file.samplerate <= RATES[1]:
            raise AudioError(
                f"{path}: a sample rate of {file.samplerate} Hz; encode the file again"
            )
        yield file, _frames(file, share, path)


def _refusal(error: Exception) -> str:
    """Why a file cannot be opened, and the cure."""
    if isinstance(error, FileNotFoundError):
        return "no such file; check the path"
    if isinstance(error, PermissionError):
        return "may not be read; change its permissions"
    return f"{getattr(error, 'strerror', None) or 'a name that no file can have'}; check the path"


def _frames(file: soundfile.SoundFile, share: float, path: Path | str) -> int:
    """Length of an open file in samples; what is promised where that is more than there is."""
    if file.frames >= UNKNOWN:  # libsndfile cannot reach the end of such a flac
        raise AudioError(f"{path}: a stream that does not state its length; encode the file again")
    if file.frames <= 0:
        raise AudioError(f"{path}: holds no samples; copy or encode the file again")
    if file.frames > MOST * file.samplerate:
        hours = file.frames / file.samplerate / 3600
        raise AudioError(f"{path}: promises {hours:.3g} h of sound; copy or encode the file again")
    # libsndfile passes over it in silence when uncompressed files end too early
    frames = round(file.frames * share)
    return frames if frames - file.frames > TOLERANCE * file.samplerate else file.frames


def _check_stretch(path: Path, start: float, duration: float, total: float) -> None:
    if start >= total:
        raise AudioError(
            f"{path}: lasts {total:.2f} s, wanted from {start:.2f} s; change the start"
        )
    if duration < SHORTEST:
        raise AudioError(
            f"{path}: {max(duration, 0.0) * 1000:.1f} ms are too short; "
            f"at least {SHORTEST * 1000:.0f} ms are needed"
        )
    if duration > LONGEST:
        raise AudioError(
            f"{path}: {duration / 3600:.3g} h in one stretch; at most {LONGEST / 3600:.0f} h are "
            "read at once: give shorter clips in the manifest"
        )
    if start + duration > total + TOLERANCE:
        raise AudioError(
            f"{path}: lasts {total:.2f} s, wanted {start:.2f} to {start + duration:.2f} s; "
            "is the file truncated, or the manifest wrong?"
        )


def _context(rate: int, sample_rate: int, head: int, tail: int) -> tuple[int, int]:
    """Samples of the file to decode before and after a stretch, of the `head` and `tail` there are.

    The count before the stretch is a whole number of samples of the result, so that it can be cut
    off again. Nothing where nothing is resampled.
    """
    if rate == sample_rate:
        return 0, 0
    step = rate // math.gcd(rate, sample_rate)
    steps = math.ceil(CONTEXT * rate / step)
    return min(steps, head // step) * step, min(steps * step, tail)


def _decode(
    file: soundfile.SoundFile, path: Path, first: int, last: int
) -> tuple[np.ndarray, float]:
    """Frames [first, last) of an open file in mono; fewer where the file breaks off.

    Block by block, for memory is not to be had for what a head merely promises.

    Returns
    -------
    [frames], and the widest distance from the lowest to the highest sample within a channel.
    """
    blocks = [np.zeros(0, dtype=np.float32)]
    low, high = np.full(file.channels, np.inf), np.full(file.channels, -np.inf)
    left, size = last - first, max(1, BLOCK // file.channels)
    try:
        file.seek(first)
        while left > 0:
            values = file.read(min(left, size), dtype="float32", always_2d=True)
            if len(values):
                low, high = np.fmin(low, values.min(0)), np.fmax(high, values.max(0))
                _check_samples(path, values)
                blocks.append(values.mean(axis=1, dtype=np.float64).astype(np.float32))
            if len(values) < min(left, size):
                break
            left -= len(values)
    except soundfile.SoundFileError as error:
        raise _damaged(path, error) from None
    return np.concatenate(blocks), float(np.max(high - low))


def _check_samples(path: Path, values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise AudioError(f"{path}: samples that are not finite; encode the file again")
    if (loudest := float(np.abs(values).max())) > LOUDEST:
        raise AudioError(
            f"{path}: samples up to {loudest:.3g}, where full scale is 1; scale them and write "
            "the file again"
        )


def _damaged(path: str | os.PathLike, error: Exception) -> AudioError:
    reason = str(error).removeprefix("Error : ").rstrip(".")
    return AudioError(f"{path}: truncated or damaged ({reason}); copy or encode the file again")


def _check_sound(path: Path, mono: np.ndarray, widest: float) -> None:
    """Refuses a stretch with nothing to hear in it."""
    if np.ptp(mono) < 2 * SILENCE:
        if widest >= 2 * SILENCE:
            raise AudioError(
                f"{path}: the channels cancel each other when mixed to mono; keep one of them"
            )
        raise AudioError(f"{path}: silent in the stretch that was asked for; leave it out")
