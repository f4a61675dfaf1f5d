"""References: the right size and place, and each answers to what it is named after."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from extract import models
from extract.errors import WeightsInvalid
from extract.models.base import Request
from extract.models.descriptors import FFT, HOP, LAGS, LOWEST, RATE, SPEC, WIDTHS


@pytest.fixture(scope="module")
def references():
    return models.references()


def heard(references, wave: np.ndarray) -> dict[str, np.ndarray]:
    """layer -> [frames, width] of a wave that is one window."""
    (window,) = references.windows(torch.from_numpy(np.asarray(wave, dtype=np.float32)))
    outputs = references.forward(window.values[None])
    return {name: output[0].numpy() for name, output in outputs.items()}


def tones(pitches, seconds: float, rng=None, partials: int = 6) -> np.ndarray:
    """Harmonic tones of MIDI pitches, mixed; random phases and timbre with `rng`."""
    rng = rng or np.random.default_rng(0)
    time = np.arange(round(seconds * RATE)) / RATE
    wave = np.zeros(len(time))
    for pitch in pitches:
        frequency, decay = 440 * 2 ** ((pitch - 69) / 12), rng.uniform(0.4, 0.8)
        for k in range(1, partials + 1):
            phase = rng.uniform(0, 2 * np.pi)
            wave += decay**k * np.sin(2 * np.pi * k * frequency * time + phase)
    return 0.3 * wave / np.abs(wave).max()


def clicks(seconds: float, *times: float) -> np.ndarray:
    wave = np.zeros(round(seconds * RATE))
    for time in times:
        wave[round(time * RATE)] = 0.9
    return wave


def test_the_layers_are_those_of_the_card(references):
    assert [layer.name for layer in references.layers] == [
        "log-mel",
        "mfcc",
        "chroma",
        "onset",
        "tempogram",
        "loudness",
        "flux",
        "salience",
    ]
    assert references.name == "references" and references.sample_rate == 22050
    assert all(layer.rate == 22050 / 512 and layer.center == 0 for layer in references.layers)
    assert references.weights.trained and len(references.weights.sha256) == 64
    assert references.weights.source.startswith("librosa ")
    assert SPEC.present()
    outputs = heard(references, tones([60], 2.0))
    for layer in references.layers:
        assert outputs[layer.name].shape == (1 + 2 * RATE // HOP, layer.width)


@pytest.mark.parametrize("samples", (1, 2, 221, HOP - 1, HOP, HOP + 1, FFT - 1, FFT, 5000))
@pytest.mark.parametrize("kind", ("silence", "noise", "full scale", "offset"))
def test_any_sound_of_any_length_gives_finite_values_without_warnings(references, samples, kind):
    wave = {
        "silence": np.zeros(samples),
        "noise": 1e-3 * np.random.default_rng(0).standard_normal(samples),
        "full scale": np.sign(np.random.default_rng(0).standard_normal(samples)),
        "offset": np.full(samples, 0.5),
    }[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outputs = heard(references, wave)
    for name, output in outputs.items():
        assert output.shape == (1 + samples // HOP, WIDTHS[name])
        assert output.dtype == np.float32 and np.isfinite(output).all(), name


def test_references_can_be_asked_for_again(references):
    # a module of the function's name would take its place in the package once imported
    assert models.references().weights == references.weights


def test_a_batch_is_its_members(references):
    waves = [tones([60 + k], 1.5, np.random.default_rng(k)) for k in range(3)]
    values = [references.windows(torch.from_numpy(w.astype(np.float32)))[0].values for w in waves]
    together = references.forward(torch.stack(values))
    for k, wave in enumerate(waves):
        for name, alone in heard(references, wave).items():
            assert np.array_equal(together[name][k].numpy(), alone)


def test_a_long_clip_is_described_a_minute_at_a_time(references):
    wave = 0.1 * torch.randn(70 * RATE, generator=torch.Generator().manual_seed(0))
    windows = references.windows(wave)
    assert [(w.start, w.owns) for w in windows] == [(0.0, (0.0, 35.0)), (10.0, (35.0, 70.0))]
    assert all(w.values.shape == (1 + 60 * RATE // HOP, sum(WIDTHS.values())) for w in windows)


def test_there_is_nothing_to_leave_untrained():
    for request in (Request(untrained=True), Request(weights=Path("w.pt"))):
        with pytest.raises(WeightsInvalid, match="without weights"):
            SPEC.load(request)


def test_threads_compute_the_same(references):
    waves = [torch.from_numpy(tones([k], 1.0).astype(np.float32)) for k in range(50, 62)]
    alone = [references.windows(w)[0].values for w in waves]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda w: references.windows(w)[0].values, waves))
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


def test_log_mel_rises_with_level_and_peaks_at_the_frequency(references):
    soft = heard(references, tones([69], 1.0, partials=1))["log-mel"]
    loud = heard(references, 2 * tones([69], 1.0, partials=1))["log-mel"]
    middle = slice(10, -10)
    band = soft[middle].mean(0).argmax()
    assert loud[middle, band] - soft[middle, band] == pytest.approx(20 * np.log10(2), abs=1e-2)
    import librosa

    centres = librosa.mel_frequencies(n_mels=WIDTHS["log-mel"] + 2, fmax=RATE / 2)[1:-1]
    assert abs(centres[band] - 440) == np.abs(centres - 440).min()


def test_mfcc_is_the_cosine_transform_of_log_mel(references):
    from scipy.fft import dct

    outputs = heard(references, tones([50, 57], 1.0))
    expected = dct(outputs["log-mel"], axis=1, norm="ortho")[:, : WIDTHS["mfcc"]]
    assert np.allclose(outputs["mfcc"], expected, atol=1e-2)


@pytest.mark.parametrize("transpose", (-12, 0, 12, 3))
def test_chroma_of_a_major_triad_peaks_at_its_notes(references, transpose):
    wave = tones([60 + transpose, 64 + transpose, 67 + transpose], 1.5)
    chroma = heard(references, wave)["chroma"][10:-10].mean(0)
    assert set(np.argsort(chroma)[-3:]) == {(k + transpose) % 12 for k in (0, 4, 7)}
    assert chroma.max() <= 1.0


def test_major_and_minor_can_be_read_from_chroma_by_a_linear_rule(references):
    rng = np.random.default_rng(0)
    rows, chords = [], []
    for _ in range(240):
        root, minor = rng.integers(12), rng.integers(2)
        steps = np.array([0, 3 if minor else 4, 7])
        voices = 48 + root + steps + 12 * rng.integers(0, 2, 3)
        bass = 36 + root + rng.choice(steps)
        rows.append(heard(references, tones([bass, *voices], 0.4, rng))["chroma"].mean(0))
        chords.append(2 * root + minor)
    rows, chords = np.stack(rows), np.array(chords)
    probe = LogisticRegression(C=100, max_iter=1000).fit(rows[:170], chords[:170])
    assert probe.score(rows[170:], chords[170:]) > 0.9  # chance is 1 in 24


def test_onset_answers_to_clicks_where_they_are(references):
    times = (0.5, 1.1, 1.73, 2.4)
    onset = heard(references, clicks(3.0, *times))["onset"]
    for band in onset.T:
        frames = np.sort(np.argsort(band)[-len(times) :])
        assert np.abs(frames - [round(t * RATE / HOP) for t in times]).max() <= 1
        assert band[frames].min() > 10 * (np.median(band) + 1e-3)


@pytest.mark.parametrize(
    "name,column,depth",
    [
        ("loudness", 0, 50),
        ("loudness", 2, 50),
        ("log-mel", 60, 30),
    ],
)
def test_a_click_stands_in_the_frames_around_its_time(references, name, column, depth):
    for time in (0.25, 0.777, 1.5):
        track = heard(references, clicks(2.0, time))[name][:, column]
        loud = np.flatnonzero(track > track.max() - depth)
        assert abs(loud.mean() - time * RATE / HOP) <= 1
        assert len(loud) <= FFT // HOP + 1


@pytest.mark.parametrize("tempo", (60, 90, 120, 150))
def test_the_tempogram_peaks_at_the_period_of_the_beat(references, tempo):
    period = 60 / tempo
    wave = clicks(8.0, *np.arange(0.1, 7.9, period))
    tempogram = heard(references, wave)["tempogram"].mean(0)
    assert (
        abs(
            LAGS.start
            + tempogram[: round(1.5 * period * RATE / HOP) - LAGS.start].argmax()
            - period * RATE / HOP
        )
        <= 1
    )
    assert LAGS.start <= period * RATE / HOP < LAGS.stop


@pytest.mark.parametrize("midi", (40, 45, 57, 69, 80))
def test_pitch_salience_peaks_at_the_note_and_not_at_a_partial(references, midi):
    salience = heard(references, tones([midi], 1.5))["salience"][10:-10].mean(0)
    assert LOWEST + salience.argmax() == midi
    assert salience.max() <= 1.0


def test_all_notes_of_a_chord_are_salient(references):
    salience = heard(references, tones([48, 55, 64], 1.5))["salience"][10:-10].mean(0)
    above = [LOWEST + i for i in np.argsort(salience)[::-1]]
    peaks = [m for m in above if salience[m - LOWEST] == salience[m - LOWEST - 1 :][:3].max()]
    assert {48, 55} <= set(peaks[:4])
    assert salience[64 - LOWEST] > 2 * np.median(salience)


def test_flux_is_zero_in_a_steady_tone_and_tells_rise_from_fall(references):
    wave = np.zeros(2 * RATE)
    wave[RATE // 2 : 3 * RATE // 2] = tones([69], 1.0)
    rise, fall, distance = heard(references, wave)["flux"].T
    begin, middle, end = (round(t * RATE / HOP) for t in (0.5, 1.0, 1.5))
    assert max(rise[middle], fall[middle], distance[middle]) < 0.05
    for up, down, at in ((rise, fall, begin), (fall, rise, end)):  # edges spread over all bins
        near = slice(at - 4, at + 5)
        assert up[near].max() > 0.9 and up[near].sum() > 2 * down[near].sum()
    assert not heard(references, np.zeros(RATE))["flux"].any()


def test_loudness_is_level_weighted_level_and_peak_of_a_sine(references):
    time = np.arange(RATE) / RATE
    level = {}
    for frequency in (100, 1000):
        loudness = heard(references, 0.5 * np.sin(2 * np.pi * frequency * time))["loudness"]
        level[frequency] = loudness[10:-10].mean(0)
        assert level[frequency][0] == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.1)
        assert level[frequency][2] == pytest.approx(20 * np.log10(0.5), abs=0.1)
    # IEC 61672: 0 dB at 1 kHz, -19.1 dB at 100 Hz
    assert level[1000][1] - level[1000][0] == pytest.approx(0.0, abs=0.2)
    assert level[100][1] - level[100][0] == pytest.approx(-19.1, abs=0.5)


def test_silence_is_the_floor(references):
    outputs = heard(references, np.zeros(RATE))
    assert np.allclose(outputs["log-mel"], -100) and np.allclose(outputs["loudness"], -100)
    assert not outputs["onset"].any() and not outputs["chroma"].any()
