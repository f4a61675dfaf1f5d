"""`rsa models check`: a sound model passes every check, and each check can fail."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import pytest
import torch
from torch import nn

from extract.errors import AudioError, OptionUnsuitable, WeightsInvalid, WeightsMissing
from extract.models.base import Layer, Model, ModelCard, ModelSpec, Request, WeightsRecord, collect
from extract.signals import burst, misplaced, noise
from extract.trial.checks import trial
from extract.trial.snapshot import changes, snapshot
from extract.weights import drawing

RATE, HOP, WIDTH = 8000, 80, 6

CARD = ModelCard(
    name="sound", title="Sound", cite="none", paper="none", url="", training_data="nothing",
    licence="MIT", parameters=0, sample_rate=RATE, weights_from="none", window=4.0, minimum=HOP,
    layers=(
        Layer("conv", WIDTH, RATE / HOP, 0, center=HOP / 2 / RATE),
        Layer("mixed", WIDTH, RATE / HOP, 1, center=HOP / 2 / RATE),
        Layer("slow", WIDTH, RATE / HOP / 4, 2, center=2 * HOP / RATE),
    ),
)  # fmt: skip


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, WIDTH, HOP, HOP)
        self.mix = nn.Linear(WIDTH, WIDTH)
        self.register_buffer("count", torch.zeros(1))


class Sound(Model):
    """A strided convolution, a mixture of its channels, and means of four frames."""

    def __init__(self):
        self.card = CARD
        with drawing("sound", 0):
            self.network = Network().eval()
        self.weights = WeightsRecord("0" * 64, "made for tests", trained=False)

    def forward(self, values, until=None):
        return collect(self.taps(values), until)

    def taps(self, values):
        frames = torch.tanh(self.network.conv(values[:, None])).transpose(1, 2)
        yield "conv", frames
        mixed = frames + torch.tanh(self.network.mix(frames))
        yield "mixed", mixed
        whole = torch.nn.functional.pad(mixed, (0, 0, 0, -mixed.shape[1] % 4), value=0.0)
        yield "slow", whole.unflatten(1, (-1, 4)).mean(2)


class Wide(Sound):
    def taps(self, values):
        for name, output in super().taps(values):
            yield name, output[..., :-1] if name == "mixed" else output


class Slow(Sound):
    def taps(self, values):
        for name, output in super().taps(values):
            yield name, output[:, ::2] if name == "mixed" else output


class Drifting(Sound):
    """One frame in thirty is lost: too few to show in a short window."""

    def taps(self, values):
        for name, output in super().taps(values):
            frames = output.shape[1] - output.shape[1] // 120
            yield name, output[:, :frames] if name == "mixed" else output


class BatchBound(Sound):
    def taps(self, values):
        return super().taps(values / values.std())


class Wavering(Sound):
    def taps(self, values):
        return super().taps(values + 1e-3 * torch.randn_like(values))


class SilenceBreaks(Sound):
    def taps(self, values):
        return super().taps(values / values.std(1, keepdim=True))


class Overflowing(Sound):
    def taps(self, values):
        for name, output in super().taps(values):
            yield name, output * float("inf") if name == "slow" else output


class Dead(Sound):
    def taps(self, values):
        for name, output in super().taps(values):
            yield name, output * 0 if name == "mixed" else output


class Late(Sound):
    def taps(self, values):
        for name, output in super().taps(values):
            yield name, output.roll(5, 1) if name == "mixed" else output


class Unstopped(Sound):
    def forward(self, values, until=None):
        return collect(self.taps(values))


class StopsShort(Sound):
    def forward(self, values, until=None):
        got = collect(self.taps(values), until)
        return {until: got[until]} if until else got


class Remembering(Sound):
    """Adds a share of what it saw last, which it keeps on itself."""

    last = None

    def taps(self, values):
        before, self.last = self.last, values.mean(1, keepdim=True)
        return super().taps(values if before is None else values + 0 * before.mean())


class Counting(Sound):
    def taps(self, values):
        self.network.count += 1
        return super().taps(values)


class Numbering(Sound):
    """Counts its passes in a plain number of the model's."""

    passes = 0

    def taps(self, values):
        self.passes += 1
        return super().taps(values)


class Listing(Sound):
    """Keeps a list that grows on a module, behind an underscore."""

    def __init__(self):
        super().__init__()
        self.network.mix._lengths = []

    def taps(self, values):
        self.network.mix._lengths.append(values.shape[1])
        return super().taps(values)


class Swapped(Sound):
    """The card has the layers in another order than the forward pass."""

    def forward(self, values, until=None):
        got = collect(self.taps(values))
        return {name: got[name] for name in ("mixed", "conv", "slow")}


