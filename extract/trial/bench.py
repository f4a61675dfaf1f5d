"""A model on the bench: short passes over known sounds, within an allowance of time."""

from __future__ import annotations

import time

import torch

from extract.models.base import Model, ModelSpec, Request
from extract.signals import burst, noise

DEAR = 1.0  # seconds of a pass
SHORT, LONG = 2.0, 4.0  # seconds of a window, where the model lets one choose; a slow one's


class Failed(Exception):  # noqa: N818
    """A check that the model does not pass; the message is the finding."""


class Skipped(Exception):  # noqa: N818
    """A check that cannot be made; the message says why."""


class Bench:
    """A model on trial, and what its passes gave so far."""

    def __init__(self, spec: ModelSpec, device: str, seconds: float):
        self.spec, self.card, self.device = spec, spec.card, device
        self.ends = time.perf_counter() + seconds
        self.allowed = seconds
        self.cost = 0.0  # seconds of a pass over one window
        self.alone = 0.0  # the same, on one thread of a CPU
        self.length = _length(spec)
        self._model: Model | None = None
        self._base: dict[str, torch.Tensor] | None = None
        self._marked: dict[str, torch.Tensor] | None = None
        self.times = tuple(share * self.length for share in (0.31, 0.52, 0.73))

    def load(self, request: Request) -> str:
        start = time.perf_counter()
        model = self.spec.load(request)
        took = time.perf_counter() - start
        self.ends += took  # reading weights is no pass
        if not isinstance(model, Model):
            raise Failed(f"load gave a {type(model).__name__}, no Model")
        model.to(self.device)
        self._model = model
        if model.name != self.card.name:
            raise Failed(f"the loaded model calls itself {model.name}")
        if [*model.card.layers] != [*self.card.layers]:
            raise Failed("the loaded model has other layers than its card")
        training = [
            name or "the network" for name, m in model.network.named_modules() if m.training
        ]
        if training:
            raise Failed(f"{training[0]} is in training mode; call eval()")
        return f"{took:.1f} s; {model.weights.source}"

    @property
    def model(self) -> Model:
        if self._model is None:
            raise Skipped("the model does not load")
        return self._model

    def samples(self, seconds: float) -> int:
        return round(seconds * self.card.sample_rate)

    def values(self, *signals: torch.Tensor) -> torch.Tensor:
        """The first window of each signal, stacked, on the device."""
        windows = [self.model.windows(signal)[0].values for signal in signals]
        return torch.stack(windows).to(self.device)

    def run(self, values: torch.Tensor, until: str | None = None) -> dict[str, torch.Tensor]:
        with torch.inference_mode():
            outputs = self.model.forward(values, until)
            return {name: output.float().cpu() for name, output in outputs.items()}

    @property
    def dear(self) -> bool:
        """Whether passes take so long that fewer must do."""
        return self.cost > DEAR

    def afford(self, passes: float) -> None:
        """Skips the check at hand when `passes` more windows would take too long."""
        if time.perf_counter() + passes * self.cost > self.ends:
            more = "1 more pass" if passes == 1 else f"{passes:g} more passes"
            raise Skipped(
                f"{more} of {self.cost:.1f} s would go beyond {self.allowed:g} s; "
                "allow more with --seconds"
            )

    def first(self) -> dict[str, torch.Tensor]:
        """The first pass, over noise; timed."""
        values = self.values(noise(self.samples(self.length)))
        start = time.perf_counter()
        outputs = self.run(values)
        self.cost = time.perf_counter() - start
        self._base = outputs
        return outputs

    @property
    def base(self) -> dict[str, torch.Tensor]:
        """What the first pass gave, of the layers that the card names."""
        if self._base is None:
            raise Skipped("the network does not run")
        return {x.name: self._base[x.name] for x in self.card.layers if x.name in self._base}

    @property
    def marked(self) -> dict[str, torch.Tensor]:
        """One batch: the noise of the first pass, then the same with a burst at each time."""
        self.base  # noqa: B018  nothing to compare with where that pass failed
        if self._marked is None:
            times = self.times[: 2 if self.dear else 3]
            self.afford(1 + len(times))
            plain = noise(self.samples(self.length))
            rate = self.card.sample_rate
            rows = [plain, *(plain + burst(len(plain), rate, at) for at in times)]
            start = time.perf_counter()
            self._marked = self.run(self.values(*rows))
            self.cost = min(self.cost, (time.perf_counter() - start) / len(rows))
        return self._marked


def _length(spec: ModelSpec) -> float:
    """Seconds of audio for a pass: the model's window if it is fixed, short otherwise."""
    card = spec.card
    if card.fixed:
        return card.window
    slowest = min((layer.rate for layer in card.layers if layer.rate > 0), default=1.0)
    wanted = max(SHORT, min(LONG, 12 / slowest), 3 * card.minimum / card.sample_rate)
    return min(card.window, wanted)
