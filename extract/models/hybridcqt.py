"""The constant-Q spectrogram that ChordNet was trained on, quickly.

Same numbers as `librosa.hybrid_cqt(bins_per_octave=36, n_bins=288, fmin=F#0, tuning=None)`: below
some 2.2 kHz a constant-Q transform (Schoerkhuber & Klapuri 2010), one octave after the other on
a signal halved in rate each time; above, short-time magnitudes weighed by the filters' magnitudes.
Filters and tuning come from librosa; here one set of filters serves every octave, is kept between
clips, and is applied as one matrix product in time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch.nn import functional as F

RATE, HOP, PER_OCTAVE, BINS = 22050, 512, 36, 288
LOWEST = 440.0 * 2.0 ** ((18 - 69) / 12)  # F#0
PEAK_FFT, PEAK_RANGE = 2048, (150.0, 4000.0)  # of the peaks that tell the tuning
SPARSITY = 0.01  # the share of each filter's spectrum that is set to zero, as librosa does


@dataclass(frozen=True)
class _Filters:
    """What one tuning needs.

    Attributes
    ----------
    halvings : how often the rate is halved before the first octave.
    octaves : number of octaves below the short-time part.
    kernel : [n_fft, 2 * 36], real and imaginary parts of the filters of any octave, in time.
    scale : [bins] what the responses are multiplied with.
    high : [bins, 513] weights of the short-time part.
    """

    halvings: int
    octaves: int
    kernel: torch.Tensor
    scale: torch.Tensor
    high: torch.Tensor


def _spectra(freqs: np.ndarray, alpha: np.ndarray, rate: float, least: int = 1) -> np.ndarray:
    """One-sided spectra of the filters, [bins, n_fft // 2 + 1]."""
    import librosa

    basis, lengths = librosa.filters.wavelet(freqs=freqs, sr=rate, alpha=alpha, gamma=0.0)
    n_fft = max(basis.shape[1], least)
    basis = basis * lengths[:, None] / n_fft
    spectra = np.fft.fft(basis, n=n_fft, axis=1)[:, : n_fft // 2 + 1]
    return librosa.util.sparsify_rows(spectra, quantile=SPARSITY).toarray()


@lru_cache(maxsize=128)
def _filters(tuning: float) -> _Filters:
    import librosa

    step = 2.0 ** (2 / PER_OCTAVE)
    freqs = LOWEST * 2.0 ** ((tuning + np.arange(BINS)) / PER_OCTAVE)
    alpha = np.full(BINS, (step - 1) / (step + 1))
    lengths, _ = librosa.filters.wavelet_lengths(freqs=freqs, sr=RATE, alpha=alpha)
    # the short-time part takes what fits into two hops
    low = int(np.sum(2.0 ** np.ceil(np.log2(lengths)) >= 2 * HOP))
    octaves = -(-low // PER_OCTAVE)
    lengths, cutoff = librosa.filters.wavelet_lengths(freqs=freqs[:low], sr=RATE, alpha=alpha[:low])
    spare = math.ceil(math.log2(RATE / 2 / cutoff)) - 2
    halvings = min(max(0, spare), max(0, int(math.log2(HOP)) - octaves + 1))
    rate = RATE / 2**halvings
    top = slice(low - PER_OCTAVE, low)
    spectra = _spectra(freqs[top], alpha[top], rate)
    n_fft = 2 * (spectra.shape[1] - 1)
    # sum_f S[f] DFT(y)[f] = sum_n y[n] h[n]: h is the DFT of the one-sided spectrum
    kernel = np.fft.fft(spectra, n=n_fft, axis=1)
    kernel = np.concatenate([kernel.real, kernel.imag]).T
    octave = (low - 1 - np.arange(low)) // PER_OCTAVE
    scale = np.sqrt(2.0**octave) / np.sqrt(lengths / 2**halvings)
    high = np.abs(_spectra(freqs[low:], alpha[low:], RATE, 2 * HOP)) / math.sqrt(2 * HOP)
    tensors = (torch.from_numpy(np.ascontiguousarray(a, np.float32)) for a in (kernel, scale, high))
    return _Filters(halvings, octaves, *tensors)


def _halve(signal: np.ndarray) -> np.ndarray:
    import librosa

    return librosa.resample(signal, orig_sr=2, target_sr=1, res_type="soxr_hq", scale=True)


def _magnitudes(signal: np.ndarray, n_fft: int) -> torch.Tensor:
    """Short-time magnitudes [1 + n_fft // 2, 1 + samples // 512] under a Hann window."""
    return torch.stft(
        torch.from_numpy(signal),
        n_fft,
        HOP,
        window=torch.hann_window(n_fft),
        pad_mode="constant",
        return_complex=True,
    ).abs()


def tuning_of(waveform: np.ndarray) -> float:
    """Deviation from 440 Hz in thirds of a semitone, [-0.5, 0.5), in steps of 0.01.

    `librosa.estimate_tuning` of the louder half of the spectral peaks between 150 and 4000 Hz, the
    peaks found in less than half the time.
    """
    import librosa

    first, last = (math.ceil(f * PEAK_FFT / RATE) for f in PEAK_RANGE)
    magnitude = _magnitudes(waveform, PEAK_FFT)
    some = magnitude[first - 1 : last + 1]
    some = torch.where(some > 0.1 * magnitude.amax(0), some, 0.0)
    below, here, above = some[:-2], some[1:-1], some[2:]
    bins, frames = torch.nonzero((here > below) & (here >= above), as_tuple=True)
    if not len(bins):
        return 0.0
    bins += first
    low, top, high = (magnitude[bins + i, frames] for i in (-1, 0, 1))
    slope, bend = (high - low) / 2, high + low - 2 * top
    shift = torch.where(slope.abs() < bend.abs(), -slope / bend, 0.0)
    pitch, height = (bins + shift) * RATE / PEAK_FFT, top + 0.5 * slope * shift
    louder = pitch[height >= np.median(height.numpy())].numpy()
    estimate = librosa.pitch_tuning(louder, bins_per_octave=PER_OCTAVE)
    return round(float(estimate), 2)


def hybrid_cqt(waveform: torch.Tensor, tuning: float | None = None) -> torch.Tensor:
    """Magnitudes of a waveform [samples] at 22050 Hz, [1 + samples // 512, 288].

    Frame k is centred at 512 k / 22050 s; silence stands before and after.

    Parameters
    ----------
    tuning : in bins of a third of a semitone; estimated from the waveform unless given.
    """
    signal = waveform.detach().cpu().numpy().astype(np.float32, copy=False)
    filters = _filters(tuning_of(signal) if tuning is None else tuning)
    parts = [(filters.high @ _magnitudes(signal, 2 * HOP)).T]
    left, hop, n_fft = len(filters.scale), HOP >> filters.halvings, len(filters.kernel)
    for _ in range(filters.halvings):
        signal = _halve(signal)
    for octave in range(filters.octaves):
        padded = F.pad(torch.from_numpy(signal), (n_fft // 2, n_fft // 2))
        response = padded.unfold(0, n_fft, hop) @ filters.kernel
        real, imag = response.split(PER_OCTAVE, 1)
        parts.append(torch.hypot(real, imag)[:, -min(left, PER_OCTAVE) :])
        left -= PER_OCTAVE
        if octave + 1 < filters.octaves:
            signal, hop = _halve(signal), hop // 2
    frames = min(len(part) for part in parts)
    low = torch.cat([part[:frames] for part in parts[:0:-1]], 1) * filters.scale
    return torch.cat([low, parts[0][:frames]], 1)