class Sharing(Sound):
    """Passes what it computes on through itself: two threads read each other's."""

    def taps(self, values):
        self.input = values
        time.sleep(0.02)
        return super().taps(self.input)


class Forgetful(Sound):
    def taps(self, values):
        for name, output in super().taps(values):
            if name != "mixed":
                yield name, output


class Squeezed(Sound):
    def taps(self, values):
        for name, output in super().taps(values):
            yield name, output[..., None] if name == "slow" else output


class Gapped(Sound):
    def windows(self, waveform):
        windows = super().windows(waveform)
        return windows[:1] + windows[2:]


class TakesAll(Sound):
    def windows(self, waveform):
        return super().windows(torch.nn.functional.pad(waveform, (0, 1)))


class Misnamed(Sound):
    def __init__(self):
        super().__init__()
        self.card = replace(CARD, name="other")


class Training(Sound):
    def __init__(self):
        super().__init__()
        self.network.train()


class Collapsing(Sound):
    def taps(self, values):
        raise RuntimeError("sizes do not match")


def outcome(model: type[Model], card: ModelCard = CARD, **options):
    spec = ModelSpec(card, lambda request: model())
    return {check.name: check for check in trial(spec, Request(untrained=True), **options)}


def test_a_sound_model_passes_every_check():
    checks = outcome(Sound)
    assert {c.outcome for c in checks.values()} == {"ok"}, checks
    assert "3 of 3 layers" in checks["time stamps"].detail
    assert "one less is refused" in checks["shortest"].detail


@pytest.mark.parametrize(
    "model, failing, word",
    [
        (Wide, {"widths"}, "mixed is 5 wide, the card says 6"),
        (Slow, {"frame rates", "time stamps"}, "mixed"),
        (Drifting, {"frame rates"}, "frames/s would be"),
        (BatchBound, {"batches"}, "other windows are in the batch"),
        (Wavering, {"deterministic"}, "between two passes"),
        (SilenceBreaks, {"extremes"}, "silence: conv"),
        (Overflowing, {"finite"}, "slow has values that are not finite"),
        (Dead, {"finite"}, "mixed is constant"),
        (Late, {"time stamps"}, "after its time"),
        (Unstopped, {"until"}, "goes on to mixed"),
        (StopsShort, {"until"}, "leaves out conv"),
        (Remembering, {"state"}, "model.last"),
        (Counting, {"state"}, "network.count"),
        (Numbering, {"state"}, "model.passes"),
        (Listing, {"state"}, "network.mix._lengths"),
        (Swapped, {"runs"}, "order of the layers is mixed, conv, slow"),
        (Sharing, {"threads"}, "two threads"),
        (Forgetful, {"runs"}, "not put out: mixed"),
        (Squeezed, {"widths"}, "slow is (1, 50, 6, 1)"),
        (Gapped, {"windows"}, "gap or overlap"),
        (TakesAll, {"shortest"}, "79 samples taken"),
        (Misnamed, {"loads"}, "calls itself other"),
        (Training, {"loads"}, "training mode"),
        (Collapsing, {"runs"}, "RuntimeError: sizes do not match"),
    ],
)
def test_each_fault_fails_its_check(model, failing, word):
    checks = outcome(model)
    assert failing <= {c.name for c in checks.values() if c.outcome == "failed"}, checks
    assert any(word in checks[name].detail for name in failing), checks


def test_a_fault_in_a_pass_names_file_and_line():
    import inspect

    line = inspect.getsourcelines(Collapsing)[1] + 2
    detail = outcome(Collapsing)["runs"].detail
    assert detail == f"RuntimeError: sizes do not match ({__file__}, line {line})"


def test_rows_say_what_was_checked_and_what_is_allowed():
    details = {check.name: check.detail for check in outcome(Sound).values()}
    assert "plain values" in details["state"] and "nothing kept" not in details["state"]
    assert re.search(r"worst \w+, \d+ ms of \d+ allowed", details["time stamps"])
    exact = replace(CARD, fixed=True, window=2.67796)

    class Fixed(Sound):
        def __init__(self):
            super().__init__()
            self.card = exact

    details = {check.name: check.detail for check in outcome(Fixed, exact).values()}
    assert details["card"].endswith("windows of exactly 2.678 s")
    assert "windows are of exactly 2.678 s" in details["frame rates"]
    whole = replace(CARD, window=1.0)

    class Whole(Sound):
        def __init__(self):
            super().__init__()
            self.card = whole

    details = {check.name: check.detail for check in outcome(Whole, whole).values()}
    assert details["card"].endswith("windows of at most 1 s")
    assert "windows are of at most 1 s" in details["frame rates"]


