"""What every model is to the rest of the program: named layers over windows of audio."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

import torch

from extract.errors import OptionUnsuitable
from extract.windows import Window, cut

MOST_OVERLAP = 50  # windows that a moment may be in


@dataclass(frozen=True)
class Layer:
    """One place in a network whose output is kept.

    Attributes
    ----------
    name : as it stands in every result (`frontend`, `block01`, `final`, ...).
    width : number of channels.
    rate : frames per second of audio, in Hz.
    depth : 0 for the first layer, rising along the forward pass.
    center : seconds from the start of a window to the centre of frame 0.
    """

    name: str
    width: int
    rate: float
    depth: int
    center: float = 0.0


@dataclass(frozen=True)
class ModelCard:
    """What a reader must know of a model before believing a number about it.

    Attributes
    ----------
    cite : authors and year, as short as a table wants them; `paper` is the whole reference.
    licence : of the weights.
    parameters : numbers that the layers are computed from; heads that are never run do not count.
    window : seconds of audio the network sees at once (longer audio is cut).
    hop : seconds from one window to the next; `window` itself if None.
    fixed : True when a window must be exactly that long (shorter audio is padded with silence),
        False when shorter audio goes in as it is.
    minimum : the fewest samples the network accepts.
    """

    name: str
    title: str
    cite: str
    paper: str
    url: str
    training_data: str
    licence: str
    parameters: int
    sample_rate: int
    layers: tuple[Layer, ...]
    weights_from: str
    window: float
    hop: float | None = None
    fixed: bool = False
    minimum: int = 1
    notes: str = ""

    def as_json(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class WeightsRecord:
    """Which weights a model carries: where they came from and the hash of what was loaded."""

    sha256: str
    source: str
    trained: bool

    def as_json(self) -> dict:
        return asdict(self)


class Model(ABC):
    """A network with its weights, ready to be run over windows.

    `forward` is called from several threads at once, on one network: what it computes on the way
    belongs into local variables.

    Attributes
    ----------
    card, weights : see `ModelCard`, `WeightsRecord`.
    network : the module; in evaluation mode, float32.
    blocks : modules of equal structure that follow each other, for `torch.compile`; none if empty.
    layers : those that are kept, in order of depth; all of the card's unless `keep` was called.
    window, hop : seconds; the card's unless `recut` was called.
    """

    card: ModelCard
    weights: WeightsRecord
    network: torch.nn.Module
    blocks: Sequence[torch.nn.Module] = ()
    _kept: tuple[str, ...] | None = None
    _window: float | None = None
    _hop: float | None = None

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def sample_rate(self) -> int:
        return self.card.sample_rate

    @property
    def layers(self) -> tuple[Layer, ...]:
        layers = self.card.layers
        return layers if self._kept is None else tuple(x for x in layers if x.name in self._kept)

    @property
    def window(self) -> float:
        return self._window or self.card.window

    @property
    def hop(self) -> float:
        return self._hop or self._window or self.card.hop or self.card.window

    def keep(self, names: Sequence[str]) -> None:
        """Keeps these layers only; the network is run no deeper than the deepest of them.

        Raises OptionUnsuitable for a name the model has not, or none at all.
        """
        known = [layer.name for layer in self.card.layers]
        for name in names:
            if name not in known:
                near = get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
                raise OptionUnsuitable(f"{self.name} has no layer {name!r}; {hint}")
        if not names:
            raise OptionUnsuitable(f"--layers names no layer; there are {', '.join(known)}")
        self._kept = tuple(names)

    def recut(self, window: float | None, hop: float | None) -> None:
        """Sets the seconds of a window, and those from one to the next, where the model lets one.

        Raises OptionUnsuitable for a network with windows of its own, or values that make no cut.
        """
        fixed = self.card.fixed or type(self).windows is not Model.windows
        if fixed and (window or hop):
            raise OptionUnsuitable(
                f"{self.name} cuts its windows itself ({self.card.window:g} s): leave out --window "
                "and --hop"
            )
        length = window or self.card.window
        for option, value in (("--window", window), ("--hop", hop)):
            if value is not None and not 0 < value < math.inf:
                raise OptionUnsuitable(f"{option} {value:g}: give a number of seconds")
        if hop and hop < length / MOST_OVERLAP:
            raise OptionUnsuitable(
                f"--hop {hop:g}: a moment would be in more than {MOST_OVERLAP} windows of "
                f"{length:g} s; give at least {length / MOST_OVERLAP:.3g}"
            )
        if window and round(window * self.sample_rate) < self.card.minimum:
            least = self.card.minimum / self.sample_rate
            raise OptionUnsuitable(f"--window {window:g}: {self.name} needs at least {least:.3g} s")
        if hop and hop > length:
            raise OptionUnsuitable(
                f"--hop {hop:g} is longer than the window ({length:g} s): audio would be left out"
            )
        self._window, self._hop = window, hop

    def windows(self, waveform: torch.Tensor) -> list[Window]:
        """Cuts a mono waveform [samples] at `sample_rate` into what `forward` takes.

        A model whose input is not the waveform (patches of a spectrogram, say) overrides this.
        Runs in a worker thread on the CPU.
        """
        return cut(
            waveform,
            self.sample_rate,
            self.window,
            hop=self.hop,
            fixed=self.card.fixed,
            minimum=self.card.minimum,
        )

    @abstractmethod
    def forward(self, values: torch.Tensor, until: str | None = None) -> Mapping[str, torch.Tensor]:
        """Every layer, or those up to and including `until`.

        Parameters
        ----------
        values : [batch, ...], the values of windows, stacked.
        until : name of the deepest layer that is wanted.

        Returns
        -------
        layer name -> [batch, frames, width]
        """

    def to(self, device: str | torch.device) -> Model:
        self.network.to(device)
        return self


def of_another_size(
    card: ModelCard, layers: tuple[Layer, ...], parameters: int, note: str
) -> ModelCard:
    """The card of a network like the published one, but of other sizes: so not that one."""
    unknown = "not known: not the published network"
    return replace(
        card,
        title=f"{card.title}, other size",
        training_data=unknown,
        licence=unknown,
        layers=layers,
        parameters=parameters,
        notes=f"{card.notes} Not of the published size: {note}.".strip(),
    )


def file_name(name: str) -> str:
    """A model's name fit for a file or folder: `hf:org/name` has a colon and a slash."""
    return re.sub(r"[^\w.+-]+", "-", name).strip("-.") or "model"


def collect(
    taps: Iterable[tuple[str, torch.Tensor]], until: str | None = None
) -> dict[str, torch.Tensor]:
    """(layer name, output) pairs as they are computed, up to and including `until`.

    A network whose forward pass is a generator of its layers stops where nobody asks it to go on.
    """
    outputs = {}
    for name, output in taps:
        outputs[name] = output
        if name == until:
            break
    return outputs


@dataclass(frozen=True)
class ModelSpec:
    """A registry entry: the card, and how to make the model.

    `load` returns a `Model`; it raises `WeightsMissing` or `WeightsInvalid`. `present` says
    whether the weights are on this machine, without asking the network; `given` is true where they
    are not to be fetched, so that the user has to give them.
    """

    card: ModelCard
    load: Callable[[Request], Model]
    present: Callable[[], bool] = field(default=lambda: False)
    given: bool = False


@dataclass(frozen=True)
class Request:
    """How the user wants a model: own weights, untrained, offline.

    Attributes
    ----------
    weights : file or folder in the published layout, or None for the usual source.
    untrained : run the architecture with random weights drawn from `seed`.
    offline : never ask the network.
    """

    weights: Path | None = None
    untrained: bool = False
    seed: int = 0
    offline: bool = False
