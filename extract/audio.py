"""Reading recordings: a stretch of a file as mono float32 at a wanted rate, or one plain reason.

Files are decoded by libsndfile (through soundfile) and resampled by soxr, the resampler that
librosa uses too. In its `HQ` setting the pass band ends at 0.91 of the lower Nyquist frequency
and what lies above that frequency is suppressed by 140 dB.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch

from extract.errors import AudioError

SHORTEST = 0.01  # seconds
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
    AudioError : the file is missing, a folder, empty, of unknown length, or not audio that
        libsndfile reads.
    """
    with _open(Path(path)) as file:
        frames = _frames(file, path)
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
        damaged, empty or shorter than the stretch; the stretch is shorter than 10 ms, silent (the
        samples span less than twice -90 dBFS, a constant offset included) or not finite.
    """
    path = Path(path)
    if not (0 <= start < math.inf and (duration is None or 0 <= duration < math.inf)):
        raise AudioError(f"{path}: no stretch starts at {start} s and lasts {duration} s")
    with _open(path) as file:
        rate, total = file.samplerate, _frames(file, path)
        first = round(start * rate)
        wanted = total - first if duration is None else round(duration * rate)
        _check_stretch(path, first / rate, wanted / rate, total / rate)
        last = min(first + wanted, total)
        before, after = _context(rate, sample_rate, first, total - last)
        values = _decode(file, path, first - before, last + after)
    missing = last - (first - before) - len(values)
    if missing > TOLERANCE * rate:
        raise AudioError(
            f"{path}: truncated: {total / rate:.2f} s are promised, about "
            f"{(last - missing) / rate:.2f} s can be decoded; copy or encode the file again"
        )
    mono = _mono(path, values, before, last - first)
    length = round((wanted / rate if duration is None else duration) * sample_rate)
    if rate != sample_rate:
        mono = soxr.resample(mono, rate, sample_rate, quality="HQ")
    skip = before * sample_rate // rate
    out = np.zeros(length, dtype=np.float32)
    kept = mono[skip : skip + length]
    out[: len(kept)] = kept
    return torch.from_numpy(out)


def _open(path: Path) -> soundfile.SoundFile:
    if path.is_dir():
        raise AudioError(f"{path}: a folder, not an audio file; give a file in it")
    try:
        size = path.stat().st_size
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise AudioError(f"{path}: {reason}; check the path") from None
    if size == 0:
        raise AudioError(f"{path}: empty (0 bytes); copy or encode the file again")
    if not os.access(path, os.R_OK):
        raise AudioError(f"{path}: may not be read; change its permissions")
    try:
        return soundfile.SoundFile(path)
    except (soundfile.SoundFileError, TypeError, OSError):
        # libsndfile's own words for this are misleading ("not a regular file")
        raise AudioError(
            f"{path}: not audio that libsndfile reads ({_READABLE}), or damaged; "
            "convert it, for instance with ffmpeg, to flac"
        ) from None


def _frames(file: soundfile.SoundFile, path: str | os.PathLike) -> int:
    """Length of an open file in samples."""
    if file.frames >= UNKNOWN:  # libsndfile cannot reach the end of such a flac
        raise AudioError(f"{path}: a stream that does not state its length; encode the file again")
    if file.frames <= 0:
        raise AudioError(f"{path}: holds no samples; copy or encode the file again")
    return file.frames


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


def _decode(file: soundfile.SoundFile, path: Path, first: int, last: int) -> np.ndarray:
    """Frames [first, last) of an open file, [frames, channels]; fewer where the file breaks off."""
    try:
        file.seek(first)
        return file.read(last - first, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise _damaged(path, error) from None


def _damaged(path: str | os.PathLike, error: Exception) -> AudioError:
    reason = str(error).removeprefix("Error : ").rstrip(".")
    return AudioError(f"{path}: truncated or damaged ({reason}); copy or encode the file again")


def _mono(path: Path, values: np.ndarray, before: int, length: int) -> np.ndarray:
    """[frames, channels] -> [frames]; refuses a stretch with nothing to hear in it."""
    if not np.isfinite(values).all():
        raise AudioError(f"{path}: samples that are not finite; encode the file again")
    mono = values.mean(axis=1, dtype=np.float64).astype(np.float32)
    stretch = slice(before, before + length)
    if np.ptp(mono[stretch]) < 2 * SILENCE:
        if np.ptp(values[stretch], axis=0).max() >= 2 * SILENCE:
            raise AudioError(
                f"{path}: the channels cancel each other when mixed to mono; keep one of them"
            )
        raise AudioError(f"{path}: silent in the stretch that was asked for; leave it out")
    return mono