def test_one_sample_is_singular():
    single = replace(CARD, minimum=1, fixed=True)

    class Single(Sound):
        def __init__(self):
            super().__init__()
            self.card = single

    assert outcome(Single, single)["shortest"].detail.startswith("1 sample (")


@pytest.mark.parametrize(
    "model, spared",
    [(Wide, "time stamps"), (Late, "frame rates"), (Counting, "threads"), (Gapped, "runs")],
)
def test_a_failed_check_hides_no_other(model, spared):
    assert outcome(model)[spared].outcome == "ok"


@pytest.mark.parametrize(
    "changed, check, word",
    [
        ({"layers": CARD.layers[:1] * 2}, "layers", "two layers are called conv"),
        ({"layers": CARD.layers[::-1]}, "layers", "depths do not rise"),
        ({"layers": (replace(CARD.layers[0], rate=0.0),)}, "layers", "above zero"),
        ({"layers": ()}, "layers", "no layer"),
        ({"sample_rate": 8000.5}, "card", "sample rate"),
        ({"hop": 5.0}, "card", "hop"),
        ({"minimum": 10**6}, "card", "minimum"),
        ({"licence": ""}, "card", "nothing said of licence"),
    ],
)
def test_faults_of_the_card_are_found_without_a_pass(changed, check, word):
    checks = outcome(Sound, replace(CARD, **changed))
    assert checks[check].outcome == "failed" and word in checks[check].detail


@pytest.mark.parametrize("kind", [WeightsMissing, WeightsInvalid, OptionUnsuitable])
def test_what_loading_refuses_is_raised_before_any_check(kind):
    def load(request):
        raise kind("small.pt: no such file")

    with pytest.raises(kind, match="small.pt"):
        next(trial(ModelSpec(CARD, load), Request()))


def test_a_fault_while_loading_is_a_failed_check():
    def load(request):
        raise ValueError("a slip")

    checks = {check.name: check for check in trial(ModelSpec(CARD, load), Request())}
    assert checks["card"].outcome == "ok" and checks["threads"].outcome == "skipped"
    assert checks["loads"].outcome == "failed" and "ValueError: a slip" in checks["loads"].detail


def test_checks_that_would_take_too_long_are_skipped_and_say_so():
    checks = outcome(Sound, seconds=0.0)
    assert checks["runs"].outcome == "ok"
    assert checks["batches"].outcome == "skipped" and "--seconds" in checks["batches"].detail


def test_fixed_windows_are_tried_at_their_length():
    class Fixed(Sound):
        def __init__(self):
            super().__init__()
            self.card = replace(CARD, fixed=True)

    checks = outcome(Fixed, replace(CARD, fixed=True))
    assert {c.outcome for c in checks.values()} == {"ok"}, checks
    assert checks["runs"].detail.startswith("4 s") and "padded" in checks["shortest"].detail


def test_a_burst_stands_where_it_is_said_to_stand():
    values = burst(8000, 8000, 0.5)
    energy = values.square()
    middle = float((energy * torch.arange(8000)).sum() / energy.sum())
    assert abs(middle / 8000 - 0.5) < 0.003
    assert torch.equal(noise(100), noise(100)) and 0.03 < float(noise(4000).std()) < 0.07


@pytest.mark.parametrize("late", [-3, 0, 4])
def test_misplaced_measures_by_how_much(late):
    rows = torch.zeros(4, 100, 2)
    times = (0.3, 0.5, 0.7)
    for row, at in enumerate(times):
        rows[row + 1, int(at * 100) + late] = 1.0
    offset, blur = misplaced(rows, 100.0, 0.0, times)
    assert offset == pytest.approx(late / 100) and blur < 0.02
    assert misplaced(rows[:, :3], 100.0, 0.0, times) is None
    assert misplaced(torch.zeros(4, 100, 2), 100.0, 0.0, times) is None


def test_a_snapshot_sees_one_changed_value_and_nothing_else():
    model = Sound()
    before = snapshot(model)
    assert changes(before, snapshot(model)) == []
    with torch.no_grad():
        model.network.mix.weight[0, 0] += 1e-6
    model.extra = [torch.ones(2)]
    model.network.mix.turns = 3
    model.network.register_forward_hook(lambda *_: None)
    assert changes(before, snapshot(model)) == [
        "model.extra.0", "network.mix.turns", "network.mix.weight"
    ]  # fmt: skip


def test_audio_that_is_too_short_must_be_refused_as_such():
    class Rude(Sound):
        def windows(self, waveform):
            try:
                return super().windows(waveform)
            except AudioError as error:
                raise ValueError("too short") from error

    check = outcome(Rude)["shortest"]
    assert check.outcome == "failed" and "ValueError" in check.detail
