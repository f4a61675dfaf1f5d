"""References: what librosa computes from the audio, kept and compared like the layers of a model.

A layer that is read out no better than from one of these has not learned anything that is not
already near the surface of the sound. The features are computed in `windows`, in the worker threads
on the CPU; `forward` only takes the columns apart.

All have frames of 512 samples at 22,050 Hz, frame k centred on `k * 512 / 22050` seconds.

=========  =====  ==========================================================================
layer      width  one frame
=========  =====  ==========================================================================
log-mel    128    mel bands (Slaney scale, height 1), dB re a mean square of 1, 93 ms
mfcc       20     the cosine transform of the log-mel bands (Davis, Mermelstein 1980)
chroma     12     C to B: magnitude spectrum of 371 ms folded to pitch classes, the largest being 1
onset      6      rise of the log-mel bands, in six groups (Böck, Widmer 2013)
tempogram  80     autocorrelation of the onset strength over 8.9 s (Grosche et al. 2010), at lags
                  of 8 to 87 frames: 323 to 30 beats per minute
loudness   3      level, A-weighted level (IEC 61672) and peak, in dB re full scale, of 93 ms
flux       3      magnitude spectrum of 93 ms, from the frame before to the frame after: what rises
                  and what falls, as shares of all there is, and the cosine distance
salience   48     C2 to B5: magnitude spectrum of 371 ms summed over eight partials of each pitch,
                  weights 0.84^k (Hermes 1988), the largest being 1
=========  =====  ==========================================================================
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version

import librosa
import numpy as np
import soxr
import torch

from extract.errors import WeightsInvalid
from extract.models.base import (
    Layer,
    Model,
    ModelCard,
    ModelSpec,
    Request,
    WeightsRecord,
    collect,
)
from extract.windows import Window, cut

RATE = 22050
HOP = 512
FFT = 2048
MELS = 128
MFCC = 20
SLOWER = 4  # a quarter of the rate is enough for pitch, and cheaper
PITCH_FFT = 2048  # at that rate: 371 ms, which parts semitones down to about 130 Hz
BANDS = (0, 21, 42, 64, 85, 106, 128)  # edges of the onset bands, in mel bands
TEMPO_FRAMES = 384
LAGS = slice(8, 88)
FLOOR = 1e-10  # power; -100 dB
RANGE = 80.0  # dB below the loudest mel band of a clip in which an onset counts
LOWEST, PITCHES = 36, 48  # MIDI numbers of the pitch salience: from C2, 65 Hz
PARTIALS, FALL = 8, 0.84
VERSION = "2"  # of what is computed here; a change makes new stores

WIDTHS = {
    "log-mel": MELS,
    "mfcc": MFCC,
    "chroma": 12,
    "onset": len(BANDS) - 1,
    "tempogram": LAGS.stop - LAGS.start,
    "loudness": 3,
    "flux": 3,
    "salience": PITCHES,
}


class References(Model):
    """Eight descriptions of the sound behind the interface of a model; nothing in it is trained.

    Audio longer than a minute is described a minute at a time.
    """

    def __init__(self, card: ModelCard):
        self.card = card
        recipe = f"references {VERSION}, librosa {version('librosa')}, {sorted(WIDTHS.items())}"
        # `trained` is true so that a report does not call these features untrained weights
        self.weights = WeightsRecord(
            sha256=hashlib.sha256(recipe.encode()).hexdigest(),
            source=f"librosa {version('librosa')}",
            trained=True,
        )
        self.network = torch.nn.Identity().eval()
        # the first call compiles and imports a good deal: once, before there are threads
        describe(np.zeros(FFT, dtype=np.float32))

    def windows(self, waveform: torch.Tensor) -> list[Window]:
        """Features of a mono waveform [samples]; the values of a window are [frames, widths]."""
        pieces = cut(waveform, RATE, self.window)
        return [
            Window(torch.from_numpy(describe(piece.values.numpy())), piece.start, piece.owns)
            for piece in pieces
        ]

    def forward(self, values: torch.Tensor, until: str | None = None) -> Mapping[str, torch.Tensor]:
        """values [batch, frames, widths] -> layer name: [batch, frames, width]."""
        parts = self.network(values).split(list(WIDTHS.values()), dim=-1)
        return collect(zip(WIDTHS, parts, strict=True), until)


def describe(samples: np.ndarray) -> np.ndarray:
    """All features of a waveform [samples] at 22,050 Hz, float32.

    Returns
    -------
    [1 + samples // 512, 300], columns in the order of `WIDTHS`. Finite for any finite input.
    """
    frames = 1 + len(samples) // HOP
    power = _power(samples, FFT, HOP)
    mel = _decibels(_mel_filters() @ power)
    onset, slow = _onset(mel), _slow_spectrum(samples, frames)
    features = (
        mel,
        librosa.feature.mfcc(S=mel, n_mfcc=MFCC),
        _loudest_one(_pitch_filters() @ slow),
        onset,
        _tempogram(onset.mean(axis=0)),
        _loudness(samples, power),
        _flux(np.sqrt(power)),
        _loudest_one(_partial_filters() @ slow),
    )
    table = np.concatenate([feature[:, :frames] for feature in features])
    return np.ascontiguousarray(table.T, dtype=np.float32)


def _power(samples: np.ndarray, length: int, hop: int) -> np.ndarray:
    """Mean square of each frequency in each frame, [1 + length // 2, frames].

    Silence is assumed on both sides. Scaled so that the bins of a frame sum to the mean square
    under the window.
    """
    padded = np.pad(samples, length // 2)
    spectrum = librosa.stft(padded, n_fft=length, hop_length=hop, center=False)
    # one-sided: all bins but the first and the last stand for two
    scale = np.full((length // 2 + 1, 1), 2.0 / (length * _window_energy(length)), np.float32)
    scale[[0, -1]] /= 2.0
    return (spectrum.real**2 + spectrum.imag**2) * scale


@cache
def _window_energy(length: int) -> float:
    return float((librosa.filters.get_window("hann", length) ** 2).sum())


@cache
def _mel_filters() -> np.ndarray:
    return librosa.filters.mel(sr=RATE, n_fft=FFT, n_mels=MELS, norm=None)


@cache
def _pitch_filters() -> np.ndarray:
    """[12, bins]: a Gaussian of a semitone around each pitch, under a wide one around 311 Hz.

    Low weights above it keep partials out: thirds and fifths of the notes, which sound like other
    notes of the scale.
    """
    return librosa.filters.chroma(
        sr=RATE / SLOWER, n_fft=PITCH_FFT, tuning=0.0, ctroct=3.5, octwidth=1.5
    ).astype(np.float32)


@cache
def _a_weights() -> np.ndarray:
    """[bins] factors of power; the first, at 0 Hz, is 0."""
    frequencies = librosa.fft_frequencies(sr=RATE, n_fft=FFT)[1:]
    gains = librosa.db_to_power(librosa.A_weighting(frequencies, min_db=None))
    return np.concatenate([[0.0], gains]).astype(np.float32)


def _decibels(power: np.ndarray) -> np.ndarray:
    return 10.0 * np.log10(np.maximum(power, FLOOR))


@cache
def _partial_filters() -> np.ndarray:
    """[pitches, bins]: a Gaussian of a quarter tone around every partial of each pitch."""
    frequencies = librosa.fft_frequencies(sr=RATE / SLOWER, n_fft=PITCH_FFT)
    place = librosa.hz_to_midi(np.maximum(frequencies, 1.0))
    pitches = LOWEST + np.arange(PITCHES)
    bins = np.maximum(np.arange(len(frequencies)), 1)
    width = 0.25 + 12 / np.log(2) / bins  # a bin more, in semitones
    table = np.zeros((PITCHES, len(frequencies)))
    for partial in range(1, PARTIALS + 1):
        off = (place - (pitches + 12 * np.log2(partial))[:, None]) / width
        table += FALL ** (partial - 1) * np.exp(-0.5 * off**2)
    return table.astype(np.float32)


def _slow_spectrum(samples: np.ndarray, frames: int) -> np.ndarray:
    """[bins, frames] magnitudes at a quarter of the rate."""
    slow = soxr.resample(samples, SLOWER, 1, quality="HQ")
    needed = (frames - 1) * (HOP // SLOWER)
    slow = np.pad(slow, (0, max(0, needed - len(slow))))
    return np.sqrt(_power(slow, PITCH_FFT, HOP // SLOWER)[:, :frames])


def _loudest_one(table: np.ndarray) -> np.ndarray:
    """Frames with a largest value of 1; zero where there is no sound."""
    return librosa.util.normalize(table, norm=np.inf, axis=0)


def _onset(mel: np.ndarray) -> np.ndarray:
    """[6, frames]. A rise stands at the frame that it is centred on, not before."""
    return librosa.onset.onset_strength_multi(
        S=np.maximum(mel, mel.max() - RANGE),
        sr=RATE,
        n_fft=FFT,
        hop_length=HOP,
        channels=list(BANDS),
    )


def _tempogram(strength: np.ndarray) -> np.ndarray:
    """[lags, frames], the value at lag 0 being 1; zero where nothing moves."""
    table = librosa.feature.tempogram(
        onset_envelope=strength, sr=RATE, hop_length=HOP, win_length=TEMPO_FRAMES
    )
    return table[LAGS]


def _loudness(samples: np.ndarray, power: np.ndarray) -> np.ndarray:
    """[3, frames]: level, A-weighted level, peak."""
    padded = np.pad(np.abs(samples), FFT // 2)
    peak = librosa.util.frame(padded, frame_length=FFT, hop_length=HOP).max(axis=0)
    return _decibels(np.stack([power.sum(axis=0), _a_weights() @ power, peak**2]))


def _flux(spectrum: np.ndarray) -> np.ndarray:
    """[3, frames] from magnitudes [bins, frames]: rise, fall, distance; zero in silence."""
    ends = np.pad(spectrum, ((0, 0), (1, 1)), mode="edge")
    before, after = ends[:, :-2], ends[:, 2:]
    change, floor = after - before, np.float32(FLOOR**0.5)
    whole = (before + after).sum(axis=0) + floor
    rise, fall = (np.maximum(d, 0.0).sum(axis=0) / whole for d in (change, -change))
    sizes = np.linalg.norm(before, axis=0) * np.linalg.norm(after, axis=0)
    alike = np.where(sizes > FLOOR, (before * after).sum(axis=0) / np.maximum(sizes, FLOOR), 1.0)
    return np.stack([rise, fall, np.maximum(1.0 - alike, 0.0)])


def _layers() -> tuple[Layer, ...]:
    """No reference comes before another: their depths only keep them in order."""
    return tuple(
        Layer(name, width, RATE / HOP, depth) for depth, (name, width) in enumerate(WIDTHS.items())
    )


def _load(request: Request) -> References:
    if request.untrained or request.weights is not None:
        raise WeightsInvalid(
            "references: these are signal descriptors without weights; "
            "leave out the weights and the wish for untrained ones"
        )
    return References(CARD)


CARD = ModelCard(
    name="references",
    title="Signal descriptors",
    cite="McFee et al. 2015",
    paper="McFee et al. 2015, librosa: audio and music signal analysis in Python",
    url="https://librosa.org",
    training_data="none",
    licence="ISC (librosa)",
    parameters=0,
    sample_rate=RATE,
    layers=_layers(),
    weights_from="computed by librosa",
    window=60.0,
    notes="not a network: log-mel, MFCC, chroma, onset strength, tempogram, loudness, "
    "spectral flux and pitch salience",
)
SPEC = ModelSpec(card=CARD, load=_load, present=lambda: True)
